//===- Partition.cpp - What one pass over a rank computes -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Collects the reductions over a rank that one pass can compute: those that
// need nothing in advance, and sums under a running reference; with them all
// that they read along the rank, back to the tensors from outside, which are
// cut.
//
//===----------------------------------------------------------------------===//

#include "Rewrites.h"

#include "dialects/Cascade/Gather.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

namespace {
/// A tensor, and where it is read over the ranks of the cascade.
using Read = std::pair<Value, AffineMap>;

class Partition {
public:
  Partition(Terms &terms, Levels &levels, Loop &loop, Journal &journal)
      : terms(terms), levels(levels), loop(loop), journal(journal) {}

  /// Adds what `op` reads; fails where that cannot be cut into parts.
  LogicalResult add(EinsumOp op) { return addReads(op, readsOf(op)); }
  LogicalResult add(const SquareSum &squares);

private:
  SmallVector<Read> readsOf(EinsumOp op);
  LogicalResult addReads(EinsumOp root, SmallVector<Read> reads);
  LogicalResult addInput(Value tensor, AffineMap map,
                         SmallVectorImpl<EinsumOp> &pending,
                         llvm::SetVector<std::pair<Value, int64_t>> &streams);

  Terms &terms;
  Levels &levels;
  Loop &loop;
  Journal &journal;
};
} // namespace

LogicalResult
Partition::addInput(Value tensor, AffineMap map,
                    SmallVectorImpl<EinsumOp> &pending,
                    llvm::SetVector<std::pair<Value, int64_t>> &streams) {
  const Term *element = terms.element(tensor, map);
  bool carries = levels.carries(element);
  if (!isa<ShapedType>(tensor.getType()) ||
      (!carries && !levels.waits(element)))
    return success();
  auto op = tensor.getDefiningOp<EinsumOp>();
  bool isComputed = op && op->getParentOp() == terms.getCascade();
  if (isComputed && !carries) {
    EinsumOp reference = matchReference(terms, levels, element);
    if (!reference || !llvm::is_contained(loop.references, reference))
      return failure();
    if (reference != op)
      loop.guards[tensor] = reference;
    return success();
  }
  // Element i of a part is to be element i of the rank.
  std::optional<int64_t> dim;
  for (auto [i, expr] : llvm::enumerate(map.getResults())) {
    if (!expr.isFunctionOfDim(levels.getPosition()))
      continue;
    if (dim || !isa<AffineDimExpr>(expr)) {
      journal.obstacles.insert(describe(terms, element) +
                               " cannot be cut along " +
                               levels.getRank().str());
      return failure();
    }
    dim = i;
  }
  if (isComputed)
    pending.push_back(op);
  else
    streams.insert({tensor, *dim});
  return success();
}

SmallVector<Read> Partition::readsOf(EinsumOp op) {
  SmallVector<Read> reads;
  for (auto [i, input] : llvm::enumerate(op.getInputs()))
    reads.push_back({input, terms.toCascade(op, op.getInputMap(i))});
  if (op.getMask())
    reads.push_back({op.getMask(), terms.toCascade(op, op.getMaskMap())});
  return reads;
}

LogicalResult Partition::addReads(EinsumOp root, SmallVector<Read> reads) {
  llvm::SetVector<std::pair<Value, int64_t>> streams;
  llvm::SetVector<Operation *> inside;
  SmallVector<EinsumOp> pending;
  bool isCut = false;
  while (true) {
    SmallVector<EinsumOp> next;
    for (auto [tensor, map] : reads)
      if (failed(addInput(tensor, map, next, streams)))
        return failure();
    // Inside, what goes over the rank has to read something along it.
    if (next.empty() && streams.empty() && !isCut) {
      journal.obstacles.insert(describe(root) + " reads nothing along " +
                               levels.getRank().str());
      return failure();
    }
    pending.append(next);
    while (!pending.empty() && (loop.inside.contains(pending.back()) ||
                                !inside.insert(pending.back()))) {
      pending.pop_back();
      isCut = true;
    }
    if (pending.empty())
      break;
    // What is gathered is at hand for any coordinate.
    isCut |= gathers(pending.back());
    reads = readsOf(pending.pop_back_val());
  }
  loop.inside.insert_range(inside);
  loop.streams.insert_range(streams);
  return success();
}

LogicalResult Partition::add(const SquareSum &squares) {
  EinsumOp op = squares.sum;
  SmallVector<Read> reads;
  SmallPtrSet<const Term *, 16> seen;
  collectElements(squares.value, seen, [&](const Term *element) {
    reads.push_back({element->source, element->map});
  });
  if (op.getMask())
    reads.push_back({op.getMask(), terms.toCascade(op, op.getMaskMap())});
  return addReads(op, reads);
}

/// Whether what `op` starts from is known before the pass.
static bool canStart(Terms &terms, Levels &levels, EinsumOp op) {
  if (!op.getInit())
    return bool(
        identityOf(*op.getMonoid(), getElementTypeOrSelf(op.getType())));
  return !levels.waits(
      terms.element(op.getInit(), terms.toCascade(op, op.getResultMap())));
}

