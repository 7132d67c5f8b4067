//===- AttentionOperands.h - Heads, masks and caches ------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the operators that attend share before and after they do: inputs seen as
// heads, masks aligned with the scores, grown caches.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_ATTENTIONOPERANDS_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_ATTENTIONOPERANDS_H

#include "Attend.h"
#include "SizeCheck.h"

namespace mlir::lutra {

/// The sizes of one attention.
struct AttentionSizes {
  AffineExpr batch, queries, keys, depth, width;
  /// Heads of queries, and of keys and values, and how many of the former share
  /// one of the latter.
  AffineExpr heads, keyHeads, group;
  /// Keys of the cache, zero where there is none.
  AffineExpr past;

  bool grouped() const;
  /// The number of keys with those of the cache.
  AffineExpr total() const;
  /// The shape of the scores: batch, heads, queries, total.
  Shape scores() const { return {batch, heads, queries, total()}; }
};

/// The number of heads, which an attribute says; an error says `where` it must.
AffineExpr countHeads(SizeCheck &check, const Node &node, StringRef name,
                      StringRef where = "");
/// Finds `group` from `heads` and `keyHeads`.
void divideHeads(SizeCheck &check, AttentionSizes &sizes);
/// The size of one of `heads` in `width`.
AffineExpr headSize(SizeCheck &check, StringRef name, AffineExpr width,
                    AffineExpr heads);

/// [batch, sequence, heads * size] with its heads apart, as it lies in memory.
/// `of` is Query or Key, `size` Depth or Width.
FailureOr<Ranked> splitHeads(Lowering &lowering, const Tensor &x,
                             const AttentionSizes &sizes, Rank of, Rank size);
/// [batch, heads, sequence, size] likewise.
FailureOr<Ranked> groupHeads(Lowering &lowering, const Tensor &x,
                             const AttentionSizes &sizes, Rank of, Rank size);
/// Keys or values as a cache has them: [batch, heads, sequence, size].
FailureOr<Tensor> asCache(Lowering &lowering, const Ranked &x);
/// A cache as operand of an attention.
Ranked fromCache(const Tensor &cache, Rank size);
/// Puts keys and values behind those of their caches, inputs `past` and
/// `past` + 1, if there are any. Sets the caches that this makes, which outputs
/// 1 and 2 of `results` are, where there were some or some are wanted.
LogicalResult growCaches(const Node &node, Lowering &lowering, unsigned past,
                         Ranked &keys, Ranked &values,
                         MutableArrayRef<Tensor> results);

/// Fails unless input i broadcasts to `shape`, which is that of the scores.
/// Where `isPadded`, its last dimension may be shorter.
void checkMask(SizeCheck &check, const Node &node, unsigned i, StringRef name,
               ArrayRef<AffineExpr> shape, bool isPadded);
/// A checked mask, or bias, as an operand of an attention; keys that it has no
/// element for are masked.
FailureOr<Ranked> alignMask(Lowering &lowering, Tensor mask,
                            const AttentionSizes &sizes);

/// Adds input i, checked by `checkMask`, to the scores, where it is there.
LogicalResult addBias(const Node &node, Lowering &lowering, unsigned i,
                      const AttentionSizes &sizes, Attend &form);

/// The output of attention in the layout of `splitHeads`, and of `groupHeads`.
SmallVector<Rank> splitLayout(const AttentionSizes &sizes);
SmallVector<Rank> groupLayout(const AttentionSizes &sizes);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_ATTENTIONOPERANDS_H
