#pragma once
#include <charconv>
#include <string>

namespace fieldstep::io::detail {

/// A number as text, the same in every locale: the shortest one that reads back equal.
template <class Number>
std::string number_text(Number value) {
  char text[64];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

/// With a number of significant digits.
inline std::string number_text(double value, int digits) {
  char text[64];
  return {text, std::to_chars(text, text + sizeof text, value, std::chars_format::general, digits).ptr};
}

}  // namespace fieldstep::io::detail
