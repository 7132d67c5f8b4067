//===- GroupQuantizer.h - Weights of a group as codes -----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TARGET_GROUPQUANTIZER_H
#define LUTRA_LIB_TARGET_GROUPQUANTIZER_H

#include "dialects/Lutra/WeightFormats.h"
#include <vector>

namespace mlir::lutra {

/// What the codes of a group share: code c stands for (number(c) - zero) *
/// scale. A scale is exact in bf16 or, where there is a super-scale, that times
/// an integer of at most kMostScale or times a number in E4M3; of 0, where no
/// weight is as much as half of the least scale.
struct GroupParameters {
  float scale = 0;
  uint8_t zero = 0;
  float superScale = 0;
};

/// The largest integer that a scale is.
inline constexpr float kMostScale = 127;

/// The least scale whose inverse is a number.
inline constexpr float kLeastScale = 0x1p-126f;

/// The nearest number that bf16 has and that is finite.
float toBF16(float number);

/// Chooses parameters and codes for groups of finite weights. The same weights
/// give the same result on every machine.
class GroupQuantizer {
public:
  GroupQuantizer(const WeightFormat &format, bool leastSquares);

  /// The super-scale of all weights, of which `largest` is the largest
  /// magnitude, where scales are in E4M3.
  float superScale(float largest) const;
  /// Squared errors count as much as `importance` says of each weight, where it
  /// is given.
  GroupParameters fit(ArrayRef<float> weights, ArrayRef<float> importance = {},
                      float superScale = 0) const;
  /// Gives each weight the code of the nearest number.
  void encode(ArrayRef<float> weights, GroupParameters parameters,
              uint8_t *codes) const;
  float decode(uint8_t code, GroupParameters parameters) const;
  /// The sum of squared errors of the weights as codes, which count as in fit.
  double squaredError(ArrayRef<float> weights, GroupParameters parameters,
                      ArrayRef<float> importance = {}) const;

private:
  struct Candidate;
  /// Weights of a group, and how much the errors of each count.
  struct Group {
    ArrayRef<float> weights, importance;
    float superScale;
  };

  float numberOf(unsigned code, unsigned zero) const;
  unsigned nearestValue(float number) const;
  float roundScale(float scale, float superScale) const;
  GroupParameters fitLargest(Group group) const;
  GroupParameters fitLeastSquares(Group group) const;
  void consider(Group group, GroupParameters parameters, Candidate &best) const;
  GroupParameters regress(Group group, GroupParameters parameters) const;

  WeightFormat format;
  bool leastSquares;
  /// The different numbers of a format of values, in order, the code of each,
  /// and the numbers halfway between neighbours, then infinities up to a power
  /// of two.
  std::vector<float> values, bounds;
  std::vector<uint8_t> codeOf;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_TARGET_GROUPQUANTIZER_H
