//===- Array.cpp - Tensors that own their memory --------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Array.h"
#include "Failure.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace lutra::run;

Array::Array(lutra_dtype dtype, std::vector<int64_t> shape)
    : type(dtype), sizes(std::move(shape)) {
  bool overflow = false, empty = false;
  for (int64_t size : sizes) {
    if (size < 0)
      throw Failure(Exit::Invalid, "expected sizes of 0 or more, got shape " +
                                       formatShape(sizes));
    empty |= size == 0;
    overflow |= __builtin_mul_overflow(elements, size, &elements);
  }
  if (empty)
    elements = 0;
  size_t bytes = 0;
  overflow =
      (!empty && overflow) ||
      __builtin_mul_overflow(elements, lutra_dtype_size(dtype), &bytes) ||
      bytes > SIZE_MAX / 2;
  if (!overflow) {
    // Room for at least one element: an empty tensor has an address too.
    bytes = (bytes + 64) / 64 * 64;
    memory.reset(static_cast<unsigned char *>(std::aligned_alloc(64, bytes)));
  }
  if (!memory)
    throw Failure(Exit::Invalid,
                  "no memory for a tensor of shape " + formatShape(sizes));
  std::memset(memory.get(), 0, bytes);
}

// Half formats are converted by hand: not every compiler has the types.
static double halfToDouble(uint16_t bits) {
  int exponent = bits >> 10 & 0x1f, fraction = bits & 0x3ff;
  double value;
  if (exponent == 0x1f)
    value = fraction ? NAN : INFINITY;
  else if (exponent == 0)
    value = std::ldexp(fraction, -24);
  else
    value = std::ldexp(fraction + 0x400, exponent - 25);
  return bits & 0x8000 ? -value : value;
}

static uint16_t doubleToHalf(double value) {
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  double magnitude = std::fabs(value);
  if (std::isnan(value))
    return sign | 0x7e00;
  if (magnitude >= 65520) // Rounds to 2^16 or is infinite.
    return sign | 0x7c00;
  if (magnitude == 0) // Has no exponent.
    return sign;
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  // Subnormals share the smallest exponent.
  int scale = std::max(exponent, -13) - 11;
  auto fraction =
      static_cast<uint16_t>(std::nearbyint(std::ldexp(magnitude, -scale)));
  // A fraction of 0x400 or more carries its leading bit into the exponent.
  return sign | static_cast<uint16_t>(((scale + 24) << 10) + fraction);
}

static float bfloatToFloat(uint16_t bits) {
  uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

static uint16_t floatToBfloat(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  if (std::isnan(value))
    return bits >> 16 | 0x40;
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16; // To nearest, ties to even.
}

template <typename T>
static T load(const unsigned char *from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

template <typename T>
static void store(unsigned char *to, Number number) {
  T value = static_cast<T>(number);
  std::memcpy(to, &value, sizeof(value));
}

Number Array::get(int64_t index) const {
  const unsigned char *from = data() + index * lutra_dtype_size(type);
  switch (type) {
  case LUTRA_FLOAT32:
    return load<float>(from);
  case LUTRA_FLOAT64:
    return load<double>(from);
  case LUTRA_FLOAT16:
    return halfToDouble(load<uint16_t>(from));
  case LUTRA_BFLOAT16:
    return bfloatToFloat(load<uint16_t>(from));
  case LUTRA_INT8:
    return load<int8_t>(from);
  case LUTRA_INT16:
    return load<int16_t>(from);
  case LUTRA_INT32:
    return load<int32_t>(from);
  case LUTRA_INT64:
    return load<int64_t>(from);
  case LUTRA_UINT8:
  case LUTRA_BOOL:
    return load<uint8_t>(from);
  case LUTRA_UINT16:
    return load<uint16_t>(from);
  case LUTRA_UINT32:
    return load<uint32_t>(from);
  case LUTRA_UINT64:
    return load<uint64_t>(from);
  }
  return 0;
}

void Array::set(int64_t index, Number value) {
  unsigned char *to = data() + index * lutra_dtype_size(type);
  switch (type) {
  case LUTRA_FLOAT32:
    return store<float>(to, value);
  case LUTRA_FLOAT64:
    return store<double>(to, value);
  case LUTRA_FLOAT16:
    return store<uint16_t>(to, doubleToHalf(static_cast<double>(value)));
  case LUTRA_BFLOAT16:
    return store<uint16_t>(to, floatToBfloat(static_cast<float>(value)));
  case LUTRA_INT8:
    return store<int8_t>(to, value);
  case LUTRA_INT16:
    return store<int16_t>(to, value);
  case LUTRA_INT32:
    return store<int32_t>(to, value);
  case LUTRA_INT64:
    return store<int64_t>(to, value);
  case LUTRA_UINT8:
  case LUTRA_BOOL:
    return store<uint8_t>(to, value);
  case LUTRA_UINT16:
    return store<uint16_t>(to, value);
  case LUTRA_UINT32:
    return store<uint32_t>(to, value);
  case LUTRA_UINT64:
    return store<uint64_t>(to, value);
  }
}

lutra_tensor Array::view() const {
  return {memory.get(), type, static_cast<int32_t>(sizes.size()), sizes.data()};
}

std::string lutra::run::formatShape(const std::vector<int64_t> &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? "," : "") + std::to_string(shape[i]);
  return text + "]";
}

std::vector<int64_t> lutra::run::unravel(int64_t index,
                                         const std::vector<int64_t> &shape) {
  std::vector<int64_t> place(shape.size());
  for (size_t axis = shape.size(); axis-- > 0; index /= shape[axis])
    place[axis] = index % shape[axis];
  return place;
}

bool lutra::run::isFloat(lutra_dtype dtype) {
  return dtype == LUTRA_FLOAT16 || dtype == LUTRA_BFLOAT16 ||
         dtype == LUTRA_FLOAT32 || dtype == LUTRA_FLOAT64;
}
