#pragma once
#include <fieldstep/core/name.hpp>
#include <fieldstep/core/packed.hpp>
#include <fieldstep/core/tensor.hpp>

#include <array>
#include <boost/hana/accessors.hpp>
#include <boost/hana/for_each.hpp>
#include <boost/hana/fuse.hpp>
#include <boost/hana/pair.hpp>
#include <boost/hana/tuple.hpp>
#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace fieldstep {

/// What a parameter is when training starts from scratch (core/init.hpp draws it).
struct Init {
  enum class Law {
    weight,     ///< PyTorch: U(-1/sqrt(fan_in), 1/sqrt(fan_in)); Flax: LeCun normal over flax_fan_in
    bias,       ///< PyTorch: as the weight it belongs to; Flax: zero
    constant,   ///< value
    embedding,  ///< PyTorch: N(0, 1); Flax: N(0, 1/features)
    normal,     ///< PyTorch: N(0, value^2), Hugging Face's initializer_range; Flax: LeCun normal over flax_fan_in
  };
  Law law = Law::constant;
  double value = 0;     ///< of laws constant and normal
  int fan_in = 1;       ///< PyTorch's: second axis times the kernel's area
  int flax_fan_in = 1;  ///< Flax's: all axes of the kernel but its last (jax's in_axis, out_axis)
  bool trained = true;  ///< false: a buffer, such as the running mean of a batch norm
};

constexpr Init init_constant(double value) { return {.law = Init::Law::constant, .value = value}; }
constexpr Init init_buffer(double value) { return {.value = value, .trained = false}; }
constexpr Init init_weight(int fan_in, int flax_fan_in) {
  return {.law = Init::Law::weight, .fan_in = fan_in, .flax_fan_in = flax_fan_in};
}
constexpr Init init_weight(int fan_in) { return init_weight(fan_in, fan_in); }
constexpr Init init_bias(int fan_in) { return {.law = Init::Law::bias, .fan_in = fan_in}; }
constexpr Init init_normal(double deviation, int flax_fan_in) {
  return {.law = Init::Law::normal, .value = deviation, .flax_fan_in = flax_fan_in};
}
constexpr Init init_embedding(int features) { return {.law = Init::Law::embedding, .flax_fan_in = features}; }

/// Accessor of a member, in the form Boost.Hana's Struct wants.
template <auto Member, Init I>
struct Get {
  static constexpr Init init = I;
  template <class P>
  constexpr auto& operator()(P& p) const {
    return p.*Member;
  }
};

/// One member of a parameter struct: its name in the original framework's state dict, the member, and its start value.
template <FixedString Name, auto Member, Init I = Init{}>
struct Field {
  static constexpr auto entry() { return boost::hana::make_pair(name<Name>, Get<Member, I>{}); }
};

/// The members of a parameter struct in state-dict order: `using hana_accessors_impl = Fields<Field<"weight", ...>,
/// ...>`.
template <class... F>
struct Fields {
  static constexpr auto apply() { return boost::hana::make_tuple(F::entry()...); }
};

/// The parameters of a part that a configuration leaves out.
struct NoParams {
  constexpr NoParams(std::nullptr_t = nullptr) {}  // initialised as the tensor in whose place it stands
  using hana_accessors_impl = Fields<>;
};
template <bool Present, class Member>
using PresentIf = std::conditional_t<Present, Member, NoParams>;

/// A dotted path such as blocks.3.spatial.norm1.weight, usable in constant expressions.
class ParamPath {
 public:
  constexpr ParamPath() = default;
  constexpr operator std::string_view() const { return {text_.data(), length_}; }
  constexpr std::string_view view() const { return *this; }

  constexpr ParamPath operator/(std::string_view part) const {
    ParamPath longer = *this;
    if (length_ > 0) longer.text_[longer.length_++] = '.';
    for (const char c : part) longer.text_[longer.length_++] = c;
    return longer;
  }
  constexpr ParamPath operator/(int index) const {
    const char digits[] = {static_cast<char>('0' + index / 10 % 10), static_cast<char>('0' + index % 10)};
    return *this / (index < 10 ? std::string_view(digits + 1, 1) : std::string_view(digits, 2));
  }

 private:
  std::array<char, 88> text_{};
  std::size_t length_ = 0;
};

/// A leaf is anything that gives a pointer to numbers: a Tensor or a Packed matrix.
template <class Member>
concept ParamLeaf = requires(const Member& m) {
  m.data_handle();
};

template <class Member>
concept ParamArray = requires(const Member& m) {
  m.begin(), std::tuple_size<Member>::value;
};

/// Children of different types that the original keeps in one list: named 0, 1, ... as an array's elements are.
template <class Member>
concept ParamTuple = !ParamArray<Member> && requires {
  std::tuple_size<Member>::value;
};

/// Calls visit(path, leaf, init) for every parameter, depth first, in declaration order (the state dict's order).
template <class P, class Visit>
constexpr void for_each_param(P& params, const Visit& visit, const ParamPath& path = {}) {
  if constexpr (ParamArray<std::remove_const_t<P>>) {
    int index = 0;
    for (auto& element : params) for_each_param(element, visit, path / index++);
  } else if constexpr (ParamTuple<std::remove_const_t<P>>) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (for_each_param(std::get<I>(params), visit, path / static_cast<int>(I)), ...);
    }
    (std::make_index_sequence<std::tuple_size_v<std::remove_const_t<P>>>());
  } else {
    boost::hana::for_each(boost::hana::accessors<std::remove_const_t<P>>(),
                          boost::hana::fuse([&](auto member_name, auto get) {
                            auto& member = get(params);
                            const ParamPath here = path / std::string_view(member_name.c_str());
                            if constexpr (ParamLeaf<std::remove_cvref_t<decltype(member)>>)
                              visit(here, member, get.init);
                            else
                              for_each_param(member, visit, here);
                          }));
  }
}

/// Numbers a leaf occupies in its arena.
template <class Leaf>
constexpr std::size_t stored_size() {
  if constexpr (requires { Leaf::stored_size; })
    return Leaf::stored_size;
  else
    return static_size<Leaf>();
}

/// Leaves start at multiples of 16 numbers: 64 bytes in float.
constexpr std::size_t aligned_count(std::size_t count) { return (count + 15) / 16 * 16; }

/// Numbers the whole tree occupies in its arena, gaps included.
template <class P>
constexpr std::size_t arena_count() {
  P params{};
  std::size_t count = 0;
  for_each_param(params, [&](const ParamPath&, auto& leaf, Init) {
    count += aligned_count(stored_size<std::remove_cvref_t<decltype(leaf)>>());
  });
  return count;
}

/// The tree whose leaves point into the arena that starts at `base`.
template <class P, class R>
P bind(R* base) {
  P params{};
  std::size_t offset = 0;
  for_each_param(params, [&](const ParamPath&, auto& leaf, Init) {
    using Leaf = std::remove_cvref_t<decltype(leaf)>;
    leaf = Leaf(base + offset);
    offset += aligned_count(stored_size<Leaf>());
  });
  return params;
}

}  // namespace fieldstep
