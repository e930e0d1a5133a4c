#include <fieldstep/ops/frame.hpp>
#include <support/gradient.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <vector>

using namespace fieldstep;
using namespace fieldstep::support;
using ops::Frame;
using ops::Padding;

namespace {

/// A framed image whose points are drawn and whose frame begins as NaN, closed line by line.
template <class F>
Numbers closed(const Numbers& field, int channels) {
  Numbers image(static_cast<std::size_t>(F::size * channels), std::numeric_limits<double>::quiet_NaN());
  for (int line = 0; line < F::lines; ++line) {
    std::copy_n(field.data() + line * F::columns * channels, F::columns * channels,
                image.data() + F::pixel(line) * channels);
    F::close_line(image.data(), line, channels);
  }
  return image;
}

}  // namespace

TEST_CASE("Frame: what is read outside of a line", "[ops][frame]") {
  const Numbers field{1, 2, 3};
  CHECK(closed<Frame<Shape<3>, 2, 1, Padding::periodic>>(field, 1) == Numbers{2, 3, 1, 2, 3, 1});
  CHECK(closed<Frame<Shape<3>, 2, 1, Padding::zero>>(field, 1) == Numbers{0, 0, 1, 2, 3, 0});
  CHECK(closed<Frame<Shape<3>, 1, 2, Padding::replicate>>(field, 1) == Numbers{1, 1, 2, 3, 3, 3});
  CHECK(closed<Frame<Shape<1>, 2, 2, Padding::periodic>>({4, 5}, 2) == Numbers{4, 5, 4, 5, 4, 5, 4, 5, 4, 5});
}

TEST_CASE("Frame: what is read outside of a plane", "[ops][frame]") {
  const Numbers field{1, 2,  //
                      3, 4};
  CHECK(closed<Frame<Shape<2, 2>, 1, 1, Padding::periodic>>(field, 1) == Numbers{4, 3, 4, 3,  //
                                                                                 2, 1, 2, 1,  //
                                                                                 4, 3, 4, 3,  //
                                                                                 2, 1, 2, 1});
  CHECK(closed<Frame<Shape<2, 2>, 0, 1, Padding::zero>>(field, 1) == Numbers{1, 2, 0,  //
                                                                             3, 4, 0,  //
                                                                             0, 0, 0});
  CHECK(closed<Frame<Shape<2, 2>, 1, 0, Padding::replicate>>(field, 1) == Numbers{1, 1, 2,  //
                                                                                  1, 1, 2,  //
                                                                                  3, 3, 4});
}

// <close(field), image> = <field, gather(image)>
TEMPLATE_TEST_CASE("Frame: gather_line is the adjoint of close_line", "[ops][frame][property]",
                   (Frame<Shape<5>, 1, 2, Padding::replicate>), (Frame<Shape<4, 3>, 2, 2, Padding::replicate>),
                   (Frame<Shape<2, 3>, 3, 3, Padding::periodic>), (Frame<Shape<3, 2, 4>, 1, 2, Padding::replicate>),
                   (Frame<Shape<2, 2, 2>, 2, 1, Padding::periodic>)) {
  constexpr int channels = 3, line_size = TestType::columns * channels;
  const Numbers field = in_double(drawn<double>("field", TestType::lines * line_size));
  const Numbers in_frame = closed<TestType>(field, channels);
  Numbers image = in_double(drawn<double>("image", in_frame.size()));
  const double expected = dot(in_frame, image);
  double found = 0;
  for (int line = 0; line < TestType::lines; ++line) TestType::gather_line(image.data(), line, channels);
  for (int line = 0; line < TestType::lines; ++line)
    found +=
        dot({field.data() + line * line_size, line_size}, {image.data() + TestType::pixel(line) * channels, line_size});
  CHECK(std::abs(found - expected) < 1e-13 * static_cast<double>(image.size()));
}
