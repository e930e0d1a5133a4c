#include <examples/cli/machine.hpp>
#include <examples/cli/models.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/models/scot_variants.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <iomanip>
#include <regex>
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
void check_patches(const std::string& grid, std::int64_t patch) {
  const std::array<int, 2> points = parse_grid(grid);
  if (points[0] % patch != 0 || points[1] % patch != 0)
    fail_usage("--grid: found ", grid, ", wanted multiples of ", patch, " for height and width");
}

std::string number(std::int64_t n) { return n > 0 ? std::to_string(n) : "<n>"; }
std::string number(double x) {
  std::array<char, 32> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), x).ptr};
}
std::string numbers(const std::vector<std::int64_t>& list) {
  return list.empty() ? "<n,n,...>" : io::Recognised::listed(list);
}

template <class... Names>
bool is_one_of(const std::string& name, const Names&... names) {
  return ((name == names) || ...);
}

/// What the line calls the network: the name asked for, the published one, or its sizes.
std::string variant_of(const Wanted& wanted, const io::Recognised& sizes, std::vector<std::int64_t> own) {
  const std::string asked = wanted.name.substr(std::min(wanted.name.find('-'), wanted.name.size() - 1) + 1);
  const bool known = sizes.embed_dim > 0, published = is_one_of(asked, "Ti", "T", "S", "B", "L");
  if (!asked.empty() && (!known || !published || sizes.variant == asked)) return asked;
  if (!known) return "<name>";
  if (!sizes.variant.empty()) return sizes.variant;
  own.insert(own.begin(), sizes.embed_dim);
  std::string name = io::Recognised::listed(own);  // 4x1x1
  std::ranges::replace(name, ',', 'x');
  return name;
}

std::string avit_line(const Wanted& wanted, const io::Recognised& sizes) {
  if (!wanted.grid.empty()) check_patches(wanted.grid, 16);
  const std::string variant = variant_of(wanted, sizes, {sizes.heads, sizes.blocks});
  std::string line = "FAMILY avit VARIANT " + variant;
  if (!is_one_of(variant, "Ti", "S", "B", "L"))
    line +=
        " EMBED_DIM " + number(sizes.embed_dim) + " HEADS " + number(sizes.heads) + " BLOCKS " + number(sizes.blocks);
  if (sizes.states > 0 && sizes.states != 12) line += " STATES " + number(sizes.states);
  if (sizes.bias == "continuous" || sizes.bias == "none") line += " BIAS " + sizes.bias;
  return line + " GRID " + (wanted.grid.empty() ? "<height>x<width>" : wanted.grid) + " FRAMES " +
         number(std::int64_t{wanted.frames}) + " FIELDS " + number(std::int64_t{wanted.fields});
}

/// What of the line only a configuration tells.
std::string configured(const io::ScotConfig& config, const std::string& grid) {
  const models::ScotDefaults defaults;
  std::string line;
  if (config.window_size != defaults.window) line += " WINDOW " + number(config.window_size);
  const std::array<int, 2> points = parse_grid(grid);
  if (points[0] == points[1] && points[0] != config.image_size) line += " IMAGE_SIZE " + number(config.image_size);
  if (config.layer_norm_eps != defaults.layer_norm_eps) line += " LAYER_NORM_EPS " + number(config.layer_norm_eps);
  if (config.learn_residual) line += " LEARN_RESIDUAL";
  return line;
}

