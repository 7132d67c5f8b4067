//===- Memory.cpp - Loads and stores of lanes -----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Chooses the memory operation for lanes whose indices are uniform,
// consecutive, strided or arbitrary. All but the plain cases go through a
// one-dimensional view of the memref, in which a lane's element is one linear
// index.
//
//===----------------------------------------------------------------------===//

#include "Lanes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace mlir::lutra;

const FlatViews::View &FlatViews::of(OpBuilder &b, Value memref) {
  View &view = views[memref];
  if (view.memref)
    return view;
  OpBuilder::InsertionGuard guard(b);
  previous ? b.setInsertionPointAfter(previous)
           : b.setInsertionPointToStart(block);
  auto type = cast<MemRefType>(memref.getType());
  auto metadata = memref::ExtractStridedMetadataOp::create(b, loc, memref);
  view.strides = metadata.getConstifiedMixedStrides();
  // One past the last element: 1 + sum (size - 1) * stride.
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  Value size = one;
  for (auto [extent, stride] :
       llvm::zip_equal(metadata.getConstifiedMixedSizes(), view.strides)) {
    Value last = b.createOrFold<arith::SubIOp>(
        loc, getValueOrCreateConstantIndexOp(b, loc, extent), one);
    Value step = getValueOrCreateConstantIndexOp(b, loc, stride);
    size = b.createOrFold<arith::AddIOp>(
        loc, size, b.createOrFold<arith::MulIOp>(loc, last, step));
  }
  auto layout = StridedLayoutAttr::get(b.getContext(), ShapedType::kDynamic, 1);
  auto flat = MemRefType::get({ShapedType::kDynamic}, type.getElementType(),
                              layout, type.getMemorySpace());
  OpFoldResult offset = metadata.getConstifiedMixedOffset();
  if (auto known = getConstantIntValue(offset))
    flat = MemRefType::get({ShapedType::kDynamic}, type.getElementType(),
                           StridedLayoutAttr::get(b.getContext(), *known, 1),
                           type.getMemorySpace());
  view.memref = memref::ReinterpretCastOp::create(
      b, loc, flat, metadata.getBaseBuffer(), offset,
      ArrayRef<OpFoldResult>{size}, ArrayRef<OpFoldResult>{b.getIndexAttr(1)});
  return view;
}

/// Where the lanes lie.
struct VectorBuilder::Address {
  enum Kind { Uniform, Contiguous, Indexed } kind;
  Value memref;
  SmallVector<Value> base;
  /// The distance of each lane from `base`, in elements.
  Value distance;
};

Value VectorBuilder::constant(Type element, int64_t value) const {
  TypedAttr attr = isa<FloatType>(element)
                       ? TypedAttr(b.getFloatAttr(element, double(value)))
                       : TypedAttr(b.getIntegerAttr(element, value));
  return arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(vectorOf(element), attr));
}

Value VectorBuilder::allLanes() const {
  return mask ? mask : constant(b.getI1Type(), 1);
}

Value VectorBuilder::materialize(Lanes value) const {
  if (value.isVector())
    return value.value;
  Type element = value.value.getType();
  Value all =
      vector::BroadcastOp::create(b, loc, vectorOf(element), value.value);
  if (value.stride == 0)
    return all;
  Value step = vector::StepOp::create(b, loc, vectorOf(b.getIndexType()));
  if (!element.isIndex())
    step = arith::IndexCastOp::create(b, loc, vectorOf(element), step);
  if (value.stride != 1)
    step = arith::MulIOp::create(b, loc, step, constant(element, value.stride));
  return arith::AddIOp::create(b, loc, all, step);
}

/// The stride of the lanes in memory: nothing if an index is a vector, or if a
/// stride of the memref that matters is not known.
static std::optional<int64_t> memoryStride(MemRefType type,
                                           ArrayRef<Lanes> indices) {
  auto [strides, offset] = type.getStridesAndOffset();
  int64_t total = 0;
  for (auto [index, stride] : llvm::zip_equal(indices, strides)) {
    if (index.isVector())
      return std::nullopt;
    if (index.stride == 0)
      continue;
    if (ShapedType::isDynamic(stride))
      return std::nullopt;
    total += index.stride * stride;
  }
  return total;
}

