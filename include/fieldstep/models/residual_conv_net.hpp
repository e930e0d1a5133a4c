#pragma once
#include <fieldstep/blocks/conv_layer.hpp>
#include <fieldstep/core/init_equinox.hpp>
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/ops/activation.hpp>

#include <algorithm>
#include <array>
#include <type_traits>

namespace fieldstep::models {

/// What a ResidualConvNet is unless its configuration says otherwise.
struct ResidualConvNetDefaults {
  static constexpr int channels = 1;  ///< of the state
  static constexpr int hidden = 32;   ///< channels inside
  static constexpr int blocks = 6;
  static constexpr int kernel = 3;
  static constexpr ops::Padding padding = ops::Padding::periodic;
  using Activation = ops::Relu;
};

/// Residual blocks between two pointwise convolutions:
///   x_0 = lift(u),  h_b = f(conv_1(x_b)),  x_{b+1} = f(x_b + conv_2(h_b)),  next = project(x_blocks)
///   u, next: (samples, channels, points), Points = Shape<...>
/// A tape holds u, x_b and h_b in the frames of what reads them, and the slopes of activations whose value does not
/// give them.
/// Source: pdequinox' ClassicResNet without norms, APEBench's `Res;hidden;blocks;activation`.
template <class Config, class Points, class Real_ = float>
struct ResidualConvNet {
  using Real = Real_;
  using Activation = typename Config::Activation;
  static constexpr int depth = Config::blocks, channels = Config::channels, hidden = Config::hidden;
  static_assert(depth >= 1, "ResidualConvNet: there must be a block");
  static constexpr std::size_t state_size = channels * Points::size;

  template <class R>
  struct Block {
    blocks::ConvParams<R, Points, Config::kernel, hidden, hidden, true> conv_1, conv_2;
    using hana_accessors_impl = Fields<Field<"conv_1", &Block::conv_1>, Field<"conv_2", &Block::conv_2>>;
  };
  template <class R>
  struct Params {
    // in full: the member of that name hides the room
    fieldstep::blocks::ConvParams<R, Points, 1, channels, hidden, true> lifting;
    std::array<Block<R>, depth> blocks;
    fieldstep::blocks::ConvParams<R, Points, 1, hidden, channels, true> projection;
    using hana_accessors_impl = Fields<Field<"lifting", &Params::lifting>, Field<"blocks", &Params::blocks>,
                                       Field<"projection", &Params::projection>>;
  };
  static constexpr auto params = make_param_table<Params<Real>>();
  static ParamTable table() { return params; }
  static constexpr std::size_t arena_size = arena_count<Params<Real>>();

  /// pdequinox' start values.
  static void initialise(Real* weights, Key key, RandomLayout layout = RandomLayout::partitionable) {
    std::size_t next = initialise_layer_equinox(table(), 0, weights, split(key, 0, 2, layout), layout);
    for (int b = 0; b < depth; ++b) {
      key = split(key, 1, 2, layout);
      const Key own = split(key, 0, 2, layout);
      for (std::uint64_t conv = 0; conv < 2; ++conv)
        next = initialise_layer_equinox(table(), next, weights, split(own, conv, 3, layout), layout);
    }
    initialise_layer_equinox(table(), next, weights, split(key, 1, 2, layout), layout);
  }

  // Layers: the lifting, two a block, the projection.
  static constexpr int layers = 2 * depth + 2;
  using Gradient = std::array<blocks::ConvPointers<Real>, layers>;
  static Gradient bind_gradient(Real* arena) { return pointers(arena); }

  using Prepared = std::array<blocks::PreparedConv<Real>, layers>;
  static constexpr std::size_t prepared_size() {
    Carver<Real> from;
    take_prepared(from);
    return from.taken();
  }
  static Prepared prepare(const Real* weights, Real* memory) {
    Carver<Real> from(memory);
    const Prepared prepared = take_prepared(from);
    const auto w = pointers(weights);
    Lifting::prepare(w.front(), prepared.front());
    for (std::size_t l = 1; l + 1 < layers; ++l) Conv::prepare(w[l], prepared[l]);
    Projection::prepare(w.back(), prepared.back());
    return prepared;
  }

