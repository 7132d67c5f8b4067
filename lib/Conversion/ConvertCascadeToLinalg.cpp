//===- ConvertCascadeToLinalg.cpp - Cascades as structured operations -----===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The meaning of a cascade in linalg, and what kernels are made of: each Einsum
// is a linalg.generic, an iteration is a loop over slices. What is carried
// around the loop is updated where it is, so that bufferization has nothing to
// copy: a reference and its correction are one operation, and a state that is
// multiplied is its own destination.
//
//===----------------------------------------------------------------------===//

#include "lutra/Conversion/CascadeToLinalg.h"

#include "IterationRange.h"
#include "StateAlgebra.h"
#include "lutra/Conversion/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_CONVERTCASCADETOLINALG
#include "lutra/Conversion/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

namespace {
class Lowering {
public:
  Lowering(RewriterBase &b, CascadeOp op, int64_t part,
           ValueRange destinations);
  SmallVector<Value> run();

private:
  void lower(Operation &op);
  void lower(EinsumOp op);
  void lower(IterateOp op);
  void lower(RebaseOp op);
  void lower(MergeOp op);

  Value lookup(Value value) { return map.lookupOrDefault(value); }
  Value emptyOf(AffineMap indices, EinsumOp op, Type element);
  Value fillOf(Value empty, TypedAttr value);
  Value destinationOf(EinsumOp op);
  OpOperand *updatedInput(EinsumOp op);
  Value isPresent(OpBuilder &b, EinsumOp op, Value mask);
  Value point(OpBuilder &b, EinsumOp op, ValueRange elements);
  void cloneBody(OpBuilder &b, EinsumOp op, IRMapping &inner);
  Value coordinate(OpBuilder &b, StringRef rank, unsigned loop);
  IterationRange rangeOf(IterateOp op, Value step, bool inWholeSteps);
  OpFoldResult apply(AffineExpr expr, ArrayRef<OpFoldResult> operands) {
    return affine::makeComposedFoldedAffineApply(b, loc, expr, operands);
  }

  RewriterBase &b;
  CascadeOp cascade;
  int64_t part;
  Location loc;
  IRMapping map;
  /// How far each rank goes: inside an iteration, the size of the part.
  llvm::StringMap<OpFoldResult> extents;
  /// Where the part begins, inside an iteration.
  llvm::StringMap<Value> offsets;
  /// Where the Einsums that are yielded are to write.
  DenseMap<Value, Value> destinations;
};
} // namespace

Lowering::Lowering(RewriterBase &b, CascadeOp op, int64_t part, ValueRange into)
    : b(b), cascade(op), part(part), loc(op.getLoc()) {
  for (auto [name, extent] : llvm::zip_equal(
           op.getRanks().getAsValueRange<StringAttr>(), op.getMixedExtents()))
    extents[name] = extent;
  for (auto [value, destination] :
       llvm::zip(op.getBlock()->getTerminator()->getOperands(), into))
    destinations.try_emplace(value, destination);
}

static Value emptyTensor(OpBuilder &b, Location loc,
                         ArrayRef<OpFoldResult> sizes, Type element) {
  return tensor::EmptyOp::create(b, loc, sizes, element);
}

/// A tensor with the indices that `indices` gives, uninitialized.
Value Lowering::emptyOf(AffineMap indices, EinsumOp op, Type element) {
  SmallVector<OpFoldResult> sizes;
  for (AffineExpr expr : indices.getResults())
    sizes.push_back(
        extents[op.getRankName(cast<AffineDimExpr>(expr).getPosition())]);
  return emptyTensor(b, loc, sizes, element);
}

Value Lowering::fillOf(Value empty, TypedAttr value) {
  Value element = arith::ConstantOp::create(b, loc, value);
  return linalg::FillOp::create(b, loc, element, empty).getResult(0);
}

/// The input that a map may overwrite: what an iteration carries and only this
/// map reads, element by element.
OpOperand *Lowering::updatedInput(EinsumOp op) {
  if (op.hasReduction() || !isa<IterateOp>(op->getParentOp()))
    return nullptr;
  for (OpOperand &operand : op.getInputsMutable()) {
    auto carried = dyn_cast<BlockArgument>(operand.get());
    auto iterate = carried
                       ? dyn_cast<IterateOp>(carried.getOwner()->getParentOp())
                       : IterateOp();
    if (iterate && carried.getArgNumber() >= iterate.getStreams().size() &&
        carried.hasOneUse() && carried.getType() == op.getType() &&
        op.getInputMap(operand.getOperandNumber()) == op.getResultMap())
      return &operand;
  }
  return nullptr;
}

