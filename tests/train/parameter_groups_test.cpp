#include <fieldstep/models/avit.hpp>
#include <fieldstep/models/avit_variants.hpp>
#include <fieldstep/models/scot.hpp>
#include <fieldstep/models/scot_variants.hpp>
#include <fieldstep/train/parameter_rules.hpp>
#include <support/small_parameters.hpp>

#include <catch2/catch_test_macros.hpp>
#include <numeric>
#include <set>
#include <string>

using namespace fieldstep;
using namespace fieldstep::support;
using train::ParameterGroups;
using train::ParameterOptions;
using train::ParameterRun;

namespace {

struct MicroAvit : models::AvitDefaults {
  static constexpr int embed_dim = 24, heads = 2, blocks = 2;
};
struct OneHead : MicroAvit {
  static constexpr int heads = 1;
};
struct ContinuousBias : MicroAvit {
  static constexpr auto bias = models::PositionBias::continuous;
};
template <class Config>
ParamTable avit() {
  return models::AViT<Config, Grid<2, 32, 48, 2>, float>::table();
}

struct MicroScot : models::ScotDefaults {
  static constexpr int embed_dim = 24, window = 4, out_channels = 2;
  static constexpr std::array depths{1, 1}, heads{2, 4}, skip_blocks{1, 0};
};
struct Unconditioned : MicroScot {
  static constexpr bool use_conditioning = false;
};
struct Resnet : MicroScot {
  static constexpr auto skip_block = models::SkipBlock::resnet;
  static constexpr bool mask_token = true, absolute_positions = true;
};
template <class Config>
ParamTable scot() {
  return models::ScOT<Config, Grid<1, 32, 32, 3>, float>::table();
}

using Paths = std::set<std::string>;

template <class Is>
Paths paths(ParamTable table, const Is& is) {
  Paths all;
  for (const ParamEntry& entry : table)
    if (is(entry)) all.emplace(entry.path.view());
  return all;
}
template <class Rule>
Paths decaying(ParamTable table, const Rule& rule) {
  return paths(table, [&](const ParamEntry& entry) { return rule(entry).decay == 1; });
}
template <class Rule>
Paths with_rate(ParamTable table, double rate, const Rule& rule) {
  return paths(table, [&](const ParamEntry& entry) { return rule(entry).rate == rate; });
}
template <class Rule>
Paths trained(ParamTable table, const Rule& rule) {
  return paths(table, [&](const ParamEntry& entry) { return !rule(entry).frozen; });
}

Paths operator+(Paths a, const Paths& b) {
  a.insert(b.begin(), b.end());
  return a;
}

/// Names behind each of the prefixes.
Paths each(const Paths& prefixes, const Paths& names) {
  Paths all;
  for (const std::string& prefix : prefixes)
    for (const std::string& name : names) all.insert(prefix + name);
  return all;
}

const Paths avit_projections{"space_bag.weight", "space_bag.bias", "debed.out_kernel", "debed.out_bias"};

Paths avit_matrices(const Paths& bias) {
  const Paths spatial = each({"blocks.0.spatial.", "blocks.1.spatial."},
                             {"input_head.weight", "output_head.weight", "mlp.fc1.weight", "mlp.fc2.weight"});
  const Paths temporal =
      each({"blocks.0.temporal.", "blocks.1.temporal."}, {"input_head.weight", "output_head.weight"});
  return spatial + temporal +
         each({"blocks.0.spatial.", "blocks.1.spatial.", "blocks.0.temporal.", "blocks.1.temporal."}, bias) +
         Paths{"space_bag.weight",        "embed.in_proj.0.weight",  "embed.in_proj.3.weight", "embed.in_proj.6.weight",
               "debed.out_proj.0.weight", "debed.out_proj.3.weight", "debed.out_kernel"};
}

const Paths layers{"encoder.layers.0.blocks.0.", "encoder.layers.1.blocks.0.", "decoder.layers.0.blocks.0.",
                   "decoder.layers.1.blocks.0."};
const Paths conditional{".weight.weight", ".weight.bias", ".bias.weight", ".bias.bias"};

/// Of the U itself, without what is in it and at its ends.
Paths scot_matrices() {
  return each(layers, {"attention.self.logit_scale", "attention.self.query.weight", "attention.self.key.weight",
                       "attention.self.value.weight", "attention.output.dense.weight", "intermediate.dense.weight",
                       "output.dense.weight"}) +
         Paths{"encoder.layers.0.downsample.reduction.weight", "decoder.layers.0.upsample.upsample.weight",
               "decoder.layers.0.upsample.mixup.weight"};
}
const Paths convnext_weights =
    each({"residual_blocks.0.0."}, {"weight", "dwconv.weight", "pwconv1.weight", "pwconv2.weight"});
const Paths ends{"embeddings.patch_embeddings.projection.weight", "patch_recovery.projection.weight",
                 "patch_recovery.mixup.weight"};
const Paths end_biases{"embeddings.patch_embeddings.projection.bias", "patch_recovery.projection.bias"};

Paths inner_norms() {
  return each(layers, {"layernorm_before", "layernorm_after"}) +
         Paths{"encoder.layers.0.downsample.norm", "decoder.layers.0.upsample.norm", "residual_blocks.0.0.norm"};
}

}  // namespace

