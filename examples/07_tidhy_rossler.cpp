// TiDHy finds what is hidden in recordings: from the observations of a linear system that switches between three
// regimes it learns latents, a dynamics matrix for every regime and the weights that mix them, which tell the regime;
// from those of a Rossler system it learns what a slower one does to it. No state is shown to it: of several starts,
// trained side by side, the one with the least loss is taken, and k-means finds the regimes among its mixture weights.
//   07_tidhy_rossler [UPDATES [FOLDER]]: 2500 updates, pictures into FOLDER
#include <fieldstep/core/clustering.hpp>
#include <fieldstep/io/curves.hpp>
#include <fieldstep/models/tidhy_init.hpp>
#include <fieldstep/models/tidhy_objective.hpp>
#include <fieldstep/train/latent_data.hpp>
#include <fieldstep/train/optimizer/adamw.hpp>
#include <fieldstep/train/parameter_rules.hpp>
#include <fieldstep/train/schedule.hpp>
#include <fieldstep/train/side_by_side.hpp>
#include <fieldstep/train/trainer.hpp>

#include <Eigen/QR>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

using namespace fieldstep;

namespace {

constexpr int channels = 16, batch = 4, seeds = 5;

struct Regimes : models::TidhyDefaults {
  static constexpr int r_dim = 4, r2_dim = 2, mix_dim = 3, input_dim = channels, hyper_hid_dim = 32;
};
struct Rossler : Regimes {
  static constexpr int r2_dim = 3, mix_dim = 5;
};

/// The latents' gradients are of a batch mean, so their rates grow with the batch. The hypernetwork learns slowly
/// beside matrices and decoder: then it divides the recording among the matrices, otherwise all become one.
models::TidhyTrainingOptions training_options(double lr_r2) {
  models::TidhyTrainingOptions options;
  options.inference = {.lr_r = .2 * batch,
                       .lr_r2 = lr_r2 * batch,
                       .temp_weight = .2,
                       .max_iter = 50,
                       .tol = 1e-3,
                       .batch_converge = true,
                       .mean_over = batch,
                       .r2_init_std = 1};
  options.normalisation.spatial = true;
  return options;
}
constexpr models::TidhyStartOptions mixed_start{.mixture_bias = 1, .mixture_scale = .1};
constexpr double hypernet_rate = .01;

/// The mean loss of the last fifth of a run.
struct LateLoss {
  long updates;
  double sum = 0;

