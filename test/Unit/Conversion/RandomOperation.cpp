//===- RandomOperation.cpp - Structured operations by chance --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Draws an operation, writes its text, fills its buffers and compares results.
//
//===----------------------------------------------------------------------===//

#include "RandomOperation.h"

#include "gtest/gtest.h"
#include <algorithm>
#include <cmath>
#include <cstring>

using namespace lutra_test;

void RandomOperation::build() {
  // Around the widths of vectors. Many loops have few iterations each.
  static const int64_t sizes[] = {1,  2,  3,  4,  5,  7,  8,  9,
                                  13, 16, 17, 31, 33, 64, 65, 71};
  static const int counts[] = {16, 16, 13, 9};
  static const Type types[] = {kF32, kF32, kF32, kF64, kI32, kI8, kI64};
  loops = 1 + pick(4);
  type = types[pick(7)];
  std::vector<int> parallel, reductions;
  for (int i = 0; i < loops; ++i) {
    extents.push_back(sizes[pick(counts[loops - 1])]);
    isReduction.push_back(chance(40));
    (isReduction.back() ? reductions : parallel).push_back(i);
  }
  if (reductions.empty() && loops > 2 && chance(30))
    return buildPairs();
  int inputs = 1 + pick(3);
  std::vector<int> all;
  for (int i = 0; i < loops; ++i)
    all.push_back(i);
  for (int i = 0; i < inputs; ++i) {
    // The first input uses every reduction, which thereby has an extent.
    std::vector<int> used = i == 0 ? reductions : std::vector<int>();
    for (int loop : all)
      if ((i != 0 || !isReduction[loop]) && chance(65))
        used.push_back(loop);
    std::shuffle(used.begin(), used.end(), random);
    Type from = chance(75) ? type : types[pick(7)];
    operands.push_back(makeOperand(from, used, i == 0));
  }
  if (chance(40))
    std::shuffle(parallel.begin(), parallel.end(), random);
  operands.push_back(makeOperand(type, parallel, true));
  hasStream = !reductions.empty() && chance(30);
  if (hasStream) {
    if (chance(40))
      std::shuffle(all.begin(), all.end(), random);
    operands.push_back(makeOperand(type, all, true));
  }
  makeBody();
}

/// A copy of what lies in any order to pairs that are innermost.
void RandomOperation::buildPairs() {
  int last = loops - 1;
  extents[last] = 2;
  std::vector<int> used;
  for (int i = 0; i < last; ++i)
    used.push_back(i);
  std::shuffle(used.begin(), used.end(), random);
  Operand input = makeOperand(chance(75) ? type : kI8, used, true);
  int split = chance(70) ? last - 1 : pick(last);
  input.subscripts[split] = {input.subscripts[split].text + " * 2 + d" +
                                 std::to_string(last),
                             2 * input.subscripts[split].extent};
  layOut(input);
  operands.push_back(input);
  std::shuffle(used.begin(), used.end(), random);
  used.push_back(last);
  operands.push_back(makeOperand(type, used, true));
  makeBody();
}

/// An operand indexed by the loops `used`, each by itself if `isPlain`.
Operand RandomOperation::makeOperand(Type type, std::vector<int> used,
                                     bool isPlain) {
  Operand operand{type, {}, {}, chance(60), chance(40)};
  for (size_t i = 0; i < used.size(); ++i) {
    std::string dim = "d" + std::to_string(used[i]);
    int64_t extent = extents[used[i]];
    if (!isPlain && chance(15)) { // A packed layout.
      int64_t tile = chance(50) ? 4 : 16;
      operand.subscripts.insert(
          operand.subscripts.begin(),
          {dim + " floordiv " + std::to_string(tile), (extent - 1) / tile + 1});
      operand.subscripts.push_back(
          {dim + " mod " + std::to_string(tile), tile});
    } else if (!isPlain && i + 1 < used.size() && chance(25)) { // A window.
      int64_t stride = 1 + pick(3);
      operand.subscripts.push_back(
          {dim + " * " + std::to_string(stride) + " + d" +
               std::to_string(used[i + 1]),
           (extent - 1) * stride + extents[used[i + 1]]});
      ++i;
    } else {
      operand.subscripts.push_back({dim, extent});
    }
  }
  if (!isPlain && chance(10))
    operand.subscripts.push_back({"0", 1});
  layOut(operand);
  return operand;
}

