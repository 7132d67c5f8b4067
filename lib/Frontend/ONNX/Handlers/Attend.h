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

#include "lutra/Frontend/ONNX/Registry.h"

namespace mlir::lutra {

/// The loops. Query heads are heads of keys times the group that shares each;
/// there is no loop Group where no head is shared.
enum class Rank { Batch, Head, Group, Query, Key, Depth, Width, None };

/// A tensor, and for each of its dimensions the loop that walks along it: None
/// for one of size 1 that is repeated.
struct Ranked {
  Tensor tensor;
  SmallVector<Rank> ranks;

  explicit operator bool() const { return bool(tensor); }
  bool has(Rank rank) const { return llvm::is_contained(ranks, rank); }
};

/// A number for each batch: numbers[batch] + plus, where `numbers` is an
/// integer tensor of rank 1 or absent.
struct BatchNumber {
  Tensor numbers;
  AffineExpr plus;
  bool atLeastZero = false;
};

/// The number as an index, inside of a body; `read` is the element of `numbers`
/// where there are some.
Value batchNumber(Lowering &lowering, ImplicitLocOpBuilder &b,
                  const BatchNumber &number, Value read);

/// Which keys a query sees: those for which all that is given here holds.
struct KeyFilter {
  /// The key that stands where query 0 does; query p then is at first + p.
  BatchNumber first;
  /// No key behind the query's own place.
  bool causal = false;
  /// At most so many keys before, or behind, the query's own place.
  std::optional<int64_t> left, right;
  /// The number of keys that are there.
  std::optional<BatchNumber> length;
  /// A bool for each key.
  Ranked mask;

  bool any() const { return causal || left || right || length || mask; }
};

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
