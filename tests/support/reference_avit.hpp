#pragma once
#include <support/reference_layers.hpp>

#include <span>

// MPP's AViT and its blocks from the formulas of the papers and of the original's code. A sample is a frame; sample
// b * frames + t is frame t of trajectory b.
namespace fieldstep::support::reference {

/// Attention in time at every position. keep: a factor a sample, none for 1.
inline Image temporal_block(const State& w, const Image& x, int heads, int frames, const Numbers& bias, double eps,
                            const Numbers& keep = {}) {
  const int dim = x.channels;
  Image p = convolution(instance_norm(x, w["norm1.weight"], w["norm1.bias"]), w["input_head.weight"], 3 * dim, 1,
                        w["input_head.bias"]);
  layer_norm_heads(p, heads, 0, w["qnorm.weight"], w["qnorm.bias"], eps);
  layer_norm_heads(p, heads, 1, w["knorm.weight"], w["knorm.bias"], eps);
  Image attended{x.samples, dim, x.rows, x.columns};
  for (int b = 0; b < x.samples / frames; ++b)
    for (int i = 0; i < x.rows; ++i)
      for (int j = 0; j < x.columns; ++j) {
        std::vector<Place> along_time;
        for (int t = 0; t < frames; ++t) along_time.push_back({b * frames + t, i, j});
        attend(p, heads, along_time, bias, 1, attended);
      }
  Image y = convolution(instance_norm(attended, w["norm2.weight"], w["norm2.bias"]), w["output_head.weight"], dim, 1,
                        w["output_head.bias"]);
  for_each(y, [&](int s, int c, int i, int j) {
    const double factor = keep.empty() ? 1 : keep[static_cast<std::size_t>(s)];
    y(s, c, i, j) = x(s, c, i, j) + factor * w["gamma"][static_cast<std::size_t>(c)] * y(s, c, i, j);
  });
  return y;
}

/// Attention along rows and columns, averaged, then the MLP.
inline Image spatial_block(const State& w, const Image& x, int heads, const Numbers& bias_x, const Numbers& bias_y,
                           double eps, const Numbers& keep_att = {}, const Numbers& keep_mlp = {}) {
  const int dim = x.channels;
  Image p =
      convolution(rms_instance_norm(x, w["norm1.weight"]), w["input_head.weight"], 3 * dim, 1, w["input_head.bias"]);
  layer_norm_heads(p, heads, 0, w["qnorm.weight"], w["qnorm.bias"], eps);
  layer_norm_heads(p, heads, 1, w["knorm.weight"], w["knorm.bias"], eps);
  Image attended{x.samples, dim, x.rows, x.columns};
  for (int s = 0; s < x.samples; ++s) {
    for (int i = 0; i < x.rows; ++i) {
      std::vector<Place> row;
      for (int j = 0; j < x.columns; ++j) row.push_back({s, i, j});
      attend(p, heads, row, bias_x, .5, attended);
    }
    for (int j = 0; j < x.columns; ++j) {
      std::vector<Place> column;
      for (int i = 0; i < x.rows; ++i) column.push_back({s, i, j});
      attend(p, heads, column, bias_y, .5, attended);
    }
  }
  const auto added = [](Image residual, const Image& branch, const Numbers& gamma, const Numbers& keep) {
    for_each(branch, [&](int s, int c, int i, int j) {
      const double factor = keep.empty() ? 1 : keep[static_cast<std::size_t>(s)];
      residual(s, c, i, j) += factor * gamma[static_cast<std::size_t>(c)] * branch(s, c, i, j);
    });
    return residual;
  };
  const Image middle = added(x,
                             convolution(rms_instance_norm(attended, w["norm2.weight"]), w["output_head.weight"], dim,
                                         1, w["output_head.bias"]),
                             w["gamma_att"], keep_att);
  Image hidden = convolution(middle, w["mlp.fc1.weight"], 4 * dim, 1, w["mlp.fc1.bias"]);
  gelu(hidden);
  const Image mlp = convolution(hidden, w["mlp.fc2.weight"], dim, 1, w["mlp.fc2.bias"]);
  return added(middle, rms_instance_norm(mlp, w["mlp_norm.weight"]), w["gamma_mlp"], keep_mlp);
}

/// Pixels (q channels) to tokens.
inline Image stem(const State& w, const Image& u, int dim) {
  Image x = rms_instance_norm(convolution(u, w["in_proj.0.weight"], dim / 4, 4), w["in_proj.1.weight"]);
  gelu(x);
  x = rms_instance_norm(convolution(x, w["in_proj.3.weight"], dim / 4, 2), w["in_proj.4.weight"]);
  gelu(x);
  return rms_instance_norm(convolution(x, w["in_proj.6.weight"], dim, 2), w["in_proj.7.weight"]);
}

/// Tokens to pixels of the states in `labels`.
inline Image output(const State& w, const Image& tokens, std::span<const int> labels) {
  const int q = tokens.channels / 4, states = static_cast<int>(w["out_bias"].size());
  const int fields = static_cast<int>(labels.size());
  Image x = rms_instance_norm(transposed_convolution(tokens, w["out_proj.0.weight"], q, 2), w["out_proj.1.weight"]);
  gelu(x);
  x = rms_instance_norm(transposed_convolution(x, w["out_proj.3.weight"], q, 2), w["out_proj.4.weight"]);
  gelu(x);
  Numbers kernel, bias;  // (q, fields, 4, 4) of (q, states, 4, 4)
  for (int c = 0; c < q; ++c)
    for (const int label : labels) {
      const auto from = w["out_kernel"].begin() + (c * states + (label + states) % states) * 16;
      kernel.insert(kernel.end(), from, from + 16);
    }
  for (const int label : labels) bias.push_back(w["out_bias"][static_cast<std::size_t>((label + states) % states)]);
  return transposed_convolution(x, kernel, fields, 4, bias);
}

/// sqrt(states / C) (sum_c weight[o, label_c] x_c + bias[o]).
inline Image space_bag(const State& w, const Image& x, std::span<const int> labels) {
  const int out = static_cast<int>(w["bias"].size()), states = static_cast<int>(w["weight"].size()) / out;
  Image u{x.samples, out, x.rows, x.columns};
  for_each(u, [&](int s, int o, int i, int j) {
    double sum = w["bias"][static_cast<std::size_t>(o)];
    for (int c = 0; c < x.channels; ++c) {
      const int label = (labels[static_cast<std::size_t>(c)] + states) % states;
      sum += w["weight"][static_cast<std::size_t>(o * states + label)] * x(s, c, i, j);
    }
    u(s, o, i, j) = std::sqrt(static_cast<double>(states) / x.channels) * sum;
  });
  return u;
}

/// Bias (heads, length, length) from the table (32, heads): the buckets of the distance as the original lists them.
inline Numbers relative_bias(const Numbers& table, int heads, int length, bool periodic) {
  const auto modulo = [](int a, int m) { return a - m * static_cast<int>(std::floor(static_cast<double>(a) / m)); };
  const int half = length / 2;
  Numbers bias;
  for (int head = 0; head < heads; ++head)
    for (int i = 0; i < length; ++i)
      for (int j = 0; j < length; ++j) {
        int delta = j - i;
        if (periodic && delta < -half) delta = modulo(delta, half);
        if (periodic && delta > half) delta = modulo(delta, -half);
        const int n = std::abs(delta);
        int bucket = std::min(n, 7) + (delta > 0 ? 16 : 0);
        for (const int first : {8, 10, 12, 14, 16, 20, 23, 27}) bucket += n >= first ? 1 : 0;
        bias.push_back(table[static_cast<std::size_t>(bucket * heads + head)]);
      }
  return bias;
}

/// The same from the MLP of the normalised distance; even lengths only if periodic.
inline Numbers continuous_bias(const State& w, int heads, int length, bool periodic) {
  Numbers coordinates;
  if (periodic) {
    const int half = length / 2;
    for (int c = 1; c <= half; ++c) coordinates.push_back(c);
    for (int c = 1 - half; c <= half; ++c) coordinates.push_back(c);
    for (int c = 1 - half; c <= -1; ++c) coordinates.push_back(c);
  } else {
    for (int c = 1 - length; c < length; ++c) coordinates.push_back(c);
  }
  const std::size_t hidden = w["cpb_mlp.0.bias"].size();
  Numbers bias;
  for (int head = 0; head < heads; ++head)
    for (int i = 0; i < length; ++i)
      for (int j = 0; j < length; ++j) {
        const double c = coordinates[static_cast<std::size_t>(j - i + length - 1)] / (length - 1);
        double logit = 0;
        for (std::size_t u = 0; u < hidden; ++u)
          logit += w["cpb_mlp.2.weight"][static_cast<std::size_t>(head) * hidden + u] *
                   std::max(0., w["cpb_mlp.0.weight"][u] * c + w["cpb_mlp.0.bias"][u]);
        bias.push_back(16 / (1 + std::exp(-logit)));
      }
  return bias;
}

/// What stands around the weights: Net's configuration and a call's conditions.
struct Setting {
  int dim, heads, blocks, frames;
  std::vector<int> labels;
  bool periodic_x = false, periodic_y = false;
  double eps = 1e-5;
  enum { none, relative, continuous } bias = relative;
};

/// x (batch * frames samples of fields) -> the next frame of every trajectory, (batch, fields, rows, columns).
inline Image avit(const State& w, const Setting& set, Image x) {
  const int batch = x.samples / set.frames;
  const Image original = x;
  std::vector<Moments> scale;  // mean and deviation of a trajectory's field
  for (int b = 0; b < batch; ++b)
    for (int c = 0; c < x.channels; ++c) {
      const double count = static_cast<double>(set.frames) * x.rows * x.columns;
      Moments m;
      const auto for_all = [&](const auto& visit) {
        for (int t = 0; t < set.frames; ++t)
          for (int i = 0; i < x.rows; ++i)
            for (int j = 0; j < x.columns; ++j) visit(x(b * set.frames + t, c, i, j));
      };
      for_all([&](double v) { m.mean += v / count; });
      for_all([&](double v) { m.squares += (v - m.mean) * (v - m.mean); });
      m.squares = std::sqrt(m.squares / (count - 1)) + 1e-7;
      for_all([&](double& v) { v = (v - m.mean) / m.squares; });
      scale.push_back(m);
    }
  const auto table = [&](const State& block, int length, bool periodic) -> Numbers {
    const State bias = block / "rel_pos_bias";
    if (set.bias == Setting::relative)
      return relative_bias(bias["relative_attention_bias.weight"], set.heads, length, periodic);
    if (set.bias == Setting::continuous) return continuous_bias(bias, set.heads, length, periodic);
    return {};
  };
  Image tokens = stem(w / "embed", space_bag(w / "space_bag", x, set.labels), set.dim);
  for (int block = 0; block < set.blocks; ++block) {
    const State temporal = w / "blocks" / block / "temporal", spatial = w / "blocks" / block / "spatial";
    tokens = temporal_block(temporal, tokens, set.heads, set.frames, table(temporal, set.frames, false), set.eps);
    tokens = spatial_block(spatial, tokens, set.heads, table(spatial, tokens.columns, set.periodic_x),
                           table(spatial, tokens.rows, set.periodic_y), set.eps);
  }
  const Image all = output(w / "debed", tokens, set.labels);
  Image y{batch, x.channels, x.rows, x.columns};
  for_each(y, [&](int b, int c, int i, int j) {
    const Moments& m = scale[static_cast<std::size_t>(b * x.channels + c)];
    y(b, c, i, j) = all((b + 1) * set.frames - 1, c, i, j) * m.squares + m.mean;
  });
  return y;
}

}  // namespace fieldstep::support::reference
