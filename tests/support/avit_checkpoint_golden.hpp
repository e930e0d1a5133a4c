#pragma once
#include <fieldstep/io/weights.hpp>
#include <support/avit_golden.hpp>

namespace fieldstep::support {

/// Real-format weight files: each of `files`, read through io/, must hold the tensors param/<key> bit for bit and give
/// the stored output.
template <class Config, class Grid>
struct AvitCheckpointGolden {
  static bool run(const Manifest& manifest) {
    const bool in_float = run_in<float>(manifest);
    return run_in<double>(manifest) && in_float;
  }

  template <class Real>
  static bool run_in(const Manifest& manifest) {
    Report report(std::is_same_v<Real, float> ? "float" : "double");
    const std::vector<float> x = manifest.values(manifest.inputs().at(0));
    for (const auto& [file, description] : manifest.json().at("files").items()) {
      if (file.ends_with(".json")) continue;  // a listing, no weights
      double error = 0;
      const AvitUnderTest<models::AViT<Config, Grid, Real>> net(manifest, [&](ParamTable table, Real* arena) {
        io::load_weights(manifest.path().parent_path() / file, table, arena);
        for (const ParamEntry& entry : table) {
          Numbers loaded(entry.size);
          export_param(entry, arena, loaded.data());
          error = std::max(
              error, relative_l2(loaded, manifest.stored_tensor("param/" + std::string(entry.path.view())).values));
        }
      });
      report.compare(file + ": weights", error, 0);
      for (const ExpectedTensor& tensor : manifest.outputs()) {
        const StoredTensor stored = manifest.stored_tensor(tensor.name);
        report.compare(file + ": " + tensor.name, relative_l2(net.forward(x), stored.values),
                       golden_bound<Real>(tensor.ref_err, stored.in_double));
      }
    }
    return report.passed();
  }
};

}  // namespace fieldstep::support
