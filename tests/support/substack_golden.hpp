#pragma once
#include <fieldstep/train/permutation.hpp>
#include <fieldstep/train/trajectories.hpp>
#include <support/golden.hpp>

#include <string>
#include <vector>

namespace fieldstep::support {

/// Windows and minibatches of trainax, whole numbers that must be equal: `sub_stacker` lists windows of data[s, t] =
/// 100 s + t, `mixer` the minibatches of a key. `pytree` is a quirk that is not reproduced.
struct SubstackGolden {
  static bool run(const Manifest& manifest) {
    Report report("int32");
    for (const auto& entry : manifest.json().at("sub_stacker")) compare_windows(entry, report);
    for (const auto& entry : manifest.json().at("mixer")) compare_minibatches(entry, report);
    return report.passed();
  }

 private:
  using Rows = std::vector<std::vector<int>>;

  static void compare_windows(const nlohmann::json& entry, Report& report) {
    const int samples = entry.at("num_samples"), frames = entry.at("trj_len"), length = entry.at("sub_trajectory_len");
    const bool overlapping = entry.at("do_sub_stacking"), only_initial = entry.at("only_store_ic");
    std::vector<int> data;
    for (int s = 0; s < samples; ++s)
      for (int t = 0; t < frames; ++t) data.push_back(100 * s + t);
    const train::SubStacker stacker(samples, frames, length,
                                    {.overlapping = overlapping, .only_initial = only_initial});
    Rows windows;
    for (std::int32_t i = 0; i < stacker.size(); ++i) {
      windows.emplace_back(static_cast<std::size_t>(stacker.snapshots()));
      train::gather(train::Trajectories<int>{data.data(), samples, frames, 1}, stacker, {&i, 1}, windows.back().data());
    }
    const std::string name = "windows of " + std::to_string(length) + " in " + std::to_string(frames) +
                             (overlapping ? "" : ", first only") + (only_initial ? ", initial frames" : "");
    const bool equal =
        windows == entry.at("windows").get<Rows>() && stacker.size() == entry.at("num_total_samples").get<int>();
    report.compare(name, equal ? 0 : 1, 0);
  }

  static void compare_minibatches(const nlohmann::json& entry, Report& report) {
    const bool partitionable = entry.at("threefry_partitionable");
    const int samples = entry.at("num_total_samples"), batch = entry.at("batch_size");
    const long minibatches = entry.at("num_minibatches");
    const std::uint64_t seed = entry.at("seed");
    train::PermutationMixer mixer(samples, minibatches, batch, make_key(seed),
                                  partitionable ? RandomLayout::partitionable : RandomLayout::legacy);
    bool equal = mixer.batch_size() == entry.at("effective_batch_size").get<int>() &&
                 mixer.per_epoch() == entry.at("num_minibatches_per_epoch").get<long>() &&
                 mixer.epochs() == entry.at("num_epochs").get<long>();
    for (const auto& step : entry.at("steps")) {
      const train::Minibatch minibatch = mixer(step.at("i"));
      const std::vector<int> indices(minibatch.samples.begin(), minibatch.samples.end());
      equal = equal && minibatch.epoch == step.at("epoch").get<long>() &&
              minibatch.batch == step.at("batch").get<long>() && indices == step.at("indices").get<std::vector<int>>();
    }
    report.compare(std::string(partitionable ? "partitionable" : "legacy") + ", minibatches of " +
                       std::to_string(batch) + " from " + std::to_string(samples),
                   equal ? 0 : 1, 0);
  }
};

}  // namespace fieldstep::support
