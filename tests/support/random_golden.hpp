#pragma once
#include <fieldstep/core/random.hpp>
#include <support/golden.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace fieldstep::support {

/// The random generator against jax's tables: `values` maps "layout/seed" to what that key gives. The names end in how
/// many are drawn: split3, bits7, bits_2x3, uniform6; permutation2000_head lists the first ones only.
struct RandomGolden {
  static bool run(const Manifest& manifest) {
    Report report("uint32");
    for (const auto& [place, tables] : manifest.json().at("values").items()) {
      const std::size_t slash = place.find('/');
      const RandomLayout layout =
          place.substr(0, slash) == "legacy" ? RandomLayout::legacy : RandomLayout::partitionable;
      const Key key = make_key(std::stoull(place.substr(slash + 1)));
      for (const auto& [name, table] : tables.items()) {
        const std::vector<double> expected = numbers_in(table);
        report.compare(place + "/" + name, largest_error(drawn(name, key, expected.size(), layout), expected),
                       name.starts_with("normal") ? 3e-7 : 0.0);
      }
    }
    return report.passed();
  }

 private:
  static std::vector<double> numbers_in(const nlohmann::json& table) {
    if (table.is_number()) return {table.get<double>()};
    std::vector<double> numbers;
    for (const auto& row : table) {
      const std::vector<double> entries = numbers_in(row);
      numbers.insert(numbers.end(), entries.begin(), entries.end());
    }
    return numbers;
  }

  static std::vector<double> drawn(const std::string& name, Key key, std::size_t count, RandomLayout layout) {
    if (name == "key") return {double(key.hi), double(key.lo)};
    std::vector<double> numbers;
    if (name.starts_with("permutation")) {
      const auto order = random_permutation(key, std::stoi(name.substr(std::string("permutation").size())), layout);
      numbers.assign(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count));
    }
    for (std::size_t i = 0; numbers.size() < count; ++i) {
      const std::uint32_t bits = random_bits(key, i, count, layout);
      if (name.starts_with("split")) {
        const Key child = split(key, i, count / 2, layout);
        numbers.insert(numbers.end(), {double(child.hi), double(child.lo)});
      } else if (name.starts_with("bits")) {
        numbers.push_back(double(bits));
      } else if (name.starts_with("uniform")) {
        numbers.push_back(double(name == "uniform_m1_1" ? random_uniform(bits, -1, 1) : random_uniform(bits)));
      } else if (name.starts_with("normal")) {
        numbers.push_back(double(random_normal(bits)));
      } else {
        fail("the random generator's table ", name, " is none of split, bits, uniform, normal, permutation");
      }
    }
    return numbers;
  }

  /// Relative to each entry; the integers must be equal.
  static double largest_error(const std::vector<double>& computed, const std::vector<double>& expected) {
    double error = 0;
    for (std::size_t i = 0; i < expected.size(); ++i)
      if (computed.at(i) != expected[i])
        error = std::max(error, std::abs(computed[i] - expected[i]) / std::abs(expected[i]));
    return error;
  }
};

}  // namespace fieldstep::support
