//===- Contraction.h - Sums of products -------------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_CONTRACTION_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_CONTRACTION_H

#include "lutra/Frontend/ONNX/Registry.h"

namespace mlir::lutra {

/// Sums of f16 and bf16 are kept in f32, all others in their own type.
DType accumulatorType(DType dtype);

/// `scalar` of type `from` in the accumulator type.
Value toAccumulator(ImplicitLocOpBuilder &b, Value scalar, DType dtype);
/// The inverse: rounds a scalar of the accumulator type to `dtype`.
Value fromAccumulator(ImplicitLocOpBuilder &b, Value scalar, DType dtype);

Value addScalars(ImplicitLocOpBuilder &b, Value lhs, Value rhs);
Value mulScalars(ImplicitLocOpBuilder &b, Value lhs, Value rhs);

/// The sum over the reduction loops of lhs * rhs, each converted to
/// `accumulator` first, as one linalg.generic on a zeroed result.
Tensor sumOfProducts(Lowering &lowering, const Tensor &lhs, const Tensor &rhs,
                     DType accumulator, ArrayRef<AffineMap> maps,
                     ArrayRef<utils::IteratorType> iterators,
                     ArrayRef<AffineExpr> shape);

/// numpy's matrix product in `accumulator`. On failure an error was emitted.
FailureOr<Tensor> matMul(const Node &node, Lowering &lowering,
                         const Tensor &lhs, const Tensor &rhs,
                         DType accumulator);

/// Whether both operands of a contraction have factors whose scales can be
/// applied to its sums: one for `lhs`, one per index of `axis` at most for
/// `rhs`.
bool haveFactors(const Tensor &lhs, const Tensor &rhs, int64_t axis);
/// sums * (lhs * rhs), where the scales broadcast to the sums.
FailureOr<Tensor> applyScales(Lowering &lowering, const Tensor &sums,
                              const Tensor &lhs, const Tensor &rhs);

/// Adds `bias` (null for none), which broadcasts, to accumulators and rounds to
/// `dtype`, in one elementwise operation where there is anything to do.
FailureOr<Tensor> addBias(Lowering &lowering, const Tensor &accumulators,
                          const Tensor &bias, DType dtype);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_CONTRACTION_H
