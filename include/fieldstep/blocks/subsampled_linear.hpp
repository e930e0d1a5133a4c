#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/core/params.hpp>
#include <fieldstep/ops/vec.hpp>

#include <cmath>
#include <span>

namespace fieldstep::blocks {

/// A linear layer over the vocabulary of physical states of which only the present ones' columns are used:
///   u[pixel, o] = sqrt(States / C) * (sum_c weight[o, label_c] x[pixel, c] + bias[o])        the factor scales the
///   bias too
/// Source: MPP's SubsampledLinear (models/shared_modules.py).
template <class Real, int States, int Out>
struct SubsampledLinear {
  template <class R>
  struct Params {
    Tensor<R, Out, States> weight{nullptr};
    Tensor<R, Out> bias{nullptr};
    using hana_accessors_impl = Fields<Field<"weight", &Params::weight, init_weight(States, Out)>,
                                       Field<"bias", &Params::bias, init_bias(States)>>;
  };
  using Weights = Params<const Real>;

  /// A label as an index: negative ones count from the end.
  static constexpr int state(int label) { return label < 0 ? label + States : label; }

  /// The C columns in use and the bias, factor included. columns: (C, Out), constant: (Out).
  static void gather(const Weights& w, std::span<const int> labels, Real* columns, Real* constant) {
    const Real factor = factor_of(labels);
    for (const int label : labels)
      for (int o = 0; o < Out; ++o) *columns++ = factor * w.weight(o, state(label));
    for (int o = 0; o < Out; ++o) constant[o] = factor * w.bias(o);
  }

  /// Adds the gradient of gather to dw: repeated labels add up, absent ones get nothing.
  static void gather_backward(std::span<const int> labels, const Real* dcolumns, const Real* dconstant,
                              const Params<Real>& dw) {
    const Real factor = factor_of(labels);
    for (const int label : labels)
      for (int o = 0; o < Out; ++o) dw.weight(o, state(label)) += factor * *dcolumns++;
    for (int o = 0; o < Out; ++o) dw.bias(o) += factor * dconstant[o];
  }

  /// What hMLP_stem folds into its first convolution: overwrites u (samples, pixels, Out) from x (samples, C, pixels)
  /// with columns and constant from gather.
  template <class Exec>
  static void forward(const Exec& exec, int samples, int pixels, int fields, const Real* columns, const Real* constant,
                      const Real* x, Real* u) {
    constexpr int L = ops::lanes_for<Real>(Out);
    for_ranges(exec, samples * pixels, [=](int begin, int end) {
      for (int p = begin; p < end; ++p) {
        const Real* at = x + static_cast<std::ptrdiff_t>(p / pixels) * fields * pixels + p % pixels;
        for (int o = 0; o < Out; o += L) {
          ops::vec<Real, L> sum = ops::load<L>(constant + o);
          for (int c = 0; c < fields; ++c)
            sum += at[static_cast<std::ptrdiff_t>(c) * pixels] * ops::load<L>(columns + c * Out + o);
          ops::store<L>(u + static_cast<std::ptrdiff_t>(p) * Out + o, sum);
        }
      }
    });
  }

 private:
  static Real factor_of(std::span<const int> labels) {
    return std::sqrt(Real(States) / static_cast<Real>(labels.size()));
  }
};

}  // namespace fieldstep::blocks
