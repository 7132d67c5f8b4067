//===- Ranks.cpp - The ranks of a tensor ----------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Follows a tensor inside a cascade back to the Einsum whose result names its
// ranks. Verifiers ask before they know that values are defined before they are
// used, so each step must lead backwards.
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Parts.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

bool lutra::cascade::isBefore(Value value, Operation *op) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return argument.getOwner()->findAncestorOpInBlock(*op) != nullptr;
  Operation *definition = value.getDefiningOp();
  Operation *ancestor = definition->getBlock()->findAncestorOpInBlock(*op);
  return ancestor && definition->isBeforeInBlock(ancestor);
}

/// How many references a reference is followed back through. Nobody writes more
/// by hand or by a rewrite, and every verifier asks.
static constexpr unsigned kMaxSteps = 64;

/// The ranks of `op` that the results of a map, which are ranks, go along.
static SmallVector<StringRef> ranksAlong(EinsumOp op, AffineMap map) {
  SmallVector<StringRef> ranks;
  for (AffineExpr expr : map.getResults())
    ranks.push_back(op.getRankName(cast<AffineDimExpr>(expr).getPosition()));
  return ranks;
}

std::optional<SmallVector<StringRef>>
lutra::cascade::ranksRead(EinsumOp op, unsigned input) {
  AffineMap map = op.getInputMap(input);
  if (!map.isProjectedPermutation())
    return std::nullopt;
  return ranksAlong(op, map);
}

/// What an operation gives the ranks of `result` from, if not itself.
static Value rankSource(OpResult result) {
  unsigned number = result.getResultNumber();
  Operation *op = result.getOwner();
  if (auto rebase = dyn_cast<RebaseOp>(op))
    return rebase.getReference();
  if (auto iterate = dyn_cast<IterateOp>(op))
    return number < iterate.getInits().size() ? iterate.getInits()[number]
                                              : Value();
  return isa<MergeOp>(op) ? op->getOperand(number) : Value();
}

std::optional<SmallVector<StringRef>> lutra::cascade::ranksOf(Value tensor) {
  // Merging takes the first rank away, each time that it is met.
  unsigned merged = 0;
  for (unsigned step = 0; step < kMaxSteps; ++step) {
    Value source;
    Operation *op;
    if (auto argument = dyn_cast<BlockArgument>(tensor)) {
      op = argument.getOwner()->getParentOp();
      auto iterate = dyn_cast_or_null<IterateOp>(op);
      unsigned streams = iterate ? iterate.getStreams().size() : 0;
      unsigned number = argument.getArgNumber();
      if (iterate && number >= streams &&
          number - streams < iterate.getInits().size())
        source = iterate.getInits()[number - streams];
    } else {
      op = tensor.getDefiningOp();
      if (auto einsum = dyn_cast<EinsumOp>(op)) {
        SmallVector<StringRef> ranks =
            ranksAlong(einsum, einsum.getResultMap());
        if (merged > ranks.size())
          return std::nullopt;
        ranks.erase(ranks.begin(), ranks.begin() + merged);
        return ranks;
      }
      if (auto choice = dyn_cast<TopKOp>(op))
        return choice.getResultRanks();
      merged += isa<MergeOp>(op);
      source = rankSource(cast<OpResult>(tensor));
    }
    if (!source || !isBefore(source, op))
      return std::nullopt;
    tensor = source;
  }
  return std::nullopt;
}

std::optional<SmallVector<StringRef>>
lutra::cascade::ranksBefore(Value tensor, Operation *op) {
  return isBefore(tensor, op) ? ranksOf(tensor) : std::nullopt;
}

bool lutra::cascade::countsParts(CascadeOp op, StringRef rank) {
  bool isCarried = false;
  for (auto iterate : op.getBlock()->getOps<IterateOp>())
    for (Value init : iterate.getInits()) {
      auto ranks = ranksOf(init);
      if (!ranks || !llvm::is_contained(*ranks, rank))
        return false;
      isCarried = true;
    }
  auto isRead = [&](EinsumOp einsum) {
    unsigned tensors = einsum.getInputs().size() + (einsum.getMask() ? 1 : 0);
    return llvm::any_of(llvm::seq(tensors), [&](unsigned i) {
      return !ranksOf(einsum.getOperand(i)) &&
             einsum.goesAlong(einsum.getMap(i), rank);
    });
  };
  return isCarried && !op.walk([&](EinsumOp einsum) {
                           return isRead(einsum) ? WalkResult::interrupt()
                                                 : WalkResult::advance();
                         }).wasInterrupted();
}

/// The ranks of the sums that `iterate` computes along its own rank.
static SmallVector<StringRef> ranksOfSums(IterateOp iterate) {
  SmallVector<StringRef> ranks;
  for (auto einsum : iterate.getBlock()->getOps<EinsumOp>()) {
    SmallVector<StringRef> own = *ranksOf(einsum.getResult());
    if (einsum.hasReduction() && llvm::is_contained(own, iterate.getRank()))
      ranks.append(own);
  }
  return ranks;
}

SmallVector<StringRef> lutra::cascade::rowRanks(CascadeOp op) {
  SmallVector<StringRef> rows;
  auto intersect = [&](ArrayRef<StringRef> ranks, bool isFirst) {
    if (isFirst)
      rows.assign(ranks.begin(), ranks.end());
    else
      llvm::erase_if(rows, [&](StringRef rank) {
        return !llvm::is_contained(ranks, rank);
      });
  };
  bool isFirst = true;
  for (auto iterate : op.getBlock()->getOps<IterateOp>())
    for (Value init : iterate.getInits()) {
      intersect(*ranksOf(init), isFirst);
      isFirst = false;
    }
  for (auto merge : op.getBlock()->getOps<MergeOp>())
    for (Value state : merge.getResults()) {
      intersect(*ranksOf(state), isFirst);
      isFirst = false;
    }
  for (Value value : op.getBlock()->getTerminator()->getOperands()) {
    intersect(*ranksOf(value), isFirst);
    isFirst = false;
  }
  for (auto iterate : op.getBlock()->getOps<IterateOp>())
    if (SmallVector<StringRef> sums = ranksOfSums(iterate); !sums.empty()) {
      // Sums are of one part; the states of all parts are rows.
      llvm::copy_if(rows, std::back_inserter(sums),
                    [&](StringRef rank) { return countsParts(op, rank); });
      intersect(sums, /*isFirst=*/false);
    }
  return rows;
}
