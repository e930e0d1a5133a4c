#include <fieldstep/models/avit_training.hpp>
#include <support/allocations.hpp>
#include <support/drawn_weights.hpp>
#include <support/gradient.hpp>
#include <support/threads.hpp>

#include <catch2/catch_test_macros.hpp>
#include <string>

using namespace fieldstep;
using namespace fieldstep::support;
using models::InputStatistics;

namespace {

struct Small : models::AvitDefaults {
  static constexpr int states = 6, embed_dim = 24, heads = 2, blocks = 2;
};
struct NoBias : Small {
  static constexpr models::PositionBias bias = models::PositionBias::none;
};

/// A network with drawn weights, a batch, and the gradient of its outputs.
template <class Config, class Grid, class Real, bool EveryFrame = false>
struct Case {
  using Net = models::AViT<Config, Grid, Real>;
  using Training = models::AvitTraining<Net, EveryFrame>;
  using Keep = typename Training::Keep;
  static constexpr int batch = 2;
  static constexpr std::size_t in_size = static_size<typename Net::In>(), out_size = static_size<typename Net::Out>();

  struct Gradients {
    Arena<Real> y = constant<Real>(batch * out_size), dw = constant<Real>(Net::arena_size, 0),
                dx = constant<Real>(batch * in_size);
    Numbers of(std::string_view path) const {
      for (const ParamEntry& entry : Net::table())
        if (entry.path.view() == path) {
          Numbers gradient(entry.size);
          export_param(entry, dw.data(), gradient.data());
          return gradient;
        }
      return {};
    }
  };

  Arena<Real> weights{Net::arena_size}, prepared_memory{Net::prepared_size},
      x = drawn<Real>("x", batch*in_size, .2, 1.5), dy = drawn<Real>("dy", batch*out_size),
      factors = drawn<Real>("keep", 3 * batch * Net::frames, 1, .5);
  typename Net::Prepared prepared;
  std::vector<Keep> keep;
  InputStatistics statistics = InputStatistics::constant;

  Case() {
    draw_weights(Net::table(), weights.data());
    prepare(Exec());
    const Real* first = factors.data();
    constexpr int count = batch * Net::frames;
    keep.assign(Net::depth, {first, first + count, first + 2 * count});
  }
  typename Net::Weights w() const { return bind<typename Net::Weights>(static_cast<const Real*>(weights.data())); }
  void prepare(const Exec& exec) {
    std::array<int, Net::fields> labels{4, 1};  // of six; another field is the first one's state, too
    if (Net::fields > 2) labels.back() = -2;
    prepared =
        Net::prepare(exec, w(), {.labels = labels, .along_y = models::Boundary::periodic}, prepared_memory.data());
  }

  /// Both passes over samples first, ..., first + count - 1; adds to the gradients.
  void run(const Exec& exec, Activations activations, int first, int count, const Gradients& to,
           const Arena<Real>& workspace) const {
    auto plan = Training::plan(count, activations, workspace.data());
    const auto s = static_cast<std::size_t>(first);
    const typename Net::In in(x.data() + s * in_size, count);
    const typename Training::Randomness random{keep.empty() ? nullptr : keep.data()};
    Training::forward(exec, w(), prepared, in, typename Net::Out(to.y.data() + s * out_size, count), plan, random);
    Training::backward(exec, w(), prepared, in, dy.data() + s * out_size, plan,
                       bind<typename Training::Gradient>(to.dw.data()), to.dx.data() + s * in_size, random, statistics);
  }
  Gradients run(const Exec& exec, Activations activations = Activations::keep) const {
    const Gradients gradients;
    run(exec, activations, 0, batch, gradients, constant<Real>(Training::workspace_size(batch, activations)));
    return gradients;
  }
  double loss(const Exec& exec) {
    const auto y = constant<Real>(batch * out_size), workspace = constant<Real>(Net::workspace_size);
    Net::forward(exec, w(), prepared, typename Net::In(x.data(), batch), typename Net::Out(y.data(), batch),
                 workspace.data());
    return dot({y.data(), y.size()}, {dy.data(), dy.size()});
  }
};

using Odd = Grid<3, 48, 80, 3>;

bool same(const auto& a, const auto& b) {
  return same_bits(a.y, b.y) && same_bits(a.dw, b.dw) && same_bits(a.dx, b.dx);
}
bool is_zero(const Numbers& numbers) {
  return !numbers.empty() && std::ranges::all_of(numbers, [](double v) { return v == 0; });
}

}  // namespace

