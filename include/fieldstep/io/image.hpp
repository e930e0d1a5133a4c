#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fieldstep/io/detail/font.hpp>
#include <string_view>
#include <vector>

namespace fieldstep::io {

struct Rgb {
  std::uint8_t r = 0, g = 0, b = 0;
  bool operator==(const Rgb&) const = default;
};

inline constexpr Rgb white{255, 255, 255}, black{0, 0, 0};

/// A picture in memory, rows from top to bottom. Drawing outside of it is cut off.
struct Image {
  int width = 0, height = 0;
  std::vector<Rgb> pixels;

  Image(int w, int h, Rgb colour = white)
      : width(w), height(h), pixels(static_cast<std::size_t>(w) * static_cast<std::size_t>(h), colour) {}

  Rgb& at(int x, int y) {
    return pixels[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)];
  }
  const Rgb& at(int x, int y) const { return const_cast<Image&>(*this).at(x, y); }
};

/// A filled rectangle.
inline void fill(Image& image, int x, int y, int width, int height, Rgb colour) {
  for (int row = std::max(y, 0); row < std::min(y + height, image.height); ++row)
    for (int column = std::max(x, 0); column < std::min(x + width, image.width); ++column)
      image.at(column, row) = colour;
}

/// A frame of one pixel around the rectangle.
inline void outline(Image& image, int x, int y, int width, int height, Rgb colour) {
  fill(image, x - 1, y - 1, width + 2, 1, colour);
  fill(image, x - 1, y + height, width + 2, 1, colour);
  fill(image, x - 1, y, 1, height, colour);
  fill(image, x + width, y, 1, height, colour);
}

/// Puts `part` with its upper left corner at (x, y).
inline void blit(Image& image, int x, int y, const Image& part) {
  for (int row = std::max(-y, 0); row < std::min(part.height, image.height - y); ++row)
    for (int column = std::max(-x, 0); column < std::min(part.width, image.width - x); ++column)
      image.at(x + column, y + row) = part.at(column, row);
}

/// To another size, each pixel taking the colour of the nearest one.
inline Image resized(const Image& image, int width, int height) {
  Image result(width, height);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      result.at(x, y) = image.at(static_cast<int>((2L * x + 1) * image.width / (2L * width)),
                                 static_cast<int>((2L * y + 1) * image.height / (2L * height)));
  return result;
}

/// Width of a line of text without the gap after its last letter.
inline int text_width(std::string_view text, int scale) {
  return std::max(0, static_cast<int>(text.size()) * (detail::glyph_width + 1) - 1) * scale;
}
inline int text_height(int scale) { return detail::glyph_height * scale; }

/// A line of text with its upper left corner at (x, y), each dot of the font scale x scale pixels.
inline void draw_text(Image& image, int x, int y, std::string_view text, int scale, Rgb colour = black) {
  for (const char character : text) {
    for (int row = 0; row < detail::glyph_height; ++row)
      for (int column = 0; column < detail::glyph_width; ++column)
        if (detail::glyph_dot(character, row, column))
          fill(image, x + column * scale, y + row * scale, scale, scale, colour);
    x += (detail::glyph_width + 1) * scale;
  }
}

}  // namespace fieldstep::io
