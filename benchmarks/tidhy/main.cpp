// Time and share of the multiply-add peak of TiDHy's inference over sequences and of a pass of its training, for
// batches from 1 to 512 sequences of 50 frames, 100 iterations a frame and no early stop, on one thread and more.
//   benchmark_tidhy [--benchmark_filter=REGEX] [--benchmark_format=json] ...
#include <benchmarks/step/cases.hpp>
#include <fieldstep/models/tidhy_init.hpp>
#include <fieldstep/models/tidhy_objective.hpp>

#include <memory>
#include <string>

namespace fieldstep::benchmarks {

namespace {

struct Readme : models::TidhyDefaults {};  // R 20, Q 10, M 5, D 100, H 64
using Net = models::Tidhy<Readme>;

constexpr int frames = 50;

models::TidhyTrainingOptions every_iteration() {
  models::TidhyTrainingOptions options;
  options.inference.max_iter = 100, options.inference.tol = 0;
  return options;
}

/// What an iteration of one sample needs: the folded hypernetwork in both directions, the Gram matrix, the mixture in
/// both directions.
constexpr double flop_of_iteration =
    2.0 * (2 * (Net::Q * Net::H + Net::H * Net::outputs) + Net::R * Net::R + 2 * Net::M * Net::R);

/// A batch of sequences with everything that its passes need.
struct Scene {
  Arena<float> X;
  models::TidhyObjective<Net> goal;

  Scene(int batch, const Exec& exec)
      : X(some_numbers(static_cast<std::size_t>(batch) * frames * Net::D)),
        goal(batch, frames, X.data(), batch, every_iteration(), exec) {
    models::initialise_tidhy<Net>(goal.weights(), make_key(1));
    goal.weights_changed();
  }
};

void add_tidhy_cases(const Exec& exec, const std::string& suffix) {
  for (const int batch : {1, 8, 64, 512}) {
    const Work work{.flop = flop_of_iteration * batch * (frames - 1) * every_iteration().inference.max_iter};
    const auto add = [&](const std::string& name, const auto& run) {
      add_case(name + "/batch " + std::to_string(batch) + suffix, exec, work,
               [=] { return [run, scene = std::make_shared<Scene>(batch, exec)] { run(*scene); }; });
    };
    add("record", [=](Scene& scene) {
      models::evaluate_record(scene.goal.training(), scene.goal.bound(), every_iteration().inference, batch, frames,
                              scene.X.data(), [](int) {});
    });
    add("training", [](Scene& scene) {
      scene.goal.clear_gradient();
      scene.goal.add_gradient(0);
    });
  }
}

}  // namespace

}  // namespace fieldstep::benchmarks

int main(int argc, char* argv[]) {
  using namespace fieldstep::benchmarks;
  return run_cases(argc, argv, {add_tidhy_cases});
}
