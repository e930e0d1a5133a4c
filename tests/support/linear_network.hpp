#pragma once
#include <fieldstep/core/packed.hpp>
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/core/tensor.hpp>
#include <fieldstep/train/regression.hpp>
#include <support/numbers.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace fieldstep::support {

/// A network in training that is worked out by hand: in every point y[c] = sum_k weight[c, k] x[k] + bias[c] + scale *
/// lead time. Its matrix is packed and padded as a real one's; `scale` is a buffer, not trained.
template <class Real>
class LinearNetwork {
 public:
  static constexpr int in = 3, out = 2;

  template <class R>
  struct Params {
    Packed<R, LinearLayout<in, out>> weight;
    Tensor<R, out> bias{nullptr};
    Tensor<R, 1> scale{nullptr};
    using hana_accessors_impl = Fields<Field<"weight", &Params::weight>, Field<"bias", &Params::bias>,
                                       Field<"scale", &Params::scale, init_buffer(1)>>;
  };
  static constexpr auto params = make_param_table<Params<Real>>();
  static ParamTable table() { return params; }
  static constexpr std::size_t arena_size = arena_count<Params<Real>>();

  explicit LinearNetwork(int points) : points_(points), weights_(constant<Real>(arena_size, 0)) {
    gradient_ = constant<Real>(arena_size, 0);
    for (const ParamEntry& entry : table())
      import_param(entry, synth("linear/" + std::string(entry.path.view()), entry.size, 0, 1).data(), weights_.data());
  }

  Real* weights() { return weights_.data(); }
  Real* gradient() { return gradient_.data(); }
  void clear_gradient() { std::fill_n(gradient_.data(), arena_size, Real(0)); }
  void condition(int set) { conditioned.push_back(set); }
  std::vector<int> conditioned;  ///< the sets of all calls

  void forward(int samples, const Real* x, const Real* lead_times, Real* y) {
    const auto w = bind<Params<const Real>>(static_cast<const Real*>(weights_.data()));
    samples_ = samples, x_ = x;
    for (int s = 0; s < samples; ++s)
      for (int c = 0; c < out; ++c)
        for (int p = 0; p < points_; ++p) {
          Real sum = w.bias(c) + w.scale(0) * lead_times[s];
          for (int k = 0; k < in; ++k) sum += w.weight(k, c) * x[(s * in + k) * points_ + p];
          y[(s * out + c) * points_ + p] = sum;
        }
  }

  void backward(const Real* dy) {
    const auto dw = bind<Params<Real>>(gradient_.data());
    for (int s = 0; s < samples_; ++s)
      for (int c = 0; c < out; ++c)
        for (int p = 0; p < points_; ++p) {
          const Real g = dy[(s * out + c) * points_ + p];
          dw.bias(c) += g;
          for (int k = 0; k < in; ++k) dw.weight(k, c) += g * x_[(s * in + k) * points_ + p];
        }
  }

 private:
  int points_, samples_ = 0;
  Arena<Real> weights_, gradient_;
  const Real* x_ = nullptr;
};

/// Samples for it, of two sets: x and target drawn; the first channel of set 1 is known.
template <class Real>
class LinearData {
 public:
  static constexpr int points = 4, in = LinearNetwork<Real>::in, out = LinearNetwork<Real>::out;
  static constexpr std::array<std::int32_t, 2> sizes{7, 5};

  static int sets() { return 2; }
  static train::SampleShape shape(int) { return {.input = in * points, .channels = out, .points = points}; }

  const Real* x(int set, std::int32_t sample) const { return x_.data() + place(set, sample) * in * points; }
  Real* target(int set, std::int32_t sample) { return target_.data() + place(set, sample) * out * points; }
  static Real lead_time(std::int32_t sample) { return static_cast<Real>(sample) / 8; }

  void gather(const train::Minibatch& minibatch, Real* x_to, Real* lead_times, Real* target_to) {
    for (const std::int32_t i : minibatch.samples) {
      x_to = std::copy_n(x(minibatch.set, i), in * points, x_to);
      target_to = std::copy_n(target(minibatch.set, i), out * points, target_to);
      *lead_times++ = lead_time(i);
    }
  }

  void impose_known(const train::Minibatch& minibatch, const Real* wanted, Real* y) const {
    for (std::size_t s = 0; minibatch.set == 1 && s < minibatch.samples.size(); ++s)
      std::copy_n(wanted + s * out * points, points, y + s * out * points);
  }

 private:
  static std::size_t place(int set, std::int32_t sample) { return static_cast<std::size_t>(set * sizes[0] + sample); }

  Arena<Real> x_ = drawn<Real>("x", 12 * in * points), target_ = drawn<Real>("target", 12 * out * points);
};

}  // namespace fieldstep::support
