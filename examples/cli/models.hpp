#pragma once
#include <CLI/CLI.hpp>
#include <fieldstep/embed/registry.hpp>
#include <fieldstep/io/scot_config.hpp>

#include <optional>
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

/// What is known of the network that a weight file belongs to.
struct Network {
  io::Recognised sizes{};
  std::optional<io::ScotConfig> config{};  ///< what no shape tells, where the weights bring it
  std::string small{};                     ///< the same of a small network: its description, Conv;32;4;relu
};

/// What is known of a compiled-in model's network.
Network network_of(const ModelEntry& entry);

/// The compiled-in models among those that fit `wanted` that are this very network.
std::vector<ModelEntry> fitting(const Wanted& wanted, const Network& network);

/// The CMake line that adds a model to the program. `network` fills in what the command line leaves open.
std::string model_line(const Wanted& wanted, const Network& network);

/// The first that fits; otherwise says what is there and the line that would add it.
ModelEntry choose(const Wanted& wanted);
[[noreturn]] void refuse_unlisted(const Wanted& wanted, const Network& network = {});
/// The same of models that can be trained.
[[noreturn]] void refuse_untrainable(const Wanted& wanted, const Network& network);

/// A line a model.
std::string listing(const std::vector<ModelEntry>& entries);

/// Refuses descriptions of small networks that are none: which exist, and what each number means.
void check_small_network(const std::string& description);

/// Sizes of a network, as its parameters tell.
io::Recognised recognise(const ModelEntry& entry);

/// 1 field, 2 fields
std::string counted(std::size_t count, const std::string& noun);

}  // namespace fieldstep::cli
