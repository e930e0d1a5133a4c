#pragma once
#include <fieldstep/io/flax_msgpack.hpp>
#include <fieldstep/io/hf_folder.hpp>
#include <fieldstep/io/safetensors.hpp>
#include <fieldstep/io/torch_checkpoint.hpp>

#include <filesystem>
#include <string_view>

namespace fieldstep::io {

/// Parses a weight file of any known format. Its first bytes decide, never its name: MPP's ckpt.tar is a PyTorch file.
inline TensorFile parse_tensor_file(Bytes bytes) {
  const std::string_view text = as_text(bytes);
  const auto byte = [&](std::size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u; };
  if (text.empty()) fail("is empty");
  if (text.starts_with(zip_magic)) return parse_torch_zip(bytes);
  if (text.starts_with(torch_legacy_magic)) return parse_torch_legacy(bytes);
  if (text.starts_with("\x93NUMPY")) fail("is one NumPy array, wanted a file of named weights");
  if (text.starts_with("\x89HDF\r\n\x1a\n")) fail("is an HDF5 file, wanted weights");
  if (text.size() > 262 && text.substr(257, 5) == "ustar")
    fail(
        "is a tar archive, as PyTorch wrote before 0.4 or a packed folder; unpack it or save it again with torch.save");
  // A safetensors header is shorter than 2^32 bytes and begins with a brace.
  if (text.size() >= 9 && text.substr(4, 4) == std::string_view("\0\0\0\0", 4) && (byte(8) == '{' || byte(8) == ' '))
    return parse_safetensors(bytes);
  if (byte(0) == 0x80 && byte(1) >= 2 && byte(1) <= 5)
    fail("is a bare Python pickle, wanted a file written by torch.save");
  if (byte(0) >> 4 == 8 || byte(0) == 0xde || byte(0) == 0xdf) return parse_flax_msgpack(bytes);
  fail("is no weight file: wanted a PyTorch checkpoint, safetensors or Flax msgpack");
}

/// Opens a weight file, or a Hugging Face folder.
inline TensorFile open_tensor_file(const std::filesystem::path& path) {
  return std::filesystem::is_directory(path) ? read_hf_folder(path) : read_mapped(path, parse_tensor_file);
}

}  // namespace fieldstep::io
