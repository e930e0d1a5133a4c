#include <fieldstep/io/tidhy_keys.hpp>
#include <fieldstep/models/tidhy_init.hpp>
#include <fieldstep/models/tidhy_objective.hpp>
#include <fieldstep/train/optimizer/adamw.hpp>
#include <fieldstep/train/trainer.hpp>
#include <support/allocations.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <string>

using namespace fieldstep;
using namespace fieldstep::support;
using namespace fieldstep::models;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;

namespace {

struct Readme : TidhyDefaults {};
struct Everything : TidhyDefaults {
  static constexpr bool nonlin_decoder = true, low_rank_temp = true, dyn_bias = true, use_r2_decoder = true;
};

struct Small : TidhyDefaults {
  static constexpr int r_dim = 5, r2_dim = 3, mix_dim = 4, input_dim = 7, hyper_hid_dim = 9, r2_decoder_hid_dim = 6;
};
struct SmallGated : Small {
  static constexpr bool low_rank_temp = true, dyn_bias = true, use_r2_decoder = true;
};
struct SmallNonlinear : Small {
  static constexpr bool nonlin_decoder = true;
  static constexpr auto loss_type = TidhyLoss::bce;
};
struct SmallCounts : Small {
  static constexpr auto loss_type = TidhyLoss::poisson;
  static constexpr auto poisson_link = PoissonLink::softplus;
};
struct SmallRates : Small {
  static constexpr auto loss_type = TidhyLoss::poisson;
  static constexpr auto poisson_link = PoissonLink::exp;
};

constexpr int batch = 3, frames = 5;

/// Sequences with numbers that every loss takes.
template <class Net>
Arena<typename Net::Real> sequences(int count = batch) {
  return drawn<typename Net::Real>("tidhy/X", static_cast<std::size_t>(count * frames * Net::D), .5, .45);
}

TidhyTrainingOptions few_iterations() {
  TidhyTrainingOptions options;
  options.inference.max_iter = 7, options.inference.tol = 0;
  options.regularisation = {.cos_eta = .1,
                            .L1_alpha = .02,
                            .L1_alpha_spat = .03,
                            .L1_alpha_W = .01,
                            .Orth_alpha_spat = .2,
                            .Orth_alpha_r2 = .1,
                            .Lnuc_alpha = .05};
  return options;
}

}  // namespace

TEST_CASE("Tidhy: parameters as the original counts them", "[models][tidhy]") {
  CHECK(param_count(Tidhy<Readme>::table()) == 9417);
  CHECK(param_count(Tidhy<Everything>::table()) == 25866);
  CHECK(Tidhy<Everything>::table()[3].path.view() == "spatial_decoder.dense1.bias");
  CHECK(io::tidhy_torch_key("hypernet.dense2.kernel").name == "hypernet.3.weight");
  CHECK(io::tidhy_torch_key("hypernet.dense2.kernel").transposed);
  CHECK(io::tidhy_torch_key("r2_decoder.norm1.scale").name == "R2_Decoder.1.weight");
  CHECK(!io::tidhy_torch_key("r2_decoder.norm1.scale").transposed);
  CHECK(io::tidhy_torch_key("temporal").name == "temporal");
}

TEMPLATE_TEST_CASE("Tidhy: gradients at constant latents agree with central differences", "[models][tidhy][gradient]",
                   Small, SmallGated, SmallNonlinear, SmallCounts, SmallRates) {
  using Net = Tidhy<TestType, double>;
  const Arena<double> X = sequences<Net>();
  TidhyTraining<Net> training(batch, frames);
  const Arena<double> weights = constant<double>(Net::arena_size, 0), gradient = constant<double>(Net::arena_size, 0);
  initialise_tidhy<Net>(weights.data(), make_key(3));
  const Arena<double> moved = drawn<double>("tidhy/temporal", static_cast<std::size_t>(Net::M * Net::matrix), 0, .3);
  for (std::size_t i = 0; i < moved.size(); ++i)
    weights.data()[i] += moved.data()[i];  // from where cosines have a kink
  const TidhyTrainingOptions options = few_iterations();
  const auto w = bind<typename Net::Weights>(static_cast<const double*>(weights.data()));
  const auto dw = bind<typename Net::Gradient>(gradient.data());
  training.prepare(w);
  training.infer(options.inference, batch, frames, X.data());
  const TidhyLosses weight{1, .5, 2, .7};
  training.add_gradient(weight, gradient.data());
  temporal_regularisation<Net>(w, options.regularisation, 1, &dw);
  shared_regularisation<Net>(w, options.regularisation, 1, &dw);
  const auto loss = [&] {
    training.prepare(w);
    const TidhyLosses losses = training.losses();
    return weight.spatial_rhat * losses.spatial_rhat + weight.spatial_rbar * losses.spatial_rbar +
           weight.temp * losses.temp + weight.r2 * losses.r2 +
           temporal_regularisation<Net>(w, options.regularisation, 1, nullptr) +
           shared_regularisation<Net>(w, options.regularisation, 1, nullptr);
  };
  for (const ParamEntry& entry : Net::table()) {
    CAPTURE(entry.path.view());
    for (std::size_t j = entry.offset; j < entry.offset + entry.size; j += 1 + entry.size / 5) {
      double& number = weights.data()[j];
      const double before = number, step = 1e-6;
      number = before + step;
      const double above = loss();
      number = before - step;
      const double below = loss();
      number = before;
      CHECK_THAT(gradient.data()[j],
                 WithinRel((above - below) / (2 * step), 1e-5) || WithinAbs((above - below) / (2 * step), 1e-7));
    }
  }
}

