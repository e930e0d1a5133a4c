#pragma once
#include <fieldstep/blocks/norm_backward.hpp>
#include <fieldstep/core/carver.hpp>
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/core/trace.hpp>
#include <support/allocations.hpp>
#include <support/drawn_weights.hpp>
#include <support/gradient.hpp>
#include <support/threads.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <tuple>
#include <vector>

// What every block's backward pass must hold: check_block_gradient<Case>(). A Case<Real> is a block with its extents
// and memory:
//   using Block
//   static constexpr int samples; static constexpr std::size_t x_size, y_size
//   infer(exec, weights, time, x, y)                          a forward pass of inference
//   forward(exec, weights, time, x, y, trace)                 one of training
//   backward(exec, weights, time, x, dy, dx, dw, dtime, trace)  the gradients after it
namespace fieldstep::support {

/// What a block keeps between its two passes, in memory that begins as NaN.
template <class Block, class Real>
class SavedMemory {
 public:
  explicit SavedMemory(int samples) : memory_(constant<Real>(count(samples))), from_(memory_.data()) {
    saved_ = Block::Saved::take(from_, samples);
  }
  const typename Block::Saved& operator()() const { return saved_; }

 private:
  static std::size_t count(int samples) {
    Carver<Real> from;
    Block::Saved::take(from, samples);
    return from.taken();
  }
  Arena<Real> memory_;
  Carver<Real> from_;
  typename Block::Saved saved_;
};

/// Memory of the backward pass of a block, which begins as NaN: for `tokens` tokens of `dim` channels, or what the
/// block wants beyond that.
template <class Block, class Real>
class GradientMemory {
 public:
  GradientMemory(int samples, std::size_t tokens, int dim)
      : wide_(constant<Real>(std::max(wide_size(samples), 4 * tokens * static_cast<std::size_t>(dim)))),
        branch_(constant<Real>(tokens * static_cast<std::size_t>(dim))),
        affine_(constant<Real>(8 * static_cast<std::size_t>(samples * dim))),
        partial_(constant<Real>(Block::partial_size(samples))) {}

  blocks::GradientScratch<Real> operator()(Real* dtime) const {
    return {wide_.data(), branch_.data(), affine_.data(), partial_.data(), dtime};
  }

 private:
  static std::size_t wide_size(int samples) {
    if constexpr (requires { Block::wide_size(samples); })
      return Block::wide_size(samples);
    else
      return 0;
  }
  Arena<Real> wide_, branch_, affine_, partial_;
};

namespace detail {

/// A block at drawn numbers: x, lead times and parameters lie one after the other in one arena, their gradients in the
/// same places of another.
template <class Case, class Real>
class DrawnBlock {
  using Block = typename Case::Block;
  using Parameters = typename Block::template Params<Real>;
  static constexpr std::size_t time_at = aligned_count(Case::x_size);
  static constexpr std::size_t parameters_at = time_at + aligned_count(Case::samples);

 public:
  static constexpr auto table = make_param_table<Parameters>();
  static constexpr std::size_t size = parameters_at + arena_count<Parameters>();

  struct Part {
    std::string name;
    std::size_t begin, end;
  };
  static std::vector<Part> parts() {
    std::vector<Part> parts{{"x", 0, Case::x_size}, {"time", time_at, time_at + Case::samples}};
    for (const ParamEntry& entry : table) {
      const std::size_t begin = parameters_at + entry.offset;
      parts.push_back({std::string(entry.path.view()), begin, begin + entry.stored});
    }
    return parts;
  }
  /// Whether a place holds a number that has a gradient: no padding, no buffer.
  static std::vector<bool> trained() {
    std::vector<bool> trained(size);
    std::fill_n(trained.begin(), Case::x_size, true);
    std::fill_n(trained.begin() + time_at, Case::samples, true);
    for (const ParamEntry& entry : table)
      if (entry.init.trained) {
        Numbers flags(entry.offset + entry.stored);
        import_param(entry, Numbers(entry.size, 1).data(), flags.data());
        for (std::size_t i = entry.offset; i < flags.size(); ++i)
          if (flags[i] != 0) trained[parameters_at + i] = true;
      }
    return trained;
  }
  /// Where gradients are added to, the numbers before.
  static Arena<Real> before() {
    const auto numbers = constant<Real>(size, 0);
    for (int s = 0; s < Case::samples; ++s) numbers.data()[time_at + static_cast<std::size_t>(s)] = Real(s + 1);
    for (const ParamEntry& entry : table)
      import_param(entry, synth("before", entry.size).data(), numbers.data() + parameters_at);
    return numbers;
  }

  DrawnBlock() {
    std::ranges::copy(synth("x", Case::x_size), at.data());
    std::ranges::copy(synth("time", Case::samples, .5, .5), at.data() + time_at);
    draw_weights(table, at.data() + parameters_at);
  }

  Arena<Real> infer(const Exec& exec) const {
    const auto y = constant<Real>(Case::y_size);
    block.infer(exec, weights(), time(), x(), y.data());
    return y;
  }
  template <class Tracer = NoTrace>
  void forward(const Exec& exec, Real* y, const Tracer& trace = {}) const {
    block.forward(exec, weights(), time(), x(), y, trace);
  }
  template <class Tracer = NoTrace>
  void backward(const Exec& exec, Real* gradient, const Tracer& trace = {}) const {
    block.backward(exec, weights(), time(), x(), dy.data(), gradient, bind<Parameters>(gradient + parameters_at),
                   gradient + time_at, trace);
  }
  /// Outputs and gradients, with what the gradients were added to.
  std::pair<Arena<Real>, Arena<Real>> run(const Exec& exec) const {
    const auto y = constant<Real>(Case::y_size), gradient = before();
    std::fill_n(gradient.data(), Case::x_size, std::numeric_limits<Real>::quiet_NaN());
    const AllocationCounter counter;
    forward(exec, y.data());
    backward(exec, gradient.data());
    const auto allocations = counter.allocations();
    CHECK(allocations == 0);
    return {y, gradient};
  }

