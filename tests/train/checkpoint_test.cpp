#include <fieldstep/train/best_so_far.hpp>
#include <fieldstep/train/checkpoint.hpp>
#include <fieldstep/train/loss/normalised_mse.hpp>
#include <fieldstep/train/optimizer/adamw.hpp>
#include <fieldstep/train/optimizer/dadapt_adan.hpp>
#include <fieldstep/train/permutation.hpp>
#include <fieldstep/train/trainer.hpp>
#include <support/linear_network.hpp>
#include <support/scratch_folder.hpp>
#include <support/small_disk.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>
#include <limits>

using namespace fieldstep;
using namespace fieldstep::support;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

using Network = LinearNetwork<float>;
using Data = LinearData<float>;
const train::Description description{{"fieldstep.training.network", "a linear one"},
                                     {"fieldstep.training.optimizer", "AdamW"}};

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A run with all that a checkpoint holds.
template <class Optimizer>
struct Run {
  Network network{Data::points};
  Data data;
  train::PermutationMixer order{Data::sizes[0], 1000, 2, make_key(7)};
  train::Regression<Network, Data, train::PermutationMixer, train::NormalisedMse> goal{network, data, order, {}, 2};
  train::ParameterGroups groups{Network::table()};
  Optimizer optimizer{};
  train::Trainer<decltype(goal), Optimizer> trainer{goal, optimizer, groups, {.accumulate = 2, .max_norm = 1}};
  train::BestSoFar best;
  train::TrainingState<float> state{Network::table(), network.weights()};

  Run() { state.add(trainer), state.add(best); }

  bool on_step(const train::Update& update) {
    best.improved(update.loss, update.step);
    return false;
  }
  void until(long step) { trainer.run(step, *this); }
};

/// Bit for bit, padding of matrices included; the gaps between parameters belong to nobody.
template <class Optimizer>
bool equal(const Run<Optimizer>& a, const Run<Optimizer>& b) {
  bool same = a.best.value == b.best.value && a.best.step == b.best.step && a.best.since == b.best.since;
  for (std::size_t i = 0; i < a.state.arenas().size(); ++i)
    for (const ParamEntry& entry : Network::table())
      same = same && std::memcmp(a.state.arenas()[i].second + entry.offset, b.state.arenas()[i].second + entry.offset,
                                 entry.stored * sizeof(float)) == 0;
  return same;
}

void expect(const std::filesystem::path& path, const train::TrainingState<float>& state,
            const train::Description& wanted, const std::string& words) {
  CHECK_THROWS_MATCHES(train::load_checkpoint(path, state, wanted), Error,
                       MessageMatches(ContainsSubstring(path.string() + ": ") && ContainsSubstring(words)));
}

}  // namespace

TEMPLATE_TEST_CASE("Checkpoint: a run that goes on has the bits of one that was not stopped", "[train][checkpoint]",
                   train::AdamW<>, train::DAdaptAdan<>) {
  const ScratchFolder folder;
  Run<TestType> whole, before, after;
  whole.until(60);
  before.until(23);
  train::save_checkpoint(folder / "last.safetensors", before.state, description);
  CHECK(folder.size() == 1);
  for (float& w : std::span(after.network.weights(), Network::arena_size)) w = 99;
  train::load_checkpoint(folder / "last.safetensors", after.state, description);
  CHECK(after.trainer.step() == 23);
  CHECK(equal(before, after));
  after.until(60);
  CHECK(equal(whole, after));
}

TEST_CASE("Checkpoint: weights and moments stand under the originals' names, in their order", "[train][checkpoint]") {
  const ScratchFolder folder;
  Run<train::AdamW<>> run;
  run.until(3);
  train::save_checkpoint(folder / "last.safetensors", run.state, description);
  const io::TensorFile file = io::read_safetensors(folder / "last.safetensors");
  CHECK(file.tensors.size() == 9);
  for (const ParamEntry& entry : Network::table())
    for (const std::string prefix : {"", "optimizer/m/", "optimizer/v/"}) {
      const io::StoredTensor* tensor = file.find(prefix + std::string(entry.path.view()));
      REQUIRE(tensor != nullptr);
      CHECK(std::ranges::equal(tensor->shape, entry.shape()));
    }
  std::vector<float> weight(6);
  export_param(Network::table()[0], run.network.weights(), weight.data());
  CHECK(io::numbers<float>(*file.find("weight")) == weight);
  CHECK(file.metadata.at("fieldstep.training.step") == "3");
  CHECK(file.metadata.at("fieldstep.training.optimizer") == "AdamW");
}

