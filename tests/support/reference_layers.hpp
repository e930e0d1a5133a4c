#pragma once
#include <fieldstep/core/error.hpp>
#include <fieldstep/core/param_table.hpp>
#include <support/numbers.hpp>

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <string_view>

// Layers in plain loops and double, in the original's layout (channels in front of rows and columns), written from
// their formulas: the yardstick of the blocks. Nothing of the library's operations is used.
namespace fieldstep::support::reference {

struct Image {
  int samples, channels, rows, columns;
  Numbers values = Numbers(static_cast<std::size_t>(samples * channels * rows * columns));

  double& operator()(int s, int c, int i, int j) { return values[index(s, c, i, j)]; }
  double operator()(int s, int c, int i, int j) const { return values[index(s, c, i, j)]; }
  std::size_t index(int s, int c, int i, int j) const {
    return static_cast<std::size_t>(((s * channels + c) * rows + i) * columns + j);
  }
};

/// Calls visit(s, c, i, j) for every number of an image.
template <class Visit>
void for_each(const Image& x, const Visit& visit) {
  for (int s = 0; s < x.samples; ++s)
    for (int c = 0; c < x.channels; ++c)
      for (int i = 0; i < x.rows; ++i)
        for (int j = 0; j < x.columns; ++j) visit(s, c, i, j);
}

/// (samples, rows, columns, channels), as the library has it, as an image, and back.
template <class Real>
Image image_of(const Arena<Real>& x, int samples, int rows, int columns) {
  Image image{samples, static_cast<int>(x.size()) / (samples * rows * columns), rows, columns};
  const Real* from = x.data();
  for (int s = 0; s < samples; ++s)
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < columns; ++j)
        for (int c = 0; c < image.channels; ++c) image(s, c, i, j) = static_cast<double>(*from++);
  return image;
}
inline Numbers channels_last(const Image& image) {
  Numbers x;
  for (int s = 0; s < image.samples; ++s)
    for (int i = 0; i < image.rows; ++i)
      for (int j = 0; j < image.columns; ++j)
        for (int c = 0; c < image.channels; ++c) x.push_back(image(s, c, i, j));
  return x;
}

/// Weights by their state-dict keys: state["norm1.weight"]; state / "blocks" / 3 is the part below that path.
class State {
 public:
  template <class Real>
  State(ParamTable table, const Real* arena) {
    std::map<std::string, Numbers, std::less<>> tensors;
    for (const ParamEntry& entry : table) {
      Numbers& numbers = tensors[std::string(entry.path.view())];
      numbers.resize(entry.size);
      export_param(entry, arena, numbers.data());
    }
    tensors_ = std::make_shared<const decltype(tensors)>(std::move(tensors));
  }
  const Numbers& operator[](std::string_view key) const {
    const auto found = tensors_->find((prefix_ / key).view());
    if (found == tensors_->end()) fail("State: found no parameter ", (prefix_ / key).view());
    return found->second;
  }
  State operator/(const auto& part) const {
    State below = *this;
    below.prefix_ = prefix_ / part;
    return below;
  }

 private:
  std::shared_ptr<const std::map<std::string, Numbers, std::less<>>> tensors_;
  ParamPath prefix_;
};

inline double gelu(double x) { return x * .5 * std::erfc(-x * std::sqrt(.5)); }

inline void gelu(Image& x) {
  for (double& v : x.values) v = gelu(v);
}

/// Cross-correlation whose stride is its kernel; weight (out, in, kernel, kernel).
inline Image convolution(const Image& x, const Numbers& weight, int out, int kernel, const Numbers& bias = {}) {
  Image y{x.samples, out, x.rows / kernel, x.columns / kernel};
  for_each(y, [&](int s, int o, int i, int j) {
    double sum = bias.empty() ? 0 : bias[static_cast<std::size_t>(o)];
    for (int c = 0; c < x.channels; ++c)
      for (int a = 0; a < kernel; ++a)
        for (int b = 0; b < kernel; ++b)
          sum += weight[static_cast<std::size_t>(((o * x.channels + c) * kernel + a) * kernel + b)] *
                 x(s, c, kernel * i + a, kernel * j + b);
    y(s, o, i, j) = sum;
  });
  return y;
}

/// Its transpose; weight (in, out, kernel, kernel).
inline Image transposed_convolution(const Image& x, const Numbers& weight, int out, int kernel,
                                    const Numbers& bias = {}) {
  Image y{x.samples, out, x.rows * kernel, x.columns * kernel};
  for_each(y, [&](int s, int o, int i, int j) {
    double sum = bias.empty() ? 0 : bias[static_cast<std::size_t>(o)];
    for (int c = 0; c < x.channels; ++c)
      sum += weight[static_cast<std::size_t>(((c * out + o) * kernel + i % kernel) * kernel + j % kernel)] *
             x(s, c, i / kernel, j / kernel);
    y(s, o, i, j) = sum;
  });
  return y;
}

