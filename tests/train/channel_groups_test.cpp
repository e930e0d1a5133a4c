#include <fieldstep/core/error.hpp>
#include <fieldstep/train/loss/channel_groups.hpp>
#include <support/numbers.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>

using namespace fieldstep;
using namespace fieldstep::support;
using Catch::Matchers::WithinRel;

namespace {

constexpr int samples = 2, channels = 4, points = 3;
constexpr std::size_t count = samples * channels * points;
constexpr int all_groups[] = {0, 1, 3, 4}, inner_group[] = {1, 3};

}  // namespace

TEST_CASE("ChannelGroupLoss: numbers worked out by hand", "[train][loss]") {
  const double y[] = {1, 5, -3, 0}, labels[] = {2, 3, -3, 8};  // one sample, two channels of two points
  const int both[] = {0, 1, 2};
  CHECK_THAT(train::ChannelGroupLoss{}(1, 2, 2, y, labels), WithinRel(11. / 4, 1e-12));
  CHECK_THAT((train::ChannelGroupLoss{.p = 2}(1, 2, 2, y, labels)), WithinRel(69. / 4, 1e-12));
  CHECK_THAT((train::ChannelGroupLoss{.p = 1, .boundaries = both}(1, 2, 2, y, labels)),
             WithinRel((3. / 5 + 8. / 11) / 2, 1e-9));
}

TEST_CASE("ChannelGroupLoss: the gradient agrees with central differences", "[train][loss][gradient]") {
  const auto labels = drawn<double>("labels", count), y = drawn<double>("y", count);
  for (const int p : {1, 2})
    for (const std::span<const int> groups :
         {std::span<const int>(), std::span<const int>(all_groups), std::span<const int>(inner_group)}) {
      const train::ChannelGroupLoss loss{p, groups};
      const auto gradient = constant<double>(count);
      loss(samples, channels, points, y.data(), labels.data(), gradient.data());
      for (std::size_t i = 0; i < count; ++i) {
        constexpr double step = 1e-6;
        const double here = y.data()[i];
        const auto at = [&](double value) {
          y.data()[i] = value;
          return loss(samples, channels, points, y.data(), labels.data());
        };
        const double slope = (at(here + step) - at(here - step)) / (2 * step);
        y.data()[i] = here;
        CHECK(std::abs(gradient.data()[i] - slope) < 1e-8);
      }
    }
}

TEST_CASE("ChannelGroupLoss: imposed labels neither count nor pull", "[train][loss]") {
  const auto labels = drawn<double>("labels", count), y = drawn<double>("y", count), gradient = constant<double>(count);
  unsigned char mask[samples * channels] = {};
  mask[2] = mask[5] = 1;
  train::impose_labels(samples, channels, points, labels.data(), mask, false, y.data());
  train::ChannelGroupLoss{}(samples, channels, points, y.data(), labels.data(), gradient.data());
  for (std::size_t i = 0; i < count; ++i) CHECK((gradient.data()[i] == 0) == (mask[i / points] != 0));
}

TEST_CASE("ChannelGroupLoss: groups and powers that make no sense are refused", "[train][loss]") {
  const double y[count] = {};
  const int beyond[] = {0, 5}, empty[] = {1, 1};
  CHECK_THROWS_AS((train::ChannelGroupLoss{.p = 3}(samples, channels, points, y, y)), Error);
  CHECK_THROWS_AS((train::ChannelGroupLoss{1, beyond}(samples, channels, points, y, y)), Error);
  CHECK_THROWS_AS((train::ChannelGroupLoss{1, empty}(samples, channels, points, y, y)), Error);
}
