#pragma once
#include <fieldstep/io/tidhy_keys.hpp>
#include <fieldstep/models/tidhy_objective.hpp>
#include <fieldstep/models/tidhy_prediction.hpp>
#include <fieldstep/train/optimizer/adamw.hpp>
#include <fieldstep/train/trainer.hpp>
#include <support/golden.hpp>
#include <support/numbers.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

namespace fieldstep::support {

/// TiDHy against its original or its NNX port: inference, losses, gradients, record, units, ten steps of training, or
/// the history of a training on stored data. What a manifest lists is compared, whatever the case.
template <class Config>
struct TidhyGolden {
  static bool run(const Manifest& manifest) {
    const bool single = Run<float>(manifest).passed(), twice = Run<double>(manifest).passed();
    return single && twice;
  }

 private:
  template <class Real>
  class Run {
   public:
    explicit Run(const Manifest& manifest)
        : manifest_(manifest), config_(manifest.json().at("config")), report_(in_double ? "double" : "float") {
      options_ = {.inference = {.lr_r = config_.at("lr_r"),
                                .lr_r2 = config_.at("lr_r2"),
                                .temp_weight = config_.at("temp_weight"),
                                .lmda_r = config_.at("lmda_r"),
                                .lmda_r2 = config_.at("lmda_r2"),
                                .L1_inf_w = config_.at("L1_inf_w"),
                                .L1_inf_r2 = config_.at("L1_inf_r2"),
                                .L1_inf_r = config_.at("L1_inf_r"),
                                .max_iter = config_.at("max_iter"),
                                .tol = config_.at("tol"),
                                .batch_converge = config_.at("batch_converge"),
                                .grad_norm_inf = config_.at("grad_norm_inf"),
                                .grad_alpha_inf = config_.at("grad_alpha_inf"),
                                .lr_weights_inf = config_.at("lr_weights_inf")},
                  .normalisation = {config_.at("normalize_spatial"), config_.at("normalize_temporal")},
                  .grad_norm = config_.value("grad_norm", false),
                  .grad_alpha = config_.at("grad_alpha"),
                  .lr_weights = config_.at("lr_weights"),
                  .weight_decay = config_.at("weight_decay")};
      if (manifest.has("epochs")) {
        follow_histories();
        return;
      }
      second_order_ = manifest.json().value("gradient_order", "first") == std::string("second");
      load_case();
      compute_units();
      if (manifest.has("recipe")) {
        train_ten_steps();
      } else if (!second_order_) {
        compute_forward();
        compute_record();
      }
      compare_all();
    }
    bool passed() const { return report_.passed(); }

   private:
    static constexpr bool in_double = std::is_same_v<Real, double>;
    using Net = models::Tidhy<Config, Real>;
    using Training = models::TidhyTraining<Net>;
    using Objective = models::TidhyObjective<Net>;
    using Numbers = std::vector<Real>;
    static constexpr int R = Net::R, Q = Net::Q, M = Net::M, D = Net::D;

    // --- Parameters in the reference's names and layouts ---

