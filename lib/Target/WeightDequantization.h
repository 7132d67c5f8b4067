//===- WeightDequantization.h - Scales of a weight --------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TARGET_WEIGHTDEQUANTIZATION_H
#define LUTRA_LIB_TARGET_WEIGHTDEQUANTIZATION_H

#include "WeightCast.h"
#include "WeightView.h"
#include "dialects/Lutra/Lutra.h"
#include "lutra/Target/WeightImage.h"

namespace mlir::lutra {

class WeightExpression;

/// A dequantize step, read and checked. Scales and zero points are arrays that
/// repeat along the weight; what moves the weight moves them alike, so that the
/// same block of all three can be gathered.
class WeightDequantization {
public:
  static llvm::Expected<WeightDequantization>
  parse(DequantizeAttr step, RankedTensorType type, Location loc);
  WeightDequantization(WeightDequantization &&);
  ~WeightDequantization();

  /// The views that move with the weight.
  SmallVector<WeightView *, 2> views();

  /// Reads the scales and zero points.
  llvm::Error load(OpenSource open);
  void unload();
  /// Converts `count` gathered elements, [start, start + count) of the result,
  /// to f32.
  void apply(const char *in, int64_t start, int64_t count, float *out) const;

private:
  struct Parameter {
    std::unique_ptr<WeightExpression> expression;
    WeightView view;
    SmallVector<char, 0> values;
  };

  explicit WeightDequantization(Scalar from);
  static llvm::Expected<Parameter> parameter(DictionaryAttr weight,
                                             DequantizeAttr step,
                                             RankedTensorType type,
                                             Location loc);
  static llvm::Error load(Parameter &parameter, OpenSource open, Scalar from,
                          Scalar to);

  /// What zero points are subtracted in: i32, or f32 of floats.
  Scalar centered() const;
  template <typename Centered>
  void applyAs(const char *in, int64_t start, int64_t count, float *out) const;

  Scalar from;
  /// In f32 and, where there is one, in `centered`.
  std::optional<Parameter> scale, zero;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_TARGET_WEIGHTDEQUANTIZATION_H
