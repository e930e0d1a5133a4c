#pragma once
#include <fieldstep/io/npy.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fieldstep::io {

/// Time series of equal length, (sequences, time, channels), all numbers finite.
struct Recording {
  int sequences = 0, time = 0, channels = 0;
  std::vector<float> values;
};

namespace detail {

/// A recording of (time, channels) or (sequences, time, channels), its values still to be read.
inline Recording unread_recording(const Extents& shape) {
  constexpr std::int64_t most = std::numeric_limits<int>::max();
  if ((shape.size() != 2 && shape.size() != 3) ||
      std::ranges::any_of(shape, [](std::int64_t n) { return n < 1 || n > most; }))
    fail("holds an array of shape ", shape_text(shape),
         ", wanted (time, channels) or (sequences, time, channels), none of them empty");
  const auto extent = [&](std::size_t from_last) { return static_cast<int>(shape[shape.size() - from_last]); };
  return {.sequences = shape.size() == 3 ? extent(3) : 1, .time = extent(2), .channels = extent(1), .values = {}};
}

inline void check_finite(const Recording& read) {
  const auto bad = std::ranges::find_if(read.values, [](float v) { return !std::isfinite(v); });
  if (bad == read.values.end()) return;
  const auto at = bad - read.values.begin();
  fail("sequence ", at / read.channels / read.time, ", time ", at / read.channels % read.time, ", channel ",
       at % read.channels, " (counted from 0) is ", *bad, ", wanted numbers that are finite in single precision");
}

inline std::string_view without_blanks(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  const std::size_t first = text.find_first_not_of(blanks);
  return first == text.npos ? text.substr(0, 0) : text.substr(first, text.find_last_not_of(blanks) + 1 - first);
}

/// A number in any notation but hexadecimal; nothing where the text is none.
inline std::optional<float> number_of(std::string_view text) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  double value = 0;  // by way of double, as NumPy reads a table that becomes float32
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return static_cast<float>(value);
}

/// Rows of numbers, one after the other, to a recording.
class CsvRecording {
 public:
  /// Without its end; refuses with the line's number.
  void line(std::string_view text) {
    constexpr std::size_t longest = std::size_t{1} << 24;
    ++line_;
    if (text.size() > longest) fail("line ", line_, " has ", text.size(), " bytes, at most ", longest, " are read");
    if (without_blanks(text).starts_with('#')) return;
    if (text.find_first_not_of(separator_ == '\t' ? " \r" : " \t\r") == text.npos) return end_sequence();
    if (read_.channels == 0) {
      separator_ = separator_of(text);
      bool names = std::exchange(first_, false);
      for_each_cell(text, [&](std::string_view cell) { names = names && !number_of(cell); });
      if (names) return;
    }
    int column = 0;
    for_each_cell(text, [&](std::string_view cell) {
      ++column;
      const auto number = number_of(cell);
      if (!number) fail("line ", line_, ", column ", column, ": ", printable(cell), " is no number");
      read_.values.push_back(*number);
    });
    if (read_.channels == 0) read_.channels = column;
    if (column != read_.channels)
      fail("line ", line_, " has ", column, " columns, the rows before it have ", read_.channels);
    ++rows_;
  }

  Recording finish() {
    end_sequence();
    if (read_.sequences == 0) fail("holds no rows of numbers");
    return std::move(read_);
  }

 private:
  static char separator_of(std::string_view line) {
    for (const char candidate : {';', ',', '\t'})
      if (line.find(candidate) != line.npos) return candidate;
    return ' ';
  }

  template <class Visit>
  void for_each_cell(std::string_view line, const Visit& visit) const {
    const bool blanks = separator_ == ' ';
    if (blanks) line = without_blanks(line);
    for (bool more = true; more;) {
      const std::size_t end = blanks ? line.find_first_of(" \t") : line.find(separator_);
      visit(without_blanks(line.substr(0, end)));
      more = end != line.npos;
      if (more) line.remove_prefix(end + 1);
      if (blanks) line = without_blanks(line);
    }
  }

  void end_sequence() {
    if (rows_ == 0) return;
    if (read_.sequences == 0) read_.time = rows_;
    if (rows_ != read_.time)
      fail("the sequence that ends at line ", line_, " has ", rows_, " rows, those before it have ", read_.time);
    ++read_.sequences;
    rows_ = 0;
  }

  Recording read_;
  int line_ = 0, rows_ = 0;  // rows of the present sequence
  bool first_ = true;        // no line of names or numbers yet
  char separator_ = '\0';    // unknown before the first row
};

}  // namespace detail

/// Rows are times, columns channels, between them commas, semicolons, tabs or blanks, whichever the first row has. A
/// first line without a number holds names and is skipped, as are lines that begin with #; empty lines separate
/// sequences.
inline Recording parse_csv_recording(std::string_view text) {
  constexpr std::size_t largest = std::numeric_limits<int>::max();  // so an int counts lines
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (text.size() > largest)
    fail("has ", text.size(), " bytes, at most ", largest, " are read as text, .npy takes more");
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  detail::CsvRecording rows;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    rows.line(text.substr(0, end));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  Recording read = rows.finish();
  detail::check_finite(read);
  return read;
}

/// An array of any real type.
inline Recording recording_of(const StoredTensor& array) {
  Recording read = detail::unread_recording(array.shape);
  read.values = numbers<float>(array);
  detail::check_finite(read);
  return read;
}

/// From .npy, or from a table in .csv, .tsv or .txt; io/hdf5_recording.hpp reads HDF5, too.
inline Recording read_recording(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  if (extension == ".npy") {
    const TensorFile file = read_npy(path);
    return in_file(path, [&] { return recording_of(file.tensors.front()); });
  }
  if (extension == ".csv" || extension == ".tsv" || extension == ".txt") {
    const MappedFile file(path);
    return in_file(path, [&] { return parse_csv_recording(as_text(file.bytes())); });
  }
  fail(path.string(), ": wanted a recording in .npy, .csv, .tsv, .txt or, with HDF5, .h5 or .hdf5");
}

/// Windows of `window` times, one every `stride` times, of every sequence: (windows of all sequences, window,
/// channels).
inline Recording cut(const Recording& whole, int window, int stride) {
  if (window < 1 || stride < 1) fail_usage("cut: found window ", window, " and stride ", stride, ", wanted at least 1");
  if (window > whole.time) fail_usage("cut: found a window of ", window, " times, the recording has ", whole.time);
  const int each = (whole.time - window) / stride + 1;
  const std::int64_t count = std::int64_t{whole.sequences} * each;
  if (count > std::numeric_limits<int>::max())
    fail_usage("cut: ", count, " windows are too many, take a larger stride");

  const auto row = static_cast<std::ptrdiff_t>(whole.channels);
  Recording windows{.sequences = static_cast<int>(count), .time = window, .channels = whole.channels, .values = {}};
  windows.values.reserve(static_cast<std::size_t>(count * window * row));
  for (int sequence = 0; sequence < whole.sequences; ++sequence)
    for (int i = 0; i < each; ++i) {
      const auto first = whole.values.begin() + (std::int64_t{sequence} * whole.time + std::int64_t{i} * stride) * row;
      windows.values.insert(windows.values.end(), first, first + window * row);
    }
  return windows;
}

}  // namespace fieldstep::io