TEST_CASE("mpp_weight_decay: matrices, kernels and position tables of more than one head", "[train][groups]") {
  const Paths table{"rel_pos_bias.relative_attention_bias.weight"};
  CHECK(decaying(avit<MicroAvit>(), train::mpp_weight_decay) == avit_matrices(table));
  CHECK(decaying(avit<OneHead>(), train::mpp_weight_decay) == avit_matrices({}));  // (32, 1) counts as a vector
  CHECK(decaying(avit<ContinuousBias>(), train::mpp_weight_decay) == avit_matrices({"rel_pos_bias.cpb_mlp.2.weight"}));
}

TEST_CASE("freeze_middle, freeze_processor: what the original leaves trainable", "[train][groups]") {
  const ParamTable table = avit<MicroAvit>();
  CHECK(trained(table, train::freeze_middle) == avit_projections);
  const Paths no_blocks =
      paths(table, [](const ParamEntry& entry) { return !entry.path.view().starts_with("blocks."); });
  CHECK(trained(table, train::freeze_processor) == no_blocks);
  CHECK(no_blocks.size() == 2 + 9 + 8);  // space_bag, embed, debed
  std::size_t numbers = 0;
  for (const ParamEntry& entry : table)
    if (avit_projections.contains(std::string(entry.path.view()))) numbers += entry.size;
  CHECK(ParameterGroups(table, train::freeze_middle, train::freeze_processor).count() == numbers);
}

TEST_CASE("PoseidonGroups: decay by name where no rates are given", "[train][groups]") {
  CHECK(decaying(scot<MicroScot>(), train::PoseidonGroups{}) == scot_matrices() + convnext_weights + ends);
  CHECK(with_rate(scot<MicroScot>(), 1, train::PoseidonGroups{}).size() == scot<MicroScot>().size());
  CHECK(decaying(scot<Unconditioned>(), train::PoseidonGroups{}) == scot_matrices() + convnext_weights + ends);
  CHECK(decaying(scot<Resnet>(), train::PoseidonGroups{}) ==
        scot_matrices() + ends + Paths{"embeddings.mask_token", "embeddings.position_embeddings"} +
            each({"residual_blocks.0.0."},
                 {"conv1.weight", "conv2.weight", "bn1.weight", "bn2.weight", "bn1.running_mean", "bn1.running_var",
                  "bn2.running_mean", "bn2.running_var"}));  // buffers are frozen in any case
}

TEST_CASE("PoseidonGroups: ends and conditional norms with rates of their own", "[train][groups]") {
  const train::PoseidonGroups groups{.learning_rate = 5e-5, .embedding_recovery = 5e-4, .time_embedding = 1e-4};
  const double end_rate = 5e-4 / 5e-5, norm_rate = 1e-4 / 5e-5;
  const Paths all_ends = ends + end_biases + each({"embeddings.norm"}, conditional);
  const ParamTable table = scot<MicroScot>();
  CHECK(with_rate(table, end_rate, groups) == all_ends);
  CHECK(with_rate(table, norm_rate, groups) == each(inner_norms(), conditional));
  CHECK(decaying(table, groups) == scot_matrices() + convnext_weights + all_ends);

  // Plain norms have no time embedding.
  CHECK(with_rate(scot<Unconditioned>(), end_rate, groups) ==
        ends + end_biases + each({"embeddings.norm"}, {".weight", ".bias"}));
  CHECK(with_rate(scot<Unconditioned>(), norm_rate, groups).empty());
}

TEST_CASE("ParameterGroups: runs cover what is trained, once, and no gap", "[train][groups]") {
  const ParamTable table = small_table<float>;
  const auto steps = constant<float>(small_arena_size<float>, 0);
  const ParameterGroups groups(table);
  for (const ParameterRun& run : groups.runs()) {
    CHECK((run.size > 0 && run.size <= ops::run_size && run.rate == 1 && run.decay == 1));
    for (int i = 0; i < run.size; ++i) steps.data()[run.begin + static_cast<std::size_t>(i)] += 1;
  }
  const auto wanted = constant<float>(small_arena_size<float>, 0);
  std::size_t count = 0;
  for (const ParamEntry& entry : table)
    if (entry.init.trained) std::fill_n(wanted.data() + entry.offset, entry.stored, 1.f), count += entry.size;
  CHECK(same_bits(steps, wanted));
  CHECK(groups.count() == count);
  CHECK(groups.count() == param_count(table));
  CHECK(groups.arena<float>().size() == small_arena_size<float>);
  CHECK(ParameterGroups::everything(table).count() == count + 7);  // the buffer
}

TEST_CASE("ParameterGroups: factors of several rules multiply, one freezes", "[train][groups]") {
  const auto is = [](const ParamEntry& entry, const char* path) { return entry.path.view() == path; };
  const auto slow = [&](const ParamEntry& entry) { return ParameterOptions{.rate = is(entry, "last") ? .5 : 1}; };
  const auto half = [&](const ParamEntry&) { return ParameterOptions{.rate = .5, .decay = .25}; };
  const auto frozen = [&](const ParamEntry& entry) { return ParameterOptions{.frozen = is(entry, "table")}; };
  const ParameterGroups groups(small_table<float>, slow, half, frozen);
  for (const ParamEntry& entry : small_table<float>) {
    const auto run = std::ranges::find(groups.runs(), entry.offset, &ParameterRun::begin);
    CHECK((run == groups.runs().end()) == (is(entry, "table") || is(entry, "running_mean")));
    if (run != groups.runs().end()) CHECK((run->rate == (is(entry, "last") ? .25 : .5) && run->decay == .25));
  }
}
