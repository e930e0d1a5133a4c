#pragma once
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/dataset/coordinates.hpp>
#include <fieldstep/io/dataset/description.hpp>
#include <fieldstep/io/hdf5.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fieldstep::io {

/// Files of the Well in two dimensions (the_well's WellDataset). Channels in its order: scalars, then the components of
/// vectors, then those of second-order tensors; behind them the fields that do not change in time, the same in every
/// frame. A field without one of the dimensions is repeated along it.
class TheWell {
 public:
  static constexpr std::string_view layouts = "the Well in 2-D (dimensions, t0_fields, t1_fields, t2_fields)";

  static bool recognises(const Hdf5File& file) { return file.contains("dimensions") && file.contains("t0_fields"); }

  explicit TheWell(Hdf5File file) : file_(std::move(file)) {
    info_.name = "the Well";
    if (const auto set = file_.text_attribute("/", "dataset_name")) info_.name += " " + *set;
    const auto dims = file_.text_list("dimensions", "spatial_dims");
    if (!dims) fail(file_.path(), ": dimensions has no list spatial_dims, wanted the names of its axes");
    if (dims->size() != 2)
      fail(file_.path(), ": a ", dims->size(), "-D set of the Well, only 2-D sets can be read until now");
    if (const auto grid = file_.text_attribute("/", "grid_type"); grid && *grid != "cartesian")
      fail(file_.path(), ": the grid is ", *grid, ", only cartesian grids can be read until now");
    for (const bool in_time : {true, false})
      for (const int order : {0, 1, 2}) open_fields(order, in_time, *dims);
    if (info_.samples == 0 || info_.frames == 0) fail(file_.path(), ": holds no frames (", info_.name, ")");
    info_.units.resize(info_.fields.size());
    info_.times = read_axis(file_, "dimensions/time", info_.frames);
    info_.domain =
        domain_of_centres(read_axis(file_, "dimensions/" + (*dims)[0], static_cast<std::size_t>(info_.height)),
                          read_axis(file_, "dimensions/" + (*dims)[1], static_cast<std::size_t>(info_.width)));
    info_.boundaries = {is_periodic((*dims)[1]), is_periodic((*dims)[0])};
  }

  const DatasetInfo& info() const noexcept { return info_; }

  /// Frames first .. first + count of one sample as (count, fields, height, width); nothing else is read.
  std::vector<float> read_frames(std::size_t sample, std::size_t first, std::size_t count) const {
    const auto height = static_cast<std::size_t>(info_.height), width = static_cast<std::size_t>(info_.width);
    const std::size_t points = height * width, fields = info_.fields.size();
    std::vector<float> frames(count * fields * points);
    std::size_t field = 0;
    for (const Variable& variable : variables_) {
      const Hdf5Dataset dataset = file_.dataset(variable.path);
      Hdf5Shape offset(dataset.shape().size(), 0), extent = dataset.shape();
      std::size_t axis = 0;
      if (variable.per_sample) offset[axis] = sample, extent[axis++] = 1;
      if (variable.per_frame) offset[axis] = first, extent[axis] = count;
      const std::vector<float> block = dataset.read(offset, extent);  // (frames, height, width, components)
      const std::size_t rows = variable.varies[0] ? height : 1, columns = variable.varies[1] ? width : 1;
      for (std::size_t t = 0; t < count; ++t)
        for (std::size_t c = 0; c < variable.components; ++c)
          for (std::size_t i = 0; i < height; ++i)
            for (std::size_t j = 0; j < width; ++j) {
              const std::size_t frame = variable.per_frame ? t : 0;
              const std::size_t point = (frame * rows + (rows > 1 ? i : 0)) * columns + (columns > 1 ? j : 0);
              frames[((t * fields + field + c) * height + i) * width + j] = block[point * variable.components + c];
            }
      field += variable.components;
    }
    return frames;
  }

 private:
  /// A dataset: which axes it has, and what it adds to the channels of a frame.
  struct Variable {
    std::string path;
    bool per_sample = true, per_frame = true;
    std::array<bool, 2> varies{true, true};
    std::size_t components = 1;
  };