/// What the results of an Einsum are written into.
Value Lowering::destinationOf(EinsumOp op) {
  Type element = op.getType().getElementType();
  Value into = destinations.lookup(op.getResult());
  if (op.getInit())
    return lookup(op.getInit());
  if (OpOperand *updated = updatedInput(op))
    return lookup(updated->get());
  if (!into)
    into = emptyOf(op.getResultMap(), op, element);
  if (!op.hasReduction())
    return into;
  return fillOf(into, identityOf(*op.getMonoid(), element));
}

/// The coordinate of a rank in the whole of it.
Value Lowering::coordinate(OpBuilder &b, StringRef rank, unsigned loop) {
  Value index = linalg::IndexOp::create(b, loc, loop);
  if (Value offset = offsets.lookup(rank))
    return arith::AddIOp::create(b, loc, index, offset);
  return index;
}

/// Whether the point that the body stands at takes part; null where all do.
Value Lowering::isPresent(OpBuilder &b, EinsumOp op, Value mask) {
  Value present;
  auto join = [&](Value &left, Value right, bool isUnion) {
    if (!left)
      left = right;
    else if (isUnion)
      left = arith::OrIOp::create(b, loc, left, right);
    else
      left = arith::AndIOp::create(b, loc, left, right);
  };
  if (op.getFilters()) {
    SmallVector<Value> operands;
    for (unsigned rank = 0; rank < op.getNumRanks(); ++rank)
      operands.push_back(coordinate(b, op.getRankName(rank), rank));
    for (Value symbol : op.getSymbols())
      operands.push_back(lookup(symbol));
    Value zero = arith::ConstantIndexOp::create(b, loc, 0);
    for (IntegerSet set : op.getFilters()->getAsValueRange<IntegerSetAttr>()) {
      Value inside;
      for (unsigned i = 0; i < set.getNumConstraints(); ++i) {
        Value value = affine::AffineApplyOp::create(
            b, loc,
            AffineMap::get(set.getNumDims(), set.getNumSymbols(),
                           set.getConstraint(i)),
            operands);
        auto predicate =
            set.isEq(i) ? arith::CmpIPredicate::eq : arith::CmpIPredicate::sge;
        join(inside, arith::CmpIOp::create(b, loc, predicate, value, zero),
             false);
      }
      if (!inside)
        inside = arith::ConstantIntOp::create(b, loc, 1, 1);
      join(present, inside, true);
    }
  }
  if (mask) {
    Value zero =
        arith::ConstantOp::create(b, loc, b.getZeroAttr(mask.getType()));
    join(present,
         arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, mask, zero),
         false);
  }
  return present;
}

static Value divide(OpBuilder &b, Location loc, DivideOp op, IRMapping &map) {
  Value numerator = map.lookupOrDefault(op.getNumerator());
  Value denominator = map.lookupOrDefault(op.getDenominator());
  auto type = cast<FloatType>(op.getType());
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
  bool losesInfo;
  APFloat value = op.getEmpty();
  value.convert(type.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                &losesInfo);
  Value empty = arith::ConstantOp::create(b, loc, FloatAttr::get(type, value));
  Value isEmpty = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ,
                                        denominator, zero);
  Value quotient = arith::DivFOp::create(b, loc, numerator, denominator);
  return arith::SelectOp::create(b, loc, isEmpty, empty, quotient);
}

void Lowering::cloneBody(OpBuilder &b, EinsumOp op, IRMapping &inner) {
  for (Operation &each : op.getBlock()->without_terminator()) {
    if (auto index = dyn_cast<IndexOp>(each)) {
      unsigned loop = 0;
      while (op.getRankName(loop) != index.getRank())
        ++loop;
      inner.map(index.getResult(), coordinate(b, index.getRank(), loop));
    } else if (auto quotient = dyn_cast<DivideOp>(each)) {
      inner.map(quotient.getResult(), divide(b, loc, quotient, inner));
    } else {
      b.clone(each, inner);
    }
  }
}

