#pragma once
#include <string>
#include <string_view>

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

}  // namespace fieldstep::io
