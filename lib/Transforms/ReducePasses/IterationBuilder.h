//===- IterationBuilder.h - Writes a cascade.iterate ------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TRANSFORMS_REDUCEPASSES_ITERATIONBUILDER_H
#define LUTRA_TRANSFORMS_REDUCEPASSES_ITERATIONBUILDER_H

#include "Rewrites.h"

#include "mlir/IR/IRMapping.h"

namespace mlir::lutra::cascade {

/// What is carried for squares about a mean, next to the sum.
struct Moments {
  Value count, squares;
};

class IterationBuilder {
public:
  IterationBuilder(Terms &terms, StringRef rank, const Loop &loop)
      : terms(terms), cascade(terms.getCascade()), rank(rank), loop(loop),
        b(cascade.getBlock()->getTerminator()) {}

  void build();

private:
  EinsumOp
  buildMap(EinsumOp like, ArrayRef<Value> inputs,
           function_ref<Value(OpBuilder &, Location, ValueRange)> body);
  EinsumOp buildConstant(EinsumOp like, TypedAttr value);
  Value firstReference(EinsumOp op);
  Value firstSum(const RunningSum &sum, Value reference);
  Value firstPlain(EinsumOp op);
  EinsumOp cloneInside(EinsumOp op, Value init);
  void buildReference(EinsumOp op);
  void cutOperands(EinsumOp clone);
  bool isGuardedAbove(EinsumOp reference);
  PolicyAttr policyOf(EinsumOp reference);
  void keepFinite(EinsumOp maximum);
  EinsumOp buildInside(EinsumOp like, Value init, const Term *point);
  Value buildSum(EinsumOp like, Value carried, Value local);
  Value buildMean(EinsumOp like, Value sum, Value count);
  Value buildMean(EinsumOp like, Value sum, Value localSum, Value count,
                  Value localCount);
  void buildSquares(const SquareSum &squares);
  void finishSquares(const SquareSum &squares, Value total,
                     const Moments &result);
  void buildBody();
  std::optional<std::pair<Value, double>> absenceUnder(EinsumOp reference,
                                                       IterateOp iterate);
  Value buildAbsent(EinsumOp like, Value result,
                    std::pair<Value, double> absence, double number);
  void finishReference(EinsumOp op, Value result, IterateOp iterate);
  void finishSum(const RunningSum &sum, Value result, IterateOp iterate);
  void finish(IterateOp iterate);

  Terms &terms;
  CascadeOp cascade;
  StringRef rank;
  const Loop &loop;
  OpBuilder b;
  IRMapping inside;
  llvm::DenseMap<std::pair<Value, int64_t>, Value> parts;
  /// What is carried of a reduction, and what of a maximum that is no reference
  /// by itself, too.
  llvm::DenseMap<Operation *, Value> carried, next, plainCarried, plainNext;
  /// Of a sum whose mean squares are about, what the part adds to it.
  llvm::DenseMap<Operation *, Value> locals;
  llvm::DenseMap<std::pair<Operation *, unsigned>, Value> corrections;
  llvm::DenseMap<Operation *, Moments> moments;
};

} // namespace mlir::lutra::cascade

#endif // LUTRA_TRANSFORMS_REDUCEPASSES_ITERATIONBUILDER_H
