#pragma once
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/dataset/description.hpp>
#include <fieldstep/io/dataset/poseidon_problems.hpp>
#include <fieldstep/io/hdf5.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fieldstep::io {

/// Poseidon's data sets as the original's scOT/problems/ read them: NetCDF-4 (which is HDF5), for Helmholtz HDF5.
///   flows, waves, ...  <variable> (N, T, [channels,] x, y); waves also c (N, x, y)
///   SE-AF              solution (N, 2, x, y): shape, density
///   Poisson-Gauss      source, solution (N, x, y)
///   Helmholtz          groups Sample_0, Sample_1, ... each with a, u (x, y) and the number bc
/// The number of samples is the file's own: a part of a published set is as good as the whole.
class Poseidon {
 public:
  static constexpr std::string_view layouts = "Poseidon's NetCDF and HDF5 (with the name of the problem)";

  Poseidon(Hdf5File file, std::string_view problem) : file_(std::move(file)), problem_(poseidon_problem(problem)) {
    info_.name = "Poseidon " + problem_.name;
    const auto normalisation = [](const PoseidonChannel& c) { return Normalisation{c.mean, c.deviation, c.shift}; };
    for (const PoseidonChannel& channel : problem_.channels) {
      info_.fields.emplace_back(channel.name);
      info_.normalisation.push_back(normalisation(channel));
    }
    for (const PoseidonChannel& channel : problem_.inputs) info_.inputs.emplace_back(channel.name);
    info_.units.resize(info_.fields.size());
    info_.groups = problem_.groups;
    info_.frames_per_unit = problem_.frames_per_unit;
    info_.pair_step = problem_.step;
    info_.steady = problem_.kind != PoseidonProblem::Kind::trajectory;
    info_.boundaries = {1, 1};
    take_sizes();
    if (info_.samples == 0 || info_.frames == 0) fail(file_.path(), ": holds no frames (", info_.name, ")");
    const double side = 1.0 / std::max(info_.height, info_.width);
    info_.domain = Domain{.x0 = 0, .y0 = 0, .dx = side, .dy = side};
  }

  const DatasetInfo& info() const noexcept { return info_; }

  /// Frames first .. first + count of one sample as (count, fields, height, width), in the file's units. A steady set
  /// has one frame, the solution.
  std::vector<float> read_frames(std::size_t sample, std::size_t first, std::size_t count) const {
    std::vector<float> frames;
    for (std::size_t t = first; t < first + count; ++t)
      for (const PoseidonChannel& channel : problem_.channels) append(frames, channel, sample, t, false);
    if (problem_.kind == PoseidonProblem::Kind::airfoil) impose_known(sample, frames);
    return frames;
  }

  /// What the network reads to forecast from a frame, (inputs or fields, height, width), normalised.
  std::vector<float> read_input(std::size_t sample, std::size_t frame) const {
    const std::vector<PoseidonChannel>& channels = info_.steady ? problem_.inputs : problem_.channels;
    std::vector<float> input;
    for (const PoseidonChannel& channel : channels) {
      const std::size_t at = input.size();
      append(input, channel, sample, frame, info_.steady);
      const Normalisation seen{channel.mean, channel.deviation, channel.shift};
      std::transform(input.begin() + static_cast<std::ptrdiff_t>(at), input.end(),
                     input.begin() + static_cast<std::ptrdiff_t>(at), [&](float v) { return seen.forth(v); });
    }
    return input;
  }

