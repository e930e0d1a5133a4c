#include <fieldstep/train/reference/advection.hpp>
#include <fieldstep/train/reference/burgers.hpp>
#include <fieldstep/train/reference/diffusion.hpp>
#include <fieldstep/train/reference/lorenz.hpp>
#include <fieldstep/train/reference/vorticity.hpp>
#include <fieldstep/train/stepper.hpp>
#include <support/allocations.hpp>
#include <support/compare.hpp>
#include <support/manifest.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

using namespace fieldstep;
using namespace fieldstep::support;
using namespace fieldstep::train;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;

namespace {

constexpr int points = 12, samples = 2;

double dot(const Numbers& x, const Numbers& y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

Numbers drawn_numbers(const char* name, std::size_t count, double offset = 0) {
  return in_double(drawn<double>(name, count, offset, 1));
}

/// g . P'(u) v by central differences against vjp(u, g) . v.
template <class P>
void check_adjoint(P&& physics, std::size_t state, double offset = 0, double tolerance = 1e-8) {
  static_assert(DifferentiableReference<std::remove_cvref_t<P>, double>);
  const std::size_t count = samples * state;
  const Numbers u = drawn_numbers("physics/u", count, offset), v = drawn_numbers("physics/v", count),
                g = drawn_numbers("physics/g", count);
  Numbers du(count), above(count), below(count);
  physics.vjp(samples, u.data(), g.data(), du.data());
  constexpr double h = 1e-6;
  Numbers moved = u;
  for (std::size_t i = 0; i < count; ++i) moved[i] = u[i] + h * v[i];
  physics.forward(samples, moved.data(), above.data());
  for (std::size_t i = 0; i < count; ++i) moved[i] = u[i] - h * v[i];
  physics.forward(samples, moved.data(), below.data());
  for (std::size_t i = 0; i < count; ++i) above[i] = (above[i] - below[i]) / (2 * h);
  CHECK_THAT(dot(du, v), WithinRel(dot(g, above), tolerance));
}

template <class F>
void check_residuum_adjoint(const F& residuum) {
  static_assert(ResiduumFunction<F, double>);
  constexpr std::size_t count = samples * points;
  const Numbers next = drawn_numbers("physics/u", count), prev = drawn_numbers("physics/p", count),
                v = drawn_numbers("physics/v", count), g = drawn_numbers("physics/g", count);
  Numbers dnext(count), dprev(count), above(count), below(count);
  residuum.vjp(samples, next.data(), prev.data(), g.data(), dnext.data(), dprev.data());
  constexpr double h = 1e-6;
  const auto difference = [&](double by_next, double by_prev) {
    const auto at = [&](double step, Numbers& r) {
      Numbers n = next, p = prev;
      for (std::size_t i = 0; i < count; ++i) n[i] += step * by_next * v[i], p[i] += step * by_prev * v[i];
      residuum.forward(samples, n.data(), p.data(), r.data());
    };
    at(h, above), at(-h, below);
    return (dot(g, above) - dot(g, below)) / (2 * h);
  };
  CHECK_THAT(dot(dnext, v), WithinRel(difference(1, 0), 1e-8));
  CHECK_THAT(dot(dprev, v), WithinRel(difference(0, 1), 1e-8));
}

}  // namespace

TEST_CASE("Reference steppers: adjoints agree with central differences", "[train][reference][gradient]") {
  check_adjoint(ExactAdvection(points, .7), points);
  check_adjoint(ExactAdvection(points - 1, -.3, 2), 2 * (points - 1));
  check_adjoint(UpwindAdvection{points, .6}, points);
  check_adjoint(UpwindAdvection{points, -.6, 2}, 2 * points);
  check_adjoint(ExplicitDiffusion{points, .3}, points);
  check_adjoint(ImplicitDiffusion(points, 2, 2), 2 * points);
  check_adjoint(UpwindBurgers{points, .2}, points);
  check_adjoint(LorenzReference{}, 3);
  check_adjoint(VorticityFlow<8, double>(samples, {.viscosity = .02, .dt = .05, .substeps = 3}), 64, 0, 1e-7);
  check_residuum_adjoint(ImplicitDiffusionResiduum{points, .4});
  check_residuum_adjoint(CrankNicolsonBurgersResiduum{points, .3});
}

TEST_CASE("Reference steppers: an implicit step leaves no residuum, an exact one keeps every wave",
          "[train][reference]") {
  const Numbers u = drawn_numbers("physics/u", samples * points);
  Numbers next(u.size()), r(u.size());
  ImplicitDiffusion(points, 1.5).forward(samples, u.data(), next.data());
  ImplicitDiffusionResiduum{points, 1.5}.forward(samples, next.data(), u.data(), r.data());
  for (const double value : r) CHECK_THAT(value, WithinAbs(0, 1e-13));
  ExactAdvection(points, 3).forward(samples, u.data(), next.data());
  for (int i = 0; i < points; ++i)
    CHECK_THAT(next[static_cast<std::size_t>((i + 3) % points)], WithinAbs(u[static_cast<std::size_t>(i)], 1e-13));
}

TEST_CASE("Reference steppers: the originals' values are special cases", "[train][reference][golden]") {
  const Manifest manifest(std::string(FIELDSTEP_GOLDEN_DIR) + "/trainax/configs_1d.json");
  const std::vector<float> values = manifest.values(manifest.inputs().front());
  constexpr int B = 3, T = 8, N = 16;
  const auto level = [&](int t) {
    Numbers u;
    for (int b = 0; b < B; ++b)
      for (int i = 0; i < N; ++i)
        u.push_back(static_cast<double>(values[static_cast<std::size_t>((b * T + t) * N + i)]));
    return u;
  };
  const auto agrees = [&](const std::string& name, const Numbers& computed) {
    CHECK(relative_l2(computed, manifest.stored_tensor(name).values) < 1e-10);
  };
  const auto reference = [&](const std::string& name, const auto& physics) {
    const Numbers g = level(1);
    Numbers u = level(0), next(u.size()), rollout(5 * u.size());
    physics.vjp(B, u.data(), g.data(), next.data());
    agrees("ref_" + name + "_vjp", next);
    for (std::size_t t = 0; t < 5; ++t) {
      physics.forward(B, u.data(), next.data());
      u = next;
      for (std::size_t b = 0; b < B; ++b) std::copy_n(u.data() + b * N, N, rollout.data() + (b * 5 + t) * N);
    }
    agrees("ref_" + name + "_rollout", rollout);
  };
  reference("fou", UpwindAdvection{N, .4});
  reference("burgers", UpwindBurgers{N, .25});
  const auto residuum = [&](const std::string& name, const auto& function) {
    const Numbers prev = level(0), next = level(1), g = level(2);
    Numbers r(prev.size()), dnext(prev.size()), dprev(prev.size());
    function.forward(B, next.data(), prev.data(), r.data());
    function.vjp(B, next.data(), prev.data(), g.data(), dnext.data(), dprev.data());
    agrees("residuum_" + name, r);
    agrees("residuum_" + name + "_vjp_next", dnext);
    agrees("residuum_" + name + "_vjp_prev", dprev);
  };
  residuum("ie_diffusion", ImplicitDiffusionResiduum{N, .3});
  residuum("cn_burgers", CrankNicolsonBurgersResiduum{N, .25});
}

TEST_CASE("VorticityFlow: a Taylor-Green vortex decays as the discrete equations say", "[train][vorticity]") {
  constexpr int N = 32;
  constexpr double viscosity = .1;
  VorticityFlow<N, double> flow(1, {.viscosity = viscosity, .dt = .01, .substeps = 20});
  Numbers w(N * N), next(N * N);
  for (int i = 0; i < N; ++i)
    for (int j = 0; j < N; ++j)
      w[static_cast<std::size_t>(i * N + j)] =
          std::sin(2 * std::numbers::pi * i / N) * std::cos(2 * std::numbers::pi * j / N);
  flow.forward(1, w.data(), next.data());
  const double h = 2 * std::numbers::pi / N, eigenvalue = 2 * (2 - 2 * std::cos(h)) / (h * h);
  for (std::size_t i = 0; i < w.size(); i += 37)
    CHECK_THAT(next[i], WithinAbs(w[i] * std::exp(-viscosity * eigenvalue * .2), 1e-9));
}

TEST_CASE("VorticityFlow: without viscosity energy and enstrophy stay, and the mean", "[train][vorticity]") {
  constexpr int N = 16;
  VorticityFlow<N, double> flow(samples, {.viscosity = 0, .dt = .005, .substeps = 50});
  const Numbers w = drawn_numbers("flow/w", samples * N * N);
  Numbers next(w.size());
  const AllocationCounter counter;
  flow.forward(samples, w.data(), next.data());
  CHECK(counter.allocations() == 0);
  CHECK_THAT(dot(next, next), WithinRel(dot(w, w), 1e-6));
  double before = 0, after = 0, moved = 0;
  for (std::size_t i = 0; i < w.size(); ++i) before += w[i], after += next[i], moved += std::abs(next[i] - w[i]);
  CHECK_THAT(after, WithinAbs(before, 1e-11));
  CHECK(moved > 1);
}

TEST_CASE("VorticityFlow: equal bits for one thread and for all", "[train][vorticity][threads]") {
  constexpr int N = 16, many = 5;
  const Arena<float> w = drawn<float>("flow/w", many * N * N);
  const auto run = [&](const Exec& exec) {
    VorticityFlow<N, float> flow(many, {}, exec);
    const Arena<float> to = constant<float>(2 * many * N * N);
    flow.forward(many, w.data(), to.data());
    flow.vjp(many, w.data(), to.data(), to.data() + many * N * N);
    return to;
  };
  CHECK(same_bits(run(one_thread()), run(Exec())));
}
