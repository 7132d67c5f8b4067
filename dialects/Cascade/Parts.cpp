//===- Parts.cpp - An iteration as parts that are merged ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A part is told by filters: what is reduced along the iterated rank takes, at
// the number of a part, its points alone. So coordinates stay what they are,
// and masks, filters and tensors are read as before; where one part is a tile,
// its filters are where the iteration begins and ends.
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Parts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

/// A name that no rank of the cascade has.
static std::string nameOfParts(CascadeOp op) {
  std::string name = "s";
  for (unsigned i = 0; op.findRank(name); ++i)
    name = "s" + std::to_string(i);
  return name;
}

/// `type` with a first dimension for the parts.
static RankedTensorType typeOfParts(Type type, OpFoldResult count) {
  auto tensor = cast<RankedTensorType>(type);
  SmallVector<int64_t> shape(tensor.getShape());
  shape.insert(shape.begin(),
               getConstantIntValue(count).value_or(ShapedType::kDynamic));
  return RankedTensorType::get(shape, tensor.getElementType());
}

static Value elementItself(OpBuilder &, Location, ValueRange elements) {
  return elements[0];
}

/// What `values` are computed from among the Einsums of a cascade.
static void collectSources(ValueRange values, CascadeOp op,
                           DenseSet<Operation *> &sources) {
  SmallVector<Value> open(values);
  while (!open.empty()) {
    Operation *source = open.pop_back_val().getDefiningOp();
    if (!source || source->getParentOp() != op || isa<IterateOp>(source) ||
        !sources.insert(source).second)
      continue;
    llvm::append_range(open, source->getOperands());
  }
}

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

namespace {
class PartBuilder {
public:
  PartBuilder(OpBuilder &b, CascadeOp op, const Parts &parts)
      : b(b), op(op), iterate(*op.getBlock()->getOps<IterateOp>().begin()),
        parts(parts), name(nameOfParts(op)) {}
  CascadeOp build();

private:
  Value buildInit(Value init, const CarriedState &state);
  void cloneIterate(ValueRange inits);
  void cloneEinsum(EinsumOp einsum);
  ArrayAttr filters(ArrayAttr old, unsigned numRanks, unsigned rank,
                    SmallVectorImpl<Value> &symbols);

  OpBuilder &b;
  CascadeOp op;
  IterateOp iterate;
  const Parts &parts;
  std::string name;
  IRMapping map;
  /// What differs from part to part.
  DenseSet<Value> divided;
};
} // namespace

/// Where the iteration of a part begins: from nothing, but for the first.
Value PartBuilder::buildInit(Value init, const CarriedState &state) {
  SmallVector<StringRef> ranks = *ranksOf(init);
  ranks.insert(ranks.begin(), name);
  RankedTensorType type = typeOfParts(init.getType(), parts.count);
  Location loc = init.getLoc();
  ArrayAttr iter = b.getStrArrayAttr(ranks);
  auto constant = [&](OpBuilder &b, Location loc, ValueRange) -> Value {
    return arith::ConstantOp::create(b, loc, state.neutral);
  };
  TypedAttr value;
  auto source = init.getDefiningOp<EinsumOp>();
  if (source && !source.hasReduction() &&
      matchPattern(source.getEinsumPoint(), m_Constant(&value)) &&
      value == state.neutral)
    return EinsumOp::create(b, loc, type, iter, ValueRange(), constant);
  return EinsumOp::create(
      b, loc, type, iter, map.lookup(init),
      [&](OpBuilder &b, Location loc, ValueRange elements) -> Value {
        Value number =
            IndexOp::create(b, loc, b.getIndexType(), b.getStringAttr(name));
        Value first = getValueOrCreateConstantIndexOp(b, loc, parts.first);
        Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                              number, first);
        return arith::SelectOp::create(b, loc, isFirst, elements[0],
                                       constant(b, loc, {}));
      });
}

