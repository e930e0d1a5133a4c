#pragma once
#include <examples/cli/training_data.hpp>

#include <string>
#include <vector>

/// Recordings for TiDHy: sequences of equal length.
namespace fieldstep::cli {

/// What the command line says of them beside files and the share to validate on.
struct SequenceOptions {
  int window = 0, stride = 0;  ///< of windows that long recordings are cut into; 0: none, the window
  bool standardise = false;    ///< every channel to mean 0 and deviation 1, by the sequences to train on
};

/// A change of every channel, x -> (x - mean) / deviation; empty: none.
struct Standardisation {
  std::vector<float> mean, deviation;

  static Standardisation of(int channels, const std::vector<float>& values);
  void apply(std::vector<float>& values) const;
  std::string text() const;  ///< as metadata has it; empty: none
  static Standardisation parse(const std::string& text);
};

/// (sequences, time, channels)
struct SequenceSet {
  int count = 0, time = 0, channels = 0;
  std::vector<float> values{};
};

/// All files as one set; refuses those of another length or other channels than the first.
SequenceSet read_sequences(const std::vector<std::string>& files, const SequenceOptions& options);

/// What a training learns from and is validated on: the files of --validation-data, or the last sequences of all.
struct SequenceData {
  SequenceSet training, validation;
  Standardisation standardisation{};
  std::string name;

  std::string text() const;
};
SequenceData read_sequence_data(const DataOptions& data, const SequenceOptions& options);

}  // namespace fieldstep::cli