TEST_CASE("Checkpoint: what is another run's or damaged is refused", "[train][checkpoint][hostile]") {
  const ScratchFolder folder;
  const auto path = folder / "last.safetensors";
  Run<train::AdamW<>> run, other;
  run.until(5);
  other.until(2);
  const Arena<float> kept = constant<float>(Network::arena_size, 0);
  std::copy_n(other.network.weights(), Network::arena_size, kept.data());
  const auto untouched = [&] { return std::equal(kept.data(), kept.data() + kept.size(), other.network.weights()); };

  train::save_checkpoint(path, run.state, description);
  const std::string good = text_of(path);
  expect(path, other.state, {{"fieldstep.training.network", "a deep one"}},
         "network of the checkpoint is 'a linear one', wanted 'a deep one'");
  expect(path, other.state, {{"fieldstep.training.schedule", "cosine"}},
         "schedule of the checkpoint is 'none', wanted 'cosine'");
  Run<train::DAdaptAdan<>> adan;
  expect(path, adan.state, {}, "tensor optimizer/n/weight is missing");
  train::save_checkpoint(folder / "adan", adan.state, description);
  expect(folder / "adan", other.state, {}, "tensor 'optimizer/n/bias' is not part of this training");

  const auto write = [&](std::string text) { std::ofstream(path, std::ios::binary) << text; };
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  for (const std::size_t size : {std::size_t{0}, std::size_t{5}, std::size_t{100}, good.size() - 1}) {
    write(good.substr(0, size));
    expect(path, other.state, {}, "");
  }
  write(replaced(R"("fieldstep.training":"1")", R"("fieldstep.training":"2")"));
  expect(path, other.state, {}, "holds the state of a training in version '2', this build reads version 1");
  write(replaced(R"("fieldstep.training":"1")", R"("fieldstep.trainimg":"1")"));
  expect(path, other.state, {}, "holds no state of a training, only weights");
  write(replaced(R"("fieldstep.training.step":"5")", R"("fieldstep.training.step":"x")"));
  expect(path, other.state, {}, "number step: found 'x', wanted a number");
  write(replaced(R"(training.best/value)", R"(training.best/vague)"));
  expect(path, other.state, {}, "number best/value: found 'none'");
  write(replaced(R"("shape":[2,3])", R"("shape":[3,2])"));
  expect(path, other.state, {}, "found float32 (3, 2), wanted float32 (2, 3)");
  write(replaced(R"("shape":[2,3])", R"("shape":[2,4])"));
  expect(path, other.state, {}, "");
  CHECK(untouched());
  write(good.substr(0, good.size() - 4) + std::string("\0\0\xc0\x7f", 4));
  expect(path, other.state, {}, "holds NaN or infinity");
  write(good);
  train::load_checkpoint(path, other.state, description);
  CHECK(other.trainer.step() == 5);
}

TEST_CASE("Checkpoint: NaN and infinity are not written", "[train][checkpoint]") {
  const ScratchFolder folder;
  Run<train::AdamW<>> run;
  run.until(1);
  train::save_checkpoint(folder / "last.safetensors", run.state, description);
  const std::string good = text_of(folder / "last.safetensors");
  run.network.weights()[0] = std::numeric_limits<float>::infinity();
  CHECK_THROWS_MATCHES(train::save_checkpoint(folder / "last.safetensors", run.state, description), Error,
                       MessageMatches(ContainsSubstring("last.safetensors: tensor weight holds NaN or infinity")));
  CHECK(text_of(folder / "last.safetensors") == good);
  CHECK(folder.size() == 1);
}

TEST_CASE("Checkpoint: a full disk or a lost folder leaves the one that was there", "[train][checkpoint][hostile]") {
  const ScratchFolder folder;
  std::filesystem::create_directory(folder / "run");
  const auto path = folder / "run/last.safetensors";
  Run<train::AdamW<>> run, other;
  run.until(2);
  train::save_checkpoint(path, run.state, description);
  const std::string good = text_of(path);
  run.until(4);
  {
    const SmallDisk disk(512);
    CHECK_THROWS_MATCHES(train::save_checkpoint(path, run.state, description), Error,
                         MessageMatches(ContainsSubstring("last.safetensors: cannot be written (File too large)")));
  }
  CHECK(text_of(path) == good);
  std::filesystem::rename(folder / "run", folder / "moved");
  CHECK_THROWS_MATCHES(
      train::save_checkpoint(path, run.state, description), Error,
      MessageMatches(ContainsSubstring("last.safetensors: cannot be created (No such file or directory)")));
  CHECK(text_of(folder / "moved/last.safetensors") == good);
  train::load_checkpoint(folder / "moved/last.safetensors", other.state, description);
  CHECK(other.trainer.step() == 2);
}
