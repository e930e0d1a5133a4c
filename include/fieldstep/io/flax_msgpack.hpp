#pragma once
#include <fieldstep/io/atomic_file.hpp>
#include <fieldstep/io/tensor_file.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <msgpack/null_visitor.hpp>
#include <msgpack/pack.hpp>
#include <msgpack/sbuffer.hpp>
#include <msgpack/unpack.hpp>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// flax.serialization.to_bytes: nested msgpack maps with text keys; an array is an extension of type 1 (a numpy scalar:
/// 3) whose payload is again msgpack: [shape, dtype name, bytes]. Tensors are named by their keys joined with '/'.
/// The format does not say which byte order an array has: numbers of a big-endian array are read as if little-endian.
namespace fieldstep::io {

namespace detail {

/// What both kinds of msgpack text have in common: everything is refused until a derived visitor wants it.
struct MsgpackVisitor : msgpack::null_visitor {
  std::optional<std::size_t> stopped_at;

  void parse_error(std::size_t, std::size_t at) { stopped_at = at; }
  void insufficient_bytes(std::size_t, std::size_t at) { stopped_at = at; }
};

/// Parses all of `bytes` as one msgpack value.
void walk_msgpack(Bytes bytes, auto& visitor) {
  std::size_t end = 0;
  const bool complete = msgpack::parse(as_text(bytes).data(), bytes.size(), end, visitor);
  if (!complete) fail("msgpack data are cut off or broken at byte ", visitor.stopped_at.value_or(end));
  if (end != bytes.size()) fail(bytes.size() - end, " bytes behind the msgpack value");
}

/// [shape, dtype, data] of one array.
class FlaxArray : public MsgpackVisitor {
 public:
  static StoredTensor parse(Bytes payload, std::string name) {
    FlaxArray visitor(std::move(name));
    walk_msgpack(payload, visitor);
    return visitor.finished();
  }

  bool start_array(std::uint32_t count) {
    if (depth_ == 0 ? count != 3 : depth_ > 1 || item_ != 0) refuse("wanted [shape, dtype, data]");
    if (depth_ == 1 && count > max_rank) refuse("too many axes");
    ++depth_;
    return true;
  }
  bool end_array() {
    --depth_;
    return true;
  }
  bool start_array_item() { return true; }
  bool end_array_item() {
    item_ += depth_ == 1 ? 1 : 0;
    return true;
  }
  bool visit_positive_integer(std::uint64_t extent) {
    if (depth_ != 2 || extent > static_cast<std::uint64_t>(max_extent)) refuse("a number that is no extent");
    tensor_.shape.push_back(static_cast<std::int64_t>(extent));
    return true;
  }
  bool visit_str(const char* text, std::uint32_t size) {
    if (depth_ == 1 && item_ == 2) return visit_bin(text, size);  // writers before msgpack had bytes
    if (depth_ != 1 || item_ != 1) refuse("text where none belongs");
    const auto dtype = dtype_named({text, size}, &DtypeName::numpy);
    if (!dtype) refuse("dtype " + printable({text, size}) + " is not known");
    tensor_.dtype = *dtype;
    return true;
  }
  bool visit_bin(const char* data, std::uint32_t size) {
    if (depth_ != 1 || item_ != 2) refuse("bytes where none belong");
    data_ = as_bytes({data, size});
    return true;
  }
  bool visit_nil() { refuse("nil"); }
  bool visit_boolean(bool) { refuse("a boolean"); }
  bool visit_negative_integer(std::int64_t) { refuse("a negative extent"); }
  bool visit_float32(float) { refuse("a float"); }
  bool visit_float64(double) { refuse("a float"); }
  bool visit_ext(const char*, std::uint32_t) { refuse("an extension"); }
  bool start_map(std::uint32_t) { refuse("a map"); }

 private:
  explicit FlaxArray(std::string name) { tensor_.name = std::move(name); }

  [[noreturn]] void refuse(std::string_view what) const { fail("array ", printable(tensor_.name), ": ", what); }

