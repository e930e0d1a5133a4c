#include <fieldstep/ops/attention.hpp>
#include <fieldstep/ops/attention_backward_naive.hpp>
#include <support/allocations.hpp>
#include <support/gradient.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

enum class Version { fast, naive };

/// Frames of Rows x Columns tokens with the norms of their queries and keys, and gradients of what attention gives.
template <class Real, int Heads, int Dim, int Frames, int Rows, int Columns>
struct Tokens {
  static constexpr int batch = 2, positions = Rows * Columns, width = Heads * Dim;
  static constexpr int length = std::max({Frames, Rows, Columns});
  static constexpr std::size_t count = std::size_t{batch} * Frames * positions;
  static constexpr double eps = 1e-5;
  Arena<Real> qkv = drawn<Real>("qkv", count * 3 * width, .3, 1.7), dout = drawn<Real>("dout", count*width);
  Arena<Real> norms = drawn<Real>("norms", 4 * Dim, .8, .5);
  Arena<Real> along_time = drawn<Real>("time", std::size_t{Heads} * Frames * Frames, 0, 2);
  Arena<Real> along_x = drawn<Real>("x", std::size_t{Heads} * Columns * Columns, 0, 2);
  Arena<Real> along_y = drawn<Real>("y", std::size_t{Heads} * Rows * Rows, 0, 2);
  Real scale = 1 / std::sqrt(Real(Dim));

  /// dqkv is overwritten; the others are added to, which starts from numbers of their own.
  struct Gradients {
    Arena<Real> dqkv = constant<Real>(count * 3 * width);
    Arena<Real> dnorms = drawn<Real>("dnorms", 4 * Dim);
    Arena<Real> time = drawn<Real>("dtime", std::size_t{Heads} * Frames * Frames);
    Arena<Real> x = drawn<Real>("dx", std::size_t{Heads} * Columns * Columns);
    Arena<Real> y = drawn<Real>("dy", std::size_t{Heads} * Rows * Rows);
  };

  template <class R>
  static ops::HeadNorms<R> norms_in(R* memory) {
    return {memory, memory + Dim, memory + 2 * Dim, memory + 3 * Dim};
  }
  static const Real* none() { return nullptr; }

  Gradients temporal(Version version, const Exec& exec, int queries, bool biased = true) const {
    const Gradients d;
    const auto scratch = constant<Real>(ops::attention_backward_scratch_size<Heads, Dim>(Frames));
    const auto run = [&](const auto& backward) {
      backward(exec, batch, positions, queries, qkv.data(), norms_in<const Real>(norms.data()), eps,
               biased ? along_time.data() : none(), scale, dout.data(), d.dqkv.data(), norms_in(d.dnorms.data()),
               biased ? d.time.data() : nullptr, scratch.data());
    };
    const AllocationCounter counter;
    if (version == Version::fast)
      run([](const auto&... a) { ops::temporal_attention_backward<Frames, Heads, Dim>(a...); });
    else
      run([](const auto&... a) { ops::temporal_attention_backward_naive<Frames, Heads, Dim>(a...); });
    CHECK(counter.allocations() == 0);
    return d;
  }
  Gradients axial(Version version, const Exec& exec, bool biased = true) const {
    const Gradients d;
    const auto scratch = constant<Real>(ops::attention_backward_scratch_size<Heads, Dim>(std::max(Rows, Columns)));
    const auto run = [&](const auto& backward) {
      backward(exec, batch * Frames, qkv.data(), norms_in<const Real>(norms.data()), eps,
               biased ? along_x.data() : none(), biased ? along_y.data() : none(), scale, dout.data(), d.dqkv.data(),
               norms_in(d.dnorms.data()), biased ? d.x.data() : nullptr, biased ? d.y.data() : nullptr, scratch.data());
    };
    const AllocationCounter counter;
    if (version == Version::fast)
      run([](const auto&... a) { ops::axial_attention_backward<Rows, Columns, Heads, Dim>(a...); });
    else
      run([](const auto&... a) { ops::axial_attention_backward_naive<Rows, Columns, Heads, Dim>(a...); });
    CHECK(counter.allocations() == 0);
    return d;
  }
};

/// Forward in double: normalise_heads of the queries that are asked for and of all keys, then attention.
template <int Heads, int Dim, int Frames, int Rows, int Columns>
struct Forward {
  using T = Tokens<double, Heads, Dim, Frames, Rows, Columns>;
  static constexpr int rows = T::batch * T::positions;
  T tokens;

