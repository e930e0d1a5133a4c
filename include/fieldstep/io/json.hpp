#pragma once
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/bytes.hpp>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_set>
#include <variant>
#include <vector>

namespace fieldstep::io {

/// A value of a JSON text that is neither object nor array. Whole numbers without sign are std::uint64_t.
using JsonScalar = std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, double, std::string>;

/// Where a value stands: the keys from the root to it; an element of an array adds an empty key.
using JsonPath = std::vector<std::string>;

/// Receives a JSON text piece by piece: no tree is built of a text that nobody has checked yet.
template <class V>
concept JsonVisitor = requires(V& visitor, const JsonPath& path, JsonScalar& scalar) {
  visitor.scalar(path, scalar);
  visitor.open(path, '{');   // an object or '[' an array begins
  visitor.close(path, '{');  // and ends
};

namespace detail {

/// nlohmann's events, with what its parser lets pass refused: a key twice in one object, deep nesting.
template <JsonVisitor Visitor>
class JsonEvents : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit JsonEvents(Visitor& visitor) : visitor_(visitor) {}

  bool null() override { return value(nullptr); }
  bool boolean(bool v) override { return value(v); }
  bool number_integer(number_integer_t v) override { return value(v); }
  bool number_unsigned(number_unsigned_t v) override { return value(v); }
  bool number_float(number_float_t v, const string_t&) override { return value(v); }
  bool string(string_t& v) override { return value(std::move(v)); }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override { return open('{'); }
  bool end_object() override { return close('{'); }
  bool start_array(std::size_t) override { return open('['); }
  bool end_array() override { return close('['); }
  bool key(string_t& name) override {
    if (keys_.back().size() == max_keys) fail("more than ", max_keys, " keys in one object");
    if (!keys_.back().insert(name).second) fail("key ", printable(name), " occurs twice");
    path_.back() = std::move(name);
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    fail("is not JSON at byte ", position);
  }

 private:
  static constexpr std::size_t max_depth = 16, max_keys = std::size_t{1} << 18;

  bool value(JsonScalar v) {
    visitor_.scalar(path_, v);
    return true;
  }
  bool open(char kind) {
    if (keys_.size() == max_depth) fail("nested deeper than ", max_depth);
    visitor_.open(path_, kind);
    keys_.emplace_back();
    path_.emplace_back();
    return true;
  }
  bool close(char kind) {
    keys_.pop_back();
    path_.pop_back();
    visitor_.close(path_, kind);
    return true;
  }

  Visitor& visitor_;
  std::vector<std::unordered_set<std::string>> keys_;  ///< of every open object; empty for an array
  JsonPath path_;
};

}  // namespace detail

/// Walks a JSON text; throws at the first thing that is not JSON.
void walk_json(std::string_view text, JsonVisitor auto& visitor) {
  detail::JsonEvents events(visitor);
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &events)) fail("is not JSON");
}

/// As a JSON string, quotes included.
inline std::string json_string(std::string_view text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    fail("text ", printable(text), " is not UTF-8");
  }
}

}  // namespace fieldstep::io
