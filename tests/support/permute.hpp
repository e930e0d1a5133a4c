#pragma once
#include <fieldstep/core/error.hpp>

#include <span>
#include <string_view>
#include <vector>

namespace fieldstep::support {

/// A row-major tensor whose axes are the letters `from`, in the axis order `to`: permuted(x, "btijc", {...}, "tbcij").
template <class Real>
std::vector<double> permuted(const Real* data, std::string_view from, std::span<const int> extents,
                             std::string_view to) {
  const std::size_t rank = from.size();
  if (extents.size() != rank || to.size() != rank)
    fail("permuted: axes ", from, " with ", extents.size(), " extents, wanted in the order ", to);

  std::vector<std::size_t> stride(rank), extent(rank);  // of the axes in the order `to`
  std::size_t size = 1;
  for (std::size_t from_axis = rank; from_axis-- > 0;) {
    const std::size_t to_axis = to.find(from[from_axis]);
    if (to_axis == to.npos) fail("permuted: axis ", from[from_axis], " of ", from, " is not in ", to);
    stride[to_axis] = size;
    extent[to_axis] = static_cast<std::size_t>(extents[from_axis]);
    size *= extent[to_axis];
  }
  std::vector<double> values(size);
  std::vector<std::size_t> index(rank);
  std::size_t offset = 0;
  for (double& value : values) {
    value = static_cast<double>(data[offset]);
    for (std::size_t axis = rank; axis-- > 0;) {  // the next index, the last axis fastest
      offset += stride[axis];
      if (++index[axis] < extent[axis]) break;
      offset -= extent[axis] * stride[axis];
      index[axis] = 0;
    }
  }
  return values;
}

}  // namespace fieldstep::support