  Arena<Real> at = constant<Real>(size, 0), dy = drawn<Real>("dy", Case::y_size);
  Case block;

 private:
  typename Block::Weights weights() const {
    return bind<typename Block::Weights>(static_cast<const Real*>(at.data() + parameters_at));
  }
  const Real* x() const { return at.data(); }
  const Real* time() const { return at.data() + time_at; }
};

/// || computed - expected || over the norm of what is expected, or over 1 if that is less: what sums to 0 is left with
/// rounding.
inline double error_of(const Numbers& computed, const Numbers& expected, std::size_t begin, std::size_t end) {
  double difference = 0, norm = 1;
  for (std::size_t i = begin; i < end; ++i) {
    difference += (computed[i] - expected[i]) * (computed[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return std::sqrt(difference / norm);
}

}  // namespace detail

struct BlockBounds {
  double step = 2e-4;                   ///< of the central differences, small where the block has kinks
  double differences = 1e-9;            ///< error against them in double
  double single = 4 * rounding<float>;  ///< error in float against double
  bool same_inference = true;           ///< inference gives the bits of training
};

/// Checks all gradients against central differences; that dx is overwritten and the rest added to; float against
/// double; equal bits for any threads and with a trace; that inference gives the outputs of training; that a trace
/// shows the gradients of what it shows in the forward pass. (static: g++ 12 takes templates of the same name in two
/// units' unnamed namespaces for one, and would keep only one unit's check.)
template <template <class> class Case>
static void check_block_gradient(const BlockBounds& bounds = {}) {
  using Wide = detail::DrawnBlock<Case<double>, double>;
  using Single = detail::DrawnBlock<Case<float>, float>;
  const Wide wide;
  const auto [wide_y, wide_after] = wide.run(Exec());
  const auto gradient_of = [](const auto& after, const auto& before) {
    Numbers gradient = in_double(after);
    for (std::size_t i = Case<double>::x_size; i < gradient.size(); ++i)
      gradient[i] -= static_cast<double>(before.data()[i]);
    return gradient;
  };
  const Numbers gradient = gradient_of(wide_after, Wide::before());

  const std::vector<bool> trained = Wide::trained();
  const auto y = constant<double>(wide_y.size());
  const Exec serial = one_thread();
  Numbers expected(Wide::size);
  for (std::size_t i = 0; i < expected.size(); ++i)
    if (trained[i]) {
      double& number = wide.at.data()[i];
      const double centre = number;
      expected[i] = derivative(
          [&](double t) {
            number = centre + t;
            wide.forward(serial, y.data());
            return dot({y.data(), y.size()}, {wide.dy.data(), wide.dy.size()});
          },
          bounds.step);
      number = centre;
    }
  for (const auto& [name, begin, end] : Wide::parts()) {
    INFO(name << ": error against central differences, in double");
    CHECK(detail::error_of(gradient, expected, begin, end) < bounds.differences);
  }
  for (std::size_t i = 0; i < gradient.size(); ++i)
    if (!trained[i] && gradient[i] != 0) FAIL("padding or a buffer has a gradient, at number " << i);

  const Single single;
  const auto [single_y, single_after] = single.run(Exec());
  const Numbers rounded = gradient_of(single_after, Single::before());
  static_assert(Single::table.size() == Wide::table.size());
  const auto wide_parts = Wide::parts(), single_parts = Single::parts();
  for (std::size_t p = 0; p < wide_parts.size(); ++p) {  // packed matrices differ in their padding
    const auto exported = [p](const auto& table, const Numbers& numbers, const auto& part) {
      if (p < 2)
        return Numbers(numbers.begin() + static_cast<long>(part.begin), numbers.begin() + static_cast<long>(part.end));
      const ParamEntry& entry = table[p - 2];
      Numbers tensor(entry.size);
      export_param(entry, numbers.data() + part.begin - entry.offset, tensor.data());
      return tensor;
    };
    const Numbers exact = exported(Wide::table, gradient, wide_parts[p]);
    INFO(wide_parts[p].name << ": error in float");
    CHECK(detail::error_of(exported(Single::table, rounded, single_parts[p]), exact, 0, exact.size()) < bounds.single);
  }
  const auto [serial_y, serial_after] = single.run(serial);
  CHECK(same_bits(single_y, serial_y));
  CHECK(same_bits(single_after, serial_after));
  if (bounds.same_inference)
    CHECK(same_bits(single.infer(Exec()), single_y));
  else
    CHECK(relative_l2(in_double(single.infer(Exec())), in_double(single_y)) < rounding<float>);
  CHECK(relative_l2(in_double(wide.infer(Exec())), in_double(wide_y)) < rounding<double>);

  using Shown = std::vector<std::tuple<std::string, std::string, std::vector<int>>>;
  Shown forwards, backwards;
  const auto into = [](Shown& shown) {
    return Trace<float>(
        [&shown](const TraceTensor<float>& tensor) { shown.emplace_back(tensor.path, tensor.axes, tensor.extents); });
  };
  const auto traced = Single::before();
  single.forward(Exec(), single_y.data(), into(forwards));
  single.backward(Exec(), traced.data(), into(backwards));
  std::ranges::reverse(backwards);
  CHECK(forwards == backwards);
  CHECK(same_bits(single_y, serial_y));
  CHECK(same_bits(traced, serial_after));
}

}  // namespace fieldstep::support
