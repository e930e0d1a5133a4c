#pragma once
#include <fieldstep/core/error.hpp>
#include <fieldstep/ops/spectrum.hpp>

#include <charconv>
#include <cmath>
#include <complex>
#include <cstddef>
#include <limits>
#include <numbers>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fieldstep::train {

/// Shape of a state, (channels, points of every axis), on a box with sides of one length.
struct FieldShape {
  int channels;
  std::vector<int> axes;
  double extent = 1;  ///< length of a side

  std::size_t points() const {
    std::size_t product = 1;
    for (const int n : axes) product *= static_cast<std::size_t>(n);
    return product;
  }
  std::size_t size() const { return static_cast<std::size_t>(channels) * points(); }
  double cell() const {
    double volume = 1;
    for (const int n : axes) volume *= extent / n;
    return volume;
  }
};

/// How far a forecast is from its reference, by the names that APEBench's users know:
///   [n|s]MAE, [n|s]MSE, [n|s]RMSE        h sum |d|, h sum d^2, sqrt(h sum d^2), h the volume of a cell;
///                                        n: divided by that of the reference, s: 2 A(d) / (A(forecast) + A(reference))
///   fourier_[n]MAE, ...[/lowL_highH[_dO]]  the same of the Fourier coefficients with max |k| in [L, H], of the O-th
///                                        derivatives along every axis
///   H1_[n]MAE, ...                       the fourier_ one plus that of the first derivatives
///   correlation                          of forecast and reference
///   VRMSE                                sqrt(mean d^2 / (variance + 1e-7)), as the Well has it
///   cRMSE, bRMSE                         of the mean over the box (conserved quantities), of the outermost points, as
///                                        PDEBench has them
/// Sums go over channels, which are measured one by one; of the last four lines the mean is taken. "mean_" before a
/// name, which says that samples are averaged, changes nothing.
/// Source: exponax.metrics; spec of Fourier metrics there: coefficients below 1e-5 count as zero.
class Metric {
 public:
  /// Throws a sentence where there is no metric of that name.
  explicit Metric(std::string_view name) : name_(name) {
    std::string_view rest = name;
    take(rest, "mean_");
    if (rest == "correlation" || rest == "VRMSE" || rest == "cRMSE" || rest == "bRMSE") {
      kind_ = rest == "correlation" ? Kind::correlation
              : rest == "VRMSE"     ? Kind::variance
              : rest == "cRMSE"     ? Kind::conserved
                                    : Kind::boundary;
      return;
    }
    kind_ = take(rest, "fourier_") ? Kind::fourier : take(rest, "H1_") ? Kind::sobolev : Kind::points;
    if (take(rest, "n"))
      relative_ = Relative::to_reference;
    else if (kind_ == Kind::points && take(rest, "s"))
      relative_ = Relative::symmetric;
    power_ = take(rest, "MAE") ? 1 : 2;
    root_ = power_ == 2 && take(rest, "RMSE");
    if (power_ == 2 && !root_ && !take(rest, "MSE")) refuse();
    if (kind_ == Kind::fourier && take(rest, "/low")) {
      low_ = number(rest);
      if (!take(rest, "_high")) refuse();
      high_ = number(rest);
      if (take(rest, "_d")) order_ = number(rest);
    }
    if (!rest.empty()) refuse();
  }

  const std::string& name() const { return name_; }

  /// Of one sample. Without a reference, null, the forecast itself is measured; relative ones need one.
  template <class Real>
  double operator()(const FieldShape& shape, const Real* forecast, const Real* reference) const {
    if (!reference && (relative_ != Relative::no || kind_ > Kind::sobolev))
      fail_usage("metric ", name_, ": there is no reference, wanted one");
    double sum = 0;
    const std::size_t points = shape.points();
    for (int c = 0; c < shape.channels; ++c) {
      const std::size_t first = static_cast<std::size_t>(c) * points;
      const std::vector<double> u(forecast + first, forecast + first + points);
      const std::vector<double> ref = reference ? std::vector<double>(reference + first, reference + first + points)
                                                : std::vector<double>(points, 0.);
      sum += of_channel(shape, u, ref);
    }
    return kind_ > Kind::sobolev ? sum / shape.channels : sum;
  }

  /// Mean over the samples of a batch, (samples, state).
  template <class Real>
  double mean(const FieldShape& shape, int samples, const Real* forecast, const Real* reference) const {
    double sum = 0;
    for (int s = 0; s < samples; ++s) {
      const std::size_t at = static_cast<std::size_t>(s) * shape.size();
      sum += (*this)(shape, forecast + at, reference ? reference + at : nullptr);
    }
    return sum / samples;
  }

 private:
  enum class Kind { points, fourier, sobolev, correlation, variance, conserved, boundary };
  enum class Relative { no, to_reference, symmetric };
  using Numbers = std::vector<double>;

  [[noreturn]] void refuse() const {
    fail_usage("metric \"", name_,
               "\": wanted one of [n|s]MAE, [n|s]MSE, [n|s]RMSE, fourier_[n]MAE|MSE|RMSE[/lowL_highH[_dO]], "
               "H1_[n]MAE|MSE|RMSE, correlation, VRMSE, cRMSE, bRMSE");
  }
  static bool take(std::string_view& from, std::string_view word) {
    if (!from.starts_with(word)) return false;
    from.remove_prefix(word.size());
    return true;
  }
  int number(std::string_view& from) const {
    int value = 0;
    const auto [end, error] = std::from_chars(from.data(), from.data() + from.size(), value);
    if (error != std::errc()) refuse();
    from.remove_prefix(static_cast<std::size_t>(end - from.data()));
    return value;
  }

