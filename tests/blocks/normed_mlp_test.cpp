#include <fieldstep/blocks/normed_mlp.hpp>
#include <support/block_gradient.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <cmath>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int in = 5, hidden = 11, out = 6;
constexpr double eps = 1e-5;
template <class Real, bool OutBias>
using Small = blocks::NormedMlp<Real, in, hidden, out, OutBias>;

/// What lies between two layers and is compared.
struct Layers {
  Numbers xhat, normed, activated, between, out;
  double rstd;
};

/// x W + b, W (in, out)
Numbers dense(const Numbers& x, const reference::State& layer, std::size_t outputs, bool biased) {
  const Numbers& kernel = layer["kernel"];
  Numbers y = biased ? layer["bias"] : Numbers(outputs);
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::size_t o = 0; o < outputs; ++o) y[o] += x[i] * kernel[i * outputs + o];
  return y;
}

/// dense3(dense2(ELU(norm1(dense1(x))))), a layer at a time.
Layers naive(const reference::State& state, const Numbers& x, bool out_bias) {
  Layers to;
  const Numbers first = dense(x, state / "dense1", hidden, true);
  double mean = 0, variance = 0;
  for (const double v : first) mean += v / hidden;
  for (const double v : first) variance += (v - mean) * (v - mean) / hidden;
  to.rstd = 1 / std::sqrt(variance + eps);
  for (std::size_t h = 0; h < hidden; ++h) {
    to.xhat.push_back((first[h] - mean) * to.rstd);
    to.normed.push_back(to.xhat[h] * state["norm1.scale"][h] + state["norm1.bias"][h]);
    to.activated.push_back(to.normed[h] > 0 ? to.normed[h] : std::expm1(to.normed[h]));
  }
  to.between = dense(to.activated, state / "dense2", hidden, true);
  to.out = dense(to.between, state / "dense3", out, out_bias);
  return to;
}

/// Samples one after the other, and what the reverse pass reads of each.
template <class Real, bool OutBias>
struct Case {
  static constexpr int samples = 3;
  using Block = Small<Real, OutBias>;
  static constexpr std::size_t x_size = samples * in, y_size = samples * out;
  struct Pass {
    typename Block::Saved saved;
    Real between[hidden];
  };
  std::unique_ptr<Pass[]> passes = std::make_unique<Pass[]>(samples);

  void infer(const Exec&, const auto& w, const Real*, const Real* x, Real* y) const {
    typename Block::Folded folded;
    Block::fold(w, folded);
    typename Block::Saved saved;
    for (int s = 0; s < samples; ++s) {
      Block::activate(w, Real(eps), x + s * in, saved);
      Block::finish(folded, saved, y + s * out);
    }
  }
  void forward(const Exec&, const auto& w, const Real*, const Real* x, Real* y, const auto&) const {
    for (int s = 0; s < samples; ++s) {
      Block::activate(w, Real(eps), x + s * in, passes[s].saved);
      Block::finish(w, passes[s].saved, passes[s].between, y + s * out);
    }
  }
  void backward(const Exec&, const auto& w, const Real*, const Real* x, const Real* dy, Real* dx, const auto& dw, Real*,
                const auto&) const {
    typename Block::Folded folded;
    Block::fold(w, folded);
    for (int s = 0; s < samples; ++s) {
      Block::input_gradient(w, folded, passes[s].saved, dy + s * out, dx + s * in);
      Block::add_gradient(w, x + s * in, passes[s].saved, passes[s].between, dy + s * out, dw);
    }
  }
};
template <class Real>
using WithBias = Case<Real, true>;
template <class Real>
using WithoutBias = Case<Real, false>;

}  // namespace

TEMPLATE_TEST_CASE_SIG("NormedMlp: agrees with its layers one at a time, whether the last two are folded or not",
                       "[blocks][normed_mlp]", ((class Real, bool OutBias), Real, OutBias), (float, true),
                       (float, false), (double, true), (double, false)) {
  using Block = Small<Real, OutBias>;
  const DrawnWeights<Block, Real> weights;
  const auto w = weights.weights();
  const auto x = drawn<Real>("x", in);
  const Layers exact = naive(weights.state(), in_double(x), OutBias);
  const auto error = [](const auto& computed, const Numbers& expected) {
    return relative_l2(Numbers(std::begin(computed), std::end(computed)), expected);
  };

  typename Block::Saved saved;
  Block::activate(w, Real(eps), x.data(), saved);
  CHECK(std::abs(static_cast<double>(saved.rstd) / exact.rstd - 1) < rounding<Real>);
  CHECK(error(saved.xhat, exact.xhat) < rounding<Real>);
  CHECK(error(saved.normed, exact.normed) < rounding<Real>);
  CHECK(error(saved.activated, exact.activated) < rounding<Real>);

  Real between[hidden], y[out], folded_y[out];
  Block::finish(w, saved, between, y);
  CHECK(error(between, exact.between) < rounding<Real>);
  CHECK(error(y, exact.out) < rounding<Real>);

  typename Block::Folded folded;
  Block::fold(w, folded);
  Block::finish(folded, saved, folded_y);
  CHECK(error(folded_y, exact.out) < rounding<Real>);
}

