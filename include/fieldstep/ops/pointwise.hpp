#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/vec.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

// One pass over several arrays of one layout, as an optimizer makes over weights, gradient and moments.
//
// A rule says what becomes of one number of each array, rule(run, x0, x1, ...), and is written once for a number and
// for a vector of them: both have the same operators. It changes what it takes by reference; an array of const keeps
// its numbers. It runs on the host and on a device: KOKKOS_FORCEINLINE_FUNCTION.
namespace fieldstep::ops {

/// Consecutive numbers [begin, begin + size) that a rule treats alike, with whatever it needs to know of them. A run is
/// the work of one thread and has at most run_size numbers: what a rule touches of them stays in L2.
template <class R>
concept Run = requires(const R& run) {
  { run.begin } -> std::convertible_to<std::size_t>;
  { run.size } -> std::convertible_to<int>;
};
inline constexpr int run_size = 4096;

/// The root of a number, or of every lane of a vector.
template <class V>
KOKKOS_FORCEINLINE_FUNCTION V root(V x) {
  if constexpr (std::is_floating_point_v<V>) {
    return Kokkos::sqrt(x);
  } else {
    for (std::size_t l = 0; l < sizeof x / sizeof x[0]; ++l) x[l] = std::sqrt(x[l]);
    return x;
  }
}

/// x / y, where 0 / 0 counts as 0.
template <class V>
KOKKOS_FORCEINLINE_FUNCTION V ratio(V x, V y) {
  return x == V{} ? x : x / y;
}

/// |x|
template <class V>
KOKKOS_FORCEINLINE_FUNCTION V magnitude(V x) {
  return x < V{} ? -x : x;
}

/// The same numbers in double, for a sum.
template <class V>
KOKKOS_FORCEINLINE_FUNCTION auto in_double(V x) {
  if constexpr (std::is_floating_point_v<V>)
    return static_cast<double>(x);
  else
    return __builtin_convertvector(x, vec<double, sizeof x / sizeof x[0]>);
}

namespace detail {

/// A number, or a vector of them from `from` on.
template <class V, class T>
[[gnu::always_inline]] inline V load_as(const T* from) {
  if constexpr (std::is_same_v<V, T>)
    return *from;
  else
    return load<sizeof(V) / sizeof(T)>(from);
}

template <class V, class T>
[[gnu::always_inline]] inline void store_as(T* to, V x) {
  if constexpr (std::is_same_v<V, T>)
    *to = x;
  else if constexpr (!std::is_const_v<T>)
    store<sizeof(V) / sizeof(T)>(to, x);
}

/// Calls rule(V&...) for what lies at `arrays`.
template <class V, class Rule, class... T>
[[gnu::always_inline]] inline void apply_rule(const Rule& rule, T*... arrays) {
  V x[] = {load_as<V>(arrays)...};
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    rule(x[I]...);
    (store_as(arrays, x[I]), ...);
  }
  (std::index_sequence_for<T...>());
}

template <class... T>
using NumberOf = std::remove_const_t<std::common_type_t<T...>>;

/// The sums of all runs, in order.
template <int Sums>
std::array<double, Sums> join(std::size_t runs, const double* partial) {
  std::array<double, Sums> total{};
  for (std::size_t r = 0; r < runs; ++r)
    for (std::size_t s = 0; s < Sums; ++s) total[s] += partial[r * Sums + s];
  return total;
}

}  // namespace detail

/// rule(run, x...) for all numbers of the runs; arrays: those x are of, of const where they do not change.
template <class Exec, Run R, class Rule, class... T>
void pointwise(const Exec& exec, std::span<const R> runs, const Rule& rule, T*... arrays) {
  for_ranges(exec, static_cast<int>(runs.size()), [=](int first, int last) {
    using Real = detail::NumberOf<T...>;
    constexpr int L = lanes<Real>;
    const Rule own = rule;  // a local copy: no store to an array can change it, so it stays in registers
    for (int r = first; r < last; ++r) {
      const R run = runs[static_cast<std::size_t>(r)];
      const auto one = [&](auto&... x) { own(run, x...); };
      int i = 0;
      for (; i + L <= run.size; i += L) detail::apply_rule<vec<Real, L>>(one, arrays + run.begin + i...);
      for (; i < run.size; ++i) detail::apply_rule<Real>(one, arrays + run.begin + i...);
    }
  });
}

