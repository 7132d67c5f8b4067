//===- Lowering.cpp - Symbolic shapes and structured operations -----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Shapes are expressions; their values are computed once, at the entry of the
// function, so no size ever depends on an intermediate tensor. Elementwise
// operations and reductions are linalg.generics with an identity output map.
//
//===----------------------------------------------------------------------===//

#include "lutra/Frontend/ONNX/Lowering.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::lutra;

Lowering::Lowering(ImplicitLocOpBuilder &builder, ArrayRef<Value> dims,
                   ArrayRef<StringRef> dimNames, WeightSources &sources)
    : b(builder), dims(dims), dimNames(dimNames),
      entry(builder.getInsertionBlock()), sources(sources) {
  for (Value dim : dims)
    if (Operation *op = dim.getDefiningOp())
      if (!lastAtEntry || lastAtEntry->isBeforeInBlock(op))
        lastAtEntry = op;
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

AffineExpr Lowering::constant(int64_t size) const {
  return getAffineConstantExpr(size, context());
}

OpFoldResult Lowering::size(AffineExpr expr) {
  if (auto known = dyn_cast<AffineConstantExpr>(expr))
    return b.getIndexAttr(known.getValue());
  return sizeValue(expr);
}

Value Lowering::sizeValue(AffineExpr expr) {
  Value &value = materialized[expr];
  if (value)
    return value;
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return value = dims[symbol.getPosition()];
  OpBuilder::InsertionGuard guard(b);
  if (lastAtEntry)
    b.setInsertionPointAfter(lastAtEntry);
  else
    b.setInsertionPointToStart(entry);
  if (auto known = dyn_cast<AffineConstantExpr>(expr)) {
    value = arith::ConstantIndexOp::create(b, known.getValue());
  } else {
    AffineMap map = AffineMap::get(0, dims.size(), expr);
    SmallVector<Value> operands = dims;
    affine::canonicalizeMapAndOperands(&map, &operands);
    value = affine::AffineApplyOp::create(b, map, operands);
  }
  lastAtEntry = value.getDefiningOp();
  return value;
}

SmallVector<OpFoldResult> Lowering::sizes(ArrayRef<AffineExpr> shape) {
  return llvm::map_to_vector(shape, [&](AffineExpr e) { return size(e); });
}

RankedTensorType Lowering::type(ArrayRef<AffineExpr> shape, DType dtype) {
  SmallVector<int64_t> sizes;
  for (AffineExpr expr : shape) {
    auto known = dyn_cast<AffineConstantExpr>(expr);
    sizes.push_back(known ? known.getValue() : ShapedType::kDynamic);
  }
  return RankedTensorType::get(sizes, storageType(context(), dtype));
}

AffineExpr Lowering::product(ArrayRef<AffineExpr> shape) {
  AffineExpr result = constant(1);
  for (AffineExpr expr : shape)
    result = result * expr;
  return result;
}

static bool isOne(AffineExpr expr) {
  auto known = dyn_cast<AffineConstantExpr>(expr);
  return known && known.getValue() == 1;
}

FailureOr<Shape> Lowering::broadcast(ArrayRef<Tensor> operands) {
  int64_t rank = 0;
  for (const Tensor &operand : operands)
    rank = std::max(rank, operand.rank());
  Shape result(rank, constant(1));
  for (const Tensor &operand : operands)
    for (int64_t i = 0; i < operand.rank(); ++i) {
      AffineExpr size = operand.shape[i];
      AffineExpr &common = result[rank - operand.rank() + i];
      if (isOne(common))
        common = size;
      else if (!isOne(size) && !requireEqual(size, common))
        return emitError(b.getLoc())
               << "expected shapes that broadcast, got " << str(result)
               << " and " << str(operand.shape);
    }
  return result;
}

std::string Lowering::str(ArrayRef<AffineExpr> shape) {
  std::string text;
  llvm::raw_string_ostream os(text);
  SmallVector<AffineExpr> symbols;
  auto print = [&](AffineExpr expr) {
    if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
      os << dimNames[symbol.getPosition()];
    else
      os << expr;
  };
  os << '[';
  llvm::interleaveComma(shape, os, print);
  os << ']';
  return text;
}

Tensor Lowering::tensor(Value value, ArrayRef<AffineExpr> shape,
                        DType dtype) const {
  Tensor tensor;
  tensor.value = value;
  tensor.dtype = dtype;
  tensor.shape.assign(shape.begin(), shape.end());
  return tensor;
}

Tensor Lowering::tensor(Value value, DType dtype) const {
  Shape shape;
  for (int64_t size : mlir::cast<RankedTensorType>(value.getType()).getShape())
    shape.push_back(constant(size));
  return tensor(value, shape, dtype);
}

//===----------------------------------------------------------------------===//
// Structured operations
//===----------------------------------------------------------------------===//

Value Lowering::empty(ArrayRef<AffineExpr> shape, DType dtype) {
  return tensor::EmptyOp::create(b, sizes(shape),
                                 storageType(context(), dtype));
}

Value Lowering::filled(ArrayRef<AffineExpr> shape, DType dtype, Value scalar) {
  return linalg::FillOp::create(b, scalar, empty(shape, dtype)).getResult(0);
}

/// The constant that all elements of `value` equal, or null.
static TypedAttr splatConstant(Value value) {
  if (auto fill = value.getDefiningOp<linalg::FillOp>())
    value = fill.getInputs().front();
  Attribute attr;
  if (!matchPattern(value, m_Constant(&attr)))
    return {};
  if (auto dense = dyn_cast<DenseElementsAttr>(attr))
    return dense.isSplat() ? dense.getSplatValue<TypedAttr>() : TypedAttr();
  return isa<IntegerAttr, FloatAttr>(attr) ? cast<TypedAttr>(attr)
                                           : TypedAttr();
}

Tensor Lowering::generic(ArrayRef<Tensor> operands, ArrayRef<AffineMap> maps,
                         ArrayRef<utils::IteratorType> iterators, Value init,
                         ArrayRef<AffineExpr> resultShape, DType result,
                         ScalarBody body) {
  // Without reductions the result's map alone gives every loop its size, so
  // that a splat need not be read: its scalar goes into the body.
  bool foldSplats = llvm::all_of(iterators, [](utils::IteratorType iterator) {
    return iterator == utils::IteratorType::parallel;
  });
  SmallVector<Value> inputs;
  SmallVector<TypedAttr> splats;
  SmallVector<AffineMap> usedMaps;
  for (auto [operand, map] : llvm::zip(operands, maps)) {
    splats.push_back(foldSplats ? splatConstant(operand.value) : TypedAttr());
    if (splats.back())
      continue;
    inputs.push_back(operand.value);
    usedMaps.push_back(map);
  }
  usedMaps.push_back(maps.back());
  auto op = linalg::GenericOp::create(
      b, init.getType(), inputs, init, usedMaps, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange args) {
        ImplicitLocOpBuilder inner(loc, nested);
        SmallVector<Value> scalars;
        unsigned next = 0;
        for (TypedAttr splat : splats)
          scalars.push_back(splat ? arith::ConstantOp::create(inner, splat)
                                  : Value(args[next++]));
        scalars.push_back(args[next]);
        linalg::YieldOp::create(inner, body(inner, scalars));
      });
  return tensor(op.getResult(0), resultShape, result);
}

