//===- MixtureSizes.h - Inputs and sizes of mixtures of experts -*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_MIXTURESIZES_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_MIXTURESIZES_H

#include "SizeCheck.h"

namespace mlir::lutra {

/// Where a layer has its inputs.
struct LayerInputs {
  static constexpr unsigned kNone = ~0u;

  StringRef name;
  unsigned weights, bias, scales = kNone, zeros = kNone;
};

/// Where an operator has its inputs; the first two are the tokens and what the
/// router says of them.
struct MixtureInputs {
  static constexpr unsigned kTokens = 0, kRouter = 1;

  LayerInputs fc1, fc2, fc3;
  unsigned routerWeights = LayerInputs::kNone;
};

/// Where the two halves of a gated unit come from: fc1 and fc3, or pairs of
/// columns, or halves of the columns, of fc1.
enum class Fusion : int64_t { Apart, Interleaved, Concatenated };

/// The numbers of a node.
struct MixtureSizes {
  int64_t experts = 0, hidden = 0, inter = 0, k = 0;
  /// 0 where weights are floats.
  unsigned bits = 0;
  /// Codes of a block, or 0 where it is a row.
  int64_t block = 0;
  Fusion fusion = Fusion::Apart;

  unsigned perByte() const { return bits ? 8 / bits : 1; }
};

bool isSwiGLU(const Node &node);

/// Checks a node; the sizes are all there where nothing failed and the shapes
/// of its weights are known, which they are when it is lowered.
MixtureSizes checkMixture(SizeCheck &check, const Node &node,
                          const MixtureInputs &inputs);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_MIXTURESIZES_H