/// The sets of `old`, or all points, as far as they are in the part. Of their
/// `numRanks` dimensions number `rank` is the iterated one; behind them comes
/// the number of the part.
ArrayAttr PartBuilder::filters(ArrayAttr old, unsigned numRanks, unsigned rank,
                               SmallVectorImpl<Value> &symbols) {
  SmallVector<AffineExpr> own;
  for (unsigned i = 0; i < parts.symbols.size(); ++i)
    own.push_back(b.getAffineSymbolExpr(symbols.size() + i));
  symbols.append(parts.symbols);
  AffineExpr number = b.getAffineDimExpr(numRanks),
             at = b.getAffineDimExpr(rank);
  AffineExpr begin = parts.begin.replaceDimsAndSymbols(number, own),
             end = parts.end.replaceDimsAndSymbols(number, own);
  SmallVector<Attribute> sets;
  auto add = [&](ArrayRef<AffineExpr> constraints, ArrayRef<bool> equalities) {
    SmallVector<AffineExpr> all(constraints);
    all.append({at - begin, end - 1 - at});
    SmallVector<bool> flags(equalities);
    flags.append(2, false);
    sets.push_back(IntegerSetAttr::get(
        IntegerSet::get(numRanks + 1, symbols.size(), all, flags)));
  };
  if (!old || old.empty())
    add({}, {});
  else
    for (IntegerSet set : old.getAsValueRange<IntegerSetAttr>())
      add(set.getConstraints(), set.getEqFlags());
  return b.getArrayAttr(sets);
}

/// A copy of an Einsum of the iteration, of one part where it reduces the rank
/// or reads what is of one.
void PartBuilder::cloneEinsum(EinsumOp einsum) {
  auto copy = cast<EinsumOp>(b.clone(*einsum, map));
  bool reduces = einsum.reduces(iterate.getRank());
  if (!reduces && llvm::none_of(einsum->getOperands(), [&](Value operand) {
        return divided.contains(operand);
      }))
    return;
  divided.insert(einsum.getResult());
  unsigned numRanks = einsum.getNumRanks();
  AffineExpr number = b.getAffineDimExpr(numRanks);
  SmallVector<AffineMap> maps;
  auto addMap = [&](AffineMap old, Value tensor) {
    AffineMap wider =
        AffineMap::get(numRanks + 1, 0, old.getResults(), b.getContext());
    maps.push_back(divided.contains(tensor) ? wider.insertResult(number, 0)
                                            : wider);
  };
  for (auto [i, input] : llvm::enumerate(einsum.getInputs()))
    addMap(einsum.getInputMap(i), input);
  if (einsum.getMask())
    addMap(einsum.getMaskMap(), einsum.getMask());
  addMap(einsum.getResultMap(), einsum.getResult());
  // Behind the others, so that loops that two Einsums share bear one number in
  // both: where they do not, upstream's fusion keeps what it has fused.
  SmallVector<Attribute> ranks(einsum.getIter().getValue());
  ranks.push_back(b.getStringAttr(name));
  copy.setIterAttr(b.getArrayAttr(ranks));
  copy.setMapsAttr(b.getAffineMapArrayAttr(maps));
  copy.getResult().setType(typeOfParts(einsum.getType(), parts.count));
  if (!reduces && !einsum.getFilters())
    return;
  SmallVector<Value> symbols(einsum.getSymbols());
  if (reduces) {
    copy.setFiltersAttr(filters(einsum.getFiltersAttr(), numRanks,
                                *einsum.findRank(iterate.getRank()), symbols));
  } else {
    SmallVector<Attribute> sets;
    for (IntegerSet set :
         einsum.getFilters()->getAsValueRange<IntegerSetAttr>())
      sets.push_back(IntegerSetAttr::get(
          IntegerSet::get(numRanks + 1, set.getNumSymbols(),
                          set.getConstraints(), set.getEqFlags())));
    copy.setFiltersAttr(b.getArrayAttr(sets));
  }
  copy.getSymbolsMutable().assign(symbols);
}

void PartBuilder::cloneIterate(ValueRange inits) {
  SmallVector<Value> streams, symbols(iterate.getSymbols());
  for (Value stream : iterate.getStreams())
    streams.push_back(map.lookupOrDefault(stream));
  ArrayAttr sets = filters(iterate.getFiltersAttr(), op.getRanks().size(),
                           *op.findRank(iterate.getRank()), symbols);
  auto copy = IterateOp::create(b, iterate.getLoc(), inits.getTypes(),
                                iterate.getRank(), streams, inits, symbols,
                                iterate.getDims(), sets);
  OpBuilder::InsertionGuard guard(b);
  Block *block = b.createBlock(&copy.getBody());
  for (BlockArgument part : iterate.getParts())
    map.map(part, block->addArgument(part.getType(), part.getLoc()));
  for (auto [carried, init] : llvm::zip_equal(iterate.getCarried(), inits)) {
    map.map(carried, block->addArgument(init.getType(), carried.getLoc()));
    divided.insert(carried);
  }
  for (Operation &inner : *iterate.getBlock()) {
    if (auto einsum = dyn_cast<EinsumOp>(inner)) {
      cloneEinsum(einsum);
      continue;
    }
    Operation *own = b.clone(inner, map);
    for (Value result : own->getResults())
      result.setType(typeOfParts(result.getType(), parts.count));
    divided.insert_range(inner.getResults());
  }
  map.map(iterate.getResults(), copy.getResults());
}

