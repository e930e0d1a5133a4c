#pragma once
#include <fieldstep/core/exec.hpp>
#include <fieldstep/ops/vec.hpp>

#include <algorithm>
#include <complex>
#include <cstddef>
#include <unsupported/Eigen/FFT>
#include <vector>

// Another resolution of periodic fields, by cutting off or padding their Fourier series.
namespace fieldstep::ops {

/// The complex To x From matrix A with y = Re(A x A^T) for fields x (From, From) and y (To, To): forward transform,
/// the frequencies -n/2 ... n/2 - 1 of the smaller n, inverse transform. Written to `matrix` (2, From, To): the real
/// part, then the imaginary one, each transposed.
/// Source: Poseidon's ScOT._downsample and _upsample (scOT/model.py), which take the real part after both axes and do
/// not split the Nyquist frequency.
template <int From, int To, class Real>
void resampling_matrix(Real* matrix) {
  static_assert(From % 2 == 0 && To % 2 == 0, "resampling_matrix: both resolutions must be even");
  using Series = std::vector<std::complex<double>>;
  Eigen::FFT<double> fft;
  fft.SetFlag(Eigen::FFT<double>::Unscaled);
  for (int k = 0; k < From; ++k) {
    Series point(From), spectrum, kept(To), column;
    point[static_cast<std::size_t>(k)] = 1.0 / From;
    fft.fwd(spectrum, point);
    for (int f = 0; f < std::min(From, To) / 2; ++f) {
      kept[static_cast<std::size_t>(f)] = spectrum[static_cast<std::size_t>(f)];
      kept[static_cast<std::size_t>(To - 1 - f)] = spectrum[static_cast<std::size_t>(From - 1 - f)];
    }
    fft.inv(column, kept);
    for (int j = 0; j < To; ++j) {
      matrix[k * To + j] = static_cast<Real>(column[static_cast<std::size_t>(j)].real());
      matrix[(From + k) * To + j] = static_cast<Real>(column[static_cast<std::size_t>(j)].imag());
    }
  }
}

/// y = factor * Re(A x A^T) for every plane: x (planes, From, From), y (planes, To, To); matrix as resampling_matrix
/// leaves it.
template <int From, int To, class Exec, class Real>
void resample(const Exec& exec, int planes, const Real* matrix, const Real* x, Real* y, Real factor = 1) {
  constexpr int LF = lanes_for<Real>(From), LT = lanes_for<Real>(To);
  const Real *real = matrix, *imaginary = matrix + From * To;
  for_ranges(exec, planes * To, [=](int begin, int end) {
    alignas(64) Real re[From], im[From];  // a row of A x
    for (int row = begin; row < end; ++row) {
      const Real* plane = x + std::ptrdiff_t{row} / To * From * From;
      for (int c = 0; c < From; c += LF) {
        vec<Real, LF> sum_re{}, sum_im{};
        for (int k = 0; k < From; ++k) {
          const vec<Real, LF> v = load<LF>(plane + k * From + c);
          sum_re += real[k * To + row % To] * v;
          sum_im += imaginary[k * To + row % To] * v;
        }
        store<LF>(re + c, sum_re), store<LF>(im + c, sum_im);
      }
      for (int c = 0; c < To; c += LT) {
        vec<Real, LT> sum{};
        for (int k = 0; k < From; ++k)
          sum += re[k] * load<LT>(real + k * To + c) - im[k] * load<LT>(imaginary + k * To + c);
        store<LT>(y + std::ptrdiff_t{row} * To + c, sum * factor);
      }
    }
  });
}

/// Gradient of resample<From, To>: dx = Re(A^T dy A). The way back with its own matrix, resampling_matrix<To, From>,
/// for that one is B = (From / To) times the conjugate of A^T, and dy is real.
template <int From, int To, class Exec, class Real>
void resample_backward(const Exec& exec, int planes, const Real* way_back, const Real* dy, Real* dx) {
  constexpr double ratio = static_cast<double>(To) / From;
  resample<To, From>(exec, planes, way_back, dy, dx, static_cast<Real>(ratio * ratio));
}

/// resample, one thread a number, for any execution space: yardstick of the tests, and the device path.
template <int From, int To, class Exec, class Real>
void resample_naive(const Exec& exec, int planes, const Real* matrix, const Real* x, Real* y, Real factor = 1) {
  Kokkos::parallel_for(
      Kokkos::MDRangePolicy<Exec, Kokkos::Rank<2>>(exec, {0, 0}, {planes * To, To}), KOKKOS_LAMBDA(int row, int c) {
        const Real *plane = x + std::ptrdiff_t{row} / To * From * From, *imaginary = matrix + From * To;
        Real sum = 0;
        for (int l = 0; l < From; ++l) {
          Real re = 0, im = 0;
          for (int k = 0; k < From; ++k) {
            re += matrix[k * To + row % To] * plane[k * From + l];
            im += imaginary[k * To + row % To] * plane[k * From + l];
          }
          sum += re * matrix[l * To + c] - im * imaginary[l * To + c];
        }
        y[std::ptrdiff_t{row} * To + c] = sum * factor;
      });
}

}  // namespace fieldstep::ops