  static Numbers normalised(Numbers qkv, const Numbers& norms, int query_tokens) {
    ops::normalise_heads_naive<Heads, Dim>(Exec(), query_tokens, 3 * T::width, norms.data(), norms.data() + Dim, T::eps,
                                           qkv.data());
    ops::normalise_heads_naive<Heads, Dim>(Exec(), static_cast<int>(T::count), 3 * T::width, norms.data() + 2 * Dim,
                                           norms.data() + 3 * Dim, T::eps, qkv.data() + T::width);
    return qkv;
  }
  Numbers temporal(int queries, const Numbers& qkv, const Numbers& norms, const Numbers& bias) const {
    Numbers out(static_cast<std::size_t>(queries * rows) * T::width);
    ops::temporal_attention_naive<Frames, Heads, Dim>(Exec(), T::batch, T::positions, queries,
                                                      normalised(qkv, norms, queries * rows).data(), bias.data(),
                                                      tokens.scale, out.data());
    return out;
  }
  Numbers axial(const Numbers& qkv, const Numbers& norms, const Numbers& bias_x, const Numbers& bias_y) const {
    Numbers out(T::count * T::width);
    ops::axial_attention_naive<Rows, Columns, Heads, Dim>(Exec(), T::batch * Frames,
                                                          normalised(qkv, norms, T::count).data(), bias_x.data(),
                                                          bias_y.data(), tokens.scale, out.data());
    return out;
  }
};

/// Central differences of f by x, and what was there before they were added.
template <class F>
Numbers added(const F& f, const Numbers& x, const Numbers& dout, std::string_view before) {
  Numbers sum = central_differences(f, x, std::span(dout).first(f(x).size()));
  const auto start = drawn<double>(before, x.size());
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += start.data()[i];
  return sum;
}

bool equal_bits(const auto& a, const auto& b) {
  return same_bits(a.dqkv, b.dqkv) && same_bits(a.dnorms, b.dnorms) && same_bits(a.time, b.time) &&
         same_bits(a.x, b.x) && same_bits(a.y, b.y);
}

/// With zeros for the q part of tokens that have no query, which must have been left alone.
template <class Real>
Numbers written(const Arena<Real>& dqkv, int width, int query_tokens) {
  Numbers all = in_double(dqkv);
  bool alone = true;
  for (std::size_t i = static_cast<std::size_t>(query_tokens * 3 * width); i < all.size(); ++i)
    if (i % static_cast<std::size_t>(3 * width) < static_cast<std::size_t>(width)) {
      alone = alone && std::isnan(all[i]);
      all[i] = 0;
    }
  CHECK(alone);
  return all;
}

template <class Real, int Heads, int Dim, int Frames, int Rows, int Columns>
void check_fast() {
  using T = Tokens<Real, Heads, Dim, Frames, Rows, Columns>;
  const T tokens;
  const Tokens<double, Heads, Dim, Frames, Rows, Columns> exact;

  constexpr double bound = rounding<Real>;
  const auto check = [&](const auto& found, const auto& expected, const auto& alone, int queries) {
    const int rows = T::batch * T::positions * queries;
    CHECK(relative_l2(written(found.dqkv, T::width, rows), written(expected.dqkv, T::width, rows)) < bound);
    CHECK(relative_l2(in_double(found.dnorms), in_double(expected.dnorms)) < bound);
    CHECK(relative_l2(in_double(found.time), in_double(expected.time)) < bound);
    CHECK(relative_l2(in_double(found.x), in_double(expected.x)) < bound);
    CHECK(relative_l2(in_double(found.y), in_double(expected.y)) < bound);
    CHECK(equal_bits(found, alone));
  };
  for (const bool biased : {false, true}) {
    for (const int queries : {1, Frames})
      check(tokens.temporal(Version::fast, Exec(), queries, biased),
            exact.temporal(Version::naive, Exec(), queries, biased),
            tokens.temporal(Version::fast, one_thread(), queries, biased), queries);
    check(tokens.axial(Version::fast, Exec(), biased), exact.axial(Version::naive, Exec(), biased),
          tokens.axial(Version::fast, one_thread(), biased), Frames);
  }
}

}  // namespace

TEST_CASE("temporal_attention_backward, naive: agrees with central differences",
          "[ops][attention_backward][gradient]") {
  constexpr int frames = 3;
  const Forward<2, 3, frames, 1, 2> forward;
  const auto& tokens = forward.tokens;
  const Numbers qkv = in_double(tokens.qkv), norms = in_double(tokens.norms), bias = in_double(tokens.along_time),
                dout = in_double(tokens.dout);
  for (const int queries : {1, frames}) {
    const auto d = tokens.temporal(Version::naive, Exec(), queries);
    const auto out = [&](const Numbers& x, const Numbers& n, const Numbers& b) {
      return forward.temporal(queries, x, n, b);
    };
    const auto of_qkv = [&](const Numbers& v) { return out(v, norms, bias); };
    CHECK(relative_l2(written(d.dqkv, tokens.width, queries * forward.rows),
                      central_differences(of_qkv, qkv, std::span(dout).first(of_qkv(qkv).size()))) < 1e-9);
    CHECK(relative_l2(in_double(d.dnorms),
                      added([&](const Numbers& v) { return out(qkv, v, bias); }, norms, dout, "dnorms")) < 1e-9);
    CHECK(relative_l2(in_double(d.time),
                      added([&](const Numbers& v) { return out(qkv, norms, v); }, bias, dout, "dtime")) < 1e-9);
  }
}

