#include <examples/cli/sha256.hpp>
#include <examples/cli/weights.hpp>
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/mapped_file.hpp>
#include <fieldstep/io/pretrained.hpp>

#include <array>
#include <iterator>
#include <nlohmann/json.hpp>

namespace fieldstep::cli {

io::TensorFile open_weights(const std::filesystem::path& path) { return io::open_weights(path); }

Network network_of(const io::TensorFile& file, const std::filesystem::path& path) {
  Network network{.sizes = io::recognise(io::named_shapes(file))};
  if (network.sizes.family == "conv") {
    const auto described = file.metadata.find("fieldstep.variant");
    if (described != file.metadata.end()) network.small = described->second;
  }
  if (network.sizes.family != "poseidon") return network;
  const auto read = [&](const std::string& text, const std::filesystem::path& where) {
    io::in_file(where, [&] {
      network.config = io::parse_scot_config(text);
      io::Recognised described = io::recognise(*network.config);
      described.mask_token = network.sizes.mask_token;  // no part of a configuration
      if (described.text() != network.sizes.text())
        fail("describes ", described.text(), ", the weights beside it are of ", network.sizes.text());
    });
  };
  const auto folder = file.metadata.find("config"), converted = file.metadata.find("fieldstep.config");
  if (folder != file.metadata.end()) read(folder->second, path / "config.json");
  // Converted from a file without configuration, it knows no more than the shapes do.
  else if (converted != file.metadata.end() && converted->second.find("\"window_size\"") != std::string::npos)
    read(converted->second, path);
  return network;
}

std::map<std::string, std::string> metadata_of(const Network& known) {
  using Json = nlohmann::ordered_json;
  const io::Recognised& network = known.sizes;
  std::map<std::string, std::string> metadata{{"fieldstep.family", network.family},
                                              {"fieldstep.variant", network.variant}};
  if (network.family == "conv") {
    if (!known.small.empty()) metadata["fieldstep.variant"] = known.small;
    metadata["fieldstep.config"] =
        Json{{"channels", network.num_channels},
             {"hidden", network.embed_dim},
             {"kernel", network.kernel},
             {network.blocks > 0 ? "blocks" : "layers", network.blocks > 0 ? network.blocks : network.layers}}
            .dump();
    return metadata;
  }
  if (network.family == "tidhy") {
    metadata["fieldstep.config"] = Json{
        {"r_dim", network.latents[0]},
        {"r2_dim", network.latents[1]},
        {"mix_dim", network.latents[2]},
        {"input_dim", network.latents[3]},
        {"hyper_hid_dim",
         network.latents[4]}}.dump();
    return metadata;
  }
  if (network.family == "poseidon") {
    Json config{{"depths", network.depths},
                {"embed_dim", network.embed_dim},
                {"mlp_ratio", known.config ? known.config->mlp_ratio : network.mlp_ratio},
                {"num_channels", network.num_channels},
                {"num_heads", network.num_heads},
                {"num_out_channels", network.num_out_channels},
                {"patch_size", network.patch_size},
                {"qkv_bias", network.qkv_bias},
                {"residual_model", network.residual_model.empty() ? "convnext" : network.residual_model},
                {"skip_connections", network.skip_connections},
                {"use_absolute_embeddings", network.absolute_positions},
                {"use_conditioning", network.use_conditioning}};
    if (known.config) {
      config["image_size"] = known.config->image_size;
      config["window_size"] = known.config->window_size;
      config["layer_norm_eps"] = known.config->layer_norm_eps;
      config["learn_residual"] = known.config->learn_residual;
    }
    metadata["fieldstep.config"] = config.dump();
    return metadata;
  }
  // MPP's vocabulary; its last two states are spare.
  constexpr std::array vocabulary{"h",  "Vx", "Vy",      "particles", "activator", "inhibitor",
                                  "Vx", "Vy", "density", "pressure",  "",          ""};
  metadata["fieldstep.config"] = Json{{"bias", network.bias},
                                      {"blocks", network.blocks},
                                      {"embed_dim", network.embed_dim},
                                      {"heads", network.heads},
                                      {"patch", 16},
                                      {"states", network.states}}
                                     .dump();
  if (network.states == std::ssize(vocabulary)) metadata["fieldstep.channels"] = Json(vocabulary).dump();
  metadata["fieldstep.normalisation"] =
      Json{{"eps", 1e-7}, {"kind", "mean and unbiased deviation of every sample and field over time and space"}}.dump();
  return metadata;
}

std::string source_of(const std::filesystem::path& path) {
  nlohmann::ordered_json source{{"file", path.filename().string()}};
  if (std::filesystem::is_regular_file(path)) source["sha256"] = sha256(io::MappedFile(path).bytes());
  return source.dump();
}

void load_weights(const io::TensorFile& file, const std::filesystem::path& path, const embed::ModelEntry& entry,
                  embed::Model& model) {
  io::in_file(path, [&] { io::load_weights(file, entry.table, model.weights(), {.refuse_not_finite = true}); });
}

namespace {

io::WeightFormat format_of(const std::filesystem::path& path) {
  if (path.extension() == ".safetensors") return io::WeightFormat::safetensors;
  if (path.extension() == ".msgpack") return io::WeightFormat::flax;
  fail_usage("--output: found ", path.string(), ", wanted a name that ends in .safetensors or .msgpack");
}

}  // namespace

std::string merge_weights(const io::TensorFile& file, const std::filesystem::path& path, ParamTable table,
                          float* weights, Key key) {
  return io::in_file(path, [&] { return io::init_with_weights(file, table, weights, key).text(); });
}

std::string save_merged(const std::filesystem::path& output, const io::TensorFile& file,
                        const std::filesystem::path& path, const embed::ModelEntry& entry, std::uint64_t seed,
                        const std::map<std::string, std::string>& metadata) {
  const io::WeightFormat format = format_of(output);
  const Arena<float> arena(entry.weight_bytes / sizeof(float));
  const std::string report = merge_weights(file, path, entry.table, arena.data(), make_key(seed));
  io::save_weights(output, entry.table, arena.data(), format, metadata);
  return report;
}

void save_weights(const std::filesystem::path& path, ParamTable table, const float* weights,
                  const std::map<std::string, std::string>& metadata) {
  io::save_weights(path, table, weights, io::WeightFormat::safetensors, metadata);
}

void save_weights(const std::filesystem::path& path, const io::TensorFile& file,
                  const std::map<std::string, std::string>& metadata) {
  io::save_weights(path, file, format_of(path), metadata);
}

}  // namespace fieldstep::cli
