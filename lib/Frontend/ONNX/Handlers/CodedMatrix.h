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

/// The bits of a type of at most a byte that numbers are quantized to, else 0.
unsigned codeBits(DType dtype);
/// Whether such a type is signed: codes then are its numbers plus half its
/// range.
bool isSignedCode(DType dtype);

/// A constant as a weight, or null where it is none.
WeightOp weightOf(Lowering &lowering, const Tensor &tensor);
/// A constant of bytes as a weight whose storage they are, or null.
WeightOp storedBytes(Lowering &lowering, const Tensor &tensor);

/// A constant of a quantized type as codes; null where it is none, or not as it
/// is in the file.
Tensor codesOfConstant(Lowering &lowering, const Tensor &tensor);
/// The code that all elements of a constant zero point are; nothing where they
/// differ.
std::optional<int64_t> sameCode(Lowering &lowering, Tensor zeros);

/// x [.., K], bytes less `xZero`, times a constant `matrix` [K, N] of bytes
/// less `zero`, one or a constant per column, as [.., N] in i32; zero points
/// may be null. Nothing where the matrix is no constant, a zero point another,
/// or sums might not fit.
std::optional<FailureOr<Tensor>>
byteProduct(Lowering &lowering, const Tensor &x, const Tensor &xZero,
            const Tensor &matrix, const Tensor &zero);

/// The sums, in f32, of the integers of two tensors that have factors, where
/// both were bytes and `rhs` a constant [K, N] or, where it is `transposed`,
/// [N, K]: exact in i32. Nothing where they were others.
std::optional<FailureOr<Tensor>> productOfBytes(Lowering &lowering,
                                                const Tensor &lhs,
                                                const Tensor &rhs,
                                                bool transposed);

/// x [.., K] in f32 as a matrix [M, padded] with zeros behind its columns.
FailureOr<Tensor> paddedRows(Lowering &lowering, const Tensor &x,
                             int64_t padded);

/// The first factor of mpgemm.matmul: numbers [M, groups, size], and where they
/// are integers, scales and sums [M, groups], else null.
struct GroupedRows {
  Value numbers, scales, sums;
};

/// rows [M, groups * size] of f32, rounded to 8-bit integers where `bits` is
/// not 0 and sums of their products with codes of so many bits fit.
FailureOr<GroupedRows> groupedRows(Lowering &lowering, const Tensor &rows,
                                   AffineExpr groups, AffineExpr size,
                                   unsigned bits);

/// rows [M, groups * size] times `matrix`, as [M, N] in f32. With `integers`
/// rows are rounded to 8-bit integers, where sums of their products fit.
FailureOr<Tensor> codedProduct(Lowering &lowering, const Tensor &rows,
                               const CodedMatrix &matrix, bool integers);

/// What a DequantizeLinear of a constant matrix reads, with its scales in a
/// type that is computed in, or null where a product cannot read that.
std::shared_ptr<const Codes> codesOf(const Node &node, Lowering &lowering,
                                     const Tensor &scales);
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
