#pragma once
#include <complex>
#include <cstddef>
#include <span>
#include <unsupported/Eigen/FFT>
#include <vector>

namespace fieldstep::ops {

/// Coefficients of the real discrete Fourier transform of a field with any number of axes of any length, not scaled:
/// the last axis holds frequencies 0 ... N/2, the others 0 ... N/2, -N/2 + 1 ... -1 as numpy.fft.rfftn leaves them.
///   field: (shape), row-major
template <class Real>
std::vector<std::complex<double>> real_spectrum(std::span<const int> shape, const Real* field) {
  using Line = std::vector<std::complex<double>>;
  Eigen::FFT<double> fft;
  const auto extent = [&](std::size_t axis) { return static_cast<std::size_t>(shape[axis]); };
  std::size_t rows = 1;
  for (std::size_t a = 0; a + 1 < shape.size(); ++a) rows *= extent(a);
  const std::size_t points = extent(shape.size() - 1), half = points / 2 + 1;

  Line spectrum(rows * half), line, transformed;
  for (std::size_t r = 0; r < rows; ++r) {
    line.assign(field + r * points, field + (r + 1) * points);
    fft.fwd(transformed, line);
    std::copy_n(transformed.begin(), half, spectrum.begin() + static_cast<std::ptrdiff_t>(r * half));
  }
  std::size_t stride = half;  // between neighbours along an axis
  for (std::size_t a = shape.size() - 1; a-- > 0; stride *= extent(a)) {
    const std::size_t n = extent(a);
    line.resize(n);
    for (std::size_t first = 0; first < spectrum.size(); first += n * stride)
      for (std::size_t inner = first; inner < first + stride; ++inner) {
        for (std::size_t i = 0; i < n; ++i) line[i] = spectrum[inner + i * stride];
        fft.fwd(transformed, line);
        for (std::size_t i = 0; i < n; ++i) spectrum[inner + i * stride] = transformed[i];
      }
  }
  return spectrum;
}

}  // namespace fieldstep::ops
