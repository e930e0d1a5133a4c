// Time, GFLOP/s and share of the multiply-add peak of small convolutional networks: every kernel, and updates of
// supervised training (forward and backward over a rollout, mean squared error at every level, Adam), on one thread and
// more. A backward pass counts as two forward passes.
//   benchmark_conv_net [--benchmark_filter=REGEX] [--benchmark_format=json] ...
#include <benchmarks/step/cases.hpp>
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/embed/net_stepper.hpp>
#include <fieldstep/models/conv_net.hpp>
#include <fieldstep/train/optimizer/adam.hpp>

#include <algorithm>
#include <memory>
#include <vector>

namespace fieldstep::benchmarks {

namespace {

constexpr int samples = 8;
using Points = Shape<64, 64>;

/// The passes of one layer of periodic 3x3 convolutions between ReLUs.
template <int In, bool InVectors, int Out, bool OutVectors>
void add_layer_cases(const std::string& name, const Exec& exec, const std::string& suffix) {
  using Layer = blocks::ConvLayer<float, Points, 3, ops::Padding::periodic, In, InVectors, Out, OutVectors>;
  using X = typename Layer::X;
  using Dy = typename Layer::Dy;
  struct Memory {
    Arena<float> weight = some_numbers(9 * In * Out), bias = some_numbers(Out), x = some_numbers(samples * X::size),
                 y = some_numbers(samples * Dy::size), taps, sums{Layer::gradient_size(samples)};
    typename Layer::Prepared prepared{};
    Memory() {
      Carver<float> count;
      Layer::take_prepared(count);
      taps = Arena<float>(count.taken());
      Carver<float> from(taps.data());
      prepared = Layer::take_prepared(from);
      Layer::prepare({weight.data(), bias.data()}, prepared);
    }
  };
  const auto add = [=](const std::string& pass, const auto& run) {
    add_case(name + "/" + pass + suffix, exec, {.flop = Layer::flop(samples)},
             [=] { return [run, m = std::make_shared<Memory>()] { run(*m); }; });
  };
  add("forward", [=](const Memory& m) {
    if constexpr (OutVectors)
      Layer::forward(exec, samples, m.prepared, m.x.data(),
                     ops::ActivationTarget<Dy, ops::Relu>{m.y.data(), m.prepared.bias});
    else
      Layer::forward(exec, samples, m.prepared, m.x.data(),
                     ops::FieldTarget<typename X::Frame, Out, float>{m.y.data(), m.prepared.bias});
  });
  add("gradient of the weights", [=](const Memory& m) {
    Layer::add_gradient(exec, samples, m.x.data(), m.y.data(), {m.weight.data(), m.bias.data()}, m.sums.data());
  });
  add("gradient of the input", [=](const Memory& m) {
    if constexpr (InVectors)
      Layer::transposed(exec, samples, m.prepared, m.y.data(),
                        ops::SlopeTarget<X, X, ops::Relu>{m.x.data(), m.x.data()}, nullptr);
    else
      Layer::transposed(exec, samples, m.prepared, m.y.data(),
                        ops::FieldTarget<typename X::Frame, In, float>{m.x.data()}, nullptr);
  });
}

/// An update of supervised training.
template <class Net>
class Update {
 public:
  Update(int batch, int rollout, const Exec& exec)
      : exec_(exec),
        stepper_(batch, exec),
        groups_(Net::table()),
        moments_(adam_.make_state<float>(groups_)),
        batch_(batch),
        count_(static_cast<std::size_t>(batch) * Net::state_size),
        target_(some_numbers(count_)) {
    Net::initialise(stepper_.weights(), make_key(0));
    states_.push_back(some_numbers(count_));
    for (int s = 0; s < rollout; ++s) states_.emplace_back(count_), tapes_.emplace_back(stepper_.tape_size());
  }

  void operator()() {
    stepper_.weights_changed();
    stepper_.clear_gradient();
    for (std::size_t s = 0; s < tapes_.size(); ++s)
      stepper_.forward(batch_, states_[s].data(), states_[s + 1].data(), tapes_[s].data());
    std::fill_n(lambda_.data(), count_, 0.f);
    for (std::size_t s = tapes_.size(); s-- > 0;) {
      const float *y = states_[s + 1].data(), *target = target_.data(), scale = 2 / static_cast<float>(count_);
      float* g = g_.data();
      for (std::size_t i = 0; i < count_; ++i) g[i] = scale * (y[i] - target[i]) + lambda_.data()[i];
      stepper_.backward(batch_, states_[s].data(), tapes_[s].data(), g, s > 0 ? lambda_.data() : nullptr);
    }
    adam_.step(exec_, groups_, t_++, stepper_.weights(), stepper_.gradient(), moments_);
  }

 private:
  Exec exec_;
  embed::NetStepper<Net, Exec> stepper_;
  train::ParameterGroups groups_;
  train::Adam<> adam_{};
  train::Adam<>::State<float> moments_;
  long t_ = 0;
  int batch_;
  std::size_t count_;
  Arena<float> target_, g_{count_}, lambda_{count_};
  std::vector<Arena<float>> states_, tapes_;
};

/// `updates` of them are timed together.
template <class Net>
void add_update(const std::string& name, int batch, int rollout, int updates, const Exec& exec,
                const std::string& suffix) {
  add_case(name + suffix, exec, {.flop = 3.0 * updates * rollout * Net::flop(batch)}, [=] {
    return [updates, update = std::make_shared<Update<Net>>(batch, rollout, exec)] {
      for (int i = 0; i < updates; ++i) (*update)();
    };
  });
}

struct Quickstart : models::LinearConv {
  static constexpr int kernel = 2;
};

void add_conv_net_cases(const Exec& exec, const std::string& suffix) {
  add_layer_cases<1, false, 32, true>("layer/8x64x64/1-32", exec, suffix);
  add_layer_cases<32, true, 32, true>("layer/8x64x64/32-32", exec, suffix);
  add_layer_cases<32, true, 1, false>("layer/8x64x64/32-1", exec, suffix);
  add_update<models::ConvNet<models::ConvNetDefaults, Points>>("update/8x64x64/1-32-32-32-32-1/rollout 5", samples, 5,
                                                               1, exec, suffix);
  add_update<models::ConvNet<Quickstart, Shape<30>>>("100 updates/32x30/1-1/rollout 20", 32, 20, 100, exec, suffix);
}

}  // namespace

}  // namespace fieldstep::benchmarks

int main(int argc, char* argv[]) {
  using namespace fieldstep::benchmarks;
  return run_cases(argc, argv, {add_conv_net_cases});
}
