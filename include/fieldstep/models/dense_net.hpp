#pragma once
#include <fieldstep/blocks/linear.hpp>
#include <fieldstep/core/carver.hpp>
#include <fieldstep/core/init_equinox.hpp>
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/ops/activation.hpp>
#include <fieldstep/ops/matmul_backward.hpp>

#include <algorithm>
#include <array>
#include <tuple>

namespace fieldstep::models {

/// What a DenseNet is unless its configuration says otherwise.
struct DenseNetDefaults {
  static constexpr int channels = 1;  ///< of the state
  static constexpr int width = 64;    ///< of the hidden layers
  static constexpr int depth = 3;     ///< hidden layers
  using Activation = ops::Relu;       ///< after every hidden layer
};

namespace detail {

/// Stores f(x W + bias), and f' where it is kept. slope: as y, (rows, stride)
template <class Real, class Activation>
struct ActivationEpilogue {
  const Real* bias;
  Real* slope;
  std::ptrdiff_t stride;

  template <int L>
  [[gnu::always_inline]] auto columns(int column) const {
    const auto b = ops::load<L>(bias + column);
    if constexpr (Activation::keeps_slope)
      return [b, to = slope + column, step = stride](int row, ops::vec<Real, L> sums) {
        ops::vec<Real, L> derivative;
        const ops::vec<Real, L> y = Activation::template value<Real, L>(sums + b, derivative);
        ops::store<L>(to + row * step, derivative);
        return y;
      };
    else
      return [b](int, ops::vec<Real, L> sums) { return Activation::template value<Real, L>(sums + b); };
  }
};

/// Stores (dy W^T) * f', from values of f, or from kept slopes. from: as dx, (rows, stride)
template <class Real, class Activation>
struct SlopeEpilogue {
  const Real* from;
  std::ptrdiff_t stride;

  template <int L>
  [[gnu::always_inline]] auto columns(int column) const {
    return [at = from + column, step = stride](int row, ops::vec<Real, L> sums) {
      const ops::vec<Real, L> here = ops::load<L>(at + row * step);
      if constexpr (Activation::keeps_slope)
        return sums * here;
      else
        return sums * Activation::template slope<Real, L>(here);
    };
  }
};

}  // namespace detail

/// A multilayer perceptron on all numbers of the state: next = W_n f(... f(W_1 u + b_1)) + b_n.
///   u, next: (samples, channels, points), Points = Shape<...>
/// A tape holds what the hidden layers give, (samples, width) each, and the slopes of activations whose value does not
/// give them.
/// Source: equinox.nn.MLP; pdequinox' MLP, APEBench's `MLP;width;depth;activation`.
template <class Config, class Points, class Real_ = float>
struct DenseNet {
  using Real = Real_;
  using Activation = typename Config::Activation;
  static constexpr int depth = Config::depth, width = Config::width, layers = depth + 1;
  static constexpr int size = Config::channels * static_cast<int>(Points::size);
  static_assert(depth >= 1, "DenseNet: there must be a hidden layer");
  static constexpr std::size_t state_size = static_cast<std::size_t>(size);

  template <int In, int Out, class R>
  using LayerParams = typename blocks::Linear<Real, In, Out>::template Params<R>;

  template <class R>
  struct Params {
    decltype(std::tuple_cat(std::tuple<LayerParams<size, width, R>>(),
                            std::array<LayerParams<width, width, R>, depth - 1>(),
                            std::tuple<LayerParams<width, size, R>>())) layers;
    using hana_accessors_impl = Fields<Field<"layers", &Params::layers>>;
  };
  static constexpr auto params = make_param_table<Params<Real>>();
  static ParamTable table() { return params; }
  static constexpr std::size_t arena_size = arena_count<Params<Real>>();
  /// Equinox' start values.
  static void initialise(Real* weights, Key key, RandomLayout layout = RandomLayout::partitionable) {
    initialise_layers_equinox(table(), layers, weights, key, layout);
  }

  using Gradient = Params<Real>;
  static Gradient bind_gradient(Real* arena) { return bind<Gradient>(arena); }
  using Prepared = Params<const Real>;
  static constexpr std::size_t prepared_size() { return 0; }
  static Prepared prepare(const Real* weights, Real*) { return bind<Prepared>(weights); }

