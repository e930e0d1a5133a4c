#pragma once
#include <fieldstep/core/error.hpp>
#include <fieldstep/train/minibatch.hpp>

#include <cstddef>

namespace fieldstep::train {

/// A sampler whose minibatch j is part j % parts of the whole one's minibatch j / parts: consecutive samples, cut
/// evenly. A part may be empty.
template <Sampler Whole>
class MinibatchParts {
 public:
  MinibatchParts(Whole& whole, int parts) : whole_(whole), parts_(parts) {
    if (parts < 1) fail_usage("MinibatchParts: found ", parts, " parts, wanted at least one");
  }

  int parts() const { return parts_; }
  Minibatch whole(long i) { return whole_(i); }
  Minibatch operator()(long j) {
    Minibatch minibatch = whole_(j / parts_);
    const auto samples = static_cast<long>(minibatch.samples.size()), part = j % parts_;
    const long first = samples * part / parts_, last = samples * (part + 1) / parts_;
    minibatch.samples =
        minibatch.samples.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(last - first));
    return minibatch;
  }

 private:
  Whole& whole_;
  int parts_;
};

}  // namespace fieldstep::train
