#include <fieldstep/io/torch_checkpoint.hpp>
#include <support/weight_files.hpp>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <string>
#include <vector>

using namespace fieldstep;
using namespace fieldstep::support;
using namespace fieldstep::support::pickled;
using Numbers = std::vector<float>;

namespace {

/// Reads a zip checkpoint of this object over storage "0", the numbers 1 to 7, and applies `check` to it.
void with_checkpoint(const std::string& object, const auto& check) {
  const std::string bytes = torch_zip(file(object), {{"0", tiny_data}}).bytes();
  check(io::parse_torch(io::as_bytes(bytes)));
}
const std::string all = tensor(storage("0", 7), 0, {7}, {1});

}  // namespace

TEST_CASE("PyTorch checkpoint: strided, repeated and shared tensors", "[io][torch]") {
  with_checkpoint(dict({{"transposed", tensor(storage("0", 7), 0, {3, 2}, {1, 3})},
                        {"repeated", tensor(storage("0", 7), 1, {2, 3}, {1, 0})},
                        {"scalar", tensor(storage("0", 7), 6, {}, {})},
                        {"empty", tensor(storage("0", 7), 7, {0, 4}, {4, 1})}}),
                  [](const io::TensorFile& f) {
                    CHECK(io::numbers<float>(*f.find("transposed")) == Numbers{1, 4, 2, 5, 3, 6});
                    CHECK(io::numbers<float>(*f.find("repeated")) == Numbers{2, 2, 2, 3, 3, 3});
                    CHECK(io::numbers<float>(*f.find("scalar")) == Numbers{7});
                    CHECK(io::numbers<float>(*f.find("empty")).empty());
                  });
}

TEST_CASE("PyTorch checkpoint: the state dict is found under its usual keys", "[io][torch]") {
  for (const char* key : {"model_state", "model_state_dict", "state_dict", "model"})
    with_checkpoint(dict({{"epoch", integer(3)}, {key, dict({{"a", all}})}, {"optimizer", dict({{"b", all}})}}),
                    [](const io::TensorFile& f) {
                      REQUIRE(f.tensors.size() == 1);
                      CHECK(f.tensors[0].name == "a");
                    });
  with_checkpoint(dict({{"model", all}, {"b", all}}), [](const io::TensorFile& f) { CHECK(f.tensors.size() == 2); });
}

TEST_CASE("PyTorch checkpoint: a wrapper's prefix goes where every key has it", "[io][torch]") {
  const auto names = [](const std::string& first, const std::string& second) {
    std::vector<std::string> found;
    with_checkpoint(dict({{first, all}, {second, all}}), [&](const io::TensorFile& f) {
      for (const auto& t : f.tensors) found.push_back(t.name);
    });
    return found;
  };
  using Names = std::vector<std::string>;
  CHECK(names("module.a", "module.b") == Names{"a", "b"});
  CHECK(names("module._orig_mod.a", "module._orig_mod.b") == Names{"a", "b"});
  CHECK(names("_orig_mod.module.a", "_orig_mod.module.b") == Names{"a", "b"});
  CHECK(names("module.a", "b") == Names{"module.a", "b"});
}

TEST_CASE("PyTorch checkpoint: what surrounds the weights in real files is tolerated", "[io][torch]") {
  const std::string metadata = dict({{"_metadata", global("collections", "OrderedDict") + ")R"}});
  const std::string ordered = global("collections", "OrderedDict") + ")R(" + text("a") + all + "u" + metadata + "b";
  const std::string numpy_loss = global("numpy._core.multiarray", "scalar") +
                                 tuple({global("numpy", "dtype") + tuple({text("f8"), raw({0x89}), raw({0x88})}) + "R" +
                                            tuple({integer(3), text("<")}) + "b",
                                        raw({0x43, 2}) + "xy"}) +
                                 "R";
  const std::string parameter = global("torch._utils", "_rebuild_parameter") + tuple({all, raw({0x88}), ")"}) + "R";
  for (const std::string& object : {ordered,
                                    dict({{"model_state", ordered},
                                          {"loss", numpy_loss},
                                          {"device", global("torch", "device") + tuple({text("cpu")}) + "R"}}),
                                    dict({{"a", parameter}}), raw({0x95}) + little(0, 8) + dict({{"a", all}})})
    with_checkpoint(object, [](const io::TensorFile& f) {
      REQUIRE(f.tensors.size() == 1);
      CHECK(io::numbers<float>(f.tensors[0]) == Numbers{1, 2, 3, 4, 5, 6, 7});
    });
}

TEST_CASE("PyTorch checkpoint: protocol 4, shared memo entries and untyped storages", "[io][torch]") {
  const auto brief = [](std::string_view s) { return raw({0x8c, static_cast<int>(s.size())}) + std::string(s); };
  const std::string untyped =
      tuple({text("storage"), global("torch.storage", "UntypedStorage"), text("0"), text("cpu"), integer(28)}) + "Q";
  const std::string rebuilt =
      brief("torch._utils") + brief("_rebuild_tensor_v3") + raw({0x93}) +
      tuple({untyped, integer(1), extents({2}), extents({1}), raw({0x89}), "}", global("torch", "float32")}) + "R";
  with_checkpoint("}" + raw({0x94}) + brief("a") + rebuilt + raw({0x94}) + "s" + brief("b") + raw({0x68, 1}) + "s",
                  [](const io::TensorFile& f) {
                    REQUIRE(f.tensors.size() == 2);
                    CHECK(io::numbers<float>(f.tensors[0]) == Numbers{2, 3});
                    CHECK(io::numbers<float>(f.tensors[1]) == Numbers{2, 3});
                  });
}

TEST_CASE("PyTorch checkpoint: big-endian numbers are turned round", "[io][torch]") {
  std::string swapped;
  for (std::size_t i = 0; i < tiny_data.size(); i += 4)
    swapped += std::string(tiny_data.rbegin() + static_cast<std::ptrdiff_t>(tiny_data.size() - i - 4),
                           tiny_data.rbegin() + static_cast<std::ptrdiff_t>(tiny_data.size() - i));
  Zip zip = torch_zip(file(dict({{"a", all}})), {{"0", swapped}});
  zip.parts.push_back({"archive/byteorder", "big"});
  const std::string bytes = zip.bytes();
  CHECK(io::numbers<float>(io::parse_torch(io::as_bytes(bytes)).tensors[0]) == Numbers{1, 2, 3, 4, 5, 6, 7});
}

TEST_CASE("PyTorch checkpoint: a view of a legacy storage begins at its offset", "[io][torch]") {
  const std::string part = tuple({text("storage"), global("torch", "FloatStorage"), text("0"), text("cpu"), integer(7),
                                  tuple({text("1"), integer(2), integer(3)})}) +
                           "Q";
  const std::string bytes =
      torch_legacy(file(dict({{"a", tensor(part, 1, {2}, {1})}})), {"0"}, little(7, 8) + tiny_data);
  CHECK(io::numbers<float>(io::parse_torch(io::as_bytes(bytes)).tensors[0]) == Numbers{4, 5});
}
