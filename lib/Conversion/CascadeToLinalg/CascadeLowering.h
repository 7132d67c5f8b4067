//===- CascadeLowering.h - A cascade as structured operations ---*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the lowering of Einsums, of iterations and of states share: where each
// value of the cascade is, and which part of the iterated rank it is about.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_CASCADETOLINALG_CASCADELOWERING_H
#define LUTRA_LIB_CONVERSION_CASCADETOLINALG_CASCADELOWERING_H

#include "IterationRange.h"
#include "dialects/Cascade/Gather.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::lutra {

class CascadeLowering {
public:
  CascadeLowering(RewriterBase &b, cascade::CascadeOp op, int64_t part,
                  ValueRange destinations);
  SmallVector<Value> run();

private:
  void lower(Operation &op);
  void lower(cascade::EinsumOp op);
  void lower(cascade::IterateOp op);
  void lower(cascade::RebaseOp op);
  void lower(cascade::MergeOp op);
  void lower(cascade::TopKOp op);

  /// What an Einsum reads, and where.
  struct Operands {
    SmallVector<Value> tensors;
    SmallVector<AffineMap> maps;
  };
  Operands operandsOf(cascade::EinsumOp op, OpOperand *except = nullptr);
  linalg::GenericOp build(cascade::EinsumOp op, const Operands &operands,
                          Value into, OpOperand *updated = nullptr);
  bool movesNothing(cascade::EinsumOp op, OpOperand *updated);
  Value whetherCorrects(Value correction);
  Value correctIf(cascade::EinsumOp op, OpOperand *updated, Value into);
  void findBlocks(cascade::IterateOp op, int64_t part);
  bool hasManyRows(cascade::EinsumOp reader, cascade::EinsumOp source);
  bool canReadBlocks(cascade::EinsumOp reader, cascade::EinsumOp source,
                     StringRef rank, int64_t length);
  bool readsBlocks(cascade::EinsumOp op);
  void lowerInBlocks(cascade::EinsumOp op);
  Value computeBlock(cascade::EinsumOp op, Value at, Value into);
  Value sliceOf(Value tensor, ArrayRef<unsigned> dims, Value at);
  Value blockOf(cascade::EinsumOp op, SmallVectorImpl<unsigned> &order);

  Value lookup(Value value) { return map.lookupOrDefault(value); }
  Value emptyOf(AffineMap indices, cascade::EinsumOp op, Type element);
  Value fillOf(Value empty, TypedAttr value);
  Value destinationOf(cascade::EinsumOp op);
  OpOperand *updatedInput(cascade::EinsumOp op);
  bool isImplied(cascade::EinsumOp op, AffineExpr constraint);
  Value isInside(OpBuilder &b, cascade::EinsumOp op);
  Value isPresent(OpBuilder &b, cascade::EinsumOp op, Value mask);
  Value point(OpBuilder &b, cascade::EinsumOp op, ValueRange elements);
  void cloneBody(OpBuilder &b, cascade::EinsumOp op, IRMapping &inner);
  Value coordinate(OpBuilder &b, StringRef rank, unsigned loop);
  SmallVector<OpFoldResult> sizesOfRanks();
  IterationRange rangeOf(cascade::IterateOp op, Value step);
  bool goOverWholeParts(cascade::IterateOp op, IterationRange &range,
                        int64_t size, Value step, SmallVector<Value> &carried);
  void cutStreams(cascade::IterateOp op, Value at, OpFoldResult length);
  ValueRange goOver(cascade::IterateOp op, const IterationRange &range,
                    OpFoldResult from, OpFoldResult to, Value step,
                    bool areWhole, ValueRange carried);
  OpFoldResult apply(AffineExpr expr, ArrayRef<OpFoldResult> operands) {
    return affine::makeComposedFoldedAffineApply(b, loc, expr, operands);
  }

  RewriterBase &b;
  cascade::CascadeOp root;
  int64_t part;
  Location loc;
  IRMapping map;
  /// How far each rank goes: inside an iteration, the size of the part.
  llvm::StringMap<OpFoldResult> extents;
  /// Where the part begins, inside an iteration.
  llvm::StringMap<Value> offsets;
  /// Whether the iteration has one part, so that what is carried is as it
  /// began.
  bool hasOnePart = false;
  /// What the range of an iteration is rounded to, outwards.
  int64_t unit = 1;
  /// What is read where it lies, in blocks, and how many coordinates of the
  /// iterated rank are in one.
  DenseMap<Value, cascade::GatheredBlocks> blocks;
  int64_t blockLength = 0;
  /// Of corrections that seldom do anything, whether they do.
  DenseMap<Value, Value> corrects;
  /// Where the Einsums that are yielded are to write.
  DenseMap<Value, Value> destinations;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_CASCADETOLINALG_CASCADELOWERING_H
