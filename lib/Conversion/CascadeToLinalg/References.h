//===- References.h - Maxima that nothing but exponentials sees -*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_CASCADETOLINALG_REFERENCES_H
#define LUTRA_LIB_CONVERSION_CASCADETOLINALG_REFERENCES_H

#include "dialects/Cascade/Cascade.h"

namespace mlir::lutra {

/// Whether `maximum` may pass over a NaN, as machines do in one instruction:
/// either it is a reference of exponentials that are summed part by part, or
/// all that comes of it also comes of a sum over the same elements, which is
/// NaN where one of them is.
bool isReference(cascade::EinsumOp maximum);

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_CASCADETOLINALG_REFERENCES_H
