//===- IndexBuilder.h - Arithmetic of indices and loops ---------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_INDEXBUILDER_H
#define LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_INDEXBUILDER_H

#include "mlir/IR/Builders.h"

namespace mlir::lutra {

/// What kernels compute where things are with. Indices do not overflow.
class IndexBuilder {
protected:
  IndexBuilder(OpBuilder &b, Location loc) : b(b), loc(loc) {}

  Value constant(int64_t value);
  Value add(Value lhs, Value rhs);
  Value plus(Value index, int64_t by);
  Value times(Value index, int64_t by);
  /// How many there are from `begin` to `end`, but no more than `most`.
  Value upTo(int64_t most, Value begin, Value end);
  /// `body` gets the index and yields nothing.
  void loop(Value begin, Value end, int64_t step,
            function_ref<void(Value)> body);

  OpBuilder &b;
  Location loc;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_INDEXBUILDER_H