/// The value of the point that the body stands at.
Value Lowering::point(OpBuilder &b, EinsumOp op, ValueRange elements) {
  IRMapping inner(map);
  for (auto [argument, element] :
       llvm::zip(op.getBlock()->getArguments(), elements))
    inner.map(argument, element);
  cloneBody(b, op, inner);
  Value value =
      inner.lookupOrDefault(op.getBlock()->getTerminator()->getOperand(0));
  Value mask = op.getMask() ? elements[op.getInputs().size()] : Value();
  Value present = isPresent(b, op, mask);
  if (!present)
    return value;
  Value identity = arith::ConstantOp::create(
      b, loc, identityOf(*op.getMonoid(), value.getType()));
  return arith::SelectOp::create(b, loc, present, value, identity);
}

void Lowering::lower(EinsumOp op) {
  loc = op.getLoc();
  Value into = destinationOf(op);
  Attribute constant;
  if (op.getInputs().empty() && !op.hasReduction() &&
      matchPattern(op.getEinsumPoint(), m_Constant(&constant))) {
    map.map(op.getResult(), fillOf(into, cast<TypedAttr>(constant)));
    return;
  }
  OpOperand *updated = updatedInput(op);
  unsigned updatedNumber = updated ? updated->getOperandNumber() : -1;
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  for (auto [i, input] : llvm::enumerate(op.getInputs()))
    if (i != updatedNumber) {
      inputs.push_back(lookup(input));
      maps.push_back(op.getInputMap(i));
    }
  if (op.getMask()) {
    inputs.push_back(lookup(op.getMask()));
    maps.push_back(op.getMaskMap());
  }
  maps.push_back(op.getResultMap());
  SmallVector<utils::IteratorType> loops;
  for (unsigned rank = 0; rank < op.getNumRanks(); ++rank)
    loops.push_back(op.isReduced(rank) ? utils::IteratorType::reduction
                                       : utils::IteratorType::parallel);
  auto body = [&](OpBuilder &b, Location loc, ValueRange values) {
    SmallVector<Value> elements(values.drop_back());
    if (updated)
      elements.insert(elements.begin() + updatedNumber, values.back());
    Value value = point(b, op, elements);
    if (op.hasReduction()) {
      value = combine(b, loc, *op.getMonoid(), values.back(), value);
      // Which zero is the greater one is the order's affair.
      if (auto max = value.getDefiningOp<arith::MaximumFOp>();
          max && cascade.getReassoc())
        max.setFastmath(arith::FastMathFlags::nsz);
    }
    linalg::YieldOp::create(b, loc, value);
  };
  auto generic = linalg::GenericOp::create(b, loc, into.getType(), inputs, into,
                                           maps, loops, body);
  auto iterate = dyn_cast<IterateOp>(op->getParentOp());
  if (iterate && op.hasReduction() && inputs.size() == op.getInputs().size())
    for (auto [i, input] : llvm::enumerate(op.getInputs()))
      if (llvm::is_contained(iterate.getParts(), input))
        generic->setAttr(kStreamAttr, b.getI64IntegerAttr(i));
  map.map(op.getResult(), generic.getResult(0));
}

/// From where to where an iteration has to go.
IterationRange Lowering::rangeOf(IterateOp op, Value step, bool inWholeSteps) {
  SmallVector<OpFoldResult> sizes;
  for (StringRef rank : cascade.getRanks().getAsValueRange<StringAttr>())
    sizes.push_back(extents[rank]);
  SmallVector<Value> symbols;
  for (Value symbol : op.getSymbols())
    symbols.push_back(lookup(symbol));
  return iterationRange(b, loc, op, *cascade.findRank(op.getRank()), sizes,
                        symbols, step, inWholeSteps);
}

