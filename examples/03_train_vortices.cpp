// A small emulator learns a flow and forecasts one that it never saw: 03_train_vortices [UPDATES [FOLDER]]
// The solver of the library makes decaying vortices; a convolutional net of 5 layers learns what changes between two
// frames of the velocity, first one step ahead, then rolled out. 1800 updates take about two minutes on two cores.
// FOLDER receives a picture of truth, forecast and error, and the error over time beside the forecast that nothing
// changes.
#include <fieldstep/embed/net_stepper.hpp>
#include <fieldstep/io/curves.hpp>
#include <fieldstep/io/panels.hpp>
#include <fieldstep/models/conv_net.hpp>
#include <fieldstep/train/callbacks/rollout_curriculum.hpp>
#include <fieldstep/train/evaluation.hpp>
#include <fieldstep/train/flow_data.hpp>
#include <fieldstep/train/general_trainer.hpp>
#include <fieldstep/train/optimizer/adam.hpp>
#include <fieldstep/train/schedule.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <numbers>
#include <span>
#include <string>
#include <vector>

using namespace fieldstep;

constexpr int N = 64, points = N * N, frames = 40, trained = 24, held = 4, steps = 20;

struct Flow : models::ConvNetDefaults {
  static constexpr int channels = 2, hidden = 32, layers = 6, kernel = 3;
  static constexpr bool increment = true;
};
using Net = models::ConvNet<Flow, Shape<N, N>, float>;

/// A line that says how far the training is; only where somebody can see it.
struct Progress {
  long updates;
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();

  bool on_step(const train::Update& update) const {
    if (isatty(STDERR_FILENO) == 0 || (update.step % 20 != 0 && update.step != updates)) return false;
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    const double rate = static_cast<double>(update.step) / passed.count();
    const int done = static_cast<int>(30 * update.step / updates);
    std::fprintf(stderr, "\rtraining [%.*s%*s] %ld/%ld  loss %.2e  %.0f updates/s  %.0f s left ", done,
                 "##############################", 30 - done, "", update.step, updates, update.loss, rate,
                 static_cast<double>(updates - update.step) / rate);
    if (update.step == updates) std::fputc('\n', stderr);
    return false;
  }
};

int main(int argc, char* argv[]) try {
  const long updates = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 1800;
  const std::filesystem::path folder = argc > 2 ? argv[2] : "vortices";
  if (updates < 10) fail_usage("wanted: 03_train_vortices [UPDATES [FOLDER]] with at least 10 updates");
  const Kokkos::ScopeGuard kokkos(Kokkos::InitializationSettings().set_disable_warnings(true));

  // The last flows are kept out.
  const std::vector<float> flows =
      train::decaying_flows<N>({.samples = trained + held, .frames = frames, .substeps = 5}, make_key(1));
  const train::Trajectories<float> data{flows.data(), trained, frames, Net::state_size};

  embed::NetStepper<Net> stepper(8);
  Net::initialise(stepper.weights(), make_key(2));
  train::GeneralTrainer trainer(
      stepper, data, train::Supervised<>{.rollout = 3},
      train::Adam<train::WarmupCosine>{.schedule = {.peak = 2e-3, .warmup = updates / 20, .total = updates}},
      train::TrainingOptions{.updates = updates, .batch_size = 8, .key = make_key(3)});
  train::RolloutCurriculum curriculum{{{.first = 0, .rollout = 1}, {.first = updates * 3 / 4, .rollout = 3}}};
  Progress progress{updates};
  trainer.run(curriculum, progress);

  // From the first frame of every held-out flow; states level by level.
  constexpr std::size_t level = held * Net::state_size;
  std::vector<float> initial(level), truth(steps * level), forecast(steps * level), persistence(steps * level);
  for (std::size_t s = 0; s < held; ++s) {
    const float* flow = flows.data() + (trained + s) * frames * Net::state_size;
    std::copy_n(flow, Net::state_size, initial.data() + s * Net::state_size);
    for (std::size_t t = 0; t < steps; ++t)
      std::copy_n(flow + (t + 1) * Net::state_size, Net::state_size, truth.data() + t * level + s * Net::state_size);
  }
  for (std::size_t t = 0; t < steps; ++t) std::copy_n(initial.data(), level, persistence.data() + t * level);
  train::roll_out(stepper, held, initial.data(), steps, forecast.data());

  const train::Metric metric("nRMSE");
  const train::FieldShape shape{.channels = 2, .axes = {N, N}, .extent = 2 * std::numbers::pi};
  const auto curve = [&](const std::vector<float>& states) {
    return train::error_over_time(metric, shape, held, steps, states.data(), truth.data());
  };
  const std::vector<double> of_net = curve(forecast), of_persistence = curve(persistence);
  double net = 0, nothing = 0;
  for (std::size_t t = 0; t < 10; ++t) net += of_net[t] / 10, nothing += of_persistence[t] / 10;

  std::filesystem::create_directories(folder);
  std::vector<double> axis;
  for (int t = 1; t <= steps; ++t) axis.push_back(t);
  const io::CurveFiles files = io::write_curves(
      folder, "error",

      {.title = "Error of a rollout from flows that were kept out",
       .axis = {"step", axis},
       .plots = {{.name = "nRMSE", .lines = {{"emulator", of_net}, {"persistence", of_persistence}}}}});
  io::Panels panels{.title = "Velocity along x", .height = N, .width = N, .rows = {}};
  for (const std::size_t t : {1, 5, 10})
    panels.rows.push_back({.field = "step " + std::to_string(t),
                           .unit = "",
                           .reference = std::span(truth).subspan((t - 1) * level, points),
                           .forecast = std::span(forecast).subspan((t - 1) * level, points)});
  io::write_panels(folder / "velocity.png", panels);

  std::printf("nRMSE, mean of the first 10 steps of %d flows that were kept out: %.3f, persistence %.3f\n", held, net,
              nothing);
  std::printf("%s\n%s\n", (folder / "velocity.png").c_str(), (files.drawn ? files.picture : files.table).c_str());
  return net < nothing / 2 ? 0 : 1;
} catch (const Error& error) {
  std::fprintf(stderr, "03_train_vortices: %s\n", error.what());
  return error.fault() == Fault::usage ? 2 : 1;
}