    io::TidhyKey key(const ParamEntry& entry) const {
      if (manifest_.json().at("reference") == "nnx") return {std::string(entry.path.view()), false};
      return io::tidhy_torch_key(entry.path.view());
    }
    template <class To>
    static std::vector<To> laid_out(const ParamEntry& entry, bool transposed, const auto* from, bool back) {
      std::vector<To> to(entry.size);
      if (!transposed) {
        std::copy_n(from, entry.size, to.begin());
        return to;
      }
      const auto in = static_cast<std::size_t>(entry.extents[0]), out = static_cast<std::size_t>(entry.extents[1]);
      for (std::size_t i = 0; i < in; ++i)
        for (std::size_t o = 0; o < out; ++o)
          (back ? to[o * in + i] : to[i * out + o]) = static_cast<To>(back ? from[i * out + o] : from[o * in + i]);
      return to;
    }
    void load(const std::map<std::string, std::vector<double>>& values, Real* weights) const {
      for (const ParamEntry& entry : Net::table()) {
        const auto [name, transposed] = key(entry);
        const std::vector<double>& from = values.at(name);
        if (from.size() != entry.size) fail("parameter ", name, " has ", from.size(), " numbers, wanted ", entry.size);
        std::ranges::copy(laid_out<Real>(entry, transposed, from.data(), false), weights + entry.offset);
      }
    }
    void keep_params(const std::string& group, const Real* arena) {
      for (const ParamEntry& entry : Net::table()) {
        const auto [name, transposed] = key(entry);
        computed_[group + name] = laid_out<double>(entry, transposed, arena + entry.offset, true);
      }
    }
    void keep(const std::string& name, const auto& numbers) {
      computed_[name].assign(std::begin(numbers), std::end(numbers));
    }
    void keep_number(const std::string& name, double number) { computed_[name] = {number}; }

    // --- Cases with formulas ---

    void load_case() {
      B_ = manifest_.json().at("B"), T_ = manifest_.json().at("T");
      const std::string prefix = manifest_.json().at("prefix");
      std::map<std::string, std::vector<double>> values;
      const auto formula = [&](const nlohmann::json& tensor) {
        std::size_t size = 1;
        for (const std::size_t extent : tensor.at("shape")) size *= extent;
        const std::vector<float> drawn =
            synth(prefix + std::string(tensor.at("name")), size, tensor.at("offset"), tensor.at("scale"));
        return std::vector<double>(drawn.begin(), drawn.end());
      };
      for (const auto& param : manifest_.json().at("params")) values[param.at("name")] = formula(param);
      weights_.assign(Net::arena_size, 0);
      load(values, weights_.data());
      for (const auto& input : manifest_.json().at("inputs")) {
        const std::vector<double> numbers = formula(input);
        inputs_[input.at("name")] = Numbers(numbers.begin(), numbers.end());
      }
      const bool listed = std::ranges::any_of(manifest_.json().at("outputs"), [](const auto& output) {
        return std::string(output.at("name")).starts_with("norm/");
      });
      if (listed) {  // everything else is with the normalised parameters
        models::normalize<Net>(bind<typename Net::Gradient>(weights_.data()), options_.normalisation);
        keep_params("norm/", weights_.data());
      }
    }
    typename Net::Weights bound() const {
      return bind<typename Net::Weights>(static_cast<const Real*>(weights_.data()));
    }

    void compute_forward() {
      Objective goal(B_, T_, inputs_.at("X").data(), B_, options_);
      std::ranges::copy(weights_, goal.weights());
      goal.weights_changed();
      goal.add_gradient(0);
      const models::TidhyLosses& losses = goal.losses();
      keep_number("fwd/spatial_loss_rhat", losses.spatial_rhat);
      keep_number("fwd/spatial_loss_rbar", losses.spatial_rbar);
      keep_number("fwd/temp_loss", losses.temp);
      keep_number("fwd/r2_losses", losses.r2);
      keep_number("fwd/total", losses.total());
      Training& training = goal.training();
      const auto latents = static_cast<std::size_t>(B_) * R;
      Numbers r, r2, r_bar, w, V;
      for (int t = 1; t < T_; ++t) {
        r.insert(r.end(), training.r(t), training.r(t) + B_ * R);
        r2.insert(r2.end(), training.r2(t), training.r2(t) + B_ * Q);
        Numbers bars(latents), matrices(latents * R), mixtures(static_cast<std::size_t>(B_ * Net::outputs));
        models::temporal_prediction<Net>(bound(), training.prepared(), B_, training.r(t - 1), training.r2(t),
                                         bars.data(), matrices.data(), mixtures.data());
        r_bar.insert(r_bar.end(), bars.begin(), bars.end());
        V.insert(V.end(), matrices.begin(), matrices.end());
        for (int b = 0; b < B_; ++b)
          w.insert(w.end(), mixtures.begin() + b * Net::outputs, mixtures.begin() + b * Net::outputs + M);
      }
      keep("fwd/r", r), keep("fwd/r2", r2), keep("fwd/r_bar", r_bar), keep("fwd/w", w), keep("fwd/V", V);
      keep_params("grad/", goal.gradient());
      keep("state/r", goal.r_state()), keep("state/r2", goal.r2_state());
      compare_iterations("forward", training.iterations());
    }

