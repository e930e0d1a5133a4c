#pragma once
#include <fieldstep/blocks/conv_layer.hpp>
#include <fieldstep/blocks/planar_conv_layer.hpp>
#include <fieldstep/core/init_equinox.hpp>
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/ops/activation.hpp>

#include <algorithm>
#include <array>
#include <tuple>
#include <type_traits>
#include <utility>

namespace fieldstep::models {

/// What a ConvNet is unless its configuration says otherwise.
struct ConvNetDefaults {
  static constexpr int channels = 1;  ///< of the state
  static constexpr int hidden = 32;   ///< channels between the layers
  static constexpr int layers = 5;    ///< convolutions
  static constexpr int kernel = 3;
  static constexpr ops::Padding padding = ops::Padding::periodic;
  static constexpr bool bias = true;
  static constexpr bool increment = false;  ///< next = u + net(u)
  using Activation = ops::Relu;             ///< after every layer but the last
};

/// One convolution without a bias, such as a finite difference.
struct LinearConv : ConvNetDefaults {
  static constexpr int layers = 1;
  static constexpr bool bias = false;
};

namespace detail {

/// The parameters of its layers, one after the other.
template <class R, class Config, class Points>
struct ConvStack {
  template <int... L>
  static std::tuple<blocks::ConvParams<R, Points, Config::kernel, L == 0 ? Config::channels : Config::hidden,
                                       L == Config::layers - 1 ? Config::channels : Config::hidden, Config::bias>...>
      stack(std::integer_sequence<int, L...>);
  using type = decltype(stack(std::make_integer_sequence<int, Config::layers>()));
};

}  // namespace detail

/// A stack of convolutions that keep the size of the field: next = c_n(f(c_{n-1}(... f(c_1(u))))).
///   u, next: (samples, channels, points), Points = Shape<...>
/// Every layer writes the next one's input, activated and in its frame. A tape holds these inputs, and the slopes of
/// activations whose value does not give them.
/// Source: pdequinox' ConvNet (depth = layers - 1), APEBench's `Conv;hidden;depth;activation`.
template <class Config, class Points, class Real_ = float>
struct ConvNet {
  using Real = Real_;
  using Activation = typename Config::Activation;
  static constexpr int layers = Config::layers, channels = Config::channels, hidden = Config::hidden;
  static_assert(layers >= 1, "ConvNet: there must be a layer");
  static_assert(Config::kernel >= 1 && channels >= 1 && hidden >= 1,
                "ConvNet: kernel, channels and hidden must be positive");
  static constexpr std::size_t state_size = channels * Points::size;

  template <class R>
  struct Params {
    typename detail::ConvStack<R, Config, Points>::type layers;
    using hana_accessors_impl = Fields<Field<"layers", &Params::layers>>;
  };
  static constexpr auto params = make_param_table<Params<Real>>();
  static ParamTable table() { return params; }
  static constexpr std::size_t arena_size = arena_count<Params<Real>>();
  /// Equinox' start values.
  static void initialise(Real* weights, Key key, RandomLayout layout = RandomLayout::partitionable) {
    initialise_layers_equinox(table(), layers, weights, key, layout);
  }

  using Gradient = std::array<blocks::ConvPointers<Real>, layers>;
  static Gradient bind_gradient(Real* arena) { return pointers(arena); }

  /// The weights, and as the kernels read them.
  struct Prepared {
    std::array<blocks::ConvPointers<const Real>, layers> weights{};
    std::array<blocks::PreparedConv<Real>, layers> packed{};
  };
  static constexpr std::size_t prepared_size() {
    Carver<Real> from;
    if constexpr (!planar) take_prepared(from);
    return from.taken();
  }
  static Prepared prepare(const Real* weights, [[maybe_unused]] Real* memory) {
    Prepared prepared{.weights = pointers(weights)};
    if constexpr (!planar) {
      Carver<Real> from(memory);
      prepared.packed = take_prepared(from);
      for (int l = 0; l < layers; ++l)
        with_layer(
            l, [&](auto place) { decltype(place)::Layer::prepare(prepared.weights[at(l)], prepared.packed[at(l)]); });
    }
    return prepared;
  }

