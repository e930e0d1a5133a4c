#pragma once
#include <fieldstep/io/tensor_file.hpp>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fieldstep::io {

/// A row-major float32 array for a writer of several: described, not copied.
struct NamedArray {
  std::string name;
  Extents shape;
  std::span<const float> values;
};

/// Refuses what some format or its readers would take amiss: numbers that do not fill their shape, two arrays of one
/// name, and names other than printable ASCII without slashes that does not begin with a dot.
inline void check_arrays(std::span<const NamedArray> arrays) {
  constexpr std::size_t longest = 255;
  const auto plain = [](char c) { return c >= ' ' && c <= '~' && c != '/' && c != '\\'; };
  std::vector<std::string_view> names;
  for (const NamedArray& array : arrays) {
    const std::string& name = array.name;
    if (name.empty() || name.size() > longest || name.front() == '.' || !std::ranges::all_of(name, plain))
      fail(printable(name), " is no name of an array, wanted 1 to ", longest,
           " characters of ASCII without slashes and no dot in front");
    if (item_count(array.shape, name) != array.values.size())
      fail("array ", printable(name), ": ", array.values.size(), " numbers for shape ", shape_text(array.shape));
    names.push_back(name);
  }
  std::ranges::sort(names);
  const auto twin = std::ranges::adjacent_find(names);
  if (twin != names.end()) fail("array ", printable(*twin), " occurs twice");
}

}  // namespace fieldstep::io