    void compute_record() {
      Training training(B_, T_);
      training.prepare(bound());
      const auto record =
          models::evaluate_record(training, bound(), options_.inference, B_, T_, inputs_.at("X").data(), [](int) {});
      keep("rec/I", record.I), keep("rec/I_hat", record.I_hat), keep("rec/I_bar", record.I_bar);
      keep("rec/R_hat", record.R_hat), keep("rec/R_bar", record.R_bar), keep("rec/R2_hat", record.R2_hat);
      keep("rec/W", record.W), keep("rec/Ut", record.Ut), keep("rec/b", record.b);
      keep("rec/spatial_loss_rhat", record.spatial_loss_rhat), keep("rec/spatial_loss_rbar", record.spatial_loss_rbar);
      keep("rec/temp_loss", record.temp_loss);
      keep_number("rec/spatial_loss_rhat_avg", record.spatial_loss_rhat_avg);
      keep_number("rec/spatial_loss_rbar_avg", record.spatial_loss_rbar_avg);
      keep_number("rec/temp_loss_avg", record.temp_loss_avg);
      compare_iterations("record", std::span(record.iterations).subspan(1));
      if (manifest_.json().value("iterations", nlohmann::json::object()).contains("record_first_step"))
        report_.compare("iterations of the first step",
                        record.iterations[0] - manifest_.json()["iterations"]["record_first_step"].get<int>(), 0);
    }

    void compare_iterations(const char* of, std::span<const int> made) {
      const auto& all = manifest_.json().value("iterations", nlohmann::json::object());
      if (!all.contains(of)) return;
      const std::vector<int> expected = all[of];
      report_.compare(std::string("iterations, ") + of, !std::ranges::equal(made, expected), 0);
    }

    // --- Units ---

