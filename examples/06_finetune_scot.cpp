// Fine-tunes a ScOT of four fields to two, the velocity of an incompressible flow: 06_finetune_scot [WEIGHTS DATA]
// Without arguments, in the root of the repository, it takes the small files of the tests.
#include <fieldstep/embed/training_network.hpp>
#include <fieldstep/io/dataset/trajectories.hpp>
#include <fieldstep/io/pretrained.hpp>
#include <fieldstep/models/scot_training.hpp>
#include <fieldstep/models/scot_variants.hpp>
#include <fieldstep/train/loss/channel_groups.hpp>
#include <fieldstep/train/optimizer/adamw.hpp>
#include <fieldstep/train/pairs.hpp>
#include <fieldstep/train/parameter_rules.hpp>
#include <fieldstep/train/permutation.hpp>
#include <fieldstep/train/regression.hpp>
#include <fieldstep/train/schedule/poseidon.hpp>
#include <fieldstep/train/trainer.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <utility>
#include <vector>

using namespace fieldstep;

struct Velocity : models::PoseidonT {  // the sizes of the weights, but for the channels
  static constexpr int embed_dim = 4, window = 8, image_size = 64, out_channels = 2;
  static constexpr std::array heads{1, 1, 2, 4};
};
using Net = models::ScOT<Velocity, Grid<1, 128, 128, 2>>;

/// The network as train::Regression wants it: ScOT is the same for every set of samples.
struct Network {
  static constexpr int largest_batch = 4;
  embed::TrainingNetwork<models::ScotTraining<Net>> training{largest_batch, Activations::keep};

  float* weights() { return training.weights(); }
  float* gradient() { return training.gradient(); }
  void clear_gradient() { training.clear_gradient(); }
  void condition(int) { training.condition({}); }
  void forward(int samples, const float* x, const float* lead_times, float* y) {
    training.forward(samples, x, lead_times, y);
  }
  void backward(const float* dy) { training.backward(dy); }
};

/// Poseidon's pairs of frames 0, 2, ..., 14 to learn from (set 0), and of 1, 3, ..., 15 to be kept out (set 1): no
/// frame is in both. Where there are many simulations, whole ones are better kept out.
class Pairs {
 public:
  enum { trained, kept_out };

  explicit Pairs(io::Dataset file)
      : pairs_(static_cast<int>(file.info().samples), static_cast<int>(file.info().frames) - 1,
               {.step = 2, .frames_per_unit = file.info().frames_per_unit}) {
    const io::DatasetInfo& info = file.info();
    if (info.fields != std::vector<std::string>{"rho", "u", "v", "p"} || info.height != 128 || info.width != 128)
      fail("found ", info.name, " on ", info.height, "x", info.width, ", wanted rho, u, v, p on 128x128");
    simulations_.add(std::move(file));
    simulations_.keep([] {});
  }

  std::int32_t size() const { return static_cast<std::int32_t>(pairs_.size()); }  // of each set

  int sets() const { return 2; }
  train::SampleShape shape(int) const { return {.input = 2 * Net::pixels, .channels = 2, .points = Net::pixels}; }
  void gather(const train::Minibatch& minibatch, float* x, float* lead_times, float* target) {
    for (const std::int32_t i : minibatch.samples) {
      const train::FramePair pair = pairs_(i);
      x = std::ranges::copy(velocity(pair.trajectory, pair.from + minibatch.set), x).out;
      target = std::ranges::copy(velocity(pair.trajectory, pair.to + minibatch.set), target).out;
      *lead_times++ = pair.lead_time;
    }
  }
  void impose_known(const train::Minibatch&, const float*, float*) {}  // nothing is

 private:
  std::span<const float> velocity(int simulation, int frame) {
    return simulations_.frames(static_cast<std::size_t>(simulation), static_cast<std::size_t>(frame), 1)
        .subspan(Net::pixels, 2 * Net::pixels);
  }

  train::AllToAllPairs pairs_;
  io::Trajectories simulations_{io::Trajectories::Values::normalised};
};

int main(int argc, char* argv[]) try {
  if (argc != 1 && argc != 3) fail_usage("wanted: 06_finetune_scot [WEIGHTS DATA]");
  const Kokkos::ScopeGuard kokkos;
  Pairs pairs(io::open_dataset(argc == 3 ? argv[2] : "tests/samples/poseidon/NS-PwC.nc"));
  Network network;
  const io::LoadReport report = io::init_poseidon_with_weights(argc == 3 ? argv[1] : "tests/goldens/poseidon/hf_tiny",
                                                               Net::table(), network.weights(), make_key(0));
  std::printf("%s\n", report.text().c_str());

  constexpr long steps = 50;
  constexpr double rate = 1e-2;      // much for a network of real size
  constexpr std::array whole{0, 2};  // u and v are one group: the loss is relative to their size
  train::PermutationMixer order(pairs.size(), steps, Network::largest_batch, make_key(1));
  train::Regression goal(network, pairs, order, train::ChannelGroupLoss{.p = 1, .boundaries = whole},
                         Network::largest_batch);
  const auto error = [&] {
    double sum = 0;
    for (std::int32_t i = 0; i < pairs.size(); ++i)
      sum += goal.evaluate({.epoch = 0, .batch = 0, .samples = {&i, 1}, .set = Pairs::kept_out});
    return sum / pairs.size();
  };

  // What is new learns faster than what is pretrained.
  const train::ParameterGroups groups(Net::table(),
                                      train::PoseidonGroups{.learning_rate = rate, .embedding_recovery = 2 * rate});
  const train::AdamW<train::PoseidonCosine> optimizer{.schedule = train::PoseidonCosine{.peak = rate, .total = steps},
                                                      .weight_decay = 1e-6};
  train::Trainer trainer(goal, optimizer, groups, {.max_norm = 5});
  const double before = error();
  trainer.run(steps);
  const double after = error();
  std::printf("loss on %d pairs kept out: %.3f before, %.3f after\n", pairs.size(), before, after);
  if (!(after < .8 * before)) fail("the loss on pairs kept out did not fall by 20 %");
} catch (const Error& error) {
  std::fprintf(stderr, "06_finetune_scot: %s\n", error.what());
  return 1;
}
