#pragma once
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/core/random.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fieldstep {

/// Whose start values a network begins with when it is trained from scratch.
enum class Framework { torch, flax };

namespace detail {

/// One number of a parameter from its random word.
inline float draw_initial(const Init& init, Framework framework, std::uint32_t bits) {
  const bool torch = framework == Framework::torch;
  const auto uniform = [&] {
    const float bound = static_cast<float>(1 / std::sqrt(init.fan_in));
    return random_uniform(bits, -bound, bound);
  };
  const auto lecun_normal = [&] {
    // The divisor is the standard deviation of N(0, 1) cut off at two.
    return random_truncated_normal(bits, 2) *
           static_cast<float>(std::sqrt(1.0 / init.flax_fan_in) / .87962566103423978);
  };
  switch (init.law) {
    case Init::Law::weight:
      return torch ? uniform() : lecun_normal();
    case Init::Law::bias:
      return torch ? uniform() : 0.0f;
    case Init::Law::embedding:
      return random_normal(bits) * (torch ? 1.0f : static_cast<float>(std::sqrt(1.0 / init.flax_fan_in)));
    case Init::Law::normal:
      return torch ? random_normal(bits) * static_cast<float>(init.value) : lecun_normal();
    case Init::Law::constant:
      break;
  }
  return static_cast<float>(init.value);
}

}  // namespace detail

/// Draws parameter i of the table by its own law, from split(key, i): its numbers do not depend on the sizes of the
/// others. They are drawn in the original's order, then stored as the kernels read them.
template <class Real>
void initialise_param(ParamTable table, std::size_t i, Real* arena, Key key, Framework framework = Framework::torch) {
  const ParamEntry& entry = table[i];
  const Key own = split(key, i, table.size());
  std::vector<float> draws(entry.size);
  for (std::size_t j = 0; j < entry.size; ++j)
    draws[j] = detail::draw_initial(entry.init, framework, random_bits(own, j, entry.size));
  import_param(entry, draws.data(), arena);
}

/// Draws every parameter of the table.
template <class Real>
void initialise(ParamTable table, Real* arena, Key key, Framework framework = Framework::torch) {
  for (std::size_t i = 0; i < table.size(); ++i) initialise_param(table, i, arena, key, framework);
}

}  // namespace fieldstep
