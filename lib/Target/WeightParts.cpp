//===- WeightParts.cpp - What is stored of a weight beside codes ----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "WeightQuantization.h"

#include "WeightExpression.h"
#include "dialects/Lutra/WeightSteps.h"
#include <cmath>
#include <numeric>

using namespace mlir;
using namespace mlir::lutra;

/// Appends a number that `type` has.
static void appendFloat(float number, const llvm::fltSemantics &type,
                        SmallVectorImpl<char> &out) {
  llvm::APFloat value(number);
  bool isInexact;
  value.convert(type, llvm::APFloat::rmNearestTiesToEven, &isInexact);
  llvm::APInt bits = value.bitcastToAPInt();
  for (unsigned bit = 0; bit < bits.getBitWidth(); bit += 8)
    out.push_back(char(bits.extractBitsAsZExtValue(8, bit)));
}

void WeightQuantization::appendRest(SmallVectorImpl<char> &out) {
  for (int64_t row = 0; row < rows; row += panelRows) {
    readPanel(row);
    for (int64_t r = 0; r < rowsOfPanel(); ++r)
      for (int64_t k = 0; k < columns; ++k)
        if (factors[k] == 0) {
          const char *bytes =
              reinterpret_cast<const char *>(&numbers[r * columns + k]);
          out.append(bytes, bytes + sizeof(float));
        }
  }
}

void WeightQuantization::appendSums(SmallVectorImpl<char> &out) {
  std::vector<float> decoded(columns);
  for (int64_t row = 0; row < rows; row += panelRows) {
    encodePanel(row);
    panelStart = row;
    for (int64_t r = 0; r < rowsOfPanel(); ++r) {
      decodeRow(r, decoded);
      float sum = std::accumulate(decoded.begin(), decoded.end(), 0.0);
      appendFloat(sum, llvm::APFloat::IEEEsingle(), out);
    }
  }
}

void WeightQuantization::appendScale(GroupParameters group,
                                     SmallVectorImpl<char> &out) const {
  switch (format.scale) {
  case WeightScale::BF16:
    if (superBlock == 0)
      return appendFloat(group.scale, llvm::APFloat::BFloat(), out);
    return out.push_back(char(std::lround(group.scale / group.superScale)));
  case WeightScale::PowerOfTwo:
    // Where it is 0, which that type lacks, so are the numbers of all codes.
    return appendFloat(std::max(group.scale, kLeastScale),
                       llvm::APFloat::Float8E8M0FNU(), out);
  case WeightScale::E4M3:
    return appendFloat(group.scale / group.superScale,
                       llvm::APFloat::Float8E4M3FN(), out);
  }
}

void WeightQuantization::appendPart(StringRef part,
                                    SmallVectorImpl<char> &out) {
  if (part == kRest)
    return appendRest(out);
  if (part == kCodebook)
    return rowQuantizer->appendCodebook(out);
  if (part == kSums)
    return appendSums(out);
  if (part == kSuperScales) {
    int64_t step = superBlock > 0 ? superBlock : groups;
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t group = 0; group < groups; group += step)
        appendFloat(parameters[row * groups + group].superScale,
                    llvm::APFloat::BFloat(), out);
    return;
  }
  for (GroupParameters group : parameters)
    if (part == kZeros)
      out.push_back(char(group.zero));
    else
      appendScale(group, out);
}
