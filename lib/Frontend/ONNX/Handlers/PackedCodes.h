//===- PackedCodes.h - Codes of few bits, one in a byte ---------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_PACKEDCODES_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_PACKEDCODES_H

#include "lutra/Frontend/ONNX/Lowering.h"

namespace mlir::lutra {

/// Codes of `bits` bits as bytes of `shape`, from `bytes` that have them one
/// behind the other, the first in the lowest bits: `rows` rows of equally many,
/// each of which begins a byte. A constant is unpacked when the weight file is
/// written.
FailureOr<Tensor> unpackCodes(Lowering &lowering, const Tensor &bytes,
                              unsigned bits, ArrayRef<int64_t> shape,
                              int64_t rows);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_PACKEDCODES_H
