#include <array>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <cmath>
#include <cstdint>
#include <fieldstep/core/clustering.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/core/random.hpp>
#include <limits>
#include <vector>

using Catch::Matchers::Message;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;
using namespace fieldstep;
using Labels = std::vector<int>;

namespace {

/// Point i belongs to group i % groups; its coordinates are normal around 10 times the group's number.
template <class Real>
std::vector<Real> clouds(std::size_t points, std::size_t dims, std::size_t groups) {
  std::vector<Real> x;
  for (std::size_t j = 0; j < points * dims; ++j)
    x.push_back(static_cast<Real>(10 * (j / dims % groups)) +
                random_normal(random_bits(make_key(3), j, points * dims)));
  return x;
}

Labels repeated(std::size_t points, int groups) {
  Labels labels;
  for (std::size_t i = 0; i < points; ++i) labels.push_back(static_cast<int>(i) % groups);
  return labels;
}

Labels random_labels(std::size_t points, std::uint32_t groups, Key key) {
  Labels labels;
  for (std::size_t i = 0; i < points; ++i) labels.push_back(static_cast<int>(random_bits(key, i, points) % groups));
  return labels;
}

/// The definition: squared distances to the means, the means of the labels given.
template <class Real>
double cost_of(const std::vector<Real>& x, std::size_t dims, const Labels& labels, int groups) {
  double cost = 0;
  for (int g = 0; g < groups; ++g)
    for (std::size_t d = 0; d < dims; ++d) {
      double sum = 0, squares = 0, n = 0;
      for (std::size_t i = 0; i < labels.size(); ++i) {
        if (labels[i] != g) continue;
        sum += x[i * dims + d];
        n += 1;
      }
      for (std::size_t i = 0; i < labels.size(); ++i)
        if (labels[i] == g) squares += std::pow(x[i * dims + d] - sum / n, 2);
      cost += squares;
    }
  return cost;
}

}  // namespace

TEMPLATE_TEST_CASE("k_means: groups that lie apart are found exactly", "[core][clustering]", float, double) {
  for (const int groups : {1, 2, 3, 8}) {
    const auto x = clouds<TestType>(400, 3, static_cast<std::size_t>(groups));
    const Clustering found = k_means(400, 3, x.data(), groups, make_key(1));
    CHECK(adjusted_rand(found.labels, repeated(400, groups)) == 1);
    CHECK_THAT(found.cost, WithinRel(cost_of(x, 3, found.labels, groups), 1e-12));
  }
}

TEST_CASE("k_means: the least cost of all partitions, by hand", "[core][clustering]") {
  const std::vector<double> x{0, 1, 5, 6, 20};  // {0, 1, 5, 6} and {20}: 26; {0, 1} and {5, 6, 20}: 141.2
  const Clustering two = k_means(5, 1, x.data(), 2, make_key(1));
  CHECK(adjusted_rand(two.labels, Labels{0, 0, 0, 0, 1}) == 1);
  CHECK(two.cost == 26);
  const Clustering three = k_means(5, 1, x.data(), 3, make_key(1));
  CHECK(adjusted_rand(three.labels, Labels{0, 0, 1, 1, 2}) == 1);
  CHECK(three.cost == 1);
  CHECK(k_means(5, 1, x.data(), 5, make_key(1)).cost == 0);
}

TEST_CASE("k_means: where the best partition is found by trying all, it is found", "[core][clustering][property]") {
  constexpr std::size_t points = 9, dims = 2;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    std::vector<double> x;
    for (std::size_t j = 0; j < points * dims; ++j)
      x.push_back(random_normal(random_bits(make_key(seed), j, points * dims)));
    double least = std::numeric_limits<double>::infinity();
    for (int code = 0; code < 19683; ++code) {  // 3^9 labellings
      Labels labels;
      for (int rest = code, i = 0; i < 9; ++i, rest /= 3) labels.push_back(rest % 3);
      const double cost = cost_of(x, dims, labels, 3);
      if (cost < least) least = cost;  // an empty group has cost 0
    }
    CHECK_THAT(k_means(points, dims, x.data(), 3, make_key(seed), 50).cost, WithinRel(least, 1e-12));
  }
}

