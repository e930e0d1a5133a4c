#pragma once
#include <fieldstep/core/arena.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/core/param_table.hpp>
#include <fieldstep/core/params.hpp>

#include <cmath>
#include <cstddef>
#include <string>

namespace fieldstep::support {

/// The network of trainax' goldens, plainly written: u -> conv(act(conv(u; l0)); l1), periodic, kernel 3, one channel,
/// 4 hidden ones, 16 points.
template <class Scalar>
class GoldenStepper {
 public:
  using Real = Scalar;
  static constexpr int N = 16, hidden = 4;

  template <class R>
  struct Layer0 {
    Tensor<R, hidden, 1, 3> weight{nullptr};
    Tensor<R, hidden, 1> bias{nullptr};
    using hana_accessors_impl = Fields<Field<"weight", &Layer0::weight>, Field<"bias", &Layer0::bias>>;
  };
  template <class R>
  struct Layer1 {
    Tensor<R, 1, hidden, 3> weight{nullptr};
    Tensor<R, 1, 1> bias{nullptr};
    using hana_accessors_impl = Fields<Field<"weight", &Layer1::weight>, Field<"bias", &Layer1::bias>>;
  };
  template <class R>
  struct Params {
    Layer0<R> l0;
    Layer1<R> l1;
    using hana_accessors_impl = Fields<Field<"l0", &Params::l0>, Field<"l1", &Params::l1>>;
  };
  static constexpr auto entries = make_param_table<Params<Real>>();

  GoldenStepper(int largest_batch, const std::string& activation)
      : largest_batch_(largest_batch),
        relu_(activation == "relu"),
        weights_(arena_count<Params<Real>>()),
        gradient_(weights_.size()),
        w_(bind<Params<Real>>(weights_.data())),
        dw_(bind<Params<Real>>(gradient_.data())),
        tape_(tape_size()) {
    if (!relu_ && activation != "tanh") fail("the stepper has no activation ", activation);
    clear_gradient();
  }

  std::size_t state_size() const { return N; }
  int largest_batch() const { return largest_batch_; }
  std::size_t tape_size() const { return static_cast<std::size_t>(largest_batch_ * hidden * N); }
  ParamTable table() const { return entries; }
  Real* weights() { return weights_.data(); }
  Real* gradient() { return gradient_.data(); }
  void clear_gradient() { std::fill_n(gradient_.data(), gradient_.size(), Real(0)); }
  void weights_changed() {}

  void forward(int samples, const Real* u, Real* next) { forward(samples, u, next, tape_.data()); }
  void forward(int samples, const Real* u, Real* next, Real* tape) {  // tape: the activations
    for (int s = 0; s < samples; ++s) {
      Real* y = tape + s * hidden * N;
      for (int h = 0; h < hidden; ++h)
        for (int i = 0; i < N; ++i) {
          Real sum = w_.l0.bias(h, 0);
          for (int k = 0; k < 3; ++k) sum += w_.l0.weight(h, 0, k) * u[s * N + neighbour(i, k)];
          y[h * N + i] = relu_ ? std::fmax(sum, Real(0)) : std::tanh(sum);
        }
      for (int i = 0; i < N; ++i) {
        Real sum = w_.l1.bias(0, 0);
        for (int h = 0; h < hidden; ++h)
          for (int k = 0; k < 3; ++k) sum += w_.l1.weight(0, h, k) * y[h * N + neighbour(i, k)];
        next[s * N + i] = sum;
      }
    }
  }

