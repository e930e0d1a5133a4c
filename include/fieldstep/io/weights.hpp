#pragma once
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/io/atomic_file.hpp>
#include <fieldstep/io/key_map.hpp>
#include <fieldstep/io/open_tensor_file.hpp>
#include <fieldstep/io/recognise.hpp>
#include <fieldstep/io/tidhy_keys.hpp>

#include <Kokkos_Core.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <filesystem>
#include <map>
#include <new>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

/// From a weight file into a model's arena and back. Knows the table of parameters, not the model.
namespace fieldstep::io {

/// What became of one parameter of the model, or of one tensor of the file.
enum class Outcome : std::uint8_t { kept, reinitialised, missing, wrong_shape, unexpected };

constexpr std::string_view name_of(Outcome outcome) {
  constexpr std::array<std::string_view, 5> names{"kept", "re-initialised", "missing", "wrong shape", "unexpected"};
  return names[static_cast<std::size_t>(outcome)];
}

struct LoadReport {
  struct Row {
    std::string name;
    Outcome outcome = Outcome::kept;
    std::string wanted{}, found{};  ///< shapes as text; empty: there is none
    bool finite = true;             ///< false: a NaN or infinity was loaded
  };
  std::vector<Row> rows{};  ///< the model's parameters in their order, then what only the file has
  Recognised wanted{}, found{};

  std::size_t count(Outcome outcome) const {
    return static_cast<std::size_t>(std::ranges::count(rows, outcome, &Row::outcome));
  }
  std::size_t not_finite() const { return static_cast<std::size_t>(std::ranges::count(rows, false, &Row::finite)); }
  /// Every parameter came from the file, and the file held nothing else.
  bool complete() const { return count(Outcome::kept) == rows.size(); }

