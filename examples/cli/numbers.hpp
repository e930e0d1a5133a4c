#pragma once
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Numbers and fields of short texts such as "adam;10_000;warmup_cosine;0.0;1e-3;2_000".
namespace fieldstep::cli {

/// What stands between the semicolons.
inline std::vector<std::string> fields_of(std::string_view text) {
  std::vector<std::string> fields{""};
  for (const char c : text) {
    if (c == ';')
      fields.emplace_back();
    else
      fields.back() += c;
  }
  return fields;
}

/// A number, whose digits may be grouped by underscores as in Python; nothing where the text is none.
inline std::optional<double> read_number(std::string_view text) {
  std::string digits;
  for (const char c : text)
    if (c != '_') digits += c;
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

}  // namespace fieldstep::cli
