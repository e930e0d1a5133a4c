#include <examples/cli/weights.hpp>
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/pretrained.hpp>

namespace fieldstep::cli {

io::TensorFile open_weights(const std::filesystem::path& path) { return io::open_weights(path); }

Network network_of(const io::TensorFile& file, const std::filesystem::path& path) {
  Network network{.sizes = io::recognise(io::named_shapes(file))};
  const auto config = file.metadata.find("config");
  if (network.sizes.family != "poseidon" || config == file.metadata.end()) return network;
  io::in_file(path / "config.json", [&] {
    network.config = io::parse_scot_config(config->second);
    const std::string described = io::recognise(*network.config).text();
    if (described != network.sizes.text())
      fail("describes ", described, ", the weights beside it are of ", network.sizes.text());
  });
  return network;
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

std::string save_merged(const std::filesystem::path& output, const io::TensorFile& file,
                        const std::filesystem::path& path, const embed::ModelEntry& entry, std::uint64_t seed,
                        const std::map<std::string, std::string>& metadata) {
  const io::WeightFormat format = format_of(output);
  const Arena<float> arena(entry.weight_bytes / sizeof(float));
  const io::LoadReport report =
      io::in_file(path, [&] { return io::init_with_weights(file, entry.table, arena.data(), make_key(seed)); });
  io::save_weights(output, entry.table, arena.data(), format, metadata);
  return report.text();
}

void save_weights(const std::filesystem::path& path, const io::TensorFile& file,
                  const std::map<std::string, std::string>& metadata) {
  io::save_weights(path, file, format_of(path), metadata);
}

}  // namespace fieldstep::cli