/// Whether anything but the sums under it reads `reference`.
static bool isRead(EinsumOp reference, const Loop &loop) {
  llvm::DenseSet<Operation *> sums;
  for (const RunningSum &sum : loop.sums)
    sums.insert(sum.sum);
  llvm::SetVector<Operation *> readers;
  readers.insert(reference);
  for (unsigned i = 0; i < readers.size(); ++i)
    for (Operation *user : readers[i]->getUsers()) {
      if (sums.contains(user))
        continue;
      bool isGuard =
          user->getNumResults() == 1 && loop.guards.count(user->getResult(0));
      if (!isGuard && !loop.inside.contains(user))
        return true;
      readers.insert(user);
    }
  return false;
}

/// Whether `reference` may lag behind the maximum: only the sums read it, and
/// results do not tell.
static bool mayLag(Terms &terms, EinsumOp reference, const Loop &loop) {
  return isWide(terms.getCascade()) && !isRead(reference, loop) &&
         hidesReference(terms, reference, loop.sums);
}

/// Notes where results show rows without a point above -inf, and carries the
/// maximum on as it is where no sum tells these.
static void showAbsentRows(Terms &terms, StringRef rank, Loop &loop) {
  CascadeOp cascade = terms.getCascade();
  ValueRange results = cascade.getBlock()->getTerminator()->getOperands();
  bool isNonempty =
      isPositive(cascade.getMixedExtents()[*cascade.findRank(rank)]);
  for (EinsumOp op : loop.references) {
    bool isVisible = isNonempty && !hidesReference(terms, op, loop.sums) &&
                     llvm::any_of(loop.sums, [&](const RunningSum &sum) {
                       return sum.reference == op && !sum.isGuarded &&
                              hasPointsOfReference(sum);
                     });
    if (isVisible)
      loop.visible.insert(op);
    bool isTold = llvm::any_of(loop.sums, [&](const RunningSum &sum) {
      return sum.reference == op && isAbsenceTold(sum);
    });
    if ((llvm::is_contained(results, op.getResult()) ||
         (!isTold && !op.getInit() && (isVisible || isRead(op, loop)))) &&
        !llvm::is_contained(loop.plain, op))
      loop.plain.push_back(op);
  }
}

bool lutra::cascade::iterateOverRank(CascadeOp cascade, StringRef rank,
                                     double lazy, Journal &journal) {
  Terms terms(cascade);
  Levels levels(cascade, rank);
  Loop loop;
  Partition partition(terms, levels, loop, journal);
  SmallVector<EinsumOp> plain;
  SmallVector<RunningSum> sums;
  SmallVector<SquareSum> squares;
  llvm::SetVector<Operation *> references, totals;
  for (EinsumOp op : cascade.getBlock()->getOps<EinsumOp>()) {
    if (!op.reduces(rank))
      continue;
    if (levels.of(op) == 1) {
      plain.push_back(op);
    } else if (auto central = matchSquareSum(terms, levels, op)) {
      squares.push_back(*central);
    } else if (auto sum = matchRunningSum(terms, levels, op, journal)) {
      sums.push_back(*sum);
      references.insert(sum->reference);
    }
  }
  for (EinsumOp op : plain)
    if (references.contains(op) && canStart(terms, levels, op) &&
        succeeded(partition.add(op)))
      loop.references.push_back(op);
  for (const RunningSum &sum : sums)
    if (llvm::is_contained(loop.references, sum.reference) &&
        succeeded(partition.add(sum.sum)))
      loop.sums.push_back(sum);
  // The others are maxima like any: a sum may read more than its reference.
  references.clear();
  for (const RunningSum &sum : loop.sums)
    references.insert(sum.reference);
  llvm::erase_if(loop.references,
                 [&](EinsumOp op) { return !references.contains(op); });
  for (const SquareSum &central : squares)
    if (succeeded(partition.add(central.total)) &&
        succeeded(partition.add(central))) {
      loop.squares.push_back(central);
      totals.insert(central.total);
    }
  // One pass is made part by part as it is.
  bool isOnePass = levels.getPasses() == 1;
  if (loop.sums.empty() && loop.squares.empty() && !isOnePass)
    return false;
  for (EinsumOp op : plain)
    if (totals.contains(op) ||
        (!references.contains(op) && canStart(terms, levels, op) &&
         succeeded(partition.add(op))))
      loop.plain.push_back(op);
  if (isOnePass && loop.plain.size() != plain.size())
    return false;
  showAbsentRows(terms, rank, loop);
  for (EinsumOp reference : loop.references) {
    std::string text = "B rebase {" + describe(reference) + ";";
    std::optional<Family> family;
    llvm::ListSeparator separator(",");
    for (const RunningSum &sum : loop.sums)
      if (sum.reference == reference) {
        text += StringRef(separator).str() + " " + describe(sum.sum);
        family = sum.family;
      }
    bool isLazy = lazy > 0 && mayLag(terms, reference, loop);
    loop.tolerances[reference] = isLazy ? lazy : 0;
    llvm::raw_string_ostream(text)
        << "} family=" << stringifyFamily(*family)
        << " policy=" << (isLazy ? "lazy" : "online") << ", corr in [0, 1]";
    journal.rewrites.insert(text);
  }
  for (const SquareSum &central : loop.squares)
    journal.rewrites.insert(
        "B rebase {" + describe(central.total) + "; count, squares of " +
        describe(terms, central.value) + "} family=powers to the mean so far");
  if (isOnePass)
    journal.rewrites.insert("C go over " + rank.str() +
                            " in parts: nothing along it is kept");
  buildIteration(terms, rank, loop);
  eraseUnread(*cascade.getBlock());
  return true;
}
