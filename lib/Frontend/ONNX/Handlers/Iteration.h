//===- Iteration.h - Subgraphs that run as a loop ---------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loop and Scan whose iterations are too many to unroll, or symbolic in number.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_ITERATION_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_ITERATION_H

#include "lutra/Frontend/ONNX/Registry.h"

namespace mlir::lutra {

/// A body and what each iteration of it gets and gives.
struct Iteration {
  Region &body;
  AffineExpr trips;
  /// The body gets the iteration's number and a condition before the states,
  /// and yields a condition before them, which must always hold.
  bool isLoop;
  SmallVector<Tensor> states;
  /// A dimension of a tensor that the iterations walk along.
  struct Walk {
    int64_t axis = 0;
    bool isBackward = false;
  };
  /// The inputs that are taken apart, and how. Axes are >= 0.
  SmallVector<Tensor> inputs;
  SmallVector<Walk> inputWalks;
  /// How the elements that the iterations yield are put together. A negative
  /// axis counts from the end.
  SmallVector<Walk> outputWalks;
};

/// The last states, then the outputs, of one loop that becomes one kernel.
FailureOr<SmallVector<Tensor>> iterate(const Node &node, Lowering &lowering,
                                       const Iteration &iteration);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_ITERATION_H
