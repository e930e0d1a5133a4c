#include <examples/cli/weights.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/weights.hpp>

namespace fieldstep::cli {

io::TensorFile open_weights(const std::filesystem::path& path) { return io::open_weights(path); }

void load_weights(const io::TensorFile& file, const std::filesystem::path& path, const embed::ModelEntry& entry,
                  embed::Model& model) {
  io::in_file(path, [&] { io::load_weights(file, entry.table, model.weights(), {.refuse_not_finite = true}); });
}

void save_weights(const std::filesystem::path& path, const io::TensorFile& file,
                  const std::map<std::string, std::string>& metadata) {
  const bool safetensors = path.extension() == ".safetensors";
  if (!safetensors && path.extension() != ".msgpack")
    fail_usage("--output: found ", path.string(), ", wanted a name that ends in .safetensors or .msgpack");
  io::save_weights(path, file, safetensors ? io::WeightFormat::safetensors : io::WeightFormat::flax, metadata);
}

}  // namespace fieldstep::cli
