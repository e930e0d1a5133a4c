#pragma once
#include <fieldstep/core/init.hpp>
#include <fieldstep/core/random.hpp>

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

namespace fieldstep::support {

/// Start values in which every branch counts: the original's scales of branches begin at 1e-6.
template <class Real>
void random_weights(ParamTable table, Real* arena, std::uint64_t seed) {
  initialise(table, arena, make_key(seed));
  for (const ParamEntry& entry : table)
    if (entry.path.view().find("gamma") != std::string_view::npos)
      std::fill_n(arena + entry.offset, entry.stored, Real(0.4));
}

template <class Real>
std::vector<Real> random_numbers(std::size_t count, std::uint64_t seed) {
  std::vector<Real> numbers(count);
  for (std::size_t i = 0; i < count; ++i)
    numbers[i] = static_cast<Real>(random_normal(random_bits(make_key(seed), i, count)));
  return numbers;
}

}  // namespace fieldstep::support