TEST_CASE("axial_attention_backward, naive: agrees with central differences", "[ops][attention_backward][gradient]") {
  const Forward<2, 3, 1, 2, 3> forward;
  const auto& tokens = forward.tokens;
  const Numbers qkv = in_double(tokens.qkv), norms = in_double(tokens.norms), x = in_double(tokens.along_x),
                y = in_double(tokens.along_y), dout = in_double(tokens.dout);
  const auto d = tokens.axial(Version::naive, Exec());
  CHECK(relative_l2(in_double(d.dqkv),
                    central_differences([&](const Numbers& v) { return forward.axial(v, norms, x, y); }, qkv, dout)) <
        1e-9);
  CHECK(relative_l2(in_double(d.dnorms), added([&](const Numbers& v) { return forward.axial(qkv, v, x, y); }, norms,
                                               dout, "dnorms")) < 1e-9);
  CHECK(relative_l2(in_double(d.x),
                    added([&](const Numbers& v) { return forward.axial(qkv, norms, v, y); }, x, dout, "dx")) < 1e-9);
  CHECK(relative_l2(in_double(d.y),
                    added([&](const Numbers& v) { return forward.axial(qkv, norms, x, v); }, y, dout, "dy")) < 1e-9);
}

TEMPLATE_TEST_CASE_SIG("attention backward: agrees with the naive version in double; equal bits for any threads",
                       "[ops][attention_backward][property]",
                       ((int Dim, int Frames, int Rows, int Columns), Dim, Frames, Rows, Columns), (64, 1, 1, 2),
                       (64, 4, 3, 4), (16, 3, 5, 6), (12, 16, 1, 13), (12, 18, 9, 18)) {
  check_fast<float, 3, Dim, Frames, Rows, Columns>();
}

TEMPLATE_TEST_CASE_SIG("attention backward: in double to double's rounding", "[ops][attention_backward][property]",
                       ((int Dim, int Frames, int Rows, int Columns), Dim, Frames, Rows, Columns), (16, 5, 7, 2),
                       (5, 2, 3, 17)) {
  check_fast<double, 2, Dim, Frames, Rows, Columns>();
}

TEST_CASE("attention backward: one frame has no gradient by queries, keys and bias", "[ops][attention_backward]") {
  const Tokens<float, 3, 16, 1, 2, 3> tokens;
  const decltype(tokens)::Gradients before;
  for (const Version version : {Version::fast, Version::naive}) {
    const auto d = tokens.temporal(version, Exec(), 1);
    for (std::size_t token = 0; token < tokens.count; ++token)
      for (int c = 0; c < tokens.width; ++c) {
        const float* row = d.dqkv.data() + token * 3 * tokens.width;
        CHECK((row[c] == 0 && row[tokens.width + c] == 0));
        CHECK(row[2 * tokens.width + c] == tokens.dout.data()[token * tokens.width + static_cast<std::size_t>(c)]);
      }
    CHECK(same_bits(d.dnorms, before.dnorms));
    CHECK(same_bits(d.time, before.time));
  }
}

TEMPLATE_TEST_CASE("attention backward: the keys' bias has no gradient, values pass on all of theirs",
                   "[ops][attention_backward]", float, double) {
  // A constant added to all keys shifts all scores of a query; the probabilities of a query sum to 1.
  constexpr int dim = 16, heads = 2;
  const Tokens<TestType, heads, dim, 5, 3, 4> tokens;
  for (const auto& d : {tokens.temporal(Version::fast, Exec(), 5), tokens.axial(Version::fast, Exec())}) {
    double largest = 0;
    for (std::size_t i = 0; i < tokens.count * 3 * tokens.width; ++i)
      largest = std::max(largest, std::abs(static_cast<double>(d.dqkv.data()[i])));
    const auto before = drawn<TestType>("dnorms", 4 * dim);
    for (int c = 3 * dim; c < 4 * dim; ++c)
      CHECK(std::abs(d.dnorms.data()[c] - before.data()[c]) < rounding<TestType> * largest);
    for (int c = 0; c < tokens.width; ++c) {
      double dv = 0, dout = 0;
      for (std::size_t token = 0; token < tokens.count; ++token) {
        dv += static_cast<double>(d.dqkv.data()[(3 * token + 2) * tokens.width + static_cast<std::size_t>(c)]);
        dout += static_cast<double>(tokens.dout.data()[token * tokens.width + static_cast<std::size_t>(c)]);
      }
      CHECK(std::abs(dv - dout) < rounding<TestType> * tokens.count);
    }
  }
}
