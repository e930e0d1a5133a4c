#pragma once
#include <array>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace fieldstep::io {

/// Where a grid lies: lower corner of its first cell and size of a cell, x along the rows' index, y along the columns'.
struct Domain {
  double x0 = 0, y0 = 0;
  double dx = 1, dy = 1;
};

/// What a set of simulations holds. Every frame is (fields, height, width), height counting along x and width along y,
/// as the original loaders have it.
struct DatasetInfo {
  std::string name;                 ///< such as "PDEBench 2-D shallow water"
  std::vector<std::string> fields;  ///< in the order of the channels
  std::vector<std::string> units;   ///< one a field; empty where the file does not say
  std::vector<int> labels;          ///< one a field, in MPP's vocabulary
  std::array<int, 2> boundaries{};  ///< of width, then of height: 1 periodic, 0 open
  std::size_t samples = 0, frames = 0;
  int height = 0, width = 0;
  std::vector<double> times;     ///< one a frame, of the first sample; empty where the file does not say
  std::optional<Domain> domain;  ///< where the file has equidistant coordinates

  /// Time of a frame: as the file says, beyond its end with its first interval; without an axis the frame's number.
  double time(std::size_t frame) const {
    if (frame < times.size()) return times[frame];
    if (times.size() < 2) return static_cast<double>(frame);
    return times.back() + (times[1] - times[0]) * static_cast<double>(frame + 1 - times.size());
  }
};

/// Reads one kind of file. Its constructor takes the opened file and throws where the layout is not what it knows.
template <class R>
concept DatasetReader = requires(const R& reader, std::size_t n) {
  { reader.info() } -> std::same_as<const DatasetInfo&>;
  { reader.read_frames(n, n, n) } -> std::same_as<std::vector<float>>;  // sample, first frame, number of frames
};

}  // namespace fieldstep::io