/// The same with `Sums` sums on the way: rule(run, sums, x...) adds to sums[0], sums[1], ... what in_double() gave it.
/// Every run has its own, which are joined in order: the bits do not depend on the number of threads.
///   partial: scratch, (runs, Sums)
template <int Sums, class Exec, Run R, class Rule, class... T>
std::array<double, Sums> pointwise_sums(const Exec& exec, std::span<const R> runs, double* partial, const Rule& rule,
                                        T*... arrays) {
  for_ranges(exec, static_cast<int>(runs.size()), [=](int first, int last) {
    using Real = detail::NumberOf<T...>;
    constexpr int L = lanes<double>;
    const Rule own = rule;
    for (int r = first; r < last; ++r) {
      const R run = runs[static_cast<std::size_t>(r)];
      vec<double, L> sums[Sums] = {};
      double rest[Sums] = {};
      const auto vector = [&](auto&... x) { own(run, sums, x...); };
      const auto one = [&](auto&... x) { own(run, rest, x...); };
      int i = 0;
      for (; i + L <= run.size; i += L) detail::apply_rule<vec<Real, L>>(vector, arrays + run.begin + i...);
      for (; i < run.size; ++i) detail::apply_rule<Real>(one, arrays + run.begin + i...);
      for (int s = 0; s < Sums; ++s) {
        for (int l = 0; l < L; ++l) rest[s] += sums[s][l];  // sum() would keep g++ 12's sums[] out of registers
        partial[r * Sums + s] = rest[s];
      }
    }
  });
  exec.fence("pointwise_sums");
  return detail::join<Sums>(runs.size(), partial);
}

// --- The same, naively: for any execution space, yardstick of the tests and benchmarks, and the device path ---

namespace detail {

/// A functor, for nvcc takes no lambda that captures a parameter pack. Sums = 0: a pass without sums.
template <int Sums, class R, class Rule, class... T>
struct PointwiseKernel {
  using Real = NumberOf<T...>;
  const R* runs;
  Rule rule;
  Real* arrays[sizeof...(T)];
  double* partial;

  KOKKOS_FUNCTION void operator()(int r) const {
    if constexpr (Sums == 0) {
      each(runs[r]);
    } else {
      double sums[Sums] = {};
      each(runs[r], sums);
      for (int s = 0; s < Sums; ++s) partial[r * Sums + s] = sums[s];
    }
  }
  template <class... S>
  KOKKOS_FUNCTION void each(const R& run, S&... sums) const {
    for (int i = 0; i < run.size; ++i)
      number(run, run.begin + std::size_t(i), std::index_sequence_for<T...>(), sums...);
  }
  template <std::size_t... I, class... S>
  KOKKOS_FUNCTION void number(const R& run, std::size_t at, std::index_sequence<I...>, S&... sums) const {
    Real x[] = {arrays[I][at]...};
    rule(run, sums..., x[I]...);
    ((std::is_const_v<T> ? void() : void(arrays[I][at] = x[I])), ...);
  }
};

template <int Sums, class Exec, class R, class Rule, class... T>
void run_kernel(const Exec& exec, std::span<const R> runs, std::span<double> partial, const Rule& rule, T*... arrays) {
  using Kernel = PointwiseKernel<Sums, R, Rule, T...>;
  Kokkos::parallel_for(Kokkos::RangePolicy<Exec>(exec, 0, static_cast<int>(runs.size())),
                       Kernel{runs.data(), rule, {const_cast<typename Kernel::Real*>(arrays)...}, partial.data()});
}

}  // namespace detail

/// As pointwise, one thread a run. The runs lie where Exec reads.
template <class Exec, Run R, class Rule, class... T>
void pointwise_naive(const Exec& exec, std::span<const R> runs, const Rule& rule, T*... arrays) {
  detail::run_kernel<0>(exec, runs, {}, rule, arrays...);
}

/// As pointwise_sums; the host reads `partial`, too.
template <int Sums, class Exec, Run R, class Rule, class... T>
std::array<double, Sums> pointwise_sums_naive(const Exec& exec, std::span<const R> runs, double* partial,
                                              const Rule& rule, T*... arrays) {
  detail::run_kernel<Sums>(exec, runs, {partial, Sums * runs.size()}, rule, arrays...);
  exec.fence("pointwise_sums");
  return detail::join<Sums>(runs.size(), partial);
}

}  // namespace fieldstep::ops