TEST_CASE("AvitTraining: gradients of inference, through the statistics of the input and without position bias",
          "[models][avit][gradient]") {
  Case<NoBias, Odd, double> network;
  network.keep.clear();
  network.statistics = InputStatistics::differentiated;
  const auto gradients = network.run(Exec());
  const Exec serial = one_thread();
  const auto check = [&](const char* what, const Arena<double>& at, const Arena<double>& gradient) {
    const Numbers direction = in_double(drawn<double>("direction", at.size())), start = in_double(at);
    const double expected = derivative(
        [&](double t) {
          for (std::size_t i = 0; i < at.size(); ++i) at.data()[i] = start[i] + t * direction[i];
          network.prepare(serial);
          return network.loss(serial);
        },
        1e-5);
    std::ranges::copy(start, at.data());
    network.prepare(serial);
    const double found = dot(in_double(gradient), direction);
    INFO(what << ": found " << found << ", central differences " << expected);
    CHECK(std::abs(found - expected) < 1e-7 * std::max(std::abs(expected), 1.));
  };
  check("x", network.x, gradients.dx);
  check("weights", network.weights, gradients.dw);
}

TEST_CASE("AvitTraining: all frames and the last one give the same gradients", "[models][avit][property]") {
  const auto last = Case<Small, Odd, double>().run(Exec());
  const auto all = Case<Small, Odd, double, true>().run(Exec());
  CHECK(relative_l2(in_double(last.y), in_double(all.y)) < 1e-14);
  CHECK(relative_l2(in_double(last.dw), in_double(all.dw)) < 1e-12);
  CHECK(relative_l2(in_double(last.dx), in_double(all.dx)) < 1e-12);
}

TEST_CASE("AvitTraining: what is kept and what is computed again give the same bits; so do one thread and two",
          "[models][avit][property]") {
  const Case<Small, Odd, float> network;
  const auto kept = network.run(Exec());
  CHECK(same(kept, network.run(Exec(), Activations::recompute)));
  CHECK(same(kept, network.run(one_thread())));
  using Training = typename Case<Small, Odd, float>::Training;
  CHECK(Training::workspace_size(2, Activations::recompute) < Training::workspace_size(2, Activations::keep));
}

TEST_CASE("AvitTraining: a batch is the sum of its samples", "[models][avit][property]") {
  using Network = Case<Small, Odd, double>;
  Network network;
  network.keep.clear();
  const auto together = network.run(Exec());
  const Network::Gradients apart;
  const auto workspace = constant<double>(Network::Training::workspace_size(1, Activations::keep));
  for (int s = 0; s < Network::batch; ++s) network.run(Exec(), Activations::keep, s, 1, apart, workspace);
  CHECK(same_bits(together.y, apart.y));
  CHECK(same_bits(together.dx, apart.dx));
  CHECK(relative_l2(in_double(together.dw), in_double(apart.dw)) < 1e-13);
}

TEST_CASE("AvitTraining: both passes allocate nothing", "[models][avit][property]") {
  using Network = Case<Small, Odd, float>;
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

TEST_CASE("AvitTraining: what the result does not depend on has no gradient", "[models][avit][property]") {
  const auto gradients = Case<Small, Odd, double>().run(Exec());
  const auto dbag = gradients.of("space_bag.weight"), dkernel = gradients.of("debed.out_kernel"),
             dbias = gradients.of("debed.out_bias");
  for (std::size_t state = 0; state < Small::states; ++state) {
    const bool used = state == 1 || state == 4;
    Numbers columns;
    for (std::size_t o = 0; o < dbag.size() / Small::states; ++o) {
      columns.push_back(dbag[o * Small::states + state]);
      columns.push_back(dkernel[(o * Small::states + state) * 16]);
    }
    CHECK(is_zero(columns) == !used);
    CHECK((dbias[state] == 0) == !used);
  }
  CHECK(is_zero(gradients.of("blocks.0.spatial.norm1.bias")));  // RMSInstanceNorm2d never reads it
  for (const double d : gradients.of("blocks.0.temporal.knorm.bias")) CHECK(std::abs(d) < 1e-12);  // shifts every score
  const auto dqkv_bias = gradients.of("blocks.0.temporal.input_head.bias");                        // (head, q k v, d)
  constexpr std::size_t d = Small::embed_dim / Small::heads;
  for (std::size_t i = 0; i < dqkv_bias.size(); ++i)
    if (i / d % 3 == 2) CHECK(std::abs(dqkv_bias[i]) < 1e-12);  // a shift of the values, which norm2 removes

  // With one frame attention in time has one key, whatever queries and keys are.
  const auto one_frame = Case<Small, Grid<1, 48, 80, 2>, double>().run(Exec());
  for (const char* part :
       {"qnorm.weight", "qnorm.bias", "knorm.weight", "knorm.bias", "rel_pos_bias.relative_attention_bias.weight"})
    CHECK(is_zero(one_frame.of("blocks.0.temporal." + std::string(part))));
  const auto dinput = one_frame.of("blocks.0.temporal.input_head.weight");  // (head, q k v, d, embed_dim)
  const std::size_t part = dinput.size() / (3 * Small::heads);
  for (std::size_t i = 0; i < 3 * Small::heads; ++i) {
    const auto first = dinput.begin() + static_cast<std::ptrdiff_t>(i * part);
    CHECK(is_zero({first, first + static_cast<std::ptrdiff_t>(part)}) == (i % 3 < 2));
  }
}
