//===- JoinChoice.cpp - A choice joins what computes its points -----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "JoinChoice.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// A name that is none of `ranks`.
static std::string otherName(ArrayRef<StringRef> ranks, StringRef name) {
  std::string other = name.str();
  for (unsigned i = 0; llvm::is_contained(ranks, other); ++i)
    other = (name + llvm::Twine(i)).str();
  return other;
}

void lutra::joinProducer(TopKOp choice) {
  auto points = dyn_cast<OpResult>(choice.getInput());
  auto producer = points ? dyn_cast<CascadeOp>(points.getOwner()) : CascadeOp();
  auto own = cast<CascadeOp>(choice->getParentOp());
  if (!producer || producer->getBlock() != own->getBlock() ||
      producer.getNumResults() != 1 || !points.hasOneUse() ||
      !llvm::hasSingleElement(own.getBlock()->without_terminator()))
    return;
  SmallVector<StringRef> ranks(
      producer.getRanks().getAsValueRange<StringAttr>());
  SmallVector<OpFoldResult> extents = producer.getMixedExtents();
  std::string as = otherName(ranks, choice.getAs());
  ranks.push_back(as);
  extents.push_back(own.getMixedExtents()[*own.findRank(choice.getAs())]);
  OpBuilder b(own);
  auto joined = CascadeOp::create(
      b, b.getFusedLoc({producer.getLoc(), own.getLoc()}), own.getResultTypes(),
      ranks, extents, producer.getReassoc());
  for (StringRef words : {"rewrites", "refusals"})
    if (Attribute said = producer->getAttr(words))
      joined->setAttr(words, said);
  Operation *yield = producer.getBlock()->getTerminator();
  Value input = yield->getOperand(0);
  yield->erase();
  Block *body = joined.getBlock();
  body->getOperations().splice(body->end(),
                               producer.getBlock()->getOperations());
  SmallVector<StringRef> rows = *ranksOf(input);
  b.setInsertionPointToEnd(body);
  auto moved =
      TopKOp::create(b, choice.getLoc(), choice.getResultTypes(), input,
                     b.getStrArrayAttr(rows), rows[choice.getDim()], as,
                     choice.getSmallest(), choice.getIsUnsigned());
  IRMapping map;
  map.map(choice.getResults(), moved.getResults());
  b.clone(*own.getBlock()->getTerminator(), map);
  own.replaceAllUsesWith(joined.getResults());
  own.erase();
  producer.erase();
}