bool lutra::isPlain(MemRefType type, ArrayRef<Lanes> indices) {
  auto [strides, offset] = type.getStridesAndOffset();
  return !indices.empty() && strides.back() == 1 &&
         indices.back().stride == 1 &&
         llvm::all_of(indices.drop_back(),
                      [](const Lanes &index) { return index.isUniform(); });
}

void VectorBuilder::accumulate(Value &sum, Value term) const {
  sum = sum ? arith::AddIOp::create(b, loc, sum, term).getResult() : term;
}

Value VectorBuilder::firstElement(const FlatViews::View &view,
                                  ArrayRef<Lanes> indices) const {
  Value linear;
  for (auto [index, stride] : llvm::zip_equal(indices, view.strides))
    if (!index.isVector())
      accumulate(linear, arith::MulIOp::create(
                             b, loc, index.value,
                             getValueOrCreateConstantIndexOp(b, loc, stride)));
  return linear ? linear : arith::ConstantIndexOp::create(b, loc, 0);
}

VectorBuilder::Address VectorBuilder::address(Value memref,
                                              ArrayRef<Lanes> indices) const {
  auto type = cast<MemRefType>(memref.getType());
  SmallVector<Value> base;
  for (const Lanes &index : indices)
    base.push_back(index.value);
  if (llvm::all_of(indices, [](Lanes index) { return index.isUniform(); }))
    return {Address::Uniform, memref, base, Value()};
  std::optional<int64_t> stride = memoryStride(type, indices);
  if (stride == 1 && isPlain(type, indices))
    return {Address::Contiguous, memref, base, Value()};

  const FlatViews::View &view = flat.of(b, memref);
  Value distance, linear = firstElement(view, indices);
  for (auto [index, each] : llvm::zip_equal(indices, view.strides)) {
    Value step = getValueOrCreateConstantIndexOp(b, loc, each);
    if (index.isVector()) {
      accumulate(distance, arith::MulIOp::create(b, loc, index.value,
                                                 materialize({step})));
    } else if (!stride && index.stride != 0) {
      Value lanesApart = materialize({arith::MulIOp::create(
          b, loc, step, arith::ConstantIndexOp::create(b, loc, index.stride))});
      Value step = vector::StepOp::create(b, loc, vectorOf(b.getIndexType()));
      accumulate(distance, arith::MulIOp::create(b, loc, step, lanesApart));
    }
  }
  if (stride == 1)
    return {Address::Contiguous, view.memref, {linear}, Value()};
  if (stride) {
    // A constant, in 32 bits where that is enough: such gathers are faster.
    bool isNarrow = std::abs(*stride) < (int64_t(1) << 31) / lanes;
    SmallVector<Attribute> steps;
    Type type = isNarrow ? b.getI32Type() : b.getI64Type();
    for (int64_t lane = 0; lane < lanes; ++lane)
      steps.push_back(b.getIntegerAttr(type, lane * *stride));
    distance = arith::ConstantOp::create(
        b, loc, DenseElementsAttr::get(vectorOf(type), steps));
  }
  return {Address::Indexed, view.memref, {linear}, distance};
}

Lanes VectorBuilder::load(Value memref, ArrayRef<Lanes> indices) const {
  Address at = address(memref, indices);
  Type element = cast<MemRefType>(memref.getType()).getElementType();
  if (at.kind == Address::Uniform)
    return {memref::LoadOp::create(b, loc, at.memref, at.base)};
  VectorType type = vectorOf(element);
  if (at.kind == Address::Indexed)
    return {vector::GatherOp::create(b, loc, type, at.memref, at.base,
                                     at.distance, allLanes(),
                                     constant(element, 0))};
  if (!mask)
    return {vector::LoadOp::create(b, loc, type, at.memref, at.base)};
  return {vector::MaskedLoadOp::create(b, loc, type, at.memref, at.base, mask,
                                       constant(element, 0))};
}

