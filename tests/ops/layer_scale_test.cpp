#include <fieldstep/ops/layer_scale.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

TEMPLATE_TEST_CASE_SIG("layer_scale backward: agrees with its sums, in place and naively; equal bits for any threads",
                       "[ops][layer_scale][property]", ((int Dim, int Rows), Dim, Rows), (1, 3), (12, 32), (48, 33),
                       (100, 200)) {
  constexpr int positions = 3;
  const bool kept = GENERATE(false, true);
  const auto gradients = [=]<class Real>(Real, const auto& run) {
    const auto branch = drawn<Real>("branch", Rows * Dim), gamma = drawn<Real>("gamma", Dim);
    const auto result = drawn<Real>("before", Rows * Dim + Dim), dy = drawn<Real>("dy", Rows * Dim);
    std::copy_n(dy.data(), dy.size(), result.data());
    Real *dbranch = result.data(), *dgamma = dbranch + Rows * Dim;
    const auto keep = drawn<Real>("keep", Rows, 1, .5);
    run(static_cast<const Real*>(branch.data()), static_cast<const Real*>(gamma.data()),
        static_cast<const Real*>(dbranch), dbranch, dgamma, kept ? keep.data() : nullptr);
    return result;
  };
  const auto fast = [](const Exec& exec) {
    return [=](auto* branch, auto* gamma, auto* dy, auto* dbranch, auto* dgamma, auto* keep) {
      const auto scratch = constant<std::remove_pointer_t<decltype(dgamma)>>(ops::layer_scale_scratch_size<Dim>(Rows));
      ops::layer_scale_backward<Dim>(exec, Rows, branch, gamma, dy, dbranch, dgamma, scratch.data(), keep, positions);
    };
  };
  const auto naive = [](auto... arguments) {
    ops::layer_scale_backward_naive<Dim>(Exec(), Rows, arguments..., positions);
  };

  Numbers exact = in_double(gradients(0., [](auto...) {}));
  const auto branch = drawn<double>("branch", Rows * Dim), gamma = drawn<double>("gamma", Dim);
  const auto keep = drawn<double>("keep", Rows, 1, .5);
  for (std::size_t i = 0; i < Rows * Dim; ++i) {
    if (kept) exact[i] *= keep.data()[i / Dim / positions];
    exact[Rows * Dim + i % Dim] += exact[i] * branch.data()[i];
    exact[i] *= gamma.data()[i % Dim];
  }
  CHECK(relative_l2(in_double(gradients(0., fast(Exec()))), exact) < rounding<double>);
  CHECK(relative_l2(in_double(gradients(0., naive)), exact) < rounding<double>);
  CHECK(relative_l2(in_double(gradients(0.f, fast(Exec()))), exact) < rounding<float>);
  CHECK(relative_l2(in_double(gradients(0.f, naive)), exact) < rounding<float>);
  CHECK(same_bits(gradients(0.f, fast(Exec())), gradients(0.f, fast(one_thread()))));
}
