#include <fieldstep/io/flax_msgpack.hpp>
#include <support/weight_files.hpp>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>

using namespace fieldstep;
using fieldstep::support::raw;
using fieldstep::support::StringSink;

namespace {
const std::filesystem::path goldens = std::filesystem::path(FIELDSTEP_GOLDEN_DIR) / "mpp";
}

TEST_CASE("Flax msgpack: the golden tree has the listed leaves and is written back byte for byte",
          "[io][flax_msgpack][golden]") {
  const io::TensorFile file = io::read_flax_msgpack(goldens / "ckpt_micro.msgpack");
  const nlohmann::json leaves = nlohmann::json::parse(std::ifstream(goldens / "ckpt_micro_flax.json"));
  CHECK(file.tensors.size() == leaves.size());
  for (const io::StoredTensor& tensor : file.tensors) CHECK(leaves.at(tensor.name).get<io::Extents>() == tensor.shape);
  StringSink sink;
  io::write_flax_msgpack(sink, io::specs_of(file), io::source_of(file));
  CHECK(sink.bytes == io::as_text(file.files[0].bytes()));
}

TEST_CASE("Flax msgpack: the encoding of one array is Flax's own", "[io][flax_msgpack]") {
  StringSink sink;
  io::write_flax_msgpack(sink, {{"a", io::Dtype::f32, {4}}},
                         [](std::size_t, std::span<std::byte> to) { std::ranges::fill(to, std::byte{}); });
  CHECK(sink.bytes == raw({0x81, 0xa1, 'a', 0xc7, 0x1d, 0x01, 0x93, 0x91, 0x04, 0xa7}) + "float32" + raw({0xc4, 0x10}) +
                          std::string(16, '\0'));
}

TEST_CASE("Flax msgpack: arrays beyond the limit go in chunks, joined in the order of their numbers",
          "[io][flax_msgpack]") {
  std::vector<float> values(30);
  std::iota(values.begin(), values.end(), 0.0f);
  StringSink sink;
  const auto source = [&](std::size_t, std::span<std::byte> to) { std::memcpy(to.data(), values.data(), to.size()); };
  io::write_flax_msgpack(sink, {{"params/a/b", io::Dtype::f32, {5, 6}}, {"params/a/c", io::Dtype::f32, {2}}}, source,
                         10);
  const io::TensorFile file = io::parse_flax_msgpack(io::as_bytes(sink.bytes));
  REQUIRE(file.tensors.size() == 2);
  CHECK(file.assembled.size() == 1);  // 15 chunks of two numbers; the array of 8 bytes is whole
  CHECK(file.tensors[0].name == "params/a/b");
  CHECK(file.tensors[0].shape == io::Extents{5, 6});
  CHECK(io::numbers<float>(file.tensors[0]) == values);
  CHECK(file.metadata.empty());
}

TEST_CASE("Flax msgpack: all lengths of headers are read", "[io][flax_msgpack]") {
  for (const int extent : {1, 2, 4, 60, 70'000}) {
    StringSink sink;
    std::vector<std::uint8_t> values(static_cast<std::size_t>(extent), 3);
    io::write_flax_msgpack(
        sink, {{std::string(40, 'k'), io::Dtype::u8, {extent}}},
        [&](std::size_t, std::span<std::byte> to) { std::memcpy(to.data(), values.data(), to.size()); });
    const io::TensorFile file = io::parse_flax_msgpack(io::as_bytes(sink.bytes));
    REQUIRE(file.tensors.size() == 1);
    CHECK(file.tensors[0].shape == io::Extents{extent});
    CHECK(io::numbers<float>(file.tensors[0]) == std::vector<float>(static_cast<std::size_t>(extent), 3));
  }
}

TEST_CASE("Flax msgpack: values beside the arrays are metadata", "[io][flax_msgpack]") {
  using namespace support::packed;
  const std::string bytes = map({{"step", raw({0xcd, 1, 0})},
                                 {"ok", raw({0xc3})},
                                 {"note", text("hi")},
                                 {"a", array(raw({0x91, 1}), "int8", "\1")}});
  const io::TensorFile file = io::parse_flax_msgpack(io::as_bytes(bytes));
  CHECK(file.metadata == std::map<std::string, std::string>{{"step", "256"}, {"ok", "true"}, {"note", "hi"}});
}