TEST_CASE("NormedMlp: gradients", "[blocks][normed_mlp][gradient]") {
  check_block_gradient<WithBias>({.same_inference = false});  // which is folded
}
TEST_CASE("NormedMlp: gradients without the last bias", "[blocks][normed_mlp][gradient]") {
  check_block_gradient<WithoutBias>({.same_inference = false});
}

TEST_CASE("NormedMlp: at TiDHy's size the gradients are adjoint to the derivative along a direction",
          "[blocks][normed_mlp][gradient]") {
  using Block = blocks::NormedMlp<double, 20, 64, 42>;
  using Params = Block::Params<double>;
  constexpr std::size_t size = arena_count<Params>();
  static constexpr auto table = make_param_table<Params>();
  const auto at = constant<double>(size, 0), x = drawn<double>("x", 20), dout = drawn<double>("dout", 42);
  draw_weights(table, at.data());
  const auto outputs = [&](const Arena<double>& from, const Arena<double>& weights, Block::Saved& saved,
                           double* between) {
    const auto w = bind<Block::Weights>(static_cast<const double*>(weights.data()));
    Numbers y(42);
    Block::activate(w, eps, from.data(), saved);
    Block::finish(w, saved, between, y.data());
    return y;
  };

  const auto w = bind<Block::Weights>(static_cast<const double*>(at.data()));
  const auto dx = constant<double>(20), dw = constant<double>(size, 0);
  Block::Saved saved;
  double between[64];
  outputs(x, at, saved, between);
  const auto folded = std::make_unique<Block::Folded>();
  Block::fold(w, *folded);
  Block::input_gradient(w, *folded, saved, dout.data(), dx.data());
  Block::add_gradient(w, x.data(), saved, between, dout.data(), bind<Params>(dw.data()));

  const auto x_way = drawn<double>("x way", 20), w_way = constant<double>(size, 0);
  for (const ParamEntry& entry : table)
    import_param(entry, synth(std::string("way/") + std::string(entry.path.view()), entry.size).data(), w_way.data());
  const auto moved = [](const Arena<double>& from, const Arena<double>& way, double t) {
    const auto to = constant<double>(from.size());
    for (std::size_t i = 0; i < from.size(); ++i) to.data()[i] = from.data()[i] + t * way.data()[i];
    return to;
  };
  const double along = derivative(
      [&](double t) { return dot(outputs(moved(x, x_way, t), moved(at, w_way, t), saved, between), in_double(dout)); },
      1e-4);
  const double product = dot(in_double(dx), in_double(x_way)) + dot(in_double(dw), in_double(w_way));
  CHECK(std::abs(along / product - 1) < 1e-9);
}

TEST_CASE("NormedMlp: numbers all the same give what the norm's bias gives", "[blocks][normed_mlp]") {
  using Block = Small<double, true>;
  const auto arena = constant<double>(arena_count<Block::Params<double>>());
  constexpr auto table = make_param_table<Block::Params<double>>();
  draw_weights(table, arena.data());
  const auto w = bind<Block::Params<double>>(arena.data());
  for (int h = 0; h < hidden; ++h) {
    for (int i = 0; i < in; ++i) w.dense1.kernel(i, h) = i;
    w.dense1.bias(h) = .5;
  }
  const auto x = drawn<double>("x", in);
  Block::Saved saved;
  Block::activate(bind<Block::Weights>(static_cast<const double*>(arena.data())), .0625, x.data(), saved);
  CHECK(saved.rstd == 4);
  for (int h = 0; h < hidden; ++h) {
    const double bias = w.norm1.bias(h);
    CHECK(saved.xhat[h] == 0);
    CHECK(saved.activated[h] == (bias > 0 ? bias : std::expm1(bias)));
  }
}

TEST_CASE("NormedMlp: parameters by their names, the last bias where it is", "[blocks][normed_mlp]") {
  const auto names = [](ParamTable table) {
    std::vector<std::string_view> all;
    for (const ParamEntry& entry : table) all.push_back(entry.path);
    return all;
  };
  static constexpr auto with = make_param_table<Small<float, true>::Params<float>>();
  static constexpr auto without = make_param_table<Small<float, false>::Params<float>>();
  std::vector<std::string_view> expected{"dense1.kernel", "dense1.bias", "norm1.scale",   "norm1.bias",
                                         "dense2.kernel", "dense2.bias", "dense3.kernel", "dense3.bias"};
  CHECK(names(with) == expected);
  expected.pop_back();
  CHECK(names(without) == expected);
}