struct Moments {
  double mean = 0, squares = 0;  ///< squares: sum of squared deviations
};

inline Moments moments(const Image& x, int s, int c) {
  Moments m;
  for (int i = 0; i < x.rows; ++i)
    for (int j = 0; j < x.columns; ++j) m.mean += x(s, c, i, j) / (x.rows * x.columns);
  for (int i = 0; i < x.rows; ++i)
    for (int j = 0; j < x.columns; ++j) m.squares += std::pow(x(s, c, i, j) - m.mean, 2);
  return m;
}

/// y = weight x / (sigma + 1e-8), sigma unbiased and about the mean.
inline Image rms_instance_norm(const Image& x, const Numbers& weight) {
  Image y = x;
  for (int s = 0; s < x.samples; ++s)
    for (int c = 0; c < x.channels; ++c) {
      const double sigma = std::sqrt(moments(x, s, c).squares / (x.rows * x.columns - 1));
      for (int i = 0; i < x.rows; ++i)
        for (int j = 0; j < x.columns; ++j) y(s, c, i, j) *= weight[static_cast<std::size_t>(c)] / (sigma + 1e-8);
    }
  return y;
}

/// y = weight (x - mean) / sqrt(var + 1e-5) + bias, var biased.
inline Image instance_norm(const Image& x, const Numbers& weight, const Numbers& bias) {
  Image y = x;
  for (int s = 0; s < x.samples; ++s)
    for (int c = 0; c < x.channels; ++c) {
      const auto [mean, squares] = moments(x, s, c);
      const double sigma = std::sqrt(squares / (x.rows * x.columns) + 1e-5);
      const auto channel = static_cast<std::size_t>(c);
      for (int i = 0; i < x.rows; ++i)
        for (int j = 0; j < x.columns; ++j)
          y(s, c, i, j) = weight[channel] * (x(s, c, i, j) - mean) / sigma + bias[channel];
    }
  return y;
}

/// Layer norm of part 0 (q) or 1 (k) of every head; channel = head * 3d + part * d + k.
inline void layer_norm_heads(Image& p, int heads, int part, const Numbers& weight, const Numbers& bias, double eps) {
  const int d = p.channels / (3 * heads);
  for (int s = 0; s < p.samples; ++s)
    for (int head = 0; head < heads; ++head)
      for (int i = 0; i < p.rows; ++i)
        for (int j = 0; j < p.columns; ++j) {
          const int first = (3 * head + part) * d;
          double mean = 0, variance = 0;
          for (int c = 0; c < d; ++c) mean += p(s, first + c, i, j) / d;
          for (int c = 0; c < d; ++c) variance += std::pow(p(s, first + c, i, j) - mean, 2) / d;
          for (int c = 0; c < d; ++c) {
            double& v = p(s, first + c, i, j);
            v = weight[static_cast<std::size_t>(c)] * (v - mean) / std::sqrt(variance + eps) +
                bias[static_cast<std::size_t>(c)];
          }
        }
}

struct Place {
  int sample, row, column;
};

/// out += share * softmax(q k^T / sqrt(d) + bias) v along a sequence of places; bias (heads, length, length).
inline void attend(const Image& p, int heads, const std::vector<Place>& sequence, const Numbers& bias, double share,
                   Image& out) {
  const int d = p.channels / (3 * heads), length = static_cast<int>(sequence.size());
  const auto at = [&](int part, int head, const Place& place, int c) {
    return p(place.sample, (3 * head + part) * d + c, place.row, place.column);
  };
  for (int head = 0; head < heads; ++head)
    for (int i = 0; i < length; ++i) {
      const Place& query = sequence[static_cast<std::size_t>(i)];
      Numbers weight;
      double total = 0;
      for (int j = 0; j < length; ++j) {
        double score = 0;
        for (int c = 0; c < d; ++c)
          score += at(0, head, query, c) * at(1, head, sequence[static_cast<std::size_t>(j)], c) / std::sqrt(d);
        if (!bias.empty()) score += bias[static_cast<std::size_t>((head * length + i) * length + j)];
        weight.push_back(std::exp(score));
        total += weight.back();
      }
      for (int j = 0; j < length; ++j)
        for (int c = 0; c < d; ++c)
          out(query.sample, head * d + c, query.row, query.column) +=
              share * weight[static_cast<std::size_t>(j)] / total *
              at(2, head, sequence[static_cast<std::size_t>(j)], c);
    }
}

}  // namespace fieldstep::support::reference
