#pragma once
#include <CLI/CLI.hpp>
#include <fieldstep/embed/registry.hpp>
#include <fieldstep/io/recognise.hpp>

#include <string>
#include <vector>

/// The choice among the networks that are compiled in.
namespace fieldstep::cli {

using embed::ModelEntry;

/// What the command line says of a model; an empty name or a zero fits every one.
struct Wanted {
  std::string name;
  std::string grid;
  int frames = 0, fields = 0;

  /// Adds --model, --grid, --frames, --fields.
  void add_to(CLI::App& command);
};

/// The compiled-in models that fit, in the order of their list.
std::vector<ModelEntry> fitting(const Wanted& wanted);

/// The first that fits; otherwise says what is there and the CMake line that would add it. `weights` fills in what the
/// command line leaves open.
ModelEntry choose(const Wanted& wanted);
[[noreturn]] void refuse_unlisted(const Wanted& wanted, const io::Recognised& weights = {});

/// A line a model.
std::string listing(const std::vector<ModelEntry>& entries);

/// Sizes of a network, as its parameters tell.
io::Recognised recognise(const ModelEntry& entry);

}  // namespace fieldstep::cli