    void compute_units() {
      if (!inputs_.contains("unit/r")) return;
      const Numbers &r = inputs_.at("unit/r"), &r_p = inputs_.at("unit/r_p"), &r2 = inputs_.at("unit/r2"),
                    &X = inputs_.at("X");
      const auto prepared = std::make_unique<typename Net::Prepared>();
      Net::prepare(bound(), *prepared);
      const auto w = bound();
      const Real eps = static_cast<Real>(Config::layer_norm_eps);
      for (int b = 0; b < B_; ++b) {
        layers<typename Net::Hypernet>("unit/hypernet.", w.hypernet, eps, r2.data() + b * Q, true);
        if constexpr (Net::nonlinear) {
          layers<typename Net::NonlinearDecoder>("unit/spatial_decoder.", w.spatial_decoder, eps, r.data() + b * R,
                                                 false);
        } else {
          typename Net::Decoded decoded;
          Net::decode(w, r.data() + b * R, decoded);
          for (const Real q : decoded.linear) append("unit/spatial_decoder.0", q);
          if (Config::loss_type == models::TidhyLoss::bce)
            for (const Real q : decoded.linear) append("unit/spatial_decoder.1", Net::observe(q));
        }
        if constexpr (Net::predicts_r2) {
          using E = typename Net::R2Decoder;
          typename E::Saved saved;
          Real in[R + Q], out[Q];
          std::copy_n(r.data() + b * R, R, in), std::copy_n(r2.data() + b * Q, Q, in + R);
          E::activate(w.r2_decoder, eps, in, saved);
          E::finish(prepared->r2_decoder, saved, out);
          for (const Real v : out) append("unit/r2_bar", v);
        }
      }
      const auto latents = static_cast<std::size_t>(B_ * R);
      Numbers r_bar(latents), V(latents * R), mixture(static_cast<std::size_t>(B_ * Net::outputs));
      models::temporal_prediction<Net>(w, *prepared, B_, r_p.data(), r2.data(), r_bar.data(), V.data(), mixture.data());
      keep("unit/r_bar", r_bar), keep("unit/V", V);
      for (int b = 0; b < B_; ++b)
        for (int m = 0; m < M; ++m) append("unit/w", mixture[static_cast<std::size_t>(b * Net::outputs + m)]);

      models::TidhyInference<Net> inference(B_);
      Numbers dr(latents), dr2(static_cast<std::size_t>(B_ * Q));
      models::TidhyOptions options = options_.inference;
      const std::size_t stride = static_cast<std::size_t>(T_) * D;
      const double value = inference.objective(w, *prepared, options, B_, X.data() + D, stride, r_p.data(), r.data(),
                                               r2.data(), dr.data(), dr2.data());
      keep_number("unit/inf_loss", value);
      keep("unit/inf_grad_r", dr), keep("unit/inf_grad_r2", dr2);

      std::vector<Real> gradient(Net::arena_size, 0);
      temporal_vjp(w, *prepared, r_p, r2, r, gradient);
      spatial_vjp(w, *prepared, r, X, gradient);
      double temporal = 0, slow = 0;
      for (std::size_t i = 0; i < latents; ++i) temporal += square(r[i] - r_bar[i]) / B_;
      keep_number("unit/temporal_loss", temporal);
      if (computed_.contains("unit/r2_bar"))
        for (std::size_t i = 0; i < r2.size(); ++i) slow += square(r2[i] - computed_.at("unit/r2_bar")[i]) / B_;
      keep_number("unit/r2_loss", slow);
    }

    static double square(auto x) { return static_cast<double>(x) * static_cast<double>(x); }
    void append(const std::string& name, Real value) { computed_[name].push_back(static_cast<double>(value)); }

    template <class Mlp>
    void layers(const std::string& name, const typename Mlp::Weights& w, Real eps, const Real* x, bool relu) {
      constexpr int H = static_cast<int>(decltype(w.norm1.scale)::static_extent(0)),
                    In = static_cast<int>(decltype(w.dense1.kernel)::static_extent(0)),
                    Out = static_cast<int>(decltype(w.dense3.kernel)::static_extent(1));
      typename Mlp::Saved saved;
      Real first[H], between[H], out[Out];
      ops::row_times_matrix<In, H>(x, w.dense1.kernel.data_handle(), w.dense1.bias.data_handle(), first);
      Mlp::activate(w, eps, x, saved);
      Mlp::finish(w, saved, between, out);
      for (int h = 0; h < H; ++h) {
        append(name + "0", first[h]), append(name + "1", saved.normed[h]), append(name + "2", saved.activated[h]);
        append(name + "3", between[h]);
      }
      for (const Real v : out) {
        append(name + "4", v);
        if (relu) append(name + "5", std::fmax(v, Real(0)));
      }
    }

    void temporal_vjp(const typename Net::Weights& w, const typename Net::Prepared& prepared, const Numbers& r_p,
                      const Numbers& r2, const Numbers& g, std::vector<Real>& gradient) {
      Numbers dr_p(r_p.size()), dr2(r2.size());
      std::ranges::fill(gradient, Real(0));
      models::temporal_prediction_vjp<Net>(w, prepared, B_, r_p.data(), r2.data(), g.data(), dr_p.data(), dr2.data(),
                                           bind<typename Net::Gradient>(gradient.data()));
      keep("unit/vjp_temporal/r_p", dr_p), keep("unit/vjp_temporal/r2", dr2);
      keep_params("unit/vjp_temporal/", gradient.data());
    }

