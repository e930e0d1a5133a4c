#pragma once
#include <fieldstep/core/error.hpp>
#include <fieldstep/core/random.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace fieldstep {

/// Points in groups 0 to clusters - 1, and the sum of their squared distances to the means of their groups.
struct Clustering {
  std::vector<int> labels;
  double cost = 0;
};

namespace detail {

/// x: (count, dims)
template <class Real>
struct PointSet {
  std::size_t count, dims;
  const Real* x;

  double squared_distance(std::size_t point, const double* centre) const {
    double sum = 0;
    for (std::size_t d = 0; d < dims; ++d) {
      const double difference = x[point * dims + d] - centre[d];
      sum += difference * difference;
    }
    return sum;
  }
};

/// The first centre is any point, every further one a point drawn in proportion to its squared distance from the
/// nearest centre so far. Returns (clusters, dims).
/// Source: Arthur and Vassilvitskii 2007, "k-means++: the advantages of careful seeding".
template <class Real>
std::vector<double> draw_centres(PointSet<Real> points, std::size_t clusters, Key key) {
  std::vector<double> centres, nearest(points.count, std::numeric_limits<double>::infinity());
  for (std::size_t c = 0; c < clusters; ++c) {
    const double unit = random_uniform(random_bits(key, c, clusters));
    std::size_t drawn = 0;
    if (c == 0) {
      drawn = static_cast<std::size_t>(unit * static_cast<double>(points.count));
    } else {
      const double target = unit * std::accumulate(nearest.begin(), nearest.end(), 0.0);
      for (double sum = nearest[0]; sum <= target && drawn + 1 < points.count;) sum += nearest[++drawn];
    }
    const Real* point = points.x + drawn * points.dims;
    centres.insert(centres.end(), point, point + points.dims);
    for (std::size_t i = 0; i < points.count; ++i)
      nearest[i] = std::min(nearest[i], points.squared_distance(i, centres.data() + c * points.dims));
  }
  return centres;
}

/// Gives every group without a point the one that lies farthest from its centre, as long as there is one off it.
inline void fill_empty_groups(std::vector<std::size_t>& group, std::vector<double>& distance,
                              std::vector<std::size_t>& size) {
  for (std::size_t c = 0; c < size.size(); ++c) {
    if (size[c] != 0) continue;
    std::size_t farthest = 0;
    double most = 0;
    for (std::size_t i = 0; i < group.size(); ++i)
      if (size[group[i]] > 1 && distance[i] > most) most = distance[farthest = i];
    if (most == 0) return;  // fewer different points than groups
    --size[group[farthest]];
    ++size[c];
    group[farthest] = c;
    distance[farthest] = 0;
  }
}

/// Lloyd's iteration: points to their nearest centres, centres to the means of their points, until no point moves.
///   centres: (clusters, dims)
template <class Real>
Clustering move_centres(PointSet<Real> points, std::vector<double> centres) {
  constexpr int most_rounds = 300;  // no round raises the cost, but rounding might
  const std::size_t clusters = centres.size() / points.dims;
  std::vector<std::size_t> group(points.count, clusters), before, size(clusters);
  std::vector<double> distance(points.count);
  for (int round = 0; round < most_rounds; ++round) {
    before = group;
    std::ranges::fill(size, 0);
    std::ranges::fill(distance, std::numeric_limits<double>::infinity());
    for (std::size_t i = 0; i < points.count; ++i) {
      group[i] = 0;
      for (std::size_t c = 0; c < clusters; ++c) {
        const double d = points.squared_distance(i, centres.data() + c * points.dims);
        if (d < distance[i]) {
          distance[i] = d;
          group[i] = c;
        }
      }
      ++size[group[i]];
    }
    fill_empty_groups(group, distance, size);
    if (group == before) break;

    std::ranges::fill(centres, 0);
    for (std::size_t i = 0; i < points.count; ++i)
      for (std::size_t d = 0; d < points.dims; ++d)
        centres[group[i] * points.dims + d] += points.x[i * points.dims + d];
    for (std::size_t j = 0; j < centres.size(); ++j)
      centres[j] /= static_cast<double>(std::max<std::size_t>(size[j / points.dims], 1));
  }
  return {{group.begin(), group.end()}, std::accumulate(distance.begin(), distance.end(), 0.0)};
}

/// How often each value stands in the list.
template <class T>
std::vector<std::size_t> counts_of(std::vector<T> values) {
  std::ranges::sort(values);
  std::vector<std::size_t> counts;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i == 0 || values[i] != values[i - 1]) counts.push_back(0);
    ++counts.back();
  }
  return counts;
}

/// The labels renamed 0, 1, ... in their order, and how many there are.
inline std::pair<std::vector<std::size_t>, std::size_t> ranks(std::span<const int> labels) {
  std::vector<int> names(labels.begin(), labels.end());
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::vector<std::size_t> ranks;
  for (const int label : labels)
    ranks.push_back(static_cast<std::size_t>(std::ranges::lower_bound(names, label) - names.begin()));
  return {ranks, names.size()};
}

