#pragma once
#include <examples/cli/models.hpp>
#include <fieldstep/io/tensor_file.hpp>

#include <array>
#include <filesystem>
#include <vector>

/// What the original computed, as the folder tests/goldens keeps it.
namespace fieldstep::cli {

/// Input, conditions and size of a forward pass.
struct ForwardCase {
  std::vector<float> x;             ///< (batch, frames, fields, height, width)
  std::vector<float> lead_times{};  ///< (batch), of networks that read one
  std::vector<int> labels;
  std::array<int, 2> boundaries{};
  int batch = 1;
};

/// A case with its weights, which its file stores or its manifest gives as formulas, and what they must compute.
struct GoldenCase {
  io::TensorFile weights;
  ForwardCase given;
  std::vector<float> output;
  double bound = 0;  ///< how far from it a float32 run may be: a few times the original's own error
  Wanted model;
  Network network{};  ///< of the weights
};

/// Throws Error where the manifest is none, or tells neither weights nor output.
GoldenCase read_golden(const std::filesystem::path& manifest);

/// The manifests of a folder with weights of this network.
std::vector<std::filesystem::path> manifests_for(const std::filesystem::path& folder, const io::Recognised& network);

}  // namespace fieldstep::cli