    void spatial_vjp(const typename Net::Weights& w, const typename Net::Prepared& prepared, const Numbers& r,
                     const Numbers& X, std::vector<Real>& gradient) {
      std::ranges::fill(gradient, Real(0));
      const auto dw = bind<typename Net::Gradient>(gradient.data());
      double loss = 0;
      for (int b = 0; b < B_; ++b) {
        const Real* x = X.data() + (b * T_ + 1) * D;
        typename Net::Decoded decoded;
        Real dlinear[D], dr[R];
        Net::decode(w, r.data() + b * R, decoded);
        loss += Net::spatial_loss(decoded.linear, x) / B_;
        for (int c = 0; c < D; ++c) dlinear[c] = Net::element_slope(decoded.linear[c], x[c]) / static_cast<Real>(B_);
        Net::decoder_gradient(w, prepared, r.data() + b * R, decoded, dlinear, dr, dw);
        for (const Real v : dr) append("unit/vjp_spatial/r", v);
      }
      keep_number("unit/spatial_loss", loss);
      keep_params("unit/vjp_spatial/", gradient.data());
    }

    // --- Trainings ---

    struct GroupsOfOriginal {  // rates 1e-2, 1e-2, 1e-3; the R2 decoder is in none
      train::ParameterOptions operator()(const ParamEntry& entry) const {
        const std::string_view path = entry.path;
        return {.rate = path.starts_with("hypernet") ? .1 : 1, .frozen = path.starts_with("r2_decoder")};
      }
    };
    struct All {
      train::ParameterOptions operator()(const ParamEntry&) const { return {}; }
    };
    /// Halved before every multiple of `every`.
    struct Halving {
      double init;
      long every;
      double operator()(long t) const { return every > 0 ? init * std::exp2(-static_cast<double>(t / every)) : init; }
    };

    /// What every step had, before it.
    struct History {
      Objective& goal;
      std::map<std::string, std::vector<double>> values;
      bool on_step(const train::Update& update) {
        values["loss"].push_back(update.loss);
        values["spatial_loss_rhat"].push_back(goal.losses().spatial_rhat);
        values["spatial_loss_rbar"].push_back(goal.losses().spatial_rbar);
        values["temp_loss"].push_back(goal.losses().temp);
        values["r2_losses"].push_back(goal.losses().r2);
        values["grad_norm"].push_back(update.gradient_norm);
        for (const double w : goal.balance()) values["loss_weights"].push_back(w);
        return false;
      }
    };

    History train(Objective& goal, bool groups, long steps, long halving) const {
      const train::AdamW<Halving> optimizer{.schedule = {1e-2, groups ? halving : 0},
                                            .weight_decay = groups ? config_.at("weight_decay").get<double>() : 1e-4};
      train::ParameterGroups which = groups ? train::ParameterGroups(Net::table(), GroupsOfOriginal())
                                            : train::ParameterGroups(Net::table(), All());
      train::TrainerOptions options;
      if (groups) options.max_norm = config_.at("clip_grad");
      train::Trainer trainer(goal, optimizer, which, options);
      History history{goal, {}};
      trainer.run(steps, history);
      return history;
    }

    void set_regularisation() {
      const auto number = [&](const char* name) { return config_.value(name, 0.); };
      options_.regularisation = {.cos_eta = number("cos_eta"),
                                 .L1_alpha = number("L1_alpha"),
                                 .L1_alpha_spat = number("L1_alpha_spat"),
                                 .L1_alpha_W = number("L1_alpha_W"),
                                 .Orth_alpha_spat = number("Orth_alpha_spat"),
                                 .Orth_alpha_r2 = number("Orth_alpha_r2")};
    }

