#include <examples/cli/numbers.hpp>
#include <examples/cli/tidhy.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/weights.hpp>

#include <algorithm>
#include <iomanip>
#include <sstream>

namespace fieldstep::cli {

namespace {

using Json = nlohmann::ordered_json;

std::string line_for(int channels) {
  return "fieldstep_add_model(fieldstep_program FAMILY tidhy VARIANT <name> R_DIM <n> R2_DIM <n> MIX_DIM <n> "
         "INPUT_DIM " +
         (channels > 0 ? std::to_string(channels) : "<n>") + " HYPER_HID_DIM <n>)";
}

void assign(const std::string& text, const std::string& value, double& to) {
  const std::optional<double> number = read_number(value);
  if (!number) fail_usage("--set ", text, ": found ", value, ", wanted a number");
  to = *number;
}
void assign(const std::string& text, const std::string& value, int& to) {
  double number = 0;
  assign(text, value, number);
  if (number != static_cast<int>(number) || number < 0) fail_usage("--set ", text, ": wanted a whole number from 0");
  to = static_cast<int>(number);
}
void assign(const std::string& text, const std::string& value, bool& to) {
  if (value != "true" && value != "false") fail_usage("--set ", text, ": found ", value, ", wanted true or false");
  to = value == "true";
}

}  // namespace

void TidhySettings::set(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    std::string names;
    bool found = false;
    visit([&](const char* known, auto& value) {
      names += std::string(names.empty() ? "" : ", ") + known;
      if (name != known || equals == text.npos) return;
      assign(text, text.substr(equals + 1), value);
      found = true;
    });
    if (!found) fail_usage("--set: found ", text, ", wanted NAME=VALUE with one of ", names);
  }
  const models::TidhyOptions& i = training.inference;
  if (i.max_iter < 1) fail_usage("--set max_iter: found ", i.max_iter, ", wanted at least 1");
  start.law = flax_start ? models::TidhyStart::flax : models::TidhyStart::torch;
}

std::string TidhySettings::json() {
  Json json;
  visit([&](const char* name, auto& value) { json[name] = value; });
  return json.dump();
}

void TidhySettings::read(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  visit([&](const char* name, auto& value) {
    try {
      if (json.is_object() && json.contains(name)) json.at(name).get_to(value);
    } catch (const nlohmann::json::exception&) {
      fail("metadata ", settings_key, ": ", name, " is no number of its kind");
    }
  });
}

bool is_tidhy(const std::string& model) { return model == "tidhy" || model.starts_with("tidhy-"); }

std::string tidhy_listing(const std::vector<models::TidhyEntry>& entries) {
  std::ostringstream text;
  for (const models::TidhyEntry& entry : entries)
    text << "  " << std::left << std::setw(16) << entry.name << entry.text << ", " << param_count(entry.table)
         << " parameters\n";
  return text.str();
}

models::TidhyEntry choose_tidhy(const std::string& name, int channels) {
  for (const models::TidhyEntry& entry : models::compiled_tidhys())
    if ((name == "tidhy" || name == entry.name) && entry.input_dim == channels) return entry;
  fail_usage("--model: found no ", name, " for ", counted(static_cast<std::size_t>(channels), "channel"),
             "; this program has\n", tidhy_listing(models::compiled_tidhys()),
             "Add to examples/cli/CMakeLists.txt: ", line_for(channels));
}

models::TidhyEntry tidhy_of(const io::TensorFile& weights, const std::string& file) {
  const auto of_itself = weights.metadata.find(tidhy_key);
  const std::string wanted = of_itself == weights.metadata.end() ? "" : of_itself->second;
  const auto fits = [&](const models::TidhyEntry& entry) {
    if (!wanted.empty()) return entry.text == wanted;
    return entry.table.size() == weights.tensors.size() && std::ranges::all_of(entry.table, [&](const ParamEntry& p) {
             const io::StoredTensor* tensor = weights.find(p.path.view());
             return tensor != nullptr && std::ranges::equal(tensor->shape, p.shape());
           });
  };
  const std::vector<models::TidhyEntry> all = models::compiled_tidhys();
  const auto found = std::ranges::find_if(all, fits);
  if (found == all.end())
    fail(file, ": no TiDHy ", wanted.empty() ? "of its sizes" : "with " + wanted,
         " is compiled into this program, which has\n", tidhy_listing(models::compiled_tidhys()),
         "Add to examples/cli/CMakeLists.txt: ", line_for(0));
  return *found;
}

}  // namespace fieldstep::cli
