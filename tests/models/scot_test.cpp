#include <fieldstep/core/arena.hpp>
#include <fieldstep/models/scot.hpp>
#include <support/compare.hpp>
#include <support/manifest.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

struct Micro : models::ScotDefaults {
  static constexpr int embed_dim = 24, window = 4, out_channels = 2;
  static constexpr std::array depths{2, 2}, heads{2, 4}, skip_blocks{2, 0};
};
struct OddGrid : Micro {
  static constexpr int embed_dim = 12;
  static constexpr std::array skip_blocks{1, 0};
};
struct Clamp : OddGrid {
  static constexpr std::array depths{2, 1};
};
struct Unconditioned : Clamp {
  static constexpr bool use_conditioning = false;
};

/// A network with the weights and the input of a golden manifest.
template <class Net>
class GoldenCase {
 public:
  using Real = typename Net::Out::value_type;

  explicit GoldenCase(const std::string& name)
      : manifest_(std::string(FIELDSTEP_GOLDEN_DIR "/poseidon/") + name + ".json") {
    const auto params = manifest_.params();
    REQUIRE(params.size() == Net::table().size());
    for (std::size_t i = 0; i < params.size(); ++i) {
      const ParamEntry& entry = Net::table()[i];
      REQUIRE(params[i].name == entry.path.view());
      REQUIRE(std::ranges::equal(params[i].shape, entry.shape()));
      import_param(entry, synth(params[i].name, params[i].size(), params[i].offset, params[i].scale).data(),
                   arena_.data());
    }
    weights_ = bind<typename Net::Weights>(static_cast<const Real*>(arena_.data()));
    prepared_ = Net::prepare(weights_, {}, memory_.data());
    for (const auto& input : manifest_.json().at("inputs")) {
      if (input.at("arg") == "pixel_values") {
        const auto shape = input.at("shape").template get<std::vector<int>>();
        const auto values = smooth(input.at("name").template get<std::string>(), shape);
        x_.assign(values.begin(), values.end());
      } else if (input.at("arg") == "time") {
        for (const double t : input.at("values")) time_.push_back(static_cast<Real>(t));
      }
    }
  }

  int batch() const { return static_cast<int>(x_.size() / static_size<typename Net::In>()); }

  /// The result of samples [first, first + count); the workspace begins as NaN.
  Arena<Real> forward(const Exec& exec, int first, int count) const {
    const auto y = constant<Real>(static_cast<std::size_t>(count) * static_size<typename Net::Out>());
    const auto workspace = constant<Real>(Net::workspace_size);
    const Real* x = x_.data() + static_cast<std::size_t>(first) * static_size<typename Net::In>();
    Net::forward(exec, weights_, prepared_, typename Net::In(x, count), time_.data() + first,
                 typename Net::Out(y.data(), count), workspace.data());
    return y;
  }

  double error() const {
    return relative_l2(in_double(forward(Exec(), 0, batch())), manifest_.stored_tensor("output").values);
  }
  /// goldens/README.md: eight times the original's own error in float, which by luck may be small.
  double bound() const {
    return std::is_same_v<Real, double> ? 1e-9 : 8 * std::max(manifest_.outputs().at(0).ref_err, 2e-7);
  }

 private:
  Manifest manifest_;
  Arena<Real> arena_{Net::arena_size}, memory_{Net::prepared_size};
  typename Net::Weights weights_{};
  typename Net::Prepared prepared_{};
  std::vector<Real> x_, time_;
};

template <class Config, class Grid>
void check(const char* name) {
  INFO(name);
  const GoldenCase<models::ScOT<Config, Grid, float>> single(name);
  const GoldenCase<models::ScOT<Config, Grid, double>> exact(name);
  CHECK(single.error() < single.bound());
  CHECK(exact.error() < exact.bound());
}

}  // namespace

TEST_CASE("ScOT: the output agrees with the original in float and double", "[models][scot][golden]") {
  check<Micro, Grid<1, 32, 32, 3>>("micro");
  check<OddGrid, Grid<1, 28, 28, 2>>("oddgrid");  // 7x7 tokens: padded windows, merging and unmerging
  check<Clamp, Grid<1, 32, 32, 2>>("clamp");      // temperatures beyond their bound
  check<Unconditioned, Grid<1, 32, 32, 2>>("uncond");
}

TEST_CASE("ScOT: equal bits for one thread and two, one sample and a batch", "[models][scot][property]") {
  const GoldenCase<models::ScOT<OddGrid, Grid<1, 28, 28, 2>>> network("oddgrid");
  const auto together = network.forward(Exec(), 0, network.batch());
  CHECK(same_bits(together, network.forward(one_thread(), 0, network.batch())));
  for (int s = 0; s < network.batch(); ++s) {
    const auto alone = network.forward(Exec(), s, 1);
    CHECK(std::equal(alone.data(), alone.data() + alone.size(), together.data() + alone.size() * std::size_t(s)));
  }
}

TEST_CASE("ScOT: the published variants have the original's parameters and work", "[models][scot]") {
  using Pdes = Grid<1, 128, 128, 4>;
  static_assert(param_count(make_param_table<models::ScOT<models::PoseidonT, Pdes>::Params<float>>()) == 20'774'444);
  // The original computes the position biases in every step, 0.137 GFLOP that are made once here.
  CHECK(std::abs(models::ScOT<models::PoseidonT, Pdes>::flop(1) - (2.923e9 - 0.139e9)) < 2e6);
  CHECK(models::ScOT<models::PoseidonT, Pdes>::flop(4) == 4 * models::ScOT<models::PoseidonT, Pdes>::flop(1));
}

TEST_CASE("ScOT: PoseidonT agrees with the original at full size", "[models][scot][golden]") {
  const GoldenCase<models::ScOT<models::PoseidonT, Grid<1, 128, 128, 4>>> network("T_b1");
  CHECK(network.error() < network.bound());
}
