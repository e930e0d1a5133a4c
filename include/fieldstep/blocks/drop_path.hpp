#pragma once
#include <fieldstep/core/error.hpp>

#include <cstddef>
#include <span>

namespace fieldstep::blocks {

/// Stochastic depth: the rate at which the branches of block `block` are dropped, from 0 for the first of `blocks`
/// blocks to `rate` for the last. Source: Huang et al. 2016, arXiv:1603.09382, with the linear rule.
constexpr double drop_path_rate(double rate, int block, int blocks) {
  return blocks > 1 ? rate * block / (blocks - 1) : 0;
}

/// The factors of a residual branch, (batch, frame), from its keep flags: flag / (1 - rate), or 1 where rate is 0.
/// flags: `frames` of them are shared by the batch (MPP's rule for the temporal branch, where timm drops along the
/// leading axis); batch * frames of them in the original's order, t * batch + b, keep or drop every sample on its own.
template <class Flag, class Real>
void keep_factors(std::span<const Flag> flags, int batch, int frames, double rate, Real* factors) {
  const auto shared = static_cast<std::size_t>(frames), all = static_cast<std::size_t>(batch) * shared;
  if (flags.size() != shared && flags.size() != all)
    fail_usage("keep_factors: found ", flags.size(), " flags, wanted ", shared, " (one a frame) or ", all,
               " (one a frame and sample)");
  for (int b = 0; b < batch; ++b)
    for (int t = 0; t < frames; ++t) {
      const Flag flag = flags[static_cast<std::size_t>(flags.size() == shared ? t : t * batch + b)];
      *factors++ = rate > 0 ? static_cast<Real>(static_cast<double>(flag) / (1 - rate)) : Real(1);
    }
}

}  // namespace fieldstep::blocks
