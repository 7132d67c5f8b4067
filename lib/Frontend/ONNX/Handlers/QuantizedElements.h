//===- QuantizedElements.h - Pieces of quantized operators ------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_QUANTIZEDELEMENTS_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_QUANTIZEDELEMENTS_H

#include "Elementwise.h"

namespace mlir::lutra {

/// Whether numbers are quantized to this type: 8 and 16-bit integers.
bool isQuantized(DType dtype);
/// Whether a scale may have this type: f32 and the 16-bit floats.
bool isScale(DType dtype);

/// Refuses input i of a type that `accepts` does not accept. An input that is
/// absent, or of a type not known yet, passes.
Support supportsInput(const Node &node, unsigned i, StringRef what,
                      bool (*accepts)(DType));

/// Whether numbers are quantized to this type only where it is a constant's, or
/// on their way to a DequantizeLinear: floats of 8 and 4 bits, integers of 4
/// and 2.
bool isNarrowQuantized(DType dtype);

/// round(value) + zero, saturated, as a scalar of `dtype`'s storage type.
/// `value` is f32; halves are rounded to even; NaN becomes the least number.
/// `zero` is of `dtype`, or null for 0; of narrow integers both are codes.
Value quantizeScalar(ImplicitLocOpBuilder &b, Value value, Value zero,
                     DType dtype);

/// scalar - zero in i32; `zero` is of the same type, or null for 0.
Value centerScalar(ImplicitLocOpBuilder &b, Value scalar, Value zero,
                   DType dtype);

/// True where `zero` is absent or known to be 0 everywhere.
bool isZero(Lowering &lowering, const Tensor &zero);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_QUANTIZEDELEMENTS_H
