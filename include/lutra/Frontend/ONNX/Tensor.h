//===- Tensor.h - A tensor while a graph is lowered -------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_FRONTEND_ONNX_TENSOR_H
#define LUTRA_FRONTEND_ONNX_TENSOR_H

#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"
#include <memory>
#include <optional>

namespace mlir::lutra {

/// ONNX's element types, with TensorProto's numbers.
enum class DType : int32_t {
  Undefined = 0,
  Float = 1,
  UInt8 = 2,
  Int8 = 3,
  UInt16 = 4,
  Int16 = 5,
  Int32 = 6,
  Int64 = 7,
  String = 8,
  Bool = 9,
  Float16 = 10,
  Double = 11,
  UInt32 = 12,
  UInt64 = 13,
  Complex64 = 14,
  Complex128 = 15,
  BFloat16 = 16,
  Float8E4M3FN = 17,
  Float8E4M3FNUZ = 18,
  Float8E5M2 = 19,
  Float8E5M2FNUZ = 20,
  UInt4 = 21,
  Int4 = 22,
  Float4E2M1 = 23,
  Float8E8M0 = 24,
  UInt2 = 25,
  Int2 = 26
};

bool isFloat(DType type);    ///< f16, bf16, f32, f64
bool isUnsigned(DType type); ///< uint8 to uint64, and bool
bool isSigned(DType type);   ///< int8 to int64
bool isInteger(DType type);  ///< signed or unsigned, not bool
/// True for the types that the compiler computes in: bool, 8 to 64-bit
/// integers, f16, bf16, f32, f64.
bool isSupported(DType type);
/// True for integers of 4 and 2 bits and floats of 8 and 4, which only some
/// operators read. They are held as codes, one in a byte: signed integers plus
/// half their range, floats as their bits.
bool isNarrow(DType type);
bool isNarrowFloat(DType type);

/// ONNX's name of a type: "FLOAT", "INT64".
StringRef dtypeName(DType type);
DType parseDType(StringRef name);

/// The element type in which memory holds a `DType`: bool is i8 (0 or 1), since
/// a vector of i1 is packed in memory and a scalar is not; integers are
/// signless. Null for what is neither supported nor narrow.
Type storageType(MLIRContext *context, DType type);
/// The element type of import's tensors, with signs (ui8, i1), and back.
Type importType(MLIRContext *context, DType type);
DType dtypeOf(Type importElementType);

/// Sizes as affine expressions over the model's symbolic dimensions, which are
/// the symbols s0, s1, ... in the order of `lutra.dims`. Two sizes are known
/// to be equal exactly where the expressions are.
using Shape = SmallVector<AffineExpr>;

struct Factors;
struct Codes;

/// A tensor while a graph is lowered: the value, and what its type cannot say.
struct Tensor {
  /// A ranked tensor of storageType(dtype); null for an omitted optional input.
  Value value;
  DType dtype = DType::Undefined;
  Shape shape;
  /// The elements of a small integer tensor (rank 0 or 1) where they are known
  /// as expressions over the symbolic dimensions: what makes Shape -> Gather ->
  /// Concat -> Reshape fold.
  std::optional<SmallVector<AffineExpr>> ints;
  /// Where the tensor was dequantized, what it is the product of; or null.
  std::shared_ptr<const Factors> factors;
  /// Where the tensor was dequantized from a constant matrix, that; or null.
  std::shared_ptr<const Codes> codes;

  explicit operator bool() const { return bool(value); }
  int64_t rank() const { return shape.size(); }
  /// The size of a dimension, or ShapedType::kDynamic.
  int64_t staticSize(int64_t dim) const {
    if (auto size = dyn_cast<AffineConstantExpr>(shape[dim]))
      return size.getValue();
    return ShapedType::kDynamic;
  }
};

/// A dequantized tensor as integers * scale: sums of products of the integers
/// are exact in f32 while they are below 2^24, so that scales are better
/// applied to sums.
struct Factors {
  /// Whole numbers, in f32.
  Tensor integers;
  /// One element, or one per index of `axis`.
  Tensor scale;
  int64_t axis;
  /// What was dequantized, and its zero point: as the scale, or null for 0.
  Tensor quantized, zero;
};

/// A dequantized matrix as (codes - zeros) * scales, which may be read in its
/// place.
struct Codes {
  /// Unsigned, one in a byte.
  Tensor codes;
  unsigned bits;
  /// One element, or one per index of `axis`, or, where `block` is not 0, one
  /// per `block` indices of it and index of the other dimension.
  Tensor scales;
  /// As the scales, or null where all are `zero`.
  Tensor zeros;
  int64_t zero;
  int64_t axis, block;
  /// What each code stands for; empty where that is the code itself.
  SmallVector<float> numbers;
};

} // namespace mlir::lutra

#endif // LUTRA_FRONTEND_ONNX_TENSOR_H
