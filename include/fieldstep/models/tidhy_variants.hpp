#pragma once
#include <fieldstep/core/random.hpp>

#include <string>

namespace fieldstep::models {

enum class TidhyLoss { mse, bce, poisson };
enum class PoissonLink { identity, softplus, exp };  ///< from the decoder's output to the rate
enum class SpatialNorm {
  latent,   ///< one norm per latent, over the observed channels: the PyTorch original
  channel,  ///< one norm per observed channel, over the latents: the NNX port
};

/// Sizes and architecture of a TiDHy, by the names of its NNX port, and what its two sources do differently: the
/// numbers of the PyTorch original. A configuration derives and restates what differs.
struct TidhyDefaults {
  static constexpr int r_dim = 20, r2_dim = 10, mix_dim = 5, input_dim = 100, hyper_hid_dim = 64,
                       r2_decoder_hid_dim = 64;
  static constexpr bool nonlin_decoder = false, low_rank_temp = false, dyn_bias = false, use_r2_decoder = false;
  static constexpr TidhyLoss loss_type = TidhyLoss::mse;
  static constexpr PoissonLink poisson_link = PoissonLink::identity;  ///< identity: a negative rate gives NaN

  static constexpr double layer_norm_eps = 1e-5;
  static constexpr bool halve_rate = true;           ///< lr_r by 1/2 after every tenth of max_iter
  static constexpr bool through_r2_decoder = false;  ///< in inference a gradient goes through the R2 decoder's input
  static constexpr double first_step_decay = 1e-2;   ///< AdamW's, of the first frame's inference
  static constexpr double log_eps = 0;               ///< in the logarithms of Poisson, and of BCE where not clamped
  static constexpr bool bce_clamped = true;          ///< logarithms not below -100, otherwise log(p + log_eps)
  static constexpr double abs_slope_at_zero = 0;     ///< derivative of |v| at 0 in the L1 terms of inference
  static constexpr SpatialNorm spatial_norm = SpatialNorm::latent;
  static constexpr bool norm_plus_eps = false;  ///< normalize() divides by norm + 1e-10, otherwise max(norm, 1e-12)
};

/// The numbers of the NNX port.
struct TidhyNnx : TidhyDefaults {
  static constexpr double layer_norm_eps = 1e-6;
  static constexpr bool halve_rate = false, through_r2_decoder = true, bce_clamped = false, norm_plus_eps = true;
  static constexpr double first_step_decay = 1e-4, log_eps = 1e-10, abs_slope_at_zero = 1;
  static constexpr SpatialNorm spatial_norm = SpatialNorm::channel;
};

/// Sizes and architecture in a line: R 20, Q 10, M 5, D 100, H 64, MSE.
template <class Config>
std::string tidhy_text() {
  std::string text;
  const auto size = [&](const char* name, int n) { text += std::string(name) + " " + std::to_string(n) + ", "; };
  size("R", Config::r_dim), size("Q", Config::r2_dim), size("M", Config::mix_dim), size("D", Config::input_dim);
  size("H", Config::hyper_hid_dim);
  if (Config::use_r2_decoder) size("R2 decoder", Config::r2_decoder_hid_dim);
  if (Config::nonlin_decoder) text += "nonlinear decoder, ";
  if (Config::low_rank_temp) text += "low rank, ";
  if (Config::dyn_bias) text += "dynamic bias, ";
  return text + (Config::loss_type == TidhyLoss::mse ? "MSE" : Config::loss_type == TidhyLoss::bce ? "BCE" : "Poisson");
}

/// Numbers of an inference and of the losses, by the names of the NNX port.
struct TidhyOptions {
  double lr_r = .1, lr_r2 = .1;    ///< step sizes
  double temp_weight = 1;          ///< of the temporal loss
  double lmda_r = 0, lmda_r2 = 0;  ///< levels of the soft threshold, not multiplied by the step sizes
  double L1_inf_w = 0, L1_inf_r2 = 0, L1_inf_r = 0;
  int max_iter = 100;
  double tol = 1e-4;            ///< of the relative change; 0: all iterations
  bool batch_converge = false;  ///< the change of the whole batch, otherwise of every sample
  bool grad_norm_inf = false;   ///< gradient-normalised inference, first order
  double grad_alpha_inf = 1.5, lr_weights_inf = .025;
  int mean_over = 0;       ///< samples that a batch's means are over, where it is a part of a larger one; 0: its own
  double r2_init_std = 0;  ///< r2 starts at normal draws of this deviation: a way out of a dead start
  Key r2_init_key{};

  int samples(int batch) const { return mean_over > 0 ? mean_over : batch; }
};

}  // namespace fieldstep::models