  static constexpr std::size_t tape_size(int samples) {
    Carver<Real> from;
    States<Real>::take(from, samples, true);
    return from.taken();
  }
  static constexpr std::size_t scratch_size(int samples) {
    Carver<Real> inference, backward;
    States<Real>::take(inference, samples, false);
    Scratch::take(backward, samples);
    return std::max(inference.taken(), backward.taken());
  }

  /// Overwrites next. tape: what backward() reads, null if there is none to come.
  template <class Exec>
  static void forward(const Exec& exec, int samples, const Prepared& w, const Real* u, Real* next, Real* tape,
                      Real* scratch) {
    Carver<Real> from(tape ? tape : scratch);
    const auto s = States<Real>::take(from, samples, tape != nullptr);
    ops::frame_field<typename Lifting::X>(exec, samples, u, s.u);
    Lifting::forward(exec, samples, w.front(), s.u,
                     ops::ActivationTarget<Inner, ops::Identity>{s.x.front(), w.front().bias});
    for (std::size_t b = 0; b < depth; ++b) {
      const auto &first = w[2 * b + 1], &second = w[2 * b + 2];
      Conv::forward(exec, samples, first, s.x[b],
                    ops::ActivationTarget<Inner, Activation>{s.h[b], first.bias, s.h_slope[b]});
      const auto join = [&]<class Y>(Y) {
        Conv::forward(exec, samples, second, s.h[b],
                      ops::ActivationTarget<Y, Activation, Inner>{s.x[b + 1], second.bias, s.x_slope[b + 1], s.x[b]});
      };
      b + 1 < depth ? join(Inner()) : join(Outer());
    }
    Projection::forward(exec, samples, w.back(), s.x.back(),
                        ops::FieldTarget<typename Outer::Frame, channels, Real>{next, w.back().bias});
  }

  /// Adds to dw; overwrites du, where it is not null, from g = dL/dnext and the tape of forward().
  template <class Exec>
  static void backward(const Exec& exec, int samples, const Prepared& w, const Real* /*u*/, const Real* tape,
                       const Real* g, Real* du, const Gradient& dw, Real* scratch) {
    Carver<const Real> kept(tape);
    Carver<Real> from(scratch);
    const auto s = States<const Real>::take(kept, samples, true);
    const Scratch own = Scratch::take(from, samples);
    const auto slopes = [](const Real* value, const Real* slope) { return Activation::keeps_slope ? slope : value; };
    using InnerDy = typename Conv::Dy;

    ops::frame_field<typename Projection::Dy>(exec, samples, g, own.outside);
    Projection::add_gradient(exec, samples, s.x.back(), own.outside, dw.back(), own.sums);
    Projection::transposed(
        exec, samples, w.back(), own.outside,
        ops::SlopeTarget<InnerDy, Outer, Activation>{own.dx[depth % 2], slopes(s.x.back(), s.x_slope.back())},
        own.around);
    for (std::size_t b = depth; b-- > 0;) {
      const Real* dx = own.dx[(b + 1) % 2];  // of x_b + conv_2(h_b)
      Conv::add_gradient(exec, samples, s.h[b], dx, dw[2 * b + 2], own.sums);
      Conv::transposed(exec, samples, w[2 * b + 2], dx,
                       ops::SlopeTarget<InnerDy, Inner, Activation>{own.dh, slopes(s.h[b], s.h_slope[b])}, own.around);
      Conv::add_gradient(exec, samples, s.x[b], own.dh, dw[2 * b + 1], own.sums);
      if (b > 0)
        Conv::transposed(exec, samples, w[2 * b + 1], own.dh,
                         ops::SlopeTarget<InnerDy, Inner, Activation>{own.dx[b % 2], slopes(s.x[b], s.x_slope[b]), dx},
                         own.around);
      else
        Conv::transposed(exec, samples, w[1], own.dh,
                         ops::SlopeTarget<typename Lifting::Dy, Inner, ops::Identity, InnerDy>{own.dx[0], s.x[0], dx},
                         own.around);
    }
    Lifting::add_gradient(exec, samples, s.u, own.dx[0], dw.front(), own.sums);
    if (du)
      Lifting::transposed(exec, samples, w.front(), own.dx[0],
                          ops::FieldTarget<typename Lifting::X::Frame, channels, Real>{du}, own.around);
  }

