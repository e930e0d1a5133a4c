#pragma once
#include <fieldstep/core/carver.hpp>
#include <fieldstep/core/params.hpp>
#include <fieldstep/ops/conv_targets.hpp>
#include <fieldstep/ops/image_conv_gradient.hpp>

#include <type_traits>

namespace fieldstep::blocks {

namespace detail {

template <class R, int Out, int In, int Kernel, int... N>
Tensor<R, Out, In, ((void)N, Kernel)...> conv_weight(Shape<N...>);
template <class R, int Out, int... N>
Tensor<R, Out, ((void)N, 1)...> conv_bias(Shape<N...>);
template <int More, int... N>
Shape<N + More...> grown(Shape<N...>);

}  // namespace detail

/// Where the parameters of a convolution are; bias: null if there is none.
template <class R>
struct ConvPointers {
  R *weight, *bias;
};

/// Weights of a convolution as its kernels read them.
template <class Real>
struct PreparedConv {
  Real *taps, *turned, *bias;
};

/// Parameters of a convolution of a field of Points, named and shaped as Equinox does.
///   weight: (Out, In, Kernel, ...), bias: (Out, 1, ...)
template <class R, class Points, int Kernel, int In, int Out, bool Bias>
struct ConvParams {
  static constexpr int fan_in = [] {
    int count = In;
    for (int a = 0; a < Points::rank; ++a) count *= Kernel;
    return count;
  }();
  using BiasTensor = decltype(detail::conv_bias<R, Out>(Points()));

  decltype(detail::conv_weight<R, Out, In, Kernel>(Points())) weight{nullptr};
  PresentIf<Bias, BiasTensor> bias{nullptr};
  using hana_accessors_impl = Fields<Field<"weight", &ConvParams::weight, init_weight(fan_in)>,
                                     Field<"bias", &ConvParams::bias, init_bias(fan_in)>>;

  ConvPointers<R> pointers() const {
    if constexpr (Bias)
      return {weight.data_handle(), bias.data_handle()};
    else
      return {weight.data_handle(), nullptr};
  }
};

/// A convolution that keeps the size of a field of Points = Shape<...>:
///   y[p] = bias + sum_t weight[t] x[p + t - before]      before = (Kernel - 1) / 2; `rule` says what is read outside
/// Images are channels last in frames (ops/image_conv.hpp). Whether inputs and outputs fill vectors is for the network
/// to say, since layers share their images.
/// Source: equinox.nn.Conv with padding="SAME".
template <class Real, class Points, int Kernel, ops::Padding rule, int In, bool InVectors, int Out, bool OutVectors>
struct ConvLayer {
  static constexpr int before = (Kernel - 1) / 2, after = Kernel - 1 - before;
  static constexpr bool replicate = rule == ops::Padding::replicate;
  using X = ops::ConvImage<Real, ops::Frame<Points, before, after, rule>, In, InVectors>;
  /// The gradient of y. Behind a border that replicates there is no one to read from it: it stands in zeros, far enough
  /// for the gradient of all that is read of x.
  using Dy =
      ops::ConvImage<Real,
                     std::conditional_t<replicate, ops::Frame<Points, Kernel - 1, Kernel - 1, ops::Padding::zero>,
                                        ops::Frame<Points, after, before, rule>>,
                     Out, OutVectors>;

  using Prepared = PreparedConv<Real>;
  static constexpr Prepared take_prepared(Carver<Real>& from) {
    return {from.take(Taps::size), from.take(Turned::size), from.take(bias_size)};
  }
  /// Overwrites what `prepared` points to.
  static void prepare(const ConvPointers<const Real>& w, const Prepared& prepared) {
    constexpr int taps = Taps::taps;
    Taps::pack(prepared.taps, [=](int o, int c, int t) { return w.weight[(o * In + c) * taps + t]; });
    Turned::pack(prepared.turned, [=](int c, int o, int t) { return w.weight[(o * In + c) * taps + taps - 1 - t]; });
    std::fill_n(prepared.bias, bias_size, Real(0));
    if (w.bias) std::copy_n(w.bias, Out, prepared.bias);
  }

  /// x: X's; target: where y goes.
  template <class Exec, class Target>
  static void forward(const Exec& exec, int samples, const Prepared& w, const Real* x, const Target& target) {
    ops::conv<X, Taps>(exec, samples, x, static_cast<const Real*>(w.taps), target);
  }

  /// Adds to dw. scratch: gradient_size(samples)
  template <class Exec>
  static void add_gradient(const Exec& exec, int samples, const Real* x, const Real* dy, const ConvPointers<Real>& dw,
                           Real* scratch) {
    ops::add_conv_gradient<X, Dy, Kernel>(exec, samples, x, dy, dw.weight, dw.bias, scratch);
  }
  static constexpr std::size_t gradient_size(int samples) {
    return ops::ConvGradient<X, Dy, Kernel>::scratch_size(samples);
  }

  /// dy: Dy's; target: where dx goes. scratch: transposed_size(samples)
  template <class Exec, class Target>
  static void transposed(const Exec& exec, int samples, const Prepared& w, const Real* dy, const Target& target,
                         [[maybe_unused]] Real* scratch) {
    const Real* taps = w.turned;
    if constexpr (!replicate) {
      ops::conv<Dy, Turned>(exec, samples, dy, taps, target);
    } else {  // of the field and all around it, then what was read there is added to where it was read from
      using XFrame = typename X::Frame;
      using Around =
          ops::ConvImage<Real,
                         ops::Frame<decltype(detail::grown<Kernel - 1>(Points())), after, before, ops::Padding::zero>,
                         Out, OutVectors>;
      ops::conv<Around, ops::ConvTaps<Around, Kernel, In, InVectors>>(
          exec, samples, dy, taps, ops::PixelTarget<Real, XFrame::width, X::stride>{scratch});
      constexpr int L = InVectors ? ops::lanes<Real> : 1;
      for_ranges(exec, samples * XFrame::lines, [=](int begin, int end) {
        for (int n = begin; n < end; ++n) {
          XFrame::gather_line(scratch + n / XFrame::lines * X::size, n % XFrame::lines, X::stride);
          const auto to = target.line(n);
          const Real* from = X::line(scratch, n);
          for (int j = 0; j < XFrame::columns; ++j)
            for (int c = 0; c < X::stride; c += L, from += L) to.template put<L>(j, c, ops::load<L>(from));
          to.close();
        }
      });
    }
  }
  static constexpr std::size_t transposed_size(int samples) {
    return replicate ? static_cast<std::size_t>(samples * X::size) : 0;
  }

  /// Multiply-adds count as two.
  static constexpr double flop(int samples) {
    return 2.0 * samples * static_cast<double>(Points::size) * Taps::taps * In * Out;
  }

 private:
  using Taps = ops::ConvTaps<X, Kernel, Out, OutVectors>;
  using Turned = ops::ConvTaps<Dy, Kernel, In, InVectors>;
  static constexpr int bias_size = ops::whole_vectors<Real>(Out);
};

}  // namespace fieldstep::blocks