  /// Puts what is known without a forecast into frames (count, fields, height, width) in the file's units: the constant
  /// pressure of incompressible flow, the inside of an airfoil. The original's pixel_mask.
  void impose_known(std::size_t sample, std::span<float> frames) const {
    const std::size_t points = points_per_field(), fields = info_.fields.size();
    std::vector<float> shape;
    if (problem_.kind == PoseidonProblem::Kind::airfoil) append(shape, problem_.inputs[0], sample, 0, true);
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const PoseidonChannel& channel = problem_.channels[i / points % fields];
      if (channel.masked) frames[i] = static_cast<float>(channel.index);
      if (!shape.empty() && shape[i % points] == 1) frames[i] = info_.normalisation[0].back(1);
    }
  }

 private:
  using Kind = PoseidonProblem::Kind;

  std::size_t points_per_field() const {
    return static_cast<std::size_t>(info_.height) * static_cast<std::size_t>(info_.width);
  }

  void take_sizes() {
    constexpr hsize_t longest_side = 1 << 20;
    const std::string lead = problem_.kind == Kind::poisson     ? "solution"
                             : problem_.kind == Kind::helmholtz ? "Sample_0/u"
                                                                : std::string(problem_.variable);
    const Hdf5Shape shape = file_.dataset(lead).shape();
    const bool timed = problem_.kind == Kind::trajectory, channelled = problem_.axis_channels > 0;
    const std::size_t before = problem_.kind == Kind::helmholtz ? 0 : 1 + (timed ? 1u : 0u) + (channelled ? 1u : 0u);
    const bool fits = shape.size() == before + 2 && shape[before] <= longest_side &&
                      shape[before + 1] <= longest_side &&
                      (!channelled || shape[before - 1] >= static_cast<hsize_t>(problem_.axis_channels));
    if (!fits) {
      std::string wanted = before > 0 ? "(samples, " : "(";
      if (timed) wanted += "frames, ";
      if (channelled) wanted += "at least " + std::to_string(problem_.axis_channels) + " channels, ";
      refuse(lead, shape, wanted + "x, y)");
    }
    info_.height = static_cast<int>(shape[before]), info_.width = static_cast<int>(shape[before + 1]);
    if (problem_.transposed) std::swap(info_.height, info_.width);
    info_.samples = before > 0 ? shape[0] : count_samples();
    info_.frames = timed ? shape[1] : 1;

    const Hdf5Shape field{info_.samples, shape[before], shape[before + 1]};
    if (problem_.kind == Kind::poisson) check("source", field);
    for (const PoseidonChannel& channel : problem_.channels)
      if (channel.source == PoseidonChannel::Source::coefficient) check("c", field);
  }

  std::size_t count_samples() const {
    std::size_t count = 0;
    while (file_.contains("Sample_" + std::to_string(count))) ++count;
    return count;
  }

  void check(const std::string& name, const Hdf5Shape& wanted) const {
    const Hdf5Shape found = file_.dataset(name).shape();
    if (found != wanted) refuse(name, found, shape_text(wanted));
  }

  [[noreturn]] void refuse(const std::string& name, const Hdf5Shape& found, const std::string& wanted) const {
    fail(file_.path(), ": ", name, " has shape ", shape_text(found), ", wanted ", wanted, " (", info_.name, ")");
  }

  /// One channel of one frame at the end of `to`. `input`: of a steady set, what its network reads.
  void append(std::vector<float>& to, const PoseidonChannel& channel, std::size_t sample, std::size_t frame,
              bool input) const {
    std::vector<float> plane;
    switch (channel.source) {
      case PoseidonChannel::Source::variable:
        plane = read_plane(channel, sample, frame, input);
        break;
      case PoseidonChannel::Source::constant:
        plane.assign(points_per_field(), static_cast<float>(channel.index));
        break;
      case PoseidonChannel::Source::forcing:
        plane = forcing();
        break;
      case PoseidonChannel::Source::coefficient:
        plane = file_.dataset("c").read(Hdf5Shape{sample, 0, 0}, field_extent({1}));
        break;
    }
    to.insert(to.end(), plane.begin(), plane.end());
  }

  /// Extents of one field in the file, behind the axes given.
  Hdf5Shape field_extent(Hdf5Shape before) const {
    auto height = static_cast<hsize_t>(info_.height), width = static_cast<hsize_t>(info_.width);
    if (problem_.transposed) std::swap(height, width);
    before.insert(before.end(), {height, width});
    return before;
  }

  std::vector<float> read_plane(const PoseidonChannel& channel, std::size_t sample, std::size_t frame,
                                bool input) const {
    const auto index = static_cast<hsize_t>(channel.index);
    if (problem_.kind == Kind::helmholtz) {
      const std::string group = "Sample_" + std::to_string(sample) + "/";
      if (channel.name == "bc") {
        const Hdf5Dataset number = file_.dataset(group + "bc");
        if (!number.shape().empty()) refuse(group + "bc", number.shape(), "one number");
        return std::vector<float>(points_per_field(), number.read().front());
      }
      const Hdf5Dataset field = file_.dataset(group + std::string(channel.name));
      if (field.shape() != field_extent({}))
        refuse(group + std::string(channel.name), field.shape(), shape_text(field_extent({})));
      return field.read();
    }
    if (problem_.kind == Kind::poisson)
      return file_.dataset(input ? "source" : "solution").read(Hdf5Shape{sample, 0, 0}, field_extent({1}));

    Hdf5Shape offset{sample}, extent{1};
    if (problem_.kind == Kind::trajectory) offset.push_back(frame), extent.push_back(1);
    if (problem_.axis_channels > 0) offset.push_back(index), extent.push_back(1);
    offset.insert(offset.end(), {0, 0});
    std::vector<float> plane = file_.dataset(problem_.variable).read(offset, field_extent(extent));
    if (!problem_.transposed) return plane;
    std::vector<float> turned(plane.size());
    const auto height = static_cast<std::size_t>(info_.height), width = static_cast<std::size_t>(info_.width);
    for (std::size_t i = 0; i < height; ++i)
      for (std::size_t j = 0; j < width; ++j) turned[i * width + j] = plane[j * height + i];
    return turned;
  }

  std::vector<float> forcing() const {
    std::vector<float> plane;
    for (int i = 0; i < info_.height; ++i)
      for (int j = 0; j < info_.width; ++j) {
        const double x = static_cast<double>(i) / std::max(info_.height - 1, 1);
        const double y = static_cast<double>(j) / std::max(info_.width - 1, 1);
        plane.push_back(static_cast<float>(.1 * std::sin(2 * std::numbers::pi * (x + y))));
      }
    return plane;
  }

  Hdf5File file_;
  PoseidonProblem problem_;
  DatasetInfo info_;
};

static_assert(DatasetReader<Poseidon>);

}  // namespace fieldstep::io
