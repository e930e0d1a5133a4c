#include <fieldstep/models/avit.hpp>

#include <catch2/catch_test_macros.hpp>
#include <string_view>

namespace {

using namespace fieldstep;
using Net = models::AViT<models::AvitTi, Grid<1, 32, 32, 1>>;

Init start_of(std::string_view path) {
  for (const ParamEntry& entry : Net::table())
    if (entry.path.view() == path) return entry.init;
  FAIL("no parameter " << path);
  return {};
}

}  // namespace

// The originals' laws: torch.nn's defaults, and what jax_mpp's initialisers come to for its kernels' shapes.
TEST_CASE("AViT: every weight starts by the law of its fan", "[models][avit][init]") {
  struct Law {
    std::string_view path;
    int torch, flax;
  };
  constexpr int q = 48, D = 192, S = 12;
  for (const Law& law :
       {Law{"space_bag.weight", S, q}, Law{"embed.in_proj.0.weight", 16 * q, 16 * q},
        Law{"embed.in_proj.6.weight", 4 * q, 4 * q}, Law{"blocks.3.spatial.input_head.weight", D, D},
        Law{"blocks.3.spatial.mlp.fc2.weight", 4 * D, 4 * D}, Law{"debed.out_kernel", 16 * S, 4 * S * q},
        Law{"debed.out_proj.0.weight", 4 * q, 4 * q}, Law{"debed.out_proj.3.weight", 4 * q, 4 * q}}) {
    INFO(law.path);
    const Init init = start_of(law.path);
    CHECK(init.law == Init::Law::weight);
    CHECK(init.fan_in == law.torch);
    CHECK(init.flax_fan_in == law.flax);
  }
  CHECK(start_of("debed.out_bias").fan_in == 16 * S);
  CHECK(start_of("blocks.0.temporal.gamma").value == 1e-6);
  CHECK(start_of("blocks.0.temporal.qnorm.weight").value == 1);
  const Init table = start_of("blocks.0.spatial.rel_pos_bias.relative_attention_bias.weight");
  CHECK(table.law == Init::Law::embedding);
  CHECK(table.flax_fan_in == 3);
}
