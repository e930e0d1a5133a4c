#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/atomic_file.hpp>
#include <fieldstep/io/detail/number_text.hpp>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Files for ParaView: one VTI (VTK image data, raw appended) a frame and a PVD that lists them with their times.
namespace fieldstep::io {

/// One array over the cells: one component for a scalar, two for a vector in the plane. Values are (height, width) with
/// x along height, as everywhere in fieldstep.
struct VtiArray {
  std::string name;
  std::vector<std::span<const float>> components;
};

struct VtiFrame {
  int height = 0, width = 0;
  double x0 = 0, y0 = 0, dx = 1, dy = 1;  ///< lower corner of the grid, size of a cell
  double time = 0;
  std::vector<VtiArray> arrays;
};

struct PvdEntry {
  double time = 0;
  std::string file;  ///< relative to the PVD
};

namespace detail {

inline std::string xml_text(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
  }
  return escaped;
}

}  // namespace detail

inline void write_vti(const std::filesystem::path& path, const VtiFrame& frame) {
  static_assert(std::endian::native == std::endian::little, "write_vti: the values are written as they lie in memory");
  using detail::number_text;
  const auto height = static_cast<std::size_t>(frame.height), width = static_cast<std::size_t>(frame.width);
  const std::size_t points = height * width;
  const auto stored_components = [](const VtiArray& array) { return array.components.size() == 1 ? 1u : 3u; };

  std::string scalars, vectors, arrays;
  std::uint64_t offset = 0;
  for (const VtiArray& array : frame.arrays) {
    if (array.components.empty() || array.components.size() > 2)
      fail_usage(path.string(), ": ", array.name, " has ", array.components.size(), " components, wanted 1 or 2");
    for (const auto& values : array.components)
      if (values.size() != points)
        fail_usage(path.string(), ": ", array.name, " has ", values.size(), " values, wanted ", points);
    const std::string name = detail::xml_text(array.name);
    const bool scalar = array.components.size() == 1;
    std::string& leading = scalar ? scalars : vectors;
    if (leading.empty()) leading = (scalar ? " Scalars=\"" : " Vectors=\"") + name + "\"";
    arrays += "        <DataArray type=\"Float32\" Name=\"" + name + "\"" +
              (scalar ? "" : " NumberOfComponents=\"3\"") + " format=\"appended\" offset=\"" + number_text(offset) +
              "\"/>\n";
    offset += sizeof(std::uint64_t) + stored_components(array) * points * sizeof(float);
  }
  const std::string extent = "0 " + number_text(frame.height) + " 0 " + number_text(frame.width) + " 0 0";

  AtomicFile file(path);
  file.write(
      "<?xml version=\"1.0\"?>\n"
      "<VTKFile type=\"ImageData\" version=\"1.0\" byte_order=\"LittleEndian\" header_type=\"UInt64\">\n"
      "  <ImageData WholeExtent=\"" +
      extent + "\" Origin=\"" + number_text(frame.x0) + " " + number_text(frame.y0) + " 0\" Spacing=\"" +
      number_text(frame.dx) + " " + number_text(frame.dy) +
      " 1\">\n"
      "    <FieldData><DataArray type=\"Float64\" Name=\"TimeValue\" NumberOfTuples=\"1\" format=\"ascii\">" +
      number_text(frame.time) +
      "</DataArray></FieldData>\n"
      "    <Piece Extent=\"" +
      extent +
      "\">\n"
      "      <PointData/>\n"
      "      <CellData" +
      scalars + vectors + ">\n" + arrays +
      "      </CellData>\n    </Piece>\n  </ImageData>\n  <AppendedData encoding=\"raw\">\n   _");
  for (const VtiArray& array : frame.arrays) {
    const std::size_t components = stored_components(array);
    std::vector<float> values(components * points, 0.0f);
    for (std::size_t y = 0; y < width; ++y)
      for (std::size_t x = 0; x < height; ++x)
        for (std::size_t c = 0; c < array.components.size(); ++c)
          values[(y * height + x) * components + c] = array.components[c][x * width + y];
    const std::uint64_t bytes = values.size() * sizeof(float);
    file.write(std::as_bytes(std::span(&bytes, 1)));
    file.write(std::as_bytes(std::span(values)));
  }
  file.write("\n  </AppendedData>\n</VTKFile>\n");
  file.commit();
}

inline void write_pvd(const std::filesystem::path& path, std::span<const PvdEntry> entries) {
  std::string text =
      "<?xml version=\"1.0\"?>\n<VTKFile type=\"Collection\" version=\"0.1\" byte_order=\"LittleEndian\">\n  "
      "<Collection>\n";
  for (const PvdEntry& entry : entries)
    text += "    <DataSet timestep=\"" + detail::number_text(entry.time) + "\" part=\"0\" file=\"" +
            detail::xml_text(entry.file) + "\"/>\n";
  write_text(path, text + "  </Collection>\n</VTKFile>\n");
}

}  // namespace fieldstep::io