inline void check_labels(std::string_view who, std::span<const int> a, std::span<const int> b) {
  if (a.empty() || a.size() != b.size())
    fail_usage(who, ": found ", a.size(), " and ", b.size(), " labels, wanted as many, at least one");
}

}  // namespace detail

/// k-means: the groups that make the cost least, as far as Lloyd's iteration finds them from k-means++ starts; the best
/// of `restarts` is taken. Sums in double, in the points' order: equal bits for equal keys. A group stays empty only
/// where there are fewer different points than clusters.
///   x: (points, dims)
/// Source: Lloyd 1982, "Least squares quantization in PCM".
template <class Real>
Clustering k_means(std::size_t points, int dims, const Real* x, int clusters, Key key, int restarts = 20) {
  if (dims < 1 || clusters < 1 || restarts < 1)
    fail_usage("k_means: found ", dims, " dimensions, ", clusters, " clusters and ", restarts,
               " restarts, wanted at least one of each");
  const auto groups = static_cast<std::size_t>(clusters);
  if (points < groups)
    fail_usage("k_means: found ", points, " points, wanted at least one for each of ", clusters, " clusters");
  const detail::PointSet<Real> set{points, static_cast<std::size_t>(dims), x};
  for (std::size_t i = 0; i < points * set.dims; ++i)
    if (!std::isfinite(x[i])) fail("k_means: found ", x[i], " in point ", i / set.dims, ", wanted finite numbers");

  Clustering best;
  for (int r = 0; r < restarts; ++r) {
    const Key own = split(key, static_cast<std::uint64_t>(r), static_cast<std::uint64_t>(restarts));
    Clustering found = detail::move_centres(set, detail::draw_centres(set, groups, own));
    if (r == 0 || found.cost < best.cost) best = std::move(found);
  }
  return best;
}

/// Adjusted Rand index of two partitions of the same points: 1 if they are equal up to names, 0 on average for
/// independent ones of the same sizes. Over the pairs of points that a partition holds together:
///   (n_ab - n_a n_b / n) / ((n_a + n_b) / 2 - n_a n_b / n)
/// Source: Hubert and Arabie 1985, "Comparing partitions".
inline double adjusted_rand(std::span<const int> a, std::span<const int> b) {
  detail::check_labels("adjusted_rand", a, b);
  const auto pairs_of = [](const std::vector<std::size_t>& sizes) {
    double pairs = 0;
    for (const auto size : sizes) pairs += static_cast<double>(size) * static_cast<double>(size - 1) / 2;
    return pairs;
  };
  std::vector<std::pair<int, int>> both;
  for (std::size_t i = 0; i < a.size(); ++i) both.emplace_back(a[i], b[i]);
  const double n_a = pairs_of(detail::counts_of<int>({a.begin(), a.end()}));
  const double n_b = pairs_of(detail::counts_of<int>({b.begin(), b.end()}));
  const double n_ab = pairs_of(detail::counts_of(both)), mean = (n_a + n_b) / 2;
  if (n_ab == mean) return 1;  // equal: 0 / 0 if all points are together or each is alone
  const double chance = n_a * n_b / pairs_of({a.size()});
  return (n_ab - chance) / (mean - chance);
}

/// The share of points whose label is the truth, under the one-to-one naming of the labels where it is largest. A label
/// too many keeps a name of its own, which is never the truth. At most 8 different ones a side: all namings are tried.
inline double matched_accuracy(std::span<const int> labels, std::span<const int> truth) {
  constexpr std::size_t most = 8;
  detail::check_labels("matched_accuracy", labels, truth);
  const auto [found, found_count] = detail::ranks(labels);
  const auto [wanted, wanted_count] = detail::ranks(truth);
  const std::size_t names = std::max(found_count, wanted_count);
  if (names > most)
    fail_usage("matched_accuracy: found ", found_count, " labels and ", wanted_count, " true ones, wanted at most ",
               most);
  std::array<std::array<std::size_t, most>, most> together{};
  for (std::size_t i = 0; i < found.size(); ++i) ++together[found[i]][wanted[i]];

  std::array<std::size_t, most> naming;
  std::iota(naming.begin(), naming.end(), std::size_t{0});
  std::size_t best = 0;
  do {
    std::size_t agreements = 0;
    for (std::size_t k = 0; k < names; ++k) agreements += together[k][naming[k]];
    best = std::max(best, agreements);
  } while (std::next_permutation(naming.begin(), naming.begin() + static_cast<std::ptrdiff_t>(names)));
  return static_cast<double>(best) / static_cast<double>(labels.size());
}

/// The accuracy of always saying the most frequent label: what there is to beat.
inline double majority_share(std::span<const int> truth) {
  detail::check_labels("majority_share", truth, truth);
  return static_cast<double>(std::ranges::max(detail::counts_of<int>({truth.begin(), truth.end()}))) /
         static_cast<double>(truth.size());
}

/// The times t at which labels[t] is not labels[t - 1].
inline std::vector<std::size_t> switching_times(std::span<const int> labels) {
  std::vector<std::size_t> times;
  for (std::size_t t = 1; t < labels.size(); ++t)
    if (labels[t] != labels[t - 1]) times.push_back(t);
  return times;
}

}  // namespace fieldstep
