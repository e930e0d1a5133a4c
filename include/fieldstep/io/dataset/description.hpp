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

/// What a network sees of a field: ((value - shift) - mean) / deviation, in float.
struct Normalisation {
  float mean = 0, deviation = 1, shift = 0;

  float forth(float value) const { return (value - shift - mean) / deviation; }
  float back(float seen) const { return seen * deviation + mean + shift; }
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

  /// Of sets whose networks forecast any later time at once (Poseidon's); otherwise empty and 0.
  std::vector<Normalisation> normalisation{};  ///< one a field
  std::vector<std::size_t> groups{};           ///< boundaries of the groups of fields of which errors are reported
  std::vector<std::string> inputs{};           ///< what the network reads where it does not read `fields`
  int frames_per_unit = 0;                     ///< a lead time of 1 is that many frames
  int pair_step = 1;                           ///< frames between the times that training pairs up
  bool steady = false;                         ///< its one frame is the solution, at lead time 1

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
