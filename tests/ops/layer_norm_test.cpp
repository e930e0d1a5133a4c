#include <fieldstep/ops/layer_norm.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int samples = 3, positions = 5;

template <class Real, int Dim>
struct Tokens {
  Arena<Real> x = drawn<Real>("x", std::size_t{samples} * positions * Dim, 3, 2), base = drawn<Real>("base", x.size());
  Arena<Real> scale = drawn<Real>("scale", samples*Dim), shift = drawn<Real>("shift", samples*Dim);
  ops::ChannelAffine<Real> affine(int step) const { return {scale.data(), shift.data(), step}; }
};

}  // namespace

TEMPLATE_TEST_CASE_SIG("layer_norm: agrees with the naive version, in place too; equal bits for any threads",
                       "[ops][layer_norm]", ((int Dim), Dim), 2, 3, 12, 48, 96) {
  const Tokens<float, Dim> tokens;
  const Tokens<double, Dim> exact;
  for (const int step : {0, Dim}) {
    const auto y = constant<float>(tokens.x.size()), serial = constant<float>(tokens.x.size());
    const auto reference = constant<double>(exact.x.size()), in_place = drawn<float>("x", tokens.x.size(), 3, 2);
    ops::layer_norm<Dim>(Exec(), samples, positions, tokens.x.data(), tokens.affine(step), 1e-5, y.data());
    ops::layer_norm<Dim>(one_thread(), samples, positions, tokens.x.data(), tokens.affine(step), 1e-5, serial.data());
    ops::layer_norm<Dim>(Exec(), samples, positions, static_cast<const float*>(in_place.data()), tokens.affine(step),
                         1e-5, in_place.data());
    ops::layer_norm_naive<Dim>(Exec(), samples, positions, exact.x.data(), exact.affine(step), 1e-5, reference.data());
    CHECK(relative_l2(in_double(y), in_double(reference)) < 4 * rounding<float>);
    CHECK(same_bits(y, serial));
    CHECK(same_bits(y, in_place));
  }
}

TEST_CASE("add_layer_norm: the norm times keep is added", "[ops][layer_norm]") {
  constexpr int Dim = 24;
  const Tokens<double, Dim> tokens;
  const auto norm = constant<double>(tokens.x.size()), x = constant<double>(tokens.x.size());
  const auto keep = drawn<double>("keep", samples);
  ops::layer_norm<Dim>(Exec(), samples, positions, tokens.x.data(), tokens.affine(Dim), 1e-5, norm.data());
  ops::add_layer_norm<Dim>(Exec(), samples, positions, static_cast<const double*>(tokens.base.data()),
                           static_cast<const double*>(tokens.x.data()), tokens.affine(Dim), 1e-5, x.data(),
                           static_cast<const double*>(keep.data()));
  for (std::size_t i = 0; i < x.size(); ++i)
    CHECK(std::abs(x.data()[i] - tokens.base.data()[i] - keep.data()[i / (positions * Dim)] * norm.data()[i]) < 1e-14);
}