  /// One line of counts, then a line for each parameter that is not simply kept.
  std::string text() const {
    std::string text;
    for (const Outcome outcome :
         {Outcome::kept, Outcome::reinitialised, Outcome::missing, Outcome::wrong_shape, Outcome::unexpected})
      if (const std::size_t n = count(outcome); n > 0 || outcome == Outcome::kept)
        text.append(text.empty() ? "" : ", ").append(std::to_string(n)).append(" ").append(name_of(outcome));
    if (not_finite() > 0) text += ", " + std::to_string(not_finite()) + " with NaN or infinity";
    if (wanted.text() != found.text()) text += "; the file holds " + found.text() + ", the model is " + wanted.text();
    std::size_t width = 0;
    const auto shown = [](const Row& row) { return row.outcome != Outcome::kept || !row.finite; };
    for (const Row& row : rows) width = shown(row) ? std::max(width, row.name.size()) : width;
    for (const Row& row : rows) {
      if (!shown(row)) continue;
      std::string state(name_of(row.outcome));
      if (!row.finite) state += ", not finite";
      text += "\n  " + row.name + std::string(width - row.name.size() + 2, ' ') + state;
      if (row.outcome != Outcome::kept && !row.wanted.empty()) text += ", wanted " + row.wanted;
      if (row.outcome != Outcome::kept && !row.found.empty()) text += ", found " + row.found;
    }
    return text;
  }
};

struct LoadOptions {
  /// Copies what fits and leaves every other parameter at the value the caller initialised the arena with. Otherwise a
  /// single mismatch refuses the file and leaves the arena as it was. A file of another family is refused either way.
  bool merge = false;
  /// Refuse weights with NaN or infinity (after loading; the arena is then unusable). Otherwise the report says so.
  bool refuse_not_finite = false;
};

/// Opens a weight file or folder under PyTorch's names. Of a training's checkpoint (train/checkpoint.hpp) it takes the
/// weights.
inline TensorFile open_weights(const std::filesystem::path& path) {
  TensorFile file = open_tensor_file(path);
  if (std::erase_if(file.metadata, [](const auto& entry) { return entry.first.starts_with("fieldstep.training"); }) > 0)
    std::erase_if(file.tensors, [](const StoredTensor& tensor) { return tensor.name.find('/') != std::string::npos; });
  in_file(path, [&] { name_as_torch(file), name_tidhy_as_nnx(file); });
  return file;
}

namespace detail {

template <class Real>
bool all_finite(const Real* numbers, std::size_t count) {
  using Pattern = std::conditional_t<sizeof(Real) == 8, std::uint64_t, std::uint32_t>;
  constexpr Pattern exponent = std::bit_cast<Pattern>(std::numeric_limits<Real>::infinity());
  Pattern bad = 0;
  for (std::size_t i = 0; i < count; ++i) bad |= Pattern{(std::bit_cast<Pattern>(numbers[i]) & exponent) == exponent};
  return bad == 0;
}

/// One parameter into its place in the arena; false if the memory for a conversion is missing.
template <class Real>
bool import_tensor(const ParamEntry& entry, const StoredTensor& tensor, Real* arena) {
  if (tensor.contiguous() && tensor.dtype == dtype_of<Real> && !tensor.swapped) {
    import_param(entry, reinterpret_cast<const Item<dtype_of<Real>>*>(tensor.data), arena);
    return true;
  }
  const std::unique_ptr<Real[]> converted(new (std::nothrow) Real[entry.size]);
  if (converted == nullptr) return false;
  copy_numbers(tensor, converted.get());
  import_param(entry, converted.get(), arena);
  return true;
}

/// Calls work(i) for i < count on Kokkos' host threads, or in turn where Kokkos is not running. work must not throw.
template <class Work>
void for_each_index(std::size_t count, const Work& work) {
  using Exec = Kokkos::DefaultHostExecutionSpace;
  if (!Kokkos::is_initialized()) {
    for (std::size_t i = 0; i < count; ++i) work(i);
    return;
  }
  using Policy = Kokkos::RangePolicy<Exec, Kokkos::Schedule<Kokkos::Dynamic>, Kokkos::IndexType<std::size_t>>;
  Kokkos::parallel_for("load_weights", Policy(0, count, Kokkos::ChunkSize(1)), work);
  Exec().fence("load_weights");
}

}  // namespace detail

/// Fills the arena (arena_count numbers) with the tensors of `file`, which bear PyTorch's names (open_weights), tensor
/// by tensor, giving the file's memory back behind it. All mismatches are found before the first number is written.
template <class Real>
LoadReport load_weights(const TensorFile& file, ParamTable table, Real* arena, const LoadOptions& options = {}) {
  LoadReport report{.wanted = recognise(named_shapes(table)), .found = recognise(named_shapes(file))};
  std::unordered_map<std::string_view, const StoredTensor*> by_name;
  for (const StoredTensor& tensor : file.tensors) by_name.emplace(tensor.name, &tensor);

  struct Import {
    const ParamEntry* entry;
    const StoredTensor* tensor;
    std::size_t row;
  };
  std::vector<Import> imports;
  for (const ParamEntry& entry : table) {
    LoadReport::Row row{.name = std::string(entry.path.view()), .wanted = shape_text(entry.shape())};
    const auto found = by_name.extract(entry.path.view());
    if (found.empty()) {
      row.outcome = options.merge ? Outcome::reinitialised : Outcome::missing;
    } else {
      const StoredTensor& tensor = *found.mapped();
      const bool complex = tensor.dtype == Dtype::c64 || tensor.dtype == Dtype::c128;
      row.found = shape_text(tensor.shape) + (complex ? " of " + std::string(name_of(tensor.dtype)) : "");
      if (complex || !std::ranges::equal(tensor.shape, entry.shape()))
        row.outcome = options.merge ? Outcome::reinitialised : Outcome::wrong_shape;
      else
        imports.push_back({&entry, &tensor, report.rows.size()});
    }
    report.rows.push_back(std::move(row));
  }
  for (const StoredTensor& tensor : file.tensors)
    if (by_name.contains(tensor.name) && !is_unread_buffer(tensor.name))
      report.rows.push_back({.name = tensor.name, .outcome = Outcome::unexpected, .found = shape_text(tensor.shape)});
  if (!options.merge && !report.complete()) fail("the weights do not fit the model: ", report.text());
  if (options.merge && (imports.empty() || report.wanted.family != report.found.family))
    fail("the weights have nothing in common with the model: the file holds ", report.found.text(), ", the model is ",
         report.wanted.text());

  // Large tensors first, so that the threads finish together.
  std::ranges::stable_sort(imports, std::greater{}, [](const Import& i) { return i.entry->size; });
  std::vector<char> finite(imports.size(), true);
  std::atomic<bool> out_of_memory = false;
  detail::for_each_index(imports.size(), [&](std::size_t i) {
    const auto& [entry, tensor, row] = imports[i];
    if (!detail::import_tensor(*entry, *tensor, arena)) out_of_memory = true;
    file.release(*tensor);
    finite[i] = detail::all_finite(arena + entry->offset, entry->stored);
  });
  if (out_of_memory) fail("memory is missing to convert the weights");
  for (std::size_t i = 0; i < imports.size(); ++i) report.rows[imports[i].row].finite = finite[i] != 0;
  if (options.refuse_not_finite && report.not_finite() > 0) fail("the weights are not usable: ", report.text());
  return report;
}

/// The same from a file; messages begin with its name.
template <class Real>
LoadReport load_weights(const std::filesystem::path& path, ParamTable table, Real* arena,
                        const LoadOptions& options = {}) {
  const TensorFile file = open_weights(path);
  return in_file(path, [&] { return load_weights(file, table, arena, options); });
}

enum class WeightFormat : std::uint8_t { safetensors, flax };

namespace detail {

/// `specs` and the numbers they announce, under PyTorch's names, into a file of either format.
inline void write_weights(const std::filesystem::path& path, WeightFormat format, const std::vector<TensorSpec>& specs,
                          const TensorSource& source, std::map<std::string, std::string> metadata) {
  AtomicFile target(path);
  if (format == WeightFormat::safetensors) {
    metadata.try_emplace("fieldstep.format", "1");
    metadata["fieldstep.layout"] = "torch";
    write_safetensors(target, specs, metadata, source);
  } else {
    const KeyMap keys = key_map(specs);
    const auto in_flax = [&](const TensorSpec& spec, const std::byte* data) {
      return keys.flax_view(
          {.name = spec.name, .dtype = spec.dtype, .shape = spec.shape, .stride = row_major(spec.shape), .data = data});
    };
    std::vector<std::size_t> places;
    std::vector<TensorSpec> renamed;
    for (std::size_t i = 0; i < specs.size(); ++i) {
      if (is_unread_buffer(specs[i].name)) continue;
      const StoredTensor view = in_flax(specs[i], nullptr);
      places.push_back(i);
      renamed.push_back({view.name, view.dtype, view.shape});
    }
    std::vector<std::byte> original;
    write_flax_msgpack(target, renamed, [&](std::size_t i, std::span<std::byte> to) {
      original.resize(to.size());
      source(places[i], original);
      copy_items(in_flax(specs[places[i]], original.data()), to.data());
    });
  }
  target.commit();
}

}  // namespace detail

/// Writes a model's parameters, in Real's precision; safetensors also takes metadata (fieldstep.family, .variant, ...).
template <class Real>
void save_weights(const std::filesystem::path& path, ParamTable table, const Real* arena, WeightFormat format,
                  const std::map<std::string, std::string>& metadata = {}) {
  std::vector<TensorSpec> specs;
  for (const ParamEntry& entry : table)
    specs.push_back({std::string(entry.path.view()), dtype_of<Real>, {entry.shape().begin(), entry.shape().end()}});
  std::vector<Real> original;
  const TensorSource source = [&](std::size_t i, std::span<std::byte> to) {
    original.resize(table[i].size);
    export_param(table[i], arena, original.data());
    std::memcpy(to.data(), original.data(), to.size());
  };
  detail::write_weights(path, format, specs, source, metadata);
}

/// Writes the tensors of a file with their own dtypes: conversion without a model. `file` bears PyTorch's names.
inline void save_weights(const std::filesystem::path& path, const TensorFile& file, WeightFormat format,
                         const std::map<std::string, std::string>& metadata = {}) {
  detail::write_weights(path, format, specs_of(file), source_of(file), metadata);
}

}  // namespace fieldstep::io
