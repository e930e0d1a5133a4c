#pragma once
#include <fieldstep/embed/net_stepper.hpp>
#include <fieldstep/train/stepper.hpp>
#include <support/allocations.hpp>
#include <support/drawn_weights.hpp>
#include <support/gradient.hpp>
#include <support/threads.hpp>

#include <catch2/catch_test_macros.hpp>
#include <string>

// What every network that is a stepper must hold: check_stepper<Net>(). Net<Real> is the network in Real.
namespace fieldstep::support {

namespace detail {

/// A stepper at drawn weights and states, and what both passes leave.
template <class Net>
struct DrawnStepper {
  using Real = typename Net::Real;
  using Stepper = embed::NetStepper<Net, Exec>;
  static_assert(train::Stepper<Stepper>);
  static constexpr int samples = 3;
  static constexpr std::size_t count = samples * Net::state_size;

  explicit DrawnStepper(const Exec& exec = {}) : stepper(samples, exec) {
    draw_weights(stepper.table(), stepper.weights());
    stepper.weights_changed();
  }

  Arena<Real> infer() {
    const auto next = constant<Real>(count);
    stepper.forward(samples, u.data(), next.data());
    return next;
  }
  /// next, du and the gradient, added to zero, one after the other.
  Arena<Real> train() {
    const auto results = constant<Real>(2 * count + Net::arena_size), tape = constant<Real>(stepper.tape_size());
    stepper.clear_gradient();
    const AllocationCounter counter;
    stepper.forward(samples, u.data(), results.data(), tape.data());
    stepper.backward(samples, u.data(), tape.data(), g.data(), results.data() + count);
    const auto allocations = counter.allocations();
    CHECK(allocations == 0);
    std::copy_n(stepper.gradient(), Net::arena_size, results.data() + 2 * count);

    stepper.backward(samples, u.data(), tape.data(), g.data(), nullptr);  // the same once more, without du
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < Net::arena_size; ++i) {
      const auto once = static_cast<double>(results.data()[2 * count + i]);
      difference += std::abs(static_cast<double>(stepper.gradient()[i]) - 2 * once);
      norm += std::abs(once);
    }
    CHECK(difference <= rounding<Real> * norm);
    return results;
  }

  Arena<Real> u = drawn<Real>("u", count), g = drawn<Real>("g", count);
  Stepper stepper;
};

}  // namespace detail

/// Checks the gradient of every weight and of the state against central differences; float against double; equal bits
/// for any threads, with a tape and without, and for a sample in a batch and alone. step: of the differences, small
/// where activations have kinks.
template <template <class> class Net>
static void check_stepper(double step = 1e-4, double bound = 1e-9) {
  detail::DrawnStepper<Net<double>> wide;
  const Numbers results = in_double(wide.train());
  constexpr std::size_t count = wide.count;
  const auto value = [&] {
    const auto next = wide.infer();
    return dot({next.data(), count}, {wide.g.data(), count});
  };
  const auto error = [&](std::size_t size, double* numbers, const double* gradient, const auto& changed) {
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const double centre = numbers[i], expected = derivative(
                                            [&](double t) {
                                              numbers[i] = centre + t;
                                              changed();
                                              return value();
                                            },
                                            step);
      numbers[i] = centre;
      changed();
      difference += (gradient[i] - expected) * (gradient[i] - expected), norm += expected * expected;
    }
    return std::sqrt(difference / norm);
  };
  CHECK(error(count, wide.u.data(), results.data() + count, [] {}) < bound);
  for (const ParamEntry& entry : wide.stepper.table()) {
    if (entry.stored != entry.size) continue;
    INFO(entry.path.view());
    CHECK(error(entry.size, wide.stepper.weights() + entry.offset, results.data() + 2 * count + entry.offset,
                [&] { wide.stepper.weights_changed(); }) < bound);
  }

  detail::DrawnStepper<Net<float>> single, serial(one_thread());
  const auto rounded = single.train();
  const auto part = [](const Numbers& all, std::size_t first, std::size_t size) {
    return Numbers(all.begin() + static_cast<long>(first), all.begin() + static_cast<long>(first + size));
  };
  for (const std::size_t first : {std::size_t{0}, count})
    CHECK(relative_l2(part(in_double(rounded), first, count), part(results, first, count)) < 16 * rounding<float>);
  const auto exported = [](ParamTable table, const Numbers& all) {
    Numbers numbers;
    for (const ParamEntry& entry : table) {
      Numbers tensor(entry.size);
      export_param(entry, all.data() + 2 * count, tensor.data());
      numbers.insert(numbers.end(), tensor.begin(), tensor.end());
    }
    return numbers;
  };
  CHECK(relative_l2(exported(single.stepper.table(), in_double(rounded)), exported(wide.stepper.table(), results)) <
        16 * rounding<float>);
  CHECK(same_bits(rounded, serial.train()));
  CHECK(std::equal(rounded.data(), rounded.data() + count, single.infer().data()));
  const auto alone = constant<float>(count / single.samples);  // the last sample, without the others
  const std::size_t last = count - alone.size();
  single.stepper.forward(1, single.u.data() + last, alone.data());
  CHECK(std::equal(alone.data(), alone.data() + alone.size(), rounded.data() + last));
}

}  // namespace fieldstep::support
