//===- KeyFilter.h - Which keys a query sees --------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The loops of attention by name, and the keys that are left out of them:
// behind a query, outside of its window, padding, what a mask says.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_KEYFILTER_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_KEYFILTER_H

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

  bool any() const { return isPlaced() || length || mask; }
  /// Whether it matters where a query stands.
  bool isPlaced() const { return causal || left || right; }
};

/// What a filter reads, besides indices.
SmallVector<Ranked> operandsOf(const KeyFilter &filter);
/// Whether a query sees a key, inside of a body of `loops`; `read` are the
/// elements of operandsOf. `filter` is none that lets all pass.
Value sees(Lowering &lowering, ImplicitLocOpBuilder &b, const KeyFilter &filter,
           ArrayRef<Rank> loops, ValueRange read);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_KEYFILTER_H