  bool on_step(const train::Update& update) {
    if (update.step > updates - updates / 5) sum += update.loss / static_cast<double>(updates / 5);
    return false;
  }
};

/// Trains from several seeds and returns the model of the least loss.
template <class Net>
std::unique_ptr<models::TidhyObjective<Net>> learn(int sequences, int time, const float* X, double lr_r2, double rate,
                                                   long updates) {
  using Goal = models::TidhyObjective<Net>;
  std::vector<std::unique_ptr<Goal>> goals(seeds);
  std::vector<double> losses(seeds);
  train::side_by_side(Kokkos::DefaultHostExecutionSpace(), seeds, [&](int seed, const auto& exec) {
    auto& goal = goals[static_cast<std::size_t>(seed)];
    goal = std::make_unique<Goal>(sequences, time, X, batch, training_options(lr_r2), exec);
    models::initialise_tidhy<Net>(goal->weights(), make_key(static_cast<std::uint64_t>(seed)), mixed_start);
    const train::AdamW<train::CosineDecay> adamw{.schedule = {.init = rate, .steps = updates}, .weight_decay = 0};
    const train::ParameterGroups groups(Net::table(), [](const ParamEntry& entry) {
      return train::ParameterOptions{.rate = entry.path.view().starts_with("hypernet") ? hypernet_rate : 1};
    });
    train::Trainer trainer(*goal, adamw, groups, {}, exec);
    LateLoss late{updates};
    try {
      trainer.run(updates, late);
      losses[static_cast<std::size_t>(seed)] = late.sum;
    } catch (const Error&) {  // diverged: this start is lost
      losses[static_cast<std::size_t>(seed)] = std::numeric_limits<double>::infinity();
    }
  });
  std::size_t least = 0;
  for (std::size_t seed = 0; seed < losses.size(); ++seed) {
    std::printf("  seed %zu: loss %.1f\n", seed, losses[seed]);
    if (losses[seed] < losses[least]) least = seed;
  }
  return std::move(goals[least]);
}

/// Lines over time of one sequence of numbers (sequences, time, width).
std::vector<io::Column> lines_of(const std::string& name, const std::vector<float>& numbers, int width, int time,
                                 int sequence = 0) {
  std::vector<io::Column> lines;
  for (int i = 0; i < width; ++i) {
    lines.push_back({name + std::to_string(i), {}});
    for (int t = 0; t < time; ++t)
      lines.back().values.push_back(
          static_cast<double>(numbers[static_cast<std::size_t>((sequence * time + t) * width + i)]));
  }
  return lines;
}

void draw(const std::string& folder, const std::string& name, const std::string& title,
          std::vector<io::CurvePlot> plots, int time, std::vector<double> marks) {
  if (folder.empty()) return;
  std::filesystem::create_directories(folder);
  io::Column axis{"time", {}};
  for (int t = 0; t < time; ++t) axis.values.push_back(t);
  io::write_curves(folder, name, {.title = title, .axis = axis, .plots = std::move(plots), .marks = std::move(marks)});
}

/// Share of a signal's variance that a linear function of the rows of x (rows, width) explains.
double explained(const std::vector<float>& x, int width, const std::vector<double>& signal) {
  using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const auto n = static_cast<Eigen::Index>(signal.size());
  const Eigen::Map<const Eigen::VectorXd> y(signal.data(), n);
  Eigen::MatrixXd A(n, width + 1);
  A << Eigen::Map<const Rows>(x.data(), n, width).cast<double>(), Eigen::VectorXd::Ones(n);
  const Eigen::VectorXd rest = y - A * A.colPivHouseholderQr().solve(y);
  return 1 - rest.squaredNorm() / (y.array() - y.mean()).matrix().squaredNorm();
}

/// Means over `turn` times around each, within the sequences, of numbers (sequences, time, width).
std::vector<float> smooth(const std::vector<float>& numbers, int width, int time, int turn) {
  std::vector<float> means(numbers.size());
  for (int i = 0; i < static_cast<int>(numbers.size()); ++i) {
    const int t = i / width % time, first = std::max(0, t - turn / 2), last = std::min(time - 1, t + turn / 2);
    for (int k = first; k <= last; ++k)
      means[static_cast<std::size_t>(i)] +=
          numbers[static_cast<std::size_t>(i + (k - t) * width)] / static_cast<float>(last - first + 1);
  }
  return means;
}

/// Accuracy of the regimes that are found in sequences that were not trained on.
double find_regimes(long updates, const std::string& folder) {
  constexpr int time = 60, trained = 32, held = 16;
  const train::LatentData data = train::switching_linear_system(
      {.sequences = trained + held, .time = time, .channels = channels, .process_noise = .05, .observation_noise = .02},
      make_key(2));
  std::printf("Switching system: 3 regimes, %d sequences of %d times and %d channels\n", trained, time, channels);
  const auto model = learn<models::Tidhy<Regimes>>(trained, time, data.X.data(), .02, 1e-2, updates);
  const float* X = data.X.data() + std::size_t{trained} * time * channels;
  const auto record = model->evaluate_record(held, time, X, [](int) {});
  std::vector<int> truth;  // the state at t - 1 rules the step to t, which W[t] explains
  std::vector<float> W;
  for (int s = 0; s < held; ++s)
    for (int t = 1; t < time; ++t) {
      truth.push_back(data.states[static_cast<std::size_t>((trained + s) * time + t - 1)]);
      const float* w = record.W.data() + (s * time + t) * record.M;
      W.insert(W.end(), w, w + record.M);
    }
  const std::vector<int> found = k_means(truth.size(), record.M, W.data(), 3, make_key(0)).labels;
  const double accuracy = matched_accuracy(found, truth);
  std::printf("  held out: accuracy %.3f (always the most frequent: %.3f), adjusted Rand index %.3f\n", accuracy,
              majority_share(truth), adjusted_rand(found, truth));
  int shown = 0;  // the sequence with the most switches
  std::vector<std::size_t> switches;
  for (int s = 0; s < held; ++s) {
    const auto first = static_cast<std::size_t>(s) * (time - 1);
    const auto times = switching_times(std::span(truth).subspan(first, time - 1));
    if (times.size() > switches.size()) shown = s, switches = times;
  }
  std::vector<double> marks;
  for (const std::size_t t : switches) marks.push_back(static_cast<double>(t + 1));
  draw(folder, "regimes", "Mixture weights and latents; lines: the true switching times",
       {{"weights", lines_of("w", record.W, record.M, time, shown)},
        {"latents", lines_of("r", record.R_hat, record.R, time, shown)}},
       time, marks);
  return accuracy;
}

void find_slow_system(long updates, const std::string& folder) {
  constexpr int time = 100, trained = 24, held = 8;
  const train::LatentData data = train::coupled_rossler(
      {.sequences = trained + held, .time = time, .channels = channels, .sampling = .2}, make_key(3));
  std::printf("Rossler system, driven by a slower one: %d sequences of %d times and %d channels\n", trained, time,
              channels);
  const auto model = learn<models::Tidhy<Rossler>>(trained, time, data.X.data(), .002, 3e-3, updates);
  const float* X = data.X.data() + std::size_t{trained} * time * channels;
  const auto record = model->evaluate_record(held, time, X, [](int) {});
  const std::vector<double> slow(data.slow.end() - std::ptrdiff_t{held} * time, data.slow.end());
  double still = 0;
  for (int s = 0; s < held; ++s)
    for (int i = channels; i < time * channels; ++i) {
      const double d = static_cast<double>(X[s * time * channels + i] - X[s * time * channels + i - channels]);
      still += d * d / held;
    }
  constexpr int turn = 30;  // of the fast system
  std::printf("  held out: error %.1f inferred, %.1f predicted a time ahead (unchanged: %.1f)\n",
              record.spatial_loss_rhat_avg, record.spatial_loss_rbar_avg, still);
  std::printf(
      "  of the slow system's variance the mixture weights explain %.2f, their means over a turn of the fast one "
      "%.2f\n",
      explained(record.W, record.M, slow), explained(smooth(record.W, record.M, time, turn), record.M, slow));
  draw(folder, "rossler", "Rossler system",
       {{"weights", lines_of("w", record.W, record.M, time)}, {"latents", lines_of("r", record.R_hat, record.R, time)}},
       time, {});
}

}  // namespace

int main(int argc, char* argv[]) {
  const Kokkos::ScopeGuard kokkos(Kokkos::InitializationSettings().set_disable_warnings(true));
  const long updates = argc > 1 ? std::max(50L, std::atol(argv[1])) : 2500;
  const std::string folder = argc > 2 ? argv[2] : "";
  const double accuracy = find_regimes(updates, folder);
  find_slow_system(updates, folder);
  return updates < 2500 || accuracy > .9 ? 0 : 1;
}