TEMPLATE_TEST_CASE("Tidhy: equal bits for one thread and for all, no allocation", "[models][tidhy][threads]", Small,
                   SmallGated) {
  using Net = Tidhy<TestType, float>;
  constexpr int many = 960;  // that even a single iteration of all is shared
  const Arena<float> X = sequences<Net>(many);
  for (const double tol : {0., 1e-2}) {
    TidhyTrainingOptions options = few_iterations();
    options.inference.tol = tol, options.inference.max_iter = 40;
    options.regularisation.Lnuc_alpha = 0;  // Eigen's SVD takes memory
    const auto run = [&](const Exec& exec) {
      TidhyObjective<Net> goal(many, frames, X.data(), many, options, exec);
      initialise_tidhy<Net>(goal.weights(), make_key(3));
      goal.weights_changed();
      const AllocationCounter counter;
      goal.training().infer(options.inference, many, frames, X.data());
      goal.training().add_gradient(options.loss_weights, goal.gradient());
      goal.add_gradient(0);
      CHECK(counter.allocations() == 0);
      const Arena<float> gradient(Net::arena_size);
      std::copy_n(goal.gradient(), Net::arena_size, gradient.data());
      return gradient;
    };
    CHECK(same_bits(run(one_thread()), run(Exec())));
  }
}

TEST_CASE("Tidhy: inference descends, stops where it converged and carries its state", "[models][tidhy]") {
  using Net = Tidhy<Small, double>;
  const Arena<double> X = sequences<Net>();
  TidhyTrainingOptions options;
  options.inference.max_iter = 400, options.inference.tol = 2e-2, options.inference.lr_r2 = .05;
  options.carry_state = true;
  TidhyObjective<Net> goal(batch, frames, X.data(), batch, options);
  initialise_tidhy<Net>(goal.weights(), make_key(3));
  goal.weights_changed();
  goal.add_gradient(0);
  const TidhyLosses cold = goal.losses();
  for (const int updates : goal.training().iterations()) CHECK((updates > 1 && updates < 400));
  std::vector<int> told;
  goal.training().on_frame([&](int t, int updates) {
    CHECK(t == std::ssize(told) + 1);
    told.push_back(updates);
  });
  const std::vector<double> state = goal.r_state();
  CHECK(std::ranges::any_of(state, [](double r) { return r != 0; }));
  goal.add_gradient(0);  // the same sequences, from the latents that they ended with
  CHECK(goal.losses().temp != cold.temp);
  CHECK(std::ranges::equal(told, goal.training().iterations()));

  TidhyOptions none = options.inference;
  none.max_iter = 1;
  TidhyTraining<Net> short_of(batch, frames);
  short_of.prepare(goal.bound());
  short_of.infer(none, batch, frames, X.data());
  CHECK(short_of.losses().spatial_rhat > cold.spatial_rhat);
}

