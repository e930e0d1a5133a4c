#pragma once
#include <fieldstep/io/bytes.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace fieldstep::io {

/// What a stored number is.
enum class Dtype : std::uint8_t { u64, i64, f64, c64, c128, f32, u32, i32, bf16, f16, u16, i16, i8, u8, boolean };

struct DtypeName {
  Dtype dtype;
  std::size_t size;              ///< bytes of one item
  std::string_view numpy;        ///< numpy's and Flax's name
  std::string_view safetensors;  ///< empty: the format lacks it
};

/// In the order in which safetensors files hold their tensors.
inline constexpr std::array<DtypeName, 15> dtype_names{{{Dtype::u64, 8, "uint64", "U64"},
                                                        {Dtype::i64, 8, "int64", "I64"},
                                                        {Dtype::f64, 8, "float64", "F64"},
                                                        {Dtype::c64, 8, "complex64", "C64"},
                                                        {Dtype::c128, 16, "complex128", ""},
                                                        {Dtype::f32, 4, "float32", "F32"},
                                                        {Dtype::u32, 4, "uint32", "U32"},
                                                        {Dtype::i32, 4, "int32", "I32"},
                                                        {Dtype::bf16, 2, "bfloat16", "BF16"},
                                                        {Dtype::f16, 2, "float16", "F16"},
                                                        {Dtype::u16, 2, "uint16", "U16"},
                                                        {Dtype::i16, 2, "int16", "I16"},
                                                        {Dtype::i8, 1, "int8", "I8"},
                                                        {Dtype::u8, 1, "uint8", "U8"},
                                                        {Dtype::boolean, 1, "bool", "BOOL"}}};

constexpr const DtypeName& about(Dtype dtype) { return dtype_names[static_cast<std::size_t>(dtype)]; }
constexpr std::size_t item_size(Dtype dtype) { return about(dtype).size; }
constexpr std::string_view name_of(Dtype dtype) { return about(dtype).numpy; }

/// The dtype that `name` stands for in the naming given, &DtypeName::numpy or &DtypeName::safetensors.
constexpr std::optional<Dtype> dtype_named(std::string_view name, std::string_view DtypeName::*naming) {
  for (const DtypeName& known : dtype_names)
    if (!name.empty() && known.*naming == name) return known.dtype;
  return std::nullopt;
}

template <class Real>
inline constexpr Dtype dtype_of = sizeof(Real) == 8 ? Dtype::f64 : Dtype::f32;

/// IEEE half as an integer to float: exact, subnormals and NaN included.
constexpr float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1fu, fraction = half & 0x3ffu;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t widened = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | widened << 23 | fraction << 13);
}

/// One stored item at any address, as the number it means. Swapped: the file is big-endian.
template <Dtype D, bool Swapped = false>
struct Item {
  std::byte bytes[item_size(D)];

  template <class Real>
  requires std::floating_point<Real>
  operator Real() const {
    if constexpr (D == Dtype::f64) return static_cast<Real>(std::bit_cast<double>(pattern()));
    if constexpr (D == Dtype::f32) return static_cast<Real>(std::bit_cast<float>(pattern()));
    if constexpr (D == Dtype::f16) return static_cast<Real>(half_to_float(pattern()));
    if constexpr (D == Dtype::bf16) return static_cast<Real>(std::bit_cast<float>(std::uint32_t{pattern()} << 16));
    if constexpr (D == Dtype::boolean) return static_cast<Real>(pattern() != 0);
    if constexpr (D == Dtype::u64 || D == Dtype::u32 || D == Dtype::u16 || D == Dtype::u8)
      return static_cast<Real>(pattern());
    if constexpr (D == Dtype::i64 || D == Dtype::i32 || D == Dtype::i16 || D == Dtype::i8)
      return static_cast<Real>(static_cast<std::make_signed_t<decltype(pattern())>>(pattern()));
  }

 private:
  auto pattern() const {
    if constexpr (sizeof(bytes) == 8) return assembled<std::uint64_t>();
    if constexpr (sizeof(bytes) == 4) return assembled<std::uint32_t>();
    if constexpr (sizeof(bytes) == 2) return assembled<std::uint16_t>();
    if constexpr (sizeof(bytes) == 1) return assembled<std::uint8_t>();
  }
  template <class Word>
  Word assembled() const {
    std::array<std::byte, sizeof(Word)> ordered;
    std::memcpy(ordered.data(), bytes, sizeof(Word));
    if constexpr (Swapped != (std::endian::native == std::endian::big)) std::ranges::reverse(ordered);
    return std::bit_cast<Word>(ordered);
  }
};

/// Calls visit(pointer to Item<...>) for items of `dtype` at `data`; complex numbers are no weights and are refused.
template <class Visit>
void visit_items(Dtype dtype, bool swapped, const std::byte* data, std::string_view name, const Visit& visit) {
  const auto call = [&]<Dtype D>() {
    if (swapped)
      visit(reinterpret_cast<const Item<D, true>*>(data));
    else
      visit(reinterpret_cast<const Item<D, false>*>(data));
  };
  switch (dtype) {
    case Dtype::f64:
      return call.template operator()<Dtype::f64>();
    case Dtype::f32:
      return call.template operator()<Dtype::f32>();
    case Dtype::f16:
      return call.template operator()<Dtype::f16>();
    case Dtype::bf16:
      return call.template operator()<Dtype::bf16>();
    case Dtype::u64:
      return call.template operator()<Dtype::u64>();
    case Dtype::i64:
      return call.template operator()<Dtype::i64>();
    case Dtype::u32:
      return call.template operator()<Dtype::u32>();
    case Dtype::i32:
      return call.template operator()<Dtype::i32>();
    case Dtype::u16:
      return call.template operator()<Dtype::u16>();
    case Dtype::i16:
      return call.template operator()<Dtype::i16>();
    case Dtype::u8:
      return call.template operator()<Dtype::u8>();
    case Dtype::i8:
      return call.template operator()<Dtype::i8>();
    case Dtype::boolean:
      return call.template operator()<Dtype::boolean>();
    case Dtype::c64:
    case Dtype::c128:
      break;
  }
  fail(printable(name), ": found ", name_of(dtype), " numbers, wanted real ones");
}

}  // namespace fieldstep::io