    void train_ten_steps() {
      const bool groups = manifest_.json().at("recipe_kind") == "train_groups";
      if (groups) set_regularisation();
      Objective goal(B_, T_, inputs_.at("X").data(), B_, options_);
      std::ranges::copy(weights_, goal.weights());
      const History history = train(goal, groups, 10, 4);
      for (const auto& [name, values] : history.values) keep("hist/" + name, values);
      keep_params("final/", goal.weights());
    }

    /// Trainings from stored parameters on stored data, each against its history in the precision of this build.
    void follow_histories() {
      set_regularisation();
      const StoredTensor X = manifest_.stored_tensor("X_train"), X_val = manifest_.stored_tensor("X_val");
      const Numbers data(X.values.begin(), X.values.end()), held(X_val.values.begin(), X_val.values.end());
      const long epochs = manifest_.json().at("epochs");
      for (const auto& entry : manifest_.json().at("runs")) {
        const std::string tag = entry.at("tag"), init = tag.substr(0, tag.find('_'));
        if (!tag.ends_with("_f64")) continue;
        std::map<std::string, std::vector<double>> values;
        for (const ParamEntry& param : Net::table())
          values[key(param).name] = manifest_.stored_tensor(init + "/params/" + key(param).name).values;
        Objective goal(X.shape[0], X.shape[1], data.data(), X.shape[0], options_);
        load(values, goal.weights());
        const History history = train(goal, true, epochs, epochs / 5);
        for (const auto& [name, computed] : history.values) {
          const std::string tensor = tag + "/hist/" + name;
          if (manifest_.has_tensor(tensor))
            report_.compare(tensor, relative_l2(computed, manifest_.stored_tensor(tensor).values),
                            in_double ? 1e-9 : 8 * 2.7e-6);
        }
        Training training(X_val.shape[0], X_val.shape[1]);
        training.prepare(goal.bound());
        const auto record = models::evaluate_record(training, goal.bound(), options_.inference, X_val.shape[0],
                                                    X_val.shape[1], held.data(), [](int) {});
        const auto average = [&](const char* name, double value) {
          const double expected = entry.at("val").at(name);
          report_.compare(tag + " " + name, std::abs(value / expected - 1), in_double ? 1e-9 : 8 * 2.7e-6);
        };
        average("spatial_loss_rhat_avg", record.spatial_loss_rhat_avg);
        average("spatial_loss_rbar_avg", record.spatial_loss_rbar_avg);
        average("temp_loss_avg", record.temp_loss_avg);
      }
    }

    // --- The manifest's list ---

    void compare_all() {
      for (const auto& output : manifest_.json().at("outputs")) {
        const std::string name = output.at("name");
        if (second_order_ && name.starts_with("hist/") && name != "hist/loss_weights") {
          compare_first(name);  // nothing is balanced before the first step
          continue;
        }
        if (name.starts_with("grad_unrolled/") ||
            (second_order_ && !name.starts_with("unit/") && !name.starts_with("norm/"))) {
          report_.not_compared(name);
          continue;
        }
        const auto found = computed_.find(name);
        if (found == computed_.end()) {
          report_.missing(name);
          continue;
        }
        const StoredTensor expected = manifest_.stored_tensor(name);
        report_.compare(name, relative_l2(found->second, expected.values),
                        golden_bound<Real>(output.at("ref_err").at("rel_l2"), expected.in_double));
      }
    }

    void compare_first(const std::string& name) {
      const double computed = computed_.at(name).front(), expected = manifest_.stored_tensor(name).values.front();
      report_.compare(name + ", first", std::abs(computed - expected),
                      (in_double ? 1e-9 : 8 * 2e-7) * std::abs(expected));
    }

    const Manifest& manifest_;
    const nlohmann::json& config_;
    Report report_;
    models::TidhyTrainingOptions options_;
    bool second_order_ = false;
    int B_ = 0, T_ = 0;
    Numbers weights_;
    std::map<std::string, Numbers> inputs_;
    std::map<std::string, std::vector<double>> computed_;
  };
};

}  // namespace fieldstep::support
