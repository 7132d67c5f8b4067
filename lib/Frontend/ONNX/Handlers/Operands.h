//===- Operands.h - Checked attributes and known operands -------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What handlers of shape and data movement ask of a node before they trust it.
// Functions that fail have emitted an error at the node.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_OPERANDS_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_OPERANDS_H

#include "lutra/Frontend/ONNX/Registry.h"

namespace mlir::lutra {

/// No ONNX attribute that counts elements may be larger: products of two such
/// numbers cannot overflow.
inline constexpr int64_t kMaxExtent = INT32_MAX;

/// Whether an import value is an input of the model. An input of a subgraph is
/// not: it stands for a value that may be known.
bool isModelInput(Value value);

/// The rank of an input where it is known when `supports` is asked.
std::optional<int64_t> knownRank(const Tensor &tensor);

/// `axis` counted from the front, in [0, rank).
FailureOr<int64_t> normalizeAxis(const Node &node, int64_t axis, int64_t rank);
/// The same for several axes, which must differ.
FailureOr<SmallVector<int64_t>>
normalizeAxes(const Node &node, ArrayRef<int64_t> axes, int64_t rank);

/// The elements of an integer tensor of rank 0 or 1 where they are known as
/// expressions.
std::optional<SmallVector<AffineExpr>> knownInts(Lowering &lowering,
                                                 const Tensor &tensor);
/// The elements of input i, an error naming `what` where they are not known.
FailureOr<SmallVector<AffineExpr>>
requireInts(const Node &node, Lowering &lowering, unsigned i, StringRef what);
/// The elements of input i, which must be constants.
FailureOr<SmallVector<int64_t>> requireConstants(const Node &node,
                                                 Lowering &lowering, unsigned i,
                                                 StringRef what);

/// Refuses a node whose input i, which shapes are computed from, is an input of
/// the model, unless the shape of its result is declared.
Support supportsKnown(const Node &node, unsigned i, StringRef what,
                      bool unlessDeclared = false);
/// The shape of a result where the model declares it, or that of what is made
/// of it element by element. It binds the model's user, so that a shape operand
/// known only at run time need not be read.
std::optional<Shape> declaredShape(const Node &node, unsigned result = 0);

/// Fails where input i is absent or has less than `rank` dimensions.
LogicalResult requireRank(const Node &node, unsigned i, int64_t rank);

/// Fails where an input has another element type than input 0.
LogicalResult requireSameType(const Node &node);

/// The only result of a handler.
FailureOr<SmallVector<Tensor>> one(FailureOr<Tensor> result);

/// True for a scalar and for a vector of one element.
bool hasOneElement(const Tensor &tensor);

/// One size for printing.
std::string sizeText(Lowering &lowering, AffineExpr size);

/// `size` as an index value inside a body.
Value indexIn(ImplicitLocOpBuilder &b, Lowering &lowering, AffineExpr size);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_OPERANDS_H
