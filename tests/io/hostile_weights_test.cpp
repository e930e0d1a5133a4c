// Broken and hostile weight files, each refused with one line, quickly and in little memory.
#include <fieldstep/io/npy.hpp>
#include <fieldstep/io/open_tensor_file.hpp>
#include <support/scratch_folder.hpp>
#include <support/weight_files.hpp>

#include <sys/resource.h>
#include <sys/stat.h>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <fstream>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

using namespace fieldstep;
using namespace fieldstep::support;

namespace {

using Parse = std::function<void(std::string_view)>;

/// Reads every number of every tensor, as a loader would.
void read_all(const io::TensorFile& file) {
  for (const io::StoredTensor& tensor : file.tensors)
    if (tensor.dtype != io::Dtype::c64 && tensor.dtype != io::Dtype::c128) io::numbers<float>(tensor);
}
void parse_any(std::string_view bytes) { read_all(io::parse_tensor_file(io::as_bytes(bytes))); }
void parse_zip(std::string_view bytes) { read_all(io::parse_torch_zip(io::as_bytes(bytes))); }
void parse_legacy(std::string_view bytes) { read_all(io::parse_torch_legacy(io::as_bytes(bytes))); }
void parse_safetensors(std::string_view bytes) { read_all(io::parse_safetensors(io::as_bytes(bytes))); }
void parse_flax(std::string_view bytes) { read_all(io::parse_flax_msgpack(io::as_bytes(bytes))); }
void parse_npy(std::string_view bytes) {
  const io::StoredTensor array = io::parse_npy(io::as_bytes(bytes));
  if (array.dtype != io::Dtype::c64 && array.dtype != io::Dtype::c128) io::numbers<float>(array);
}

/// The reason of the refusal; none where the bytes were accepted.
std::optional<std::string> refusal(const Parse& parse, std::string_view bytes) {
  try {
    parse(bytes);
    return std::nullopt;
  } catch (const Error& error) {
    return error.what();
  }
}

long peak_memory_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

struct Case {
  std::string what, bytes;
};

void check_refused(const Parse& parse, const std::vector<Case>& cases) {
  for (const auto& [what, bytes] : cases) {
    CAPTURE(what);
    const long memory = peak_memory_kib();
    const auto start = std::chrono::steady_clock::now();
    const std::optional<std::string> reason = refusal(parse, bytes);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));
    CHECK(peak_memory_kib() - memory < 100 * 1024);
    REQUIRE(reason.has_value());
    CAPTURE(*reason);
    CHECK(!reason->empty());
    CHECK(reason->size() < 400);
    CHECK(reason->find('\n') == std::string::npos);
  }
}

std::string without(std::string text, std::string_view part, std::string_view instead = {}) {
  const std::size_t at = text.find(part);
  REQUIRE(at != std::string::npos);
  return text.replace(at, part.size(), instead);
}

}  // namespace

TEST_CASE("Hostile weights: the small right files are accepted", "[io][hostile]") {
  CHECK(!refusal(parse_safetensors, tiny_safetensors()));
  CHECK(!refusal(parse_zip, tiny_torch_zip()));
  CHECK(!refusal(parse_legacy, tiny_torch_legacy()));
  CHECK(!refusal(parse_flax, tiny_flax()));
  CHECK(!refusal(parse_npy, tiny_npy()));
  for (const std::string& bytes : {tiny_safetensors(), tiny_torch_zip(), tiny_torch_legacy(), tiny_flax()}) {
    const io::TensorFile file = io::parse_tensor_file(io::as_bytes(bytes));
    REQUIRE(file.tensors.size() == 2);
    CHECK(io::numbers<float>(file.tensors[0]) == std::vector<float>{1, 2, 3, 4, 5, 6});
    CHECK(io::numbers<double>(file.tensors[1]) == std::vector<double>{7});
  }
}