  void backward(int samples, const Real* u, const Real* tape, const Real* g, Real* du) {
    for (int i = 0; du && i < samples * N; ++i) du[i] = 0;
    for (int s = 0; s < samples; ++s) {
      for (int i = 0; i < N; ++i) {
        const Real gi = g[s * N + i];
        dw_.l1.bias(0, 0) += gi;
        for (int h = 0; h < hidden; ++h)
          for (int k = 0; k < 3; ++k) dw_.l1.weight(0, h, k) += gi * tape[(s * hidden + h) * N + neighbour(i, k)];
      }
      for (int h = 0; h < hidden; ++h)
        for (int i = 0; i < N; ++i) {
          const Real y = tape[(s * hidden + h) * N + i];
          Real dy = 0;
          for (int k = 0; k < 3; ++k) dy += w_.l1.weight(0, h, k) * g[s * N + neighbour(i, 2 - k)];
          const Real da = dy * (relu_ ? Real(y > 0) : 1 - y * y);
          dw_.l0.bias(h, 0) += da;
          for (int k = 0; k < 3; ++k) {
            dw_.l0.weight(h, 0, k) += da * u[s * N + neighbour(i, k)];
            if (du) du[s * N + neighbour(i, k)] += w_.l0.weight(h, 0, k) * da;
          }
        }
    }
  }

 private:
  static int neighbour(int i, int k) { return (i + k - 1 + N) % N; }

  int largest_batch_;
  bool relu_;
  Arena<Real> weights_, gradient_;
  Params<Real> w_, dw_;
  Arena<Real> tape_;
};

/// P(u)[i] = u[i] - c u[i]^p (u[i] - u[i-1]): `fou` and the coarse solver with p = 0, `burgers` with p = 1.
template <class Real>
struct GoldenReference {
  double c = .4;
  bool burgers = false;
  static constexpr int N = 16;

  static GoldenReference named(const std::string& name) {
    if (name == "fou") return {.4, false};
    if (name == "burgers") return {.25, true};
    if (name == "coarse") return {.2, false};
    fail("unknown reference stepper ", name);
  }

  void forward(int samples, const Real* u, Real* next) const {
    for (int j = 0; j < samples * N; ++j) {
      const Real d = u[j] - u[before(j)];
      next[j] = u[j] - static_cast<Real>(c) * (burgers ? u[j] : Real(1)) * d;
    }
  }
  void vjp(int samples, const Real* u, const Real* g, Real* du) const {
    for (int j = 0; j < samples * N; ++j) du[j] = g[j];
    for (int j = 0; j < samples * N; ++j) {
      const Real cg = static_cast<Real>(c) * g[j], left = u[before(j)];
      du[j] -= cg * (burgers ? 2 * u[j] - left : Real(1));
      du[before(j)] += cg * (burgers ? u[j] : Real(1));
    }
  }
  static int before(int j) { return j % N == 0 ? j + N - 1 : j - 1; }
};

/// ie_diffusion: n - p - 0.3 (n[i-1] - 2 n[i] + n[i+1]);  cn_burgers: n - p + 0.125 (n (n - n[i-1]) + p (p - p[i-1])).
template <class Real>
struct GoldenResiduum {
  bool burgers = false;
  static constexpr int N = 16;

  static GoldenResiduum named(const std::string& name) {
    if (name != "ie_diffusion" && name != "cn_burgers") fail("unknown residuum function ", name);
    return {name == "cn_burgers"};
  }

  void forward(int samples, const Real* next, const Real* prev, Real* r) const {
    for (int j = 0; j < samples * N; ++j) {
      const Real n = next[j], p = prev[j], nl = next[before(j)], pl = prev[before(j)], nr = next[after(j)];
      r[j] = n - p + (burgers ? Real(.125) * (n * (n - nl) + p * (p - pl)) : Real(-.3) * (nl - 2 * n + nr));
    }
  }
  void vjp(int samples, const Real* next, const Real* prev, const Real* g, Real* dnext, Real* dprev) const {
    for (int j = 0; j < samples * N; ++j) {
      const Real left = g[before(j)], right = g[after(j)];
      if (dnext)
        dnext[j] = g[j] + (burgers ? Real(.125) * (g[j] * (2 * next[j] - next[before(j)]) - right * next[after(j)])
                                   : Real(-.3) * (left - 2 * g[j] + right));
      if (dprev)
        dprev[j] = -g[j] +
                   (burgers ? Real(.125) * (g[j] * (2 * prev[j] - prev[before(j)]) - right * prev[after(j)]) : Real(0));
    }
  }
  static int before(int j) { return GoldenReference<Real>::before(j); }
  static int after(int j) { return j % N == N - 1 ? j - N + 1 : j + 1; }
};

}  // namespace fieldstep::support
