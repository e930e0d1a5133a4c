#include <examples/cli/numbers.hpp>
#include <examples/cli/references.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/train/reference/advection.hpp>
#include <fieldstep/train/reference/diffusion.hpp>
#include <fieldstep/train/reference/vorticity.hpp>

#include <memory>
#include <utility>
#include <vector>

namespace fieldstep::cli {

namespace {

template <class Physics>
AnyReference erased(Physics made) {
  const auto physics = std::make_shared<Physics>(std::move(made));
  return {.step = [physics](int samples, const float* u, float* next) { physics->forward(samples, u, next); },
          .pull_back = [physics](int samples, const float* u, const float* g,
                                 float* du) { physics->vjp(samples, u, g, du); }};
}

template <class Residuum>
AnyResiduum erased_residuum(const Residuum& residuum) {
  return {.balance = [residuum](int samples, const float* next, const float* prev,
                                float* r) { residuum.forward(samples, next, prev, r); },
          .pull_back = [residuum](int samples, const float* next, const float* prev, const float* g, float* dnext,
                                  float* dprev) { residuum.vjp(samples, next, prev, g, dnext, dprev); }};
}

template <int N>
AnyReference vorticity(int batch, double viscosity, double dt, int substeps) {
  return erased(train::VorticityFlow<N>(batch, {.viscosity = viscosity, .dt = dt, .substeps = substeps}));
}

}  // namespace

References make_references(const std::string& description, const ModelEntry& entry, int batch) {
  if (entry.frames > 1)
    fail_usage("--reference: ", entry.name, " reads ", entry.frames, " frames, physics steps from one");
  std::vector<std::string> fields = fields_of(description);
  const std::string name = fields.front();
  std::vector<double> numbers;
  for (std::size_t i = 1; i < fields.size(); ++i) {
    const std::optional<double> number = read_number(fields[i]);
    if (!number) fail_usage("--reference: found ", description, ", wanted ", reference_names);
    numbers.push_back(*number);
  }
  // One-dimensional physics goes along the width, row by row.
  const int rows = entry.fields * entry.height;
  if (name == "advection" && numbers.size() == 1)
    return {.stepper = erased(train::UpwindAdvection{.points = entry.width, .cfl = numbers[0], .channels = rows})};
  if (name == "diffusion" && numbers.size() == 1)
    return {.stepper = erased(train::ImplicitDiffusion(entry.width, numbers[0], rows)),
            .residuum = erased_residuum(
                train::ImplicitDiffusionResiduum{.points = entry.width, .number = numbers[0], .channels = rows})};
  if (name != "vorticity" || numbers.size() != 3 || !(numbers[2] >= 1 && numbers[2] <= 1e4))
    fail_usage("--reference: found ", description, ", wanted ", reference_names);
  const int substeps = static_cast<int>(numbers[2]);
  if (entry.fields == 1 && entry.height == 64 && entry.width == 64)
    return {.stepper = vorticity<64>(batch, numbers[0], numbers[1], substeps)};
  if (entry.fields == 1 && entry.height == 128 && entry.width == 128)
    return {.stepper = vorticity<128>(batch, numbers[0], numbers[1], substeps)};
  fail_usage("--reference: vorticity is of one field on 64x64 or 128x128 points, the model has ", entry.fields, " on ",
             entry.height, "x", entry.width);
}

}  // namespace fieldstep::cli