  static constexpr std::size_t tape_size(int samples) {
    Carver<Real> from;
    Hidden<Real>::take(from, samples, true);
    return from.taken();
  }
  static constexpr std::size_t scratch_size(int samples) {
    Carver<Real> from;  // two layers' values and slopes, or two gradients
    Hidden<Real>::take(from, samples, false);
    return from.taken();
  }

  /// Overwrites next. tape: what backward() reads, null if there is none to come.
  template <class Exec>
  static void forward(const Exec& exec, int samples, const Prepared& w, const Real* u, Real* next, Real* tape,
                      Real* scratch) {
    Carver<Real> from(tape ? tape : scratch);
    const auto hidden = Hidden<Real>::take(from, samples, tape != nullptr);
    for_layers([&]<std::size_t L>(std::integral_constant<std::size_t, L>) {
      const auto& layer = std::get<L>(w.layers);
      const Real* bias = layer.bias.data_handle();
      if constexpr (L == depth)
        ops::matmul(exec, samples, ops::RowsLoader<Real>{hidden.value[L - 1], width}, layer.weight, next, size,
                    ops::BiasEpilogue<Real>{bias});
      else
        ops::matmul(exec, samples, input(u, hidden, L), layer.weight, hidden.value[L], width,
                    detail::ActivationEpilogue<Real, Activation>{bias, hidden.slope[L], width});
    });
  }

  /// Adds to dw; overwrites du, where it is not null, from g = dL/dnext and the tape of forward().
  template <class Exec>
  static void backward(const Exec& exec, int samples, const Prepared& w, const Real* u, const Real* tape, const Real* g,
                       Real* du, const Gradient& dw, Real* scratch) {
    Carver<const Real> kept(tape);
    Carver<Real> from(scratch);
    const auto hidden = Hidden<const Real>::take(kept, samples, true);
    const auto gradient = Hidden<Real>::take(from, samples, false).value;
    for_layers([&]<std::size_t Above>(std::integral_constant<std::size_t, Above>) {
      constexpr std::size_t L = depth - Above;
      constexpr int out = L == depth ? size : width;
      const Real* dy = L == depth ? g : gradient[L];
      const auto& layer = std::get<L>(dw.layers);
      ops::add_weight_gradient(exec, samples, input(u, hidden, L), dy, out, layer.weight, layer.bias.data_handle());
      const auto& weight = std::get<L>(w.layers).weight;
      if constexpr (L > 0)
        ops::matmul_transposed(exec, samples, ops::RowsLoader<Real>{dy, out}, weight, gradient[L - 1], width,
                               detail::SlopeEpilogue<Real, Activation>{
                                   Activation::keeps_slope ? hidden.slope[L - 1] : hidden.value[L - 1], width});
      else if (du)
        ops::matmul_transposed(exec, samples, ops::RowsLoader<Real>{dy, out}, weight, du, size,
                               ops::PlainEpilogue<Real>{});
    });
  }

  static constexpr double flop(int samples) {
    return 2.0 * samples * (2.0 * size * width + (depth - 1.0) * width * width);
  }

 private:
  static void for_layers(const auto& run) {
    [&]<std::size_t... L>(std::index_sequence<L...>) { (run(std::integral_constant<std::size_t, L>()), ...); }
    (std::make_index_sequence<layers>());
  }

  /// What hidden layers give; without a tape, layers take turns in two.
  template <class R>
  struct Hidden {
    std::array<R*, depth> value{}, slope{};

    static constexpr Hidden take(Carver<R>& from, int samples, bool all) {
      Hidden hidden;
      const auto count = static_cast<std::size_t>(samples) * width;
      for (std::size_t l = 0; l < depth; ++l) {
        hidden.value[l] = all || l < 2 ? from.take(count) : hidden.value[l - 2];
        if (Activation::keeps_slope) hidden.slope[l] = all || l == 0 ? from.take(count) : hidden.slope[0];
      }
      return hidden;
    }
  };

  template <class R>
  static ops::RowsLoader<Real> input(const Real* u, const Hidden<R>& hidden, std::size_t layer) {
    if (layer == 0) return {u, size};
    return {hidden.value[layer - 1], width};
  }
};

}  // namespace fieldstep::models
