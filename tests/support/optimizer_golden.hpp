#pragma once
#include <fieldstep/train/chain.hpp>
#include <fieldstep/train/clip.hpp>
#include <fieldstep/train/decayed_weights.hpp>
#include <fieldstep/train/ema.hpp>
#include <fieldstep/train/optimizer/adagrad.hpp>
#include <fieldstep/train/optimizer/adamw.hpp>
#include <fieldstep/train/optimizer/amsgrad.hpp>
#include <fieldstep/train/optimizer/lion.hpp>
#include <fieldstep/train/optimizer/rmsprop.hpp>
#include <fieldstep/train/optimizer/sgd.hpp>
#include <support/golden.hpp>
#include <support/numbers.hpp>

#include <algorithm>
#include <any>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace fieldstep::support {

/// The arguments that a manifest gives to a function of optax; each must be asked for.
class Arguments {
 public:
  Arguments(std::string function, const nlohmann::json& values) : function_(std::move(function)), values_(values) {}

  template <class T>
  T get(const char* name) const {
    if (!values_.contains(name)) fail(function_, ": the manifest does not give ", name);
    return get(name, T());
  }
  template <class T>
  T get(const char* name, T otherwise) const {
    asked_.insert(name);
    return values_.value(name, otherwise);
  }
  std::optional<double> maybe(const char* name) const {
    asked_.insert(name);
    return values_.contains(name) ? std::optional<double>(values_[name].get<double>()) : std::nullopt;
  }
  void skip(const char* name) const { asked_.insert(name); }

  void all_read() const {
    for (const auto& [name, value] : values_.items())
      if (!asked_.contains(name)) fail(function_, ": nothing reads the manifest's ", name);
  }

 private:
  std::string function_;
  nlohmann::json values_;
  mutable std::set<std::string> asked_;
};

using ScheduleFunction = std::function<double(long)>;

/// A schedule by optax' name.
inline ScheduleFunction make_schedule(const std::string& name, const Arguments& a) {
  const auto exponential = [&](const char* init) {
    return train::ExponentialDecay{.init = a.get<double>(init),
                                   .steps = a.get<long>("transition_steps"),
                                   .rate = a.get<double>("decay_rate"),
                                   .begin = a.get("transition_begin", 0L),
                                   .staircase = a.get("staircase", false),
                                   .end = a.maybe("end_value")};
  };
  if (name == "constant_schedule") return train::Constant{a.get<double>("value")};
  if (name == "exponential_decay") return exponential("init_value");
  if (name == "cosine_decay_schedule")
    return train::CosineDecay{.init = a.get<double>("init_value"),
                              .steps = a.get<long>("decay_steps"),
                              .alpha = a.get("alpha", 0.),
                              .exponent = a.get("exponent", 1.)};
  if (name == "linear_schedule" || name == "polynomial_schedule")
    return train::PolynomialDecay{.init = a.get<double>("init_value"),
                                  .end = a.get<double>("end_value"),
                                  .steps = a.get<long>("transition_steps"),
                                  .power = name == "linear_schedule" ? 1. : a.get<double>("power"),
                                  .begin = a.get("transition_begin", 0L)};
  if (name == "warmup_cosine_decay_schedule")
    return train::WarmupCosine{.peak = a.get<double>("peak_value"),
                               .warmup = a.get<long>("warmup_steps"),
                               .total = a.get<long>("decay_steps"),
                               .init = a.get<double>("init_value"),
                               .end = a.get("end_value", 0.),
                               .exponent = a.get("exponent", 1.)};
  if (name == "warmup_exponential_decay_schedule")
    return train::WarmupExponential{
        .decay = exponential("peak_value"), .warmup = a.get<long>("warmup_steps"), .init = a.get<double>("init_value")};
  if (name == "piecewise_constant_schedule") {
    train::PiecewiseConstant schedule{.init = a.get<double>("init_value"), .scales = {}};
    for (const auto& [step, scale] : a.get<std::map<std::string, double>>("boundaries_and_scales"))
      schedule.scales.emplace_back(std::stol(step), scale);
    return schedule;
  }
  if (name == "cosine_onecycle_schedule")
    return train::CosineOneCycle{.steps = a.get<long>("transition_steps"),
                                 .peak = a.get<double>("peak_value"),
                                 .pct_start = a.get("pct_start", .3),
                                 .div = a.get("div_factor", 25.),
                                 .final_div = a.get("final_div_factor", 1e4)};
  if (name == "linear_onecycle_schedule")
    return train::LinearOneCycle{.steps = a.get<long>("transition_steps"),
                                 .peak = a.get<double>("peak_value"),
                                 .pct_start = a.get("pct_start", .3),
                                 .pct_final = a.get("pct_final", .85),
                                 .div = a.get("div_factor", 25.),
                                 .final_div = a.get("final_div_factor", 1e4)};
  fail("the manifest's schedule ", name, " is unknown");
}

/// Transformations of the gradient whose number and kinds the manifest decides, as one.
struct Transformations {
  using One = std::variant<train::ClipByGlobalNorm, train::ClipByValue, train::AddDecayedWeights, train::GradientEma>;
  std::vector<One> links;

