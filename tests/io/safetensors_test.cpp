#include <fieldstep/io/safetensors.hpp>
#include <support/scratch_folder.hpp>
#include <support/weight_files.hpp>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <string>

using namespace fieldstep;
using fieldstep::support::StringSink;

TEST_CASE("safetensors: every golden file is written back byte for byte", "[io][safetensors][golden]") {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(FIELDSTEP_GOLDEN_DIR) / "mpp")) {
    if (entry.path().extension() != ".safetensors") continue;
    CAPTURE(entry.path());
    const io::TensorFile file = io::read_safetensors(entry.path());
    StringSink sink;
    io::write_safetensors(sink, io::specs_of(file), file.metadata, io::source_of(file));
    CHECK(sink.bytes == io::as_text(file.files[0].bytes()));
    ++files;
  }
  CHECK(files > 0);
}

TEST_CASE("safetensors: metadata, scalars and empty tensors survive", "[io][safetensors]") {
  StringSink sink;
  const std::map<std::string, std::string> metadata{{"format", "pt"}, {"note", "\"quoted\" \\ and \u00e9"}};
  const std::string numbers = support::floats({1, 2, 3});
  io::write_safetensors(
      sink, {{"matrix", io::Dtype::f32, {1, 2}}, {"scalar", io::Dtype::f32, {}}, {"none", io::Dtype::i64, {3, 0}}},
      metadata, [&](std::size_t i, std::span<std::byte> to) {
        std::memcpy(to.data(), numbers.data() + (i == 0 ? 0 : 8), to.size());
      });
  CHECK((sink.bytes.size() - 12) % 8 == 0);  // the header, padded; three numbers follow
  const io::TensorFile file = io::parse_safetensors(io::as_bytes(sink.bytes));
  CHECK(file.metadata == metadata);
  REQUIRE(file.tensors.size() == 3);
  CHECK(file.tensors[0].name == "none");  // 64-bit integers come first
  CHECK(io::numbers<float>(*file.find("matrix")) == std::vector<float>{1, 2});
  CHECK(io::numbers<float>(*file.find("scalar")) == std::vector<float>{3});
}

TEST_CASE("safetensors: a type the format lacks is refused", "[io][safetensors]") {
  StringSink sink;
  CHECK_THROWS_AS(io::write_safetensors(sink, {{"a", io::Dtype::c128, {1}}}, {}, {}), Error);
}
