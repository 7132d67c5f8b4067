//===- WeightSteps.h - Weights with more steps ------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_LUTRA_WEIGHTSTEPS_H
#define LUTRA_DIALECTS_LUTRA_WEIGHTSTEPS_H

#include "dialects/Lutra/Lutra.h"
#include "mlir/IR/Builders.h"

namespace mlir::lutra {

/// A copy of `weight` at `b` with `more` behind its steps, and the type that
/// they give it. Emits an error at the weight where one does not fit.
FailureOr<WeightOp> addSteps(OpBuilder &b, WeightOp weight,
                             ArrayRef<Attribute> more);

/// How many columns of its matrix a step repeats, with a negative factor.
int64_t numRepeated(QuantizeAttr step);
/// The groups of a row of `columns` weights: those that are repeated are twice
/// in groups of their own.
int64_t numGroups(QuantizeAttr step, int64_t columns);

/// A weight whose elements stand in the IR, for constants that are too large
/// for an `arith.constant`.
WeightOp createInlineWeight(OpBuilder &b, Location loc, StringRef name,
                            DenseElementsAttr elements);

} // namespace mlir::lutra

#endif // LUTRA_DIALECTS_LUTRA_WEIGHTSTEPS_H