void RandomOperation::layOut(Operand &operand) {
  int64_t stride = operand.isStrided && chance(30) ? 2 : 1;
  operand.strides.resize(operand.subscripts.size());
  for (size_t i = operand.subscripts.size(); i-- > 0;) {
    operand.strides[i] = stride;
    stride *= operand.subscripts[i].extent;
    if (operand.isStrided)
      stride += pick(3);
  }
}

/// `source` converted to type `to`.
std::string RandomOperation::value(const std::string &source, Type from,
                                   Type to, std::string &body, int &next) {
  if (!strcmp(from.name, to.name))
    return source;
  const char *op = from.isFloat && to.isFloat
                       ? (from.bytes < to.bytes ? "extf" : "truncf")
                   : from.isFloat ? "fptosi"
                   : to.isFloat ? "sitofp"
                                : (from.bytes < to.bytes ? "extsi" : "trunci");
  std::string name = "%v" + std::to_string(next++);
  body += "    " + name + " = arith." + op + " " + source + " : " + from.name +
          " to " + to.name + "\n";
  return name;
}

std::string RandomOperation::arithmetic(const std::string &x,
                                        const std::string &y, std::string &body,
                                        int &next) {
  static const char *floats[] = {"addf", "mulf", "subf", "maximumf",
                                 "minimumf"};
  static const char *ints[] = {"addi", "muli", "subi", "maxsi", "xori"};
  std::string name = "%v" + std::to_string(next++);
  body += "    " + name + " = arith." +
          (type.isFloat ? floats : ints)[pick(5)] + " " + x + ", " + y + " : " +
          type.name + "\n";
  return name;
}

void RandomOperation::makeBody() {
  int next = 0;
  std::vector<std::string> values;
  size_t inputs = numInputs();
  bool isContraction = inputs == 2 && chance(50);
  for (size_t i = 0; i < inputs; ++i)
    values.push_back(
        value("%b" + std::to_string(i), operands[i].type, type, body, next));
  std::string result = values[0];
  for (size_t i = 1; i < inputs; ++i) {
    if (!isContraction) {
      result = arithmetic(result, values[i], body, next);
      continue;
    }
    body += std::string("    %p = arith.") +
            (type.isFloat ? "mulf " : "muli ") + result + ", " + values[i] +
            " : " + type.name + "\n";
    result = "%p";
  }
  if (!isContraction && chance(20)) { // The position itself.
    body += "    %i = linalg.index " + std::to_string(pick(loops)) +
            " : index\n    %j = arith.index_cast %i : index to i32\n";
    result =
        arithmetic(result, value("%j", kI32, type, body, next), body, next);
  }
  if (!isContraction && chance(25)) { // A look-up in a table.
    for (const char *name : {"%row", "%column"})
      body += std::string("    ") + name + " = linalg.index " +
              std::to_string(pick(loops)) + " : index\n";
    body +=
        std::string("    %t = memref.load %table[%row, %column] : memref<") +
        kTableText + "x" + type.name + ">\n";
    result = arithmetic(result, "%t", body, next);
  }
  if (!isContraction && chance(15)) // Reads the output, and not as a combiner.
    result = arithmetic(result, "%acc", body, next);
  std::string stream = result;
  bool reduces = false;
  for (bool each : isReduction)
    reduces |= each;
  if (isContraction || reduces || chance(20)) {
    // Not mulf: where partial products overflow, the order shows.
    const char *floats[] = {"addf", "maximumf", "maxnumf", "minimumf"};
    const char *ints[] = {"addi", "maxsi", "muli", "andi"};
    int which = isContraction ? 0 : pick(4);
    body += std::string("    %r = arith.") +
            (type.isFloat ? floats : ints)[which] + " %acc, " + result + " : " +
            type.name + "\n";
    result = "%r";
  }
  body += "    linalg.yield " + result + (hasStream ? ", " + stream : "") +
          " : " + type.name + (hasStream ? std::string(", ") + type.name : "") +
          "\n";
}

