#pragma once
#include <examples/cli/models.hpp>
#include <examples/cli/sequences.hpp>
#include <examples/cli/training_data.hpp>
#include <fieldstep/io/tensor_file.hpp>
#include <fieldstep/train/checkpoint.hpp>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

/// What all ways to train have in common: the command line, and the folder of a run.
namespace fieldstep::cli {

struct TrainingOptions {
  Wanted model;
  DataOptions data;
  std::string checkpoint, output, optimizer = "adamw", schedule = "cosine", title;
  std::string method, loss = "mse", reference;  ///< of training over rollouts; no method: pairs of frames
  double rate = 0, embedding_rate = 0, time_rate = 0;
  double weight_decay = -1, max_norm = -1;  // below 0: the family's own
  long steps = 0, epochs = 0, epoch_size = 0, warmup = 0, validate_every = 0, checkpoint_every = 0, patience = 0;
  int batch = 4, accumulate = 1, threads = 0;
  std::vector<std::string> frozen, settings;  ///< settings: of a TiDHy
  SequenceOptions sequences;
  std::uint64_t seed = 0;
  bool recompute = false, fixed_order = false, resume = false, json = false, quiet = false;

  /// Everything that a run which goes on takes from its checkpoint, by the options' names.
  void visit(const auto& show) {
    show("--model", model.name), show("--frames", model.frames);
    show("--data", data.files), show("--validation-data", data.validation_files), show("--problem", data.problem);
    show("--labels", data.labels), show("--bcs", data.boundaries), show("--validation", data.validation);
    show("--pair-step", data.pair_step), show("--pair-last", data.pair_last), show("--transitions", data.transitions);
    show("--frames-per-unit", data.frames_per_unit), show("--data-memory", data.memory_mib);
    show("--window", sequences.window), show("--stride", sequences.stride);
    show("--standardise", sequences.standardise), show("--set", settings);
    show("--method", method), show("--loss", loss), show("--reference", reference);
    show("--optimizer", optimizer), show("--schedule", schedule), show("--lr", rate), show("--warmup", warmup);
    show("--lr-embedding", embedding_rate), show("--lr-time", time_rate), show("--weight-decay", weight_decay);
    show("--clip", max_norm), show("--freeze", frozen);
    show("--steps", steps), show("--epochs", epochs), show("--epoch-size", epoch_size);
    show("--batch", batch), show("--accumulate", accumulate);
    show("--validate-every", validate_every), show("--checkpoint-every", checkpoint_every);
    show("--patience", patience), show("--seed", seed), show("--recompute", recompute), show("--title", title);
  }
};

/// The same from one of several seeds, in a folder of its own.
TrainingOptions of_seed(TrainingOptions options, std::uint64_t seed);

/// Of what a run is made that goes on, in checkpoints' metadata.
inline const std::string options_key = "fieldstep.training.options", network_key = "fieldstep.training.network",
                         start_key = "fieldstep.training.start";

nlohmann::ordered_json json_of(TrainingOptions& options);

/// Takes what the command line does not say from the checkpoint.
void complete(TrainingOptions& options, const CLI::App& command, const io::TensorFile& checkpoint,
              const std::filesystem::path& path);

/// Whether a run was begun, and what of its checkpoint's metadata goes on.
struct Beginning {
  bool begun = false;
  train::Description metadata{};
};
/// Looks into the folder and completes the options.
Beginning begin(TrainingOptions& options, const CLI::App& command);

/// Whether a run can be in the folder, and there is a checkpoint to go on from.
bool has_checkpoint(const TrainingOptions& options);

/// Makes the folder, or clears away what an earlier start was writing when it was killed.
void prepare_folder(const std::filesystem::path& folder);

/// Fills the weights with their start values and says what became of every parameter.
std::string start_weights(const TrainingOptions& options, const ModelEntry& entry, float* weights, Key key,
                          train::Description& metadata);

}  // namespace fieldstep::cli
