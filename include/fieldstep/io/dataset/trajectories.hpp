#pragma once
#include <fieldstep/io/dataset/dataset.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <utility>
#include <vector>

namespace fieldstep::io {

/// The simulations of several files as one list, for training: in memory once keep() was called, otherwise read
/// whenever they are asked for, with the same bits.
class Trajectories {
 public:
  /// What networks see: numbers as the file has them, or by the normalisation of its set.
  enum class Values { physical, normalised };

  explicit Trajectories(Values values) : values_(values) {}

  void add(Dataset file) {
    for (std::size_t sample = 0; sample < file.info().samples; ++sample) places_.push_back({files_.size(), sample});
    files_.push_back(std::move(file));
  }

  std::size_t size() const { return places_.size(); }
  const DatasetInfo& info(std::size_t trajectory) const { return files_[places_[trajectory].file].info(); }

  /// Memory that keep() needs.
  std::size_t bytes() const {
    std::size_t numbers = 0;
    for (const Place& place : places_) {
      const DatasetInfo& about = files_[place.file].info();
      numbers += (about.frames * about.fields.size() + about.inputs.size()) * points(about);
    }
    return numbers * sizeof(float);
  }

  /// Reads everything; calls advance() after each trajectory.
  template <class Advance>
  void keep(const Advance& advance) {
    kept_.reserve(size());
    for (std::size_t i = 0; i < size(); ++i) {
      const DatasetInfo& about = info(i);
      Kept kept{.frames = read_frames(i, 0, about.frames)};
      if (!about.inputs.empty()) kept.input = read_input(i, 0);
      kept.known = read_known(i);
      kept_.push_back(std::move(kept));
      advance();
    }
  }

  /// Frames first .. first + count as (count, fields, height, width), until the next call.
  std::span<const float> frames(std::size_t trajectory, std::size_t first, std::size_t count) {
    if (kept_.empty()) return read_ = read_frames(trajectory, first, count);
    const std::size_t size = info(trajectory).fields.size() * points(info(trajectory));
    return std::span<const float>(kept_[trajectory].frames).subspan(first * size, count * size);
  }

  /// What a network of a single frame reads, (inputs or fields, height, width), until the next call.
  std::span<const float> input(std::size_t trajectory, std::size_t frame) {
    if (info(trajectory).inputs.empty()) return frames(trajectory, frame, 1);
    if (kept_.empty()) return read_ = read_input(trajectory, frame);
    return kept_[trajectory].input;
  }

  /// Where a frame (fields, height, width) is known without a forecast: 1 there; empty where it is nowhere known. Until
  /// the next call.
  std::span<const unsigned char> known(std::size_t trajectory) {
    if (kept_.empty()) return known_ = read_known(trajectory);
    return kept_[trajectory].known;
  }

 private:
  struct Place {
    std::size_t file, sample;
  };
  struct Kept {
    std::vector<float> frames{}, input{};
    std::vector<unsigned char> known{};
  };

  static std::size_t points(const DatasetInfo& info) {
    return static_cast<std::size_t>(info.height) * static_cast<std::size_t>(info.width);
  }

  std::vector<float> read_frames(std::size_t trajectory, std::size_t first, std::size_t count) const {
    const auto [file, sample] = places_[trajectory];
    const DatasetInfo& about = files_[file].info();
    std::vector<float> frames = files_[file].read_frames(sample, first, count);
    if (values_ == Values::physical || about.normalisation.empty()) return frames;
    for (std::size_t i = 0; i < frames.size(); ++i)
      frames[i] = about.normalisation[i / points(about) % about.fields.size()].forth(frames[i]);
    return frames;
  }

  std::vector<float> read_input(std::size_t trajectory, std::size_t frame) const {
    const auto [file, sample] = places_[trajectory];
    return files_[file].read_input(sample, frame);
  }

  std::vector<unsigned char> read_known(std::size_t trajectory) const {
    const auto [file, sample] = places_[trajectory];
    const DatasetInfo& about = files_[file].info();
    std::vector<float> frame(about.fields.size() * points(about), std::numeric_limits<float>::quiet_NaN());
    files_[file].impose_known(sample, frame);
    std::vector<unsigned char> known(frame.size());
    std::ranges::transform(frame, known.begin(), [](float v) { return std::isnan(v) ? 0 : 1; });
    if (std::ranges::count(known, 1) == 0) known.clear();
    return known;
  }

  Values values_;
  std::vector<Dataset> files_;
  std::vector<Place> places_;
  std::vector<Kept> kept_;
  std::vector<float> read_;  // what the last call gave
  std::vector<unsigned char> known_;
};

}  // namespace fieldstep::io
