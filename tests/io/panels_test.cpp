#include <png.h>
#include <support/scratch_folder.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/panels.hpp>
#include <fieldstep/io/png.hpp>
#include <numeric>
#include <vector>

using namespace fieldstep::io;
using fieldstep::support::ScratchFolder;

namespace {

Image read_png(const std::filesystem::path& path) {
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  REQUIRE(png_image_begin_read_from_file(&header, path.c_str()));
  header.format = PNG_FORMAT_RGB;
  Image image(static_cast<int>(header.width), static_cast<int>(header.height));
  REQUIRE(png_image_finish_read(&header, nullptr, image.pixels.data(), 0, nullptr));
  return image;
}

long count(const Image& image, Rgb colour) { return std::ranges::count(image.pixels, colour); }

}  // namespace

TEST_CASE("write_png: reads back as it was", "[io][png]") {
  const ScratchFolder folder;
  Image image(5, 3);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    const auto shade = static_cast<std::uint8_t>(i);
    image.pixels[i] = {shade, static_cast<std::uint8_t>(255 - shade), 7};
  }
  write_png(folder / "x.png", image);
  CHECK(read_png(folder / "x.png").pixels == image.pixels);
  CHECK(folder.size() == 1);
  CHECK_THROWS_AS(write_png(folder / "none" / "x.png", image), fieldstep::Error);
}

TEST_CASE("draw_field: x to the right, y upwards", "[io][panels]") {
  const std::vector<float> values{0, 0.25f, 0.5f, 0.75f, 1, 0};  // (3, 2)
  const Image image = detail::draw_field(values, 3, 2, {0, 1}, viridis);
  CHECK(image.width == 3 * (256 / 3));
  CHECK(image.height == 2 * (256 / 3));
  CHECK(image.at(0, image.height - 1) == viridis[0]);
  CHECK(image.at(0, 0) == viridis[2]);
  CHECK(image.at(image.width / 2, image.height - 1) == viridis[4]);
  CHECK(image.at(image.width - 1, image.height - 1) == viridis[8]);
  CHECK(detail::panel_side(2048, 2048) == 512);
  CHECK(detail::panel_side(512, 1024) == 256);
  CHECK(detail::panel_side(400, 400) == 400);
}

TEST_CASE("draw_panels: the reference's range for both, a symmetric one for the error", "[io][panels]") {
  const ScratchFolder folder;
  std::vector<float> reference(64 * 32), forecast;
  std::iota(reference.begin(), reference.end(), 0.0f);
  forecast = reference;
  forecast[0] += 5000;  // beyond the range: its upper end; the error's red end
  forecast[1] = NAN;
  const Panels both{.title = "title", .height = 64, .width = 32, .rows = {{"u", "m/s", reference, forecast}}};
  const Image image = draw_panels(both);
  const long point = 4 * 4;
  CHECK(count(image, viridis.front()) >= point);
  CHECK(count(image, diverging.back()) >= point);
  CHECK(count(image, no_value) == 2 * point);  // in forecast and error
  write_panels(folder / "panels.png", both);
  CHECK(read_png(folder / "panels.png").pixels == image.pixels);

  // Without a reference there is one column.
  const Panels alone{.title = "title", .height = 64, .width = 32, .rows = {{"u", "", {}, forecast}}};
  CHECK(draw_panels(alone).width < image.width);
  CHECK(draw_panels({.title = "no rows", .height = 64, .width = 32, .rows = {}}).width > 0);
}

TEST_CASE("ticks: three digits, a clean zero", "[io][panels]") {
  using detail::ticks;
  CHECK(ticks({-2, 2}) == std::array<std::string, 3>{"2", "0", "-2"});
  CHECK(ticks({-0.1, 0.1 + 1e-12})[1] == "0");
  CHECK(ticks({1.23456e-5, 98765.4}) == std::array<std::string, 3>{"9.88e+04", "4.94e+04", "1.23e-05"});
}
