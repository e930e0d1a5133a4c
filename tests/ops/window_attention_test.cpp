#include <fieldstep/ops/window_attention.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int samples = 2;

/// Tokens of a grid and what attention in its windows needs.
template <class Real, int Rows, int Columns, int Window, int Heads, int Dim>
struct Case {
  using Windows = ops::WindowGrid<Rows, Columns, Window>;
  static constexpr int width = Heads * Dim, side = 2 * Window - 1, N = Windows::length;
  static constexpr std::size_t tokens = std::size_t{samples} * Rows * Columns;
  double largest_scale = 20;
  Arena<Real> qkv = drawn<Real>("qkv", tokens * 3 * width);
  Arena<Real> pad = [] {
    auto numbers = drawn<Real>("pad", 3 * width);
    std::fill_n(numbers.data() + width, width, Real(0));  // keys have no bias
    return numbers;
  }();
  Arena<Real> scale = drawn<Real>("scale", Heads, largest_scale / 2, largest_scale / 2);
  Arena<Real> bias = drawn<Real>("bias", std::size_t{Heads} * side * side, 8, 8);

  Arena<Real> fast(const Exec& exec, int shift) const {
    const auto out = constant<Real>(tokens * width);
    ops::window_attention<Rows, Columns, Window, Heads, Dim>(exec, samples, shift, qkv.data(), pad.data(), scale.data(),
                                                             bias.data(), out.data());
    return out;
  }
  Arena<Real> naive(int shift) const {
    const auto out = constant<Real>(tokens * width);
    ops::window_attention_naive<Rows, Columns, Window, Heads, Dim>(Exec(), samples, shift, qkv.data(), pad.data(),
                                                                   scale.data(), bias.data(), out.data());
    return out;
  }

  /// The original's way: pad, roll, cut into windows, attend with a mask, and all of it back.
  Numbers step_by_step(int shift) const {
    constexpr int height = Windows::down * Window, breadth = Windows::across * Window;
    Numbers out(tokens * width);
    for (int s = 0; s < samples; ++s) {
      const auto padded = [&](int y, int x, int channel) {
        if (y >= Rows || x >= Columns) return double(pad.data()[channel]);
        return double(qkv.data()[((std::size_t(s) * Rows + y) * Columns + x) * 3 * width + channel]);
      };
      const auto rolled = [&](int y, int x, int channel) {
        return padded((y + shift) % height, (x + shift) % breadth, channel);
      };
      const auto region = [&](int y, int x) {
        int regions[2] = {};
        for (int axis = 0; axis < 2; ++axis) {
          const int at = axis == 0 ? y : x, extent = axis == 0 ? height : breadth;
          if (shift > 0) regions[axis] = (at >= extent - Window) + (at >= extent - shift);
        }
        return 3 * regions[0] + regions[1];
      };
      for (int top = 0; top < height; top += Window)
        for (int left = 0; left < breadth; left += Window)
          for (int head = 0; head < Heads; ++head)
            for (int query = 0; query < N; ++query) {
              const int qy = top + query / Window, qx = left + query % Window;
              const auto norm = [&](int y, int x, int part) {
                double squares = 0;
                for (int c = 0; c < Dim; ++c) squares += std::pow(rolled(y, x, part * width + head * Dim + c), 2);
                return std::max(std::sqrt(squares), 1e-12);
              };
              Numbers score(N);
              double highest = -1e300, total = 0;
              for (int key = 0; key < N; ++key) {
                const int ky = top + key / Window, kx = left + key % Window;
                double dot = 0;
                for (int c = 0; c < Dim; ++c)
                  dot += rolled(qy, qx, head * Dim + c) * rolled(ky, kx, width + head * Dim + c);
                double& a = score[std::size_t(key)];
                a = dot / norm(qy, qx, 0) / norm(ky, kx, 1) * double(scale.data()[head]) +
                    double(bias.data()[(head * side + qy - ky + Window - 1) * side + qx - kx + Window - 1]);
                if (region(qy, qx) != region(ky, kx)) a -= 200;
                highest = std::max(highest, a);
              }
              for (double& a : score) total += a = std::exp(a - highest);
              const int y = (qy + shift) % height, x = (qx + shift) % breadth;
              if (y >= Rows || x >= Columns) continue;
              for (int c = 0; c < Dim; ++c) {
                double sum = 0;
                for (int key = 0; key < N; ++key)
                  sum += score[std::size_t(key)] / total *
                         rolled(top + key / Window, left + key % Window, 2 * width + head * Dim + c);
                out[((std::size_t(s) * Rows + y) * Columns + x) * width + head * Dim + c] = sum;
              }
            }
    }
    return out;
  }
};

