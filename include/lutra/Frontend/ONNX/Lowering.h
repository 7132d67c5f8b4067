//===- Lowering.h - What a handler lowers a node with -----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The vocabulary of the handlers: symbolic shapes, constants, broadcasting,
// and the few structured operations that most ONNX operators come down to. All
// of it emits linalg, tensor, arith and math on symbolic shapes; nothing emits
// `tensor.dim`.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_FRONTEND_ONNX_LOWERING_H
#define LUTRA_FRONTEND_ONNX_LOWERING_H

#include "lutra/Frontend/ONNX/Tensor.h"
#include "mlir/Dialect/Utils/StructuredOpsUtils.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::lutra {

class WeightSources;

/// Emits one scalar of an elementwise operation from one scalar per operand.
/// Scalars have storage types: a bool operand is an i8 of 0 or 1, and so must
/// be a bool result (Lowering::toI1 and fromI1 convert).
using ScalarBody =
    llvm::function_ref<Value(ImplicitLocOpBuilder &, ValueRange)>;

class Lowering {
public:
  /// `dims` are the sizes of the symbolic dimensions s0, s1, ..., `dimNames`
  /// their names. Constants of the model are read through `sources`.
  Lowering(ImplicitLocOpBuilder &builder, ArrayRef<Value> dims,
           ArrayRef<StringRef> dimNames, WeightSources &sources);

  ImplicitLocOpBuilder &b;

  MLIRContext *context() const { return b.getContext(); }

  /// Lowers a subgraph of the node at hand, given the tensors of its inputs,
  /// and returns those that it yields. It may be called several times. Set by
  /// who walks the graph.
  std::function<FailureOr<SmallVector<Tensor>>(Region &, ArrayRef<Tensor>)>
      lowerGraph;

  //===--- Shapes ---------------------------------------------------------===//

  AffineExpr constant(int64_t size) const;
  /// The expression as an index value (computed once, at the function's
  /// entry) or as an attribute where it is constant.
  OpFoldResult size(AffineExpr expr);
  Value sizeValue(AffineExpr expr);
  SmallVector<OpFoldResult> sizes(ArrayRef<AffineExpr> shape);
  RankedTensorType type(ArrayRef<AffineExpr> shape, DType dtype);
  /// The product of `shape`.
  AffineExpr product(ArrayRef<AffineExpr> shape);
  /// Numpy's broadcast of two or more shapes. A size that is not known to be 1
  /// is taken to be the common size; where two cannot be equal and neither is 1
  /// this fails, with an error at the builder's location.
  FailureOr<Shape> broadcast(ArrayRef<Tensor> operands);
  /// A number that `expr` is never below, whatever the symbolic dimensions are
  /// within their ranges; nothing where none was found.
  std::optional<int64_t> lowerBound(AffineExpr expr) const;
  bool isNonNegative(AffineExpr expr) const {
    return lowerBound(expr).value_or(-1) >= 0;
  }
  /// Makes `expr` non-negative: by proof, or, since the model is only valid
  /// where it is, by narrowing the range of its one symbolic dimension, or of
  /// the one that is the sum in it. False where neither is possible.
  bool requireNonNegative(AffineExpr expr);
  /// Whether two sizes are equal. Where only the relation of one dimension to
  /// others is missing for it, or that it is a multiple of something, the
  /// dimension and its size are noted, with which a next attempt to lower the
  /// model succeeds here.
  bool requireEqual(AffineExpr a, AffineExpr b);
  struct Relation {
    unsigned dim;
    AffineExpr size;
    /// Where the size is that of the dimension itself, rounded down to this.
    int64_t multiple = 1;
  };
  std::optional<Relation> missing;
  /// For printing: "[batch, 8, 8]".
  std::string str(ArrayRef<AffineExpr> shape);

  //===--- Constants ------------------------------------------------------===//

  /// A scalar of the storage type of `dtype`. Integers wrap.
  Value scalar(DType dtype, double value);
  Value scalarInt(DType dtype, int64_t value);
  /// A constant tensor of at most 1 KiB, as an arith.constant. Larger constants
  /// are weights (they come from the file) or splats.
  Tensor constantTensor(DenseElementsAttr elements, DType dtype);
  Tensor splat(ArrayRef<AffineExpr> shape, DType dtype, Value scalar);
  /// A rank-1 int64 tensor (rank 0 where `isScalar`) of symbolic elements.
  Tensor intsTensor(ArrayRef<AffineExpr> elements, DType dtype = DType::Int64,
                    bool isScalar = false);
  /// The elements of a constant tensor of any size and integer type (bool and
  /// floats excluded), read from the file where it is a weight; nothing where
  /// the tensor is not constant.
  std::optional<SmallVector<int64_t>> constantInts(const Tensor &tensor);
  std::optional<SmallVector<double>> constantFloats(const Tensor &tensor);

