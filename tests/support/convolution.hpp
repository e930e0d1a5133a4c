#pragma once
#include <fieldstep/ops/conv_naive.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <algorithm>
#include <array>

namespace fieldstep::support {

/// A convolution that keeps the size of a field, at drawn numbers: y = conv(x) + bias, and its gradients at dy.
template <class Real, class Points_, int Kernel_, ops::Padding rule_, int In_, int Out_>
struct Convolution {
  using Points = Points_;
  static constexpr int Kernel = Kernel_, In = In_, Out = Out_;
  static constexpr ops::Padding rule = rule_;
  static constexpr int points = static_cast<int>(Points::size), samples = 3;
  static constexpr int taps = Points::rank == 1   ? Kernel
                              : Points::rank == 2 ? Kernel * Kernel
                                                  : Kernel * Kernel * Kernel;
  static constexpr int weights = Out * In * taps, x_size = samples * In * points, y_size = samples * Out * points;

  Arena<Real> x = drawn<Real>("x", x_size), dy = drawn<Real>("dy", y_size), weight = drawn<Real>("weight", weights),
              bias = drawn<Real>("bias", Out);

  /// y and dx, to be overwritten, and dweight and dbias, to be added to numbers that are there.
  struct Results {
    Arena<Real> all = constant<Real>(y_size + x_size + weights + Out);
    Real *y = all.data(), *dx = y + y_size, *dweight = dx + x_size, *dbias = dweight + weights;

    Results() { std::fill_n(dweight, weights + Out, Real(.5)); }
    Results(const Results &) = delete;
  };

  Arena<Real> naive() const {
    const Results r;
    const Real *from = x.data(), *w = weight.data(), *b = bias.data(), *g = dy.data();
    ops::conv_naive<Points, Kernel, rule>(Exec(), samples, In, Out, from, w, b, r.y);
    ops::conv_transposed_naive<Points, Kernel, rule>(Exec(), samples, In, Out, g, w, r.dx);
    ops::add_conv_gradient_naive<Points, Kernel, rule>(Exec(), samples, In, Out, from, g, r.dweight, r.dbias);
    return r.all;
  }

  /// From the definition, in double: the field is copied into a larger one, border and all.
  Numbers exact() const {
    constexpr int before = (Kernel - 1) / 2, rank = Points::rank;
    std::array<int, 3> n{1, 1, 1}, k{1, 1, 1};
    for (int a = 0; a < rank; ++a) {
      n[static_cast<std::size_t>(3 - rank + a)] = Points::extents[static_cast<std::size_t>(a)];
      k[static_cast<std::size_t>(3 - rank + a)] = Kernel;
    }
    const auto inside = [](int at, int count) {  // the point read at `at`, -1 for zero
      while (rule == ops::Padding::periodic && at < 0) at += count;
      while (rule == ops::Padding::periodic && at >= count) at -= count;
      if (at >= 0 && at < count) return at;
      return rule == ops::Padding::zero ? -1 : at < 0 ? 0 : count - 1;
    };
    const Results start;
    Numbers result = in_double(start.all);
    const auto at = [](const Arena<Real> &of, int i) { return static_cast<double>(of.data()[i]); };
    double *y = result.data(), *dx = y + y_size, *dweight = dx + x_size, *dbias = dweight + weights;
    std::fill_n(y, y_size + x_size, 0.);
    for (int s = 0; s < samples; ++s)
      for (int o = 0; o < Out; ++o)
        for (int p = 0; p < points; ++p) {
          const int out = (s * Out + o) * points + p;
          y[out] += at(bias, o);
          dbias[o] += at(dy, out);
          for (int c = 0; c < In; ++c)
            for (int t = 0; t < taps; ++t) {
              const int d = inside(p / (n[1] * n[2]) + t / (k[1] * k[2]) - (k[0] > 1 ? before : 0), n[0]);
              const int i = inside(p / n[2] % n[1] + t / k[2] % k[1] - (k[1] > 1 ? before : 0), n[1]);
              const int j = inside(p % n[2] + t % k[2] - before, n[2]);
              if (d < 0 || i < 0 || j < 0) continue;
              const int in = (s * In + c) * points + (d * n[1] + i) * n[2] + j, w = (o * In + c) * taps + t;
              y[out] += at(weight, w) * at(x, in);
              dx[in] += at(weight, w) * at(dy, out);
              dweight[w] += at(x, in) * at(dy, out);
            }
        }
    return result;
  }
};

}  // namespace fieldstep::support
