#pragma once
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/key_map.hpp>
#include <fieldstep/io/tensor_file.hpp>

#include <cstddef>
#include <cstdint>

namespace fieldstep::fuzz {

/// Parses the input and reads every number, as a loader would. Whatever the bytes are, the only way out besides success
/// is fieldstep::Error; anything else the sanitizers report.
template <class Parse>
int read_all(const std::uint8_t* data, std::size_t size, const Parse& parse) {
  try {
    io::TensorFile file = parse(io::Bytes(reinterpret_cast<const std::byte*>(data), size));
    io::name_as_torch(file);
    for (const io::StoredTensor& tensor : file.tensors)
      if (tensor.size() < 1'000'000) io::numbers<float>(tensor);
  } catch (const Error&) {
  }
  return 0;
}

}  // namespace fieldstep::fuzz
