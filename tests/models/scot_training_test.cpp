#include <fieldstep/models/scot_training.hpp>
#include <support/allocations.hpp>
#include <support/drawn_weights.hpp>
#include <support/gradient.hpp>
#include <support/threads.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

struct Small : models::ScotDefaults {
  static constexpr int embed_dim = 8, window = 4, out_channels = 2;
  static constexpr std::array depths{2, 2}, heads{2, 2}, skip_blocks{1, 0};
};

/// A network with drawn weights, a batch, and the gradient of its outputs.
template <class Grid, class Real>
struct Case {
  using Net = models::ScOT<Small, Grid, Real>;
  using Training = models::ScotTraining<Net>;
  static constexpr int batch = 2;
  static constexpr std::size_t in_size = static_size<typename Net::In>(), out_size = static_size<typename Net::Out>();

  struct Gradients {
    Arena<Real> y = constant<Real>(batch * out_size), dw = constant<Real>(Net::arena_size, 0),
                dx = constant<Real>(batch * in_size), dtime = constant<Real>(batch, 0);
  };

  Arena<Real> weights{Net::arena_size}, prepared_memory{Net::prepared_size}, x = drawn<Real>("x", batch*in_size),
                                                                             time = drawn<Real>("time", batch, .5, .5),
                                                                             dy = drawn<Real>("dy", batch*out_size);
  typename Net::Prepared prepared;

  Case() {
    draw_weights(Net::table(), weights.data());
    prepare(Exec());
  }
  typename Net::Weights w() const { return bind<typename Net::Weights>(static_cast<const Real*>(weights.data())); }
  void prepare(const Exec& exec) { prepared = Net::prepare(exec, w(), {}, prepared_memory.data()); }

  /// Both passes over samples first, ..., first + count - 1; adds to the gradients.
  void run(const Exec& exec, Activations activations, int first, int count, const Gradients& to,
           const Arena<Real>& workspace) const {
    auto plan = Training::plan(count, activations, workspace.data());
    const auto s = static_cast<std::size_t>(first);
    const typename Net::In in(x.data() + s * in_size, count);
    Training::forward(exec, w(), prepared, in, time.data() + s, typename Net::Out(to.y.data() + s * out_size, count),
                      plan);
    Training::backward(exec, w(), prepared, in, time.data() + s, dy.data() + s * out_size, plan,
                       bind<typename Training::Gradient>(to.dw.data()), to.dx.data() + s * in_size,
                       to.dtime.data() + s);
  }
  Gradients run(const Exec& exec, Activations activations = Activations::keep) const {
    const Gradients gradients;
    run(exec, activations, 0, batch, gradients, constant<Real>(Training::workspace_size(batch, activations)));
    return gradients;
  }
  double loss(const Exec& exec) {
    const auto y = constant<Real>(batch * out_size), workspace = constant<Real>(Net::workspace_size);
    Net::forward(exec, w(), prepared, typename Net::In(x.data(), batch), time.data(),
                 typename Net::Out(y.data(), batch), workspace.data());
    return dot({y.data(), y.size()}, {dy.data(), dy.size()});
  }
};

using Odd = Grid<1, 28, 36, 3>;  // 7 x 9 tokens: windows, merging and unmerging are padded

bool same(const auto& a, const auto& b) {
  return same_bits(a.y, b.y) && same_bits(a.dw, b.dw) && same_bits(a.dx, b.dx) && same_bits(a.dtime, b.dtime);
}

}  // namespace

TEST_CASE("ScotTraining: gradients agree with central differences on a grid that is not square",
          "[models][scot][gradient]") {
  Case<Odd, double> network;
  const auto gradients = network.run(Exec());
  const Exec serial = one_thread();
  const auto check = [&](const char* what, const Arena<double>& at, const Arena<double>& gradient, double step) {
    const Numbers direction = in_double(drawn<double>("direction", at.size())), start = in_double(at);
    double expected = 0, norm = 0;
    for (std::size_t i = 0; i < at.size(); ++i) norm += direction[i] * direction[i];
    expected = derivative(
        [&](double t) {
          for (std::size_t i = 0; i < at.size(); ++i) at.data()[i] = start[i] + t * direction[i];
          network.prepare(serial);
          return network.loss(serial);
        },
        step);
    std::ranges::copy(start, at.data());
    const double found = dot(in_double(gradient), direction);
    INFO(what << ": found " << found << ", central differences " << expected);
    CHECK(std::abs(found - expected) < 1e-7 * std::max(std::abs(expected), std::sqrt(norm)));
  };
  check("x", network.x, gradients.dx, 1e-4);
  check("lead time", network.time, gradients.dtime, 1e-4);
}

TEST_CASE("ScotTraining: what is kept and what is computed again give the same bits; so do one thread and two",
          "[models][scot][property]") {
  const Case<Odd, float> network;
  const auto kept = network.run(Exec());
  CHECK(same(kept, network.run(Exec(), Activations::recompute)));
  CHECK(same(kept, network.run(one_thread())));
  using Training = typename Case<Odd, float>::Training;
  CHECK(Training::workspace_size(2, Activations::recompute) < Training::workspace_size(2, Activations::keep));
}

TEST_CASE("ScotTraining: a batch is the sum of its samples", "[models][scot][property]") {
  using Network = Case<Odd, double>;
  const Network network;
  const auto together = network.run(Exec());
  const Network::Gradients apart;
  const auto workspace = constant<double>(Network::Training::workspace_size(1, Activations::keep));
  for (int s = 0; s < Network::batch; ++s) network.run(Exec(), Activations::keep, s, 1, apart, workspace);
  CHECK(same_bits(together.y, apart.y));
  CHECK(same_bits(together.dx, apart.dx));
  CHECK(same_bits(together.dtime, apart.dtime));
  CHECK(relative_l2(in_double(together.dw), in_double(apart.dw)) < 1e-13);
}

TEST_CASE("ScotTraining: both passes allocate nothing", "[models][scot][property]") {
  using Network = Case<Odd, float>;
  const Network network;
  const Network::Gradients gradients;
  const auto workspace = constant<float>(Network::Training::workspace_size(2, Activations::keep));
  const Exec exec;
  std::int64_t allocations = 0;
  {
    const AllocationCounter counter;
    network.run(exec, Activations::keep, 0, 2, gradients, workspace);
    allocations = counter.allocations();
  }
  CHECK(allocations == 0);
}
