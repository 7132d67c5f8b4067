//===- Canonicalize.cpp - Cascades without what nothing needs -------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What leaves the numbers of a cascade as they are, whether its sums may be
// reassociated or not: inputs, states and results that nothing reads go, and so
// do filters and starts that make no difference.
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Cascade.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

/// The elements of `values` whose bit is set.
template <typename Range>
static auto selected(Range &&values, const llvm::BitVector &bits) {
  using Element = std::decay_t<decltype(*values.begin())>;
  SmallVector<Element> result;
  for (unsigned i : bits.set_bits())
    result.push_back(values[i]);
  return result;
}

//===----------------------------------------------------------------------===//
// EinsumOp
//===----------------------------------------------------------------------===//

/// Whether an Einsum of an iteration would have no operand that says how long a
/// part is with none but `kept` of its inputs.
static bool losesParts(EinsumOp op, const llvm::BitVector &kept) {
  auto iterate = dyn_cast<IterateOp>(op->getParentOp());
  if (!iterate || !op.findRank(iterate.getRank()))
    return false;
  return llvm::none_of(
      llvm::enumerate(op.getMaps().getAsValueRange<AffineMapAttr>()),
      [&](auto map) {
        return (map.index() >= kept.size() || kept.test(map.index())) &&
               op.goesAlong(map.value(), iterate.getRank());
      });
}

/// Inputs that the body does not read, or reads as another input already.
static LogicalResult dropInputs(EinsumOp op, PatternRewriter &rewriter) {
  Block *body = op.getBlock();
  unsigned numInputs = op.getInputs().size();
  llvm::BitVector kept(numInputs);
  for (unsigned i = 0; i < numInputs; ++i) {
    auto isSame = [&](unsigned other) {
      return op.getInputs()[other] == op.getInputs()[i] &&
             op.getInputMap(other) == op.getInputMap(i);
    };
    auto earlier = kept.set_bits();
    auto same = llvm::find_if(earlier, isSame);
    if (same != earlier.end())
      rewriter.replaceAllUsesWith(body->getArgument(i),
                                  body->getArgument(*same));
    else if (!body->getArgument(i).use_empty())
      kept.set(i);
  }
  for (unsigned i = 0; i < numInputs && losesParts(op, kept); ++i)
    if (op.goesAlong(op.getInputMap(i),
                     cast<IterateOp>(op->getParentOp()).getRank()))
      kept.set(i);
  if (kept.all())
    return failure();
  rewriter.modifyOpInPlace(op, [&] {
    SmallVector<Attribute> maps = selected(op.getMaps().getValue(), kept);
    llvm::append_range(maps, op.getMaps().getValue().drop_front(numInputs));
    op.setMapsAttr(rewriter.getArrayAttr(maps));
    op.getInputsMutable().assign(selected(op.getInputs(), kept));
    llvm::BitVector dropped = kept;
    body->eraseArguments(dropped.flip());
  });
  return success();
}

/// Whether a set has all points.
static bool isEverything(IntegerSet set) {
  return llvm::all_of(llvm::enumerate(set.getConstraints()), [&](auto each) {
    auto constant = dyn_cast<AffineConstantExpr>(each.value());
    return constant && (set.isEq(each.index()) ? constant.getValue() == 0
                                               : constant.getValue() >= 0);
  });
}

/// Filters of which one has all points, and those that are there twice.
static LogicalResult dropFilters(EinsumOp op, PatternRewriter &rewriter) {
  if (!op.getFilters())
    return failure();
  ArrayRef<Attribute> sets = op.getFilters()->getValue();
  auto drop = [&] {
    op.removeFiltersAttr();
    op.getSymbolsMutable().clear();
  };
  if (llvm::any_of(op.getFilters()->getAsValueRange<IntegerSetAttr>(),
                   isEverything)) {
    rewriter.modifyOpInPlace(op, drop);
    return success();
  }
  llvm::SetVector<Attribute> distinct(sets.begin(), sets.end());
  if (distinct.size() == sets.size())
    return failure();
  rewriter.modifyOpInPlace(op, [&] {
    op.setFiltersAttr(rewriter.getArrayAttr(distinct.getArrayRef()));
  });
  return success();
}

/// A start that is the identity of the monoid, from which a reduction starts by
/// itself.
static LogicalResult dropInit(EinsumOp op, PatternRewriter &rewriter) {
  auto start =
      op.getInit() ? op.getInit().getDefiningOp<EinsumOp>() : EinsumOp();
  TypedAttr value;
  if (!start || start.hasReduction() || start.isFiltered() ||
      !matchPattern(start.getEinsumPoint(), m_Constant(&value)) ||
      value != identityOf(*op.getMonoid(), getElementTypeOrSelf(op.getType())))
    return failure();
  rewriter.modifyOpInPlace(op, [&] { op.getInitMutable().clear(); });
  return success();
}

void EinsumOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                           MLIRContext *) {
  patterns.add(dropInputs);
  patterns.add(dropFilters);
  patterns.add(dropInit);
}

//===----------------------------------------------------------------------===//
// IterateOp
//===----------------------------------------------------------------------===//

/// The states that something depends on that is read, or has effects.
static llvm::BitVector liveStates(IterateOp op) {
  Operation *yield = op.getBlock()->getTerminator();
  llvm::BitVector live(op.getInits().size());
  DenseSet<Value> seen;
  SmallVector<Value> open;
  auto add = [&](unsigned state) {
    if (live.test(state))
      return;
    live.set(state);
    open.push_back(yield->getOperand(state));
  };
  for (auto [state, result] : llvm::enumerate(op.getResults()))
    if (!result.use_empty())
      add(state);
  auto read = [&](Operation *source) {
    // With what the bodies of Einsums read beside their operands.
    source->walk([&](Operation *inner) {
      llvm::append_range(open, inner->getOperands());
    });
  };
  for (Operation &each : op.getBlock()->without_terminator())
    if (!wouldOpBeTriviallyDead(&each))
      read(&each);
  while (!open.empty()) {
    Value value = open.pop_back_val();
    if (!seen.insert(value).second)
      continue;
    auto carried = llvm::find(op.getCarried(), value);
    if (carried != op.getCarried().end())
      add(carried - op.getCarried().begin());
    Operation *source = value.getDefiningOp();
    if (source && op->isProperAncestor(source))
      read(source);
  }
  return live;
}

/// States that are carried for themselves only.
static LogicalResult dropStates(IterateOp op, PatternRewriter &rewriter) {
  llvm::BitVector live = liveStates(op);
  if (live.all() || live.none())
    return failure();
  auto inits = selected(op.getInits(), live);
  auto copy =
      IterateOp::create(rewriter, op.getLoc(), ValueRange(inits).getTypes(),
                        op.getRank(), op.getStreams(), inits, op.getSymbols(),
                        op.getDims(), op.getFiltersAttr());
  copy->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  Block *body = op.getBlock();
  Operation *yield = body->getTerminator();
  rewriter.modifyOpInPlace(
      yield, [&] { yield->setOperands(selected(yield->getOperands(), live)); });
  // What is left of the others reads nothing but itself.
  for (Operation &each : llvm::make_early_inc_range(llvm::reverse(*body)))
    if (isOpTriviallyDead(&each))
      rewriter.eraseOp(&each);
  rewriter.inlineRegionBefore(op.getBody(), copy.getBody(),
                              copy.getBody().end());
  unsigned numStreams = copy.getStreams().size();
  for (unsigned state = live.size(); state-- > 0;)
    if (!live.test(state))
      body->eraseArgument(numStreams + state);
  for (auto [state, result] :
       llvm::zip_equal(live.set_bits(), copy.getResults()))
    rewriter.replaceAllUsesWith(op.getResult(state), result);
  rewriter.eraseOp(op);
  return success();
}

void IterateOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                            MLIRContext *) {
  patterns.add(dropStates);
}

//===----------------------------------------------------------------------===//
// CascadeOp
//===----------------------------------------------------------------------===//

/// Results that nothing reads. What computed them is then dead, and goes too.
static LogicalResult dropResults(CascadeOp op, PatternRewriter &rewriter) {
  llvm::BitVector read(op->getNumResults());
  for (OpResult result : op.getResults())
    if (!result.use_empty())
      read.set(result.getResultNumber());
  if (read.all() || read.none())
    return failure();
  SmallVector<StringRef> ranks(op.getRanks().getAsValueRange<StringAttr>());
  auto copy = CascadeOp::create(rewriter, op.getLoc(),
                                selected(op.getResultTypes(), read), ranks,
                                op.getMixedExtents(), op.getReassoc());
  copy->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  Operation *yield = op.getBlock()->getTerminator();
  rewriter.modifyOpInPlace(
      yield, [&] { yield->setOperands(selected(yield->getOperands(), read)); });
  rewriter.eraseBlock(copy.getBlock());
  rewriter.inlineRegionBefore(op.getBody(), copy.getBody(),
                              copy.getBody().end());
  for (auto [number, result] :
       llvm::zip_equal(read.set_bits(), copy.getResults()))
    rewriter.replaceAllUsesWith(op.getResult(number), result);
  rewriter.eraseOp(op);
  return success();
}

void CascadeOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                            MLIRContext *) {
  patterns.add(dropResults);
}