template <int Rows, int Columns, int Window, int Heads, int Dim>
void check_case(int shift) {
  INFO(Rows << "x" << Columns << " window " << Window << " heads " << Heads << " of " << Dim << " shift " << shift);
  const Case<double, Rows, Columns, Window, Heads, Dim> exact;
  const auto reference = exact.step_by_step(shift);
  CHECK(relative_l2(in_double(exact.naive(shift)), reference) < rounding<double>);
  CHECK(relative_l2(in_double(exact.fast(Exec(), shift)), reference) < 2 * rounding<double>);  // of scores up to 36
  for (const double largest : {20., 100.}) {
    const Case<float, Rows, Columns, Window, Heads, Dim> single{.largest_scale = largest};
    const Case<double, Rows, Columns, Window, Heads, Dim> wide{.largest_scale = largest};
    const auto y = single.fast(Exec(), shift);
    CHECK(relative_l2(in_double(y), in_double(wide.naive(shift))) < rounding<float> * (largest > 50 ? 8 : 2));
    CHECK(same_bits(y, single.fast(one_thread(), shift)));
  }
}

}  // namespace

TEST_CASE("window_attention: the original's padding, roll, partition and mask, by indices alone", "[ops][attention]") {
  check_case<8, 8, 4, 2, 16>(0);
  check_case<8, 8, 4, 2, 16>(2);
  check_case<7, 7, 4, 2, 6>(0);      // padded
  check_case<7, 7, 4, 2, 6>(2);      // padded and shifted
  check_case<6, 12, 3, 3, 12>(1);    // not square
  check_case<4, 4, 4, 4, 32>(0);     // one window
  check_case<8, 8, 8, 2, 64>(0);     // wide heads
  check_case<32, 32, 16, 3, 16>(8);  // ScOT-T's first stage
  check_case<5, 9, 5, 1, 1>(2);
}

TEST_CASE("window_attention_naive: probabilities sum to one and are what keep multiplies", "[ops][attention]") {
  using Small = Case<double, 6, 6, 3, 2, 4>;
  const Small c;
  constexpr std::size_t count = std::size_t{samples} * Small::Windows::windows * 2 * Small::N * Small::N;
  const auto out = constant<double>(Small::tokens * Small::width), shown = constant<double>(count);
  const auto twice = constant<double>(count, 2), doubled = constant<double>(Small::tokens * Small::width);
  const auto run = [&](const Arena<double>& to, const double* keep, double* probabilities) {
    ops::window_attention_naive<6, 6, 3, 2, 4>(Exec(), samples, 1, c.qkv.data(), c.pad.data(), c.scale.data(),
                                               c.bias.data(), to.data(), keep, probabilities);
  };
  run(out, nullptr, shown.data());
  for (std::size_t row = 0; row < count; row += Small::N) {
    double total = 0;
    for (int n = 0; n < Small::N; ++n) total += shown.data()[row + std::size_t(n)];
    CHECK(std::abs(total - 1) < 1e-14);
  }
  run(doubled, twice.data(), nullptr);
  for (std::size_t i = 0; i < out.size(); ++i) CHECK(doubled.data()[i] == 2 * out.data()[i]);
}
