//===- StateAlgebra.h - References and corrections of states ----*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_STATEALGEBRA_H
#define LUTRA_LIB_CONVERSION_STATEALGEBRA_H

#include "dialects/Cascade/Cascade.h"

namespace mlir::lutra {

/// A reference, at least the lowest finite number: of two that are -inf, the
/// difference would be NaN.
Value atLeastLowest(OpBuilder &b, Location loc, Value reference);

/// h(to) / h(from) of a family.
Value correction(OpBuilder &b, Location loc, cascade::Family family, Value from,
                 Value to);

/// The reference that `op`, whose policy moves it, makes of an old one and the
/// local one.
Value newReference(OpBuilder &b, Location loc, cascade::RebaseOp op,
                   Value local, Value old);

/// A reduction of dimension 0 of `inputs`, which may lack others.
Value reduceStates(OpBuilder &b, Location loc, cascade::Monoid monoid,
                   ValueRange inputs, ArrayRef<AffineMap> maps,
                   function_ref<Value(OpBuilder &, ValueRange)> point);

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_STATEALGEBRA_H
