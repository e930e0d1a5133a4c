#pragma once
#include <fieldstep/models/scot_variants.hpp>
#include <support/reference_layers.hpp>

#include <algorithm>
#include <array>

// Poseidon's ScOT and its blocks step by step, as the original takes them: grids are padded, rolled and cut into
// windows. Tokens are images, one channel after the other. time: one a sample; empty: the norms are not conditioned.
namespace fieldstep::support::reference {

inline double entry(const Numbers& numbers, int i) { return numbers[static_cast<std::size_t>(i)]; }

/// x W^T + bias over the channels; weight (out, in).
inline Image linear(const Image& x, const Numbers& weight, const Numbers& bias = {}) {
  return convolution(x, weight, static_cast<int>(weight.size()) / x.channels, 1, bias);
}

/// residual + factor * branch, a factor a sample, none for 1.
inline Image added(Image residual, const Image& branch, const Numbers& factors = {}) {
  for_each(branch, [&](int s, int c, int i, int j) {
    residual(s, c, i, j) += (factors.empty() ? 1 : entry(factors, s)) * branch(s, c, i, j);
  });
  return residual;
}

/// Normalised over the channels of every token; scale and shift are linear in time.
inline Image token_norm(const State& w, const Image& x, const Numbers& time, double eps = 1e-5) {
  const auto affine = [&](const char* part, int s) {
    if (time.empty()) return w[part];
    Numbers at_time = (w / part)["bias"];
    for (std::size_t c = 0; c < at_time.size(); ++c) at_time[c] += (w / part)["weight"][c] * entry(time, s);
    return at_time;
  };
  Image y = x;
  for (int s = 0; s < x.samples; ++s) {
    const Numbers scale = affine("weight", s), shift = affine("bias", s);
    for (int i = 0; i < x.rows; ++i)
      for (int j = 0; j < x.columns; ++j) {
        double mean = 0, variance = 0;
        for (int c = 0; c < x.channels; ++c) mean += x(s, c, i, j) / x.channels;
        for (int c = 0; c < x.channels; ++c) variance += std::pow(x(s, c, i, j) - mean, 2) / x.channels;
        for (int c = 0; c < x.channels; ++c)
          y(s, c, i, j) = entry(scale, c) * (x(s, c, i, j) - mean) / std::sqrt(variance + eps) + entry(shift, c);
      }
  }
  return y;
}

/// Bias (heads, side, side) of every offset, side = 2 window - 1. The coordinates are rounded to float at every step,
/// as the original's are.
inline Numbers log_position_bias(const State& w, int heads, int window, int trained_window = 0) {
  const int extent = trained_window > 0 ? trained_window : window;
  const auto coordinate = [=](int offset) {
    float u = static_cast<float>(offset) / static_cast<float>(extent - 1);
    u *= 8;
    const float sign = u < 0 ? -1 : 1;
    return static_cast<double>(sign * std::log2(std::abs(u) + 1.f) / 3.f);
  };
  const Numbers weight1 = w["0.weight"], bias1 = w["0.bias"], weight2 = w["2.weight"];
  const std::size_t hidden = bias1.size();
  Numbers bias;
  for (int head = 0; head < heads; ++head)
    for (int dy = 1 - window; dy < window; ++dy)
      for (int dx = 1 - window; dx < window; ++dx) {
        double logit = 0;
        for (std::size_t u = 0; u < hidden; ++u)
          logit += weight2[static_cast<std::size_t>(head) * hidden + u] *
                   std::max(0., weight1[2 * u] * coordinate(dy) + weight1[2 * u + 1] * coordinate(dx) + bias1[u]);
        bias.push_back(16 / (1 + std::exp(-logit)));
      }
  return bias;
}

/// How a layer attends.
struct Windows {
  int heads, window, shift = 0, trained_window = 0;
  bool qkv_bias = true;
};

/// Factors of dropout and stochastic depth, empty for 1, in the orders of blocks::SwinKeep.
struct Keep {
  Numbers probabilities{}, attended{}, mlp{}, attention_branch{}, mlp_branch{};
};

inline Image window_attention(const State& w, const Image& x, const Windows& set, const Keep& keep = {}) {
  const int n = set.window, length = n * n, dim = x.channels, d = dim / set.heads, side = 2 * n - 1;
  const int rows = (x.rows + n - 1) / n * n, columns = (x.columns + n - 1) / n * n;
  Image padded{x.samples, dim, rows, columns}, rolled = padded;
  for_each(x, [&](int s, int c, int i, int j) { padded(s, c, i, j) = x(s, c, i, j); });
  for_each(rolled, [&](int s, int c, int i, int j) {
    rolled(s, c, i, j) = padded(s, c, (i + set.shift) % rows, (j + set.shift) % columns);
  });

  const auto projected = [&](const std::string& name, bool biased) {
    return linear(rolled, w["self." + name + ".weight"], biased ? w["self." + name + ".bias"] : Numbers{});
  };
  const Image q = projected("query", set.qkv_bias), k = projected("key", false), v = projected("value", set.qkv_bias);
  const Numbers bias = log_position_bias(w / "self.continuous_position_bias_mlp", set.heads, n, set.trained_window);
  const auto norm = [&](const Image& p, int s, int head, int i, int j) {
    double squares = 0;
    for (int c = head * d; c < (head + 1) * d; ++c) squares += p(s, c, i, j) * p(s, c, i, j);
    return std::max(std::sqrt(squares), 1e-12);
  };
  const auto label = [&](int i, int extent) {
    return set.shift == 0 ? 0 : (i >= extent - n) + (i >= extent - set.shift);
  };
  const auto region = [&](int i, int j) { return 3 * label(i, rows) + label(j, columns); };

  Image attended{x.samples, dim, rows, columns};
  int item = 0;  // windows of all samples
  for (int s = 0; s < x.samples; ++s)
    for (int top = 0; top < rows; top += n)
      for (int left = 0; left < columns; left += n, ++item)
        for (int head = 0; head < set.heads; ++head) {
          const double scale = std::exp(std::min(entry(w["self.logit_scale"], head), std::log(100.)));
          for (int query = 0; query < length; ++query) {
            const int qi = top + query / n, qj = left + query % n;
            Numbers p;
            double total = 0;
            for (int key = 0; key < length; ++key) {
              const int ki = top + key / n, kj = left + key % n;
              double dot = 0;
              for (int c = head * d; c < (head + 1) * d; ++c) dot += q(s, c, qi, qj) * k(s, c, ki, kj);
              double a = dot / norm(q, s, head, qi, qj) / norm(k, s, head, ki, kj) * scale;
              a += entry(bias, (head * side + qi - ki + n - 1) * side + qj - kj + n - 1);
              if (region(qi, qj) != region(ki, kj)) a -= 200;  // the original adds -100 twice
              p.push_back(std::exp(a));
              total += p.back();
            }
            for (int key = 0; key < length; ++key) {
              const int kept = ((item * set.heads + head) * length + query) * length + key;
              const double factor = keep.probabilities.empty() ? 1 : entry(keep.probabilities, kept);
              for (int c = head * d; c < (head + 1) * d; ++c)
                attended(s, c, qi, qj) += factor * entry(p, key) / total * v(s, c, top + key / n, left + key % n);
            }
          }
        }
  const Image out = linear(attended, w["output.dense.weight"], w["output.dense.bias"]);
  Image y{x.samples, dim, x.rows, x.columns};
  for_each(out, [&](int s, int c, int i, int j) {
    const int to_i = (i + set.shift) % rows, to_j = (j + set.shift) % columns;
    if (to_i >= x.rows || to_j >= x.columns) return;
    const int window = (s * (rows / n) + i / n) * (columns / n) + j / n, token = i % n * n + j % n;
    const int kept = (window * length + token) * dim + c;
    y(s, c, to_i, to_j) = out(s, c, i, j) * (keep.attended.empty() ? 1 : entry(keep.attended, kept));
  });
  return y;
}

inline Image swin_layer(const State& w, const Image& x, const Numbers& time, const Windows& set, double eps,
                        const Keep& keep = {}) {
  const Image middle =
      added(x, token_norm(w / "layernorm_before", window_attention(w / "attention", x, set, keep), time, eps),
            keep.attention_branch);
  Image hidden = linear(middle, w["intermediate.dense.weight"], w["intermediate.dense.bias"]);
  gelu(hidden);
  Image mlp = linear(hidden, w["output.dense.weight"], w["output.dense.bias"]);
  if (!keep.mlp.empty())
    for_each(mlp, [&](int s, int c, int i, int j) {
      mlp(s, c, i, j) *= entry(keep.mlp, ((s * x.rows + i) * x.columns + j) * x.channels + c);
    });
  return added(middle, token_norm(w / "layernorm_after", mlp, time, eps), keep.mlp_branch);
}

/// The same weights' layers one after the other; shifted(j) says which of them have shifted windows.
template <class Shifted>
Image swin_layers(const State& w, Image x, const Numbers& time, int depth, Windows set, double eps,
                  const Shifted& shifted) {
  const int shift = set.shift;
  for (int j = 0; j < depth; ++j) {
    set.shift = shifted(j) ? shift : 0;
    x = swin_layer(w / "blocks" / j, x, time, set, eps);
  }
  return x;
}
inline Image encoder_layers(const State& w, const Image& x, const Numbers& time, int depth, const Windows& set,
                            double eps) {
  return swin_layers(w, x, time, depth, set, eps, [](int j) { return j % 2 == 1; });
}
inline Image decoder_layers(const State& w, const Image& x, const Numbers& time, int depth, const Windows& set,
                            double eps) {
  return swin_layers(w, x, time, depth, set, eps, [=](int j) { return (depth - 1 - j) % 2 == 1; });
}

inline Image patch_merging(const State& w, const Image& x, const Numbers& time) {
  Image joined{x.samples, 4 * x.channels, (x.rows + 1) / 2, (x.columns + 1) / 2};
  for_each(joined, [&](int s, int c, int i, int j) {
    const int n = c / x.channels, row = 2 * i + n % 2, column = 2 * j + n / 2;
    if (row < x.rows && column < x.columns) joined(s, c, i, j) = x(s, c % x.channels, row, column);
  });
  return token_norm(w / "norm", linear(joined, w["reduction.weight"]), time);
}

/// To a grid of rows x columns.
inline Image patch_unmerging(const State& w, const Image& x, const Numbers& time, int rows, int columns) {
  const Image wide = linear(x, w["upsample.weight"]);
  Image fine{x.samples, x.channels / 2, rows, columns};
  for_each(fine, [&](int s, int c, int i, int j) {
    fine(s, c, i, j) = wide(s, (i % 2 * 2 + j % 2) * fine.channels + c, i / 2, j / 2);
  });
  return linear(token_norm(w / "norm", fine, time), w["mixup.weight"]);
}

/// Cross-correlation with zeros around the image; weight (out, in, kernel, kernel), or (channels, 1, kernel, kernel)
/// where every channel has its own.
inline Image same_convolution(const Image& x, const Numbers& weight, int kernel, const Numbers& bias = {},
                              bool depthwise = false) {
  const int in = depthwise ? 1 : x.channels, out = static_cast<int>(weight.size()) / (in * kernel * kernel);
  Image y{x.samples, out, x.rows, x.columns};
  for_each(y, [&](int s, int o, int i, int j) {
    double& sum = y(s, o, i, j) = bias.empty() ? 0 : entry(bias, o);
    for (int c = 0; c < in; ++c)
      for (int a = 0; a < kernel; ++a)
        for (int b = 0; b < kernel; ++b) {
          const int row = i + a - kernel / 2, column = j + b - kernel / 2;
          if (row < 0 || row >= x.rows || column < 0 || column >= x.columns) continue;
          sum += entry(weight, ((o * in + c) * kernel + a) * kernel + b) * x(s, depthwise ? o : c, row, column);
        }
  });
  return y;
}

inline Image token_embedding(const State& w, const Image& x, const Numbers& time, int dim, int patch,
                             bool absolute_positions = false, const Numbers& masked = {}) {
  Image y = token_norm(
      w / "norm",
      convolution(x, w["patch_embeddings.projection.weight"], dim, patch, w["patch_embeddings.projection.bias"]), time);
  for_each(y, [&](int s, int c, int i, int j) {
    const int position = i * y.columns + j;
    if (!masked.empty() && entry(masked, s * y.rows * y.columns + position) != 0)
      y(s, c, i, j) = entry(w["mask_token"], c);
    if (absolute_positions) y(s, c, i, j) += entry(w["position_embeddings"], position * dim + c);
  });
  return y;
}

inline Image patch_recovery(const State& w, const Image& x, int channels, int patch) {
  return same_convolution(transposed_convolution(x, w["projection.weight"], channels, patch, w["projection.bias"]),
                          w["mixup.weight"], 5);
}

inline Image convnext_block(const State& w, const Image& x, const Numbers& time, double eps) {
  const Image normed =
      token_norm(w / "norm", same_convolution(x, w["dwconv.weight"], 7, w["dwconv.bias"], true), time, eps);
  Image hidden = linear(normed, w["pwconv1.weight"], w["pwconv1.bias"]);
  gelu(hidden);
  Image branch = linear(hidden, w["pwconv2.weight"], w["pwconv2.bias"]);
  const Numbers& layer_scale = w["weight"];
  for_each(branch, [&](int s, int c, int i, int j) { branch(s, c, i, j) *= entry(layer_scale, c); });
  return added(x, branch);
}

/// What a batch norm divides by in training, and the running statistics after it.
struct BatchStatistics {
  Numbers mean, variance, running_mean, running_var;
};
inline BatchStatistics batch_statistics(const State& w, const Image& x) {
  BatchStatistics b;
  const int count = x.samples * x.rows * x.columns;
  for (int c = 0; c < x.channels; ++c) {
    double mean = 0, squares = 0;
    for_each({x.samples, 1, x.rows, x.columns}, [&](int s, int, int i, int j) { mean += x(s, c, i, j) / count; });
    for_each({x.samples, 1, x.rows, x.columns},
             [&](int s, int, int i, int j) { squares += std::pow(x(s, c, i, j) - mean, 2); });
    b.mean.push_back(mean);
    b.variance.push_back(squares / count);
    b.running_mean.push_back(.9 * entry(w["running_mean"], c) + .1 * mean);
    b.running_var.push_back(.9 * entry(w["running_var"], c) + .1 * squares / (count - 1));
  }
  return b;
}

inline Image batch_norm(const State& w, const Image& x, bool trains) {
  const BatchStatistics batch = batch_statistics(w, x);
  const Numbers mean = trains ? batch.mean : w["running_mean"], variance = trains ? batch.variance : w["running_var"];
  const Numbers &scale = w["weight"], &shift = w["bias"];
  Image y = x;
  for_each(x, [&](int s, int c, int i, int j) {
    y(s, c, i, j) =
        entry(scale, c) * (x(s, c, i, j) - entry(mean, c)) / std::sqrt(entry(variance, c) + 1e-5) + entry(shift, c);
  });
  return y;
}

inline Image resnet_block(const State& w, const Image& x, bool trains) {
  Image branch = batch_norm(w / "bn1", same_convolution(x, w["conv1.weight"], 3, w["conv1.bias"]), trains);
  for (double& v : branch.values) v = v < 0 ? .01 * v : v;
  return added(x, batch_norm(w / "bn2", same_convolution(branch, w["conv2.weight"], 3, w["conv2.bias"]), trains));
}

/// The network without resampling: x (samples, fields, height, width) to its outputs.
template <class Config>
Image scot(const State& w, const Image& x, const Numbers& lead_times) {
  constexpr int stages = static_cast<int>(Config::depths.size());
  const Numbers time = Config::use_conditioning ? lead_times : Numbers{};
  const auto at = [](const auto& list, int stage) { return static_cast<int>(list[static_cast<std::size_t>(stage)]); };
  const auto windows = [&](int stage) {
    const int side = std::min(x.rows, x.columns) / Config::patch >> stage;  // without padding
    return Windows{.heads = at(Config::heads, stage),
                   .window = std::min(Config::window, side),
                   .shift = side <= Config::window ? 0 : Config::window / 2,
                   .qkv_bias = Config::qkv_bias};
  };

  Image h = token_embedding(w / "embeddings", x, time, Config::embed_dim, Config::patch, Config::absolute_positions);
  std::vector<Image> skips;
  for (int stage = 0; stage < stages; ++stage) {
    const State here = w / "encoder" / "layers" / stage;
    Image skip = encoder_layers(here, h, time, at(Config::depths, stage), windows(stage), Config::layer_norm_eps);
    if (stage + 1 < stages) h = patch_merging(here / "downsample", added(h, skip), time);
    for (int j = 0; j < at(Config::skip_blocks, stage); ++j) {
      const State block = w / "residual_blocks" / stage / j;
      skip = Config::skip_block == models::SkipBlock::resnet
                 ? resnet_block(block, skip, false)
                 : convnext_block(block, skip, time, Config::layer_norm_eps);
    }
    skips.push_back(skip);
  }
  h = skips.back();
  for (int stage = stages - 1; stage >= 0; --stage) {
    const State here = w / "decoder" / "layers" / (stages - 1 - stage);
    h = decoder_layers(here, h, time, at(Config::depths, stage), windows(stage), Config::layer_norm_eps);
    if (stage == 0) break;
    const Image& skip = skips[static_cast<std::size_t>(stage - 1)];
    h = added(skip, patch_unmerging(here / "upsample", h, time, skip.rows, skip.columns));
  }
  Image y = patch_recovery(w / "patch_recovery", h, Config::out_channels, Config::patch);
  if (Config::learn_residual) for_each(y, [&](int s, int c, int i, int j) { y(s, c, i, j) += x(s, c, i, j); });
  return y;
}

}  // namespace fieldstep::support::reference
