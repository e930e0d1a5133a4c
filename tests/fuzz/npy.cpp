#include <fieldstep/io/npy.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fieldstep::fuzz::read_all(data, size, [](fieldstep::io::Bytes bytes) {
    fieldstep::io::TensorFile file;
    file.tensors.push_back(fieldstep::io::parse_npy(bytes));
    return file;
  });
}
