#pragma once
#include <png.h>

#include <fieldstep/core/error.hpp>
#include <fieldstep/io/atomic_file.hpp>
#include <fieldstep/io/image.hpp>
#include <filesystem>

namespace fieldstep::io {

/// Writes the picture with 8 bits a colour.
inline void write_png(const std::filesystem::path& path, const Image& image) {
  static_assert(sizeof(Rgb) == 3, "png_image wants three bytes a pixel");
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  header.width = static_cast<png_uint_32>(image.width);
  header.height = static_cast<png_uint_32>(image.height);
  header.format = PNG_FORMAT_RGB;
  AtomicFile file(path);
  if (!png_image_write_to_stdio(&header, file.stream(), 0, image.pixels.data(), 0, nullptr))
    fail(path.string(), ": cannot be written as PNG (", header.message, ")");
  file.commit();
}

}  // namespace fieldstep::io
