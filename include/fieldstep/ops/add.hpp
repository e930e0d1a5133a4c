#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/vec.hpp>

#include <algorithm>
#include <cstddef>

namespace fieldstep::ops {

/// y += x for `count` numbers: where two gradients meet.
template <class Exec, class Real>
void add(const Exec& exec, std::size_t count, const Real* x, Real* y) {
  constexpr std::size_t run = 4096;
  for_ranges(exec, static_cast<int>((count + run - 1) / run), [=](int begin, int end) {
    constexpr int L = lanes<Real>;
    const std::size_t last = std::min(static_cast<std::size_t>(end) * run, count);
    std::size_t i = static_cast<std::size_t>(begin) * run;
    for (; i + L <= last; i += L) store<L>(y + i, load<L>(y + i) + load<L>(x + i));
    for (; i < last; ++i) y[i] += x[i];
  });
}

}  // namespace fieldstep::ops
