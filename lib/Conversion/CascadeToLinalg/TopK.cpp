//===- TopK.cpp - Choices as loops that keep a sorted list ----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Keeps a sorted list of the best k elements seen so far, in the result itself.
// An element that is no better than the last of them costs one comparison, and
// of n elements in random order only k * log(n / k) are better.
//
//===----------------------------------------------------------------------===//

#include "CascadeLowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

namespace {
/// Emits the loops over the elements of one row. A row is what shares its
/// position in all dimensions but the one that is gone over.
class RowSorter {
public:
  RowSorter(ImplicitLocOpBuilder &b, TopKOp op, Value x, ValueRange row,
            Value k)
      : b(b), op(op), x(x), row(row), k(k) {}

  /// Lists of values and indices after element `i`.
  SmallVector<Value> visit(Value i, ValueRange lists);

private:
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  SmallVector<Value> at(Value position) {
    SmallVector<Value> indices(row);
    indices.insert(indices.begin() + op.getDim(), position);
    return indices;
  }
  Value read(Value list, Value position) {
    return tensor::ExtractOp::create(b, list, at(position));
  }
  Value write(Value element, Value list, Value position) {
    return tensor::InsertOp::create(b, element, list, at(position));
  }
  Value isBetter(Value element, Value than);
  Value placeOf(Value element, Value list, Value filled);
  SmallVector<Value> insert(Value element, Value i, Value filled,
                            ValueRange lists);
  SmallVector<Value> loop(Value from, Value to, ValueRange inits,
                          function_ref<SmallVector<Value>(Value, ValueRange)>);

  ImplicitLocOpBuilder &b;
  TopKOp op;
  Value x;
  ValueRange row;
  Value k;
};
} // namespace

SmallVector<Value>
RowSorter::loop(Value from, Value to, ValueRange inits,
                function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(b, from, to, index(1), inits);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(loop.getBody());
  scf::YieldOp::create(b,
                       body(loop.getInductionVar(), loop.getRegionIterArgs()));
  return loop.getResults();
}

Value RowSorter::isBetter(Value element, Value than) {
  if (op.getSmallest())
    std::swap(element, than);
  Type type = element.getType();
  if (!isa<FloatType>(type))
    return arith::CmpIOp::create(b,
                                 op.getIsUnsigned() ? arith::CmpIPredicate::ugt
                                                    : arith::CmpIPredicate::sgt,
                                 element, than);
  if (type.getIntOrFloatBitWidth() < 32) {
    element = arith::ExtFOp::create(b, b.getF32Type(), element);
    than = arith::ExtFOp::create(b, b.getF32Type(), than);
  }
  return arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, element, than);
}

/// How many of the first `filled` elements `element` is no better than. These
/// come first, so that equal elements stay in order.
Value RowSorter::placeOf(Value element, Value list, Value filled) {
  return loop(index(0), filled, index(0), [&](Value i, ValueRange count) {
    Value better = isBetter(element, read(list, i));
    Value more = arith::AddIOp::create(b, count[0], index(1));
    return SmallVector<Value>{
        arith::SelectOp::create(b, better, count[0], more)};
  })[0];
}

SmallVector<Value> RowSorter::insert(Value element, Value i, Value filled,
                                     ValueRange lists) {
  Value place = placeOf(element, lists[0], filled);
  Value last = arith::SubIOp::create(b, k, index(1));
  Value free = arith::MinUIOp::create(b, filled, last);
  Value moved = arith::SubIOp::create(b, free, place);
  SmallVector<Value> shifted =
      loop(index(0), moved, lists, [&](Value step, ValueRange lists) {
        Value to = arith::SubIOp::create(b, free, step);
        Value from = arith::SubIOp::create(b, to, index(1));
        SmallVector<Value> result;
        for (Value list : lists)
          result.push_back(write(read(list, from), list, to));
        return result;
      });
  Value number = arith::IndexCastOp::create(b, b.getI64Type(), i);
  return {write(element, shifted[0], place), write(number, shifted[1], place)};
}

SmallVector<Value> RowSorter::visit(Value i, ValueRange lists) {
  Value element = read(x, i);
  Value filled = arith::MinUIOp::create(b, i, k);
  Value last = arith::SubIOp::create(b, k, index(1));
  // Before it is filled the last place holds something of no meaning.
  Value hasRoom = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, i, k);
  Value wanted =
      arith::OrIOp::create(b, hasRoom, isBetter(element, read(lists[0], last)));
  auto branch = scf::IfOp::create(b, lists.getTypes(), wanted,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(branch.thenBlock());
  scf::YieldOp::create(b, insert(element, i, filled, lists));
  b.setInsertionPointToEnd(branch.elseBlock());
  scf::YieldOp::create(b, lists);
  return branch.getResults();
}

/// The loops are one kernel, which one thread runs: rows outside, the elements
/// of a row inside.
void CascadeLowering::lower(TopKOp op) {
  loc = op.getLoc();
  SmallVector<OpFoldResult> sizes, loops;
  for (StringRef rank : op.getResultRanks())
    sizes.push_back(extents[rank]);
  for (StringRef rank : op.getRanks().getAsValueRange<StringAttr>())
    if (rank != op.getAlong())
      loops.push_back(extents[rank]);
  loops.push_back(extents[op.getAlong()]);
  SmallVector<Value> lists;
  for (Value result : op.getResults())
    lists.push_back(tensor::EmptyOp::create(
        b, loc, sizes, getElementTypeOrSelf(result.getType())));
  Value k = getValueOrCreateConstantIndexOp(b, loc, extents[op.getAs()]),
        zero = arith::ConstantIndexOp::create(b, loc, 0),
        one = arith::ConstantIndexOp::create(b, loc, 1);
  SmallVector<Value> zeros(loops.size(), zero), ones(loops.size(), one);
  scf::LoopNest nest = scf::buildLoopNest(
      b, loc, zeros, getValueOrCreateConstantIndexOp(b, loc, loops), ones,
      lists,
      [&](OpBuilder &nested, Location loc, ValueRange at, ValueRange lists) {
        ImplicitLocOpBuilder inner(loc, nested);
        return RowSorter(inner, op, lookup(op.getInput()), at.drop_back(), k)
            .visit(at.back(), lists);
      });
  map.map(op.getResults(), nest.results);
}
