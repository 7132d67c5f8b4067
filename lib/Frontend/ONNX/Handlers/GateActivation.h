//===- GateActivation.h - Activations of recurrent nets ---------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The activation functions that LSTM, GRU and RNN name in their attributes.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_GATEACTIVATION_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_GATEACTIVATION_H

#include "../Scalars.h"
#include "lutra/Frontend/ONNX/Registry.h"

namespace mlir::lutra {

/// One activation function with its parameters.
struct GateActivation {
  using Function = Value (*)(Scalars &s, Value x, double alpha, double beta);

  Function function = nullptr;
  double alpha = 0, beta = 0;

  Value operator()(Scalars &s, Value x) const {
    return function(s, x, alpha, beta);
  }
  bool operator==(const GateActivation &other) const {
    return function == other.function && alpha == other.alpha &&
           beta == other.beta;
  }
};

using GateActivations = SmallVector<GateActivation>;

/// The activations of each direction in turn: those that the node names, or
/// `otherwise` for each. `refusal` says what is wrong where something is.
GateActivations gateActivations(const Node &node, int64_t directions,
                                ArrayRef<StringRef> otherwise,
                                Support &refusal);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_GATEACTIVATION_H
