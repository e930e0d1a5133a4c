#pragma once
#include <fieldstep/blocks/conv_layer.hpp>
#include <fieldstep/ops/planar_conv.hpp>

namespace fieldstep::blocks {

/// ConvLayer from a field to a field, of so few channels that they fill no vector: (samples, In, points) -> (samples,
/// Out, points).
template <class Real, class Points, int Kernel, ops::Padding rule, int In, int Out>
struct PlanarConvLayer {
  static constexpr int before = (Kernel - 1) / 2, after = Kernel - 1 - before;
  static constexpr bool replicate = rule == ops::Padding::replicate;
  using Conv = ops::PlanarConv<Real, ops::Frame<Points, before, after, rule>, Kernel, In, Out>;

  /// Numbers of x in its frame.
  static constexpr std::size_t framed_size(int samples) {
    return static_cast<std::size_t>(samples) * In * Conv::Frame::size;
  }
  /// x in its frame to `framed`, then y = residual + conv(x). residual may be null for 0.
  template <class Exec>
  static void forward(const Exec& exec, int samples, const ConvPointers<const Real>& w, const Real* x,
                      const Real* residual, Real* y, Real* framed) {
    ops::frame_field<typename Conv::Plane>(exec, samples * In, x, framed);
    const Real* weight = w.weight;
    const auto tap = [=](int o, int c, int t) { return weight[(o * In + c) * Conv::taps + t]; };
    ops::planar_conv<Conv>(exec, samples, static_cast<const Real*>(framed), tap, w.bias, residual, y);
  }

  static constexpr std::size_t scratch_size(int samples) {
    Carver<Real> count;
    Scratch::take(count, samples);
    return count.taken();
  }
  /// Adds to dw; overwrites dx = residual + what goes through the convolution, unless it is null. framed: of forward
  template <class Exec>
  static void backward(const Exec& exec, int samples, const ConvPointers<const Real>& w, const Real* framed,
                       const Real* dy, const Real* residual, Real* dx, const ConvPointers<Real>& dw, Real* scratch) {
    Carver<Real> from(scratch);
    const Scratch own = Scratch::take(from, samples);
    ops::add_planar_conv_gradient<Conv>(exec, samples, framed, dy, dw.weight, dw.bias, own.sums);
    if (!dx) return;
    ops::frame_field<DyPlane>(exec, samples * Out, dy, own.dy);
    const Real *weight = w.weight, *g = own.dy, *none = nullptr;
    const auto tap = [=](int c, int o, int t) { return weight[(o * In + c) * Conv::taps + Conv::taps - 1 - t]; };
    if constexpr (!replicate) {
      ops::planar_conv<Turned>(exec, samples, g, tap, none, residual, dx);
    } else {
      ops::planar_conv<Turned>(exec, samples, g, tap, none, none, own.around);
      using Frame = typename Conv::Frame;
      for_ranges(exec, samples * In * Frame::lines, [=](int begin, int end) {
        for (int n = begin; n < end; ++n) {
          Frame::gather_line(own.around + n / Frame::lines * std::ptrdiff_t{Frame::size}, n % Frame::lines, 1);
          const Real* line = Conv::Plane::line(own.around, n);
          const std::ptrdiff_t at = std::ptrdiff_t{n} * Frame::columns;
          for (int j = 0; j < Frame::columns; ++j) dx[at + j] = residual ? residual[at + j] + line[j] : line[j];
        }
      });
    }
  }

  static constexpr double flop(int samples) {
    return 2.0 * samples * static_cast<double>(Points::size) * Conv::weights;
  }

 private:
  using DyPlane =
      ops::ConvImage<Real,
                     std::conditional_t<replicate, ops::Frame<Points, Kernel - 1, Kernel - 1, ops::Padding::zero>,
                                        ops::Frame<Points, after, before, rule>>,
                     1, false>;
  /// The transposed convolution; where borders replicate, of the field and all around it.
  using Turned = ops::PlanarConv<
      Real,
      std::conditional_t<replicate,
                         ops::Frame<decltype(detail::grown<Kernel - 1>(Points())), after, before, ops::Padding::zero>,
                         typename DyPlane::Frame>,
      Kernel, Out, In>;

  struct Scratch {
    Real *sums, *dy, *around;
    static constexpr Scratch take(Carver<Real>& from, int samples) {
      const auto planes = static_cast<std::size_t>(samples);
      return {from.take(Conv::scratch_size(samples)), from.take(planes * Out * DyPlane::Frame::size),
              from.take(replicate ? planes * In * Conv::Frame::size : 0)};
    }
  };
};

}  // namespace fieldstep::blocks
