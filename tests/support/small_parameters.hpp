#pragma once
#include <fieldstep/train/parameter_groups.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <string>

namespace fieldstep::support {

/// Parameters of every kind that an optimizer meets: a vector, a packed matrix with padding, one of several runs whose
/// last is not full, a buffer.
template <class R>
struct SmallParameters {
  Tensor<R, 5> bias{nullptr};
  Packed<R, LinearLayout<6, 70>> linear;
  Tensor<R, 3, ops::run_size> table{nullptr};
  Tensor<R, 7> running_mean{nullptr};
  Tensor<R, 2, 2101> last{nullptr};
  using hana_accessors_impl = Fields<Field<"bias", &SmallParameters::bias>, Field<"linear", &SmallParameters::linear>,
                                     Field<"table", &SmallParameters::table>,
                                     Field<"running_mean", &SmallParameters::running_mean, init_buffer(0)>,
                                     Field<"last", &SmallParameters::last>>;
};

template <class Real>
inline constexpr auto small_table = make_param_table<SmallParameters<Real>>();
template <class Real>
inline constexpr std::size_t small_arena_size = arena_count<SmallParameters<Real>>();

/// An arena for them with numbers drawn from `name`, NaN in the gaps between the parameters.
template <class Real>
Arena<Real> small_arena(const std::string& name, double scale = 1) {
  const auto arena = constant<Real>(small_arena_size<Real>);
  for (const ParamEntry& entry : small_table<Real>)
    import_param(entry, synth(name + "/" + std::string(entry.path.view()), entry.size, 0, scale).data(), arena.data());
  return arena;
}

/// The numbers of all parameters but the buffer, in the original's order.
template <class Real>
Numbers trained_numbers(const Arena<Real>& arena) {
  Numbers all;
  for (const ParamEntry& entry : small_table<Real>) {
    if (!entry.init.trained) continue;
    Numbers numbers(entry.size);
    export_param(entry, arena.data(), numbers.data());
    all.insert(all.end(), numbers.begin(), numbers.end());
  }
  return all;
}

/// For each of them, what `of` says of its parameter.
template <class Real, class Of>
Numbers for_each_trained(const Of& of) {
  Numbers all;
  for (const ParamEntry& entry : small_table<Real>)
    if (entry.init.trained) all.insert(all.end(), entry.size, of(entry));
  return all;
}

/// Whether the padding of every matrix is exactly zero.
template <class Real>
bool padding_is_zero(const Arena<Real>& arena) {
  for (const ParamEntry& entry : small_table<Real>) {
    const Real* begin = arena.data() + entry.offset;
    Numbers numbers(entry.size);
    export_param(entry, arena.data(), numbers.data());
    const auto zeros = [](const auto* first, std::size_t count) { return std::count(first, first + count, 0); };
    if (zeros(begin, entry.stored) != zeros(numbers.data(), entry.size) + std::ptrdiff_t(entry.stored - entry.size))
      return false;
  }
  return true;
}

}  // namespace fieldstep::support