  StoredTensor finished() {
    if (item_ != 3) refuse("wanted [shape, dtype, data]");
    const std::uint64_t wanted = checked_product(tensor_.size(), item_size(tensor_.dtype), tensor_.name);
    if (data_.size() != wanted)
      refuse(std::to_string(data_.size()) + " bytes, its shape needs " + std::to_string(wanted));
    tensor_.stride = row_major(tensor_.shape);
    tensor_.data = data_.data();
    return std::move(tensor_);
  }

  StoredTensor tensor_;
  Bytes data_;
  int depth_ = 0, item_ = 0;
};

/// The nested maps. An array of more than 1 GiB is itself a map, {__msgpack_chunked_array__: true, shape, chunks}.
class FlaxTree : public MsgpackVisitor {
 public:
  TensorFile file{.format = "flax"};

  bool start_map(std::uint32_t) {
    if (key_wanted_) refuse("a map as a key");
    if (levels_.size() == max_depth) refuse("nested deeper than 64");
    levels_.push_back({.path_size = path_.size(), .first_tensor = file.tensors.size()});
    return true;
  }
  bool end_map() {
    const Level level = std::move(levels_.back());
    levels_.pop_back();
    path_.resize(level.path_size);
    if (level.chunked) assemble(level);
    return true;
  }
  bool start_map_key() { return key_wanted_ = true; }
  bool end_map_key() {
    key_wanted_ = false;
    return true;
  }
  bool end_map_value() {
    path_.resize(levels_.back().path_size);
    return true;
  }

  bool visit_str(const char* text, std::uint32_t size) {
    const std::string_view value(text, size);
    if (!key_wanted_) return leaf(std::string(value));
    Level& level = levels_.back();
    if (path_.size() + value.size() > max_path || value.find('/') != value.npos) refuse("key " + printable(value));
    if (++keys_ > max_keys) refuse("more than " + std::to_string(max_keys) + " keys");
    if (!level.keys.emplace(value).second) refuse("key " + printable(value) + " occurs twice");
    path_.append(levels_.size() > 1 ? "/" : "").append(value);
    return true;
  }
  bool visit_ext(const char* payload, std::uint32_t size) {
    if (levels_.empty() || key_wanted_ || size == 0) refuse("an array where none belongs");
    if (const int type = payload[0]; type != 1 && type != 3)
      refuse("extension type " + std::to_string(type) + ", wanted an array");
    StoredTensor tensor = FlaxArray::parse(as_bytes({payload + 1, size - 1}), path_);
    if (file.tensors.size() == max_leaves) refuse("more than " + std::to_string(max_leaves) + " arrays");
    file.tensors.push_back(std::move(tensor));
    return true;
  }
  bool visit_boolean(bool value) {
    if (value && !key_wanted_ && last_key() == chunk_mark) return levels_.back().chunked = true;
    return leaf(value ? "true" : "false");
  }
  // Numbers and text beside the arrays, such as the step of a training state, go to the metadata.
  bool visit_positive_integer(std::uint64_t value) { return leaf(std::to_string(value)); }
  bool visit_negative_integer(std::int64_t value) { return leaf(std::to_string(value)); }
  bool visit_float32(float value) { return leaf(std::to_string(value)); }
  bool visit_float64(double value) { return leaf(std::to_string(value)); }
  bool visit_nil() { refuse("nil where an array is wanted"); }
  bool visit_bin(const char*, std::uint32_t) { refuse("bytes where an array is wanted"); }
  bool start_array(std::uint32_t) { refuse("a list where a map is wanted"); }

 private:
  // Far above any network, and low enough that a hostile file cannot make names fill the memory.
  static constexpr std::size_t max_depth = 64, max_path = 512, max_leaves = 1 << 16, max_keys = 1 << 18;
  static constexpr std::string_view chunk_mark = "__msgpack_chunked_array__";

  struct Level {
    std::size_t path_size = 0, first_tensor = 0;
    bool chunked = false;
    std::set<std::string, std::less<>> keys{};
  };

  [[noreturn]] void refuse(std::string_view what) const { fail("at ", printable(path_), ": ", what); }

  std::string_view last_key() const { return std::string_view(path_).substr(path_.rfind('/') + 1); }

  bool leaf(std::string value) {
    if (levels_.empty()) refuse("a bare value, wanted a map of arrays");
    if (key_wanted_) refuse("a key that is no text");
    if (file.metadata.size() == max_leaves) refuse("more than " + std::to_string(max_leaves) + " values");
    file.metadata[path_] = std::move(value);
    return true;
  }

