#include <fieldstep/ops/standardise.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int batch = 3, frames = 4, fields = 2;

template <class Real>
struct Moments {
  Arena<Real> mean = constant<Real>(batch * fields), deviation = constant<Real>(batch * fields);
};

template <class Real>
Moments<Real> statistics(const Exec& exec, const Arena<Real>& x, int pixels, double eps) {
  const Moments<Real> found;
  const auto planes = constant<Real>(2 * batch * frames * fields);
  ops::field_statistics(exec, batch, frames, fields, pixels, eps, x.data(), planes.data(), found.mean.data(),
                        found.deviation.data());
  return found;
}

Moments<double> exact_statistics(const Arena<double>& x, int pixels, double eps) {
  const Moments<double> found;
  ops::field_statistics_naive(Exec(), batch, frames, fields, pixels, eps, x.data(), found.mean.data(),
                              found.deviation.data());
  return found;
}

}  // namespace

TEMPLATE_TEST_CASE("field_statistics: agrees with the naive version in double; equal bits for any threads",
                   "[ops][standardise][property]", float, double) {
  // In double the naive sums, 19 200 numbers one after the other, are the less exact ones.
  const double bound = std::is_same_v<TestType, float> ? rounding<float> : 1e-13;
  for (const int pixels : {64, 1024, 4800}) {
    const std::size_t count = static_cast<std::size_t>(batch * frames * fields * pixels);
    for (const auto& [offset, scale] : {std::pair{0., 1.}, {30., .5}, {-1e-3, 1e-4}}) {
      INFO(pixels << " pixels, " << offset << " +- " << scale);
      const auto x = drawn<TestType>("x", count, offset, scale);
      const auto found = statistics(Exec(), x, pixels, 1e-7);
      const auto exact = exact_statistics(drawn<double>("x", count, offset, scale), pixels, 1e-7);
      CHECK(relative_l2(in_double(found.mean), in_double(exact.mean)) < bound);
      CHECK(relative_l2(in_double(found.deviation), in_double(exact.deviation)) < bound);
      const auto alone = statistics(one_thread(), x, pixels, 1e-7);
      CHECK(same_bits(found.mean, alone.mean));
      CHECK(same_bits(found.deviation, alone.deviation));
    }
  }
}

TEST_CASE("field_statistics: a small deviation about a large mean keeps its digits", "[ops][standardise]") {
  // Mean over deviation 1700, of which E[x^2] - E[x]^2 would square the rounding; here only the mean's own enters.
  const std::size_t count = batch * frames * fields * 1024;
  const auto found = statistics(Exec(), drawn<float>("x", count, 1000, 1), 1024, 1e-7);
  const auto exact = exact_statistics(drawn<double>("x", count, 1000, 1), 1024, 1e-7);
  CHECK(relative_l2(in_double(found.deviation), in_double(exact.deviation)) < 5e-6);
}

TEST_CASE("field_statistics: frames of different means count as one field", "[ops][standardise]") {
  // Frame t is t everywhere: mean 1.5, sum of squared deviations pixels * 5.
  constexpr int pixels = 64;
  const auto x = constant<double>(batch * frames * fields * pixels);
  for (int plane = 0; plane < batch * frames * fields; ++plane)
    std::fill_n(x.data() + plane * pixels, pixels, static_cast<double>(plane / fields % frames));
  const auto found = statistics(Exec(), x, pixels, 0);
  for (int i = 0; i < batch * fields; ++i) {
    CHECK(found.mean.data()[i] == 1.5);
    CHECK(std::abs(found.deviation.data()[i] - std::sqrt(5. * pixels / (frames * pixels - 1))) < 1e-15);
  }
}

TEST_CASE("field_statistics: a constant field has the deviation eps", "[ops][standardise]") {
  const auto found = statistics(Exec(), constant<float>(batch * frames * fields * 256, 7.f), 256, 1e-7);
  for (int i = 0; i < batch * fields; ++i) {
    CHECK(found.mean.data()[i] == 7.f);
    CHECK(found.deviation.data()[i] == 1e-7f);
  }
}

TEST_CASE("standardise: subtracts every field's mean and divides by its deviation", "[ops][standardise]") {
  constexpr int pixels = 50;
  const auto x = drawn<float>("x", batch * frames * fields * pixels, 2);
  const auto mean = drawn<float>("mean", batch * fields), deviation = drawn<float>("deviation", batch * fields, 2);
  const auto y = constant<float>(x.size()), naive = constant<float>(x.size());
  ops::standardise(Exec(), batch, frames, fields, pixels, x.data(), mean.data(), deviation.data(), y.data());
  ops::standardise_naive(Exec(), batch, frames, fields, pixels, x.data(), mean.data(), deviation.data(), naive.data());
  CHECK(same_bits(y, naive));
  const int b = 2, t = 3, c = 1, plane = (b * frames + t) * fields + c, i = b * fields + c;
  CHECK(y.data()[plane * pixels + 7] == (x.data()[plane * pixels + 7] - mean.data()[i]) / deviation.data()[i]);
}
