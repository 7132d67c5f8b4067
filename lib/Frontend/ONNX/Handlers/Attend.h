//===- Attend.h - The one form of attention ---------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All operators that attend come down to the same few loops: products of
// queries and keys, what changes the products one by one, a softmax, and
// products with the values. How tensors lie in memory is in the maps by which
// they are read and written; heads that share keys share them by maps too.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_ATTEND_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_ATTEND_H

#include "KeyFilter.h"

namespace mlir::lutra {

/// What can be asked for of the scores.
enum class Scores { Scaled, Capped, Masked, Softmax };

struct Attend {
  /// Of Batch, Head, Group and Query, Depth; of Batch, Head and Key, Depth; of
  /// Batch, Head and Key, Width.
  Ranked query, key, value;
  /// 1 / sqrt(depth) where there is none.
  std::optional<double> scale;
  /// softcap * tanh(score / softcap); none where 0.
  double softcap = 0;
  /// Added to the scores.
  SmallVector<Ranked> biases;
  KeyFilter filter;
  /// The scores are rounded to this type, and their softmax is computed in it
  /// or in a wider one. Undefined for the type of the scores.
  DType softmaxType = DType::Undefined;
  /// The score of one more key, whose value is zero: by head, or zero.
  Ranked sink;
  bool zeroSink = false;
  /// The dimensions of the result, and its element type.
  SmallVector<Rank> layout;
  DType type;

  bool grouped() const { return query.has(Rank::Group); }
  AffineExpr sizeOf(Rank rank) const;
};

struct Attended {
  /// Of the layout's dimensions.
  Tensor result;
  /// Of Batch, Head, Group, Query and Key; null where nobody asked.
  Tensor scores;
};

/// Emits attention, and the scores at a stage where `wanted` says one. A query
/// that sees no key has the result zero.
Attended attend(Lowering &lowering, const Attend &form,
                std::optional<Scores> wanted = std::nullopt);

/// `ranks` less Group where a form has no such loop.
SmallVector<Rank> withoutGroup(ArrayRef<Rank> ranks, bool grouped);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_ATTEND_H
