//===- ReducePasses.cpp - Fewer passes over the ranks of a cascade --------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A cascade reads a rank again where it needs, for each point of it, a value
// that is known only when all points have been seen. Two ways around that are
// tried for each such rank: moving the value out of the reduction that waits
// for it, and summing under what is known of it so far. What neither can do is
// refused, in words that a report shows.
//
//===----------------------------------------------------------------------===//

#include "ReducePasses/Rewrites.h"
#include "lutra/Analysis/PassCount.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_REDUCEPASSES
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// Sums from which factors leave may be factors of others.
static constexpr unsigned kMaxRounds = 4;

/// Whether a result of the cascade goes along the rank.
static bool isInResults(CascadeOp cascade, StringRef rank) {
  return llvm::any_of(cascade.getBlock()->getTerminator()->getOperands(),
                      [&](Value value) {
                        auto ranks = ranksOf(value);
                        return ranks && llvm::is_contained(*ranks, rank);
                      });
}

/// Whether what a reduction reads along the rank comes from another one, so
/// that without an iteration it is kept whole.
static bool keepsProducts(CascadeOp cascade, StringRef rank) {
  llvm::DenseSet<Value> products;
  for (auto op : cascade.getBlock()->getOps<EinsumOp>()) {
    bool reads = llvm::any_of(
        op.getInputs(), [&](Value input) { return products.contains(input); });
    bool carries = llvm::is_contained(*ranksOf(op.getResult()), rank);
    if (carries && (reads || op.hasReduction()))
      products.insert(op.getResult());
    else if (reads && op.hasReduction())
      return true;
  }
  return false;
}

/// Replaces `cascade` by one that iterates over the rank, where one pass is all
/// that is left then: a pass behind the iteration would have all of the rank to
/// hold or to compute again, unless that is asked for. Returns the passes that
/// are left.
static std::optional<unsigned> tryIteration(CascadeOp &cascade, StringRef rank,
                                            unsigned passes,
                                            const ReducePassesOptions &options,
                                            Journal &journal) {
  OpBuilder b(cascade);
  auto trial = cast<CascadeOp>(b.clone(*cascade));
  Journal words;
  joinStarts(trial, rank);
  bool hasIterated = iterateOverRank(trial, rank, options.lazy, words);
  unsigned left = hasIterated ? PassCount(trial).count(rank).passes : passes;
  bool isBetter =
      options.partial && passes > 1 ? left < passes : hasIterated && left == 1;
  for (const std::string &obstacle : words.obstacles.get())
    journal.obstacles.insert(obstacle);
  for (const std::string &refusal : words.refusals.get())
    journal.refusals.insert(refusal);
  if (!isBetter) {
    trial.erase();
    return std::nullopt;
  }
  for (const std::string &rewrite : words.rewrites.get())
    journal.rewrites.insert(rewrite);
  cascade.replaceAllUsesWith(trial.getResults());
  cascade.erase();
  cascade = trial;
  return left;
}

/// Lowers the passes over one rank. Returns whether it is gone over in a
/// cascade.iterate now.
static bool reduceRank(CascadeOp &cascade, StringRef rank,
                       const ReducePassesOptions &options, Journal &journal) {
  unsigned passes = PassCount(cascade).count(rank).passes;
  for (unsigned round = 0; passes > 1 && round < kMaxRounds; ++round) {
    journal.obstacles = {};
    if (!hoistOutOfReductions(cascade, rank, journal))
      break;
  }
  passes = PassCount(cascade).count(rank).passes;
  if (passes == 1 && !keepsProducts(cascade, rank))
    return false;
  if ((!options.partial || passes == 1) && isInResults(cascade, rank)) {
    if (passes > 1)
      journal.rewrites.insert("rows of " + rank.str() +
                              " stay in cache: final");
    return false;
  }
  if (passes > 1 && options.fixed > 0)
    fixReferences(cascade, rank, options.fixed, journal);
  std::optional<unsigned> left =
      tryIteration(cascade, rank, passes, options, journal);
  for (const std::string &obstacle : journal.obstacles.get())
    journal.refusals.insert(
        obstacle + ": " + std::to_string(left.value_or(passes)) +
        (left == 1u ? " pass over " : " passes over ") + rank.str());
  return left.has_value();
}

/// Adds to what was said when the cascade was made.
static void setWords(CascadeOp cascade, StringRef name,
                     ArrayRef<std::string> words) {
  SmallVector<StringRef> refs;
  if (auto before = cascade->getAttrOfType<ArrayAttr>(name))
    llvm::append_range(refs, before.getAsValueRange<StringAttr>());
  llvm::append_range(refs, words);
  if (!refs.empty())
    cascade->setAttr(name, Builder(cascade).getStrArrayAttr(refs));
}

/// Says of each choice how many passes there are because of it. Rewrites move
/// what is summed; a choice is made of all points, and so is what is summed of
/// what it chose.
static void refuseChoices(CascadeOp cascade) {
  SmallVector<std::string> words;
  PassCount counts(cascade);
  for (auto choice : cascade.getBlock()->getOps<TopKOp>()) {
    RankPasses passes = counts.count(choice.getAlong());
    std::string rank = choice.getAlong().str();
    words.push_back("top-k over " + rank + ": barrier behind pass " +
                    std::to_string(passes.levels.lookup(choice)) + " of " +
                    std::to_string(passes.passes) + ", which points of " +
                    rank + " are chosen depends on all of them");
  }
  setWords(cascade, "refusals", words);
}

static void reduceCascade(CascadeOp cascade,
                          const ReducePassesOptions &options) {
  refuseChoices(cascade);
  // One that iterates already is as it is meant to be.
  if (!cascade.getReassoc() ||
      !llvm::all_of(cascade.getBlock()->without_terminator(),
                    llvm::IsaPred<EinsumOp>))
    return;
  Builder b(cascade);
  Journal journal;
  SmallVector<NamedAttribute> before;
  SmallVector<std::pair<unsigned, StringRef>> ranks;
  for (NamedAttribute count : passCounts(cascade)) {
    unsigned passes = cast<IntegerAttr>(count.getValue()).getInt();
    StringRef rank = count.getName().getValue();
    if (passes > 1)
      before.push_back(count);
    if (passes > 0)
      ranks.push_back({passes, rank});
  }
  // The rank with most passes gains most, and only one is iterated over.
  llvm::sort(ranks, [](const auto &x, const auto &y) {
    return x.first != y.first ? x.first > y.first : x.second < y.second;
  });
  for (auto [passes, rank] : ranks)
    if ((passes > 1 || before.empty()) &&
        reduceRank(cascade, rank, options, journal))
      break;
  if (!before.empty())
    cascade->setAttr("passes", b.getDictionaryAttr(before));
  setWords(cascade, "rewrites", journal.rewrites.get());
  setWords(cascade, "refusals", journal.refusals.get());
}

namespace {
struct ReducePassesPass : lutra::impl::ReducePassesBase<ReducePassesPass> {
  using ReducePassesBase::ReducePassesBase;

  void runOnOperation() override {
    ReducePassesOptions options;
    options.partial = partial;
    options.lazy = lazy;
    options.fixed = fixed;
    SmallVector<CascadeOp> cascades;
    getOperation().walk([&](CascadeOp op) { cascades.push_back(op); });
    for (CascadeOp op : cascades)
      reduceCascade(op, options);
  }
};
} // namespace
