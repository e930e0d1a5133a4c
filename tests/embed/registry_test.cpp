#include <fieldstep/core/error.hpp>
#include <fieldstep/embed/registry.hpp>
#include <fieldstep/models/avit.hpp>
#include <support/allocations.hpp>
#include <support/random_network.hpp>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <utility>
#include <vector>

using namespace fieldstep;

namespace {

struct Micro : models::AvitDefaults {
  static constexpr int embed_dim = 32, heads = 2, blocks = 2;
};
using Net = models::AViT<Micro, Grid<2, 32, 48, 3>>;

models::AvitConditions translate(const embed::Conditions& conditions) {
  return {.labels = conditions.labels,
          .along_x = static_cast<models::Boundary>(conditions.boundaries[0]),
          .along_y = static_cast<models::Boundary>(conditions.boundaries[1])};
}

}  // namespace

TEST_CASE("ModelEntry: tells a network's sizes before it is made", "[embed][registry]") {
  const embed::ModelEntry entry = embed::model_entry<Net, translate>("mpp", "avit-micro");
  CHECK(entry.family == "mpp");
  CHECK(entry.name == "avit-micro");
  CHECK(std::array{entry.frames, entry.height, entry.width, entry.fields} == std::array{2, 32, 48, 3});
  CHECK(entry.frame_size() == 3 * 32 * 48);
  CHECK(entry.table.size() == Net::table().size());
  CHECK(entry.weight_bytes == 4 * Net::arena_size);
  CHECK(entry.flop(2) == Net::flop(2));
}

TEST_CASE("Model: computes what the network behind it computes, without allocating", "[embed][registry]") {
  const embed::ModelEntry entry = embed::model_entry<Net, translate>("mpp", "avit-micro");
  embed::Model made = entry.make();
  embed::Model model = std::move(made);
  embed::Network<Net> network;
  support::random_weights(entry.table, model.weights(), 7);
  support::random_weights(entry.table, network.weights(), 7);
  constexpr std::array labels{0, 3, 5};
  model.condition({.labels = labels, .boundaries = {0, 1}});
  network.condition({.labels = labels, .along_y = models::Boundary::periodic});

  const std::vector<float> x = support::random_numbers<float>(2 * 2 * entry.frame_size(), 8);
  std::vector<float> a(2 * entry.frame_size()), b(a.size());
  network.forward(2, x.data(), b.data());
  const support::AllocationCounter counter;
  model.forward(2, x.data(), a.data());
  CHECK(counter.allocations() == 0);
  CHECK(a == b);
  CHECK_THROWS_AS(model.condition({.labels = std::array{0, 3}}), Error);
}
