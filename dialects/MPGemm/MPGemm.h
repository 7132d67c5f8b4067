//===- MPGemm.h - Products with low-bit factors -----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_MPGEMM_MPGEMM_H
#define LUTRA_DIALECTS_MPGEMM_MPGEMM_H

#include "dialects/Lutra/CodePlanes.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/TilingInterface.h"

#include "dialects/MPGemm/FormatInterface.h.inc"
#include "dialects/MPGemm/MPGemmDialect.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/MPGemm/MPGemmAttrs.h.inc"

#include "dialects/MPGemm/ProductInterface.h.inc"

#define GET_OP_CLASSES
#include "dialects/MPGemm/MPGemmOps.h.inc"

namespace mlir::lutra::mpgemm {

/// Whether the sum of `codes` products of a code of `bits` bits and an 8-bit
/// integer fits 32 bits, also while some of it is missing.
bool fitsAccumulator(unsigned bits, int64_t codes);

/// Makes the operations known to upstream's one-shot bufferization.
void registerBufferizationModels(DialectRegistry &registry);

} // namespace mlir::lutra::mpgemm

#endif // LUTRA_DIALECTS_MPGEMM_MPGEMM_H
