//===- Literal.cpp - Tensors from text and from seeds ---------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Failure.h"
#include "Inputs.h"

#include <charconv>
#include <cmath>
#include <limits>

using namespace lutra::run;

namespace {

struct TypeName {
  std::string_view name;
  lutra_dtype dtype;
  Number min, max; // Of integers; unused for floats.
};

template <typename T>
constexpr TypeName integer(std::string_view name, lutra_dtype dtype) {
  return {name, dtype, std::numeric_limits<T>::min(),
          std::numeric_limits<T>::max()};
}

constexpr TypeName typeNames[] = {
    {"f16", LUTRA_FLOAT16, 0, 0},
    {"bf16", LUTRA_BFLOAT16, 0, 0},
    {"f32", LUTRA_FLOAT32, 0, 0},
    {"f64", LUTRA_FLOAT64, 0, 0},
    {"i1", LUTRA_BOOL, 0, 1},
    integer<int8_t>("i8", LUTRA_INT8),
    integer<int16_t>("i16", LUTRA_INT16),
    integer<int32_t>("i32", LUTRA_INT32),
    integer<int64_t>("i64", LUTRA_INT64),
    integer<uint8_t>("u8", LUTRA_UINT8),
    integer<uint16_t>("u16", LUTRA_UINT16),
    integer<uint32_t>("u32", LUTRA_UINT32),
    integer<uint64_t>("u64", LUTRA_UINT64),
};

class LiteralParser {
public:
  LiteralParser(std::string_view text, const std::string &origin)
      : text(text), origin(origin) {}

  Array parse() {
    size_t equals = text.find('=');
    if (equals == std::string_view::npos)
      fail("expected @FILE.npy, rand:SEED or a literal such as 2x3xf32=0");
    std::vector<Number> values;
    std::vector<int64_t> shape;
    const TypeName &type = parseType(text.substr(0, equals), shape);
    parseValues(text.substr(equals + 1), type, values);

    // The shape may say anything, so the count is checked before memory is
    // taken, but for a value that is to be repeated.
    int64_t count = 1;
    bool tooMany = false;
    for (int64_t size : shape)
      tooMany |= __builtin_mul_overflow(count, size, &count);
    if (values.size() != 1 &&
        (tooMany || count != static_cast<int64_t>(values.size())))
      fail("expected 1 value or as many as shape " + formatShape(shape) +
           " has, got " + std::to_string(values.size()));
    Array array(type.dtype, shape);
    for (int64_t i = 0; i < array.count(); ++i)
      array.set(i, values.size() == 1 ? values[0] : values[i]);
    return array;
  }

private:
  [[noreturn]] void fail(const std::string &what) {
    throw Failure(Exit::Invalid, origin + ": " + what + ": '" +
                                     std::string(text.substr(0, 60)) +
                                     (text.size() > 60 ? "...'" : "'"));
  }

  // "2x3xf32"
  const TypeName &parseType(std::string_view rest,
                            std::vector<int64_t> &shape) {
    for (size_t x; (x = rest.find('x')) != std::string_view::npos;
         rest.remove_prefix(x + 1)) {
      int64_t size = 0;
      auto [end, error] = std::from_chars(rest.data(), rest.data() + x, size);
      if (error != std::errc() || end != rest.data() + x || size < 0)
        fail("expected a shape such as 2x3xf32");
      shape.push_back(size);
    }
    for (const TypeName &type : typeNames)
      if (type.name == rest)
        return type;
    fail("unknown element type '" + std::string(rest) + "'");
  }

  void parseValues(std::string_view rest, const TypeName &type,
                   std::vector<Number> &values) {
    while (!rest.empty()) {
      size_t comma = std::min(rest.find(','), rest.size());
      std::string word(rest.substr(0, comma));
      char *end = nullptr;
      Number value = std::strtold(word.c_str(), &end);
      if (word.empty() || *end)
        fail("'" + word + "' is not a number");
      if (!isFloat(type.dtype) && !(value >= type.min && value <= type.max &&
                                    value == std::trunc(value)))
        fail("'" + word + "' is not a value of " + std::string(type.name));
      values.push_back(value);
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }

  std::string_view text;
  const std::string &origin;
};

// Sebastiano Vigna's SplitMix64 as published: the same on every machine.
class SplitMix {
public:
  explicit SplitMix(uint64_t seed) : state(seed) {}

  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

private:
  uint64_t state;
};

// Bits of significand: so many random bits give only values that the type can
// hold, so that none rounds up to 1.
int precisionOf(lutra_dtype dtype) {
  switch (dtype) {
  case LUTRA_BFLOAT16:
    return 8;
  case LUTRA_FLOAT16:
    return 11;
  case LUTRA_FLOAT32:
    return 24;
  default:
    return 53;
  }
}

} // namespace

Array lutra::run::parseLiteral(std::string_view text,
                               const std::string &origin) {
  return LiteralParser(text, origin).parse();
}

void lutra::run::fillRandom(Array &array, uint64_t seed) {
  SplitMix random(seed);
  int precision = precisionOf(array.dtype());
  for (int64_t i = 0; i < array.count(); ++i) {
    uint64_t bits = random.next();
    Number value;
    if (isFloat(array.dtype()))
      value = std::ldexp(Number(bits >> (64 - precision)), 1 - precision) - 1;
    else if (array.dtype() == LUTRA_BOOL)
      value = bits >> 63;
    else if (array.dtype() == LUTRA_INT8)
      value = Number(bits >> 56) - 128;
    else if (array.dtype() == LUTRA_UINT8)
      value = Number(bits >> 56);
    else
      value = Number(bits >> 61);
    array.set(i, value);
  }
}