TEST_CASE("Hostile weights: safetensors", "[io][hostile][safetensors]") {
  const auto entry = [](std::string_view shape, std::string_view offsets, std::string_view dtype = "F32") {
    return R"("a":{"dtype":")" + std::string(dtype) + R"(","shape":)" + std::string(shape) + R"(,"data_offsets":)" +
           std::string(offsets) + "}";
  };
  const auto one = [&](auto... parts) { return safetensors("{" + entry(parts...) + "}", std::string(8, '\0')); };
  REQUIRE(!refusal(parse_safetensors, one("[2]", "[0,8]")));
  REQUIRE(!refusal(parse_safetensors, safetensors(" {" + entry("[0,3]", "[0,0]") + "}  ")));

  std::string deep = "{\"a\":";
  for (int i = 0; i < 10000; ++i) deep += "[";
  check_refused(
      parse_safetensors,
      {{"empty header", little(0, 8)},
       {"length 2^63", little(std::uint64_t{1} << 63, 8) + "{}"},
       {"length above the limit", little(100'000'001, 8) + "{}"},
       {"length beyond the file", little(1000, 8) + "{}"},
       {"overlap", safetensors(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                               R"("b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
                               "123456")},
       {"hole", safetensors(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                            R"("b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}})",
                            "123456")},
       {"does not begin at 0", one("[1]", "[4,8]")},
       {"trailing bytes", one("[1]", "[0,4]")},
       {"data cut off", one("[4]", "[0,16]")},
       {"reversed offsets", one("[2]", "[8,0]")},
       {"size mismatch", one("[3]", "[0,8]")},
       {"overflowing shape", one("[1099511627776,1099511627776]", "[0,8]")},
       {"extent beyond 2^40", one("[0,18446744073709551615]", "[0,0]")},
       {"nine axes", one("[1,1,1,1,1,1,1,1,2]", "[0,8]")},
       {"unknown dtype", one("[2]", "[0,8]", "F31")},
       {"eight-bit float", one("[8]", "[0,8]", "F8_E4M3")},
       {"negative extent", one("[-2]", "[0,8]")},
       {"float extent", one("[2.0]", "[0,8]")},
       {"text extent", one("[\"2\"]", "[0,8]")},
       {"nested extent", one("[[2]]", "[0,8]")},
       {"shape is a number", one("2", "[0,8]")},
       {"three offsets", one("[2]", "[0,8,8]")},
       {"one offset", one("[2]", "[8]")},
       {"missing shape", safetensors(R"({"a":{"dtype":"U8","data_offsets":[0,0]}})")},
       {"missing dtype", safetensors(R"({"a":{"shape":[0],"data_offsets":[0,0]}})")},
       {"dtype is a number", safetensors(R"({"a":{"dtype":1,"shape":[0],"data_offsets":[0,0]}})")},
       {"entry is a number", safetensors(R"({"a":1})")},
       {"entry is a list", safetensors(R"({"a":[]})")},
       {"header is a list", safetensors("[]")},
       {"header is a number", safetensors("1")},
       {"two headers", safetensors("{}{}")},
       {"duplicate key", safetensors(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
                                     R"("a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})")},
       {"duplicate key, escaped", safetensors(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
                                              R"("\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})")},
       {"duplicate field", safetensors(R"({"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}})")},
       {"control character", safetensors(R"({"a\u0000b":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})")},
       {"metadata is a list", safetensors(R"({"__metadata__":[]})")},
       {"metadata holds a number", safetensors(R"({"__metadata__":{"a":1}})")},
       {"metadata holds an object", safetensors(R"({"__metadata__":{"a":{}}})")},
       {"deep", safetensors(deep)},
       {"deep in an ignored field", safetensors(R"({"a":{"x":)" + std::string(10000, '['))},
       {"invalid UTF-8", safetensors("{\"\xff\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}")},
       {"not JSON", safetensors("{'a':1}")}});
}

