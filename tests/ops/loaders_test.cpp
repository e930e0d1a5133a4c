#include <fieldstep/ops/epilogues.hpp>
#include <fieldstep/ops/loaders.hpp>
#include <fieldstep/ops/matmul.hpp>
#include <support/numbers.hpp>
#include <support/product.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <set>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int samples = 5, positions = 6;

/// x * scale (+ shift), then GELU if asked, in double: what NormLoader does to a tensor.
Numbers normalised(const Arena<double>& x, const Arena<double>& scale, const Arena<double>* shift, bool gelu, int width,
                   int period) {
  Numbers y;
  for (int row = 0; row < samples * positions; ++row)
    for (int k = 0; k < width; ++k) {
      const int group = row / positions * period + k % period;
      double v = x.data()[row * width + k] * scale.data()[group];
      if (shift) v += shift->data()[group];
      y.push_back(gelu ? ops::gelu_naive(v) : v);
    }
  return y;
}

}  // namespace

TEMPLATE_TEST_CASE_SIG("NormLoader: a scale, perhaps a shift and a GELU, per sample and channel", "[ops][loaders]",
                       ((int Width, int Period, bool Shift, bool Gelu), Width, Period, Shift, Gelu),
                       (24, 24, true, false), (24, 24, false, false), (48, 12, false, true), (20, 5, false, true)) {
  const std::size_t count = std::size_t{samples} * positions * Width, groups = samples * Period;
  const auto x = drawn<float>("x", count), scale = drawn<float>("scale", groups), shift = drawn<float>("shift", groups);
  const auto exact_shift = drawn<double>("shift", groups);
  const Numbers exact = normalised(drawn<double>("x", count), drawn<double>("scale", groups),
                                   Shift ? &exact_shift : nullptr, Gelu, Width, Period);

  const ops::NormLoader<float, Width, Period, Shift, Gelu> load{
      x.data(), scale.data(), Shift ? shift.data() : nullptr, positions, {}};
  const auto rows = constant<float>(count);
  for (int row = 0; row < samples * positions; ++row) load.template load_row<Width>(row, 0, rows.data() + row * Width);
  CHECK(relative_l2(in_double(rows), exact) < rounding<float>);

  // Part of a row equals that part of the whole row.
  constexpr int depth = Width / 2;
  float part[depth];
  load.template load_row<depth>(7, depth, part);
  CHECK(std::equal(part, part + depth, rows.data() + 7 * Width + depth));
}

TEST_CASE("NormLoader: reads the samples it is asked for", "[ops][loaders]") {
  constexpr int width = 8;
  const auto x = drawn<float>("x", samples * positions * width), scale = drawn<float>("scale", samples * width);
  const ops::NormLoader<float, width, width, false, false> all{x.data(), scale.data(), nullptr, positions, {}};
  const ops::NormLoader<float, width, width, false, false> some{x.data(), scale.data(), nullptr, positions, {1, 3}};
  float from_all[width], from_some[width];
  all.load_row<width>(4 * positions + 2, 0, from_all);  // sample 4 = 1 + 1 * 3
  some.load_row<width>(1 * positions + 2, 0, from_some);
  CHECK(std::equal(from_all, from_all + width, from_some));
}

TEST_CASE("ResidualEpilogue: residual + keep * gamma * (x W + bias), for the samples asked for", "[ops][epilogues]") {
  constexpr int K = 12, N = 37, asked = 2, rows = asked * positions;
  constexpr ops::SampleRange range{1, 2};
  const Matrix<float, K, N> weight;
  const auto x = drawn<float>("x", rows * K), bias = drawn<float>("bias", N), gamma = drawn<float>("gamma", N);
  const auto residual = drawn<float>("residual", samples * positions * N), keep = drawn<float>("keep", asked, 1, .5);
  const Numbers product = exact_product(x, rows, weight);
  for (const float* kept : {static_cast<const float*>(nullptr), static_cast<const float*>(keep.data())}) {
    const auto y = constant<float>(rows * N);
    ops::matmul(Exec(), rows, ops::RowsLoader<float>{x.data(), K}, weight.packed, y.data(), N,
                ops::ResidualEpilogue<float, N>{bias.data(), gamma.data(), residual.data(), kept, positions, range});
    Numbers exact;
    for (int row = 0; row < rows; ++row)
      for (int n = 0; n < N; ++n) {
        const int group = row / positions, sample = range(group);
        const double branch = (product[static_cast<std::size_t>(row * N + n)] + static_cast<double>(bias.data()[n])) *
                              static_cast<double>(gamma.data()[n]) * static_cast<double>(kept ? kept[group] : 1.f);
        exact.push_back(branch + static_cast<double>(residual.data()[(sample * positions + row % positions) * N + n]));
      }
    CHECK(relative_l2(in_double(y), exact) < rounding<float>);
  }
}

TEMPLATE_TEST_CASE_SIG(
    "NestedPositions: every 4x4 patch has one place, the 2x2 patches of the next convolution are neighbours",
    "[ops][loaders][property]", ((int Rows, int Columns), Rows, Columns), (1, 1), (2, 3), (5, 4)) {
  using Nested = ops::NestedPositions<Rows, Columns>;
  std::set<std::pair<int, int>> places;
  for (int p = 0; p < Nested::count; ++p) {
    CHECK((Nested::row(p) >= 0 && Nested::row(p) < 4 * Rows && Nested::column(p) >= 0 &&
           Nested::column(p) < 4 * Columns));
    places.insert({Nested::row(p), Nested::column(p)});
    // The pyramid: four consecutive positions make a 2x2 patch, (a, b) in row-major order; sixteen make a token.
    CHECK(Nested::row(p) == Nested::row(p / 4 * 4) + p / 2 % 2);
    CHECK(Nested::column(p) == Nested::column(p / 4 * 4) + p % 2);
    CHECK(Nested::row(p) / 2 == 2 * (p / 16 / Columns) + p / 8 % 2);
    CHECK(Nested::column(p) / 2 == 2 * (p / 16 % Columns) + p / 4 % 2);
  }
  CHECK(places.size() == static_cast<std::size_t>(Nested::count));
}