/// Reads an operand of `shape` in a loop nest over the shape it is broadcast
/// to.
static AffineMap broadcastMap(ArrayRef<AffineExpr> shape,
                              ArrayRef<AffineExpr> to, MLIRContext *context) {
  SmallVector<AffineExpr> exprs;
  int64_t skipped = to.size() - shape.size();
  for (auto [i, size] : llvm::enumerate(shape)) {
    bool repeated = isOne(size) && !isOne(to[skipped + i]);
    exprs.push_back(repeated ? getAffineConstantExpr(0, context)
                             : getAffineDimExpr(skipped + i, context));
  }
  return AffineMap::get(to.size(), 0, exprs, context);
}

FailureOr<Tensor> Lowering::elementwise(ArrayRef<Tensor> operands, DType result,
                                        ScalarBody body) {
  FailureOr<Shape> shape = broadcast(operands);
  if (failed(shape))
    return failure();
  SmallVector<AffineMap> maps;
  for (const Tensor &operand : operands)
    maps.push_back(broadcastMap(operand.shape, *shape, context()));
  maps.push_back(b.getMultiDimIdentityMap(shape->size()));
  SmallVector<utils::IteratorType> iterators(shape->size(),
                                             utils::IteratorType::parallel);
  return generic(operands, maps, iterators, empty(*shape, result), *shape,
                 result, [&](ImplicitLocOpBuilder &inner, ValueRange scalars) {
                   return body(inner, scalars.drop_back());
                 });
}