void Lowering::lower(IterateOp op) {
  loc = op.getLoc();
  StringRef rank = op.getRank();
  OpFoldResult extent = extents[rank];
  std::optional<int64_t> whole = getConstantIntValue(extent);
  // A loop over nothing still has to step.
  OpFoldResult step = part ? b.getIndexAttr(part) : extent;
  if (whole)
    step = b.getIndexAttr(std::clamp<int64_t>(part ? part : *whole, 1,
                                              std::max<int64_t>(1, *whole)));
  // Whole parts are told by their type.
  std::optional<int64_t> size = getConstantIntValue(step);
  bool isWhole = whole && size && *whole % *size == 0;
  SmallVector<Value> inits;
  for (Value init : op.getInits())
    inits.push_back(lookup(init));
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  Value stepValue = getValueOrCreateConstantIndexOp(b, loc, step);
  if (!getConstantIntValue(step))
    stepValue = arith::MaxSIOp::create(b, loc, stepValue, one);
  IterationRange range = rangeOf(op, stepValue, isWhole);
  auto [begin, end] = std::pair(range.begin, range.end);
  auto loop = scf::ForOp::create(
      b, loc, getValueOrCreateConstantIndexOp(b, loc, begin),
      getValueOrCreateConstantIndexOp(b, loc, range.loopEnd(b, loc)), stepValue,
      inits);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value at = range.coordinate(b, loc, loop.getInductionVar());
  AffineExpr s0 = b.getAffineSymbolExpr(0), s1 = b.getAffineSymbolExpr(1),
             s2 = b.getAffineSymbolExpr(2);
  OpFoldResult length =
      isWhole ? step
              : affine::makeComposedFoldedAffineMin(
                    b, loc, AffineMap::get(0, 3, {s0 - s1, s2}, b.getContext()),
                    {end, at, step});
  extents[rank] = length;
  offsets[rank] = at;
  for (auto [part, stream, dim] :
       llvm::zip_equal(op.getParts(), op.getStreams(), op.getDims())) {
    Value tensor = lookup(stream);
    auto type = cast<RankedTensorType>(tensor.getType());
    SmallVector<OpFoldResult> from(type.getRank(), b.getIndexAttr(0)),
        ones(type.getRank(), b.getIndexAttr(1)),
        sizes = tensor::getMixedSizes(b, loc, tensor);
    from[dim] = at;
    sizes[dim] = length;
    map.map(part,
            tensor::ExtractSliceOp::create(b, loc, tensor, from, sizes, ones));
  }
  map.map(op.getCarried(), loop.getRegionIterArgs());
  for (Operation &inner : op.getBlock()->without_terminator())
    lower(inner);
  SmallVector<Value> next;
  for (Value value : op.getBlock()->getTerminator()->getOperands())
    next.push_back(lookup(value));
  scf::YieldOp::create(b, loc, next);
  extents[rank] = extent;
  offsets.erase(rank);
  map.map(op.getResults(), loop.getResults());
}

void Lowering::lower(RebaseOp op) {
  loc = op.getLoc();
  Value old = lookup(op.getReference()), local = lookup(op.getLocal());
  auto type = cast<RankedTensorType>(old.getType());
  SmallVector<OpFoldResult> sizes;
  auto ranks = ranksOf(op.getReference());
  for (StringRef rank : *ranks)
    sizes.push_back(extents[rank]);
  Value empty = emptyTensor(b, loc, sizes, type.getElementType());
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
}

void Lowering::lower(MergeOp op) {
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
      // References lack what follows their own dimensions.
      int64_t shared = cast<RankedTensorType>(parts.getType()).getRank();
      inputs.append({parts, combined});
      maps.append({all.getMajorSubMap(shared),
                   all.getMajorSubMap(shared).getMinorSubMap(shared - 1)});
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

void Lowering::lower(Operation &op) {
  if (auto einsum = dyn_cast<EinsumOp>(op))
    lower(einsum);
  else if (auto iterate = dyn_cast<IterateOp>(op))
    lower(iterate);
  else if (auto rebase = dyn_cast<RebaseOp>(op))
    lower(rebase);
  else
    lower(cast<MergeOp>(op));
}

SmallVector<Value> Lowering::run() {
  for (Operation &op : cascade.getBlock()->without_terminator())
    lower(op);
  SmallVector<Value> results;
  for (auto [value, result] :
       llvm::zip_equal(cascade.getBlock()->getTerminator()->getOperands(),
                       cascade.getResults())) {
    Value lowered = lookup(value);
    if (lowered.getType() != result.getType())
      lowered = tensor::CastOp::create(b, cascade.getLoc(), result.getType(),
                                       lowered);
    results.push_back(lowered);
  }
  return results;
}

SmallVector<Value> lutra::lowerCascade(RewriterBase &rewriter, CascadeOp op,
                                       int64_t part, ValueRange destinations) {
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(op);
  return Lowering(rewriter, op, part, destinations).run();
}

namespace {
struct ConvertCascadeToLinalg
    : lutra::impl::ConvertCascadeToLinalgBase<ConvertCascadeToLinalg> {
  using ConvertCascadeToLinalgBase::ConvertCascadeToLinalgBase;

  void runOnOperation() override {
    SmallVector<CascadeOp> cascades;
    getOperation().walk([&](CascadeOp op) { cascades.push_back(op); });
    IRRewriter rewriter(&getContext());
    for (CascadeOp op : cascades)
      rewriter.replaceOp(op, lowerCascade(rewriter, op, part));
  }
};
} // namespace