std::string poseidon_line(const Wanted& wanted, const Network& network) {
  const io::Recognised& sizes = network.sizes;
  const std::string variant = variant_of(wanted, sizes, sizes.depths);
  const bool published = is_one_of(variant, "T", "S", "B", "L");
  const std::int64_t image = network.config ? network.config->image_size : published ? 128 : 0;
  const std::string grid = !wanted.grid.empty() ? wanted.grid
                           : image > 0          ? number(image) + "x" + number(image)
                                                : "<height>x<width>";
  if (!wanted.grid.empty()) check_patches(grid, sizes.patch_size > 0 ? sizes.patch_size : 4);
  std::string line = "FAMILY poseidon VARIANT " + variant;
  if (!published)
    line += " EMBED_DIM " + number(sizes.embed_dim) + " DEPTHS " + numbers(sizes.depths) + " HEADS " +
            numbers(sizes.num_heads) + " SKIP_BLOCKS " + numbers(sizes.skip_connections);
  if (sizes.patch_size > 0 && sizes.patch_size != 4) line += " PATCH " + number(sizes.patch_size);
  if (network.config)
    line += configured(*network.config, grid);
  else if (!published)
    line += " WINDOW <n>";
  if (sizes.mlp_ratio != 4)
    line += " MLP_RATIO " + number(network.config ? network.config->mlp_ratio : sizes.mlp_ratio);
  if (sizes.residual_model == "resnet") line += " RESIDUAL resnet";
  if (sizes.family == "poseidon" && !sizes.use_conditioning) line += " UNCONDITIONED";
  if (sizes.absolute_positions) line += " ABSOLUTE_POSITIONS";
  if (sizes.mask_token) line += " MASK_TOKEN";
  if (!sizes.qkv_bias) line += " NO_QKV_BIAS";
  const std::int64_t fields = wanted.fields > 0                      ? wanted.fields
                              : published && sizes.num_channels == 0 ? 4
                                                                     : sizes.num_channels;
  line += " GRID " + grid + " FIELDS " + number(fields);
  if (sizes.num_out_channels > 0 && sizes.num_out_channels != 4)
    line += " OUT_CHANNELS " + number(sizes.num_out_channels);
  return line;
}

/// Whether a name is the description of a small network, however it goes on.
bool is_small(const std::string& name) {
  return name.find(';') != name.npos || is_one_of(name, "Conv", "Res", "UNet", "Dil", "FNO", "MLP");
}

std::string conv_line(const Wanted& wanted, const Network& network) {
  const io::Recognised& sizes = network.sizes;
  std::string name = !wanted.name.empty() ? wanted.name : network.small;
  if (name.empty())
    name = sizes.blocks > 0 ? "Res;" + number(sizes.embed_dim) + ";" + number(sizes.blocks) + ";relu"
                            : "Conv;" + number(sizes.embed_dim) + ";" +
                                  number(std::max<std::int64_t>(sizes.layers - 1, 0)) + ";relu";
  std::string padding;
  if (std::ranges::count(name, ';') == 4) padding = name.substr(name.rfind(';') + 1), name.resize(name.rfind(';'));
  const std::int64_t fields = wanted.fields > 0 ? wanted.fields : sizes.num_channels;
  return "FAMILY conv NETWORK \"" + name + "\" GRID " + (wanted.grid.empty() ? "<height>x<width>" : wanted.grid) +
         " FIELDS " + number(fields) + (padding.empty() ? "" : " PADDING " + padding);
}

}  // namespace

void check_small_network(const std::string& description) {
  static const std::regex known("(Conv|Res);[0-9]+;[0-9]+;(relu|tanh|gelu|identity)(;(zero|replicate))?");
  if (!std::regex_match(description, known))
    fail_usage("--network: found ", description,
               ", wanted Conv;hidden;depth;activation or Res;hidden;blocks;activation with relu, tanh, gelu or "
               "identity; APEBench's UNet, Dil, FNO and MLP do not exist here");
}

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
    if (!network.small.empty() && entry.name != network.small) return true;
    if (!network.config) return false;
    // A grid that is not square cannot be resampled: the network works at its points.
    const io::ScotConfig& config = *network.config;
    return entry.window != config.window_size || entry.learn_residual != config.learn_residual ||
           entry.layer_norm_eps != config.layer_norm_eps ||
           (entry.height == entry.width && entry.image != config.image_size);
  });
  return entries;
}

