//===- RandomOperation.h - Structured operations by chance ------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A random structured operation on buffers, as text and with data for it:
// permuted, strided, packed, broadcast and windowed maps, odd extents, several
// element types.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TEST_UNIT_CONVERSION_RANDOMOPERATION_H
#define LUTRA_TEST_UNIT_CONVERSION_RANDOMOPERATION_H

#include "Jit.h"

#include <random>

namespace lutra_test {

struct Type {
  const char *name;
  int bytes;
  bool isFloat;
};
constexpr Type kF32{"f32", 4, true}, kF64{"f64", 8, true}, kI8{"i8", 1, false},
    kI32{"i32", 4, false}, kI64{"i64", 8, false};

/// One dimension of an operand: a sum of loops, or one loop divided.
struct Subscript {
  std::string text;
  int64_t extent;
};

struct Operand {
  Type type;
  std::vector<Subscript> subscripts;
  std::vector<int64_t> strides;
  bool isDynamic;
  bool isStrided;

  std::string typeText() const {
    std::string text = "memref<";
    for (const Subscript &each : subscripts)
      text += (isDynamic ? "?" : std::to_string(each.extent)) + "x";
    text += type.name;
    if (isStrided && !subscripts.empty()) {
      text += ", strided<[";
      for (size_t i = 0; i < strides.size(); ++i)
        text += (i ? ", " : "") +
                (isDynamic ? std::string("?") : std::to_string(strides[i]));
      text += "], offset: ?>";
    }
    return text + ">";
  }
  std::string mapText(int loops) const {
    std::string text = "affine_map<(";
    for (int i = 0; i < loops; ++i)
      text += (i ? ", d" : "d") + std::to_string(i);
    text += ") -> (";
    for (size_t i = 0; i < subscripts.size(); ++i)
      text += (i ? ", " : "") + subscripts[i].text;
    return text + ")>";
  }
  int64_t elements() const {
    int64_t last = 0;
    for (size_t i = 0; i < strides.size(); ++i)
      last += (subscripts[i].extent - 1) * strides[i];
    return last + 1;
  }
};

/// One random operation. Besides what it reduces, it may store what it computes
/// for each iteration.
class RandomOperation {
public:
  RandomOperation(unsigned seed) : random(seed) { build(); }

  std::string function(const std::string &name) const;
  /// Bytes of all operands, filled with small numbers.
  std::vector<std::vector<char>> makeData();
  void run(Jit &jit, const std::string &name,
           std::vector<std::vector<char>> &data) const;
  void compare(const std::vector<std::vector<char>> &expected,
               const std::vector<std::vector<char>> &got) const;

private:
  static constexpr int64_t kOffset = 3, kGuard = 72, kTable = 72;
  static constexpr const char *kTableText = "72x72";

  int pick(int count) {
    return std::uniform_int_distribution<int>(0, count - 1)(random);
  }
  bool chance(int percent) { return pick(100) < percent; }
  size_t numInputs() const { return operands.size() - (hasStream ? 2 : 1); }
  void build();
  void buildPairs();
  Operand makeOperand(Type type, std::vector<int> used, bool isOutput);
  void layOut(Operand &operand);
  std::string value(const std::string &source, Type from, Type to,
                    std::string &body, int &next);
  void makeBody();
  std::string arithmetic(const std::string &x, const std::string &y,
                         std::string &body, int &next);

  std::mt19937 random;
  int loops;
  std::vector<int64_t> extents;
  std::vector<bool> isReduction;
  std::vector<Operand> operands; // Inputs and the output; then the stream.
  bool hasStream = false;
  Type type = kF32; // The outputs'.
  std::string body;
};

} // namespace lutra_test

#endif // LUTRA_TEST_UNIT_CONVERSION_RANDOMOPERATION_H
