#include <examples/cli/machine.hpp>
#include <examples/cli/models.hpp>
#include <fieldstep/core/error.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <iomanip>
#include <sstream>

namespace fieldstep::cli {

namespace {

std::string grid_text(const ModelEntry& entry) {
  return std::to_string(entry.height) + "x" + std::to_string(entry.width);
}

/// Height and width of a text such as 128x128.
std::array<int, 2> parse_grid(const std::string& text) {
  std::array<int, 2> grid{};
  const char *at = text.data(), *end = at + text.size();
  const auto first = std::from_chars(at, end, grid[0]);
  const bool separated = first.ec == std::errc() && first.ptr != end && *first.ptr == 'x';
  const auto second = separated ? std::from_chars(first.ptr + 1, end, grid[1]) : first;
  if (!separated || second.ec != std::errc() || second.ptr != end || grid[0] <= 0 || grid[1] <= 0)
    fail_usage("--grid: found ", text, ", wanted HEIGHTxWIDTH such as 128x128");
  constexpr int patch = 16;
  if (grid[0] % patch != 0 || grid[1] % patch != 0)
    fail_usage("--grid: found ", text, ", wanted multiples of ", patch, " for height and width");
  return grid;
}

/// How the wanted model is added to the program.
std::string cmake_line(const Wanted& wanted, const io::Recognised& weights) {
  std::string variant = wanted.name.starts_with("avit-") ? wanted.name.substr(5) : weights.variant;
  const bool published = variant == "Ti" || variant == "S" || variant == "B" || variant == "L";
  const auto number = [](auto n) { return n > 0 ? std::to_string(n) : "<n>"; };
  std::string line =
      "fieldstep_add_model(fieldstep_program FAMILY avit VARIANT " + (variant.empty() ? "<name>" : variant);
  if (!published)
    line += " EMBED_DIM " + number(weights.embed_dim) + " HEADS " + number(weights.heads) + " BLOCKS " +
            number(weights.blocks);
  if (weights.states > 0 && weights.states != 12) line += " STATES " + number(weights.states);
  if (weights.bias == "continuous" || weights.bias == "none") line += " BIAS " + weights.bias;
  return line + " GRID " + (wanted.grid.empty() ? "<height>x<width>" : wanted.grid) + " FRAMES " +
         number(wanted.frames) + " FIELDS " + number(wanted.fields) + ")";
}

}  // namespace

void Wanted::add_to(CLI::App& command) {
  command.add_option("--model", name, "Compiled-in model, such as avit-Ti (fieldstep info lists them)");
  command.add_option("--grid", grid, "Points of a frame, HEIGHTxWIDTH");
  command.add_option("--frames", frames, "Frames that the model reads")->check(CLI::PositiveNumber);
  command.add_option("--fields", fields, "Fields of a frame")->check(CLI::PositiveNumber);
}

std::vector<ModelEntry> fitting(const Wanted& wanted) {
  std::vector<ModelEntry> entries = embed::compiled_models();
  std::array<int, 2> grid{};
  if (!wanted.grid.empty()) grid = parse_grid(wanted.grid);
  std::erase_if(entries, [&](const ModelEntry& entry) {
    return (!wanted.name.empty() && entry.name != wanted.name) || (grid[0] > 0 && entry.height != grid[0]) ||
           (grid[1] > 0 && entry.width != grid[1]) || (wanted.frames > 0 && entry.frames != wanted.frames) ||
           (wanted.fields > 0 && entry.fields != wanted.fields);
  });
  return entries;
}

ModelEntry choose(const Wanted& wanted) {
  const std::vector<ModelEntry> entries = fitting(wanted);
  if (entries.empty()) refuse_unlisted(wanted);
  return entries.front();
}

void refuse_unlisted(const Wanted& wanted, const io::Recognised& weights) {
  std::string text = wanted.name.empty() ? "no model" : "no " + wanted.name;
  if (!wanted.grid.empty()) text += " on " + wanted.grid;
  if (wanted.frames > 0) text += " with " + std::to_string(wanted.frames) + " frames";
  if (wanted.fields > 0) text += (wanted.frames > 0 ? " and " : " with ") + std::to_string(wanted.fields) + " fields";
  if (!weights.family.empty()) text += " for weights of " + weights.text();
  fail_usage(text, " is compiled into this program, which has\n", listing(embed::compiled_models()),
             "Add to examples/cli/CMakeLists.txt: ", cmake_line(wanted, weights));
}

std::string listing(const std::vector<ModelEntry>& entries) {
  std::ostringstream text;
  text << std::left << std::setw(14) << "  model" << std::right << std::setw(9) << "grid" << std::setw(8) << "frames"
       << std::setw(8) << "fields" << std::setw(14) << "parameters" << std::setw(12) << "GFLOP/step" << std::setw(13)
       << "weights MiB" << std::setw(15) << "workspace MiB" << '\n';
  text << std::fixed;
  for (const ModelEntry& entry : entries)
    text << "  " << std::left << std::setw(12) << entry.name << std::right << std::setw(9) << grid_text(entry)
         << std::setw(8) << entry.frames << std::setw(8) << entry.fields << std::setw(14) << param_count(entry.table)
         << std::setw(12) << std::setprecision(3) << 1e-9 * entry.flop(1) << std::setw(13) << std::setprecision(1)
         << to_mib(entry.weight_bytes) << std::setw(15) << to_mib(entry.workspace_bytes) << '\n';
  return text.str();
}

io::Recognised recognise(const ModelEntry& entry) { return io::recognise(io::named_shapes(entry.table)); }

}  // namespace fieldstep::cli