Network network_of(const ModelEntry& entry) {
  Network network{.sizes = recognise(entry)};
  if (network.sizes.family == "conv") network.small = entry.name;
  if (network.sizes.family == "poseidon") {
    network.config.emplace();
    network.config->window_size = entry.window, network.config->image_size = entry.image;
    network.config->layer_norm_eps = entry.layer_norm_eps, network.config->learn_residual = entry.learn_residual;
    network.config->mlp_ratio = network.sizes.mlp_ratio;
  }
  return network;
}

std::string model_line(const Wanted& wanted, const Network& network) {
  const bool poseidon = network.sizes.family == "poseidon" || wanted.name.starts_with("poseidon-");
  const bool small = network.sizes.family == "conv" || is_small(wanted.name);
  return "fieldstep_add_model(fieldstep_program " +
         (small      ? conv_line(wanted, network)
          : poseidon ? poseidon_line(wanted, network)
                     : avit_line(wanted, network.sizes)) +
         ")";
}

ModelEntry choose(const Wanted& wanted) {
  const std::vector<ModelEntry> entries = fitting(wanted);
  if (entries.empty()) refuse_unlisted(wanted);
  return entries.front();
}

void refuse_unlisted(const Wanted& wanted, const Network& network) {
  std::string text = wanted.name.empty() ? "no model" : "no " + wanted.name;
  if (!wanted.grid.empty()) text += " on " + wanted.grid;
  const auto count = [](int n, const char* noun) { return counted(static_cast<std::size_t>(n), noun); };
  if (wanted.frames > 0) text += " with " + count(wanted.frames, "frame");
  if (wanted.fields > 0) text += (wanted.frames > 0 ? " and " : " with ") + count(wanted.fields, "field");
  if (!network.sizes.family.empty()) text += " for weights of " + network.sizes.text();
  if (network.config)
    text += " in windows of " + std::to_string(network.config->window_size) + " at " +
            std::to_string(network.config->image_size) + " points a side";
  fail_usage(text, " is compiled into this program, which has\n", listing(embed::compiled_models()),
             "Add to examples/cli/CMakeLists.txt: ", model_line(wanted, network));
}

void refuse_untrainable(const Wanted& wanted, const Network& network) {
  std::vector<ModelEntry> entries = embed::compiled_models();
  std::erase_if(entries, [](const ModelEntry& entry) { return !entry.make_trainable && !entry.make_stepper; });
  std::string text = "no " + wanted.name, line = model_line(wanted, network);
  if (wanted.fields > 0) text += " for " + counted(static_cast<std::size_t>(wanted.fields), "field");
  if (!wanted.grid.empty()) text += " on " + wanted.grid + " points";
  if (line.find("FAMILY conv") == line.npos) line.insert(line.size() - 1, " TRAINABLE");
  fail_usage(text, " that can be trained is compiled into this program, which has\n", listing(entries),
             "Add to examples/cli/CMakeLists.txt: ", line);
}

std::string listing(const std::vector<ModelEntry>& entries) {
  std::ostringstream text;
  text << std::left << std::setw(18) << "  model" << std::right << std::setw(9) << "grid" << std::setw(8) << "frames"
       << std::setw(8) << "fields" << std::setw(14) << "parameters" << std::setw(12) << "GFLOP/step" << std::setw(13)
       << "weights MiB" << std::setw(15) << "workspace MiB" << '\n';
  text << std::fixed;
  for (const ModelEntry& entry : entries)
    text << "  " << std::left << std::setw(16) << entry.name << std::right << std::setw(9) << grid_text(entry)
         << std::setw(8) << entry.frames << std::setw(8) << entry.fields << std::setw(14) << param_count(entry.table)
         << std::setw(12) << std::setprecision(3) << 1e-9 * entry.flop(1) << std::setw(13) << std::setprecision(1)
         << to_mib(entry.weight_bytes) << std::setw(15) << to_mib(entry.workspace_bytes) << '\n';
  return text.str();
}

io::Recognised recognise(const ModelEntry& entry) { return io::recognise(io::named_shapes(entry.table)); }

std::string counted(std::size_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

}  // namespace fieldstep::cli
