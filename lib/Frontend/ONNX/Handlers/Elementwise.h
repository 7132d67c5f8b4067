//===- Elementwise.h - Rows of elementwise operators ------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An elementwise operator is a function from scalars to a scalar, the element
// types that it takes, and a line that adds it:
//
//   addElementwise<exp, Types::Float>(registry, "Exp", {6, 13});
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_ELEMENTWISE_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_ELEMENTWISE_H

#include "../Scalars.h"
#include "Operands.h"
#include "lutra/Frontend/ONNX/Registry.h"

namespace mlir::lutra {

/// Sets of element types that operators take.
enum class Types { Any, Number, Float, Integer, Unsigned, Bool };

bool accepts(Types types, DType dtype);

/// Whether all inputs that are there, from `first` on, have one type, and
/// `types` accepts it. Unknown types pass.
Support supportsTypes(const Node &node, Types types, unsigned first = 0);

/// One scalar from one per input. Inputs are in the computeType of their
/// types, which is that of `s` for the first input.
using Body = Value (*)(Scalars &s, ValueRange inputs, const Node &node);
using BodyRef = llvm::function_ref<Value(Scalars &s, ValueRange inputs)>;

/// `body` over the broadcast of `operands`, computed in their computeTypes.
FailureOr<Tensor> compute(Lowering &lowering, ArrayRef<Tensor> operands,
                          DType result, BodyRef body);

/// `body` in the loop nest of `shape`, with a map from its loops for each
/// operand.
Tensor computeMapped(Lowering &lowering, ArrayRef<Tensor> operands,
                     ArrayRef<AffineMap> maps, ArrayRef<AffineExpr> shape,
                     DType result, BodyRef body);

/// A size as a scalar, which is a constant where the size is.
Value sizeScalar(Lowering &lowering, Scalars &s, AffineExpr size);

/// An index into a dimension of `size` from an integer of type `dtype` that is
/// data: counted from the end where it is negative, clamped where it is
/// outside.
Value position(Lowering &lowering, ImplicitLocOpBuilder &b, Value index,
               DType dtype, AffineExpr size);

/// Fails where a dimension of `size` may be empty: clamping needs an element to
/// clamp to.
LogicalResult requirePosition(const Node &node, Lowering &lowering,
                              AffineExpr size);

/// A result known as an expression from known elements, or null.
using Fold = AffineExpr (*)(Lowering &, ArrayRef<AffineExpr> elements);

/// The elements of an elementwise result, where `fold` knows all of them.
std::optional<SmallVector<AffineExpr>>
foldInts(Lowering &lowering, ArrayRef<Tensor> operands, Fold fold);

/// The lowering of a row of addElementwise.
FailureOr<SmallVector<Tensor>> lowerElementwise(const Node &node,
                                                Lowering &lowering, Types types,
                                                DType result, Body body,
                                                Fold fold, Body part);

/// Adds an operator whose inputs have one type of `types`; the result has the
/// same, or `result`. One of any number of inputs has `part`, which makes one
/// of the first of many.
template <Body body, Types types, DType result = DType::Undefined,
          Fold fold = nullptr, Body part = nullptr>
void addElementwise(Registry &registry, StringRef name,
                    SmallVector<int64_t> versions) {
  registry.add({"", name, std::move(versions),
                [](const Node &node) { return supportsTypes(node, types); },
                [](const Node &node, Lowering &lowering) {
                  return lowerElementwise(node, lowering, types, result, body,
                                          fold, part);
                }});
}

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_ELEMENTWISE_H
