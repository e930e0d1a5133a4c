#pragma once
#include <cmath>
#include <cstddef>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/dataset/description.hpp>
#include <fieldstep/io/dataset/pdebench.hpp>
#include <filesystem>
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
  using Reader = std::variant<Pdebench>;

  Dataset(std::filesystem::path path, Reader reader) : path_(std::move(path)), reader_(std::move(reader)) {}

  const DatasetInfo& info() const {
    return std::visit([](const auto& reader) -> const DatasetInfo& { return reader.info(); }, reader_);
  }

  /// Frames first .. first + count of one sample as (count, fields, height, width).
  std::vector<float> read_frames(std::size_t sample, std::size_t first, std::size_t count,
                                 NonFinite policy = NonFinite::refuse) const {
    const DatasetInfo& about = info();
    if (sample >= about.samples)
      fail_usage(path_.string(), ": sample ", sample, " asked for, the file has ", about.samples, " (counted from 0)");
    if (count > about.frames || first > about.frames - count)
      fail_usage(path_.string(), ": ", count, " frames from frame ", first, " asked for, the file has ", about.frames);
    std::vector<float> frames =
        std::visit([&](const auto& reader) { return reader.read_frames(sample, first, count); }, reader_);
    if (policy == NonFinite::refuse) check_finite(frames, sample, first);
    return frames;
  }

 private:
  void check_finite(const std::vector<float>& frames, std::size_t sample, std::size_t first) const {
    for (std::size_t i = 0; i < frames.size(); ++i) {
      if (std::isfinite(frames[i])) continue;
      const DatasetInfo& about = info();
      const std::size_t plane = i / (static_cast<std::size_t>(about.height) * static_cast<std::size_t>(about.width));
      fail(path_.string(), ": ", about.fields[plane % about.fields.size()], " is ", frames[i], " in frame ",
           first + plane / about.fields.size(), " of sample ", sample, ", wanted finite values");
    }
  }

  std::filesystem::path path_;
  Reader reader_;
};

/// Opens a file and tells from its layout which set it belongs to.
inline Dataset open_dataset(const std::filesystem::path& path) {
  Hdf5File file(path);
  if (Pdebench::recognises(file)) return {path, Pdebench(std::move(file))};
  fail(path.string(), ": holds ", detail::listed(file.names()), ", wanted one of: ", Pdebench::layouts);
}

}  // namespace fieldstep::io