  static std::optional<std::int64_t> whole_number(std::string_view text) {
    std::int64_t value = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && rest == text.data() + text.size() ? std::optional(value) : std::nullopt;
  }

  /// Joins the chunks of the map that just ended: its extents went to the metadata, its chunks to the tensors.
  void assemble(const Level& level) {
    if (level.keys != std::set<std::string, std::less<>>{std::string(chunk_mark), "chunks", "shape"})
      refuse("a chunked array has the keys " + std::string(chunk_mark) + ", shape and chunks");
    const auto first = file.tensors.begin() + static_cast<std::ptrdiff_t>(level.first_tensor);
    std::vector<StoredTensor> chunks;
    std::move(first, file.tensors.end(), std::back_inserter(chunks));
    file.tensors.erase(first, file.tensors.end());

    StoredTensor whole{.name = path_};
    for (std::size_t axis = 0;; ++axis) {
      const auto extent = file.metadata.extract(path_ + "/shape/" + std::to_string(axis));
      if (extent.empty()) break;
      whole.shape.push_back(whole_number(extent.mapped()).value_or(-1));
    }
    const auto left_over = file.metadata.lower_bound(path_ + "/");
    if (left_over != file.metadata.end() && left_over->first.starts_with(path_ + "/"))
      refuse("a shape that is no list");

    const std::string chunks_at = path_ + "/chunks/";
    const auto number = [&](const StoredTensor& chunk) {
      return chunk.name.starts_with(chunks_at) ? whole_number(std::string_view(chunk.name).substr(chunks_at.size()))
                                               : -1;
    };
    std::ranges::sort(chunks, {}, number);  // as numbers: "10" after "9"
    if (chunks.empty()) refuse("a chunked array without chunks");
    whole.dtype = chunks[0].dtype;
    const std::uint64_t wanted = checked_product(whole.size(), item_size(whole.dtype), path_);
    std::uint64_t found = 0;
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      if (number(chunks[i]) != static_cast<std::int64_t>(i) || chunks[i].shape.size() != 1 ||
          chunks[i].dtype != whole.dtype)
        refuse("chunk " + std::to_string(i) + " is missing, of another type, or not a row");
      found += chunks[i].extent_in_file().size();
    }
    if (found != wanted)
      refuse("chunks of " + std::to_string(found) + " bytes, the shape needs " + std::to_string(wanted));

    auto data = std::make_unique<std::byte[]>(static_cast<std::size_t>(wanted));
    std::byte* to = data.get();
    for (const StoredTensor& chunk : chunks) to = std::ranges::copy(chunk.extent_in_file(), to).out;
    whole.stride = row_major(whole.shape);
    whole.data = data.get();
    file.assembled.push_back(std::move(data));
    file.tensors.push_back(std::move(whole));
  }

  std::string path_;
  std::vector<Level> levels_;
  std::size_t keys_ = 0;
  bool key_wanted_ = false;
};

}  // namespace detail

/// The result points into `bytes`.
inline TensorFile parse_flax_msgpack(Bytes bytes) {
  detail::FlaxTree tree;
  detail::walk_msgpack(bytes, tree);
  if (tree.file.tensors.empty()) fail("holds no arrays");
  return std::move(tree.file);
}
inline TensorFile read_flax_msgpack(const std::filesystem::path& path) { return read_mapped(path, parse_flax_msgpack); }

namespace detail {

/// The sink as msgpack's packer sees it.
template <class Sink>
struct MsgpackStream {
  Sink& sink;
  void write(const char* data, std::size_t size) { sink.write(std::string_view(data, size)); }
};

/// Writes the tensors as nested maps, with the shortest encodings, which are Flax's own.
template <class Sink>
class FlaxWriter {
 public:
  FlaxWriter(Sink& sink, const std::vector<TensorSpec>& specs, const TensorSource& source, std::size_t chunk_bytes)
      : specs_(specs), source_(source), chunk_bytes_(chunk_bytes), stream_{sink}, packer_(stream_) {}

