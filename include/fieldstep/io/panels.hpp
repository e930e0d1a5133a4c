#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <fieldstep/io/colormap.hpp>
#include <fieldstep/io/detail/number_text.hpp>
#include <fieldstep/io/image.hpp>
#include <fieldstep/io/png.hpp>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fieldstep::io {

/// One field of one frame; values are (height, width). Without a reference only the forecast is drawn.
struct PanelRow {
  std::string field;
  std::string unit;  ///< empty if unknown
  std::span<const float> reference;
  std::span<const float> forecast;
};

/// A picture with a row a field: reference and forecast in the reference's colour range, error in a symmetric one.
struct Panels {
  std::string title;
  int height = 0, width = 0;
  std::vector<PanelRow> rows;
};

namespace detail {

inline constexpr int text_scale = 2;
inline constexpr int line_height = 2 * glyph_height * text_scale;
inline constexpr int margin = 20;
inline constexpr int bar_width = 14;
inline constexpr Rgb frame_colour{90, 90, 90}, note_colour{120, 120, 120};

/// Three significant digits.
inline std::string short_number(double value) { return number_text(value == 0 ? 0 : value, 3); }

inline std::array<std::string, 3> ticks(ColorRange range) {
  const double middle = range.low / 2 + range.high / 2;
  // A middle next to zero is zero but for rounding.
  const bool is_zero = std::abs(middle) < 1e-6 * (range.high - range.low);
  return {short_number(range.high), short_number(is_zero ? 0 : middle), short_number(range.low)};
}

/// The size in pixels of a field with this many points a side: small fields magnified, large ones thinned out.
inline int panel_side(int points, int longest) {
  constexpr int small = 256, large = 512;
  if (longest > large) return std::max(1, points * large / longest);
  return points * std::max(1, small / longest);
}

/// x, the first index of a field, runs to the right and y upwards.
inline Image draw_field(std::span<const float> values, int height, int width, ColorRange range, ColorMap map) {
  Image points(height, width);
  for (int x = 0; x < height; ++x)
    for (int y = 0; y < width; ++y)
      points.at(x, width - 1 - y) =
          colour_of(values[static_cast<std::size_t>(x) * static_cast<std::size_t>(width) + static_cast<std::size_t>(y)],
                    range, map);
  const int longest = std::max(height, width);
  return resized(points, panel_side(height, longest), panel_side(width, longest));
}

/// A colour bar with the range's ends and middle beside it.
inline void draw_bar(Image& image, int x, int y, int height, ColorRange range, ColorMap map) {
  for (int row = 0; row < height; ++row) {
    const double value = range.high + (range.low - range.high) * row / (height - 1);
    fill(image, x, y + row, bar_width, 1, colour_of(value, range, map));
  }
  outline(image, x, y, bar_width, height, frame_colour);
  const std::array<std::string, 3> labels = ticks(range);
  const int half = text_height(text_scale) / 2;
  for (int i = 0; i < 3; ++i) {
    const int at = y + i * (height - 1) / 2;
    fill(image, x + bar_width + 1, at, 4, 1, frame_colour);
    draw_text(image, x + bar_width + 9, std::clamp(at - half, y, y + height - 2 * half),
              labels[static_cast<std::size_t>(i)], text_scale);
  }
}

inline void draw_centred(Image& image, int x, int y, int width, std::string_view text) {
  draw_text(image, x + (width - text_width(text, text_scale)) / 2, y, text, text_scale);
}

}  // namespace detail

inline Image draw_panels(const Panels& panels) {
  using namespace detail;
  // What a row shows, worked out first because the longest label and tick make the columns.
  struct Drawn {
    std::string label;
    Image reference, forecast, error;
    ColorRange range, error_range;
  };
  const int longest = std::max(panels.height, panels.width);
  const int width = panel_side(panels.height, longest), height = panel_side(panels.width, longest);
  std::vector<Drawn> rows;
  bool compared = false;
  int label_width = 0, tick_width = 0, error_tick_width = 0;
  for (const PanelRow& row : panels.rows) {
    const bool has_reference = !row.reference.empty();
    std::vector<float> error(row.reference.size());
    std::ranges::transform(row.forecast.first(error.size()), row.reference, error.begin(), std::minus<>{});
    const ColorRange range = range_of(has_reference ? row.reference : row.forecast);
    const ColorRange error_range = symmetric_range_of(error);
    const auto draw = [&](std::span<const float> values, ColorRange r, ColorMap map) {
      return values.empty() ? Image(width, height, Rgb{235, 235, 235})
                            : draw_field(values, panels.height, panels.width, r, map);
    };
    rows.push_back({.label = row.unit.empty() ? row.field : row.field + " [" + row.unit + "]",
                    .reference = draw(row.reference, range, viridis),
                    .forecast = draw(row.forecast, range, viridis),
                    .error = draw(error, error_range, diverging),
                    .range = range,
                    .error_range = error_range});
    compared |= has_reference;
    label_width = std::max(label_width, text_width(rows.back().label, text_scale));
    for (const std::string& tick : ticks(range)) tick_width = std::max(tick_width, text_width(tick, text_scale));
    for (const std::string& tick : ticks(error_range))
      error_tick_width = std::max(error_tick_width, text_width(tick, text_scale));
  }

  const int bar_space = margin / 2 + bar_width + 9;
  const int reference_x = margin + label_width + margin;
  const int forecast_x = compared ? reference_x + width + margin : reference_x;
  const int bar_x = forecast_x + width + margin / 2;
  const int error_x = forecast_x + width + bar_space + tick_width + 2 * margin;
  const int error_bar_x = error_x + width + margin / 2;
  const int right =
      compared ? error_x + width + bar_space + error_tick_width : forecast_x + width + bar_space + tick_width;
  const int titles_y = margin + 3 * line_height / 2;
  const int first_y = titles_y + line_height;
  const std::string_view note = "x to the right, y upwards";
  Image image(std::max({right, reference_x + text_width(panels.title, text_scale),
                        reference_x + text_width(note, text_scale)}) +
                  margin,
              first_y + static_cast<int>(rows.size()) * (height + margin) + line_height);

  draw_text(image, reference_x, margin, panels.title, text_scale);
  if (compared) draw_centred(image, reference_x, titles_y, width, "reference");
  draw_centred(image, forecast_x, titles_y, width, "forecast");
  if (compared) draw_centred(image, error_x, titles_y, width, "error");
  int y = first_y;
  for (const Drawn& row : rows) {
    const auto place = [&](int x, const Image& part) {
      blit(image, x, y, part);
      outline(image, x, y, width, height, frame_colour);
    };
    draw_text(image, margin + label_width - text_width(row.label, text_scale),
              y + (height - text_height(text_scale)) / 2, row.label, text_scale);
    if (compared) place(reference_x, row.reference);
    place(forecast_x, row.forecast);
    draw_bar(image, bar_x, y, height, row.range, viridis);
    if (compared) {
      place(error_x, row.error);
      draw_bar(image, error_bar_x, y, height, row.error_range, diverging);
    }
    y += height + margin;
  }
  draw_text(image, reference_x, y, note, text_scale, note_colour);
  return image;
}

inline void write_panels(const std::filesystem::path& path, const Panels& panels) {
  write_png(path, draw_panels(panels));
}

}  // namespace fieldstep::io
