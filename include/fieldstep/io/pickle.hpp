#pragma once
#include <fieldstep/io/tensor_file.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

/// The part of Python's pickle format that a dictionary of tensors needs. Nothing is ever called: a name such as
/// torch._utils._rebuild_tensor_v2 is a symbol whose meaning stands in a table, and any other name is refused.
namespace fieldstep::io::pickle {

enum class Kind : std::uint8_t {
  none,
  boolean,
  integer,
  real,
  text,
  tuple,
  list,
  dict,
  set,
  symbol,
  storage,
  tensor,
  opaque
};

/// An object of the pickle: its place in Pickle::objects. Memo and containers share objects by it.
using Ref = std::uint32_t;

struct Object {
  Kind kind = Kind::none;
  std::int64_t integer = 0;  ///< of integer, boolean; of symbol, storage, tensor: its place in their tables
  double real = 0;
  std::string_view text{};   ///< points into the file
  std::vector<Ref> items{};  ///< of tuple, list, set; of dict: key, value, key, value, ...
};

/// Bytes of the file, possibly shared by several tensors.
struct Storage {
  std::string_view key;
  std::optional<Dtype> dtype;  ///< none: untyped, numel counts bytes
  std::uint64_t numel = 0;
};

/// The part of a storage a tensor may use, in the storage's items. Only legacy files have parts that are not the whole.
struct View {
  std::size_t storage = 0;
  std::uint64_t offset = 0, numel = 0;
};

/// A strided array in a view; offset and stride in items.
struct Tensor {
  View view;
  Dtype dtype = Dtype::f32;
  std::uint64_t offset = 0;
  Extents size{}, stride{};
};

struct Pickle {
  std::vector<Object> objects;
  std::vector<Storage> storages;
  std::vector<View> views;
  std::vector<Tensor> tensors;
  Ref root = 0;

  const Object& operator[](Ref ref) const { return objects[ref]; }
  /// The value of a text key, or none.
  const Object* entry(const Object& dict, std::string_view key) const {
    for (std::size_t i = 0; dict.kind == Kind::dict && i < dict.items.size(); i += 2)
      if (objects[dict.items[i]].kind == Kind::text && objects[dict.items[i]].text == key)
        return &objects[dict.items[i + 1]];
    return nullptr;
  }
};

enum class Meaning : std::uint8_t {
  ordered_dict,       ///< () -> dict
  tuple,              ///< torch.Size
  rebuild_tensor,     ///< (storage, offset, size, stride, ...) -> tensor
  rebuild_tensor_v3,  ///< the same with an untyped storage and the dtype as seventh argument
  rebuild_parameter,  ///< (tensor, ...) -> tensor
  storage,            ///< names the dtype of a storage
  dtype,              ///< torch.float32 ...
  harmless,           ///< occurs in training dictionaries beside the weights; makes an opaque value
};

struct Symbol {
  std::string_view module, name;
  Meaning meaning;
  std::optional<Dtype> dtype = std::nullopt;
};

inline constexpr std::array symbols{
    Symbol{"collections", "OrderedDict", Meaning::ordered_dict},
    Symbol{"torch", "Size", Meaning::tuple},
    Symbol{"torch._utils", "_rebuild_tensor", Meaning::rebuild_tensor},
    Symbol{"torch._utils", "_rebuild_tensor_v2", Meaning::rebuild_tensor},
    Symbol{"torch._utils", "_rebuild_tensor_v3", Meaning::rebuild_tensor_v3},
    Symbol{"torch._utils", "_rebuild_parameter", Meaning::rebuild_parameter},
    Symbol{"torch", "FloatStorage", Meaning::storage, Dtype::f32},
    Symbol{"torch", "DoubleStorage", Meaning::storage, Dtype::f64},
    Symbol{"torch", "HalfStorage", Meaning::storage, Dtype::f16},
    Symbol{"torch", "BFloat16Storage", Meaning::storage, Dtype::bf16},
    Symbol{"torch", "LongStorage", Meaning::storage, Dtype::i64},
    Symbol{"torch", "IntStorage", Meaning::storage, Dtype::i32},
    Symbol{"torch", "ShortStorage", Meaning::storage, Dtype::i16},
    Symbol{"torch", "CharStorage", Meaning::storage, Dtype::i8},
    Symbol{"torch", "ByteStorage", Meaning::storage, Dtype::u8},
    Symbol{"torch", "BoolStorage", Meaning::storage, Dtype::boolean},
    Symbol{"torch", "ComplexFloatStorage", Meaning::storage, Dtype::c64},
    Symbol{"torch", "ComplexDoubleStorage", Meaning::storage, Dtype::c128},
    Symbol{"torch.storage", "UntypedStorage", Meaning::storage},
    Symbol{"torch.storage", "TypedStorage", Meaning::storage},
    Symbol{"torch", "float32", Meaning::dtype, Dtype::f32},
    Symbol{"torch", "float64", Meaning::dtype, Dtype::f64},
    Symbol{"torch", "float16", Meaning::dtype, Dtype::f16},
    Symbol{"torch", "bfloat16", Meaning::dtype, Dtype::bf16},
    Symbol{"torch", "int64", Meaning::dtype, Dtype::i64},
    Symbol{"torch", "int32", Meaning::dtype, Dtype::i32},
    Symbol{"torch", "int16", Meaning::dtype, Dtype::i16},
    Symbol{"torch", "int8", Meaning::dtype, Dtype::i8},
    Symbol{"torch", "uint64", Meaning::dtype, Dtype::u64},
    Symbol{"torch", "uint32", Meaning::dtype, Dtype::u32},
    Symbol{"torch", "uint16", Meaning::dtype, Dtype::u16},
    Symbol{"torch", "uint8", Meaning::dtype, Dtype::u8},
    Symbol{"torch", "bool", Meaning::dtype, Dtype::boolean},
    Symbol{"torch", "complex64", Meaning::dtype, Dtype::c64},
    Symbol{"torch", "complex128", Meaning::dtype, Dtype::c128},
    Symbol{"torch", "device", Meaning::harmless},
    Symbol{"_codecs", "encode", Meaning::harmless},
    Symbol{"numpy", "dtype", Meaning::harmless},
    Symbol{"numpy.core.multiarray", "scalar", Meaning::harmless},
    Symbol{"numpy._core.multiarray", "scalar", Meaning::harmless},
    Symbol{"__builtin__", "set", Meaning::harmless},
    Symbol{"builtins", "set", Meaning::harmless},
    Symbol{"builtins", "complex", Meaning::harmless},
};

}  // namespace fieldstep::io::pickle
