//===- KeyFilter.cpp - Which keys a query sees ----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Emits a filter as comparisons of indices, so that later passes can tell which
// tiles of keys are seen by no query, and which by all.
//
//===----------------------------------------------------------------------===//

#include "KeyFilter.h"

#include "Operands.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::lutra;

/// index + by.
static Value shifted(Lowering &lowering, ImplicitLocOpBuilder &b, Value index,
                     AffineExpr by) {
  if (by == lowering.constant(0))
    return index;
  return arith::AddIOp::create(b, index, indexIn(b, lowering, by));
}

Value lutra::batchNumber(Lowering &lowering, ImplicitLocOpBuilder &b,
                         const BatchNumber &number, Value read) {
  if (!read)
    return indexIn(b, lowering, number.plus);
  Value index = arith::IndexCastOp::create(b, b.getIndexType(), read);
  Value value = shifted(lowering, b, index, number.plus);
  if (!number.atLeastZero)
    return value;
  return arith::MaxSIOp::create(b, value, arith::ConstantIndexOp::create(b, 0));
}

static bool readsFirst(const KeyFilter &filter) {
  return filter.isPlaced() && filter.first.numbers;
}

static bool readsLength(const KeyFilter &filter) {
  return filter.length && filter.length->numbers;
}

SmallVector<Ranked> lutra::operandsOf(const KeyFilter &filter) {
  SmallVector<Ranked> operands;
  if (filter.mask)
    operands.push_back(filter.mask);
  if (readsFirst(filter))
    operands.push_back({filter.first.numbers, {Rank::Batch}});
  if (readsLength(filter))
    operands.push_back({filter.length->numbers, {Rank::Batch}});
  return operands;
}

Value lutra::sees(Lowering &lowering, ImplicitLocOpBuilder &b,
                  const KeyFilter &filter, ArrayRef<Rank> loops,
                  ValueRange read) {
  using Predicate = arith::CmpIPredicate;
  auto next = [&](bool isRead) {
    Value value = isRead ? read.front() : Value();
    read = read.drop_front(isRead);
    return value;
  };
  Value masked = next(bool(filter.mask)), first = next(readsFirst(filter)),
        length = next(readsLength(filter));
  Value condition;
  auto require = [&](Value holds) {
    condition = condition ? arith::AndIOp::create(b, condition, holds) : holds;
  };
  auto compare = [&](Predicate predicate, Value lhs, Value rhs) {
    require(arith::CmpIOp::create(b, predicate, lhs, rhs));
  };
  auto index = [&](Rank rank) -> Value {
    return linalg::IndexOp::create(b, llvm::find(loops, rank) - loops.begin());
  };
  auto plus = [&](Value value, int64_t distance) {
    return shifted(lowering, b, value, lowering.constant(distance));
  };
  Value key;
  if (filter.isPlaced() || filter.length)
    key = index(Rank::Key);
  if (filter.isPlaced()) {
    Value place = index(Rank::Query);
    if (first || filter.first.plus != lowering.constant(0))
      place = arith::AddIOp::create(
          b, place, batchNumber(lowering, b, filter.first, first));
    if (filter.causal)
      compare(Predicate::sle, key, place);
    if (filter.left)
      compare(Predicate::sge, plus(key, *filter.left), place);
    if (filter.right)
      compare(Predicate::sle, key, plus(place, *filter.right));
  }
  if (filter.length)
    compare(Predicate::slt, key,
            batchNumber(lowering, b, *filter.length, length));
  if (masked)
    require(Lowering::toI1(b, masked));
  return condition;
}
