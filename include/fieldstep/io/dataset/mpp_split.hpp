#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

/// Which windows of a set MPP trains, validates and tests on (BaseHDF5DirectoryDataset in data_utils/hdf5_datasets.py).
namespace fieldstep::io::mpp {

/// Training, validation, test.
using Fractions = std::array<double, 3>;
inline constexpr Fractions usual_fractions{0.8, 0.1, 0.1};

/// Half-open range of samples or windows.
struct Range {
  std::size_t begin = 0, end = 0;
  std::size_t size() const { return end - begin; }
  bool operator==(const Range&) const = default;
};

/// Windows of one trajectory: window i has the input frames i .. i + inputs and the target frame i + inputs.
struct Windows {
  std::size_t inputs = 0;  ///< frames a model sees; fewer than asked for if the trajectory is short
  std::size_t count = 0;
};

inline constexpr std::size_t usual_inputs = 16;

constexpr Windows windows_of(std::size_t frames, std::size_t inputs = usual_inputs) {
  if (frames < 2) return {};
  if (frames < inputs + 1) inputs = frames - 1;
  return {inputs, frames - inputs};
}

/// Ranges of samples of one file for sets divided by sample: the first two shares are rounded up, the test set gets
/// what remains.
inline std::array<Range, 3> split_samples(std::size_t samples, const Fractions& fractions = usual_fractions) {
  const auto share = [&](int part) {
    return static_cast<std::size_t>(
        std::ceil(fractions[static_cast<std::size_t>(part)] * static_cast<double>(samples)));
  };
  const std::size_t train = std::min(share(0), samples);
  const std::size_t valid = std::min(train + share(1), samples);
  return {Range{0, train}, Range{train, valid}, Range{valid, samples}};
}

/// A file of a set that is divided over all its files (incompressible Navier-Stokes).
struct FileWindows {
  std::size_t samples = 0;
  std::size_t windows = 0;  ///< of each sample
};

/// Ranges of the running window number over all files. Each share is walked off from the first file, as the original
/// does, so validation and test sets are cut by the sizes of the first files.
inline std::array<Range, 3> split_files(std::span<const FileWindows> files,
                                        const Fractions& fractions = usual_fractions) {
  std::size_t total = 0;
  for (const FileWindows& file : files) total += file.samples;
  std::array<Range, 3> ranges;
  std::size_t end = 0;
  for (std::size_t part = 0; part < ranges.size(); ++part) {
    const auto ideal = static_cast<std::size_t>(fractions[part] * static_cast<double>(total));
    ranges[part].begin = end;
    std::size_t before = 0;
    for (const FileWindows& file : files) {
      end += std::min(file.samples, ideal - before) * file.windows;
      before += file.samples;
      if (before >= ideal) break;
    }
    ranges[part].end = end;
  }
  return ranges;
}

}  // namespace fieldstep::io::mpp
