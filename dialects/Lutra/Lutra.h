//===- Lutra.h - The program around the kernels -----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_LUTRA_LUTRA_H
#define LUTRA_DIALECTS_LUTRA_LUTRA_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/Lutra/LutraDialect.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Lutra/LutraAttrs.h.inc"

#define GET_OP_CLASSES
#include "dialects/Lutra/LutraOps.h.inc"

namespace mlir::lutra {

/// The tensor type after `step` (a weight-expression attribute) is applied to
/// a tensor of type `type`; an error at `emitError` where it does not fit.
FailureOr<RankedTensorType>
applyStep(RankedTensorType type, Attribute step,
          function_ref<InFlightDiagnostic()> emitError);

/// Checks the places of steps that have one: what reads the storage is first,
/// what packs codes is last.
LogicalResult verifyOrder(ArrayRef<Attribute> steps,
                          function_ref<InFlightDiagnostic()> emitError);

/// `shape` over the dimensions of `dims` (lutra.dims) that determine the
/// others.
AffineMap resolveDims(ArrayAttr dims, AffineMap shape);

/// Names of the attributes that carry a model's interface through the phases.
/// On the module:
///   lutra.target  #lutra.target, from `encode` on
///   lutra.image   array of dictionaries, from `plan` on (see PlanWeights)
/// On the host function:
///   lutra.dims    array of {name, min, max, multiple}; position = symbol.
///                 Where `equals` is there, a map ()[dims] -> (size), other
///                 dimensions determine this one, which each run checks. Where
///                 `state` is there, it is the length of the states
///   lutra.length  the length after a run, a map ()[dims] -> (size), where the
///                 model keeps states
/// On a kernel: lutra.kernel; lutra.rows, where it computes row by row with
/// several reductions, the loops of its last operation that are rows; and
/// lutra.schedule
/// On the host's arguments and results:
///   lutra.name, lutra.dtype (ONNX's name, "FLOAT"), and lutra.shape, an
///   affine map ()[dims] -> (sizes)
///   lutra.state   in `import`, on an argument that becomes a state: {present,
///                 axis, capacity}; later on a result that is the new value of
///                 the state of this name. Such results are the last
namespace attr {
inline constexpr StringLiteral kTarget = "lutra.target";
inline constexpr StringLiteral kImage = "lutra.image";
inline constexpr StringLiteral kDims = "lutra.dims";
inline constexpr StringLiteral kEquals = "equals";
inline constexpr StringLiteral kState = "lutra.state";
inline constexpr StringLiteral kLength = "lutra.length";
inline constexpr StringLiteral kName = "lutra.name";
inline constexpr StringLiteral kDType = "lutra.dtype";
inline constexpr StringLiteral kShape = "lutra.shape";
inline constexpr StringLiteral kSchedule = "lutra.schedule";
inline constexpr StringLiteral kKernel = "lutra.kernel";
inline constexpr StringLiteral kRows = "lutra.rows";
inline constexpr StringLiteral kStream = "lutra.stream";
} // namespace attr

} // namespace mlir::lutra

#endif // LUTRA_DIALECTS_LUTRA_LUTRA_H
