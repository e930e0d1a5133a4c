#pragma once
#include <array>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace fieldstep {

/// An activation inside a model, shown while a forward pass runs. The numbers are valid during the call only.
template <class Real>
struct TraceTensor {
  std::string_view path;  ///< the original's module, such as blocks.0.spatial.norm1
  std::string_view axes;  ///< a letter an axis, slowest first: b batch, t frame, i row, j column, c channel, n head,
                          ///< d channel of a head, p query position, q key position, w window of a sample
  std::vector<int> extents;
  const Real* data;
};

/// The trace of a production run: nothing is shown, and nothing is computed to be shown.
struct NoTrace {
  static constexpr bool active = false;
  constexpr NoTrace operator/(const auto&) const { return {}; }
};

/// Shows activations to a function. A model hands `trace / "blocks" / 3` down to its parts, which call it with their
/// own names; parts that are fused away in production are computed for it besides.
template <class Real>
class Trace {
 public:
  static constexpr bool active = true;
  using Sink = std::function<void(const TraceTensor<Real>&)>;

  explicit Trace(Sink sink) : sink_(std::move(sink)) {}

  Trace operator/(std::string_view name) const {
    Trace inner = *this;
    inner.path_ = joined(name);
    return inner;
  }
  Trace operator/(int index) const { return *this / std::to_string(index); }

  void operator()(std::string_view name, std::string_view axes, std::vector<int> extents, const Real* data) const {
    const std::string path = joined(name);
    sink_({path, axes, std::move(extents), data});
  }

 private:
  std::string joined(std::string_view name) const {
    if (path_.empty()) return std::string(name);
    return name.empty() ? path_ : path_ + "." + std::string(name);
  }

  Sink sink_;
  std::string path_;
};

}  // namespace fieldstep
