#include <fieldstep/core/init.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <cmath>

using namespace fieldstep;
using Catch::Matchers::WithinAbs;

namespace {

/// One leaf per law; the weight is packed with padding (70 columns are no whole number of vectors).
template <class R>
struct Toy {
  Packed<R, LinearLayout<120, 70>> weight;
  Tensor<R, 70> bias{nullptr};
  Tensor<R, 32, 3> table{nullptr};
  Tensor<R, 70> gamma{nullptr};
  using hana_accessors_impl =
      Fields<Field<"weight", &Toy::weight, init_weight(120, 30)>, Field<"bias", &Toy::bias, init_bias(120)>,
             Field<"table", &Toy::table, init_embedding(3)>, Field<"gamma", &Toy::gamma, init_constant(1e-6)>>;
};

constexpr auto table = make_param_table<Toy<float>>();

std::vector<float> initialised(Key key, Framework framework) {
  std::vector<float> arena(arena_count<Toy<float>>(), 7.0f);
  initialise(table, arena.data(), key, framework);
  return arena;
}

std::vector<double> original(const ParamEntry& entry, const std::vector<float>& arena) {
  std::vector<double> values(entry.size);
  export_param(entry, arena.data(), values.data());
  return values;
}

double mean(const std::vector<double>& x, int power = 1) {
  double sum = 0;
  for (const double value : x) sum += std::pow(value, power);
  return sum / static_cast<double>(x.size());
}

}  // namespace

TEST_CASE("initialise: PyTorch's laws", "[core][init]") {
  const auto arena = initialised(make_key(3), Framework::torch);
  const double bound = 1 / std::sqrt(120.0);
  for (const int leaf : {0, 1}) {
    const auto x = original(table[static_cast<std::size_t>(leaf)], arena);
    CHECK(std::ranges::max(x) <= bound);
    CHECK(std::ranges::min(x) >= -bound);
    CHECK(std::ranges::max(x) > 0.9 * bound);
    CHECK(std::ranges::min(x) < -0.9 * bound);
  }
  const auto weight = original(table[0], arena);
  CHECK_THAT(mean(weight), WithinAbs(0, 0.02 * bound));
  CHECK_THAT(mean(weight, 2) / (bound * bound), WithinAbs(1.0 / 3, 0.02));
  CHECK_THAT(mean(original(table[2], arena), 2), WithinAbs(1, 0.45));
  CHECK(std::ranges::all_of(original(table[3], arena), [](double x) { return x == 1e-6f; }));
}

TEST_CASE("initialise: Flax's laws", "[core][init]") {
  const auto arena = initialised(make_key(3), Framework::flax);
  const auto weight = original(table[0], arena);
  const double deviation = 1 / std::sqrt(30.0), limit = 2 * deviation / .87962566103423978;
  CHECK(std::ranges::max(weight) < limit);
  CHECK(std::ranges::min(weight) > -limit);
  CHECK_THAT(mean(weight), WithinAbs(0, 0.04 * deviation));
  CHECK_THAT(mean(weight, 2) / (deviation * deviation), WithinAbs(1, 0.04));
  CHECK(std::ranges::all_of(original(table[1], arena), [](double x) { return x == 0; }));
  CHECK_THAT(mean(original(table[2], arena), 2), WithinAbs(1.0 / 3, 0.15));
  CHECK(std::ranges::all_of(original(table[3], arena), [](double x) { return x == 1e-6f; }));
}

TEST_CASE("initialise: the same key gives the same bits, another key other ones", "[core][init]") {
  for (const Framework framework : {Framework::torch, Framework::flax}) {
    const auto first = initialised(make_key(11), framework);
    CHECK(first == initialised(make_key(11), framework));
    CHECK(original(table[0], first) != original(table[0], initialised(make_key(12), framework)));
  }
}

TEST_CASE("initialise: the padding of a packed matrix is zero", "[core][init]") {
  const auto arena = initialised(make_key(3), Framework::torch);
  const auto zeros = std::count(arena.begin(), arena.begin() + static_cast<std::ptrdiff_t>(table[0].stored), 0.0f);
  CHECK(static_cast<std::size_t>(zeros) >= table[0].stored - table[0].size);
}