  static constexpr double flop(int samples) {
    return Lifting::flop(samples) + 2 * depth * Conv::flop(samples) + Projection::flop(samples);
  }

 private:
  static constexpr bool vectors = channels >= ops::lanes<Real>;  ///< whether the state's channels fill vectors
  template <int Kernel, ops::Padding rule, int In, bool InVectors, int Out, bool OutVectors>
  using Layer = blocks::ConvLayer<Real, Points, Kernel, rule, In, InVectors, Out, OutVectors>;
  using Lifting = Layer<1, ops::Padding::periodic, channels, vectors, hidden, true>;
  using Conv = Layer<Config::kernel, Config::padding, hidden, true, hidden, true>;
  using Projection = Layer<1, ops::Padding::periodic, hidden, true, channels, vectors>;
  using Inner = typename Conv::X;        ///< images that a block reads
  using Outer = typename Projection::X;  ///< what the projection reads

  template <class R>
  static auto pointers(R* arena) {
    const auto p = bind<Params<R>>(arena);
    std::array<blocks::ConvPointers<R>, layers> all{};
    all.front() = p.lifting.pointers(), all.back() = p.projection.pointers();
    for (std::size_t b = 0; b < depth; ++b)
      all[2 * b + 1] = p.blocks[b].conv_1.pointers(), all[2 * b + 2] = p.blocks[b].conv_2.pointers();
    return all;
  }
  static constexpr Prepared take_prepared(Carver<Real>& from) {
    Prepared prepared{};
    prepared.front() = Lifting::take_prepared(from), prepared.back() = Projection::take_prepared(from);
    for (std::size_t l = 1; l + 1 < layers; ++l) prepared[l] = Conv::take_prepared(from);
    return prepared;
  }

  template <class R>
  struct States {
    R* u = nullptr;
    std::array<R*, depth + 1> x{}, x_slope{};
    std::array<R*, depth> h{}, h_slope{};

    static constexpr States take(Carver<R>& from, int samples, bool all) {
      States s;
      s.u = from.take(static_cast<std::size_t>(samples * Lifting::X::size));
      const auto count = static_cast<std::size_t>(samples * std::max(Inner::size, Outer::size));
      for (std::size_t b = 0; b <= depth; ++b) {
        s.x[b] = all || b < 2 ? from.take(count) : s.x[b - 2];
        if (Activation::keeps_slope) s.x_slope[b] = all || b == 0 ? from.take(count) : s.x_slope[0];
        if (b == depth) break;
        s.h[b] = all || b == 0 ? from.take(count) : s.h[0];
        if (Activation::keeps_slope) s.h_slope[b] = all || b == 0 ? from.take(count) : s.h_slope[0];
      }
      return s;
    }
  };

  /// Of the backward pass: gradients of neighbouring states, of what is within a block and of next, sums, and what
  /// ConvLayer::transposed needs.
  struct Scratch {
    std::array<Real*, 2> dx;
    Real *dh, *outside, *sums, *around;

    static constexpr Scratch take(Carver<Real>& from, int samples) {
      const auto inner = static_cast<std::size_t>(samples * std::max(Conv::Dy::size, Lifting::Dy::size));
      const std::size_t sums =
          std::max({Lifting::gradient_size(samples), Conv::gradient_size(samples), Projection::gradient_size(samples)});
      return {{from.take(inner), from.take(inner)},
              from.take(inner),
              from.take(static_cast<std::size_t>(samples * Projection::Dy::size)),
              from.take(sums),
              from.take(Conv::transposed_size(samples))};
    }
  };
};

}  // namespace fieldstep::models
