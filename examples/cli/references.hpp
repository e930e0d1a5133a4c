#pragma once
#include <examples/cli/models.hpp>

#include <functional>
#include <optional>
#include <string>

namespace fieldstep::cli {

/// Known physics that is chosen when the program runs, itself a train::DifferentiableReference.
struct AnyReference {
  std::function<void(int samples, const float* u, float* next)> step;
  std::function<void(int samples, const float* u, const float* g, float* du)> pull_back;

  void forward(int samples, const float* u, float* next) { step(samples, u, next); }
  void vjp(int samples, const float* u, const float* g, float* du) { pull_back(samples, u, g, du); }
};

/// The same of what two states leave unbalanced, itself a train::ResiduumFunction.
struct AnyResiduum {
  std::function<void(int samples, const float* next, const float* prev, float* r)> balance;
  std::function<void(int samples, const float* next, const float* prev, const float* g, float* dnext, float* dprev)>
      pull_back;

  void forward(int samples, const float* next, const float* prev, float* r) { balance(samples, next, prev, r); }
  void vjp(int samples, const float* next, const float* prev, const float* g, float* dnext, float* dprev) {
    pull_back(samples, next, prev, g, dnext, dprev);
  }
};

struct References {
  std::optional<AnyReference> stepper{};
  std::optional<AnyResiduum> residuum{};
};

inline constexpr const char* reference_names =
    "vorticity;VISCOSITY;DT;SUBSTEPS of a field on 64x64 or 128x128 points, or along the width advection;CFL and "
    "diffusion;NUMBER, which is a residuum, too";

/// A built-in one by its description, for batches of the model's states.
References make_references(const std::string& description, const ModelEntry& entry, int batch);

}  // namespace fieldstep::cli
