#pragma once
#include <algorithm>
#include <boost/hana/string.hpp>
#include <cstddef>
#include <utility>

namespace fieldstep {

/// A string literal as a template argument.
template <std::size_t N>
struct FixedString {
  char text[N];
  consteval FixedString(const char (&literal)[N]) { std::copy_n(literal, N, text); }
};

/// A name as a value whose type is the name: name<"weight"> is a boost::hana::string.
/// Hana's own "weight"_s is a GNU extension.
template <FixedString S>
inline constexpr auto name = []<std::size_t... I>(std::index_sequence<I...>) {
  return boost::hana::string<S.text[I]...>{};
}
(std::make_index_sequence<sizeof(S.text) - 1>{});

}  // namespace fieldstep
