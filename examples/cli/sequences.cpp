#include <examples/cli/sequences.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/hdf5_recording.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

namespace fieldstep::cli {

namespace {

using Json = nlohmann::ordered_json;

std::string shape_of(int time, int channels) {
  return "sequences of " + counted(static_cast<std::size_t>(time), "time") + " and " +
         counted(static_cast<std::size_t>(channels), "channel");
}

/// The last `count` sequences of a set, taken from it.
SequenceSet split_off(SequenceSet& whole, int count) {
  const std::ptrdiff_t numbers = std::ptrdiff_t{count} * whole.time * whole.channels;
  SequenceSet last{.count = count, .time = whole.time, .channels = whole.channels};
  last.values.assign(whole.values.end() - numbers, whole.values.end());
  whole.values.resize(whole.values.size() - static_cast<std::size_t>(numbers));
  whole.count -= count;
  return last;
}

}  // namespace

Standardisation Standardisation::of(int channels, const std::vector<float>& values) {
  const auto n = static_cast<std::size_t>(channels);
  Standardisation s;
  for (std::size_t c = 0; c < n; ++c) {
    double sum = 0, squares = 0;
    const auto rows = static_cast<double>(values.size() / n);
    for (std::size_t i = c; i < values.size(); i += n) sum += static_cast<double>(values[i]);
    const double mean = sum / rows;
    for (std::size_t i = c; i < values.size(); i += n) squares += std::pow(static_cast<double>(values[i]) - mean, 2);
    const double deviation = std::sqrt(squares / rows);
    s.mean.push_back(static_cast<float>(mean));
    s.deviation.push_back(deviation > 0 ? static_cast<float>(deviation) : 1);
  }
  return s;
}

void Standardisation::apply(std::vector<float>& values) const {
  for (std::size_t i = 0; !mean.empty() && i < values.size(); ++i) {
    const std::size_t c = i % mean.size();
    values[i] = (values[i] - mean[c]) / deviation[c];
  }
}

std::string Standardisation::text() const {
  return mean.empty() ? "" : Json{{"mean", mean}, {"deviation", deviation}}.dump();
}

Standardisation Standardisation::parse(const std::string& text) {
  if (text.empty()) return {};
  const Json json = Json::parse(text, nullptr, false);
  try {
    Standardisation s{.mean = json.at("mean"), .deviation = json.at("deviation")};
    if (s.mean.size() == s.deviation.size() && std::ranges::all_of(s.deviation, [](float d) { return d > 0; }))
      return s;
  } catch (const nlohmann::json::exception&) {
  }
  fail("metadata fieldstep.standardisation: wanted a mean and a positive deviation of every channel");
}

SequenceSet read_sequences(const std::vector<std::string>& files, const SequenceOptions& options) {
  SequenceSet all;
  for (const std::string& path : files) {
    io::Recording read = io::read_any_recording(path);
    if (options.window > 0)
      read = io::in_file(
          path, [&] { return io::cut(read, options.window, options.stride > 0 ? options.stride : options.window); });
    if (all.count == 0) all.time = read.time, all.channels = read.channels;
    if (read.time != all.time || read.channels != all.channels)
      fail(path, ": holds ", shape_of(read.time, read.channels), ", wanted ", shape_of(all.time, all.channels),
           " as in ", files.front(), all.channels == read.channels ? "; --window cuts all to one length" : "");
    all.count += read.sequences;
    all.values.insert(all.values.end(), read.values.begin(), read.values.end());
  }
  if (all.time < 2) fail(files.front(), ": holds ", shape_of(all.time, all.channels), ", wanted at least 2 times");
  return all;
}

SequenceData read_sequence_data(const DataOptions& data, const SequenceOptions& options) {
  SequenceData read{.training = read_sequences(data.files, options), .validation = {}, .name = {}};
  for (const std::string& path : data.files)
    read.name += (read.name.empty() ? "" : ", ") + std::filesystem::path(path).filename().string();
  if (!data.validation_files.empty()) {
    read.validation = read_sequences(data.validation_files, options);
    if (read.validation.channels != read.training.channels)
      fail(data.validation_files.front(), ": holds ", shape_of(read.validation.time, read.validation.channels),
           ", wanted ", read.training.channels, " channels");
  } else if (read.training.count > 1 && data.validation > 0) {
    const auto share = std::llround(data.validation * read.training.count);
    read.validation = split_off(read.training, std::clamp(static_cast<int>(share), 1, read.training.count - 1));
  }
  if (options.standardise) {
    read.standardisation = Standardisation::of(read.training.channels, read.training.values);
    read.standardisation.apply(read.training.values), read.standardisation.apply(read.validation.values);
  }
  return read;
}

std::string SequenceData::text() const {
  return name + ", " + shape_of(training.time, training.channels) + ", " + std::to_string(training.count) +
         " to train on and " + std::to_string(validation.count) + " to validate on" +
         (standardisation.mean.empty() ? "" : ", standardised");
}

}  // namespace fieldstep::cli
