#pragma once
#include <fieldstep/core/init.hpp>
#include <fieldstep/io/weights.hpp>

#include <cstddef>
#include <filesystem>

/// Fine-tuning begins with the weights of another network: those that fit are taken, the others start anew.
namespace fieldstep::io {

/// Overwrites a network's fresh parameters with the pretrained ones of equal name and shape, and leaves all others as
/// they are (jax_poseidon's function of this name; ignore_mismatched_sizes of Hugging Face). With other channels the
/// latter are, of ScOT, the embedding's kernel, the recovery's kernel and bias, and its mixing kernel. What only the
/// file has is dropped. The report names every parameter that is not pretrained. Throws Error where the file is of
/// another family, holds NaN or infinity, or where nothing fits.
template <class Real>
LoadReport merge_pretrained_params(const TensorFile& pretrained, ParamTable table, Real* fresh) {
  return load_weights(pretrained, table, fresh, {.merge = true, .refuse_not_finite = true});
}

/// The same for an arena that nobody has initialised: draws what is not pretrained by the law of its framework (no
/// memory is left as it was found). Every number is that of initialise(table, arena, key) and a merge.
template <class Real>
LoadReport init_with_weights(const TensorFile& pretrained, ParamTable table, Real* arena, Key key,
                             Framework framework = Framework::torch) {
  const LoadReport report = merge_pretrained_params(pretrained, table, arena);
  for (std::size_t i = 0; i < table.size(); ++i)  // the report's first rows are the table's
    if (report.rows[i].outcome == Outcome::reinitialised) initialise_param(table, i, arena, key, framework);
  return report;
}

/// Starts a ScOT from the weights of another one, in any format: a file or a Hugging Face folder.
template <class Real>
LoadReport init_poseidon_with_weights(const std::filesystem::path& path, ParamTable table, Real* arena, Key key,
                                      Framework framework = Framework::torch) {
  const TensorFile pretrained = open_weights(path);
  return in_file(path, [&] { return init_with_weights(pretrained, table, arena, key, framework); });
}

}  // namespace fieldstep::io
