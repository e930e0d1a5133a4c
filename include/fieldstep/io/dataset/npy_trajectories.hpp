#pragma once
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/dataset/description.hpp>
#include <fieldstep/io/npy.hpp>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fieldstep::io {

/// Simulations as one array of NumPy's, (simulations, snapshots, fields, height, width), as trainax and APEBench have
/// them. The file says nothing of names, labels and boundaries.
class NpyTrajectories {
 public:
  static constexpr std::string_view layouts = "a .npy file (simulations, snapshots, fields, height, width)";

  explicit NpyTrajectories(const std::filesystem::path& path) : file_(read_npy(path)) {
    const Extents& shape = array().shape;
    constexpr std::int64_t most = std::numeric_limits<int>::max();
    if (shape.size() != 5 || std::ranges::any_of(shape, [](std::int64_t n) { return n < 1 || n > most; }))
      fail(path.string(), ": holds an array of shape ", shape_text(shape),
           ", wanted (simulations, snapshots, fields, height, width)");
    info_.name = path.stem().string();
    info_.samples = static_cast<std::size_t>(shape[0]), info_.frames = static_cast<std::size_t>(shape[1]);
    info_.height = static_cast<int>(shape[3]), info_.width = static_cast<int>(shape[4]);
    for (std::int64_t f = 0; f < shape[2]; ++f) info_.fields.push_back("u" + std::to_string(f));
    info_.units.resize(info_.fields.size());
    info_.frames_per_unit = 1;
  }

  const DatasetInfo& info() const noexcept { return info_; }

  /// Frames first .. first + count of one sample as (count, fields, height, width).
  std::vector<float> read_frames(std::size_t sample, std::size_t first, std::size_t count) const {
    StoredTensor part = array();
    const auto item = static_cast<std::int64_t>(item_size(part.dtype));
    part.data +=
        (static_cast<std::int64_t>(sample) * part.stride[0] + static_cast<std::int64_t>(first) * part.stride[1]) * item;
    part.shape[0] = 1, part.shape[1] = static_cast<std::int64_t>(count);
    return numbers<float>(part);
  }

 private:
  const StoredTensor& array() const { return file_.tensors.front(); }

  TensorFile file_;
  DatasetInfo info_;
};

}  // namespace fieldstep::io