TEST_CASE("Tidhy: starts by the laws of its sources", "[models][tidhy][init]") {
  using Net = Tidhy<SmallGated, double>;
  for (const TidhyStart start : {TidhyStart::torch, TidhyStart::flax}) {
    const Arena<double> weights = constant<double>(Net::arena_size, 0);
    initialise_tidhy<Net>(weights.data(), make_key(1), {.law = start});
    const auto w = bind<typename Net::Weights>(static_cast<const double*>(weights.data()));
    const bool torch = start == TidhyStart::torch;
    CHECK((w.hypernet.dense1.bias(0) != 0) == torch);
    CHECK(w.hypernet.norm1.scale(2) == 1);
    // Of low rank: the flattened matrices are orthonormal in PyTorch, the two columns of all of them in Flax.
    const double* U = w.temporal.data_handle();
    double rows = 0, columns = 0;
    for (int i = 0; i < 2 * Net::R; ++i) rows += U[i] * U[2 * Net::R + i];
    for (int i = 0; i < Net::M * Net::R; ++i) columns += U[2 * i] * U[2 * i + 1];
    CHECK_THAT(torch ? rows : columns, WithinAbs(0, 1e-12));
  }
}

TEST_CASE("Tidhy: a decoder that begins as principal components explains what they do", "[models][tidhy][init]") {
  using Net = Tidhy<Small, double>;
  constexpr std::size_t frames_of_all = 400;
  std::vector<double> X;  // of rank R, with a mean
  const Arena<double> latents = drawn<double>("tidhy/z", frames_of_all * Net::R, 0, 1),
                      mixing = drawn<double>("tidhy/A", std::size_t{Net::R} * Net::D, 0, 1);
  for (std::size_t f = 0; f < frames_of_all; ++f)
    for (std::size_t c = 0; c < Net::D; ++c) {
      double x = 3 + static_cast<double>(c);
      for (std::size_t i = 0; i < Net::R; ++i) x += latents.data()[f * Net::R + i] * mixing.data()[i * Net::D + c];
      X.push_back(x);
    }
  const Arena<double> weights = constant<double>(Net::arena_size, 0);
  initialise_tidhy<Net>(weights.data(), make_key(1), {.mixture_bias = .4, .mixture_scale = 0});
  start_at_components<Net>(weights.data(), frames_of_all, X.data());
  const auto w = bind<typename Net::Weights>(static_cast<const double*>(weights.data()));
  CHECK((w.hypernet.dense3.bias(2) == .4 && w.hypernet.dense3.kernel.data_handle()[3] == 0));
  double gram_error = 0, unexplained = 0;
  const double* W = w.spatial_decoder.dense.kernel.data_handle();
  for (int i = 0; i < Net::R; ++i)
    for (int j = 0; j < Net::R; ++j) {
      double dot = 0;
      for (int c = 0; c < Net::D; ++c) dot += W[i * Net::D + c] * W[j * Net::D + c];
      gram_error = std::max(gram_error, std::abs(dot - (i == j)));
    }
  for (std::size_t f = 0; f < frames_of_all; ++f) {
    std::vector<double> x(X.begin() + static_cast<std::ptrdiff_t>(f * Net::D),
                          X.begin() + static_cast<std::ptrdiff_t>((f + 1) * Net::D));
    for (std::size_t c = 0; c < Net::D; ++c) x[c] -= w.spatial_decoder.dense.bias(static_cast<int>(c));
    for (int i = 0; i < Net::R; ++i) {
      double along = 0;
      for (std::size_t c = 0; c < Net::D; ++c) along += W[i * Net::D + static_cast<int>(c)] * x[c];
      for (std::size_t c = 0; c < Net::D; ++c) x[c] -= along * W[i * Net::D + static_cast<int>(c)];
    }
    for (const double rest : x) unexplained = std::max(unexplained, std::abs(rest));
  }
  CHECK(gram_error < 1e-12);
  CHECK(unexplained < 1e-9);
}

TEST_CASE("Tidhy: data that do not fit are refused with a sentence", "[models][tidhy]") {
  using Net = Tidhy<SmallCounts, float>;
  Arena<float> X = sequences<Net>();
  const auto says = [](const char* sentence) { return MessageMatches(ContainsSubstring(sentence)); };
  CHECK_THROWS_MATCHES(TidhyObjective<Net>(batch, frames, X.data(), 4, {}), Error,
                       says("found batches of 4 in 3 sequences"));
  CHECK_THROWS_MATCHES(TidhyTraining<Net>(3, 0), Error, says("found 3 sequences of 0 frames"));
  X.data()[20] = -1;
  CHECK_THROWS_MATCHES(TidhyObjective<Net>(batch, frames, X.data(), 3, {}), Error, says("found a count of -1"));
  X.data()[20] = NAN;
  CHECK_THROWS_MATCHES(TidhyObjective<Net>(batch, frames, X.data(), 3, {}), Error, says("found a count of nan"));
}