  //===--- Structured operations -----------------------------------------===//

  /// An uninitialized tensor.
  Value empty(ArrayRef<AffineExpr> shape, DType dtype);
  Value filled(ArrayRef<AffineExpr> shape, DType dtype, Value scalar);
  /// `body` over the numpy broadcast of `operands`, as one linalg.generic.
  FailureOr<Tensor> elementwise(ArrayRef<Tensor> operands, DType result,
                                ScalarBody body);
  /// A linalg.generic over `loops` (their sizes) with one result of
  /// `resultShape` initialized with `init` (a tensor): the general form behind
  /// the rest. Maps take the loops; the last map is the result's. `body` gets
  /// the operands' scalars, then the result's.
  Tensor generic(ArrayRef<Tensor> operands, ArrayRef<AffineMap> maps,
                 ArrayRef<utils::IteratorType> iterators, Value init,
                 ArrayRef<AffineExpr> resultShape, DType result,
                 ScalarBody body);
  /// Reduces `axes` (>= 0, unique). `combine` gets (element, accumulator), both
  /// of `accumulate`'s storage type after `map` was applied to the element.
  Tensor reduce(const Tensor &operand, ArrayRef<int64_t> axes, bool keepDims,
                Value init, DType accumulate, ScalarBody map,
                ScalarBody combine);
  /// Inserts dimensions of size 1, which are `axes` (>= 0, unique) of the
  /// result.
  Tensor unsqueeze(const Tensor &operand, ArrayRef<int64_t> axes);
  /// Same elements in row-major order, as collapse_shape and expand_shape by
  /// symbolic factoring; fails with an error where the factors of the two
  /// shapes cannot be matched.
  FailureOr<Tensor> reshape(const Tensor &operand, ArrayRef<AffineExpr> shape);
  /// Dimension i of the result is dimension permutation[i] of the operand. A
  /// weight is transposed in its expression, without code.
  Tensor transpose(const Tensor &operand, ArrayRef<int64_t> permutation);
  /// The elements along `dims` in reverse order, for a weight in its
  /// expression.
  Tensor reverse(const Tensor &operand, ArrayRef<int64_t> dims);
  /// Broadcasts to `shape` (numpy's rules), without data for splats.
  FailureOr<Tensor> expand(const Tensor &operand, ArrayRef<AffineExpr> shape);
  /// As ONNX's Cast: floats to integers truncate and saturate nothing, NaN to
  /// bool is true, and so on. A weight is cast in its expression.
  Tensor cast(const Tensor &operand, DType to);
  /// The scalar counterpart of `cast`.
  static Value castScalar(ImplicitLocOpBuilder &b, Value scalar, DType from,
                          DType to);
  /// operand[offset : offset + size * stride : stride] per dimension.
  Tensor slice(const Tensor &operand, ArrayRef<AffineExpr> offsets,
               ArrayRef<AffineExpr> sizes, ArrayRef<int64_t> strides);
  /// Pads with `value` (a scalar), low and high per dimension, all >= 0. Zeros
  /// behind a weight are a step of its expression.
  Tensor pad(const Tensor &operand, ArrayRef<AffineExpr> low,
             ArrayRef<AffineExpr> high, Value value);
  /// Concatenates along `axis`.
  Tensor concat(ArrayRef<Tensor> operands, int64_t axis);

  static Value toI1(ImplicitLocOpBuilder &b, Value i8);
  static Value fromI1(ImplicitLocOpBuilder &b, Value i1);

  /// Wraps a value whose shape the caller knows.
  Tensor tensor(Value value, ArrayRef<AffineExpr> shape, DType dtype) const;
  /// Wraps a value of static type.
  Tensor tensor(Value value, DType dtype) const;

private:
  SmallVector<Value> dims;
  SmallVector<StringRef> dimNames;
  /// Where sizes are computed: in this block, after this operation (or at the
  /// start).
  Block *entry;
  Operation *lastAtEntry = nullptr;
  WeightSources &sources;
  llvm::DenseMap<AffineExpr, Value> materialized;
};

} // namespace mlir::lutra

#endif // LUTRA_FRONTEND_ONNX_LOWERING_H
