#include <fieldstep/ops/framed_conv.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

constexpr int samples = 3;

template <class Real, class Image>
struct Convolution {
  static constexpr std::size_t size = samples * Image::size;
  Arena<Real> x = drawn<Real>("x", size), dy = drawn<Real>("dy", size), weight = drawn<Real>("weight", Image::weights);
  Arena<Real> framed_x = framed(x), framed_dy = framed(dy);
  Arena<Real> scratch = constant<Real>(ops::framed_conv_scratch_size<Image>(samples));

  static Arena<Real> framed(const Arena<Real>& image) {
    const auto frame = constant<Real>(samples * Image::framed_size);
    const Real* from = image.data();
    Image::frame(Exec(), samples, frame.data(),
                 [=](int line, Real* to) { std::copy_n(from + line * Image::Columns, Image::Columns, to); });
    return frame;
  }

  /// y, dx and dweight one after the other, the last added to numbers that were there.
  Arena<Real> fast(const Exec& exec) const {
    const auto result = before();
    Real *y = result.data(), *dx = y + size, *dweight = dx + size;
    ops::framed_conv<Image>(exec, samples, constant_of(framed_x), weight.data(), y);
    ops::framed_conv_transposed<Image>(exec, samples, constant_of(framed_dy), weight.data(), dx);
    ops::add_framed_conv_gradient<Image>(exec, samples, constant_of(framed_x), dy.data(), dweight, scratch.data());
    return result;
  }
  Arena<Real> naive() const {
    const auto result = before();
    Real *y = result.data(), *dx = y + size, *dweight = dx + size;
    ops::framed_conv_naive<Image>(Exec(), samples, constant_of(framed_x), weight.data(), y);
    ops::framed_conv_transposed_naive<Image>(Exec(), samples, constant_of(framed_dy), weight.data(), dx);
    ops::add_framed_conv_gradient_naive<Image>(Exec(), samples, constant_of(framed_x), dy.data(), dweight);
    return result;
  }

  /// From the definition, without a frame.
  Numbers exact() const {
    constexpr int C = Image::Channels, K = Image::Kernel;
    Numbers result = in_double(before());
    std::fill_n(result.begin(), 2 * size, 0.);
    const auto at = [](int s, int c, int i, int j) {
      return static_cast<std::size_t>(((s * C + c) * Image::Rows + i) * Image::Columns + j);
    };
    for (int s = 0; s < samples; ++s)
      for (int o = 0; o < C; ++o)
        for (int c = 0; c < C; ++c)
          for (int i = 0; i < Image::Rows; ++i)
            for (int j = 0; j < Image::Columns; ++j)
              for (int a = 0; a < K; ++a)
                for (int b = 0; b < K; ++b) {
                  const int row = i + a - K / 2, column = j + b - K / 2;
                  if (row < 0 || row >= Image::Rows || column < 0 || column >= Image::Columns) continue;
                  const auto w = static_cast<std::size_t>(((o * C + c) * K + a) * K + b);
                  const std::size_t out = at(s, o, i, j), in = at(s, c, row, column);
                  const auto number = [](const Arena<Real>& of, std::size_t i_) {
                    return static_cast<double>(of.data()[i_]);
                  };
                  result[out] += number(weight, w) * number(x, in);
                  result[size + in] += number(weight, w) * number(dy, out);
                  result[2 * size + w] += number(x, in) * number(dy, out);
                }
    return result;
  }

 private:
  static const Real* constant_of(const Arena<Real>& numbers) { return numbers.data(); }
  static Arena<Real> before() {
    const auto result = constant<Real>(2 * size + Image::weights);
    std::fill_n(result.data() + 2 * size, Image::weights, Real(.5));
    return result;
  }
};

}  // namespace

// Columns of whole registers, of two, and that no vector divides; more lines than are summed together; images smaller
// than the kernel; one channel, and numbers of them that no block of outputs divides.
TEMPLATE_TEST_CASE_SIG(
    "framed_conv: forward and gradients agree with the sums they stand for; equal bits for any threads",
    "[ops][framed_conv][property]",
    ((int Channels, int Rows, int Columns, int Kernel), Channels, Rows, Columns, Kernel), (4, 33, 32, 5),
    (1, 20, 16, 5), (3, 7, 13, 3), (6, 2, 3, 5), (5, 17, 48, 1)) {
  using Image = ops::FramedImage<Channels, Rows, Columns, Kernel>;
  const Convolution<double, Image> wide;
  const Numbers exact = wide.exact();
  CHECK(relative_l2(in_double(wide.fast(Exec())), exact) < rounding<double>);
  CHECK(relative_l2(in_double(wide.naive()), exact) < rounding<double>);
  const Convolution<float, Image> single;
  const auto fast = single.fast(Exec());
  CHECK(relative_l2(in_double(fast), exact) < rounding<float>);
  CHECK(relative_l2(in_double(single.naive()), exact) < rounding<float>);
  CHECK(same_bits(fast, single.fast(one_thread())));
}
