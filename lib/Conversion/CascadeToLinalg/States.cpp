//===- States.cpp - References and merges of states -----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A reference and its correction are one operation, as two would have to read
// the old reference after it was updated.
//
//===----------------------------------------------------------------------===//

#include "CascadeLowering.h"

#include "StateAlgebra.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// Whether any of the factors, none of which is greater than 1, is not 1, NaN
/// among them.
Value CascadeLowering::whetherCorrects(Value correction) {
  auto type = cast<RankedTensorType>(correction.getType());
  Value one = arith::ConstantOp::create(
      b, loc, b.getFloatAttr(type.getElementType(), 1.0));
  Value empty = tensor::EmptyOp::create(b, loc, ArrayRef<OpFoldResult>(),
                                        type.getElementType());
  Value ones = linalg::FillOp::create(b, loc, one, empty).getResult(0);
  AffineMap all = b.getMultiDimIdentityMap(type.getRank());
  SmallVector<utils::IteratorType> loops(type.getRank(),
                                         utils::IteratorType::reduction);
  Value least = linalg::GenericOp::create(
                    b, loc, ones.getType(), correction, ones,
                    ArrayRef<AffineMap>{
                        all, AffineMap::get(type.getRank(), 0, b.getContext())},
                    loops,
                    [&](OpBuilder &b, Location loc, ValueRange values) {
                      Value lower = arith::MinimumFOp::create(b, loc, values[0],
                                                              values[1]);
                      linalg::YieldOp::create(b, loc, lower);
                    })
                    .getResult(0);
  return arith::CmpFOp::create(
      b, loc, arith::CmpFPredicate::UNE,
      tensor::ExtractOp::create(b, loc, least, ValueRange()), one);
}

void CascadeLowering::lower(RebaseOp op) {
  loc = op.getLoc();
  Value old = lookup(op.getReference()), local = lookup(op.getLocal());
  auto type = cast<RankedTensorType>(old.getType());
  SmallVector<OpFoldResult> sizes;
  auto ranks = ranksOf(op.getReference());
  for (StringRef rank : *ranks)
    sizes.push_back(extents[rank]);
  Value empty = tensor::EmptyOp::create(b, loc, sizes, type.getElementType());
  AffineMap same = b.getMultiDimIdentityMap(type.getRank());
  SmallVector<utils::IteratorType> loops(type.getRank(),
                                         utils::IteratorType::parallel);
  auto body = [&](OpBuilder &b, Location loc, ValueRange values) {
    if (op.getPolicyKind() == PolicyKind::Final ||
        op.getPolicyKind() == PolicyKind::Fixed) {
      Value one = arith::ConstantOp::create(
          b, loc, b.getFloatAttr(values[1].getType(), 1.0));
      linalg::YieldOp::create(b, loc, ValueRange{values[1], one});
      return;
    }
    Value next = newReference(b, loc, op, values[0], values[1]);
    Value factor = correction(b, loc, op.getFamily(), values[1], next);
    linalg::YieldOp::create(b, loc, ValueRange{next, factor});
  };
  auto generic = linalg::GenericOp::create(
      b, loc, TypeRange{old.getType(), empty.getType()}, local,
      ValueRange{old, empty}, ArrayRef<AffineMap>{same, same, same}, loops,
      body);
  map.map(op.getResults(), generic.getResults());
  // Corrections of an online reference are for any row that has grown.
  if (op.getPolicyKind() == PolicyKind::Lazy && type.getRank() > 0)
    corrects[op.getCorrection()] = whetherCorrects(generic.getResult(1));
}

/// The dimensions of a sum that those of its reference are: of the same ranks
/// or, where these are not known, the first.
static SmallVector<unsigned> dimsOfReference(MergeOp op, Value sum) {
  auto wanted = ranksOf(op.getReference()), ranks = ranksOf(sum);
  int64_t number =
      cast<RankedTensorType>(op.getReference().getType()).getRank();
  auto dims = llvm::to_vector(llvm::seq<unsigned>(number));
  if (wanted && ranks)
    for (auto [dim, rank] : llvm::zip_equal(dims, *wanted))
      dim = llvm::find(*ranks, rank) - ranks->begin();
  return dims;
}

void CascadeLowering::lower(MergeOp op) {
  loc = op.getLoc();
  auto dropFirst = [&](int64_t rank) {
    return b.getMultiDimIdentityMap(rank).getMinorSubMap(rank - 1);
  };
  unsigned number = 0;
  Value parts, combined;
  auto first = [](OpBuilder &, ValueRange values) { return values[0]; };
  if (op.getReference()) {
    parts = lookup(op.getReference());
    int64_t rank = cast<RankedTensorType>(parts.getType()).getRank();
    combined =
        reduceStates(b, loc, op.getMonoid(), parts,
                     {b.getMultiDimIdentityMap(rank), dropFirst(rank)}, first);
    map.map(op.getResult(number++), combined);
  }
  for (Value operand : op.getSums()) {
    Value sum = lookup(operand);
    int64_t rank = cast<RankedTensorType>(sum.getType()).getRank();
    AffineMap all = b.getMultiDimIdentityMap(rank);
    SmallVector<Value> inputs{sum};
    SmallVector<AffineMap> maps{all};
    if (combined) {
      SmallVector<unsigned> dims = dimsOfReference(op, operand);
      inputs.append({parts, combined});
      maps.append({all.getSubMap(dims),
                   all.getSubMap(ArrayRef<unsigned>(dims).drop_front())});
    }
    maps.push_back(dropFirst(rank));
    auto moved = [&](OpBuilder &b, ValueRange values) -> Value {
      if (!combined)
        return values[0];
      Value from = values[1], to = values[2];
      if (op.getFamily() != Family::Ratio) {
        from = atLeastLowest(b, loc, from);
        to = atLeastLowest(b, loc, to);
      }
      Value factor = correction(b, loc, op.getFamily(), from, to);
      return arith::MulFOp::create(b, loc, values[0], factor);
    };
    map.map(op.getResult(number++),
            reduceStates(b, loc, Monoid::Add, inputs, maps, moved));
  }
}
