//===- CodedMatrix.h - Products with matrices of codes ----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_CODEDMATRIX_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_CODEDMATRIX_H

#include "dialects/Lutra/Lutra.h"
#include "lutra/Frontend/ONNX/Registry.h"

namespace mlir::lutra {

/// The second factor of mpgemm.matmul: codes [N, groups, size], scales
/// [N, groups], and zero points alike, null where all are `zero`. Codes stand
/// for themselves, or for `numbers` where there are any.
struct CodedMatrix {
  Tensor codes;
  unsigned bits;
  Tensor scales, zeros;
  int64_t zero;
  ArrayRef<float> numbers = {};
};

/// The bits of an integer type of at most a byte, else 0.
unsigned codeBits(DType dtype);
/// Whether such a type is signed: codes then are its numbers plus half its
/// range.
bool isSignedCode(DType dtype);

/// A constant of bytes as a weight whose storage they are, or null.
WeightOp storedBytes(Lowering &lowering, const Tensor &tensor);

/// x [.., K] in f32 as a matrix [M, padded] with zeros behind its columns.
FailureOr<Tensor> paddedRows(Lowering &lowering, const Tensor &x,
                             int64_t padded);

/// rows [M, groups * size] times `matrix`, as [M, N] in f32. With `integers`
/// rows are rounded to 8-bit integers, where sums of their products fit.
FailureOr<Tensor> codedProduct(Lowering &lowering, const Tensor &rows,
                               const CodedMatrix &matrix, bool integers);

/// What a DequantizeLinear of a constant matrix reads, or null where a product
/// cannot read that.
std::shared_ptr<const Codes> codesOf(const Node &node, Lowering &lowering);
/// What the transposed matrix was dequantized from.
std::shared_ptr<const Codes> transposed(Lowering &lowering, const Codes &codes);
/// x [.., K] times a dequantized matrix, [K, N] or, where it is `transposed`,
/// [N, K], in f32; nothing where its scales do not fit the product.
std::optional<FailureOr<Tensor>> productWithCodes(Lowering &lowering,
                                                  const Tensor &x,
                                                  const Tensor &matrix,
                                                  bool transposed);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_CODEDMATRIX_H
