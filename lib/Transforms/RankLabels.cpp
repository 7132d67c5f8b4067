//===- RankLabels.cpp - Which loops of operations are one rank ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loops are united: a dimension that is written by one loop and read by another
// makes them one rank.
//
//===----------------------------------------------------------------------===//

#include "RankLabels.h"

#include "llvm/ADT/SmallSet.h"

using namespace mlir;
using namespace mlir::lutra;

static constexpr unsigned kUnknown = -1;

void RankLabels::add(linalg::GenericOp op, SmallVector<unsigned> labels) {
  for (unsigned label : labels)
    numRanks = std::max(numRanks, label + 1);
  members[op] = std::move(labels);
}

/// Puts the ranks of `known`, one per loop, into `labels` where a dimension
/// that `told` gives one of these loops is given one of the others by `asked`.
/// Returns whether that contradicts nothing.
static bool tell(AffineMap told, ArrayRef<unsigned> known, AffineMap asked,
                 MutableArrayRef<unsigned> labels) {
  for (auto [from, to] :
       llvm::zip_equal(told.getResults(), asked.getResults())) {
    // A unit dimension may be read at its only index.
    if (isa<AffineConstantExpr>(from) || isa<AffineConstantExpr>(to))
      continue;
    auto there = dyn_cast<AffineDimExpr>(from),
         here = dyn_cast<AffineDimExpr>(to);
    if (!there || !here)
      return false;
    unsigned rank = known[there.getPosition()];
    unsigned &label = labels[here.getPosition()];
    if (label != kUnknown && label != rank)
      return false;
    label = rank;
  }
  return true;
}

/// The reduced rank is also known by what members read along it: a row that is
/// gone over again.
void RankLabels::labelReduced(linalg::GenericOp op,
                              MutableArrayRef<unsigned> labels) const {
  if (llvm::is_contained(labels, reduced))
    return;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    AffineMap read = op.getMatchingIndexingMap(operand);
    for (OpOperand &use : operand->get().getUses()) {
      auto member = dyn_cast<linalg::GenericOp>(use.getOwner());
      if (!member || !members.count(member) || !member.isDpsInput(&use))
        continue;
      AffineMap known = member.getMatchingIndexingMap(&use);
      for (unsigned dim = 0; dim < read.getNumResults(); ++dim) {
        auto mine = dyn_cast<AffineDimExpr>(read.getResult(dim));
        auto theirs = dyn_cast<AffineDimExpr>(known.getResult(dim));
        if (!mine || !theirs || labels[mine.getPosition()] != kUnknown ||
            members.find(member)->second[theirs.getPosition()] != reduced)
          continue;
        labels[mine.getPosition()] = reduced;
        return;
      }
    }
  }
}

std::optional<SmallVector<unsigned>>
RankLabels::label(linalg::GenericOp op) const {
  SmallVector<unsigned> labels(op.getNumLoops(), kUnknown);
  auto writtenBy = [](Operation *writer) {
    return cast<linalg::GenericOp>(writer).getIndexingMapsArray().back();
  };
  for (OpOperand *operand : op.getDpsInputOperands()) {
    Operation *writer = operand->get().getDefiningOp();
    if (members.count(writer) &&
        !tell(writtenBy(writer), members.find(writer)->second,
              op.getMatchingIndexingMap(operand), labels))
      return std::nullopt;
  }
  for (OpOperand &use : op->getUses()) {
    auto reader = dyn_cast<linalg::GenericOp>(use.getOwner());
    if (reader && members.count(reader) && reader.isDpsInput(&use) &&
        !tell(reader.getMatchingIndexingMap(&use), members.find(reader)->second,
              writtenBy(op), labels))
      return std::nullopt;
  }
  labelReduced(op, labels);
  llvm::SmallSet<unsigned, 8> seen;
  for (unsigned label : labels)
    if (label != kUnknown && !seen.insert(label).second)
      return std::nullopt;
  unsigned next = numRanks;
  for (unsigned &label : labels)
    if (label == kUnknown)
      label = next++;
  return labels;
}
