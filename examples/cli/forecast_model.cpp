#include <examples/cli/forecast_model.hpp>
#include <fieldstep/core/error.hpp>

#include <algorithm>
#include <vector>

namespace fieldstep::cli {

namespace {

/// Refuses frames that no network of this family can read.
void check_grid(const ForecastWish& wish, const io::Recognised& network, const io::DatasetInfo& info) {
  const bool scot = network.family == "poseidon";
  const auto patch = scot ? static_cast<int>(network.patch_size) : network.family == "mpp" ? 16 : 1;
  if (info.height % patch != 0 || info.width % patch != 0)
    fail(wish.data, ": frames have ", info.height, "x", info.width, " points, wanted multiples of ", patch);
  if (!scot) return;
  const int halvings = static_cast<int>(network.depths.size()) - 1, least = 2 * patch << halvings;
  if (std::min(info.height, info.width) < least)
    fail(wish.data, ": frames have ", info.height, "x", info.width, " points, wanted at least ", least,
         " a side: the coarsest of ", halvings + 1, " resolutions needs windows of 2x2 tokens");
}

}  // namespace

ModelEntry model_for(const ForecastWish& wish, const Network& network, const io::DatasetInfo& info) {
  const io::Recognised& weights = network.sizes;
  check_grid(wish, weights, info);
  const std::size_t channels = (info.inputs.empty() ? info.fields : info.inputs).size();
  if (weights.family == "poseidon" && static_cast<std::size_t>(weights.num_channels) != channels)
    fail(wish.data, ": ", info.name, " has ", counted(channels, "channel"), ", the weights are for ",
         weights.num_channels, "; fieldstep convert --merge starts the layers that differ anew, for fine-tuning");
  if (weights.family == "conv" && static_cast<std::size_t>(weights.num_channels) != channels)
    fail(wish.data, ": ", info.name, " has ", counted(channels, "field"), ", the weights are for ",
         weights.num_channels);
  if (weights.family == "poseidon" && static_cast<std::size_t>(weights.num_out_channels) > info.fields.size())
    fail(wish.data, ": ", info.name, " has ", info.fields.size(), " fields, the weights forecast ",
         weights.num_out_channels);
  const Wanted wanted{.name = wish.model,
                      .grid = std::to_string(info.height) + "x" + std::to_string(info.width),
                      .frames = wish.frames,
                      .fields = static_cast<int>(channels)};
  if (!wish.model.empty()) {
    const std::vector<ModelEntry> named = fitting({.name = wish.model, .grid = {}});
    const auto is_of_them = [&](const ModelEntry& entry) { return recognise(entry).text() == weights.text(); };
    if (!named.empty() && std::ranges::none_of(named, is_of_them))
      fail(wish.weights, ": holds weights of ", weights.text(), ", wanted ", recognise(named.front()).text());
  }
  std::vector<ModelEntry> entries = fitting(wanted, network);
  if (entries.empty()) refuse_unlisted(wanted, network);

  const auto frames_of = [](const ModelEntry& entry) { return static_cast<std::size_t>(entry.frames); };
  const std::size_t fewest = std::ranges::min(entries, {}, frames_of).frames;
  const std::size_t there = info.frames - std::min(info.frames, wish.start);
  if (there < fewest)
    fail(wish.data, ": has ", there, " frames from frame ", wish.start, " on, the model reads ", fewest);
  std::erase_if(entries, [&](const ModelEntry& entry) { return frames_of(entry) > there; });
  return std::ranges::max(entries, {}, frames_of);
}

}  // namespace fieldstep::cli
