#pragma once
#include <examples/cli/training_options.hpp>
#include <fieldstep/models/any_tidhy.hpp>
#include <fieldstep/train/parameter_groups.hpp>

#include <cstdint>
#include <string>
#include <vector>

/// TiDHy in the program.
namespace fieldstep::cli {

/// Numbers of inference and training by the names of the NNX port, as --set has them, and of the start.
struct TidhySettings {
  models::TidhyTrainingOptions training{};
  models::TidhyStartOptions start{};
  bool flax_start = false, principal_components = false;
  double hypernet_rate = 1;  ///< times the learning rate

  void visit(const auto& show) {
    models::TidhyOptions& i = training.inference;
    models::TidhyRegularisation& r = training.regularisation;
    show("lr_r", i.lr_r), show("lr_r2", i.lr_r2), show("temp_weight", i.temp_weight);
    show("lmda_r", i.lmda_r), show("lmda_r2", i.lmda_r2), show("L1_inf_w", i.L1_inf_w);
    show("L1_inf_r2", i.L1_inf_r2), show("L1_inf_r", i.L1_inf_r), show("max_iter", i.max_iter), show("tol", i.tol);
    show("batch_converge", i.batch_converge), show("grad_norm_inf", i.grad_norm_inf);
    show("grad_alpha_inf", i.grad_alpha_inf), show("lr_weights_inf", i.lr_weights_inf);
    show("mean_over", i.mean_over), show("r2_init_std", i.r2_init_std);
    show("weight_rhat", training.loss_weights.spatial_rhat), show("weight_rbar", training.loss_weights.spatial_rbar);
    show("weight_temp", training.loss_weights.temp), show("weight_r2", training.loss_weights.r2);
    show("cos_eta", r.cos_eta), show("L1_alpha", r.L1_alpha), show("L1_alpha_spat", r.L1_alpha_spat);
    show("L1_alpha_W", r.L1_alpha_W), show("Orth_alpha_spat", r.Orth_alpha_spat);
    show("Orth_alpha_r2", r.Orth_alpha_r2), show("Lnuc_alpha", r.Lnuc_alpha), show("L0_alpha", r.L0_alpha);
    show("normalize_spatial", training.normalisation.spatial);
    show("normalize_temporal", training.normalisation.temporal);
    show("grad_norm", training.grad_norm), show("grad_alpha", training.grad_alpha);
    show("lr_weights", training.lr_weights), show("stateful", training.carry_state);
    show("flax_start", flax_start), show("mixture_bias", start.mixture_bias);
    show("mixture_scale", start.mixture_scale), show("principal_components", principal_components);
    show("hypernet_rate", hypernet_rate);
  }

  /// From texts NAME=VALUE. Throws Error (usage) with the names there are.
  void set(const std::vector<std::string>& texts);
  std::string json();
  void read(const std::string& json);
};

bool is_tidhy(const std::string& model);

/// A line each.
std::string tidhy_listing(const std::vector<models::TidhyEntry>& entries);

/// The first compiled-in TiDHy of that name, any where the name is tidhy, for so many channels.
models::TidhyEntry choose_tidhy(const std::string& name, int channels);
/// That of a weight file. In messages `file` is where it came from.
models::TidhyEntry tidhy_of(const io::TensorFile& weights, const std::string& file);

/// Keys of what weights of a TiDHy say of themselves.
inline const std::string tidhy_key = "fieldstep.tidhy", settings_key = "fieldstep.tidhy.settings",
                         standardisation_key = "fieldstep.standardisation";

/// `fieldstep train --model tidhy`, from one seed or from several side by side.
void train_tidhy(const TrainingOptions& options, const std::vector<std::uint64_t>& seeds, const CLI::App& command);

/// What `fieldstep evaluate` is told that knows a TiDHy's weights.
struct TidhyEvaluation {
  std::string weights, output, states, title, format = "npz";
  std::vector<std::string> data, settings;
  SequenceOptions sequences;
  int clusters = 0, state_lag = 1, pictured = 0;
  bool json = false, quiet = false;
};
void evaluate_tidhy(const TidhyEvaluation& options, const io::TensorFile& weights);

}  // namespace fieldstep::cli
