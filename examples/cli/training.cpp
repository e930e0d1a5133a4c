#include <examples/cli/interruption.hpp>
#include <examples/cli/machine.hpp>
#include <examples/cli/training.hpp>
#include <examples/cli/weights.hpp>
#include <fieldstep/core/metrics.hpp>
#include <fieldstep/train/loss/normalised_mse.hpp>

#include <algorithm>
#include <iostream>
#include <numeric>
#include <span>
#include <sstream>
#include <vector>

namespace fieldstep::cli {

namespace {

using Json = nlohmann::ordered_json;

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.) / static_cast<double>(values.size());
}

/// The original's metric, sample by sample: Poseidon's relative L1 error of every group of fields, MPP's nRMSE.
class Metric {
 public:
  void add(const TrainingSet& set, int samples, const float* y, const float* target) {
    const int points = static_cast<int>(set.entry.points());
    if (!set.entry.lead_time) {
      for (int s = 0; s < samples; ++s, y += set.entry.out_size(), target += set.entry.out_size())
        nrmse_.push_back(train::NormalisedMse::nrmse(1, set.entry.out_fields, points, y, target));
      return;
    }
    const std::vector<int> groups = groups_of(set);
    relative_l1_.resize(groups.size() - 1);
    for (int s = 0; s < samples; ++s, y += set.entry.out_size(), target += set.entry.out_size())
      for (std::size_t g = 0; g + 1 < groups.size(); ++g) {
        const std::size_t first = static_cast<std::size_t>(groups[g]) * set.entry.points(),
                          count = static_cast<std::size_t>(groups[g + 1]) * set.entry.points() - first;
        relative_l1_[g].push_back(relative_l1_percent(std::span(y + first, count), std::span(target + first, count)));
      }
  }

  Json json(const TrainingSet& set) const {
    if (!nrmse_.empty()) return {{"nrmse", mean(nrmse_)}};
    Json list = Json::array();
    const std::vector<int> groups = groups_of(set);
    for (std::size_t g = 0; g < relative_l1_.size(); ++g) {
      std::string name;
      for (int f = groups[g]; f < groups[g + 1]; ++f)
        name.append(name.empty() ? "" : " ").append(set.trajectories.info(0).fields[static_cast<std::size_t>(f)]);
      list.push_back({{"group", name}, {"median", median(relative_l1_[g])}, {"mean", mean(relative_l1_[g])}});
    }
    return {{"relative_l1_percent", list}};
  }

 private:
  std::vector<double> nrmse_;
  std::vector<std::vector<double>> relative_l1_;  // of every group
};

}  // namespace

std::vector<int> groups_of(const TrainingSet& set) {
  std::vector<int> groups;
  for (const std::size_t boundary : set.trajectories.info(0).groups)
    if (static_cast<int>(boundary) < set.entry.out_fields) groups.push_back(static_cast<int>(boundary));
  if (groups.empty()) groups.push_back(0);
  groups.push_back(set.entry.out_fields);
  return groups;
}

Validation validate(Goal& goal, const TrainingData& data, int batch) {
  Metric metric;
  double sum = 0;
  std::size_t count = 0;
  std::vector<std::int32_t> samples;
  for (int s = 0; s < data.sets(); ++s) {
    const TrainingSet& set = data.set(s);
    samples.resize(set.validated());
    std::iota(samples.begin(), samples.end(), static_cast<std::int32_t>(set.trained));
    for (std::size_t at = 0; at < samples.size(); at += static_cast<std::size_t>(batch)) {
      const auto n = std::min(static_cast<std::size_t>(batch), samples.size() - at);
      const train::Minibatch minibatch{.epoch = 0, .batch = 0, .samples = std::span(samples).subspan(at, n), .set = s};
      sum += goal.evaluate(minibatch) * static_cast<double>(n);
      metric.add(set, static_cast<int>(n), goal.forecast(), goal.target());
    }
    count += samples.size();
  }
  return {.loss = sum / static_cast<double>(count), .metric = metric.json(data.set(0))};
}

void print_summary(const Json& about, const std::filesystem::path& folder) {
  const auto number = [&](const char* name) { return about[name].get<double>(); };
  std::cout << about["model"].get<std::string>() << ": " << about["steps"] << " steps in " << number("seconds")
            << " s, loss " << number("first_loss") << " at the first of this start, " << number("loss")
            << " at the last";
  if (about.contains("validation")) std::cout << ", validation " << number("validation");
  if (about.contains("best_step"))
    std::cout << " (best " << number("best_validation") << " after step " << about["best_step"] << ")";
  std::cout << "\nlast.safetensors (everything)" << (about.contains("best") ? ", best.safetensors (weights)" : "")
            << ", log.jsonl, loss.csv and its picture are in " << folder.string() << '\n';
}

void Observer::start(long step) {
  log_.emplace(options_.folder, step);
  watch_.lap();
  saved_step_ = step;
  if (step == 0) save(0);
  progress_.emplace("train", options_.steps, options_.quiet, step);
}

bool Observer::on_step(const train::Update& update) {
  if (!first_loss_) first_loss_ = update.loss;
  last_loss_ = update.loss;
  const bool last = update.step == options_.steps;
  Json line{{"step", update.step},
            {"loss", update.loss},
            {"learning_rate", schedule_(update.step - 1)},
            {"gradient_norm", update.gradient_norm},
            {"seconds", watch_.lap()}};
  if (options_.validate_every > 0 && (last || update.step % options_.validate_every == 0)) {
    validation_ = validate_();
    line["validation"] = validation_->loss;
    for (const auto& [name, value] : validation_->metric.items()) line[name] = value;
    if (best_.improved(validation_->loss, update.step))
      save_weights(options_.folder / "best.safetensors", table_, weights_, options_.of_weights);
  }
  log_->write(line);
  const bool stop = options_.patience > 0 && best_.since >= options_.patience;
  std::ostringstream note;
  note << "loss " << update.loss;
  if (validation_) note << ", validation " << validation_->loss;
  progress_->advance(note.str());
  if (last || stop || update.step % options_.checkpoint_every == 0) save(update.step);
  try {
    Interruption::check();
  } catch (const Interruption::Request&) {
    save(update.step);
    progress_.reset();
    std::cerr << "fieldstep: interrupted after step " << update.step << ", which is in " << checkpoint().string()
              << "; --resume goes on\n";
    throw;
  }
  return stop;
}

void Observer::save(long step) {
  watch_.lap();
  train::save_checkpoint(checkpoint(), state_, options_.of_checkpoint);
  saved_step_ = step;
}

void Observer::sum_up(Json& about) {
  about["first_loss"] = first_loss_.value_or(0), about["loss"] = last_loss_;
  about["seconds"] = watch_.lap(), about["peak_rss_mib"] = peak_rss_mib();
  about["checkpoint"] = checkpoint().string();
  if (validation_) {
    about["validation"] = validation_->loss;
    for (const auto& [name, value] : validation_->metric.items()) about[name] = value;
  }
  if (best_.step > 0) {
    about["best_validation"] = best_.value, about["best_step"] = best_.step;
    about["best"] = (options_.folder / "best.safetensors").string();
  }
}

void Observer::draw(const std::string& title) {
  progress_.reset();
  const std::string note = log_->draw(title);
  if (!note.empty() && !options_.quiet) std::cerr << "fieldstep: " << note << '\n';
}

}  // namespace fieldstep::cli