  template <class Real>
  struct State {
    std::vector<std::any> of_links;
    void visit(const auto&) {}
  };
  template <class Real>
  State<Real> make_state(const train::ParameterGroups& groups) const {
    State<Real> state;
    for (const One& one : links)
      std::visit([&](const auto& link) { state.of_links.emplace_back(link.template make_state<Real>(groups)); }, one);
    return state;
  }
  template <class Exec, class Real>
  double apply(const Exec& exec, const train::ParameterGroups& groups, long t, const Real* weights, Real* gradient,
               State<Real>& state, double factor) const {
    for (std::size_t i = 0; i < links.size(); ++i)
      std::visit(
          [&]<class Link>(const Link& link) {
            auto& of_link = std::any_cast<typename Link::template State<Real>&>(state.of_links[i]);
            factor = link.apply(exec, groups, t, weights, gradient, of_link, factor);
          },
          links[i]);
    return factor;
  }
};

/// A transformation by optax' name.
inline Transformations::One make_transformation(const std::string& name, const Arguments& a) {
  if (name == "clip_by_global_norm") return train::ClipByGlobalNorm{a.get<double>("max_norm")};
  if (name == "clip") return train::ClipByValue{a.get<double>("max_delta")};
  if (name == "add_decayed_weights") return train::AddDecayedWeights{a.get<double>("weight_decay")};
  if (name == "ema") return train::GradientEma{.decay = a.get<double>("decay"), .debias = a.get("debias", true)};
  fail("the manifest's transformation ", name, " is unknown");
}

/// Calls use(optimizer) with an optimizer by optax' name.
template <class Use>
void with_optimizer(const std::string& name, const Arguments& a, const ScheduleFunction& schedule, const Use& use) {
  const auto run = [&](const auto& optimizer) {
    a.all_read();
    use(optimizer);
  };
  using S = ScheduleFunction;
  a.skip("learning_rate");
  if (name == "sgd")
    run(train::SGD<S>{.schedule = schedule, .momentum = a.get("momentum", 0.), .nesterov = a.get("nesterov", false)});
  else if (name == "adam")
    run(train::Adam<S>{.schedule = schedule,
                       .beta1 = a.get("b1", .9),
                       .beta2 = a.get("b2", .999),
                       .eps = a.get("eps", 1e-8),
                       .eps_root = a.get("eps_root", 0.),
                       .nesterov = a.get("nesterov", false)});
  else if (name == "adamw")
    run(train::AdamW<S>{.schedule = schedule,
                        .weight_decay = a.get("weight_decay", 1e-4),
                        .beta1 = a.get("b1", .9),
                        .beta2 = a.get("b2", .999),
                        .eps = a.get("eps", 1e-8),
                        .eps_root = a.get("eps_root", 0.),
                        .nesterov = a.get("nesterov", false)});
  else if (name == "amsgrad")
    run(train::AMSGrad<S>{.schedule = schedule,
                          .beta1 = a.get("b1", .9),
                          .beta2 = a.get("b2", .999),
                          .eps = a.get("eps", 1e-8),
                          .eps_root = a.get("eps_root", 0.)});
  else if (name == "rmsprop")
    run(train::RMSprop<S>{.schedule = schedule,
                          .decay = a.get("decay", .9),
                          .eps = a.get("eps", 1e-8),
                          .initial_scale = a.get("initial_scale", 0.),
                          .eps_in_sqrt = a.get("eps_in_sqrt", true),
                          .centered = a.get("centered", false),
                          .momentum = a.get("momentum", 0.),
                          .nesterov = a.get("nesterov", false),
                          .bias_correction = a.get("bias_correction", false)});
  else if (name == "adagrad")
    run(train::Adagrad<S>{.schedule = schedule,
                          .initial_accumulator = a.get("initial_accumulator_value", .1),
                          .eps = a.get("eps", 1e-7)});
  else if (name == "lion")
    run(train::Lion<S>{.schedule = schedule,
                       .weight_decay = a.get("weight_decay", 1e-3),
                       .beta1 = a.get("b1", .9),
                       .beta2 = a.get("b2", .99)});
  else
    fail("the manifest's optimizer ", name, " is unknown");
}

/// optax' schedules, and its optimizers behind chains of transformations: `params` (case, update, number) are the
/// parameters after every update with given gradients, `param_ema` the running average in one of the cases.
class OptimizerGolden {
 public:
  static bool run(const Manifest& manifest) {
    const bool in_float = run_in<float>(manifest);
    return run_in<double>(manifest) && in_float;
  }

 private:
  static constexpr const char* averaged_case = "adam/constant";
  static constexpr double averaging_step = .1;

  template <class Real>
  static constexpr double bound(double ref_err) {
    return std::is_same_v<Real, float> ? 8 * std::max(ref_err, 2e-7) : 1e-10;
  }
  static double ref_err(const nlohmann::json& entry) { return entry.at("ref_err").at("rel_l2"); }