void VectorBuilder::store(Value value, Value memref,
                          ArrayRef<Lanes> indices) const {
  Address at = address(memref, indices);
  if (at.kind == Address::Uniform)
    memref::StoreOp::create(b, loc, value, at.memref, at.base);
  else if (at.kind == Address::Indexed)
    vector::ScatterOp::create(b, loc, Type(), at.memref, at.base, at.distance,
                              allLanes(), value);
  else if (mask)
    vector::MaskedStoreOp::create(b, loc, at.memref, at.base, mask, value);
  else
    vector::StoreOp::create(b, loc, value, at.memref, at.base);
}

VectorBuilder VectorBuilder::elementsOf(int64_t size) const {
  VectorBuilder wide{b, loc, flat, lanes * size, Value(), Value()};
  if (!mask)
    return wide;
  wide.count = arith::MulIOp::create(
      b, loc, count, arith::ConstantIndexOp::create(b, loc, size));
  wide.mask = vector::CreateMaskOp::create(b, loc, wide.vectorOf(b.getI1Type()),
                                           wide.count);
  return wide;
}

std::pair<Value, Lanes>
VectorBuilder::consecutive(Value memref, ArrayRef<Lanes> indices) const {
  const FlatViews::View &view = flat.of(b, memref);
  return {view.memref, Lanes{firstElement(view, indices), 1}};
}

Value VectorBuilder::loadGroups(Value memref, ArrayRef<Lanes> indices,
                                int64_t size) const {
  auto [view, first] = consecutive(memref, indices);
  return elementsOf(size).load(view, first).value;
}

void VectorBuilder::storeGroups(Value value, Value memref,
                                ArrayRef<Lanes> indices, int64_t size) const {
  auto [view, first] = consecutive(memref, indices);
  elementsOf(size).store(value, view, first);
}

Value VectorBuilder::broadcastGroup(Value memref, ArrayRef<Lanes> indices,
                                    int64_t size) const {
  auto [view, first] = consecutive(memref, indices);
  VectorBuilder one{b, loc, flat, size, Value(), Value()};
  Value group = one.load(view, first).value;
  auto type = cast<VectorType>(group.getType());
  Type word = b.getIntegerType(size * type.getElementTypeBitWidth());
  Value bits =
      vector::BitCastOp::create(b, loc, VectorType::get({1}, word), group);
  Value all = vector::BroadcastOp::create(
      b, loc, vectorOf(word),
      vector::ExtractOp::create(b, loc, bits, ArrayRef<int64_t>{0}));
  return vector::BitCastOp::create(
      b, loc, VectorType::get({lanes * size}, type.getElementType()), all);
}

SmallVector<Lanes> VectorBuilder::index(AffineMap map, ArrayRef<Index> loops,
                                        unsigned loop) const {
  SmallVector<Lanes> result;
  for (AffineExpr expr : map.getResults()) {
    std::optional<int64_t> stride = laneStride(expr, loops, loop, lanes);
    if (stride) {
      Index index = evaluate(b, loc, expr, loops);
      result.push_back({index.materialize(b, loc), *stride});
      continue;
    }
    result.push_back({evaluateLanes(expr, loops, loop)});
  }
  return result;
}

Value VectorBuilder::evaluateLanes(AffineExpr expr, ArrayRef<Index> loops,
                                   unsigned loop) const {
  if (std::optional<int64_t> stride = laneStride(expr, loops, loop, lanes))
    return materialize(
        {evaluate(b, loc, expr, loops).materialize(b, loc), *stride});
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Value x = evaluateLanes(binary.getLHS(), loops, loop);
  Value y = evaluateLanes(binary.getRHS(), loops, loop);
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return arith::AddIOp::create(b, loc, x, y);
  case AffineExprKind::Mul:
    return arith::MulIOp::create(b, loc, x, y);
  case AffineExprKind::FloorDiv:
    return arith::FloorDivSIOp::create(b, loc, x, y);
  case AffineExprKind::CeilDiv:
    return arith::CeilDivSIOp::create(b, loc, x, y);
  default: {
    // x - floor(x / y) * y is the non-negative remainder for y > 0.
    Value quotient = arith::FloorDivSIOp::create(b, loc, x, y);
    Value whole = arith::MulIOp::create(b, loc, quotient, y);
    return arith::SubIOp::create(b, loc, x, whole);
  }
  }
}