  /// Fields of one tensor order that change in time, or that do not.
  void open_fields(int order, bool in_time, const std::vector<std::string>& dims) {
    const std::string group = "t" + std::to_string(order) + "_fields";
    if (!file_.contains(group)) return;
    const auto names = file_.text_list(group, "field_names");
    if (!names) fail(file_.path(), ": ", group, " has no list field_names");
    for (const std::string& name : *names) {
      const std::string path = group + "/" + name;
      if (name.empty() || name.find('/') != name.npos) fail(file_.path(), ": ", group, " lists a field without a name");
      const auto flag = [&](const char* attribute) { return file_.number_attribute(path, attribute).value_or(1) != 0; };
      Variable variable{.path = path, .per_sample = flag("sample_varying"), .per_frame = flag("time_varying")};
      if (variable.per_frame != in_time) continue;
      if (const auto varies = file_.number_list(path, "dim_varying"); varies && varies->size() == 2)
        variable.varies = {(*varies)[0] != 0, (*varies)[1] != 0};
      for (int i = 0; i < order; ++i) variable.components *= 2;
      take_sizes(variable, order, dims);
      for (std::size_t c = 0; c < variable.components; ++c) {
        std::string field = name;
        if (order > 0) field += "_";
        if (order == 2) field += dims[c / 2];
        if (order > 0) field += dims[c % 2];
        info_.fields.push_back(std::move(field));
      }
      variables_.push_back(std::move(variable));
    }
  }

  /// Holds a field's shape against what is known, and takes what is not known yet from it.
  void take_sizes(const Variable& variable, int order, const std::vector<std::string>& dims) {
    constexpr hsize_t longest_side = 1 << 20;
    const Hdf5Shape shape = file_.dataset(variable.path).shape();
    if (info_.height == 0) {
      const auto side = [&](const std::string& dim) {
        const Hdf5Shape axis = file_.dataset("dimensions/" + dim).shape();
        if (axis.empty() || axis.back() == 0 || axis.back() > longest_side)
          fail(file_.path(), ": dimensions/", dim, " has shape ", shape_text(axis), ", wanted one axis");
        return static_cast<int>(axis.back());
      };
      info_.height = side(dims[0]), info_.width = side(dims[1]);
    }
    std::size_t axis = 0;
    Hdf5Shape wanted;
    if (variable.per_sample) {
      if (info_.samples == 0 && axis < shape.size()) info_.samples = shape[axis];
      wanted.push_back(info_.samples), ++axis;
    }
    if (variable.per_frame) {
      if (info_.frames == 0 && axis < shape.size()) info_.frames = shape[axis];
      wanted.push_back(info_.frames);
    }
    if (variable.varies[0]) wanted.push_back(static_cast<hsize_t>(info_.height));
    if (variable.varies[1]) wanted.push_back(static_cast<hsize_t>(info_.width));
    wanted.insert(wanted.end(), static_cast<std::size_t>(order), 2);
    if (shape != wanted)
      fail(file_.path(), ": ", variable.path, " has shape ", shape_text(shape), ", wanted ", shape_text(wanted), " (",
           info_.name, ")");
    if (!variable.per_sample && info_.samples == 0) info_.samples = 1;
  }

  /// Whether a boundary condition of the file says so of an axis.
  bool is_periodic(const std::string& dim) const {
    if (!file_.contains("boundary_conditions")) return false;
    for (const std::string& name : file_.names("boundary_conditions")) {
      const std::string path = "boundary_conditions/" + name;
      const auto dims = file_.text_list(path, "associated_dims");
      auto type = file_.text_attribute(path, "bc_type").value_or("");
      std::ranges::transform(type, type.begin(), [](char c) { return 'a' <= c && c <= 'z' ? char(c - 'a' + 'A') : c; });
      if (type == "PERIODIC" && dims && std::ranges::find(*dims, dim) != dims->end()) return true;
    }
    return false;
  }

  Hdf5File file_;
  std::vector<Variable> variables_;
  DatasetInfo info_;
};

static_assert(DatasetReader<TheWell>);

}  // namespace fieldstep::io
