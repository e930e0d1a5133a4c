#include <fieldstep/io/open_tensor_file.hpp>
#include <support/scratch_folder.hpp>
#include <support/weight_files.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <filesystem>
#include <fstream>
#include <string>

using namespace fieldstep;
using namespace fieldstep::support;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

TEST_CASE("Hugging Face folder: the golden one is read with its configuration", "[io][hf_folder][golden]") {
  const io::TensorFile file =
      io::open_tensor_file(std::filesystem::path(FIELDSTEP_GOLDEN_DIR) / "poseidon" / "hf_tiny_bin");
  CHECK(file.format == "torch");
  CHECK(file.tensors.size() == 123);
  CHECK(file.metadata.at("config").find("\"embed_dim\": 4") != std::string::npos);
}

TEST_CASE("Hugging Face folder: shards are put together, safetensors before the rest", "[io][hf_folder]") {
  const ScratchFolder scratch;
  const auto write = [&](const char* name, const std::string& bytes) {
    std::ofstream(scratch / name, std::ios::binary) << bytes;
  };
  CHECK_THROWS_MATCHES(io::open_tensor_file(scratch.path()), Error,
                       MessageMatches(ContainsSubstring("neither model.safetensors nor")));
  write("config.json", "{}");
  write("pytorch_model.bin", tiny_torch_zip());
  CHECK(io::open_tensor_file(scratch.path()).format == "torch");

  const auto shard = [](const std::string& name, float value) {
    return safetensors("{\"" + name + R"(":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})", floats({value}));
  };
  write("1.safetensors", shard("a", 1));
  write("2.safetensors", shard("b", 2));
  write("model.safetensors.index.json",
        R"({"metadata":{"total_size":8},"weight_map":{"a":"1.safetensors","b":"2.safetensors"}})");
  const io::TensorFile file = io::open_tensor_file(scratch.path());
  CHECK(io::numbers<float>(*file.find("a")) == std::vector<float>{1});
  CHECK(io::numbers<float>(*file.find("b")) == std::vector<float>{2});
  CHECK(file.files.size() == 2);

  write("2.safetensors", shard("a", 2));
  CHECK_THROWS_MATCHES(io::open_tensor_file(scratch.path()), Error,
                       MessageMatches(ContainsSubstring("tensor 'a' occurs twice")));
  write("2.safetensors", shard("c", 2));
  CHECK_THROWS_MATCHES(io::open_tensor_file(scratch.path()), Error,
                       MessageMatches(ContainsSubstring("tensor 'b' is not in 2.safetensors")));
  write("model.safetensors.index.json", R"({"weight_map":{"a":"1.safetensors","a":"2.safetensors"}})");
  CHECK_THROWS_MATCHES(io::open_tensor_file(scratch.path()), Error,
                       MessageMatches(ContainsSubstring("key 'a' occurs twice")));
}
