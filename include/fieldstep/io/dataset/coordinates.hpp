#pragma once
#include <fieldstep/io/dataset/description.hpp>
#include <fieldstep/io/hdf5.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

/// Axes of time and space that files give as lists of numbers.
namespace fieldstep::io {

/// The first `count` numbers of a coordinate axis (of the first sample where there is one a sample), or none.
inline std::vector<double> read_axis(const Hdf5File& file, const std::string& name, std::size_t count) {
  if (!file.contains(name)) return {};
  const Hdf5Dataset dataset = file.dataset(name);
  const std::size_t rank = dataset.shape().size();
  if (rank < 1 || rank > 2 || dataset.shape().back() < count || dataset.shape().front() == 0) return {};
  Hdf5Shape extent(rank, 1);
  extent.back() = count;
  const std::vector<float> values = dataset.read(Hdf5Shape(rank, 0), extent);
  if (!std::ranges::all_of(values, [](float v) { return std::isfinite(v); })) return {};
  return {values.begin(), values.end()};
}

/// The domain of cells with these centres; nothing where they are not equidistant.
inline std::optional<Domain> domain_of_centres(const std::vector<double>& x, const std::vector<double>& y) {
  const auto spacing = [](const std::vector<double>& centres) {
    if (centres.size() < 2) return 0.0;
    const double step = (centres.back() - centres.front()) / static_cast<double>(centres.size() - 1);
    for (std::size_t i = 1; i < centres.size(); ++i)
      if (std::abs(centres[i] - centres[i - 1] - step) > 1e-2 * step) return 0.0;
    return step;
  };
  const double dx = spacing(x), dy = spacing(y);
  if (!(dx > 0 && dy > 0)) return std::nullopt;
  return Domain{.x0 = x.front() - dx / 2, .y0 = y.front() - dy / 2, .dx = dx, .dy = dy};
}

}  // namespace fieldstep::io
