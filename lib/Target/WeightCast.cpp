//===- WeightCast.cpp - ONNX's Cast on arrays of weights ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every element goes through the widest type of its kind: a signed or unsigned
// 64-bit integer or a double, of which 16-bit floats are rounded directly.
// Floats of fewer bits are looked up.
//
//===----------------------------------------------------------------------===//

#include "WeightCast.h"

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <cstring>
#include <limits>

using namespace mlir;
using namespace mlir::lutra;

namespace {
struct NarrowFloat {
  Scalar scalar;
  const llvm::fltSemantics &(*semantics)();
};
} // namespace

static constexpr NarrowFloat kNarrowFloats[] = {
    {Scalar::F4E2M1, APFloat::Float4E2M1FN},
    {Scalar::F8E4M3, APFloat::Float8E4M3FN},
    {Scalar::F8E4M3FNUZ, APFloat::Float8E4M3FNUZ},
    {Scalar::F8E5M2, APFloat::Float8E5M2},
    {Scalar::F8E5M2FNUZ, APFloat::Float8E5M2FNUZ},
    {Scalar::F8E8M0, APFloat::Float8E8M0FNU},
};

static const NarrowFloat *narrowFloat(Scalar scalar) {
  return llvm::find_if(kNarrowFloats, [&](const NarrowFloat &narrow) {
    return narrow.scalar == scalar;
  });
}

bool lutra::isNarrowFloat(Scalar scalar) {
  return narrowFloat(scalar) != std::end(kNarrowFloats);
}

std::optional<Scalar> lutra::scalarOf(Type type) {
  if (type.isF16())
    return Scalar::F16;
  if (type.isBF16())
    return Scalar::BF16;
  if (type.isF32())
    return Scalar::F32;
  if (type.isF64())
    return Scalar::F64;
  for (const NarrowFloat &narrow : kNarrowFloats)
    if (auto floating = dyn_cast<FloatType>(type);
        floating && &floating.getFloatSemantics() == &narrow.semantics())
      return narrow.scalar;
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer)
    return std::nullopt;
  bool isUnsigned = integer.isUnsigned();
  switch (integer.getWidth()) {
  case 1:
    return Scalar::Bool;
  case 8:
    return isUnsigned ? Scalar::U8 : Scalar::S8;
  case 16:
    return isUnsigned ? Scalar::U16 : Scalar::S16;
  case 32:
    return isUnsigned ? Scalar::U32 : Scalar::S32;
  case 64:
    return isUnsigned ? Scalar::U64 : Scalar::S64;
  default:
    return std::nullopt;
  }
}

unsigned lutra::bytesOf(Scalar scalar) {
  switch (scalar) {
  case Scalar::Bool:
  case Scalar::S8:
  case Scalar::U8:
  case Scalar::F4E2M1:
  case Scalar::F8E4M3:
  case Scalar::F8E4M3FNUZ:
  case Scalar::F8E5M2:
  case Scalar::F8E5M2FNUZ:
  case Scalar::F8E8M0:
    return 1;
  case Scalar::S16:
  case Scalar::U16:
  case Scalar::F16:
  case Scalar::BF16:
    return 2;
  case Scalar::S32:
  case Scalar::U32:
  case Scalar::F32:
    return 4;
  case Scalar::S64:
  case Scalar::U64:
  case Scalar::F64:
    return 8;
  }
  llvm_unreachable("covered switch");
}

namespace {

struct Bool {
  uint8_t byte;
  operator uint64_t() const { return byte != 0; }
};

/// An IEEE float of 16 bits.
template <int ExponentBits>
struct Narrow {
  static constexpr int kMantissa = 15 - ExponentBits;
  static constexpr int kBias = (1 << (ExponentBits - 1)) - 1;
  static constexpr int kMaxExponent = (1 << ExponentBits) - 1;
  uint16_t bits;

  operator double() const {
    uint64_t exponent = (bits >> kMantissa) & kMaxExponent;
    uint64_t mantissa = bits & ((1 << kMantissa) - 1);
    double value;
    if (exponent == 0) {
      constexpr uint64_t kUnit = uint64_t(1024 - kBias - kMantissa) << 52;
      value = mantissa * llvm::bit_cast<double>(kUnit);
    } else {
      exponent = exponent == kMaxExponent ? 0x7ff : exponent - kBias + 1023;
      value =
          llvm::bit_cast<double>(exponent << 52 | mantissa << (52 - kMantissa));
    }
    return bits >> 15 ? -value : value;
  }

  static Narrow round(double value) {
    uint64_t wide = llvm::bit_cast<uint64_t>(value);
    uint16_t sign = wide >> 63 << 15;
    int exponent = int(wide >> 52 & 0x7ff);
    uint64_t mantissa = wide & ((uint64_t(1) << 52) - 1);
    uint16_t infinity = kMaxExponent << kMantissa;
    if (exponent == 0x7ff && mantissa)
      return {uint16_t(sign | infinity | 1 << (kMantissa - 1))};
    exponent += kBias - 1023;
    if (exponent >= kMaxExponent)
      return {uint16_t(sign | infinity)};
    // A subnormal loses further bits; beyond 63 nothing is left to round.
    int shift = 52 - kMantissa + (exponent <= 0 ? 1 - exponent : 0);
    if (shift > 63)
      return {sign};
    mantissa |= uint64_t(1) << 52;
    uint64_t kept = mantissa >> shift, half = uint64_t(1) << (shift - 1);
    uint64_t rest = mantissa & (2 * half - 1);
    kept += rest > half || (rest == half && (kept & 1));
    // The leading one of a normal number counts as one exponent step, and so
    // does a carry out of the mantissa.
    if (exponent > 0)
      kept += uint64_t(exponent - 1) << kMantissa;
    return {uint16_t(sign | kept)};
  }
};

using F16 = Narrow<5>;
using BF16 = Narrow<8>;

template <typename T>
struct Tag {
  using Type = T;
};

} // namespace

