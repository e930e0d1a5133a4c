#pragma once
#include <utility>
#include <vector>

namespace fieldstep::train {

/// What a callback noted: (i, value) with i the updates that were made before, 0, 1, ...
template <class Value = double>
using Record = std::vector<std::pair<long, Value>>;

namespace detail {

inline bool is_due(long i, long every) { return every > 0 && i % every == 0; }

}  // namespace detail

}  // namespace fieldstep::train