std::string RandomOperation::function(const std::string &name) const {
  std::string arguments, maps, iterators, ins, types, outs, outTypes,
      blockArguments;
  for (size_t i = 0; i < operands.size(); ++i) {
    bool isOutput = i >= numInputs(), isStream = i > numInputs();
    std::string comma = i ? ", " : "";
    arguments +=
        comma + "%a" + std::to_string(i) + ": " + operands[i].typeText();
    maps += comma + operands[i].mapText(loops);
    blockArguments += comma +
                      (isStream   ? "%stream"
                       : isOutput ? "%acc"
                                  : "%b" + std::to_string(i)) +
                      ": " + operands[i].type.name;
    if (isOutput)
      comma = isStream ? ", " : "";
    (isOutput ? outs : ins) += comma + "%a" + std::to_string(i);
    (isOutput ? outTypes : types) += comma + operands[i].typeText();
  }
  for (int i = 0; i < loops; ++i)
    iterators += std::string(i ? ", " : "") +
                 (isReduction[i] ? "\"reduction\"" : "\"parallel\"");
  return "func.func @" + name + "(" + arguments + ", %table: memref<" +
         kTableText + "x" + type.name +
         ">) attributes {llvm.emit_c_interface} {\n  linalg.generic "
         "{indexing_maps = [" +
         maps + "], iterator_types = [" + iterators + "]} ins(" + ins + " : " +
         types + ") outs(" + outs + " : " + outTypes + ") {\n  ^bb0(" +
         blockArguments + "):\n" + body + "  }\n  return\n}\n";
}

std::vector<std::vector<char>> RandomOperation::makeData() {
  std::vector<std::vector<char>> data;
  std::vector<Operand> all = operands;
  all.push_back(
      {type, {{"", kTable}, {"", kTable}}, {kTable, 1}, false, false});
  for (const Operand &operand : all) {
    int64_t count = operand.elements() + kOffset + kGuard;
    auto &bytes = data.emplace_back(count * operand.type.bytes);
    for (int64_t i = 0; i < count; ++i) {
      int number = pick(7) - 3;
      auto put = [&](auto typed) {
        memcpy(&bytes[i * sizeof(typed)], &typed, sizeof(typed));
      };
      if (operand.type.isFloat && operand.type.bytes == 4)
        put(float(number));
      else if (operand.type.isFloat)
        put(double(number));
      else if (operand.type.bytes == 1)
        put(int8_t(number));
      else if (operand.type.bytes == 4)
        put(int32_t(number));
      else
        put(int64_t(number));
    }
  }
  return data;
}

void RandomOperation::run(Jit &jit, const std::string &name,
                          std::vector<std::vector<char>> &data) const {
  std::vector<Buffer> arguments;
  for (size_t i = 0; i < operands.size(); ++i) {
    const Operand &operand = operands[i];
    std::vector<int64_t> sizes;
    for (const Subscript &each : operand.subscripts)
      sizes.push_back(each.extent);
    int64_t offset = operand.isStrided ? kOffset : 0;
    arguments.push_back(
        {data[i].data(), sizes.empty() ? 0 : offset, sizes, operand.strides});
  }
  arguments.push_back({data.back().data(), 0, {kTable, kTable}, {kTable, 1}});
  jit.call(name, arguments);
}

template <typename T>
static void compareAs(const std::vector<char> &expected,
                      const std::vector<char> &got, double tolerance,
                      const std::string &what) {
  for (size_t i = 0; i + sizeof(T) <= expected.size(); i += sizeof(T)) {
    T x, y;
    memcpy(&x, &expected[i], sizeof(T));
    memcpy(&y, &got[i], sizeof(T));
    bool isSame =
        x == y || (x != x && y != y) ||
        std::abs(double(x) - double(y)) <= tolerance * std::abs(double(x));
    ASSERT_TRUE(isSame) << "element " << i / sizeof(T) << " is " << double(y)
                        << ", expected " << double(x) << " of\n"
                        << what;
  }
}

void RandomOperation::compare(const std::vector<std::vector<char>> &expected,
                              const std::vector<std::vector<char>> &got) const {
  std::string what = function("f");
  for (size_t i = 0; i < operands.size(); ++i)
    if (i < numInputs())
      ASSERT_EQ(expected[i], got[i]) << "an input has changed in\n" << what;
    else if (type.isFloat && type.bytes == 4)
      compareAs<float>(expected[i], got[i], 1e-4, what);
    else if (type.isFloat)
      compareAs<double>(expected[i], got[i], 1e-10, what);
    else
      ASSERT_EQ(expected[i], got[i]) << what;
}
