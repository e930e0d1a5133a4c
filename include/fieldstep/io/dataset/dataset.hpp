#pragma once
#include <cmath>
#include <cstddef>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/dataset/description.hpp>
#include <fieldstep/io/dataset/npy_trajectories.hpp>
#include <fieldstep/io/dataset/pdebench.hpp>
#include <fieldstep/io/dataset/poseidon.hpp>
#include <fieldstep/io/dataset/the_well.hpp>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace fieldstep::io {

/// What reading does about values that are not finite.
enum class NonFinite { refuse, allow };

/// A file of simulations of any known layout. A new layout is one header with a DatasetReader, named in Reader and in
/// open_dataset.
class Dataset {
 public:
  using Reader = std::variant<Pdebench, Poseidon, TheWell, NpyTrajectories>;

  Dataset(std::filesystem::path path, Reader reader) : path_(std::move(path)), reader_(std::move(reader)) {}

  const DatasetInfo& info() const {
    return std::visit([](const auto& reader) -> const DatasetInfo& { return reader.info(); }, reader_);
  }

  /// Frames first .. first + count of one sample as (count, fields, height, width).
  std::vector<float> read_frames(std::size_t sample, std::size_t first, std::size_t count,
                                 NonFinite policy = NonFinite::refuse) const {
    const DatasetInfo& about = info();
    check_request(sample, first, count);
    std::vector<float> frames =
        std::visit([&](const auto& reader) { return reader.read_frames(sample, first, count); }, reader_);
    if (policy == NonFinite::refuse) check_finite(frames, about.fields, sample, first);
    return frames;
  }

  /// What a network of a single frame reads to forecast from it, (inputs or fields, height, width), normalised.
  std::vector<float> read_input(std::size_t sample, std::size_t frame) const {
    check_request(sample, frame, 1);
    const DatasetInfo& about = info();
    const std::vector<std::string>& channels = about.inputs.empty() ? about.fields : about.inputs;
    std::vector<float> input = std::visit(
        [&](const auto& reader) {
          if constexpr (requires { reader.read_input(sample, frame); })
            return reader.read_input(sample, frame);
          else
            return reader.read_frames(sample, frame, 1);
        },
        reader_);
    check_finite(input, channels, sample, frame);
    return input;
  }

  /// Puts what is known without a forecast into frames (count, fields, height, width) of a sample.
  void impose_known(std::size_t sample, std::span<float> frames) const {
    std::visit(
        [&](const auto& reader) {
          if constexpr (requires { reader.impose_known(sample, frames); }) reader.impose_known(sample, frames);
        },
        reader_);
  }

 private:
  void check_request(std::size_t sample, std::size_t first, std::size_t count) const {
    const DatasetInfo& about = info();
    if (sample >= about.samples)
      fail_usage(path_.string(), ": sample ", sample, " asked for, the file has ", about.samples, " (counted from 0)");
    if (count > about.frames || first > about.frames - count)
      fail_usage(path_.string(), ": ", count, " frames from frame ", first, " asked for, the file has ", about.frames);
  }

  void check_finite(const std::vector<float>& frames, const std::vector<std::string>& channels, std::size_t sample,
                    std::size_t first) const {
    for (std::size_t i = 0; i < frames.size(); ++i) {
      if (std::isfinite(frames[i])) continue;
      const DatasetInfo& about = info();
      const std::size_t plane = i / (static_cast<std::size_t>(about.height) * static_cast<std::size_t>(about.width));
      fail(path_.string(), ": ", channels[plane % channels.size()], " is ", frames[i], " in frame ",
           first + plane / channels.size(), " of sample ", sample, ", wanted finite values");
    }
  }

  std::filesystem::path path_;
  Reader reader_;
};

/// Opens a file. With the name of one of Poseidon's problems it has to be of that problem; otherwise its layout tells
/// which set it belongs to, and of Poseidon's the file's own name (NS-PwC.nc).
inline Dataset open_dataset(const std::filesystem::path& path, std::string_view problem = {}) {
  if (path.extension() == ".npy") return {path, NpyTrajectories(path)};
  Hdf5File file(path);
  const std::string stem = path.stem().string();
  const bool named = std::ranges::find(poseidon_problem_names, stem) != poseidon_problem_names.end();
  if (!problem.empty()) return {path, Poseidon(std::move(file), problem)};
  if (named) return {path, Poseidon(std::move(file), stem)};
  if (Pdebench::recognises(file)) return {path, Pdebench(std::move(file))};
  if (TheWell::recognises(file)) return {path, TheWell(std::move(file))};
  fail(path.string(), ": holds ", detail::listed(file.names()), ", wanted one of: ", Pdebench::layouts, "; ",
       Poseidon::layouts, "; ", TheWell::layouts, "; ", NpyTrajectories::layouts);
}

}  // namespace fieldstep::io
