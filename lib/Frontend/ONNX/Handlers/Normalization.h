//===- Normalization.h - Pieces of normalizations ---------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_NORMALIZATION_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_NORMALIZATION_H

#include "Reduction.h"

namespace mlir::lutra {

SmallVector<int64_t> axesFrom(int64_t first, int64_t rank);

/// Casts a body's input, of the computeType of `from`, to the body's type.
Value asType(Scalars &s, Value value, const Tensor &from);

/// The mean of map(x) over `axes`, in `type`.
Tensor meanOf(Lowering &lowering, const Tensor &x, ArrayRef<int64_t> axes,
              DType type, BodyRef map = {});

/// x - mean, where `mean` lacks the dimensions `axes` of `x`.
Tensor centered(Lowering &lowering, const Tensor &x, const Tensor &mean,
                ArrayRef<int64_t> axes);

Value squareOf(Scalars &s, ValueRange v);

/// 1 / sqrt(variance + epsilon).
Tensor inverseDeviation(Lowering &lowering, const Tensor &variance,
                        double epsilon);

/// Adds an operator whose inputs are all floats of one type.
template <LowerFn lower, unsigned inputs>
void addNorm(Registry &registry, StringRef domain, StringRef name,
             SmallVector<int64_t> versions) {
  auto supports = [](const Node &node) {
    if (node.numInputs() < inputs)
      return Support::no("expected " + Twine(inputs) + " inputs");
    for (const Tensor &input : node.inputs())
      if (input.dtype != DType::Undefined && !isFloat(input.dtype))
        return Support::no("expected floats, got " + dtypeName(input.dtype));
    return Support::yes();
  };
  registry.add({domain, name, std::move(versions), supports,
                [](const Node &node,
                   Lowering &lowering) -> FailureOr<SmallVector<Tensor>> {
                  for (const Tensor &input : node.inputs())
                    if (input && !isFloat(input.dtype))
                      return node.error() << "expected floats, got "
                                          << dtypeName(input.dtype);
                  return lower(node, lowering);
                }});
}

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_NORMALIZATION_H