/// Calls `fn` with a Tag of the C++ type of `scalar`.
template <typename Fn>
static void dispatch(Scalar scalar, Fn fn) {
  switch (scalar) {
  case Scalar::Bool:
    return fn(Tag<Bool>());
  case Scalar::S8:
    return fn(Tag<int8_t>());
  case Scalar::S16:
    return fn(Tag<int16_t>());
  case Scalar::S32:
    return fn(Tag<int32_t>());
  case Scalar::S64:
    return fn(Tag<int64_t>());
  case Scalar::U8:
    return fn(Tag<uint8_t>());
  case Scalar::U16:
    return fn(Tag<uint16_t>());
  case Scalar::U32:
    return fn(Tag<uint32_t>());
  case Scalar::U64:
    return fn(Tag<uint64_t>());
  case Scalar::F16:
    return fn(Tag<F16>());
  case Scalar::BF16:
    return fn(Tag<BF16>());
  case Scalar::F32:
    return fn(Tag<float>());
  case Scalar::F64:
    return fn(Tag<double>());
  default:
    llvm_unreachable("narrow floats are looked up");
  }
}

/// An integer as a double, inexact ones rounded to odd, so that rounding once
/// more to a narrow float gives what rounding the integer would.
static double toDouble(uint64_t value) {
  int excess = 64 - 53 - llvm::countl_zero(value);
  if (excess <= 0)
    return double(value);
  uint64_t kept = value >> excess;
  kept |= (kept << excess) != value;
  return std::ldexp(double(kept), excess);
}

static double toDouble(int64_t value) {
  return value < 0 ? -toDouble(-uint64_t(value)) : toDouble(uint64_t(value));
}

static double toDouble(double value) { return value; }

/// A double as an integer: truncated, at most as far out as the type goes.
template <typename T>
static T truncate(double value) {
  if (std::isnan(value))
    return 0;
  // The bounds are powers of two, which a double holds exactly.
  double bound = std::ldexp(1.0, std::numeric_limits<T>::digits);
  if (value >= bound)
    return std::numeric_limits<T>::max();
  if (value <= (std::is_signed_v<T> ? -bound : 0.0))
    return std::numeric_limits<T>::min();
  return T(value);
}

template <typename To, typename Wide>
static To narrow(Wide value) {
  if constexpr (std::is_same_v<To, Bool>)
    return {uint8_t(value != 0)};
  else if constexpr (std::is_same_v<To, F16> || std::is_same_v<To, BF16>)
    return To::round(toDouble(value));
  else if constexpr (std::is_integral_v<To> && std::is_same_v<Wide, double>)
    return truncate<To>(value);
  else
    return To(value);
}

template <typename From, typename To>
static void castAs(const char *in, char *out, int64_t count) {
  using Wide = std::conditional_t<
      std::is_same_v<From, Bool> || std::is_unsigned_v<From>, uint64_t,
      std::conditional_t<std::is_integral_v<From>, int64_t, double>>;
  for (int64_t i = 0; i < count; ++i) {
    From value;
    std::memcpy(&value, in + i * sizeof(From), sizeof(From));
    To result = narrow<To>(Wide(value));
    std::memcpy(out + i * sizeof(To), &result, sizeof(To));
  }
}

/// Looks up what the bits of each element stand for.
static void castNarrow(const llvm::fltSemantics &semantics, const char *in,
                       Scalar to, char *out, int64_t count) {
  unsigned width = APFloat::semanticsSizeInBits(semantics);
  std::array<double, 256> numbers = {};
  for (unsigned bits = 0; bits < 1u << width; ++bits)
    numbers[bits] = APFloat(semantics, APInt(width, bits)).convertToDouble();
  constexpr int64_t kBlock = 1024;
  std::array<double, kBlock> block;
  for (int64_t at = 0; at < count; at += kBlock) {
    int64_t n = std::min(kBlock, count - at);
    for (int64_t i = 0; i < n; ++i)
      block[i] = numbers[uint8_t(in[at + i])];
    castElements(Scalar::F64, reinterpret_cast<const char *>(block.data()), to,
                 out + at * bytesOf(to), n);
  }
}

void lutra::castElements(Scalar from, const char *in, Scalar to, char *out,
                         int64_t count) {
  if (isNarrowFloat(from))
    return castNarrow(narrowFloat(from)->semantics(), in, to, out, count);
  dispatch(from, [&](auto fromTag) {
    dispatch(to, [&](auto toTag) {
      castAs<typename decltype(fromTag)::Type, typename decltype(toTag)::Type>(
          in, out, count);
    });
  });
}
