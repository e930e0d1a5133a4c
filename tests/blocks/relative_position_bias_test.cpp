#include <fieldstep/blocks/relative_position_bias.hpp>
#include <support/gradient.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

using namespace fieldstep;
using namespace fieldstep::support;
using blocks::Boundary;

namespace {

constexpr int heads = 2;
using Bias = blocks::RelativePositionBias<float, heads>;

const nlohmann::json& tables() {
  static const auto json = nlohmann::json::parse(std::ifstream(FIELDSTEP_GOLDEN_DIR "/mpp/rpb_tables.json"));
  return json;
}

}  // namespace

TEST_CASE("RelativePositionBias: the buckets of all distances are the original's",
          "[blocks][relative_position_bias][golden]") {
  int compared = 0;
  for (const auto& [delta, bucket] : tables().at("delta_to_bucket").items()) {
    INFO("distance " << delta);
    CHECK(Bias::bucket(std::stoi(delta)) == bucket.get<int>());
    ++compared;
  }
  CHECK(compared == 193);
}

TEST_CASE("RelativePositionBias: the buckets of open and periodic axes are the original's",
          "[blocks][relative_position_bias][golden]") {
  int compared = 0;
  for (const auto& [length_text, of_boundary] : tables().at("bucket").items())
    for (const auto& [boundary_text, table] : of_boundary.items()) {
      const int length = std::stoi(length_text);
      const auto boundary = static_cast<Boundary>(std::stoi(boundary_text));
      INFO("length " << length << ", boundary " << boundary_text);
      bool equal = true;
      for (int i = 0; i < length; ++i)
        for (int j = 0; j < length; ++j)
          equal = equal && Bias::bucket(Bias::distance(j - i, length, boundary)) ==
                               table[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)].get<int>();
      CHECK(equal);
      ++compared;
    }
  CHECK(compared == 30);
}

TEST_CASE("RelativePositionBias: wrapped distances are the shortest on even axes, off by one on odd ones",
          "[blocks][relative_position_bias]") {
  for (const int length : {2, 4, 8, 18})
    for (int delta = 1 - length; delta < length; ++delta) {
      const int wrapped = Bias::distance(delta, length, Boundary::periodic);
      CHECK(std::abs(wrapped) == std::min(std::abs(delta), length - std::abs(delta)));
    }
  CHECK(Bias::distance(-4, 7, Boundary::periodic) == 2);  // its image is 3
  CHECK(Bias::distance(-6, 7, Boundary::periodic) == 0);  // its image is 1
  CHECK(Bias::distance(2, 3, Boundary::periodic) == 0);
  CHECK(Bias::distance(0, 1, Boundary::periodic) == 0);
  CHECK(Bias::distance(-6, 7, static_cast<Boundary>(2)) == -6);  // anything but periodic is open
}

TEST_CASE("RelativePositionBias: its table holds the weight of every head's bucket",
          "[blocks][relative_position_bias]") {
  std::vector<float> weight(Bias::buckets * heads), bias(heads * 5 * 5);
  for (std::size_t i = 0; i < weight.size(); ++i) weight[i] = static_cast<float>(i);
  Bias::Weights w;
  w.weight = Tensor<const float, Bias::buckets, heads>(weight.data());
  Bias::table<5>(w, Boundary::open, bias.data());
  // Query 3, key 1 of head 1: distance -2, bucket 2; the other way round bucket 18.
  CHECK(bias[(1 * 5 + 3) * 5 + 1] == 2 * heads + 1);
  CHECK(bias[(1 * 5 + 1) * 5 + 3] == 18 * heads + 1);
  CHECK(bias[(0 * 5 + 2) * 5 + 2] == 0);
}

TEMPLATE_TEST_CASE_SIG("RelativePositionBias: its gradient agrees with central differences",
                       "[blocks][relative_position_bias][gradient]", ((int Length), Length), 1, 3, 7, 16, 40) {
  using Exact = blocks::RelativePositionBias<double, heads>;
  constexpr std::size_t count = heads * Length * Length;
  const Numbers dbias = in_double(drawn<double>("dbias", count)), weight(Exact::buckets * heads);
  for (const Boundary boundary : {Boundary::open, Boundary::periodic}) {
    const auto table = [&](const Numbers& v) {
      Numbers bias(count);
      Exact::table<Length>({Tensor<const double, Exact::buckets, heads>(v.data())}, boundary, bias.data());
      return bias;
    };
    Numbers dweight(weight.size(), -2);
    Exact::backward<Length>({Tensor<const double, Exact::buckets, heads>(weight.data())}, boundary, dbias.data(),
                            {Tensor<double, Exact::buckets, heads>(dweight.data())});
    Numbers expected = central_differences(table, weight, dbias);
    for (double& d : expected) d -= 2;  // what was there
    CHECK(relative_l2(dweight, expected) < 1e-12);
  }
}
