//===- ByteProduct.h - Products of bytes with a constant matrix -*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_BYTEPRODUCT_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_BYTEPRODUCT_H

#include "lutra/Frontend/ONNX/Registry.h"

namespace mlir::lutra {

/// A constant matrix of codes [N, K], their sums [N], and what is subtracted
/// from the codes of a column: `zero`, or an element of `zeros` [N, 1] where
/// there are any.
struct CodedColumns {
  Tensor codes, sums, zeros;
  int64_t zero;
};

/// The codes of bytes [N, K] with their zero point, one or one per row, which
/// may be null; nothing where one of them is no constant, or sums of K products
/// might not fit.
std::optional<CodedColumns>
codedColumns(Lowering &lowering, const Tensor &matrix, const Tensor &zero);

/// The product [M, N], in i32, with rows [M, K] of what signedBytes made of
/// bytes of type `xType` whose zero point is `xZero`, one or null, and with the
/// sums [M] of these rows.
FailureOr<Tensor> multiplyBytes(Lowering &lowering, const Tensor &rows,
                                const Tensor &sums, const CodedColumns &columns,
                                const Tensor &xZero, DType xType);

/// x as signed bytes: of unsigned ones, less 128.
FailureOr<Tensor> signedBytes(Lowering &lowering, const Tensor &x);

/// A constant as a tensor that is a weight, or null where it is none.
Tensor asWeight(Lowering &lowering, const Tensor &tensor);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_BYTEPRODUCT_H
