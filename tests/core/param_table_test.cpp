#include <fieldstep/core/param_table.hpp>

#include <algorithm>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <numeric>
#include <vector>

using namespace fieldstep;

namespace {

/// What a layout of MPP's attention asks for: q, k, v of each head interleaved in the original, part by part here.
template <int Heads, int Width, int In>
using QkvLayout = MatrixLayout<Shape<Heads * 3 * Width, In>, Shape<Heads, 3, Width, In>, Axes<1, 0, 2>, Axes<3>>;

/// A convolution (out, in, height, width) as a product over (height, width, in).
template <int In, int Out, int Size>
using ConvLayout = MatrixLayout<Shape<Out, In, Size, Size>, Shape<Out, In, Size, Size>, Axes<0>, Axes<2, 3, 1>>;

template <class R>
struct Tree {
  Tensor<R, 5> bias{nullptr};
  Packed<R, LinearLayout<6, 70>> linear;
  Packed<R, QkvLayout<2, 4, 6>> qkv;
  Packed<R, ConvLayout<3, 5, 2>> conv;
  Tensor<R, 2, 3> table{nullptr};
  using hana_accessors_impl =
      Fields<Field<"bias", &Tree::bias>, Field<"linear", &Tree::linear>, Field<"qkv", &Tree::qkv>,
             Field<"conv", &Tree::conv>, Field<"table", &Tree::table>>;
};

template <class Real>
constexpr auto table = make_param_table<Tree<Real>>();

/// 1, 2, 3, ...: no zero, so that padding differs from every number.
std::vector<double> counted(std::size_t size) {
  std::vector<double> numbers(size);
  std::iota(numbers.begin(), numbers.end(), 1.0);
  return numbers;
}

}  // namespace

static_assert(table<float>.size() == 5);
static_assert(table<float>[1].path.view() == "linear");
static_assert(table<float>[1].size == 70 * 6 && table<float>[1].stored >= 70 * 6);
static_assert(table<float>[3].rank == 4 && table<float>[3].extents[0] == 5 && table<float>[3].extents[3] == 2);
static_assert(param_count(table<float>) == 5 + 420 + 144 + 60 + 6);

TEST_CASE("ParamTable: agrees with the tree that is bound to the same arena", "[core][param_table][property]") {
  std::vector<float> arena(arena_count<Tree<float>>());
  auto tree = bind<Tree<float>>(arena.data());
  std::size_t i = 0;
  for_each_param(tree, [&](const ParamPath& path, auto& leaf, Init) {
    const ParamEntry& entry = table<float>[i++];
    CHECK(entry.path.view() == path.view());
    CHECK(arena.data() + entry.offset == leaf.data_handle());
    CHECK(entry.stored == stored_size<std::remove_cvref_t<decltype(leaf)>>());
  });
  CHECK(i == table<float>.size());
}

TEMPLATE_TEST_CASE("import_param, export_param: a round trip changes nothing", "[core][param_table][property]", float,
                   double) {
  std::vector<TestType> arena(arena_count<Tree<TestType>>(), TestType(-1));
  for (const ParamEntry& entry : table<TestType>) import_param(entry, counted(entry.size).data(), arena.data());
  for (const ParamEntry& entry : table<TestType>) {
    INFO(entry.path.view());
    std::vector<double> back(entry.size);
    export_param(entry, arena.data(), back.data());
    CHECK(back == counted(entry.size));
  }
}

TEMPLATE_TEST_CASE("import_param: fills exactly its part of the arena, zeros in the padding", "[core][param_table]",
                   float, double) {
  for (const ParamEntry& entry : table<TestType>) {
    INFO(entry.path.view());
    std::vector<TestType> arena(arena_count<Tree<TestType>>(), TestType(-1));
    import_param(entry, counted(entry.size).data(), arena.data());
    const auto begin = arena.begin() + static_cast<std::ptrdiff_t>(entry.offset);
    const auto end = begin + static_cast<std::ptrdiff_t>(entry.stored);
    CHECK(std::all_of(arena.begin(), begin, [](TestType x) { return x == TestType(-1); }));
    CHECK(std::count(begin, end, TestType(0)) == static_cast<std::ptrdiff_t>(entry.stored - entry.size));
    CHECK(std::all_of(end, arena.end(), [](TestType x) { return x == TestType(-1); }));
  }
}

TEST_CASE("import_param: a tensor keeps the original's order", "[core][param_table]") {
  std::vector<float> arena(arena_count<Tree<float>>());
  import_param(table<float>[4], counted(6).data(), arena.data());
  CHECK(bind<Tree<float>>(arena.data()).table(1, 2) == 6.0f);
}

TEST_CASE("import_param: a linear weight is transposed", "[core][param_table]") {
  std::vector<float> arena(arena_count<Tree<float>>());
  const auto source = counted(70 * 6);
  import_param(table<float>[1], source.data(), arena.data());
  const auto w = bind<Tree<float>>(arena.data()).linear;
  for (int n = 0; n < 70; ++n)
    for (int k = 0; k < 6; ++k) CHECK(w(k, n) == static_cast<float>(source[static_cast<std::size_t>(n * 6 + k)]));
}

TEST_CASE("import_param: regroups the columns of a split axis", "[core][param_table]") {
  std::vector<float> arena(arena_count<Tree<float>>());
  const auto source = counted(144);
  import_param(table<float>[2], source.data(), arena.data());
  const auto w = bind<Tree<float>>(arena.data()).qkv;
  for (int part = 0; part < 3; ++part)
    for (int head = 0; head < 2; ++head)
      for (int channel = 0; channel < 4; ++channel)
        for (int k = 0; k < 6; ++k) {
          const int row = (head * 3 + part) * 4 + channel;
          CHECK(w(k, (part * 2 + head) * 4 + channel) ==
                static_cast<float>(source[static_cast<std::size_t>(row * 6 + k)]));
        }
}

TEST_CASE("import_param: a convolution's rows run over height, width, channel", "[core][param_table]") {
  std::vector<float> arena(arena_count<Tree<float>>());
  const auto source = counted(60);
  import_param(table<float>[3], source.data(), arena.data());
  const auto w = bind<Tree<float>>(arena.data()).conv;
  for (int out = 0; out < 5; ++out)
    for (int in = 0; in < 3; ++in)
      for (int y = 0; y < 2; ++y)
        for (int x = 0; x < 2; ++x)
          CHECK(w((y * 2 + x) * 3 + in, out) ==
                static_cast<float>(source[static_cast<std::size_t>(((out * 3 + in) * 2 + y) * 2 + x)]));
}
