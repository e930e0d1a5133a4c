#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/dataset/coordinates.hpp>
#include <fieldstep/io/dataset/description.hpp>
#include <fieldstep/io/hdf5.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fieldstep::io {

/// PDEBench's two-dimensional sets as MPP's loaders read them: file layouts, channel order, labels and boundary
/// conditions are theirs (data_utils/hdf5_datasets.py, mixed_dset_sampler.py). Told apart by what is in the file:
///   shallow water       groups 0000, 0001, ... each with data (T, X, Y, 1)
///   diffusion-reaction  the same with data (T, X, Y, 2)
///   incompressible      velocity (N, T, X, Y, 2), particles (N, T, X, Y, 1)
///   compressible        Vx, Vy, density, pressure (N, T, X, Y)
class Pdebench {
 public:
  static constexpr std::string_view layouts =
      "PDEBench 2-D shallow water and diffusion-reaction (groups 0000, 0001, ... holding data), incompressible "
      "(velocity, particles) and compressible (Vx, Vy, density, pressure)";

  /// Whether the file looks like one of PDEBench's, readable or not.
  static bool recognises(const Hdf5File& file) {
    const auto has = [&](const char* name) { return file.contains(name); };
    return !sample_groups(file).empty() || has("tensor") || (has("velocity") && has("particles")) ||
           (has("Vx") && has("density") && has("pressure"));
  }

  explicit Pdebench(Hdf5File file) : file_(std::move(file)), groups_(sample_groups(file_)) {
    if (!groups_.empty())
      open_grouped();
    else if (file_.contains("tensor"))
      refuse_dimension(file_.dataset("tensor").shape().size() == 3 ? 1 : 0);
    else if (file_.contains("velocity"))
      open_incompressible();
    else
      open_compressible();
    if (info_.samples == 0 || info_.frames == 0) fail(file_.path(), ": holds no frames (", info_.name, ")");
    info_.units.resize(info_.fields.size());
    info_.domain = read_domain();
  }

  const DatasetInfo& info() const noexcept { return info_; }

  /// Frames first .. first + count of one sample as (count, fields, height, width); nothing else is read.
  std::vector<float> read_frames(std::size_t sample, std::size_t first, std::size_t count) const {
    const std::size_t points = static_cast<std::size_t>(info_.height) * static_cast<std::size_t>(info_.width);
    const std::size_t fields = info_.fields.size();
    std::vector<float> frames;
    std::size_t field = 0;
    for (const Variable& variable : variables_) {
      const Hdf5Dataset dataset = file_.dataset(path_of(variable, sample));
      const Hdf5Shape shape = wanted_shape(variable);
      if (dataset.shape() != shape) refuse_shape(variable, sample, dataset.shape(), shape_text(shape));
      Hdf5Shape offset(shape.size(), 0), extent = shape;
      const std::size_t time_axis = groups_.empty() ? 1 : 0;
      if (groups_.empty()) offset[0] = sample, extent[0] = 1;
      offset[time_axis] = first, extent[time_axis] = count;
      const std::vector<float> block = dataset.read(offset, extent);  // (count, height, width, channels)

      frames.resize(count * fields * points);
      for (std::size_t t = 0; t < count; ++t)
        for (std::size_t c = 0; c < variable.channels; ++c) {
          const float* from = &block[t * points * variable.channels + c];
          float* to = &frames[(t * fields + field + c) * points];
          for (std::size_t p = 0; p < points; ++p) to[p] = from[p * variable.channels];
        }
      field += variable.channels;
    }
    return frames;
  }

 private:
  /// A dataset and what it adds to the channels of a frame.
  struct Variable {
    std::string name;
    std::size_t channels = 1;
    bool channel_axis = false;  // the last one
  };

  static std::vector<std::string> sample_groups(const Hdf5File& file) {
    const auto is_number = [](const std::string& name) {
      return std::ranges::all_of(name, [](char c) { return '0' <= c && c <= '9'; });
    };
    std::vector<std::string> groups = file.names();
    std::erase_if(groups, [&](const std::string& name) { return !is_number(name); });
    return groups;
  }

  void open_grouped() {
    const Hdf5Shape shape = file_.dataset(groups_.front() + "/data").shape();
    if (shape.size() == 3) refuse_dimension(1);
    if (shape.size() == 4 && shape.back() == 2) {
      describe("2-D diffusion-reaction", {"activator", "inhibitor"}, {4, 5}, {0, 0}, {{"data", 2, true}});
    } else {
      describe("2-D shallow water", {"h"}, {0}, {0, 0}, {{"data", 1, true}});
    }
    info_.samples = groups_.size();
    info_.times = axis(groups_.front() + "/grid/t", info_.frames);
  }

