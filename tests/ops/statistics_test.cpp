#include <fieldstep/ops/statistics.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

template <class Real>
struct Statistics {
  Arena<Real> mean, squares;
};

template <int Channels, class Real>
Statistics<Real> statistics(const Exec& exec, const Arena<Real>& x, int samples, int rows) {
  const std::size_t count = static_cast<std::size_t>(samples) * Channels;
  Statistics<Real> found{constant<Real>(count), constant<Real>(count)};
  ops::channel_statistics<Channels>(exec, samples, rows, x.data(), static_cast<std::ptrdiff_t>(rows) * Channels,
                                    [mean = found.mean.data(), squares = found.squares.data()]<int L>(
                                        int sample, int channel, ops::vec<Real, L> m, ops::vec<Real, L> s) {
                                      ops::store<L>(mean + sample * Channels + channel, m);
                                      ops::store<L>(squares + sample * Channels + channel, s);
                                    });
  return found;
}

Statistics<double> exact_statistics(const Arena<double>& x, int samples, int rows, int channels) {
  const std::size_t count = static_cast<std::size_t>(samples) * static_cast<std::size_t>(channels);
  Statistics<double> found{constant<double>(count), constant<double>(count)};
  ops::channel_statistics_naive(Exec(), samples, rows, channels, x.data(), static_cast<std::ptrdiff_t>(rows) * channels,
                                found.mean.data(), found.squares.data());
  return found;
}

}  // namespace

TEMPLATE_TEST_CASE_SIG("channel_statistics: agrees with the naive version in double; equal bits for any threads",
                       "[ops][statistics][property]", ((int Channels), Channels), 1, 12, 48, 50) {
  constexpr int samples = 3;
  for (const int rows : {2, 3, 63, 64, 65, 400}) {
    INFO(rows << " rows");
    const std::size_t count = static_cast<std::size_t>(samples * rows) * Channels;
    const auto x = drawn<float>("x", count, .3);
    const auto found = statistics<Channels>(Exec(), x, samples, rows);
    const auto exact = exact_statistics(drawn<double>("x", count, .3), samples, rows, Channels);
    CHECK(relative_l2(in_double(found.mean), in_double(exact.mean)) < rounding<float>);
    CHECK(relative_l2(in_double(found.squares), in_double(exact.squares)) < rounding<float>);
    const auto alone = statistics<Channels>(one_thread(), x, samples, rows);
    CHECK(same_bits(found.mean, alone.mean));
    CHECK(same_bits(found.squares, alone.squares));
  }
}

TEST_CASE("channel_statistics: a small deviation about a large mean keeps its digits", "[ops][statistics]") {
  // E[x^2] - E[x]^2 would lose all of them: mean 1000, deviation 0.01.
  constexpr int channels = 16, rows = 4096;
  const auto x = drawn<float>("x", rows * channels, 1000, .01);
  const auto found = statistics<channels>(Exec(), x, 1, rows);
  // The numbers themselves are rounded to 6e-5, so they are the exact input.
  const auto exact_x = constant<double>(rows * channels);
  std::copy_n(x.data(), x.size(), exact_x.data());
  const auto exact = exact_statistics(exact_x, 1, rows, channels);
  CHECK(relative_l2(in_double(found.mean), in_double(exact.mean)) < rounding<float>);
  CHECK(relative_l2(in_double(found.squares), in_double(exact.squares)) < 1e-3);
}

TEST_CASE("channel_statistics: a constant channel has no deviation", "[ops][statistics]") {
  const auto found = statistics<8>(Exec(), constant<float>(8 * 64, 3.25f), 1, 64);
  for (int c = 0; c < 8; ++c) {
    CHECK(found.mean.data()[c] == 3.25f);
    CHECK(found.squares.data()[c] == 0);
  }
}

TEMPLATE_TEST_CASE_SIG("scale_shift, add_scaled_branch: agree with the naive versions", "[ops][statistics][property]",
                       ((int Channels), Channels), 5, 24) {
  constexpr int samples = 3, rows = 7;
  const auto x = drawn<float>("x", samples * rows * Channels), scale = drawn<float>("scale", samples * Channels);
  const auto shift = drawn<float>("shift", samples * Channels), gamma = drawn<float>("gamma", Channels);
  const auto keep = drawn<float>("keep", samples, 1, .5), y = constant<float>(x.size()),
             naive = constant<float>(x.size()), residual = drawn<float>("residual", x.size());
  for (const float* added : {static_cast<const float*>(nullptr), static_cast<const float*>(shift.data())}) {
    ops::scale_shift<Channels>(Exec(), samples, rows, x.data(), scale.data(), added, y.data());
    ops::scale_shift_naive(Exec(), samples, rows, Channels, x.data(), scale.data(), added, naive.data());
    CHECK(relative_l2(in_double(y), in_double(naive)) < rounding<float>);
  }
  for (const float* kept : {static_cast<const float*>(nullptr), static_cast<const float*>(keep.data())}) {
    ops::add_scaled_branch<Channels>(Exec(), samples, rows, x.data(), scale.data(), gamma.data(), kept, residual.data(),
                                     y.data());
    ops::add_scaled_branch_naive(Exec(), samples, rows, Channels, x.data(), scale.data(), gamma.data(), kept,
                                 residual.data(), naive.data());
    CHECK(relative_l2(in_double(y), in_double(naive)) < rounding<float>);
  }
}

TEST_CASE("sqrt: every lane", "[ops][statistics]") {
  const auto root = ops::sqrt<4, float>(ops::vec<float, 4>{0, 1, 4, 2});
  CHECK((root[0] == 0 && root[1] == 1 && root[2] == 2 && root[3] == std::sqrt(2.f)));
}
