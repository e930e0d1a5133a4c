#include <fieldstep/core/init.hpp>
#include <fieldstep/embed/registry.hpp>
#include <fieldstep/models/avit.hpp>
#include <fieldstep/models/avit_training.hpp>
#include <support/numbers.hpp>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <span>
#include <vector>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

struct Micro : models::AvitDefaults {
  static constexpr int embed_dim = 32, heads = 2, blocks = 1;
};
template <int Fields>
using Net = models::AViT<Micro, Grid<2, 32, 48, Fields>>;

models::AvitConditions translate(const embed::Conditions& conditions) {
  return {.labels = conditions.labels,
          .along_x = static_cast<models::Boundary>(conditions.boundaries[0]),
          .along_y = static_cast<models::Boundary>(conditions.boundaries[1])};
}

template <int Fields>
embed::ModelEntry entry() {
  return embed::model_entry<Net<Fields>, translate, models::AvitTraining<Net<Fields>>>("mpp", "avit-micro");
}

/// A forward and a backward pass on drawn numbers.
void pass(embed::TrainableModel& model, int fields, std::span<const int> labels) {
  const auto points = std::size_t{32} * 48 * static_cast<std::size_t>(fields);
  const auto x = drawn<float>("x", 2 * points), dy = drawn<float>("dy", points), y = constant<float>(points);
  model.condition({.labels = labels});
  model.forward(1, x.data(), nullptr, y.data());
  model.backward(dy.data());
}

}  // namespace

TEST_CASE("TrainableModel: networks of different fields train the same parameters", "[embed][trainable_model]") {
  const embed::ModelEntry one = entry<1>(), two = entry<2>();
  REQUIRE(one.weight_bytes == two.weight_bytes);
  const std::size_t count = one.weight_bytes / sizeof(float);
  constexpr std::array<int, 1> first{3};
  constexpr std::array<int, 2> others{0, 5};

  auto a = one.make_trainable(1, Activations::keep), b = two.make_trainable(1, Activations::keep);
  b.share_parameters(a);
  CHECK(b.weights() == a.weights());
  CHECK(b.gradient() == a.gradient());
  initialise(one.table, a.weights(), make_key(0));
  pass(a, 1, first);
  pass(b, 2, others);

  auto alone = two.make_trainable(1, Activations::keep);
  initialise(two.table, alone.weights(), make_key(0));
  pass(alone, 2, others);
  const std::vector<float> of_two(alone.gradient(), alone.gradient() + count);
  auto before = one.make_trainable(1, Activations::keep);
  initialise(one.table, before.weights(), make_key(0));
  pass(before, 1, first);
  double error = 0, norm = 0;
  for (const ParamEntry& p : one.table)
    for (std::size_t i = p.offset; i < p.offset + p.stored; ++i) {
      const double sum = static_cast<double>(before.gradient()[i]) + static_cast<double>(of_two[i]);
      error += (a.gradient()[i] - sum) * (a.gradient()[i] - sum);
      norm += sum * sum;
    }
  CHECK(norm > 0);
  CHECK(std::sqrt(error) < 1e-6 * std::sqrt(norm));
}
