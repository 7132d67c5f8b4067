//===- QuantizedOperands.h - Operands of products of bytes ------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What MatMulInteger and ConvInteger, QLinearMatMul and QLinearConv share.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_QUANTIZEDOPERANDS_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_QUANTIZEDOPERANDS_H

#include "lutra/Frontend/ONNX/Registry.h"

namespace mlir::lutra {

/// Where an operand and its parameters are among a node's inputs.
struct Quantized {
  unsigned value, scale, zero;
};

inline constexpr unsigned kNoInput = ~0u;
/// The operands of MatMulInteger and ConvInteger, and of QLinear*, behind which
/// are the scale and the zero point of the result.
inline constexpr Quantized kIntegerA = {0, kNoInput, 2},
                           kIntegerB = {1, kNoInput, 3}, kQLinearA = {0, 1, 2},
                           kQLinearB = {3, 4, 5};

/// Whether operands and parameters have types that these operators take.
Support supportsIntegers(const Node &node);
Support supportsQLinear(const Node &node);

/// Fails with the reason of `support`, or where one of the inputs before
/// `required` is absent.
LogicalResult requireSupport(const Node &node, const Support &support,
                             unsigned required);

/// A scale or zero point, which must broadcast to `target`'s shape without
/// changing it; of `scalarParameter`, which is input i, one element.
FailureOr<Tensor> fitParameter(const Node &node, Lowering &lowering,
                               Tensor parameter, const Tensor &target);
FailureOr<Tensor> scalarParameter(const Node &node, Lowering &lowering,
                                  unsigned i, const Tensor &target);

/// Bytes less a zero point of their type, which is null for 0.
struct Centered {
  Tensor value, zero;
};

/// value - zero, in i16; `value` itself where the zero point is 0.
FailureOr<Tensor> center(const Node &node, Lowering &lowering,
                         const Tensor &value, const Tensor &zero);

/// The result of a QLinear* node: sums, with `bias` (null for none) added
/// first, times the scales of both operands, quantized as the node says.
FailureOr<Tensor> requantize(const Node &node, Lowering &lowering,
                             const Tensor &sums, const Tensor &bias,
                             FailureOr<Tensor> aScale,
                             FailureOr<Tensor> bScale);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_QUANTIZEDOPERANDS_H