  void write() {
    std::vector<std::size_t> all(specs_.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    write_map(all, 0);
  }

 private:
  /// The tensors `members` share the first `prefix` characters of their names; each next key becomes an entry, in the
  /// order in which the keys occur first.
  void write_map(const std::vector<std::size_t>& members, std::size_t prefix) {
    std::vector<std::pair<std::string_view, std::vector<std::size_t>>> entries;
    std::map<std::string_view, std::size_t> place;
    for (const std::size_t i : members) {
      const std::string_view rest = std::string_view(specs_[i].name).substr(prefix);
      const std::string_view key = rest.substr(0, rest.find('/'));
      const auto [known, is_new] = place.try_emplace(key, entries.size());
      if (is_new) entries.push_back({key, {}});
      entries[known->second].second.push_back(i);
    }
    packer_.pack_map(size32(entries.size()));
    for (const auto& [key, inside] : entries) {
      text(key);
      const std::size_t next = prefix + key.size();
      const bool is_leaf = specs_[inside[0]].name.size() == next;
      if (is_leaf && inside.size() > 1) fail("tensor ", printable(specs_[inside[0]].name), " occurs twice");
      is_leaf ? write_tensor(inside[0]) : write_map(inside, next + 1);
    }
  }

  void write_tensor(std::size_t i) {
    const TensorSpec& spec = specs_[i];
    buffer_.resize(static_cast<std::size_t>(spec.bytes()));
    source_(i, buffer_);
    if (buffer_.size() <= chunk_bytes_) return write_array(spec.dtype, spec.shape, buffer_);

    const std::size_t step = std::max<std::size_t>(chunk_bytes_ / item_size(spec.dtype), 1) * item_size(spec.dtype);
    packer_.pack_map(3);
    text("__msgpack_chunked_array__");
    packer_.pack_true();
    text("shape");
    packer_.pack_map(size32(spec.shape.size()));
    for (std::size_t axis = 0; axis < spec.shape.size(); ++axis) {
      text(std::to_string(axis));
      packer_.pack_int64(spec.shape[axis]);
    }
    text("chunks");
    packer_.pack_map(size32((buffer_.size() + step - 1) / step));
    for (std::size_t at = 0, index = 0; at < buffer_.size(); at += step, ++index) {
      text(std::to_string(index));
      const Bytes part = Bytes(buffer_).subspan(at, std::min(step, buffer_.size() - at));
      write_array(spec.dtype, {static_cast<std::int64_t>(part.size() / item_size(spec.dtype))}, part);
    }
  }

  void write_array(Dtype dtype, const Extents& shape, Bytes data) {
    // The payload but for its data, whose length the extension's header needs.
    msgpack::sbuffer head;
    msgpack::packer<msgpack::sbuffer> payload(head);
    payload.pack_array(3);
    payload.pack_array(size32(shape.size()));
    for (const std::int64_t extent : shape) payload.pack_int64(extent);
    payload.pack_str(size32(name_of(dtype).size()));
    payload.pack_str_body(name_of(dtype).data(), size32(name_of(dtype).size()));
    payload.pack_bin(size32(data.size()));
    packer_.pack_ext(head.size() + data.size(), 1);
    packer_.pack_ext_body(head.data(), size32(head.size()));
    stream_.sink.write(data);
  }

  void text(std::string_view value) {
    packer_.pack_str(size32(value.size()));
    packer_.pack_str_body(value.data(), size32(value.size()));
  }
  static std::uint32_t size32(std::size_t size) { return static_cast<std::uint32_t>(size); }

  const std::vector<TensorSpec>& specs_;
  const TensorSource& source_;
  std::size_t chunk_bytes_;
  std::vector<std::byte> buffer_;
  MsgpackStream<Sink> stream_;
  msgpack::packer<MsgpackStream<Sink>> packer_;
};

}  // namespace detail

/// Writes to anything with write(span of bytes) and write(text). Readable by flax.serialization.from_bytes.
template <class Sink>
void write_flax_msgpack(Sink& sink, const std::vector<TensorSpec>& specs, const TensorSource& source,
                        std::size_t chunk_bytes = std::size_t{1} << 30) {
  detail::FlaxWriter<Sink>(sink, specs, source, chunk_bytes).write();
}

}  // namespace fieldstep::io