  void open_incompressible() {
    describe("2-D incompressible Navier-Stokes", {"Vx", "Vy", "particles"}, {1, 2, 3}, {0, 0},
             {{"velocity", 2, true}, {"particles", 1, true}});
    info_.times = axis("t", info_.frames);
  }

  void open_compressible() {
    if (!file_.contains("Vy")) refuse_dimension(1);
    if (file_.contains("Vz")) refuse_dimension(3);
    describe("2-D compressible Navier-Stokes", {"Vx", "Vy", "density", "pressure"}, {6, 7, 8, 9}, {1, 1},
             {{"Vx"}, {"Vy"}, {"density"}, {"pressure"}});
    info_.times = axis("t-coordinate", info_.frames);  // the generator wrote one entry too many
  }

  /// Takes the sizes from the first variable and holds all others against them.
  void describe(std::string name, std::vector<std::string> fields, std::vector<int> labels,
                std::array<int, 2> boundaries, std::vector<Variable> variables) {
    info_.name = "PDEBench " + std::move(name);
    info_.fields = std::move(fields);
    info_.labels = std::move(labels);
    info_.boundaries = boundaries;
    variables_ = std::move(variables);

    const Variable& lead = variables_.front();
    const Hdf5Shape shape = file_.dataset(path_of(lead, 0)).shape();
    const std::size_t space = groups_.empty() ? 2 : 1;  // first axis of space
    constexpr hsize_t longest_side = 1 << 20;
    if (shape.size() != space + 2 + (lead.channel_axis ? 1 : 0) || shape[space] > longest_side ||
        shape[space + 1] > longest_side || (lead.channel_axis && shape.back() != lead.channels))
      refuse_shape(lead, 0, shape,
                   std::string(groups_.empty() ? "(samples, " : "(") + "frames, x, y" +
                       (lead.channel_axis ? ", " + std::to_string(lead.channels) : "") + ")");
    info_.samples = groups_.empty() ? shape[0] : groups_.size();
    info_.frames = shape[space - 1];
    info_.height = static_cast<int>(shape[space]);
    info_.width = static_cast<int>(shape[space + 1]);
    for (const Variable& variable : variables_) {
      const Hdf5Shape found = file_.dataset(path_of(variable, 0)).shape(), wanted = wanted_shape(variable);
      if (found != wanted) refuse_shape(variable, 0, found, shape_text(wanted));
    }
  }

  std::string path_of(const Variable& variable, std::size_t sample) const {
    return groups_.empty() ? variable.name : groups_[sample] + "/" + variable.name;
  }

  Hdf5Shape wanted_shape(const Variable& variable) const {
    Hdf5Shape shape;
    if (groups_.empty()) shape.push_back(info_.samples);
    shape.insert(shape.end(), {info_.frames, static_cast<hsize_t>(info_.height), static_cast<hsize_t>(info_.width)});
    if (variable.channel_axis) shape.push_back(variable.channels);
    return shape;
  }

  [[noreturn]] void refuse_shape(const Variable& variable, std::size_t sample, const Hdf5Shape& found,
                                 const std::string& wanted) const {
    fail(file_.path(), ": ", path_of(variable, sample), " has shape ", shape_text(found), ", wanted ", wanted, " (",
         info_.name, ")");
  }

  [[noreturn]] void refuse_dimension(int dimension) const {
    if (dimension == 0) fail(file_.path(), ": tensor is no time series of one field, wanted one of: ", layouts);
    fail(file_.path(), ": a ", dimension, "-D set of PDEBench, only 2-D sets can be read until now");
  }

  std::vector<double> axis(const std::string& name, std::size_t count) const { return read_axis(file_, name, count); }

  /// From the coordinates of cell centres.
  std::optional<Domain> read_domain() const {
    const bool grouped = !groups_.empty();
    return domain_of_centres(
        axis(grouped ? groups_.front() + "/grid/x" : "x-coordinate", static_cast<std::size_t>(info_.height)),
        axis(grouped ? groups_.front() + "/grid/y" : "y-coordinate", static_cast<std::size_t>(info_.width)));
  }

  Hdf5File file_;
  std::vector<std::string> groups_;  // one a sample; empty where the samples are the first axis
  std::vector<Variable> variables_;
  DatasetInfo info_;
};

static_assert(DatasetReader<Pdebench>);

}  // namespace fieldstep::io
