//===- Cascade.h - Einsums over named ranks ---------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_CASCADE_CASCADE_H
#define LUTRA_DIALECTS_CASCADE_CASCADE_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/IntegerSet.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/TilingInterface.h"

#include "dialects/Cascade/CascadeDialect.h.inc"
#include "dialects/Cascade/CascadeEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Cascade/CascadeAttrs.h.inc"

#include "dialects/Cascade/EinsumInterface.h.inc"

#define GET_OP_CLASSES
#include "dialects/Cascade/CascadeOps.h.inc"

namespace mlir::lutra::cascade {

/// Whether `combine` combines values of `type` by `monoid`.
bool isMonoidOver(Monoid monoid, Type type);

/// The identity of `monoid` in `type`, or null where it has none there.
TypedAttr identityOf(Monoid monoid, Type type);

/// x combined with y.
Value combine(OpBuilder &b, Location loc, Monoid monoid, Value x, Value y);

/// The monoid that an operation of `arith` is, if it is one.
std::optional<Monoid> monoidOf(Operation *op);

/// The ranks along the dimensions of a tensor inside a cascade: of an Einsum's
/// result, a reference or what an iteration carries. Nothing for a tensor from
/// outside, whose readers alone know, and for a part of one.
std::optional<SmallVector<StringRef>> ranksOf(Value tensor);

/// The ranks that `op` reads the dimensions of an input along, if each goes
/// along one.
std::optional<SmallVector<StringRef>> ranksRead(EinsumOp op, unsigned input);

/// The ranks of the rows of a cascade, which tiles are cut along: those that
/// all states and results have. Where a step sums up what it then goes over, a
/// rank that none of these sums has is no row, as each tile along it would
/// compute them again.
SmallVector<StringRef> rowRanks(CascadeOp op);

/// Whether two reductions of the same ranks are over the same points.
bool hasSamePoints(EinsumOp a, EinsumOp b);

/// Whether an iteration goes over `value` for all rows alike: a part of a
/// stream, or what is made of such, or gathered, element by element.
bool isStreamed(IterateOp op, Value value);

/// Whether any of the streams is of elements of `type`.
bool streams(IterateOp op, Type type);

/// Whether `value` is defined before `op`, or before what `op` is in. For those
/// who run before it is verified that everything is.
bool isBefore(Value value, Operation *op);
/// The ranks of what `op` uses, for the same.
std::optional<SmallVector<StringRef>> ranksBefore(Value tensor, Operation *op);

/// Erases the Einsums of a block that nothing reads.
void eraseUnread(Block &block);

/// Makes linalg.generic an EinsumOpInterface where it has tensors, one result,
/// and a body that combines it with a new value by a monoid.
void registerEinsumModels(DialectRegistry &registry);

} // namespace mlir::lutra::cascade

#endif // LUTRA_DIALECTS_CASCADE_CASCADE_H
