#pragma once
#include <fieldstep/io/tensor_file.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace fieldstep::io {

/// The PyTorch original's key of a TiDHy parameter, and whether its tensor is the transpose of ours: kernels are (in,
/// out) as in Flax, PyTorch's weights are (out, in).
struct TidhyKey {
  std::string name;
  bool transposed = false;
};

/// From the NNX path, such as hypernet.dense2.kernel: hypernet.3.weight, transposed.
inline TidhyKey tidhy_torch_key(std::string_view path) {
  const std::size_t dot = path.find('.'), last = path.rfind('.');
  if (dot == path.npos) return {std::string(path)};  // temporal, temporal_bias
  const std::string_view network = path.substr(0, dot), layer = path.substr(dot + 1, last - dot - 1),
                         kind = path.substr(last + 1);
  const char* place = layer == "norm1" ? "1" : layer == "dense2" ? "3" : layer == "dense3" ? "4" : "0";
  const std::string root = network == "r2_decoder" ? "R2_Decoder" : std::string(network);
  return {root + "." + place + (kind == "bias" ? ".bias" : ".weight"), kind == "kernel"};
}

/// Names and axes of a file of the PyTorch original as ours are; another file stays as it is.
inline void name_tidhy_as_nnx(TensorFile& file) {
  if (file.find("hypernet.0.weight") == nullptr || file.find("temporal") == nullptr) return;
  const auto nnx = [](std::string_view key) {
    const std::size_t dot = key.find('.');
    if (dot == key.npos) return std::string(key);
    const std::string_view network = key.substr(0, dot), place = key.substr(dot + 1, 1);
    const bool weight = key.ends_with("weight"), norm = place == "1";
    const std::string root = network == "R2_Decoder" ? "r2_decoder" : std::string(network);
    const char* layer = norm ? "norm1" : place == "3" ? "dense2" : place == "4" ? "dense3" : "dense1";
    return root + "." + layer + (!weight ? ".bias" : norm ? ".scale" : ".kernel");
  };
  const bool linear = file.find("spatial_decoder.1.weight") == nullptr;
  for (StoredTensor& tensor : file.tensors) {
    tensor.name = nnx(tensor.name);
    if (linear && tensor.name.starts_with("spatial_decoder.dense1.")) tensor.name.erase(21, 1);
    if (tensor.name.ends_with(".kernel") && tensor.shape.size() == 2)
      std::swap(tensor.shape[0], tensor.shape[1]), std::swap(tensor.stride[0], tensor.stride[1]);
  }
}

}  // namespace fieldstep::io