CascadeOp PartBuilder::build() {
  SmallVector<CarriedState> states = *carriedStates(iterate);
  SmallVector<StringRef> ranks(op.getRanks().getAsValueRange<StringAttr>());
  SmallVector<OpFoldResult> extents = op.getMixedExtents();
  ranks.push_back(name);
  extents.push_back(parts.count);
  SmallVector<Type> types;
  for (Type type : iterate.getResultTypes())
    types.push_back(typeOfParts(type, parts.count));
  auto result =
      CascadeOp::create(b, op.getLoc(), types, ranks, extents, op.getReassoc());
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(result.getBlock());
  DenseSet<Operation *> sources;
  collectSources(iterate.getInits(), op, sources);
  collectSources(iterate.getStreams(), op, sources);
  // What the body reads beside these.
  iterate.getBody().walk([&](Operation *inner) {
    collectSources(inner->getOperands(), op, sources);
  });
  for (Operation &each : op.getBlock()->without_terminator())
    if (sources.contains(&each))
      b.clone(each, map);
  SmallVector<Value> inits;
  for (auto [init, state] : llvm::zip_equal(iterate.getInits(), states))
    inits.push_back(buildInit(init, state));
  cloneIterate(inits);
  SmallVector<Value> results;
  for (Value value : iterate.getResults())
    results.push_back(map.lookup(value));
  YieldOp::create(b, op.getLoc(), results);
  eraseUnread(*result.getBlock());
  return result;
}

CascadeOp lutra::cascade::buildParts(OpBuilder &b, CascadeOp op,
                                     const Parts &parts) {
  return PartBuilder(b, op, parts).build();
}

//===----------------------------------------------------------------------===//
// Merge
//===----------------------------------------------------------------------===//

/// A reduction of the parts of `state`, a tensor over `ranks`.
static Value buildReduction(OpBuilder &b, Value state,
                            ArrayRef<StringRef> ranks, Monoid monoid) {
  auto type = cast<RankedTensorType>(state.getType());
  AffineMap all = b.getMultiDimIdentityMap(ranks.size());
  return EinsumOp::create(b, state.getLoc(),
                          RankedTensorType::get(type.getShape().drop_front(),
                                                type.getElementType()),
                          b.getStrArrayAttr(ranks), state,
                          {all, all.getMinorSubMap(ranks.size() - 1)}, monoid,
                          elementItself);
}

/// Squares of all parts about the mean of all: those about the mean of a part,
/// and for each of its points the square of how far that is from this.
static Value buildSquares(OpBuilder &b, Value squares,
                          const std::array<Value, 2> &parts,
                          const std::array<Value, 2> &merged,
                          ArrayRef<StringRef> ranks) {
  AffineMap all = b.getMultiDimIdentityMap(ranks.size());
  AffineMap inner = all.getMinorSubMap(ranks.size() - 1);
  auto type = cast<RankedTensorType>(squares.getType());
  return EinsumOp::create(
      b, squares.getLoc(),
      RankedTensorType::get(type.getShape().drop_front(),
                            type.getElementType()),
      b.getStrArrayAttr(ranks),
      {squares, parts[0], parts[1], merged[0], merged[1]},
      {all, all, all, inner, inner, inner}, Monoid::Add,
      [](OpBuilder &b, Location loc, ValueRange args) -> Value {
        auto mean = [&](Value sum, Value count) {
          return DivideOp::create(b, loc, sum.getType(), sum, count,
                                  b.getF64FloatAttr(0.0));
        };
        Value by = arith::SubFOp::create(b, loc, mean(args[1], args[2]),
                                         mean(args[3], args[4]));
        Value square = arith::MulFOp::create(b, loc, by, by);
        Value moved = arith::MulFOp::create(b, loc, args[2], square);
        return arith::AddFOp::create(b, loc, args[0], moved);
      });
}

