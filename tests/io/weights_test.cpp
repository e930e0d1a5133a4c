// Loading and saving through the parameter table of a real model, with the checkpoints the original trainer wrote.
#include <fieldstep/core/arena.hpp>
#include <fieldstep/io/weights.hpp>
#include <fieldstep/models/avit.hpp>
#include <fieldstep/models/avit_variants.hpp>
#include <support/scratch_folder.hpp>
#include <support/weight_files.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

using namespace fieldstep;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using fieldstep::support::ScratchFolder;

namespace {

struct Micro : models::AvitDefaults {
  static constexpr int embed_dim = 32, heads = 2, blocks = 2;
};
template <class Real, class Config = Micro>
using Net = models::AViT<Config, Grid<2, 32, 64, 3>, Real>;

const std::filesystem::path goldens = std::filesystem::path(FIELDSTEP_GOLDEN_DIR) / "mpp";

std::string content(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// The weights of the golden checkpoint as its safetensors file holds them, under their own names.
const io::TensorFile& golden() {
  static const io::TensorFile file = [] {
    io::TensorFile read = io::read_safetensors(goldens / "ckpt_micro.safetensors");
    std::erase_if(read.tensors, [](const auto& tensor) { return !tensor.name.starts_with("param/"); });
    for (io::StoredTensor& tensor : read.tensors) tensor.name.erase(0, 6);
    return read;
  }();
  return file;
}

/// An arena filled with a value no weight has.
template <class Real>
Arena<Real> filled_arena(std::size_t count, Real value = -777) {
  Arena<Real> arena(count);
  std::fill_n(arena.data(), count, value);
  return arena;
}

/// Parameters in the arena that differ from the golden ones in any bit.
template <class Real>
std::size_t wrong_parameters(ParamTable table, const Real* arena) {
  std::size_t wrong = 0;
  for (const ParamEntry& entry : table) {
    std::vector<Real> loaded(entry.size);
    export_param(entry, arena, loaded.data());
    const io::StoredTensor* stored = golden().find(entry.path.view());
    wrong += stored == nullptr || io::numbers<Real>(*stored) != loaded;
  }
  return wrong;
}

std::string reason(const auto& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

/// The golden weights with some changed, as a file in memory.
template <class Change>
io::TensorFile changed(const Change& change) {
  io::TensorFile file{.format = "test", .tensors = golden().tensors};
  change(file);
  return file;
}
io::StoredTensor& named(io::TensorFile& file, std::string_view name) {
  return *std::ranges::find(file.tensors, name, &io::StoredTensor::name);
}

}  // namespace

TEMPLATE_TEST_CASE("Weights: every format of the golden checkpoint gives the same bits", "[io][weights][golden]", float,
                   double) {
  using Model = Net<TestType>;
  for (const char* name : {"ckpt_micro.tar", "ckpt_micro_raw.pt", "ckpt_micro_legacy.pt", "ckpt_micro.msgpack"}) {
    CAPTURE(name);
    const auto arena = filled_arena<TestType>(Model::arena_size);
    const io::LoadReport report = io::load_weights(goldens / name, Model::table(), arena.data());
    CHECK(report.complete());
    CHECK(report.rows.size() == 89);
    CHECK(report.text() == "89 kept");
    CHECK(wrong_parameters(Model::table(), arena.data()) == 0);
  }
}

TEST_CASE("Weights: what is saved is what was loaded, in both formats", "[io][weights]") {
  using Model = Net<float>;
  const ScratchFolder scratch;
  const auto arena = filled_arena<float>(Model::arena_size);
  io::load_weights(golden(), Model::table(), arena.data());
  io::save_weights(scratch / "w.safetensors", Model::table(), arena.data(), io::WeightFormat::safetensors,
                   {{"fieldstep.family", "mpp"}});
  io::save_weights(scratch / "w.msgpack", Model::table(), arena.data(), io::WeightFormat::flax);
  CHECK(content(scratch / "w.msgpack") == content(goldens / "ckpt_micro.msgpack"));

  const io::TensorFile saved = io::open_tensor_file(scratch / "w.safetensors");
  CHECK(saved.metadata.at("fieldstep.family") == "mpp");
  CHECK(saved.metadata.at("fieldstep.format") == "1");
  CHECK(saved.metadata.at("fieldstep.layout") == "torch");
  for (const char* name : {"w.safetensors", "w.msgpack"}) {
    const auto again = filled_arena<float>(Model::arena_size);
    io::load_weights(scratch / name, Model::table(), again.data());
    CHECK(wrong_parameters(Model::table(), again.data()) == 0);
  }
  CHECK(scratch.size() == 2);
}

TEST_CASE("Weights: conversion without a model keeps names, types and numbers", "[io][weights]") {
  const ScratchFolder scratch;
  io::save_weights(scratch / "w.msgpack", io::open_weights(goldens / "ckpt_micro.tar"), io::WeightFormat::flax);
  CHECK(content(scratch / "w.msgpack") == content(goldens / "ckpt_micro.msgpack"));
  io::save_weights(scratch / "w.safetensors", io::open_weights(goldens / "ckpt_micro.msgpack"),
                   io::WeightFormat::safetensors);
  const io::TensorFile back = io::open_weights(scratch / "w.safetensors");
  REQUIRE(back.tensors.size() == golden().tensors.size());
  for (const io::StoredTensor& tensor : golden().tensors) {
    const io::StoredTensor* found = back.find(tensor.name);
    REQUIRE(found != nullptr);
    CHECK(found->shape == tensor.shape);
    CHECK(io::numbers<float>(*found) == io::numbers<float>(tensor));
  }
}

TEST_CASE("Weights: a strict load names every mismatch at once and writes nothing", "[io][weights]") {
  using Model = Net<float>;
  const io::TensorFile file = changed([](io::TensorFile& f) {
    named(f, "space_bag.bias").name = "space_bag.offset";
    std::swap(named(f, "space_bag.weight").shape[0], named(f, "space_bag.weight").shape[1]);
    named(f, "debed.out_bias").dtype = io::Dtype::c64;
    named(f, "debed.out_bias").shape = {6};
  });
  const auto arena = filled_arena<float>(Model::arena_size);
  const std::string why = reason([&] { io::load_weights(file, Model::table(), arena.data()); });
  CHECK_THAT(why, StartsWith("the weights do not fit the model: 86 kept, 1 missing, 2 wrong shape, 1 unexpected"));
  CHECK_THAT(why, ContainsSubstring("\n  space_bag.weight  wrong shape, wanted (8, 12), found (12, 8)"));
  CHECK_THAT(why, ContainsSubstring("\n  space_bag.bias    missing, wanted (8)"));
  CHECK_THAT(why, ContainsSubstring("\n  debed.out_bias    wrong shape, wanted (12), found (6) of complex64"));
  CHECK_THAT(why, ContainsSubstring("\n  space_bag.offset  unexpected, found (8)"));
  CHECK(std::all_of(arena.data(), arena.data() + Model::arena_size, [](float v) { return v == -777; }));
}

TEST_CASE("Weights: a merge takes what fits and leaves the caller's values elsewhere", "[io][weights]") {
  using Model = Net<float>;
  const io::TensorFile file = changed([](io::TensorFile& f) {
    named(f, "space_bag.bias").name = "space_bag.offset";
    std::swap(named(f, "space_bag.weight").shape[0], named(f, "space_bag.weight").shape[1]);
  });
  const auto arena = filled_arena<float>(Model::arena_size);
  const io::LoadReport report = io::load_weights(file, Model::table(), arena.data(), {.merge = true});
  CHECK(!report.complete());
  CHECK(report.count(io::Outcome::kept) == 87);
  CHECK(report.count(io::Outcome::reinitialised) == 2);
  CHECK(report.count(io::Outcome::unexpected) == 1);
  CHECK(wrong_parameters(Model::table(), arena.data()) == 2);
  for (const ParamEntry& entry : Model::table().first(2)) {
    std::vector<float> values(entry.size);
    export_param(entry, arena.data(), values.data());
    CHECK(values == std::vector<float>(entry.size, -777));
  }
}

TEST_CASE("Weights: weights of another variant are called by their name", "[io][weights]") {
  using Small = Net<float, models::AvitS>;
  using Tiny = Net<float, models::AvitTi>;
  CHECK(io::recognise(io::named_shapes(Tiny::table())).text() ==
        "AViT-Ti (embed_dim 192, 3 heads, 12 blocks, 12 states, rel bias)");
  CHECK(io::recognise(io::named_shapes(Small::table())).variant == "S");
  CHECK(io::recognise(io::named_shapes(golden())).text() ==
        "AViT (embed_dim 32, 2 heads, 2 blocks, 12 states, rel bias)");
  const std::string why =
      reason([&] { io::load_weights(goldens / "ckpt_micro.tar", Tiny::table(), static_cast<float*>(nullptr)); });
  CHECK_THAT(why, StartsWith((goldens / "ckpt_micro.tar").string() + ": the weights do not fit the model: "));
  CHECK_THAT(why, ContainsSubstring("the file holds AViT (embed_dim 32, 2 heads, 2 blocks, 12 states, rel bias), "
                                    "the model is AViT-Ti (embed_dim 192, 3 heads, 12 blocks, 12 states, rel bias)"));
  const std::string poseidon = reason([&] {
    io::load_weights(goldens.parent_path() / "poseidon" / "hf_tiny_bin", Tiny::table(), static_cast<float*>(nullptr));
  });
  CHECK_THAT(poseidon, ContainsSubstring("the file holds Poseidon ScOT (embed_dim 4, depths 1,1, heads 1,2, "
                                         "skip blocks 1,0, patch 4, channels 4 -> 4)"));
}

TEST_CASE("Weights: NaN is reported, or refused where asked", "[io][weights]") {
  using Model = Net<float>;
  std::vector<float> broken(12, 1.0f);
  broken[7] = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> infinite(12, 1.0f);
  infinite[0] = -std::numeric_limits<float>::infinity();
  const io::TensorFile file = changed([&](io::TensorFile& f) {
    named(f, "debed.out_bias").data = reinterpret_cast<const std::byte*>(broken.data());
    named(f, "space_bag.bias").data = reinterpret_cast<const std::byte*>(infinite.data());
  });
  const auto arena = filled_arena<float>(Model::arena_size);
  const io::LoadReport report = io::load_weights(file, Model::table(), arena.data());
  CHECK(report.complete());
  CHECK(report.not_finite() == 2);
  CHECK_THAT(report.text(), ContainsSubstring("2 with NaN or infinity\n  space_bag.bias  kept, not finite"));
  CHECK_THROWS_AS(io::load_weights(file, Model::table(), arena.data(), {.refuse_not_finite = true}), Error);
}

TEST_CASE("Weights: numbers of other types and orders are converted", "[io][weights]") {
  const auto as = [](io::Dtype dtype, const std::string& bytes, bool swapped = false) {
    const io::StoredTensor tensor{.name = "t",
                                  .dtype = dtype,
                                  .shape = {static_cast<std::int64_t>(bytes.size() / io::item_size(dtype))},
                                  .stride = {1},
                                  .data = reinterpret_cast<const std::byte*>(bytes.data()),
                                  .swapped = swapped};
    return io::numbers<float>(tensor);
  };
  using support::little;
  using support::raw;
  using Numbers = std::vector<float>;
  CHECK(as(io::Dtype::f16, little(0x3c00, 2) + little(0xc100, 2) + little(0x0001, 2) + little(0x7bff, 2)) ==
        Numbers{1, -2.5f, 0x1p-24f, 65504});
  CHECK(std::isinf(as(io::Dtype::f16, little(0x7c00, 2))[0]));
  CHECK(std::isnan(as(io::Dtype::f16, little(0x7e00, 2))[0]));
  CHECK(as(io::Dtype::bf16, little(0x3f80, 2) + little(0xc020, 2)) == Numbers{1, -2.5f});
  CHECK(as(io::Dtype::f64, little(0x3ff8000000000000, 8)) == Numbers{1.5f});
  CHECK(as(io::Dtype::f32, raw({0x3f, 0x80, 0, 0}), true) == Numbers{1});
  CHECK(as(io::Dtype::i64, little(~std::uint64_t{0}, 8)) == Numbers{-1});
  CHECK(as(io::Dtype::i32, raw({0xff, 0xff, 0xff, 0xfe}), true) == Numbers{-2});
  CHECK(as(io::Dtype::i16, little(0x8000, 2)) == Numbers{-32768});
  CHECK(as(io::Dtype::i8, raw({0xff, 5})) == Numbers{-1, 5});
  CHECK(as(io::Dtype::u8, raw({0xff})) == Numbers{255});
  CHECK(as(io::Dtype::u16, little(0xffff, 2)) == Numbers{65535});
  CHECK(as(io::Dtype::u32, little(0x80000000, 4)) == Numbers{0x1p31f});
  CHECK(as(io::Dtype::u64, little(std::uint64_t{1} << 63, 8)) == Numbers{0x1p63f});
  CHECK(as(io::Dtype::boolean, raw({0, 1})) == Numbers{0, 1});
  CHECK_THROWS_AS(as(io::Dtype::c64, std::string(8, '\0')), Error);
}

TEST_CASE("Weights: double weights and unaligned ones load into a float model", "[io][weights]") {
  using Model = Net<float>;
  std::vector<std::vector<double>> wide;
  std::string unaligned;
  const io::TensorFile doubles = changed([&](io::TensorFile& f) {
    for (io::StoredTensor& tensor : f.tensors) {
      wide.push_back(io::numbers<double>(tensor));
      tensor.dtype = io::Dtype::f64;
      tensor.data = reinterpret_cast<const std::byte*>(wide.back().data());
    }
  });
  const io::TensorFile shifted = changed([&](io::TensorFile& f) {
    std::vector<std::size_t> starts;
    for (const io::StoredTensor& tensor : f.tensors) {
      unaligned += unaligned.size() % 4 == 1 ? "" : std::string((5 - unaligned.size() % 4) % 4, '\0');
      starts.push_back(unaligned.size());
      unaligned += io::as_text(tensor.extent_in_file());
    }
    for (std::size_t i = 0; i < starts.size(); ++i)
      f.tensors[i].data = reinterpret_cast<const std::byte*>(unaligned.data() + starts[i]);
  });
  for (const io::TensorFile* file : {&doubles, &shifted}) {
    const auto arena = filled_arena<float>(Model::arena_size);
    io::load_weights(*file, Model::table(), arena.data());
    CHECK(wrong_parameters(Model::table(), arena.data()) == 0);
  }
}

TEST_CASE("Weights: a full disk or a missing folder leaves nothing behind", "[io][weights]") {
  const ScratchFolder scratch;
  CHECK_THROWS_AS(io::save_weights(scratch / "absent/w.safetensors", golden(), io::WeightFormat::safetensors), Error);
  io::TensorFile nameless = changed([](io::TensorFile& f) { f.tensors[0].name = "\xff"; });
  CHECK_THROWS_AS(io::save_weights(scratch / "w.safetensors", nameless, io::WeightFormat::safetensors), Error);
  CHECK(scratch.size() == 0);
}