FailureOr<Tensor> Lowering::expand(const Tensor &operand,
                                   ArrayRef<AffineExpr> shape) {
  Tensor wanted = tensor(Value(), shape, operand.dtype);
  FailureOr<Shape> common = broadcast({operand, wanted});
  if (failed(common))
    return failure();
  if (*common == operand.shape)
    return operand;
  if (TypedAttr constant = splatConstant(operand.value))
    return splat(*common, operand.dtype,
                 arith::ConstantOp::create(b, constant));
  AffineMap maps[] = {broadcastMap(operand.shape, *common, context()),
                      b.getMultiDimIdentityMap(common->size())};
  SmallVector<utils::IteratorType> iterators(common->size(),
                                             utils::IteratorType::parallel);
  return generic(operand, maps, iterators, empty(*common, operand.dtype),
                 *common, operand.dtype,
                 [](ImplicitLocOpBuilder &, ValueRange scalars) {
                   return scalars.front();
                 });
}

Tensor Lowering::unsqueeze(const Tensor &operand, ArrayRef<int64_t> axes) {
  SmallVector<ReassociationIndices> groups;
  ReassociationIndices leading;
  Shape shape;
  for (int64_t i = 0, next = 0, rank = operand.rank() + axes.size(); i < rank;
       ++i) {
    bool inserted = llvm::is_contained(axes, i);
    shape.push_back(inserted ? constant(1) : operand.shape[next++]);
    if (!inserted) {
      groups.push_back(leading);
      leading.clear();
    }
    (groups.empty() ? leading : groups.back()).push_back(i);
  }
  Value value = tensor::ExpandShapeOp::create(
      b, type(shape, operand.dtype), operand.value, groups, sizes(shape));
  return tensor(value, shape, operand.dtype);
}

Tensor Lowering::reduce(const Tensor &operand, ArrayRef<int64_t> axes,
                        bool keepDims, Value init, DType accumulate,
                        ScalarBody map, ScalarBody combine) {
  SmallVector<utils::IteratorType> iterators;
  SmallVector<AffineExpr> kept;
  Shape shape;
  for (int64_t i = 0; i < operand.rank(); ++i) {
    bool reduced = llvm::is_contained(axes, i);
    iterators.push_back(reduced ? utils::IteratorType::reduction
                                : utils::IteratorType::parallel);
    if (reduced)
      continue;
    kept.push_back(b.getAffineDimExpr(i));
    shape.push_back(operand.shape[i]);
  }
  AffineMap maps[] = {b.getMultiDimIdentityMap(operand.rank()),
                      AffineMap::get(operand.rank(), 0, kept, context())};
  Tensor result =
      generic(operand, maps, iterators, filled(shape, accumulate, init), shape,
              accumulate, [&](ImplicitLocOpBuilder &inner, ValueRange scalars) {
                Value element = scalars[0];
                if (map)
                  element = map(inner, element);
                return combine(inner, {element, scalars[1]});
              });
  return keepDims && !axes.empty() ? unsqueeze(result, axes) : result;
}