/// The states of all parts as one each.
static SmallVector<Value> mergeStates(OpBuilder &b, Location loc,
                                      ArrayRef<CarriedState> states,
                                      ArrayRef<Value> parts,
                                      ArrayRef<SmallVector<StringRef>> ranks) {
  SmallVector<Value> merged(states.size());
  for (unsigned i = 0; i < states.size(); ++i) {
    SmallVector<unsigned> numbers;
    SmallVector<Value> sums;
    for (unsigned j = 0; j < states.size(); ++j)
      if (states[j].reference == i) {
        numbers.push_back(j);
        sums.push_back(parts[j]);
      }
    if (numbers.empty()) {
      if (!states[i].reference && !states[i].about)
        merged[i] = buildReduction(b, parts[i], ranks[i], states[i].monoid);
      continue;
    }
    auto inner = [](Value part) -> Type {
      auto type = cast<RankedTensorType>(part.getType());
      return RankedTensorType::get(type.getShape().drop_front(),
                                   type.getElementType());
    };
    SmallVector<Type> types{inner(parts[i])};
    for (Value sum : sums)
      types.push_back(inner(sum));
    auto merge = MergeOp::create(b, loc, types, parts[i], sums,
                                 states[i].family, states[i].monoid);
    merged[i] = merge.getResult(0);
    for (auto [number, result] :
         llvm::zip_equal(numbers, merge.getResults().drop_front()))
      merged[number] = result;
  }
  for (auto [i, state] : llvm::enumerate(states))
    if (const std::optional<Moments> &about = state.about)
      merged[i] =
          buildSquares(b, parts[i], {parts[about->sum], parts[about->count]},
                       {merged[about->sum], merged[about->count]}, ranks[i]);
  return merged;
}

/// The ranks that `operations` speak of, in the order of `op`.
static void usedRanks(CascadeOp op, const DenseSet<Operation *> &operations,
                      SmallVectorImpl<StringRef> &ranks,
                      SmallVectorImpl<OpFoldResult> &extents) {
  IterateOp iterate = *op.getBlock()->getOps<IterateOp>().begin();
  for (auto [rank, extent] : llvm::zip_equal(
           op.getRanks().getAsValueRange<StringAttr>(), op.getMixedExtents())) {
    bool isUsed = false;
    for (Value init : iterate.getInits())
      isUsed |= llvm::is_contained(*ranksOf(init), rank);
    for (Operation *each : operations)
      isUsed |= llvm::is_contained(
          cast<EinsumOp>(each).getIter().getAsValueRange<StringAttr>(), rank);
    if (!isUsed)
      continue;
    ranks.push_back(rank);
    extents.push_back(extent);
  }
}

CascadeOp lutra::cascade::buildMerge(OpBuilder &b, CascadeOp op,
                                     OpFoldResult count, ValueRange states) {
  IterateOp iterate = *op.getBlock()->getOps<IterateOp>().begin();
  std::string name = nameOfParts(op);
  Operation *yield = op.getBlock()->getTerminator();
  DenseSet<Operation *> sources;
  collectSources(yield->getOperands(), op, sources);
  SmallVector<StringRef> ranks{name};
  SmallVector<OpFoldResult> extents{count};
  usedRanks(op, sources, ranks, extents);
  auto result = CascadeOp::create(b, op.getLoc(), op.getResultTypes(), ranks,
                                  extents, op.getReassoc());
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(result.getBlock());
  // Only what an Einsum computes has ranks that others know.
  SmallVector<Value> parts;
  SmallVector<SmallVector<StringRef>> partRanks;
  for (auto [state, next] : llvm::zip_equal(
           states, iterate.getBlock()->getTerminator()->getOperands())) {
    partRanks.push_back(*ranksOf(next));
    partRanks.back().insert(partRanks.back().begin(), name);
    parts.push_back(EinsumOp::create(
        b, next.getLoc(), cast<RankedTensorType>(state.getType()),
        b.getStrArrayAttr(partRanks.back()), state, elementItself));
  }
  IRMapping map;
  map.map(
      iterate.getResults(),
      mergeStates(b, op.getLoc(), *carriedStates(iterate), parts, partRanks));
  for (Operation &each : op.getBlock()->without_terminator())
    if (sources.contains(&each))
      b.clone(each, map);
  b.clone(*yield, map);
  return result;
}
