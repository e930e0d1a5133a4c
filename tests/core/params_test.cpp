#include <fieldstep/core/params.hpp>

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <string>
#include <vector>

using namespace fieldstep;

namespace {

template <class R>
struct Norm {
  Tensor<R, 5> weight{nullptr}, bias{nullptr};
  using hana_accessors_impl =
      Fields<Field<"weight", &Norm::weight, init_constant(1)>, Field<"bias", &Norm::bias, init_constant(0)>>;
};

template <class R>
struct Block {
  Norm<R> norm1;
  Packed<R, LinearLayout<5, 7>> projection;
  using hana_accessors_impl =
      Fields<Field<"norm1", &Block::norm1>, Field<"projection.weight", &Block::projection, init_weight(5)>>;
};

template <class R>
struct Net {
  std::array<Block<R>, 12> blocks;
  Tensor<R, 2, 3> table{nullptr};
  using hana_accessors_impl = Fields<Field<"blocks", &Net::blocks>, Field<"table", &Net::table, init_embedding(3)>>;
};

constexpr std::size_t block_count = 16 + 16 + aligned_count(Packed<float, LinearLayout<5, 7>>::stored_size);

}  // namespace

static_assert((ParamPath{} / "blocks" / 3 / "norm1" / "weight").view() == "blocks.3.norm1.weight");
static_assert((ParamPath{} / "blocks" / 11).view() == "blocks.11");
static_assert(aligned_count(0) == 0 && aligned_count(1) == 16 && aligned_count(16) == 16 && aligned_count(17) == 32);
static_assert(arena_count<Net<float>>() == 12 * block_count + 16);
static_assert(ParamLeaf<Tensor<float, 2>> && ParamLeaf<Packed<float, LinearLayout<5, 7>>> && !ParamLeaf<Norm<float>>);
static_assert(ParamArray<std::array<Norm<float>, 2>> && !ParamArray<Norm<float>>);

TEST_CASE("for_each_param: visits the leaves in the order of declaration", "[core][params]") {
  Net<float> net;
  std::vector<std::string> paths;
  for_each_param(net, [&](const ParamPath& path, auto&, Init) { paths.emplace_back(path.view()); });
  REQUIRE(paths.size() == 12 * 3 + 1);
  CHECK(paths[0] == "blocks.0.norm1.weight");
  CHECK(paths[1] == "blocks.0.norm1.bias");
  CHECK(paths[2] == "blocks.0.projection.weight");
  CHECK(paths[35] == "blocks.11.projection.weight");
  CHECK(paths[36] == "table");
}

TEST_CASE("for_each_param: hands each leaf its law of initial values", "[core][params]") {
  Net<float> net;
  std::vector<Init> laws;
  for_each_param(net, [&](const ParamPath&, auto&, Init init) { laws.push_back(init); });
  CHECK(laws[0].law == Init::Law::constant);
  CHECK(laws[0].value == 1);
  CHECK(laws[2].law == Init::Law::weight);
  CHECK(laws[2].fan_in == 5);
  CHECK(laws[36].law == Init::Law::embedding);
}

TEST_CASE("bind: leaves start at multiples of 64 bytes and do not overlap", "[core][params][property]") {
  constexpr std::size_t count = arena_count<Net<float>>();
  alignas(64) static float arena[count];
  auto net = bind<Net<float>>(arena);
  const float* end = arena;
  for_each_param(net, [&](const ParamPath& path, auto& leaf, Init) {
    INFO(path.view());
    CHECK(reinterpret_cast<std::uintptr_t>(leaf.data_handle()) % 64 == 0);
    CHECK(leaf.data_handle() >= end);
    end = leaf.data_handle() + stored_size<std::remove_cvref_t<decltype(leaf)>>();
  });
  CHECK(end <= arena + count);
}

TEST_CASE("bind: weights to read and weights to write share one layout", "[core][params]") {
  std::vector<float> arena(arena_count<Net<float>>());
  const auto writable = bind<Net<float>>(arena.data());
  const auto readable = bind<Net<const float>>(arena.data());
  writable.blocks[7].projection(4, 6) = 3.0f;
  writable.table(1, 2) = 4.0f;
  CHECK(readable.blocks[7].projection(4, 6) == 3.0f);
  CHECK(readable.table(1, 2) == 4.0f);
}
