#include <examples/cli/training_log.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/atomic_file.hpp>
#include <fieldstep/io/curves.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

namespace fieldstep::cli {

using Json = nlohmann::ordered_json;

TrainingLog::TrainingLog(std::filesystem::path folder, long step)
    : folder_(std::move(folder)), path_(folder_ / "log.jsonl") {
  std::string kept;
  std::ifstream earlier(path_);
  for (std::string text; std::getline(earlier, text);) {
    const Json line = Json::parse(text, nullptr, false);  // the last one may be torn
    if (!line.is_object() || !line.contains("step") || !line["step"].is_number_integer() || line["step"] > step)
      continue;
    kept += text + "\n";
    remember(line);
  }
  io::write_text(path_, kept);
  file_.reset(std::fopen(path_.c_str(), "ab"));
  if (file_ == nullptr) fail(path_.string(), ": cannot be opened (", std::strerror(errno), ")");
}

void TrainingLog::write(const Json& line) {
  const std::string text = line.dump() + "\n";
  if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size() || std::fflush(file_.get()) != 0)
    fail(path_.string(), ": cannot be written (", std::strerror(errno), ")");
  remember(line);
}

void TrainingLog::remember(const Json& line) {
  const auto number = [&](const char* name) { return line.contains(name) && line[name].is_number(); };
  const double step = line["step"];
  if (number("loss")) losses_.push_back({step, line["loss"]});
  if (number("validation")) validations_.push_back({step, line["validation"]});
}

std::string TrainingLog::draw(const std::string& title) const {
  if (losses_.empty()) return {};
  // A point where there was a validation, else at most so many.
  constexpr std::size_t most = 200;
  io::Curves curves{.title = title, .axis = {"step", {}}, .plots = {{"loss", {{"training", {}}}}}};
  std::vector<double>& axis = curves.axis.values;
  if (validations_.size() > 1)
    for (const Point& validation : validations_) axis.push_back(validation.step);
  else
    for (std::size_t i = 1; i <= std::min(most, losses_.size()); ++i)
      axis.push_back(losses_[i * losses_.size() / std::min(most, losses_.size()) - 1].step);
  std::size_t at = 0;
  for (const double end : axis) {  // the mean of the losses since the point before
    const std::size_t first = at;
    double sum = 0;
    for (; at < losses_.size() && losses_[at].step <= end; ++at) sum += losses_[at].value;
    const std::size_t count = std::max<std::size_t>(at - first, 1);
    curves.plots[0].lines[0].values.push_back(sum / static_cast<double>(count));
  }
  if (validations_.size() > 1) {
    curves.plots[0].lines.push_back({"validation", {}});
    for (const Point& validation : validations_) curves.plots[0].lines[1].values.push_back(validation.value);
  }
  return io::write_curves(folder_, "loss", curves).note;
}

}  // namespace fieldstep::cli
