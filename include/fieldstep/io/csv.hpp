#pragma once
#include <algorithm>
#include <cstddef>
#include <fieldstep/io/atomic_file.hpp>
#include <fieldstep/io/detail/number_text.hpp>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fieldstep::io {

struct Column {
  std::string name;
  std::vector<double> values;
};

namespace detail {

/// Quoted where the text holds a separator, a quote or a line break (RFC 4180).
inline std::string csv_text(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

}  // namespace detail

/// Comma-separated values with a line of names; columns that are shorter than the longest end in empty cells.
inline void write_csv(const std::filesystem::path& path, std::span<const Column> columns) {
  std::size_t rows = 0;
  std::string text;
  for (const Column& column : columns) {
    rows = std::max(rows, column.values.size());
    text += (&column == columns.data() ? "" : ",") + detail::csv_text(column.name);
  }
  text += '\n';
  for (std::size_t row = 0; row < rows; ++row) {
    for (const Column& column : columns) {
      if (&column != columns.data()) text += ',';
      if (row < column.values.size()) text += detail::number_text(column.values[row]);
    }
    text += '\n';
  }
  write_text(path, text);
}

}  // namespace fieldstep::io
