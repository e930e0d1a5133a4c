#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <fieldstep/io/colormap.hpp>
#include <fieldstep/io/image.hpp>
#include <vector>

using namespace fieldstep::io;

TEST_CASE("Image: drawing outside is cut off", "[io][image]") {
  Image image(4, 3);
  fill(image, -2, -2, 4, 4, black);
  CHECK(image.at(0, 0) == black);
  CHECK(image.at(1, 1) == black);
  CHECK(image.at(2, 1) == white);
  blit(image, 3, 2, Image(5, 5, Rgb{1, 2, 3}));
  CHECK(image.at(3, 2) == Rgb{1, 2, 3});
  blit(image, -4, -4, Image(5, 5, Rgb{4, 5, 6}));
  CHECK(image.at(0, 0) == Rgb{4, 5, 6});
  CHECK(image.at(1, 1) == black);
  draw_text(image, -3, -3, "text", 3);
  draw_text(image, 100, 100, "text", 3);
}

TEST_CASE("resized: takes the nearest pixel, larger and smaller", "[io][image]") {
  Image image(2, 2);
  image.at(1, 0) = black;
  const Image large = resized(image, 6, 4);
  CHECK(large.at(2, 1) == white);
  CHECK(large.at(3, 1) == black);
  CHECK(large.at(5, 2) == white);
  CHECK(resized(large, 2, 2).pixels == image.pixels);
}

TEST_CASE("draw_text: letters have their dots and their width", "[io][image]") {
  Image image(24, 7);
  draw_text(image, 0, 0, "I-", 1);
  const auto dark = [&](int x, int y) { return image.at(x, y) == black; };
  CHECK((dark(1, 0) && dark(2, 0) && dark(3, 0) && dark(2, 3) && !dark(1, 3)));
  CHECK((dark(6, 3) && dark(10, 3) && !dark(5, 3) && !dark(11, 3)));
  CHECK(text_width("I-", 1) == 11);
  CHECK(text_width("I-", 2) == 22);
  CHECK(text_width("", 2) == 0);
}

TEST_CASE("colour_of: ends, between, beyond and not a number", "[io][colormap]") {
  const ColorRange range{-1, 3};
  CHECK(colour_of(-1, range, viridis) == viridis.front());
  CHECK(colour_of(3, range, viridis) == viridis.back());
  CHECK(colour_of(1, range, viridis) == viridis[4]);
  CHECK(colour_of(-1e30, range, viridis) == viridis.front());
  CHECK(colour_of(1e30, range, viridis) == viridis.back());
  CHECK(colour_of(NAN, range, viridis) == no_value);
  CHECK(colour_of(INFINITY, range, viridis) == no_value);
  CHECK(colour_of(0, {-2, 2}, diverging) == Rgb{247, 247, 247});
}

TEST_CASE("range_of: finite values only, never empty", "[io][colormap]") {
  const std::vector<float> values{1, NAN, -2, INFINITY, 0.5f};
  CHECK(range_of(values).low == -2);
  CHECK(range_of(values).high == 1);
  CHECK(symmetric_range_of(values).low == -2);
  CHECK(symmetric_range_of(values).high == 2);
  const std::vector<float> constant(4, 3.0f), none(4, NAN);
  CHECK(range_of(constant).low < 3);
  CHECK(range_of(constant).high > 3);
  CHECK(range_of(none).low < range_of(none).high);
  CHECK(symmetric_range_of(std::vector<float>(4)).high == 1);
}