  static constexpr std::size_t tape_size(int samples) {
    Carver<Real> from;
    Inputs<Real>::take(from, samples, true);
    return from.taken();
  }
  static constexpr std::size_t scratch_size(int samples) {
    if constexpr (planar) {
      return std::max(Planar::framed_size(samples), Planar::scratch_size(samples));
    } else {
      Carver<Real> inference, backward;
      Inputs<Real>::take(inference, samples, false);
      Scratch::take(backward, samples);
      return std::max(inference.taken(), backward.taken());
    }
  }

  /// Overwrites next. tape: what backward() reads, null if there is none to come.
  template <class Exec>
  static void forward(const Exec& exec, int samples, const Prepared& w, const Real* u, Real* next, Real* tape,
                      Real* scratch) {
    const Real* residual = Config::increment ? u : nullptr;
    if constexpr (planar) {
      Planar::forward(exec, samples, w.weights[0], u, residual, next, tape ? tape : scratch);
    } else {
      Carver<Real> from(tape ? tape : scratch);
      const auto inputs = Inputs<Real>::take(from, samples, tape != nullptr);
      ops::frame_field<typename First::X>(exec, samples, u, inputs.of.front());
      for (int l = 0; l < layers; ++l)
        with_layer(l, [&](auto place) {
          using Layer = typename decltype(place)::Layer;
          const auto& packed = w.packed[at(l)];
          if constexpr (place.last)
            Layer::forward(exec, samples, packed, inputs.of[at(l)],
                           ops::FieldTarget<typename Layer::X::Frame, channels, Real>{next, packed.bias, residual});
          else
            Layer::forward(
                exec, samples, packed, inputs.of[at(l)],
                ops::ActivationTarget<Hidden, Activation>{inputs.of[at(l + 1)], packed.bias, inputs.slope[at(l + 1)]});
        });
    }
  }

  /// Adds to dw; overwrites du, where it is not null, from g = dL/dnext and the tape of forward().
  template <class Exec>
  static void backward(const Exec& exec, int samples, const Prepared& w, const Real* /*u*/, const Real* tape,
                       const Real* g, Real* du, const Gradient& dw, Real* scratch) {
    const Real* residual = Config::increment ? g : nullptr;
    if constexpr (planar) {
      Planar::backward(exec, samples, w.weights[0], tape, g, residual, du, dw[0], scratch);
    } else {
      Carver<const Real> kept(tape);
      Carver<Real> from(scratch);
      const auto inputs = Inputs<const Real>::take(kept, samples, true);
      const Scratch own = Scratch::take(from, samples);
      ops::frame_field<typename Last::Dy>(exec, samples, g, own.dy[at(layers - 1) % 2]);
      for (int l = layers - 1; l >= 0; --l)
        with_layer(l, [&](auto place) {
          using Layer = typename decltype(place)::Layer;
          const Real* dy = own.dy[at(l) % 2];
          const auto& packed = w.packed[at(l)];
          Layer::add_gradient(exec, samples, inputs.of[at(l)], dy, dw[at(l)], own.sums);
          if constexpr (!place.first)
            Layer::transposed(
                exec, samples, packed, dy,
                ops::SlopeTarget<typename First::Dy, Hidden, Activation>{
                    own.dy[at(l + 1) % 2], Activation::keeps_slope ? inputs.slope[at(l)] : inputs.of[at(l)]},
                own.around);
          else if (du)
            Layer::transposed(exec, samples, packed, dy,
                              ops::FieldTarget<typename Layer::X::Frame, channels, Real>{du, nullptr, residual},
                              own.around);
        });
    }
  }

  static constexpr double flop(int samples) {
    double total = planar ? Planar::flop(samples) : 0;
    if constexpr (!planar)
      for (int l = 0; l < layers; ++l)
        with_layer(l, [&](auto place) { total += decltype(place)::Layer::flop(samples); });
    return total;
  }