TEST_CASE("k_means: equal keys give equal bits, more restarts no higher cost", "[core][clustering]") {
  std::vector<float> x;  // no groups at all: many local minima
  for (std::size_t j = 0; j < 1000; ++j) x.push_back(random_uniform(random_bits(make_key(5), j, 1000)));
  const Clustering first = k_means(500, 2, x.data(), 7, make_key(9)), again = k_means(500, 2, x.data(), 7, make_key(9));
  CHECK(first.labels == again.labels);
  CHECK(first.cost == again.cost);
  CHECK(k_means(500, 2, x.data(), 7, make_key(10), 1).labels != k_means(500, 2, x.data(), 7, make_key(11), 1).labels);
  double before = std::numeric_limits<double>::infinity();
  for (const int restarts : {1, 2, 5, 20, 60}) {
    const double cost = k_means(500, 2, x.data(), 7, make_key(9), restarts).cost;
    CHECK(cost <= before);
    before = cost;
  }
}

TEST_CASE("k_means: fewer different points than clusters", "[core][clustering]") {
  const std::vector<float> x{4, 4, 7, 4, 7, 4};
  const Clustering found = k_means(6, 1, x.data(), 4, make_key(2));
  CHECK(found.cost == 0);
  CHECK(adjusted_rand(found.labels, Labels{0, 0, 1, 0, 1, 0}) == 1);
}

TEST_CASE("k_means: a centre that loses its points takes the point farthest from its own", "[core][clustering]") {
  const std::vector<double> x{0, 1, 2, 10, 11, 30};
  const Clustering found = detail::move_centres<double>({6, 1, x.data()}, {1, 1000, 2000});
  CHECK(found.labels == Labels{0, 0, 0, 2, 2, 1});
  CHECK(found.cost == 2.5);
}

TEST_CASE("k_means: says what it cannot cluster", "[core][clustering]") {
  std::vector<double> x{1, 2, 3, 4};
  CHECK_THROWS_MATCHES(k_means(2, 2, x.data(), 3, Key()), Error,
                       Message("k_means: found 2 points, wanted at least one for each of 3 clusters"));
  CHECK_THROWS_MATCHES(k_means(4, 1, x.data(), 2, Key(), 0), Error,
                       Message("k_means: found 1 dimensions, 2 clusters and 0 restarts, wanted at least one of each"));
  CHECK_THROWS_AS(k_means(4, 1, x.data(), 0, Key()), Error);
  CHECK_THROWS_AS(k_means(4, 0, x.data(), 2, Key()), Error);
  x[3] = NAN;
  CHECK_THROWS_MATCHES(k_means(2, 2, x.data(), 2, Key()), Error,
                       Message("k_means: found nan in point 1, wanted finite numbers"));
}

TEST_CASE("adjusted_rand: as by hand and as scikit-learn has it", "[core][clustering]") {
  const auto is = [](double value) { return WithinAbs(value, 1e-15); };
  CHECK_THAT(adjusted_rand(Labels{0, 0, 1, 1}, Labels{0, 0, 1, 2}), is(4.0 / 7));
  CHECK_THAT(adjusted_rand(Labels{0, 0, 1, 1}, Labels{0, 1, 0, 1}), is(-0.5));
  CHECK_THAT(adjusted_rand(Labels{0, 0, 0, 0}, Labels{0, 1, 2, 3}), is(0));
  // Pairs together in both, in a, in b, and in all: 2, 4, 7, 15; then 7, 13, 14, 45.
  CHECK_THAT(adjusted_rand(Labels{0, 0, 0, 1, 1, 2}, Labels{0, 0, 1, 1, 1, 1}),
             is((2 - 28 / 15.0) / (5.5 - 28 / 15.0)));
  CHECK_THAT(adjusted_rand(Labels{0, 0, 1, 1, 1, 1, 2, 2, 2, 2}, Labels{0, 1, 0, 1, 1, 2, 2, 2, 2, 2}),
             is((7 - 182 / 45.0) / (13.5 - 182 / 45.0)));
}

