#include <fieldstep/models/avit.hpp>
#include <support/avit_case.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;
using models::Boundary;

namespace {

constexpr double bound = golden_bound<double>(0, true);

struct Micro : models::AvitDefaults {
  static constexpr int states = 5, embed_dim = 24, heads = 2, blocks = 2;
};
struct FlaxEps : Micro {
  static constexpr double layer_norm_eps = 1e-6;
};
/// Panels with a single vector at their end, positions that leave rows over in every tile.
struct Odd : models::AvitDefaults {
  static constexpr int embed_dim = 32, heads = 4, blocks = 2;
};

}  // namespace

TEMPLATE_TEST_CASE_SIG("AViT: folded and pruned it computes what the original does, on any grid",
                       "[models][avit][property]",
                       ((int Frames, int Height, int Width, int Fields), Frames, Height, Width, Fields), (3, 32, 48, 2),
                       (1, 16, 32, 1), (2, 48, 16, 4)) {
  using Case = AvitCase<Micro, Grid<Frames, Height, Width, Fields>, double>;
  for (const Boundary along_x : {Boundary::open, Boundary::periodic})
    for (const Boundary along_y : {Boundary::open, Boundary::periodic}) {
      const Case net({.along_x = along_x, .along_y = along_y});
      const Numbers exact = net.reference(2);
      CHECK(relative_l2(in_double(net.forward(Exec(), 2)), exact) < bound);
    }
}

TEST_CASE("AViT: labels may repeat and count from the end", "[models][avit]") {
  using Case = AvitCase<Micro, Grid<2, 48, 16, 4>, double>;
  for (const std::vector<int>& labels : {std::vector{-1, -1, 4, 0}, {2, 2, 2, 2}, {-5, 3, 1, 0}}) {
    const Case net({.labels = labels});
    const Numbers exact = net.reference(1);
    CHECK(relative_l2(in_double(net.forward(Exec(), 1)), exact) < bound);
  }
  const Case net({.labels = {-1, -5, 3, 1}}), same({.labels = {4, 0, 3, 1}});
  CHECK(same_bits(net.forward(Exec(), 1), same.forward(Exec(), 1)));
}

TEST_CASE("AViT: the configuration's layer norm eps is used", "[models][avit]") {
  using Frames = Grid<2, 48, 16, 4>;
  const AvitCase<FlaxEps, Frames, double> flax({});
  const AvitCase<Micro, Frames, double> torch({});
  CHECK(relative_l2(in_double(flax.forward(Exec(), 1)), flax.reference(1)) < bound);
  CHECK(relative_l2(in_double(flax.forward(Exec(), 1)), torch.reference(1)) > 10 * bound);
}

TEST_CASE("AViT: in float to float's rounding, with the same bits from any threads and in any batch",
          "[models][avit][property]") {
  using Case = AvitCase<Odd, Grid<3, 48, 80, 3>, float>;
  const Case net({.labels = {0, 3, 5}});
  const auto y = net.forward(Exec(), 4);
  CHECK(relative_l2(in_double(y), net.reference(4)) < 5e-6);
  CHECK(same_bits(y, net.forward(one_thread(), 4)));
  CHECK(same_bits(y, net.forward(Exec(), 4)));
  for (int b = 0; b < 4; ++b) {
    const auto alone = net.forward(Exec(), 1, b);
    CHECK(std::equal(alone.data(), alone.data() + alone.size(), y.data() + static_cast<std::size_t>(b) * alone.size()));
  }
}

TEST_CASE("AViT: a shifted and scaled input gives the shifted and scaled result", "[models][avit][property]") {
  // Every field is normalised, so units do not matter: y(a x + b) = a y(x) + b but for the eps of 1e-7.
  using Case = AvitCase<Micro, Grid<2, 48, 16, 4>, double>;
  const Case net({});
  const auto x = net.input(1), scaled = net.input(1);
  for (std::size_t i = 0; i < x.size(); ++i) scaled.data()[i] = 50 * x.data()[i] - 7;
  Numbers expected = in_double(net.forward(Exec(), 1, x));
  for (double& v : expected) v = 50 * v - 7;
  CHECK(relative_l2(in_double(net.forward(Exec(), 1, scaled)), expected) < 1e-5);
}

TEST_CASE("AViT: a constant field stays finite", "[models][avit]") {
  using Case = AvitCase<Micro, Grid<2, 48, 16, 4>, double>;
  const Case net({});
  const auto x = net.input(1);
  for (int t = 0; t < 2; ++t) std::fill_n(x.data() + (t * 4 + 1) * 48 * 16, 48 * 16, 3.);
  for (const double v : in_double(net.forward(Exec(), 1, x))) CHECK(std::isfinite(v));
}

TEST_CASE("AViT: wrong labels are refused in one sentence", "[models][avit][errors]") {
  using Case = AvitCase<Micro, Grid<1, 16, 32, 1>, double>;
  const auto message = [](std::vector<int> labels) -> std::string {
    try {
      const Case net({.labels = std::move(labels)});
    } catch (const Error& error) {
      CHECK(error.fault() == Fault::usage);
      return error.what();
    }
    return "";
  };
  CHECK(message({0, 1}) == "labels: found 2, wanted one for each of the 1 fields");
  CHECK(message({5}) == "labels: found 5, wanted -5 to 4");
  CHECK(message({-6}) == "labels: found -6, wanted -5 to 4");
  CHECK(message({-5}).empty());
}
