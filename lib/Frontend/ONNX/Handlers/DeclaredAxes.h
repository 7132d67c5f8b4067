//===- DeclaredAxes.h - Axes that a declared result tells -------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Axes that are an input of the model: the declared shape of the result leaves
// few that they can be, and all of those are computed.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_DECLAREDAXES_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_DECLAREDAXES_H

#include "Operands.h"

namespace mlir::lutra {

using Axes = SmallVector<int64_t>;

/// The sets of axes that input `i` of a reduction of input 0 can be, given the
/// declared shape of its result: the known one, or a few. Fails with an error
/// where too little is known.
FailureOr<SmallVector<Axes>> possibleAxes(const Node &node, Lowering &lowering,
                                          unsigned i, bool keepDims);

/// results[k] where `axes` are possible[k] at run time. All results have one
/// shape, that of a tensor of `rank` or of its reduction.
Tensor selectByAxes(Lowering &lowering, const Tensor &axes, int64_t rank,
                    ArrayRef<Axes> possible, ArrayRef<Tensor> results);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_DECLAREDAXES_H
