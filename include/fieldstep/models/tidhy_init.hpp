#pragma once
#include <fieldstep/core/error.hpp>
#include <fieldstep/core/orthonormal.hpp>
#include <fieldstep/core/random.hpp>
#include <fieldstep/models/tidhy.hpp>
#include <fieldstep/ops/small_svd.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string_view>
#include <vector>

namespace fieldstep::models {

enum class TidhyStart {
  torch,
  flax,  ///< zero biases: with r2 = 0 at the start no gradient ever reaches dynamics and hypernetwork
};

/// A start, and ways out of one in which the ReLU holds mixture weights at 0: of the hypernetwork's last layer, where
/// it has a bias, the bias is mixture_bias unless that is 0, and its kernel is mixture_scale times what was drawn.
struct TidhyStartOptions {
  TidhyStart law = TidhyStart::torch;
  double mixture_bias = 0, mixture_scale = 1;
};

/// Draws all parameters, parameter i from split(key, i).
/// Source: the initialisations of TiDHy_torch.py and of the Flax ports, by their laws, not by their generators.
template <class Net>
void initialise_tidhy(typename Net::Real* weights, Key key, const TidhyStartOptions& start = {}) {
  using Real = typename Net::Real;
  const ParamTable table = Net::table();
  const bool torch = start.law == TidhyStart::torch;
  for (std::size_t i = 0; i < table.size(); ++i) {
    const ParamEntry& entry = table[i];
    const Key own = split(key, i, table.size());
    Real* to = weights + entry.offset;
    const std::string_view path = entry.path;
    const auto bits = [&](std::size_t j) { return random_bits(own, j, entry.size); };
    const auto normal = [&](double deviation) {
      for (std::size_t j = 0; j < entry.size; ++j) {
        const float draw = torch ? random_normal(bits(j)) : random_truncated_normal(bits(j), 2) / .87962566f;
        to[j] = static_cast<Real>(deviation * static_cast<double>(draw));
      }
    };
    const auto uniform = [&](int in) {
      const float bound = 1 / std::sqrt(static_cast<float>(in));
      for (std::size_t j = 0; j < entry.size; ++j) to[j] = static_cast<Real>(random_uniform(bits(j), -bound, bound));
    };
    const auto constant = [&](double value) { std::fill_n(to, entry.size, static_cast<Real>(value)); };

    if (path == "temporal") {
      const auto all = static_cast<std::size_t>(Net::M * Net::matrix);
      const std::size_t rows = Net::low_rank && !torch ? all / 2 : static_cast<std::size_t>(Net::M);
      const std::vector<double> q = orthonormal(rows, all / rows, own);
      for (std::size_t j = 0; j < all; ++j) to[j] = static_cast<Real>(q[j]);
    } else if (path == "temporal_bias") {
      normal(std::sqrt(2. / (1 + Net::R)));
    } else if (path.find(".norm1.") != path.npos) {
      constant(path.ends_with("scale"));
    } else if (path.ends_with("bias")) {
      torch ? uniform(entry.init.fan_in) : constant(0);
    } else {
      const int in = entry.extents[0], out = entry.extents[1];
      const bool later_of_decoder =
          path.starts_with("spatial_decoder.dense2") || path.starts_with("spatial_decoder.dense3");
      if (!later_of_decoder)
        normal(std::sqrt(2. / (in + out)));
      else if (torch)
        uniform(in);
      else
        normal(std::sqrt(1. / in));
    }
  }
  const auto last = bind<typename Net::Gradient>(weights).hypernet.dense3;
  for (int i = 0; i < Net::H * Net::outputs; ++i)
    last.kernel.data_handle()[i] *= static_cast<Real>(start.mixture_scale);
  if constexpr (!Net::gated)
    for (int m = 0; start.mixture_bias != 0 && m < Net::M; ++m)
      last.bias.data_handle()[m] = static_cast<Real>(start.mixture_bias);
}

/// A linear decoder that begins as the principal components of the data: its bias is their mean, what latent i decodes
/// to is the direction of the i-th largest variance.  X: (frames, D)
template <class Net>
void start_at_components(typename Net::Real* weights, std::size_t frames, const typename Net::Real* X) {
  using Real = typename Net::Real;
  if constexpr (Net::nonlinear || Net::Config::loss_type != TidhyLoss::mse || (Net::R > Net::D)) {
    fail_usage("start_at_components: found ", tidhy_text<typename Net::Config>(),
               ", wanted a linear decoder under MSE with R at most D");
  } else {
    std::vector<double> mean(Net::D), components(std::size_t{Net::R} * Net::D);
    ops::principal_components(frames, Net::D, X, Net::R, mean.data(), components.data());
    const auto dense = bind<typename Net::Gradient>(weights).spatial_decoder.dense;
    const auto real = [](double v) { return static_cast<Real>(v); };
    std::ranges::transform(components, dense.kernel.data_handle(), real);
    std::ranges::transform(mean, dense.bias.data_handle(), real);
  }
}

}  // namespace fieldstep::models
