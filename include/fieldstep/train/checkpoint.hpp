#pragma once
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/io/safetensors.hpp>
#include <fieldstep/train/concepts.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace fieldstep::train {

/// All that a run needs to go on where it stopped: pointers to its weights, to further arenas of their layout
/// (moments), to lists of fixed length and to numbers, each under a name.
///   TrainingState<float> state(table, weights);
///   state.add(trainer), state.add(best);
template <class Real>
class TrainingState {
 public:
  TrainingState(ParamTable table, Real* weights) : table_(table), arenas_{{"", weights}} {}

  /// All that `part` shows, as an OptimizerState does, in visit().
  void add(auto& part) {
    part.visit([this](std::string_view name, auto& value) { take(std::string(name), value); });
  }

  using Number = std::variant<double*, long*>;
  ParamTable table() const { return table_; }
  const auto& arenas() const { return arenas_; }  ///< (what stands before a parameter's path, its memory)
  const auto& lists() const { return lists_; }
  const auto& numbers() const { return numbers_; }

 private:
  void take(const std::string& name, Arena<Real>& arena) { arenas_.emplace_back(name + "/", arena.data()); }
  void take(const std::string& name, std::vector<Real>& list) { lists_.emplace_back(name, &list); }
  void take(const std::string& name, double& number) { numbers_.emplace_back(name, &number); }
  void take(const std::string& name, long& number) { numbers_.emplace_back(name, &number); }

  ParamTable table_;
  std::vector<std::pair<std::string, Real*>> arenas_;
  std::vector<std::pair<std::string, std::vector<Real>*>> lists_;
  std::vector<std::pair<std::string, Number>> numbers_;
};

/// Names and texts in a checkpoint's metadata.
using Description = std::map<std::string, std::string>;

namespace detail {

inline const std::string training_key = "fieldstep.training", training_version = "1";
inline std::string number_key(const std::string& name) { return training_key + "." + name; }

/// The shortest text that reads back as the same number.
inline std::string exact_text(const auto& number) {
  char text[64];
  return {text, std::to_chars(text, text + sizeof text, number).ptr};
}

/// The tensors of a state: a parameter's number in every arena under the original framework's name and in its order,
/// whatever the vector width that this build packs matrices for; then the lists.
template <class Real>
std::vector<io::TensorSpec> specs_of(const TrainingState<Real>& state) {
  std::vector<io::TensorSpec> specs;
  for (const auto& [prefix, arena] : state.arenas())
    for (const ParamEntry& entry : state.table())
      specs.push_back({.name = prefix + std::string(entry.path.view()),
                       .dtype = io::dtype_of<Real>,
                       .shape = {entry.shape().begin(), entry.shape().end()}});
  for (const auto& [name, list] : state.lists())
    specs.push_back({.name = name, .dtype = io::dtype_of<Real>, .shape = {std::ssize(*list)}});
  return specs;
}

template <class Real>
void require_finite(const std::string& name, const std::vector<Real>& numbers) {
  if (!std::ranges::all_of(numbers, [](Real x) { return std::isfinite(x); }))
    fail("tensor ", name, " holds NaN or infinity");
}

}  // namespace detail

/// Writes the state into a safetensors file, in which weights stand as in a file of weights alone, `optimizer/m/<path>`
/// and the like beside them, numbers in the metadata. The file is written aside, synced and renamed: whatever happens,
/// the one that was there or the new one is whole. A state with NaN or infinity is not written.
template <class Real>
void save_checkpoint(const std::filesystem::path& path, const TrainingState<Real>& state,
                     const Description& description) {
  std::map<std::string, std::string> metadata = description;
  metadata["fieldstep.format"] = "1", metadata["fieldstep.layout"] = "torch";
  metadata[detail::training_key] = detail::training_version;
  for (const auto& [name, number] : state.numbers())
    metadata[detail::number_key(name)] = std::visit([](auto* n) { return detail::exact_text(*n); }, number);
  io::AtomicFile file(path);
  std::vector<Real> original;
  const std::size_t parameters = state.table().size(), arenas = state.arenas().size();
  const std::vector<io::TensorSpec> specs = detail::specs_of(state);
  io::write_safetensors(file, specs, metadata, [&](std::size_t i, std::span<std::byte> to) {
    original.resize(to.size() / sizeof(Real));
    if (i < arenas * parameters)
      export_param(state.table()[i % parameters], state.arenas()[i / parameters].second, original.data());
    else
      original = *state.lists()[i - arenas * parameters].second;
    io::in_file(path, [&] { detail::require_finite(specs[i].name, original); });
    std::memcpy(to.data(), original.data(), to.size());
  });
  file.commit();
}

