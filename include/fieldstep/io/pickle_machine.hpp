#pragma once
#include <fieldstep/io/pickle.hpp>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace fieldstep::io::pickle {

/// Reads one pickle, up to its STOP.
class Machine {
 public:
  static Pickle run(ByteReader& bytes) {
    Machine machine(bytes);
    while (machine.step()) {
    }
    return std::move(machine.made_);
  }

 private:
  // Ten times what the largest checkpoint with its optimizer needs, and still little memory.
  static constexpr std::size_t max_objects = std::size_t{1} << 19, max_tensors = std::size_t{1} << 16;
  static constexpr std::size_t max_steps = std::size_t{1} << 22;
  static constexpr std::uint32_t max_memo = 10'000'000;
  static constexpr Ref none = 0, no = 1, yes = 2;

  explicit Machine(ByteReader& bytes) : in_(bytes) {
    make({});
    make({.kind = Kind::boolean, .integer = 0});
    make({.kind = Kind::boolean, .integer = 1});
  }

  bool step() {
    at_ = in_.position();
    if (++steps_ > max_steps) refuse("more than ", max_steps, " operations");
    const auto opcode = in_.number<std::uint8_t>("pickle");
    switch (opcode) {
      case 0x80:  // PROTO
        if (const auto version = in_.number<std::uint8_t>("protocol"); version < 2 || version > 5)
          refuse("pickle protocol ", int{version});
        return true;
      case 0x95:
        in_.number<std::uint64_t>("frame");
        return true;  // FRAME: a hint for streams
      case 0x2e:      // STOP
        made_.root = pop();
        if (!stack_.empty() || !marks_.empty()) refuse("pickle ends with objects left over");
        return false;
      case 0x4e:
        return push(none);
      case 0x88:
        return push(yes);
      case 0x89:
        return push(no);
      case 0x4a:
        return push_integer(in_.number<std::int32_t>("BININT"));
      case 0x4b:
        return push_integer(in_.number<std::uint8_t>("BININT1"));
      case 0x4d:
        return push_integer(in_.number<std::uint16_t>("BININT2"));
      case 0x8a:
        return push_integer(long_integer(in_.take(in_.number<std::uint8_t>("LONG1"), "LONG1")));
      case 0x47:
        return push(make({.kind = Kind::real, .real = big_endian_double(in_.take(8, "BINFLOAT"))}));
      case 0x58:
        return push_text(in_.number<std::uint32_t>("BINUNICODE"));
      case 0x55:
      case 0x8c:
        return push_text(in_.number<std::uint8_t>("short string"));
      case 0x8d:
        return push_text(in_.number<std::uint64_t>("BINUNICODE8"));
      case 0x42:
        return push_blob(in_.number<std::uint32_t>("BINBYTES"));
      case 0x43:
        return push_blob(in_.number<std::uint8_t>("SHORT_BINBYTES"));
      case 0x7d:
        return push(make({.kind = Kind::dict}));
      case 0x5d:
        return push(make({.kind = Kind::list}));
      case 0x8f:
        return push(make({.kind = Kind::set}));
      case 0x29:
        return push(make({.kind = Kind::tuple}));
      case 0x85:
        return push_tuple(1);
      case 0x86:
        return push_tuple(2);
      case 0x87:
        return push_tuple(3);
      case 0x74:
        return push(make({.kind = Kind::tuple, .items = pop_to_mark()}));
      case 0x28:
        marks_.push_back(stack_.size());
        return true;  // MARK
      case 0x61:
        return append(Kind::list, {pop()});  // APPEND
      case 0x65:
        return append(Kind::list, pop_to_mark());  // APPENDS
      case 0x90:
        return append(Kind::set, pop_to_mark());  // ADDITEMS
      case 0x73: {                                // SETITEM
        const Ref value = pop(), key = pop();
        return append(Kind::dict, {key, value});
      }
      case 0x75:
        return append(Kind::dict, pop_to_mark());  // SETITEMS
      case 0x71:
        return remember(in_.number<std::uint8_t>("BINPUT"));
      case 0x72:
        return remember(in_.number<std::uint32_t>("LONG_BINPUT"));
      case 0x94:
        return remember(static_cast<std::uint32_t>(memo_.size()));
      case 0x68:
        return recall(in_.number<std::uint8_t>("BINGET"));
      case 0x6a:
        return recall(in_.number<std::uint32_t>("LONG_BINGET"));
      case 0x63: {  // GLOBAL
        const std::string_view module = in_.line("GLOBAL"), name = in_.line("GLOBAL");
        return push_symbol(module, name);
      }
      case 0x93: {  // STACK_GLOBAL
        const Object name = made_[pop()], module = made_[pop()];
        if (name.kind != Kind::text || module.kind != Kind::text) refuse("STACK_GLOBAL without two names");
        return push_symbol(module.text, name.text);
      }
      case 0x52:
      case 0x81: {  // REDUCE, NEWOBJ
        const Ref arguments = pop();
        return push(reduce(pop(), arguments));
      }
      case 0x62:
        return build();
      case 0x51:
        return push(persistent(pop()));  // BINPERSID
      default:
        refuse("pickle opcode 0x", hex(opcode), " is not one a dictionary of tensors needs");
    }
  }

  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(parts..., " (byte ", at_, " of the pickle data)");
  }
  static std::string hex(std::uint8_t value) {
    constexpr std::string_view digits = "0123456789abcdef";
    return {digits[value / 16u], digits[value % 16u]};
  }

  Ref make(Object object) {
    if (made_.objects.size() == max_objects) refuse("more than ", max_objects, " objects");
    made_.objects.push_back(std::move(object));
    return static_cast<Ref>(made_.objects.size() - 1);
  }
  bool push(Ref ref) {
    stack_.push_back(ref);
    return true;
  }
  Ref pop() {
    const std::size_t floor = marks_.empty() ? 0 : marks_.back();
    if (stack_.size() <= floor) refuse("pickle takes from an empty stack");
    const Ref top = stack_.back();
    stack_.pop_back();
    return top;
  }
  std::vector<Ref> pop_to_mark() {
    if (marks_.empty()) refuse("pickle without the MARK it needs");
    std::vector<Ref> taken(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return taken;
  }

  bool push_integer(std::int64_t value) { return push(make({.kind = Kind::integer, .integer = value})); }
  bool push_text(std::uint64_t length) {
    return push(make({.kind = Kind::text, .text = as_text(in_.take(length, "string"))}));
  }
  bool push_blob(std::uint64_t length) {
    in_.take(length, "bytes");
    return push(make({.kind = Kind::opaque}));
  }
  bool push_tuple(std::size_t count) {
    std::vector<Ref> items(count);
    for (std::size_t i = count; i-- > 0;) items[i] = pop();
    return push(make({.kind = Kind::tuple, .items = std::move(items)}));
  }
  bool push_symbol(std::string_view module, std::string_view name) {
    // A CUDA tensor is stored like any other.
    const std::string_view home = module == "torch.cuda" && name.ends_with("Storage") ? "torch" : module;
    const auto known =
        std::ranges::find_if(symbols, [&](const Symbol& s) { return s.module == home && s.name == name; });
    if (known == symbols.end())
      refuse("object of ", printable(module), " ", printable(name), " is not one a dictionary of tensors needs");
    return push(make({.kind = Kind::symbol, .integer = known - symbols.begin()}));
  }
  std::int64_t long_integer(Bytes bytes) const {
    if (bytes.size() > 8) refuse("integer of ", bytes.size(), " bytes");
    std::uint64_t value = !bytes.empty() && (bytes.back() & std::byte{0x80}) != std::byte{} ? ~std::uint64_t{0} : 0;
    for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<std::uint64_t>(bytes[i]);
    return static_cast<std::int64_t>(value);
  }
  static double big_endian_double(Bytes bytes) {
    std::uint64_t pattern = 0;
    for (const std::byte b : bytes) pattern = pattern << 8 | static_cast<std::uint64_t>(b);
    return std::bit_cast<double>(pattern);
  }

  bool remember(std::uint32_t index) {
    if (index > max_memo) refuse("memo entry ", index);
    const Ref top = pop();
    memo_[index] = top;
    return push(top);
  }
  bool recall(std::uint32_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) refuse("memo entry ", index, " was never written");
    return push(found->second);
  }

  bool append(Kind kind, const std::vector<Ref>& items) {
    const Ref container = pop();
    Object& target = made_.objects[container];
    if (target.kind != kind) refuse("items are put into something that is no container of that kind");
    if (kind == Kind::dict) {
      if (items.size() % 2 != 0) refuse("dictionary with a key that has no value");
      for (std::size_t i = 0; i < items.size(); i += 2)
        if (const Kind key = made_[items[i]].kind; key != Kind::text && key != Kind::integer)
          refuse("dictionary with a key that is neither text nor integer");
    }
    target.items.insert(target.items.end(), items.begin(), items.end());
    return push(container);
  }

  /// Attributes of a state dict (_metadata) say nothing about its tensors.
  bool build() {
    const Object& state = made_[pop()];
    const Ref object = pop();
    const Kind kind = made_[object].kind;
    if (kind != Kind::opaque && (kind != Kind::dict || state.kind != Kind::dict))
      refuse("BUILD of something other than a dictionary");
    return push(object);
  }

  const Object& item(const Object& tuple, std::size_t i, Kind kind, std::string_view what) const {
    if (i >= tuple.items.size() || made_[tuple.items[i]].kind != kind)
      refuse(what, ": argument ", i, " is missing or of the wrong kind");
    return made_[tuple.items[i]];
  }
  std::uint64_t count(const Object& tuple, std::size_t i, std::string_view what) const {
    const std::int64_t value = item(tuple, i, Kind::integer, what).integer;
    if (value < 0) refuse(what, ": ", value, " is negative");
    return static_cast<std::uint64_t>(value);
  }
  Extents extents(const Object& tuple, std::string_view what) const {
    if (tuple.items.size() > max_rank) refuse(what, ": more than ", max_rank, " axes");
    Extents values;
    for (std::size_t i = 0; i < tuple.items.size(); ++i)
      values.push_back(static_cast<std::int64_t>(count(tuple, i, what)));
    return values;
  }

  Ref reduce(Ref callable, Ref arguments_at) {
    const Object& called = made_[callable];
    const Object& arguments = made_[arguments_at];
    if (called.kind != Kind::symbol || arguments.kind != Kind::tuple)
      refuse("REDUCE of something other than a known symbol");
    const Symbol& symbol = symbols[static_cast<std::size_t>(called.integer)];
    switch (symbol.meaning) {
      case Meaning::ordered_dict:
        if (!arguments.items.empty()) refuse("OrderedDict with arguments");
        return make({.kind = Kind::dict});
      case Meaning::tuple: {
        std::vector<Ref> items = item(arguments, 0, Kind::tuple, symbol.name).items;
        return make({.kind = Kind::tuple, .items = std::move(items)});
      }
      case Meaning::rebuild_parameter:
        item(arguments, 0, Kind::tensor, symbol.name);
        return arguments.items[0];
      case Meaning::rebuild_tensor:
      case Meaning::rebuild_tensor_v3:
        return rebuild(symbol, arguments);
      case Meaning::harmless:
        return make({.kind = Kind::opaque});
      case Meaning::storage:
      case Meaning::dtype:
        break;
    }
    refuse(symbol.name, " is called");
  }

  Ref rebuild(const Symbol& symbol, const Object& arguments) {
    if (made_.tensors.size() == max_tensors) refuse("more than ", max_tensors, " tensors");
    const auto view = static_cast<std::size_t>(item(arguments, 0, Kind::storage, symbol.name).integer);
    Tensor tensor{.view = made_.views[view]};
    const Storage& stored = made_.storages[tensor.view.storage];
    tensor.offset = count(arguments, 1, symbol.name);
    tensor.size = extents(item(arguments, 2, Kind::tuple, symbol.name), symbol.name);
    tensor.stride = extents(item(arguments, 3, Kind::tuple, symbol.name), symbol.name);
    if (symbol.meaning == Meaning::rebuild_tensor_v3) {
      const Symbol& named = symbols[static_cast<std::size_t>(item(arguments, 6, Kind::symbol, symbol.name).integer)];
      if (named.meaning != Meaning::dtype) refuse(symbol.name, ": argument 6 is no dtype");
      if (stored.dtype || tensor.view.offset != 0) refuse(symbol.name, " of a typed storage or of a part of one");
      tensor.dtype = *named.dtype;
      tensor.view.numel /= item_size(tensor.dtype);
    } else {
      if (!stored.dtype) refuse(symbol.name, " of an untyped storage");
      tensor.dtype = *stored.dtype;
    }
    made_.tensors.push_back(std::move(tensor));
    return make({.kind = Kind::tensor, .integer = static_cast<std::int64_t>(made_.tensors.size() - 1)});
  }

  /// ("storage", type, key, location, numel[, view]); view = (key, offset, numel) or None.
  Ref persistent(Ref id_at) {
    const Object& id = made_[id_at];
    constexpr std::string_view what = "storage";
    if (id.kind != Kind::tuple || item(id, 0, Kind::text, what).text != "storage")
      refuse("persistent id of something other than a storage");
    const Symbol& type = symbols[static_cast<std::size_t>(item(id, 1, Kind::symbol, what).integer)];
    if (type.meaning != Meaning::storage) refuse("storage of type ", type.name);
    const Storage storage{item(id, 2, Kind::text, what).text, type.dtype, count(id, 4, what)};
    const auto [known, is_new] = storage_at_.try_emplace(storage.key, made_.storages.size());
    if (is_new) made_.storages.push_back(storage);
    const Storage& first = made_.storages[known->second];
    if (first.dtype != storage.dtype || first.numel != storage.numel)
      refuse("storage ", printable(storage.key), " occurs with two types or sizes");

    View view{.storage = known->second, .numel = storage.numel};
    if (id.items.size() > 5 && made_[id.items[5]].kind != Kind::none) {
      const Object& part = item(id, 5, Kind::tuple, what);
      view.offset = count(part, 1, what), view.numel = count(part, 2, what);
      if (view.offset > storage.numel || view.numel > storage.numel - view.offset)
        refuse("view of ", view.numel, " items at ", view.offset, " of a storage of ", storage.numel);
    }
    made_.views.push_back(view);
    return make({.kind = Kind::storage, .integer = static_cast<std::int64_t>(made_.views.size() - 1)});
  }

  ByteReader& in_;
  std::uint64_t at_ = 0;  ///< of the current opcode
  std::size_t steps_ = 0;
  Pickle made_;
  std::vector<Ref> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint32_t, Ref> memo_;
  std::unordered_map<std::string_view, std::size_t> storage_at_;
};

}  // namespace fieldstep::io::pickle
