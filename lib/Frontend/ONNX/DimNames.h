//===- DimNames.h - Dimensions named by a sum -------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_DIMNAMES_H
#define LUTRA_LIB_FRONTEND_ONNX_DIMNAMES_H

#include "mlir/IR/AffineExpr.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include <optional>

namespace mlir::lutra {

/// The size that a name such as "past_sequence_length + sequence_length" or
/// "2*s0" says, where it is arithmetic (+, -, *, / by a number, parentheses) of
/// numbers and of names that `sizeOf` knows. Nothing where it is a plain name.
std::optional<AffineExpr>
sizeFromName(StringRef name, MLIRContext *context,
             llvm::function_ref<std::optional<AffineExpr>(StringRef)> sizeOf);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_DIMNAMES_H