  double of_channel(const FieldShape& shape, const Numbers& u, const Numbers& ref) const {
    Numbers d = u;
    for (std::size_t i = 0; i < d.size(); ++i) d[i] -= ref[i];
    switch (kind_) {
      case Kind::points:
        return related(
            size_of(shape, d), [&] { return size_of(shape, ref); }, [&] { return size_of(shape, u); });
      case Kind::fourier:
        return spectral(shape, d, ref, order_);
      case Kind::sobolev:
        return spectral(shape, d, ref, 0) + spectral(shape, d, ref, 1);
      case Kind::correlation:
        return dot(u, ref) / std::sqrt(dot(u, u) * dot(ref, ref));
      case Kind::variance:
        return std::sqrt(dot(d, d) / count(d) / (variance(ref) + 1e-7));
      case Kind::conserved:
        return std::abs(total(d)) / count(d);
      case Kind::boundary:
        break;
    }
    return boundary_error(shape, d);
  }

  double related(double error, const auto& of_reference, const auto& of_forecast) const {
    if (relative_ == Relative::to_reference) return error / of_reference();
    if (relative_ == Relative::symmetric) return 2 * error / (of_forecast() + of_reference());
    return error;
  }
  double spectral(const FieldShape& shape, const Numbers& d, const Numbers& ref, int order) const {
    return related(
        spectral_size(shape, d, order), [&] { return spectral_size(shape, ref, order); }, [] { return 0.; });
  }

  double size_of(const FieldShape& shape, const Numbers& x) const {
    double sum = 0;
    for (const double v : x) sum += power_ == 1 ? std::abs(v) : v * v;
    return root_ ? std::sqrt(shape.cell() * sum) : shape.cell() * sum;
  }

  /// Of the derivatives along every axis in turn; of the field itself where order = 0.
  double spectral_size(const FieldShape& shape, const Numbers& x, int order) const {
    const std::vector<std::complex<double>> spectrum = ops::real_spectrum(shape.axes, x.data());
    const std::size_t rank = shape.axes.size();
    const int last = shape.axes.back(), half = last / 2 + 1;
    double all = 0;
    for (std::size_t axis = 0; axis < (order > 0 ? rank : 1); ++axis) {
      double sum = 0;
      for (std::size_t i = 0; i < spectrum.size(); ++i) {
        std::size_t rest = i;
        int largest = 0, along = 0;
        for (std::size_t a = rank; a-- > 0;) {
          const int n = a + 1 == rank ? half : shape.axes[a];
          int k = static_cast<int>(rest % static_cast<std::size_t>(n));
          rest /= static_cast<std::size_t>(n);
          if (a + 1 < rank && k > n / 2) k -= n;
          if (a + 1 < rank && 2 * k == n) k = -k;
          largest = std::max(largest, std::abs(k));
          if (a == axis) along = k;
        }
        if (largest < low_ || largest > high_) continue;
        double c = std::abs(spectrum[i]);
        if (c < 1e-5) continue;
        c *= std::pow(2 * std::numbers::pi * std::abs(along) / shape.extent, order);
        const int column = static_cast<int>(i % static_cast<std::size_t>(half));
        const double twice = column == 0 || 2 * column == last ? 1 : 2;  // its complex conjugate is not stored
        sum += twice * (power_ == 1 ? c : c * c) / static_cast<double>(shape.points());
      }
      all += root_ ? std::sqrt(shape.cell() * sum) : shape.cell() * sum;
    }
    return all;
  }

  static double boundary_error(const FieldShape& shape, const Numbers& d) {
    double sum = 0, faces = 0;
    for (std::size_t axis = 0; axis < shape.axes.size(); ++axis) {
      std::size_t stride = 1;
      for (std::size_t a = axis + 1; a < shape.axes.size(); ++a) stride *= static_cast<std::size_t>(shape.axes[a]);
      const auto n = static_cast<std::size_t>(shape.axes[axis]);
      for (std::size_t i = 0; i < d.size(); ++i)
        if (const std::size_t place = i / stride % n; place == 0 || place == n - 1) sum += d[i] * d[i];
      faces += 2 * static_cast<double>(d.size() / n);
    }
    return std::sqrt(sum / faces);
  }

  static double count(const Numbers& x) { return static_cast<double>(x.size()); }
  static double total(const Numbers& x) {
    double sum = 0;
    for (const double v : x) sum += v;
    return sum;
  }
  static double dot(const Numbers& x, const Numbers& y) {
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
    return sum;
  }
  static double variance(const Numbers& x) {  // with n - 1
    const double mean = total(x) / count(x);
    double sum = 0;
    for (const double v : x) sum += (v - mean) * (v - mean);
    return sum / (count(x) - 1);
  }

  std::string name_;
  Kind kind_ = Kind::points;
  Relative relative_ = Relative::no;
  int power_ = 2;
  bool root_ = false;
  int low_ = 0, high_ = std::numeric_limits<int>::max(), order_ = 0;
};

}  // namespace fieldstep::train
