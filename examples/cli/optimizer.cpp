#include <examples/cli/numbers.hpp>
#include <examples/cli/optimizer.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/train/chain.hpp>
#include <fieldstep/train/decayed_weights.hpp>
#include <fieldstep/train/optimizer/adagrad.hpp>
#include <fieldstep/train/optimizer/adamw.hpp>
#include <fieldstep/train/optimizer/adan.hpp>
#include <fieldstep/train/optimizer/amsgrad.hpp>
#include <fieldstep/train/optimizer/dadapt_adam.hpp>
#include <fieldstep/train/optimizer/dadapt_adan.hpp>
#include <fieldstep/train/optimizer/lion.hpp>
#include <fieldstep/train/optimizer/rmsprop.hpp>
#include <fieldstep/train/optimizer/sgd.hpp>
#include <fieldstep/train/parameter_rules.hpp>
#include <fieldstep/train/schedule.hpp>
#include <fieldstep/train/schedule/mpp.hpp>

#include <algorithm>
#include <cmath>
#include <optional>

namespace fieldstep::cli {

namespace {

template <class Optimizer>
AnyOptimizer erased(const Optimizer& optimizer) {
  using State = typename Optimizer::template State<float>;
  return {[optimizer](const train::ParameterGroups& groups) {
            const auto state = std::make_shared<State>(optimizer.template make_state<float>(groups));
            AnyOptimizer::Held held{.state = state, .shown = {}};
            state->visit([&](std::string_view name, auto& part) { held.shown.emplace_back(name, &part); });
            return held;
          },
          [optimizer](const AnyOptimizer::Exec& exec, const train::ParameterGroups& groups, long t, float* weights,
                      float* gradient, void* state, double factor) {
            optimizer.step(exec, groups, t, weights, gradient, *static_cast<State*>(state), factor);
          }};
}

/// One whose weight decay is a part of the gradient.
template <class Optimizer>
AnyOptimizer with_penalty(const Optimizer& optimizer, double weight_decay) {
  if (weight_decay == 0) return erased(optimizer);
  return erased(train::Chain(train::AddDecayedWeights{weight_decay}, optimizer));
}

}  // namespace

bool adapts_rate(std::string_view optimizer) { return optimizer.starts_with("dadapt-"); }

bool decouples_decay(std::string_view optimizer) {
  return optimizer == "adamw" || optimizer == "lion" || optimizer == "adan" || adapts_rate(optimizer);
}

AnyOptimizer make_optimizer(const std::string& name, const LearningRate& schedule, double weight_decay) {
  using S = LearningRate;
  if (name == "sgd") return with_penalty(train::SGD<S>{.schedule = schedule}, weight_decay);
  if (name == "momentum" || name == "nesterov")
    return with_penalty(train::SGD<S>{.schedule = schedule, .momentum = .9, .nesterov = name == "nesterov"},
                        weight_decay);
  if (name == "adam") return with_penalty(train::Adam<S>{.schedule = schedule}, weight_decay);
  if (name == "adamw") return erased(train::AdamW<S>{.schedule = schedule, .weight_decay = weight_decay});
  if (name == "amsgrad") return with_penalty(train::AMSGrad<S>{.schedule = schedule}, weight_decay);
  if (name == "rmsprop") return with_penalty(train::RMSprop<S>{.schedule = schedule}, weight_decay);
  if (name == "adagrad") return with_penalty(train::Adagrad<S>{.schedule = schedule}, weight_decay);
  if (name == "lion") return erased(train::Lion<S>{.schedule = schedule, .weight_decay = weight_decay});
  if (name == "adan") return erased(train::Adan<S>{.schedule = schedule, .weight_decay = weight_decay});
  if (name == "dadapt-adan") return erased(train::DAdaptAdan<S>{.schedule = schedule, .weight_decay = weight_decay});
  if (name == "dadapt-adam") return erased(train::DAdaptAdam<S>{.schedule = schedule, .weight_decay = weight_decay});
  fail_usage("--optimizer: found ", name);
}

LearningRate make_schedule(const std::string& name, double rate, long warmup, long steps, int accumulate, bool adapts) {
  if (warmup >= steps && warmup > 0)
    fail_usage("--warmup: found ", warmup, ", wanted fewer than the ", steps, " steps");
  if (warmup > 0 && (name == "onecycle" || name == "mpp")) fail_usage("--warmup: ", name, " has its own");
  LearningRate behind;
  if (name == "constant") behind = train::Constant{rate};
  if (name == "cosine") behind = train::CosineDecay{.init = rate, .steps = steps - warmup};
  if (name == "linear") behind = train::LinearDecay{.init = rate, .end = 0, .steps = steps - warmup};
  if (name == "onecycle") behind = train::CosineOneCycle{.steps = steps, .peak = rate};
  if (name == "mpp" && adapts) behind = train::MppAnnealing{.steps = steps * accumulate};
  if (name == "mpp" && !adapts) behind = train::MppWarmupCosine{.lr = rate};
  if (!behind) fail_usage("--schedule: found ", name);
  if (warmup == 0) return behind;
  return [=](long t) { return t < warmup ? train::LinearDecay{0, rate, warmup}(t) : behind(t - warmup); };
}

std::optional<OptimizerText> parse_optimizer(const std::string& text) {
  const std::vector<std::string> fields = fields_of(text);
  if (fields.size() == 1) return std::nullopt;
  const auto refuse = [&] [[noreturn]] { fail_usage("--optimizer: found ", text, ", wanted ", optimizer_text_form); };
  const auto number = [&](std::size_t field) {
    const std::optional<double> value = field < fields.size() ? read_number(fields[field]) : std::nullopt;
    if (!value) refuse();
    return *value;
  };
  const auto count = [&](std::size_t field) {
    const double value = number(field);
    if (value != std::floor(value) || value < 0 || value > 1e9) refuse();
    return static_cast<long>(value);
  };
  OptimizerText optimizer{.name = fields[0], .updates = count(1), .schedule = {}};
  const std::string kind = fields.size() > 2 ? fields[2] : "";
  if (std::ranges::find(optimizer_names, optimizer.name) == optimizer_names.end() || optimizer.updates < 1) refuse();
  if (kind == "constant" && fields.size() == 4) {
    optimizer.schedule = train::Constant{number(3)};
  } else if (kind == "exp" && fields.size() == 7) {
    const std::string& staircase = fields[6];
    if (staircase != "true" && staircase != "false" && staircase != "True" && staircase != "False") refuse();
    optimizer.schedule = train::ExponentialDecay{.init = number(3),
                                                 .steps = count(4),
                                                 .rate = number(5),
                                                 .staircase = staircase == "true" || staircase == "True"};
  } else if (kind == "warmup_cosine" && fields.size() == 6) {
    const train::WarmupCosine schedule{
        .peak = number(4), .warmup = count(5), .total = optimizer.updates, .init = number(3)};
    if (schedule.warmup >= schedule.total)
      fail_usage("--optimizer: found ", schedule.warmup, " updates of warm-up in ", text, ", wanted fewer than all ",
                 schedule.total);
    optimizer.schedule = schedule;
  } else {
    refuse();
  }
  return optimizer;
}

train::ParameterGroups make_groups(const ModelEntry& entry, const GroupOptions& options) {
  const bool scot = entry.family == "poseidon";
  if (!scot && (options.embedding_rate > 0 || options.time_rate > 0))
    fail_usage("--lr-embedding, --lr-time: ", entry.name, " has one learning rate, wanted a poseidon- model");
  const auto freezes = [&](const std::string& what, const ParamEntry& parameter) {
    if (!scot && what == "middle") return train::freeze_middle(parameter).frozen;
    if (!scot && what == "processor") return train::freeze_processor(parameter).frozen;
    return parameter.path.view().starts_with(what);
  };
  for (const std::string& what : options.frozen)
    if (std::ranges::none_of(entry.table, [&](const ParamEntry& parameter) { return freezes(what, parameter); }))
      fail_usage("--freeze: no parameter of ", entry.name, " begins with ", what);
  const auto frozen = [&](const ParamEntry& parameter) {
    const bool any = std::ranges::any_of(options.frozen, [&](const auto& what) { return freezes(what, parameter); });
    return train::ParameterOptions{.frozen = any};
  };
  const auto own = [](double rate) { return rate > 0 ? std::optional(rate) : std::nullopt; };
  train::ParameterGroups groups =
      scot ? train::ParameterGroups(entry.table, frozen,
                                    train::PoseidonGroups{.learning_rate = options.rate,
                                                          .embedding_recovery = own(options.embedding_rate),
                                                          .time_embedding = own(options.time_rate)})
           : train::ParameterGroups(entry.table, frozen, train::mpp_weight_decay);
  if (groups.runs().empty()) fail_usage("--freeze: nothing is left to train");
  return groups;
}

}  // namespace fieldstep::cli
