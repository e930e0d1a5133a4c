#include <fieldstep/io/safetensors.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fieldstep::fuzz::read_all(data, size, fieldstep::io::parse_safetensors);
}
