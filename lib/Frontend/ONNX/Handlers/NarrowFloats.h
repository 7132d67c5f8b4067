//===- NarrowFloats.h - Floats of 8 and 4 bits ------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_NARROWFLOATS_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_NARROWFLOATS_H

#include "lutra/Frontend/ONNX/Registry.h"

namespace mlir::lutra {

/// What each code of a narrow float stands for.
SmallVector<float> numbersOf(MLIRContext *context, DType dtype);
/// A narrow float as f32; a weight as one that is decoded when it is written.
FailureOr<Tensor> decoded(Lowering &lowering, const Tensor &x);

/// `value`, which is f32, rounded to the bits of a narrow float. What is too
/// large becomes the largest number where it `saturates` or `dtype` has no
/// other way, else an infinity or, where `dtype` has none, NaN.
Value encodeScalar(ImplicitLocOpBuilder &b, Value value, DType dtype,
                   bool saturates);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_NARROWFLOATS_H
