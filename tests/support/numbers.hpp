#pragma once
#include <fieldstep/core/arena.hpp>
#include <support/compare.hpp>
#include <support/synth.hpp>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>
#include <vector>

namespace fieldstep::support {

using Numbers = std::vector<double>;

/// `count` numbers in offset +- scale, drawn from `name`; the same in float and in double.
template <class Real>
Arena<Real> drawn(std::string_view name, std::size_t count, double offset = 0, double scale = 1) {
  const Arena<Real> numbers(count);
  std::ranges::copy(synth(name, count, offset, scale), numbers.data());
  return numbers;
}

/// `count` times the same number; NaN shows what is read or left unwritten.
template <class Real>
Arena<Real> constant(std::size_t count, Real value = std::numeric_limits<Real>::quiet_NaN()) {
  const Arena<Real> numbers(count);
  std::fill_n(numbers.data(), count, value);
  return numbers;
}

template <class Real>
Numbers in_double(const Arena<Real>& numbers) {
  return {numbers.data(), numbers.data() + numbers.size()};
}

template <class Real>
bool same_bits(const Arena<Real>& a, const Arena<Real>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(Real)) == 0;
}

/// What a few roundings in a row may change, as a share of the result's norm.
template <class Real>
constexpr double rounding = 16 * static_cast<double>(std::numeric_limits<Real>::epsilon());

}  // namespace fieldstep::support
