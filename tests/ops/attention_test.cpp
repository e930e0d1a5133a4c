#include <fieldstep/ops/attention.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

/// Frames of Rows x Columns tokens, numbers of the size that normalised queries and keys have.
template <class Real, int Heads, int Dim, int Frames, int Rows, int Columns>
struct Tokens {
  static constexpr int batch = 2, positions = Rows * Columns, width = Heads * Dim;
  static constexpr std::size_t count = std::size_t{batch} * Frames * positions;
  Arena<Real> qkv = drawn<Real>("qkv", count * 3 * width, 0, 1.7);
  Arena<Real> along_time = drawn<Real>("time", std::size_t{Heads} * Frames * Frames, 0, 2);
  Arena<Real> along_x = drawn<Real>("x", std::size_t{Heads} * Columns * Columns, 0, 2);
  Arena<Real> along_y = drawn<Real>("y", std::size_t{Heads} * Rows * Rows, 0, 2);
  Real scale = 1 / std::sqrt(Real(Dim));

  Arena<Real> temporal(const Exec& exec, int queries, bool biased) const {
    const auto out = constant<Real>(std::size_t(batch * queries * positions) * width);
    ops::temporal_attention<Frames, Heads, Dim>(exec, batch, positions, queries, qkv.data(),
                                                biased ? along_time.data() : nullptr, scale, out.data());
    return out;
  }
  Arena<Real> temporal_naive(int queries, bool biased) const {
    const auto out = constant<Real>(std::size_t(batch * queries * positions) * width);
    ops::temporal_attention_naive<Frames, Heads, Dim>(Exec(), batch, positions, queries, qkv.data(),
                                                      biased ? along_time.data() : nullptr, scale, out.data());
    return out;
  }
  Arena<Real> axial(const Exec& exec, bool biased) const {
    const auto out = constant<Real>(count * width);
    ops::axial_attention<Rows, Columns, Heads, Dim>(exec, batch * Frames, qkv.data(), biased ? along_x.data() : nullptr,
                                                    biased ? along_y.data() : nullptr, scale, out.data());
    return out;
  }
  Arena<Real> axial_naive(bool biased) const {
    const auto out = constant<Real>(count * width);
    ops::axial_attention_naive<Rows, Columns, Heads, Dim>(Exec(), batch * Frames, qkv.data(),
                                                          biased ? along_x.data() : nullptr,
                                                          biased ? along_y.data() : nullptr, scale, out.data());
    return out;
  }
};

/// Against the naive version in double; one thread and two give the same bits.
template <class Real, int Heads, int Dim, int Frames, int Rows, int Columns>
void check_attention() {
  const Tokens<Real, Heads, Dim, Frames, Rows, Columns> tokens;
  const Tokens<double, Heads, Dim, Frames, Rows, Columns> exact;
  for (const bool biased : {false, true}) {
    for (const int queries : {1, Frames}) {
      const auto y = tokens.temporal(Exec(), queries, biased);
      CHECK(relative_l2(in_double(y), in_double(exact.temporal_naive(queries, biased))) < rounding<Real>);
      CHECK(same_bits(y, tokens.temporal(one_thread(), queries, biased)));
    }
    const auto y = tokens.axial(Exec(), biased);
    CHECK(relative_l2(in_double(y), in_double(exact.axial_naive(biased))) < rounding<Real>);
    CHECK(same_bits(y, tokens.axial(one_thread(), biased)));
  }
}

}  // namespace

TEMPLATE_TEST_CASE_SIG("attention: agrees with the naive version in double, whatever the lengths",
                       "[ops][attention][property]",
                       ((int Dim, int Frames, int Rows, int Columns), Dim, Frames, Rows, Columns), (64, 1, 1, 2),
                       (64, 4, 3, 4), (16, 3, 5, 6), (12, 16, 1, 13), (12, 18, 9, 18)) {
  check_attention<float, 3, Dim, Frames, Rows, Columns>();
}

TEMPLATE_TEST_CASE_SIG("attention: in double to double's rounding", "[ops][attention][property]",
                       ((int Dim, int Frames, int Rows, int Columns), Dim, Frames, Rows, Columns), (16, 5, 7, 2)) {
  check_attention<double, 2, Dim, Frames, Rows, Columns>();
}

