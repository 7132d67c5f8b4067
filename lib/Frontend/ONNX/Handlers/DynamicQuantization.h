//===- DynamicQuantization.h - Bytes of a range found at run time -*- C++ -*-=//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_DYNAMICQUANTIZATION_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_DYNAMICQUANTIZATION_H

#include "lutra/Frontend/ONNX/Registry.h"

namespace mlir::lutra {

/// Unsigned bytes, and their scale and zero point, which have rank 0.
struct DynamicallyQuantized {
  Tensor bytes, scale, zero;
};

/// x in f32 as DynamicQuantizeLinear quantizes it: the range of its elements,
/// widened to include 0, is divided into 255 steps.
FailureOr<DynamicallyQuantized> dynamicallyQuantized(Lowering &lowering,
                                                     const Tensor &x);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_DYNAMICQUANTIZATION_H