  template <class Real>
  static bool run_in(const Manifest& manifest) {
    Report report(std::is_same_v<Real, float> ? "float" : "double");
    std::map<std::string, ScheduleFunction> schedules;
    for (const auto& [name, entry] : manifest.json().at("schedules").items()) {
      const Arguments arguments(name, entry.at("kwargs"));
      schedules[name] = make_schedule(entry.at("name"), arguments);
      arguments.all_read();
      if (std::is_same_v<Real, float>) continue;  // a schedule is evaluated in double in any case
      const Numbers expected = entry.at("values");
      Numbers values;
      for (std::size_t t = 0; t < expected.size(); ++t) values.push_back(schedules[name](static_cast<long>(t)));
      report.compare("schedule " + name, relative_l2(values, expected), bound<double>(0));
    }

    const std::size_t steps = manifest.json().at("config").at("steps");
    const Numbers expected = manifest.stored_tensor("params").values;
    for (const auto& entry : manifest.json().at("cases")) {
      const std::string id = entry.at("id");
      Trajectory<Real> trajectory(manifest, steps);
      run_chain(entry.at("chain"), schedules.at(entry.at("schedule")), trajectory);
      const std::size_t size = trajectory.params.size(), row = entry.at("row");
      const auto begin = expected.begin() + static_cast<std::ptrdiff_t>(row * size);
      const Numbers wanted(begin, begin + static_cast<std::ptrdiff_t>(size));
      report.compare(id, relative_l2(trajectory.params, wanted), bound<Real>(ref_err(entry)));
      if (id == averaged_case)
        for (const ExpectedTensor& tensor : manifest.outputs())
          if (tensor.name == "param_ema")
            report.compare(tensor.name, relative_l2(trajectory.average, manifest.stored_tensor(tensor.name).values),
                           bound<Real>(tensor.ref_err));
    }
    return report.passed();
  }

  /// Runs an optimizer over the manifest's gradients and writes down where it goes.
  template <class Real>
  class Trajectory {
   public:
    Trajectory(const Manifest& manifest, std::size_t steps)
        : table_(make_table(manifest)),
          groups_(table_),
          manifest_(manifest),
          steps_(steps),
          weights_(groups_.arena<Real>()),
          average_(groups_.arena<Real>()),
          gradient_(groups_.arena<Real>()) {
      load_formulas(manifest, table_, weights_.data());
      load_formulas(manifest, table_, average_.data());
    }

    Numbers params, average;  ///< (update, number)

    void operator()(const auto& optimizer) {
      const Kokkos::DefaultHostExecutionSpace exec;
      auto state = optimizer.template make_state<Real>(groups_);
      for (std::size_t t = 0; t < steps_; ++t) {
        load_gradient(t);
        optimizer.step(exec, groups_, static_cast<long>(t), weights_.data(), gradient_.data(), state);
        train::ParameterEma{averaging_step}.update(exec, groups_, weights_.data(), average_.data());
        append(weights_.data(), params);
        append(average_.data(), average);
      }
    }

   private:
    static std::vector<ParamEntry> make_table(const Manifest& manifest) {
      std::vector<ParamEntry> table;
      std::size_t offset = 0;
      for (const SourceTensor& tensor : manifest.params()) {
        ParamEntry entry{.path = ParamPath() / tensor.name,
                         .rank = static_cast<int>(tensor.shape.size()),
                         .size = tensor.size(),
                         .offset = offset,
                         .stored = tensor.size(),
                         .init = {}};
        std::ranges::copy(tensor.shape, entry.extents.begin());
        offset += aligned_count(entry.stored);
        table.push_back(entry);
      }
      return table;
    }

    /// The inputs are one a parameter, in their order; "<t>" stands for the update.
    void load_gradient(std::size_t t) {
      const std::vector<SourceTensor> inputs = manifest_.inputs();
      for (std::size_t i = 0; i < table_.size(); ++i) {
        SourceTensor tensor = inputs.at(i);
        tensor.hashed.replace(tensor.hashed.find("<t>"), 3, std::to_string(t));
        import_param(table_[i], manifest_.values(tensor).data(), gradient_.data());
      }
    }

    void append(const Real* arena, Numbers& all) const {
      for (const ParamEntry& entry : table_)
        all.insert(all.end(), arena + entry.offset, arena + entry.offset + entry.size);
    }

    std::vector<ParamEntry> table_;
    train::ParameterGroups groups_;
    const Manifest& manifest_;
    std::size_t steps_;
    Arena<Real> weights_, average_, gradient_;
  };

  /// The last link of a chain is an optimizer, alone or behind transformations.
  template <class Real>
  static void run_chain(const nlohmann::json& chain, const ScheduleFunction& schedule, Trajectory<Real>& trajectory) {
    const auto arguments = [&](const nlohmann::json& link) { return Arguments(link.at("name"), link.at("kwargs")); };
    Transformations before;
    for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
      const Arguments of_link = arguments(chain[i]);
      before.links.push_back(make_transformation(chain[i].at("name"), of_link));
      of_link.all_read();
    }
    with_optimizer(chain.back().at("name"), arguments(chain.back()), schedule, [&](const auto& optimizer) {
      if (before.links.empty())
        trajectory(optimizer);
      else
        trajectory(train::Chain(before, optimizer));
    });
  }
};

}  // namespace fieldstep::support