/// Whether a file of weights holds the state of a training, too.
inline bool is_checkpoint(const io::TensorFile& file) { return file.metadata.contains(detail::training_key); }

/// Fills the state from an opened checkpoint. Everything is checked before the first number is written: version, the
/// entries of `wanted`, and that tensors and numbers are exactly those of the state. The last part of an entry's name
/// says in messages what differs. A build with another vector width reads the same numbers; on an equal one the run
/// goes on bit for bit.
template <class Real>
void load_checkpoint(const io::TensorFile& file, const TrainingState<Real>& state, const Description& wanted) {
  if (!is_checkpoint(file)) fail("holds no state of a training, only weights");
  const auto text_of = [&](const std::string& key) {
    const auto found = file.metadata.find(key);
    return found == file.metadata.end() ? std::string("none") : found->second;
  };
  if (const std::string version = text_of(detail::training_key); version != detail::training_version)
    fail("holds the state of a training in version ", io::printable(version), ", this build reads version ",
         detail::training_version);
  for (const auto& [key, text] : wanted)
    if (const std::string found = text_of(key); found != text)
      fail(key.substr(key.rfind('.') + 1), " of the checkpoint is ", io::printable(found), ", wanted ",
           io::printable(text));

  std::map<std::string_view, const io::StoredTensor*> tensors;
  for (const io::StoredTensor& tensor : file.tensors) tensors.emplace(tensor.name, &tensor);
  std::vector<const io::StoredTensor*> sources;
  for (const io::TensorSpec& spec : detail::specs_of(state)) {
    const auto found = tensors.extract(spec.name);
    if (found.empty()) fail("tensor ", spec.name, " is missing");
    const io::StoredTensor& tensor = *found.mapped();
    if (tensor.dtype != spec.dtype || tensor.shape != spec.shape)
      fail("tensor ", spec.name, ": found ", io::name_of(tensor.dtype), " ", io::shape_text(tensor.shape), ", wanted ",
           io::name_of(spec.dtype), " ", io::shape_text(spec.shape));
    sources.push_back(&tensor);
  }
  if (!tensors.empty()) fail("tensor ", io::printable(tensors.begin()->first), " is not part of this training");

  std::vector<std::variant<double, long>> numbers;
  for (const auto& [name, number] : state.numbers()) {
    const std::string text = text_of(detail::number_key(name));
    std::visit(
        [&]<class N>(N*) {
          N value{};
          const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
          if (error != std::errc() || end != text.data() + text.size())
            fail("number ", name, ": found ", io::printable(text), ", wanted a number");
          numbers.push_back(value);
        },
        number);
  }

  std::vector<Real> original;
  const std::size_t parameters = state.table().size(), arenas = state.arenas().size();
  for (std::size_t i = 0; i < sources.size(); ++i) {
    original.resize(sources[i]->size());
    io::copy_numbers(*sources[i], original.data());
    detail::require_finite(sources[i]->name, original);
    if (i < arenas * parameters)
      import_param(state.table()[i % parameters], original.data(), state.arenas()[i / parameters].second);
    else
      *state.lists()[i - arenas * parameters].second = original;
    file.release(*sources[i]);
  }
  for (std::size_t i = 0; i < numbers.size(); ++i)
    std::visit([&]<class N>(N* number) { *number = std::get<N>(numbers[i]); }, state.numbers()[i].second);
}

/// The same from a file; messages begin with its name.
template <class Real>
void load_checkpoint(const std::filesystem::path& path, const TrainingState<Real>& state, const Description& wanted) {
  const io::TensorFile file = io::read_safetensors(path);
  io::in_file(path, [&] { load_checkpoint(file, state, wanted); });
}

}  // namespace fieldstep::train
