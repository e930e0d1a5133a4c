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
  return grid;
}

/// Refuses a grid on which the family's patches do not come out even.
void check_patches(const Wanted& wanted, int patch) {
  if (wanted.grid.empty()) return;
  const std::array<int, 2> grid = parse_grid(wanted.grid);
  if (grid[0] % patch != 0 || grid[1] % patch != 0)
    fail_usage("--grid: found ", wanted.grid, ", wanted multiples of ", patch, " for height and width");
}

std::string number(std::int64_t n) { return n > 0 ? std::to_string(n) : "<n>"; }

std::string avit_line(const Wanted& wanted, const io::Recognised& sizes) {
  check_patches(wanted, 16);
  const std::string variant = wanted.name.starts_with("avit-") ? wanted.name.substr(5) : sizes.variant;
  const bool published = variant == "Ti" || variant == "S" || variant == "B" || variant == "L";
  std::string line = "FAMILY avit VARIANT " + (variant.empty() ? "<name>" : variant);
  if (!published)
    line +=
        " EMBED_DIM " + number(sizes.embed_dim) + " HEADS " + number(sizes.heads) + " BLOCKS " + number(sizes.blocks);
  if (sizes.states > 0 && sizes.states != 12) line += " STATES " + number(sizes.states);
  if (sizes.bias == "continuous" || sizes.bias == "none") line += " BIAS " + sizes.bias;
  return line + " GRID " + (wanted.grid.empty() ? "<height>x<width>" : wanted.grid) + " FRAMES " +
         number(wanted.frames) + " FIELDS " + number(wanted.fields);
}

std::string poseidon_line(const Wanted& wanted, const Network& network) {
  const io::Recognised& sizes = network.sizes;
  check_patches(wanted, sizes.patch_size > 0 ? static_cast<int>(sizes.patch_size) : 4);
  const std::string variant = wanted.name.starts_with("poseidon-") ? wanted.name.substr(9) : sizes.variant;
  const bool published = variant == "T" || variant == "S" || variant == "B" || variant == "L";
  std::string line = "FAMILY poseidon VARIANT " + (variant.empty() ? "<name>" : variant);
  if (!published)
    line += " EMBED_DIM " + number(sizes.embed_dim) + " DEPTHS " + io::Recognised::listed(sizes.depths) + " HEADS " +
            io::Recognised::listed(sizes.num_heads) + " SKIP_BLOCKS " + io::Recognised::listed(sizes.skip_connections);
  if (!published && sizes.patch_size != 4) line += " PATCH " + number(sizes.patch_size);
  const std::int64_t window = network.config ? network.config->window_size : 0;
  const std::int64_t image = network.config ? network.config->image_size : 0;
  if (!published || (window > 0 && window != 16)) line += " WINDOW " + number(window);
  if (!published || (image > 0 && image != 128)) line += " IMAGE_SIZE " + number(image);
  if (sizes.residual_model == "resnet") line += " RESIDUAL resnet";
  if (sizes.family == "poseidon" && !sizes.use_conditioning) line += " UNCONDITIONED";
  if (sizes.absolute_positions) line += " ABSOLUTE_POSITIONS";
  if (network.config && network.config->learn_residual) line += " LEARN_RESIDUAL";
  std::string grid = wanted.grid;
  if (grid.empty()) grid = image > 0 ? number(image) + "x" + number(image) : "<height>x<width>";
  line += " GRID " + grid + " FIELDS " + number(wanted.fields > 0 ? wanted.fields : sizes.num_channels);
  if (sizes.num_out_channels > 0 && sizes.num_out_channels != 4)
    line += " OUT_CHANNELS " + number(sizes.num_out_channels);
  return line;
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

std::vector<ModelEntry> fitting(const Wanted& wanted, const Network& network) {
  std::vector<ModelEntry> entries = fitting(wanted);
  std::erase_if(entries, [&](const ModelEntry& entry) {
    if (recognise(entry).text() != network.sizes.text()) return true;
    if (!network.config) return false;
    const io::ScotConfig& config = *network.config;
    return entry.window != config.window_size || entry.image != config.image_size ||
           entry.learn_residual != config.learn_residual;
  });
  return entries;
}

std::string model_line(const Wanted& wanted, const Network& network) {
  const bool poseidon = network.sizes.family == "poseidon" || wanted.name.starts_with("poseidon-");
  return "fieldstep_add_model(fieldstep_program " +
         (poseidon ? poseidon_line(wanted, network) : avit_line(wanted, network.sizes)) + ")";
}

ModelEntry choose(const Wanted& wanted) {
  const std::vector<ModelEntry> entries = fitting(wanted);
  if (entries.empty()) refuse_unlisted(wanted);
  return entries.front();
}

void refuse_unlisted(const Wanted& wanted, const Network& network) {
  std::string text = wanted.name.empty() ? "no model" : "no " + wanted.name;
  if (!wanted.grid.empty()) text += " on " + wanted.grid;
  if (wanted.frames > 0) text += " with " + std::to_string(wanted.frames) + " frames";
  if (wanted.fields > 0) text += (wanted.frames > 0 ? " and " : " with ") + std::to_string(wanted.fields) + " fields";
  if (!network.sizes.family.empty()) text += " for weights of " + network.sizes.text();
  fail_usage(text, " is compiled into this program, which has\n", listing(embed::compiled_models()),
             "Add to examples/cli/CMakeLists.txt: ", model_line(wanted, network));
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
