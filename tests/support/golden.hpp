#pragma once
#include <fieldstep/core/error.hpp>
#include <fieldstep/core/param_table.hpp>
#include <support/compare.hpp>
#include <support/manifest.hpp>

#include <Kokkos_Core.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>

namespace fieldstep::support {

/// Fills the weights with a manifest's formulas; every parameter must be there, in the original's shape.
template <class Real>
void load_formulas(const Manifest& manifest, ParamTable table, Real* arena) {
  const std::vector<SourceTensor> params = manifest.params();
  if (params.size() != table.size())
    fail(manifest.path().string(), ": lists ", params.size(), " parameters, the network has ", table.size());
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (params[i].name != table[i].path.view() || !std::ranges::equal(params[i].shape, table[i].shape()))
      fail(manifest.path().string(), ": parameter ", i, " is ", params[i].name, ", in the network it is ",
           table[i].path.view(), ", or its shape differs");
    import_param(table[i], manifest.values(params[i]).data(), arena);
  }
}

/// The main function of a golden test: its argument is a manifest, Case::run(manifest) prints one line per tensor and
/// says whether all are within their bounds.
template <class Case>
int run_golden(int argc, char* argv[]) {
  if (argc != 2) {
    std::fprintf(stderr, "%s: found %d arguments, wanted one: the manifest of a golden case\n", argv[0], argc - 1);
    return 2;
  }
  auto settings = Kokkos::InitializationSettings().set_disable_warnings(true);  // of OMP_PROC_BIND
  if (std::getenv("OMP_NUM_THREADS") == nullptr) settings.set_num_threads(2);
  const Kokkos::ScopeGuard kokkos(settings);
  try {
    return Case::run(Manifest(argv[1])) ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

}  // namespace fieldstep::support
