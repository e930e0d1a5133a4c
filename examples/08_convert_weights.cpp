// Turns weights of any format into safetensors, which load fastest: 08_convert_weights CHECKPOINT OUTPUT.safetensors
// No network is named here: a file is a list of named arrays. (fieldstep convert also keeps the origin in the
// metadata.)
#include <fieldstep/io/weights.hpp>

#include <cstdio>

using namespace fieldstep;

int main(int argc, char* argv[]) try {
  if (argc != 3) fail_usage("wanted: 08_convert_weights CHECKPOINT OUTPUT.safetensors");
  const io::TensorFile file = io::open_weights(argv[1]);  // PyTorch, safetensors, Flax msgpack, Hugging Face folder
  io::save_weights(argv[2], file, io::WeightFormat::safetensors);
  std::printf("%s: %s, %zu tensors\n", argv[2], io::recognise(io::named_shapes(file)).text().c_str(),
              file.tensors.size());
} catch (const Error& error) {
  std::fprintf(stderr, "08_convert_weights: %s\n", error.what());
  return 1;
}