 private:
  static constexpr bool vectors = channels >= ops::lanes<Real>;  ///< whether the state's channels fill vectors
  static constexpr bool planar = layers == 1 && !vectors;
  template <int In, bool InVectors, int Out, bool OutVectors>
  using Layer = blocks::ConvLayer<Real, Points, Config::kernel, Config::padding, In, InVectors, Out, OutVectors>;
  using Planar = blocks::PlanarConvLayer<Real, Points, Config::kernel, Config::padding, channels, channels>;
  // With vectors of hidden channels where there is a hidden layer.
  static constexpr int inside = layers == 1 ? channels : hidden;
  using First = Layer<channels, vectors, inside, layers == 1 ? vectors : true>;
  using Middle = Layer<hidden, true, hidden, true>;
  using Last = Layer<inside, layers == 1 ? vectors : true, channels, vectors>;
  using Hidden = typename Middle::X;

  static constexpr std::size_t at(int l) { return static_cast<std::size_t>(l); }

  /// A layer's type and where it stands: types may be the same.
  template <class Layer_, bool first_, bool last_>
  struct Place {
    using Layer = Layer_;
    static constexpr bool first = first_, last = last_;
  };
  /// use(Place()) for layer l: middle layers are of one type, however many there are.
  static constexpr void with_layer(int l, const auto& use) {
    if constexpr (layers > 1)
      if (l == 0) return use(Place<First, true, false>());
    if constexpr (layers > 2)
      if (l < layers - 1) return use(Place<Middle, false, false>());
    use(Place<Last, layers == 1, true>());
  }

  template <class R>
  static auto pointers(R* arena) {
    return std::apply([](const auto&... layer) { return std::array{layer.pointers()...}; },
                      bind<Params<R>>(arena).layers);
  }
  static constexpr auto take_prepared(Carver<Real>& from) {
    std::array<blocks::PreparedConv<Real>, layers> packed{};
    for (int l = 0; l < layers; ++l)
      with_layer(l, [&](auto place) { packed[at(l)] = decltype(place)::Layer::take_prepared(from); });
    return packed;
  }

  /// What the layers read, in frames: the state, then what the layer before makes of it, and the slopes there.
  template <class R>
  struct Inputs {
    std::array<R*, layers> of{}, slope{};

    static constexpr Inputs take(Carver<R>& from, int samples, bool all) {
      Inputs inputs;
      if constexpr (planar) {
        inputs.of.front() = from.take(Planar::framed_size(samples));
      } else {
        inputs.of.front() = from.take(static_cast<std::size_t>(samples * First::X::size));
        const auto count = static_cast<std::size_t>(samples * Hidden::size);
        for (std::size_t l = 1; l < layers; ++l) {
          inputs.of[l] = all || l <= 2 ? from.take(count) : inputs.of[l - 2];
          if (Activation::keeps_slope) inputs.slope[l] = all || l == 1 ? from.take(count) : inputs.slope[1];
        }
      }
      return inputs;
    }
  };

  /// Of the backward pass: the gradients of two neighbouring layers' outputs, sums, and what Layer::transposed needs.
  struct Scratch {
    std::array<Real*, 2> dy{};
    Real *sums, *around;

    static constexpr Scratch take(Carver<Real>& from, int samples) {
      std::ptrdiff_t dy = 0;
      std::size_t sums = 0, around = 0;
      for (int l = 0; l < layers; ++l)
        with_layer(l, [&](auto place) {
          using Layer = typename decltype(place)::Layer;
          dy = std::max(dy, samples * Layer::Dy::size);
          sums = std::max(sums, Layer::gradient_size(samples));
          around = std::max(around, Layer::transposed_size(samples));
        });
      const auto count = static_cast<std::size_t>(dy);
      return {{from.take(count), from.take(count)}, from.take(sums), from.take(around)};
    }
  };
};

}  // namespace fieldstep::models