TEST_CASE("Hostile weights: Flax msgpack", "[io][hostile][flax_msgpack]") {
  using namespace packed;
  const std::string eight(8, '\0'), shape2 = raw({0x91, 2});
  const auto one = [&](const std::string& value) { return map({{"params", map({{"a", value}})}}); };
  REQUIRE(!refusal(parse_flax, one(array(shape2, "float32", eight))));
  REQUIRE(!refusal(parse_flax, one(extension(3, raw({0x93, 0x90}) + text("float32") + bytes("1234")))));
  REQUIRE(!refusal(parse_flax, one(extension(1, raw({0x93}) + shape2 + text("float32") + text(eight)))));

  const auto chunk = [&](int length) {
    return array(raw({0x91, length}), "uint8", std::string(static_cast<std::size_t>(length), 'x'));
  };
  const auto chunked = [&](const std::string& shape, const std::string& chunks) {
    return one(map({{"__msgpack_chunked_array__", raw({0xc3})}, {"shape", shape}, {"chunks", chunks}}));
  };
  const std::string shape5 = map({{"0", raw({5})}});
  REQUIRE(!refusal(parse_flax, chunked(shape5, map({{"1", chunk(2)}, {"0", chunk(3)}}))));

  std::string deep;
  for (int i = 0; i < 10000; ++i) deep += raw({0x81, 0xa1, 'a'});
  std::string deep_lists = raw({0x81, 0xa1, 'a'}) + std::string(10000, '\x91');
  std::string many_names = map({{std::string(200, 'x'), ""}}) + raw({0xdf}) + big(200'000, 4);
  for (int i = 0; i < 200'000; ++i) many_names += raw({0xa3}) + big(static_cast<std::uint64_t>(i), 3) + raw({1});
  check_refused(
      parse_flax,
      {{"map of 2^32-1", raw({0xdf, 0xff, 0xff, 0xff, 0xff})},
       {"list of 2^32-1", map({{"a", raw({0xdd, 0xff, 0xff, 0xff, 0xff})}})},
       {"text beyond the end", raw({0x81, 0xdb, 0xff, 0xff, 0xff, 0xff})},
       {"bytes beyond the end", map({{"a", raw({0xc6, 0xff, 0xff, 0xff, 0xff})}})},
       {"extension beyond the end", map({{"a", raw({0xc9, 0xff, 0xff, 0xff, 0xff, 1})}})},
       {"deep", deep},
       {"deep lists", deep_lists},
       {"many long names", many_names},
       {"duplicate key", map({{"a", chunk(1)}, {"a", chunk(1)}})},
       {"integer key", raw({0x81, 1}) + chunk(1)},
       {"bytes as key", raw({0x81}) + bytes("a") + chunk(1)},
       {"map as key", raw({0x81, 0x80}) + chunk(1)},
       {"array as key", raw({0x81}) + chunk(1) + chunk(1)},
       {"key with a slash", map({{"a/b", chunk(1)}})},
       {"extension type 4", one(extension(4, raw({0x93}) + shape2 + text("float32") + bytes(eight)))},
       {"complex scalar", one(extension(2, raw({0x92, 0xcb}) + eight + raw({0xcb}) + eight))},
       {"empty extension", one(extension(1, ""))},
       {"payload of two", one(extension(1, raw({0x92}) + shape2 + text("float32")))},
       {"payload of four", one(extension(1, raw({0x94}) + shape2 + text("float32") + bytes(eight) + raw({1})))},
       {"payload with more behind",
        one(extension(1, raw({0x93}) + shape2 + text("float32") + bytes(eight) + raw({1})))},
       {"payload is a map", one(extension(1, raw({0x80})))},
       {"negative extent", one(array(raw({0x91, 0xfe}), "float32", eight))},
       {"float extent", one(array(raw({0x91, 0xca, 0x40, 0, 0, 0}), "float32", eight))},
       {"nil extent", one(array(raw({0x91, 0xc0}), "float32", eight))},
       {"nested extent", one(array(raw({0x91, 0x91, 2}), "float32", eight))},
       {"shape is a number", one(array(raw({2}), "float32", eight))},
       {"overflowing shape",
        one(array(raw({0x92, 0xcf, 0, 0, 0, 1, 0, 0, 0, 0, 0xcf, 0, 0, 0, 1, 0, 0, 0, 0}), "float32", eight))},
       {"too few bytes", one(array(raw({0x91, 3}), "float32", eight))},
       {"too many bytes", one(array(raw({0x91, 1}), "float32", eight))},
       {"dtype object", one(array(shape2, "object", eight))},
       {"dtype float33", one(array(shape2, "float33", eight))},
       {"dtype str64", one(array(shape2, "str64", eight))},
       {"dtype float8", one(array(raw({0x91, 8}), "float8_e4m3fn", eight))},
       {"dtype is a number", one(extension(1, raw({0x93}) + shape2 + raw({1}) + bytes(eight)))},
       {"chunk missing", chunked(shape5, map({{"0", chunk(3)}, {"2", chunk(2)}}))},
       {"chunk too much", chunked(shape5, map({{"0", chunk(3)}, {"1", chunk(2)}, {"2", chunk(1)}}))},
       {"chunks twice the same number", chunked(shape5, map({{"0", chunk(3)}, {"00", chunk(2)}}))},
       {"chunk not a row", chunked(shape5, map({{"0", array(raw({0x92, 1, 5}), "uint8", "12345")}}))},
       {"chunk of another type", chunked(shape5, map({{"0", chunk(3)}, {"1", array(raw({0x91, 2}), "int8", "12")}}))},
       {"no chunks", chunked(shape5, map({}))},
       {"chunked shape with a hole", chunked(map({{"0", raw({5})}, {"2", raw({1})}}), map({{"0", chunk(5)}}))},
       {"chunked shape of text", chunked(map({{"0", text("five")}}), map({{"0", chunk(5)}}))},
       {"chunked shape negative", chunked(map({{"0", raw({0xfb})}}), map({{"0", chunk(5)}}))},
       {"chunked map with another key", one(map({{"__msgpack_chunked_array__", raw({0xc3})},
                                                 {"shape", shape5},
                                                 {"chunks", map({{"0", chunk(5)}})},
                                                 {"x", raw({1})}}))},
       {"trailing bytes", one(chunk(1)) + "x"},
       {"nil leaf", one(raw({0xc0}))},
       {"list leaf", one(raw({0x91, 1}))},
       {"no arrays", map({{"params", map({})}})},
       {"a bare number", raw({1})},
       {"never used byte", raw({0xc1})}});
}

TEST_CASE("Hostile weights: PyTorch pickles", "[io][hostile][torch]") {
  using namespace pickled;
  const std::string data(28, '\0');
  const auto in_zip = [&](const std::string& object) { return torch_zip(file(object), {{"0", data}}).bytes(); };
  const std::string good = tensor(storage("0", 7), 0, {2, 3}, {3, 1});
  const auto with_tensor = [&](const std::string& value) { return in_zip(dict({{"a", value}})); };
  REQUIRE(!refusal(parse_zip, with_tensor(good)));

  std::string nested, marks(100'000, '('), many = "(";
  for (int i = 0; i < 100'000; ++i) nested += "]";
  for (int i = 0; i < 600'000; ++i) many += "}";
  const std::string bomb =
      dict({{"a", good}}) + "q" + raw({0}) + "]q" + raw({1}) + std::string("(h\1h\1h\1h\1h\1h\1h\1h\1e", 18);
  check_refused(
      parse_zip,
      {{"os.system", in_zip(global("os", "system") + tuple({text("true")}) + "R")},
       {"posix.system", in_zip(global("posix", "system") + tuple({text("true")}) + "R")},
       {"eval", in_zip(global("builtins", "eval") + tuple({text("1")}) + "R")},
       {"eval, never called", in_zip(dict({{"a", good}, {"b", global("builtins", "eval")}}))},
       {"getattr", in_zip(global("__builtin__", "getattr"))},
       {"subprocess", in_zip(global("subprocess", "Popen"))},
       {"runpy", in_zip(global("runpy", "run_path"))},
       {"STACK_GLOBAL of os.system", in_zip(text("os") + text("system") + raw({0x93}) + tuple({text("true")}) + "R")},
       {"STACK_GLOBAL of numbers", in_zip(integer(1) + integer(2) + raw({0x93}))},
       {"nested pickle", in_zip(global("pickle", "loads") + tuple({text("x")}) + "R")},
       {"REDUCE of a text", in_zip(text("x") + tuple({}) + "R")},
       {"REDUCE of a storage type", in_zip(global("torch", "FloatStorage") + tuple({}) + "R")},
       {"REDUCE without a tuple", in_zip(global("collections", "OrderedDict") + "]R")},
       {"INST", in_zip("(ios\nsystem\n")},
       {"EXT1", in_zip(raw({0x82, 1}))},
       {"text PERSID", in_zip("Pabc\n")},
       {"BYTEARRAY8", in_zip(raw({0x96}) + little(1, 8) + "x")},
       {"BUILD of a list", in_zip("]}b")},
       {"BUILD of a dict with a list", in_zip("}]b")},
       {"BUILD of a tensor", in_zip(dict({{"a", good + "}b"}}))},
       {"SETITEM on a list", in_zip("]" + text("a") + good + "s")},
       {"SETITEMS on a tensor", in_zip(good + "(" + text("a") + good + "u")},
       {"APPEND on a dict", in_zip("}" + good + "a")},
       {"APPENDS on a tuple", in_zip(")(" + good + "e")},
       {"SETITEMS with a lone key", in_zip("}(" + text("a") + "u")},
       {"a list as key", in_zip("}(]" + good + "u")},
       {"no MARK", in_zip("}u")},
       {"MARK left over", in_zip("(" + dict({{"a", good}}))},
       {"object left over", in_zip("}" + dict({{"a", good}}))},
       {"pop beyond a MARK", in_zip("}(s")},
       {"empty stack", in_zip("")},
       {"no STOP", torch_zip(raw({0x80, 2}) + "}", {{"0", data}}).bytes()},
       {"bytes behind STOP", torch_zip(tiny_pickle() + "x", {{"0", data}}).bytes()},
       {"memo never written", in_zip(raw({0x68, 3}))},
       {"memo far away", in_zip("}r" + little(0xffffffff, 4))},
       {"text beyond the end", in_zip("X" + little(0xffffffff, 4))},
       {"text of 2^63", in_zip(raw({0x8d}) + little(std::uint64_t{1} << 63, 8))},
       {"integer of 255 bytes", in_zip(raw({0x8a, 255}) + std::string(255, '\1'))},
       {"line without end", in_zip("ccollections")},
       {"protocol 9", torch_zip(raw({0x80, 9}) + "}.", {{"0", data}}).bytes()},
       {"contains itself", in_zip("}q" + raw({0}) + text("model_state") + raw({0x68, 0}) + "s")},
       {"a hundred thousand lists", in_zip(nested)},
       {"a hundred thousand marks", in_zip(marks)},
       {"more objects than memory is for", in_zip(many)},
       {"a list of itself", in_zip(bomb)},
       {"a list", in_zip("]")},
       {"a number", in_zip(integer(1))},
       {"no tensors", in_zip("}")},
       {"entry is no tensor", in_zip(dict({{"a", good}, {"epoch", integer(1)}}))},
       {"tensor twice", in_zip(dict({{"a", good}, {"a", good}}))},
       {"storage missing", with_tensor(tensor(storage("1", 7), 0, {1}, {1}))},
       {"storage shorter", with_tensor(tensor(storage("0", 8), 0, {1}, {1}))},
       {"storage longer", with_tensor(tensor(storage("0", 6), 0, {1}, {1}))},
       {"storage of 2^62", with_tensor(tensor(storage("0", std::int64_t{1} << 62), 0, {1}, {1}))},
       {"storage negative", with_tensor(tensor(storage("0", -7), 0, {1}, {1}))},
       {"storage with two types",
        in_zip(dict({{"a", good}, {"b", tensor(storage("0", 7, "IntStorage"), 0, {1}, {1})}}))},
       {"storage key with dots", with_tensor(tensor(storage("../0", 7), 0, {1}, {1}))},
       {"persistent id of a module", with_tensor(tuple({text("module"), text("x")}) + "Q")},
       {"persistent id is a text", with_tensor(text("storage") + "Q")},
       {"persistent id too short", with_tensor(tuple({text("storage")}) + "Q")},
       {"offset outside", with_tensor(tensor(storage("0", 7), 2, {2, 3}, {3, 1}))},
       {"offset negative", with_tensor(tensor(storage("0", 7), -1, {1}, {1}))},
       {"stride outside", with_tensor(tensor(storage("0", 7), 0, {2, 3}, {5, 1}))},
       {"stride negative", with_tensor(tensor(storage("0", 7), 6, {2}, {-1}))},
       {"stride overflowing",
        with_tensor(tensor(storage("0", 7), 0, {3, 3}, {std::int64_t{1} << 62, std::int64_t{1} << 62}))},
       {"extent 2^62", with_tensor(tensor(storage("0", 7), 0, {std::int64_t{1} << 62}, {0}))},
       {"extents overflowing",
        with_tensor(tensor(storage("0", 7), 0, {std::int64_t{1} << 40, std::int64_t{1} << 40}, {0, 0}))},
       {"terabytes out of one number", with_tensor(tensor(storage("0", 7), 0, {std::int64_t{1} << 40}, {0}))},
       {"extent negative", with_tensor(tensor(storage("0", 7), 0, {-1}, {1}))},
       {"more strides than extents", with_tensor(tensor(storage("0", 7), 0, {2}, {1, 1}))},
       {"nine axes", with_tensor(tensor(storage("0", 7), 0, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1}))},
       {"tensor of no storage", with_tensor(tensor(integer(1), 0, {1}, {1}))},
       {"name longer than any", in_zip(dict({{std::string(100'000, 'x'), good}}))}});
}

TEST_CASE("Hostile weights: PyTorch zip containers", "[io][hostile][torch][zip]") {
  const Zip good = torch_zip(tiny_pickle(), {{"0", tiny_data}});
  const auto changed = [&](auto change) {
    Zip zip = good;
    change(zip);
    return zip.bytes();
  };
  REQUIRE(!refusal(parse_zip, changed([](Zip& z) { z.zip64 = true; })));
  REQUIRE(!refusal(parse_zip, changed([](Zip& z) { z.parts.push_back({"archive/byteorder", "big"}); })));

  const std::string end_record = Zip{}.bytes();
  check_refused(
      parse_zip,
      {{"no data.pkl", changed([](Zip& z) { z.parts.erase(z.parts.begin()); })},
       {"data.pkl in two folders", changed([](Zip& z) {
          z.parts.push_back({"other/data.pkl", "x"});
        })},
       {"data.pkl twice", changed([](Zip& z) { z.parts.push_back(z.parts[0]); })},
       {"byteorder middle", changed([](Zip& z) {
          z.parts.push_back({"archive/byteorder", "middle"});
        })},
       {"TorchScript", changed([](Zip& z) {
          z.parts.push_back({"archive/constants.pkl", "x"});
        })},
       {"compressed storage", changed([](Zip& z) { z.parts[1].method = 8; })},
       {"compressed pickle", changed([](Zip& z) { z.parts[0].method = 8; })},
       {"unknown compression", changed([](Zip& z) { z.parts[2].method = 12; })},
       {"encrypted", changed([](Zip& z) { z.parts[1].flags = 1; })},
       {"name with ..", changed([](Zip& z) {
          z.parts.push_back({"archive/../x", "x"});
        })},
       {"absolute name", changed([](Zip& z) {
          z.parts.push_back({"/etc/x", "x"});
        })},
       {"backslash name", changed([](Zip& z) {
          z.parts.push_back({"archive\\x", "x"});
        })},
       {"empty name", changed([](Zip& z) {
          z.parts.push_back({"", "x"});
        })},
       {"two names", changed([](Zip& z) { z.parts[1].local_name = "archive/data/9"; })},
       {"overlapping members", changed([](Zip& z) {
          // A whole member inside the data of another.
          z.parts.push_back({"archive/outer", Zip{.parts = {{"archive/inner", "x"}}}.bytes()});
          Zip before = z;
          before.parts.back() = {.name = "archive/outer", .data = ""};
          const std::size_t directory = before.bytes().find("PK\x01\x02");
          z.parts.push_back({.name = "archive/inner", .data = "x", .header = static_cast<std::int64_t>(directory)});
        })},
       {"two members in one place", changed([](Zip& z) { z.parts[2].header = 0; })},
       {"sizes too large", changed([](Zip& z) { z.size_error = 1'000'000; })},
       {"bytes in front", changed([](Zip& z) { z.prefix = "#!/bin/sh\n"; })},
       {"a comment with an end record", changed([&](Zip& z) { z.comment = end_record; })},
       {"a comment", changed([](Zip& z) { z.comment = "hello"; })},
       {"count too large", changed([](Zip& z) { z.count_error = 1; })},
       {"count too small", changed([](Zip& z) { z.count_error = -1; })},
       {"directory elsewhere", changed([](Zip& z) { z.offset_error = 10; })},
       {"directory behind the end", changed([](Zip& z) { z.offset_error = 1'000'000; })},
       {"zip64 count 2^63", changed([](Zip& z) { z.zip64 = true, z.zip64_count = std::uint64_t{1} << 63; })},
       {"zip64 count 10^6", changed([](Zip& z) { z.zip64 = true, z.zip64_count = 1'000'000; })},
       {"empty archive", end_record},
       {"end record cut off", good.bytes().substr(0, good.bytes().size() - 1)}});
}

TEST_CASE("Hostile weights: legacy PyTorch files", "[io][hostile][torch]") {
  const std::string data = little(7, 8) + tiny_data;
  using namespace pickled;
  check_refused(
      parse_legacy,
      {{"wrong magic", without(tiny_torch_legacy(), "\x6c\xfc", "\x6c\xfd")},
       {"protocol 1002", without(tiny_torch_legacy(), "M" + little(1001, 2), "M" + little(1002, 2))},
       {"big-endian", torch_legacy(tiny_pickle(), {"0"}, data, false)},
       {"count negative", torch_legacy(tiny_pickle(), {"0"}, little(~std::uint64_t{0}, 8) + tiny_data)},
       {"count too large", torch_legacy(tiny_pickle(), {"0"}, little(8, 8) + tiny_data + "1234")},
       {"count 2^62", torch_legacy(file(dict({{"a", tensor(storage("0", std::int64_t{1} << 62), 0, {1}, {1})}})), {"0"},
                                   little(std::uint64_t{1} << 62, 8) + tiny_data)},
       {"data cut off", tiny_torch_legacy().substr(0, tiny_torch_legacy().size() - 1)},
       {"trailing bytes", tiny_torch_legacy() + "x"},
       {"unknown key listed", torch_legacy(tiny_pickle(), {"1"}, data)},
       {"key listed twice", torch_legacy(tiny_pickle(), {"0", "0"}, data + data)},
       {"no key listed", torch_legacy(tiny_pickle(), {}, "")},
       {"view outside",
        torch_legacy(
            file(dict({{"a", tensor(tuple({text("storage"), global("torch", "FloatStorage"), text("0"), text("cpu"),
                                           integer(7), tuple({text("1"), integer(5), integer(3)})}) +
                                        "Q",
                                    0, {1}, {1})}})),
            {"0"}, data)}});
}

TEST_CASE("Hostile weights: npy", "[io][hostile][npy]") {
  const auto header = [](std::string_view descr, std::string_view shape) {
    return "{'descr': " + std::string(descr) + ", 'fortran_order': False, 'shape': " + std::string(shape) + ", }\n";
  };
  const std::string eight(8, '\0');
  REQUIRE(!refusal(parse_npy, npy(header("'<f4'", "(2,)"), eight)));
  check_refused(parse_npy,
                {{"objects", npy(header("'|O'", "(1,)"), eight)},
                 {"text", npy(header("'<U2'", "(1,)"), eight)},
                 {"structure", npy(header("[('a', '<f4')]", "(2,)"), eight)},
                 {"sub-array", npy(header("('<f4', (2,))", "(1,)"), eight)},
                 {"not a dictionary", npy("['<f4']\n", eight)},
                 {"missing key", npy("{'descr': '<f4', 'shape': (2,), }\n", eight)},
                 {"key twice", npy("{'descr': '<f4', 'descr': '<f4', 'shape': (2,), }\n", eight)},
                 {"unknown key", npy("{'descr': '<f4', 'code': True, 'shape': (2,), }\n", eight)},
                 {"code", npy("__import__('os').system('true')\n", eight)},
                 {"code as a value", npy(header("__import__('os')", "(2,)"), eight)},
                 {"text behind", npy(header("'<f4'", "(2,)") + "x", eight)},
                 {"header of 70000 bytes", npy(header("'<f4'", "(2,)") + std::string(70'000, ' '), eight, 2)},
                 {"header beyond the end", "\x93NUMPY" + raw({2, 0, 0xff, 0xff, 0, 0})},
                 {"version 9", npy(header("'<f4'", "(2,)"), eight, 9)},
                 {"extent 2^63", npy(header("'<f4'", "(9223372036854775808,)"), eight)},
                 {"extents overflowing", npy(header("'<f4'", "(1099511627776, 1099511627776)"), eight)},
                 {"extent negative", npy(header("'<f4'", "(-2,)"), eight)},
                 {"shape is a number", npy(header("'<f4'", "2"), eight)},
                 {"nine axes", npy(header("'<f4'", "(1,1,1,1,1,1,1,1,2)"), eight)},
                 {"too few bytes", npy(header("'<f4'", "(3,)"), eight)},
                 {"too many bytes", npy(header("'<f4'", "(1,)"), eight)},
                 {"unknown order", npy(header("'!f4'", "(2,)"), eight)}});
}

TEST_CASE("Hostile weights: files of other kinds and things that are no files", "[io][hostile]") {
  std::string tar(1024, '\0');
  tar.replace(257, 5, "ustar");
  check_refused(parse_any, {{"empty", ""},
                            {"text", "hello, world"},
                            {"PNG", "\x89PNG\r\n\x1a\n" + std::string(64, 'x')},
                            {"HDF5", "\x89HDF\r\n\x1a\n" + std::string(64, 'x')},
                            {"npy", tiny_npy()},
                            {"tar", tar},
                            {"bare pickle", pickled::file("}")},
                            {"zip of something else", Zip{.parts = {{"a.txt", "x"}}}.bytes()},
                            {"zeros", std::string(100, '\0')}});

  const ScratchFolder scratch;
  REQUIRE(mkfifo((scratch / "fifo").c_str(), 0600) == 0);
  std::filesystem::create_directory(scratch / "folder");
  std::ofstream(scratch / "empty");
  for (const char* name : {"fifo", "folder", "empty", "absent"}) {
    CAPTURE(name);
    const auto reason = refusal([&](std::string_view) { io::open_tensor_file(scratch / name); }, {});
    REQUIRE(reason.has_value());
    CHECK(reason->starts_with((scratch / name).string() + ": "));
    CHECK(reason->find('\n') == std::string::npos);
  }
}

TEST_CASE("Hostile weights: a shard index cannot name files elsewhere", "[io][hostile][hf_folder]") {
  const ScratchFolder scratch;
  std::ofstream(scratch / "config.json") << "{}";
  for (const char* shard : {"../x", "/etc/passwd", "a/b", ".", "..", ""}) {
    CAPTURE(shard);
    std::ofstream(scratch / "model.safetensors.index.json") << R"({"weight_map": {"a": ")" << shard << R"("}})";
    const auto reason = refusal([&](std::string_view) { io::open_tensor_file(scratch.path()); }, {});
    REQUIRE(reason.has_value());
    CHECK(reason->find("plain file name") != std::string::npos);
  }
}

namespace {

struct Sample {
  std::string name, bytes;
  Parse parse;
};
std::vector<Sample> samples() {
  return {{"safetensors", tiny_safetensors(), parse_safetensors},
          {"flax", tiny_flax(), parse_flax},
          {"torch zip", tiny_torch_zip(), parse_zip},
          {"torch legacy", tiny_torch_legacy(), parse_legacy},
          {"npy", tiny_npy(), parse_npy}};
}

/// Flips bits, changes bytes, cuts and repeats parts: whatever comes out is refused by an Error or read completely.
void mutate(int first_seed, int last_seed) {
  for (const auto& [name, bytes, parse] : samples())
    for (int seed = first_seed; seed < last_seed; ++seed) {
      std::mt19937 random(static_cast<unsigned>(seed));
      std::string mutant = bytes;
      for (unsigned changes = 1 + random() % 4; changes > 0 && !mutant.empty(); --changes) {
        const std::size_t at = random() % mutant.size();
        switch (random() % 5) {
          case 0:
            mutant[at] = static_cast<char>(mutant[at] ^ (1 << random() % 8));
            break;
          case 1:
            mutant[at] = static_cast<char>(random());
            break;
          case 2:
            mutant.resize(at);
            break;
          case 3:
            mutant.erase(at, 1 + random() % 8);
            break;
          default:
            mutant.insert(at, mutant.substr(random() % mutant.size(), 1 + random() % 8));
        }
      }
      CAPTURE(name, seed);
      CHECK_NOTHROW(refusal(parse, mutant));
      CHECK_NOTHROW(refusal(parse_any, mutant));
    }
}

}  // namespace

TEST_CASE("Hostile weights: every beginning of a file is refused", "[io][hostile]") {
  for (const auto& [name, bytes, parse] : samples())
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CAPTURE(name, size);
      CHECK(refusal(parse, bytes.substr(0, size)).has_value());
    }
}

TEST_CASE("Hostile weights: damaged files are refused or read, nothing else", "[io][hostile][property]") {
  mutate(0, 3000);
}

TEST_CASE("Hostile weights: damaged files, many more", "[io][hostile][property][slow]") { mutate(3000, 100'000); }
