#include <examples/cli/training_networks.hpp>
#include <fieldstep/core/error.hpp>

#include <algorithm>

namespace fieldstep::cli {

namespace {

/// The sets whose compiled-in models are different ones, in the order of the sets.
std::vector<int> distinct(const TrainingData& data) {
  std::vector<int> sets;
  for (int set = 0; set < data.sets(); ++set)
    if (std::ranges::none_of(sets, [&](int other) {
          return data.set(other).entry.make_trainable == data.set(set).entry.make_trainable;
        }))
      sets.push_back(set);
  return sets;
}

bool same_parameters(ParamTable a, ParamTable b) {
  return std::ranges::equal(a, b, [](const ParamEntry& x, const ParamEntry& y) {
    return x.path.view() == y.path.view() && x.offset == y.offset && std::ranges::equal(x.shape(), y.shape());
  });
}

}  // namespace

TrainingNetworks::TrainingNetworks(const TrainingData& data, int batch, Activations activations) : data_(data) {
  const std::vector<int> sets = distinct(data);
  for (const int set : sets) {
    const ModelEntry& entry = data.set(set).entry;
    if (!same_parameters(entry.table, data.set(0).entry.table))
      fail_usage("--model: ", entry.name, " for ", data.set(set).name, " has other parameters than for ",
                 data.set(0).name);
    models_.push_back(entry.make_trainable(batch, activations));
    if (models_.size() > 1) models_.back().share_parameters(models_.front());
  }
  for (int set = 0; set < data.sets(); ++set)
    model_of_.push_back(static_cast<std::size_t>(std::ranges::find_if(sets,
                                                                      [&](int other) {
                                                                        return data.set(other).entry.make_trainable ==
                                                                               data.set(set).entry.make_trainable;
                                                                      }) -
                                                 sets.begin()));
}

std::size_t TrainingNetworks::bytes(const TrainingData& data, int batch, Activations activations) {
  const std::vector<int> sets = distinct(data);
  std::size_t sum = 0;
  for (const int set : sets) sum += data.set(set).entry.training_size(batch, activations) * sizeof(float);
  return sum - (sets.size() - 1) * 2 * data.set(0).entry.weight_bytes;  // shared
}

}  // namespace fieldstep::cli
