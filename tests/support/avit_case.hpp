#pragma once
#include <fieldstep/models/avit.hpp>
#include <support/drawn_weights.hpp>
#include <support/reference_avit.hpp>
#include <support/threads.hpp>

#include <numeric>

namespace fieldstep::support {

/// A network with drawn weights, an input for every batch, and the reference's opinion of it.
template <class Config, class Grid, class Real>
class AvitCase {
 public:
  using Net = models::AViT<Config, Grid, Real>;
  static constexpr int field_size = Grid::height * Grid::width, sample_size = Net::fields * field_size;

  struct Conditions {
    std::vector<int> labels = [] {  // the first states
      std::vector<int> first(Net::fields);
      std::iota(first.begin(), first.end(), 0);
      return first;
    }();
    models::Boundary along_x = models::Boundary::open, along_y = models::Boundary::open;
  };

  explicit AvitCase(Conditions conditions)
      : conditions_(std::move(conditions)),
        prepared_(
            Net::prepare(Exec(), weights_.weights(),
                         {.labels = conditions_.labels, .along_x = conditions_.along_x, .along_y = conditions_.along_y},
                         memory_.data())) {}

  /// Trajectories first, first + 1, ...
  Arena<Real> input(int batch, int first = 0) const {
    const Arena<Real> x(static_cast<std::size_t>(batch) * Net::frames * sample_size);
    for (int b = 0; b < batch; ++b) {
      const std::size_t size = static_cast<std::size_t>(Net::frames) * sample_size;
      std::ranges::copy(synth(std::to_string(first + b) + ". trajectory", size, .2, 1.5), x.data() + b * size);
    }
    return x;
  }

  Arena<Real> forward(const Exec& exec, int batch, int first = 0) const {
    return forward(exec, batch, input(batch, first));
  }
  Arena<Real> forward(const Exec& exec, int batch, const Arena<Real>& x) const {
    const auto y = constant<Real>(static_cast<std::size_t>(batch) * sample_size);
    const auto workspace = constant<Real>(Net::workspace_size);
    Net::forward(exec, weights_.weights(), prepared_, typename Net::In(x.data(), batch),
                 typename Net::Out(y.data(), batch), workspace.data());
    return y;
  }

  Numbers reference(int batch) const {
    using reference::Setting;
    const Setting setting{.dim = Config::embed_dim,
                          .heads = Config::heads,
                          .blocks = Config::blocks,
                          .frames = Net::frames,
                          .labels = conditions_.labels,
                          .periodic_x = conditions_.along_x == models::Boundary::periodic,
                          .periodic_y = conditions_.along_y == models::Boundary::periodic,
                          .eps = Config::layer_norm_eps,
                          .bias = Config::bias == models::PositionBias::relative     ? Setting::relative
                                  : Config::bias == models::PositionBias::continuous ? Setting::continuous
                                                                                     : Setting::none};
    return reference::avit(weights_.state(), setting,
                           {batch * Net::frames, Net::fields, Grid::height, Grid::width, in_double(input(batch))})
        .values;
  }

 private:
  DrawnWeights<Net, Real> weights_;
  Conditions conditions_;
  Arena<Real> memory_{Net::prepared_size};
  typename Net::Prepared prepared_;
};

}  // namespace fieldstep::support