TEST_CASE("adjusted_rand: agrees with the count over all pairs of points", "[core][clustering][property]") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Labels a = random_labels(40, 3, make_key(seed));
    Labels b = a;  // half of the points keep their group
    const Labels other = random_labels(40, 5, make_key(seed + 100));
    for (std::size_t i = 0; i < 40; i += 2) b[i] = other[i];
    double both = 0, only_a = 0, only_b = 0, none = 0;
    for (std::size_t i = 0; i < 40; ++i)
      for (std::size_t j = 0; j < i; ++j)
        (a[i] == a[j] ? (b[i] == b[j] ? both : only_a) : (b[i] == b[j] ? only_b : none)) += 1;
    const double wanted =
        2 * (both * none - only_a * only_b) / ((both + only_a) * (only_a + none) + (both + only_b) * (only_b + none));
    CHECK(wanted > 0.05);
    CHECK_THAT(adjusted_rand(a, b), WithinRel(wanted, 1e-13));
  }
}

TEST_CASE("adjusted_rand: equal partitions are 1, whatever the names and sizes", "[core][clustering]") {
  CHECK(adjusted_rand(Labels{0, 0, 1, 2}, Labels{7, 7, -1, 3}) == 1);
  CHECK(adjusted_rand(Labels{5, 5, 5}, Labels{1, 1, 1}) == 1);
  CHECK(adjusted_rand(Labels{0, 1, 2}, Labels{2, 0, 1}) == 1);
  CHECK(adjusted_rand(Labels{4}, Labels{2}) == 1);
}

TEST_CASE("adjusted_rand: symmetric, blind to names, 0 on average by chance", "[core][clustering][property]") {
  double sum = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Labels a = random_labels(300, 3, make_key(2 * seed)), b = random_labels(300, 4, make_key(2 * seed + 1));
    Labels renamed;
    for (const int label : b) renamed.push_back(std::array{9, -3, 5, 0}[static_cast<std::size_t>(label)]);
    const double index = adjusted_rand(a, b);
    CHECK(index == adjusted_rand(b, a));
    CHECK(index == adjusted_rand(a, renamed));
    CHECK(std::abs(index) < 0.03);
    sum += index;
  }
  CHECK(std::abs(sum / 200) < 1e-3);
}

TEST_CASE("matched_accuracy: the best naming, by hand", "[core][clustering]") {
  CHECK(matched_accuracy(Labels{1, 1, 0, 0}, Labels{0, 0, 1, 1}) == 1);
  CHECK(matched_accuracy(Labels{2, 2, 5, 5, 5}, Labels{0, 0, 1, 1, 0}) == 0.8);
  CHECK(matched_accuracy(Labels{0, 1, 2, 3}, Labels{5, 5, 5, 5}) == 0.25);  // one label only can be called 5
  CHECK(matched_accuracy(Labels{5, 5, 5, 5}, Labels{0, 1, 2, 2}) == 0.5);
  // Agreements 3 2 / 2 0: the largest first would leave 3 of 7, the best naming has 4.
  CHECK(matched_accuracy(Labels{0, 0, 0, 0, 0, 1, 1}, Labels{0, 0, 0, 1, 1, 0, 0}) == 4 / 7.0);
  Labels shifted = repeated(64, 8);
  for (int& label : shifted) label = (label + 3) % 8;
  CHECK(matched_accuracy(shifted, repeated(64, 8)) == 1);
}

TEST_CASE("majority_share: what the most frequent label has", "[core][clustering]") {
  CHECK(majority_share(Labels{3, 1, 3, 2, 3}) == 0.6);
  CHECK(majority_share(Labels{1, 1}) == 1);
}

TEST_CASE("clustering: says which labels cannot be compared", "[core][clustering]") {
  CHECK_THROWS_MATCHES(adjusted_rand(Labels{0, 1}, Labels{0}), Error,
                       Message("adjusted_rand: found 2 and 1 labels, wanted as many, at least one"));
  CHECK_THROWS_MATCHES(matched_accuracy(Labels{}, Labels{}), Error,
                       Message("matched_accuracy: found 0 and 0 labels, "
                               "wanted as many, at least one"));
  CHECK_THROWS_MATCHES(matched_accuracy(repeated(20, 9), repeated(20, 2)), Error,
                       Message("matched_accuracy: found 9 labels and 2 true ones, wanted at most 8"));
  CHECK_THROWS_AS(majority_share(Labels{}), Error);
}

TEST_CASE("switching_times: where a label differs from the one before", "[core][clustering]") {
  using Times = std::vector<std::size_t>;
  CHECK(switching_times(Labels{0, 0, 1, 1, 0, 2}) == Times{2, 4, 5});
  CHECK(switching_times(Labels{3, 3, 3}).empty());
  CHECK(switching_times(Labels{}).empty());
}