TEST_CASE("attention: the naive versions agree with themselves in double", "[ops][attention]") {
  const Tokens<float, 3, 16, 3, 5, 6> in_float;
  const Tokens<double, 3, 16, 3, 5, 6> exact;
  CHECK(relative_l2(in_double(in_float.axial_naive(true)), in_double(exact.axial_naive(true))) < rounding<float>);
  CHECK(relative_l2(in_double(in_float.temporal_naive(3, true)), in_double(exact.temporal_naive(3, true))) <
        rounding<float>);
}

TEST_CASE("attention: the last frame alone equals the last of all frames", "[ops][attention]") {
  // With one query the q rows lie where the first frame's would: put the last frame's there.
  constexpr int frames = 4, positions = 6, heads = 2, dim = 16, width = heads * dim;
  const auto qkv = drawn<float>("qkv", frames * positions * 3 * width, 0, 1.5);
  const auto bias = drawn<float>("bias", heads * frames * frames);
  const auto all = constant<float>(frames * positions * width), last = constant<float>(positions * width);
  ops::temporal_attention<frames, heads, dim>(Exec(), 1, positions, frames, qkv.data(), bias.data(), .25f, all.data());
  for (int p = 0; p < positions; ++p)
    std::copy_n(qkv.data() + ((frames - 1) * positions + p) * 3 * width, width, qkv.data() + p * 3 * width);
  ops::temporal_attention<frames, heads, dim>(Exec(), 1, positions, 1, qkv.data(), bias.data(), .25f, last.data());
  CHECK(std::equal(last.data(), last.data() + positions * width, all.data() + (frames - 1) * positions * width));
}

TEST_CASE("attention: equal keys give the mean of the values", "[ops][attention]") {
  constexpr int frames = 5, dim = 16;
  const auto qkv = constant<float>(frames * 3 * dim, 1.f);
  for (int t = 0; t < frames; ++t) std::fill_n(qkv.data() + t * 3 * dim + 2 * dim, dim, static_cast<float>(t));
  const auto out = constant<float>(frames * dim);
  ops::temporal_attention<frames, 1, dim>(Exec(), 1, 1, frames, qkv.data(), static_cast<const float*>(nullptr), 1.f,
                                          out.data());
  for (std::size_t i = 0; i < out.size(); ++i) CHECK(std::abs(out.data()[i] - 2.f) < 1e-6f);
}

TEST_CASE("attention: scores far apart neither overflow nor give NaN", "[ops][attention]") {
  constexpr int frames = 3, dim = 16;
  const auto qkv = constant<float>(frames * 3 * dim, 1.f);
  for (int t = 0; t < frames; ++t) {
    std::fill_n(qkv.data() + t * 3 * dim + dim, dim, t == 1 ? 100.f : -100.f);  // scores 1600 and -1600
    std::fill_n(qkv.data() + t * 3 * dim + 2 * dim, dim, static_cast<float>(t + 1));
  }
  const auto out = constant<float>(frames * dim);
  ops::temporal_attention<frames, 1, dim>(Exec(), 1, 1, frames, qkv.data(), static_cast<const float*>(nullptr), 1.f,
                                          out.data());
  for (std::size_t i = 0; i < out.size(); ++i) CHECK(out.data()[i] == 2.f);
}

TEMPLATE_TEST_CASE_SIG("normalise_heads: agrees with the naive version in double", "[ops][attention][property]",
                       ((int Dim), Dim), 2, 12, 16, 64) {
  constexpr int heads = 3, tokens = 7, width = 2 * heads * Dim;  // normalises the first half of every token
  const auto weight = drawn<float>("weight", Dim, 1, .5), bias = drawn<float>("bias", Dim);
  const auto exact_weight = drawn<double>("weight", Dim, 1, .5), exact_bias = drawn<double>("bias", Dim);
  const auto x = drawn<float>("x", tokens * width, 3), serial = drawn<float>("x", tokens * width, 3);
  const auto exact = drawn<double>("x", tokens * width, 3);
  ops::normalise_heads<heads, Dim>(Exec(), tokens, width, weight.data(), bias.data(), 1e-5, x.data());
  ops::normalise_heads<heads, Dim>(one_thread(), tokens, width, weight.data(), bias.data(), 1e-5, serial.data());
  ops::normalise_heads_naive<heads, Dim>(Exec(), tokens, width, exact_weight.data(), exact_bias.data(), 1e-5,
                                         exact.data());
  CHECK(relative_l2(in_double(x), in_double(exact)) < rounding<float>);
  CHECK(same_bits(x, serial));
}
