//===- GroupRanks.cpp - Ranks of a group of operations --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GroupRanks.h"

#include "lutra/Analysis/TensorSizes.h"

using namespace mlir;
using namespace mlir::lutra;

SmallVector<std::string> lutra::rankNames(const CascadeGroup &group) {
  SmallVector<std::string> names(group.numRanks);
  names[group.reduced] = "m";
  names[group.rows.back()] = "p";
  static constexpr StringLiteral kRows[] = {"b", "h", "g", "i", "j"},
                                 kOthers[] = {"e", "f", "c", "d", "k", "n"};
  unsigned numRows = 0, numOthers = 0;
  SmallVector<unsigned> ranks(group.rows);
  for (linalg::GenericOp op : group.members)
    ranks.append(group.ranksOf.lookup(op));
  for (unsigned rank : ranks) {
    if (!names[rank].empty())
      continue;
    bool isRow = llvm::is_contained(group.rows, rank);
    unsigned &number = isRow ? numRows : numOthers;
    ArrayRef<StringLiteral> letters = isRow ? ArrayRef<StringLiteral>(kRows)
                                            : ArrayRef<StringLiteral>(kOthers);
    names[rank] = number < letters.size()
                      ? letters[number].str()
                      : (letters.front() + llvm::Twine(number)).str();
    ++number;
  }
  return names;
}

FailureOr<SmallVector<OpFoldResult>>
lutra::rankExtents(OpBuilder &b, const CascadeGroup &group) {
  SmallVector<OpFoldResult> extents(group.numRanks);
  auto isKnown = [](OpFoldResult size) {
    return isa_and_nonnull<Attribute>(dyn_cast_if_present<Attribute>(size));
  };
  for (linalg::GenericOp op : group.members) {
    ArrayRef<unsigned> ranks = group.ranksOf.at(op);
    for (OpOperand &operand : op->getOpOperands()) {
      auto type = dyn_cast<RankedTensorType>(operand.get().getType());
      if (!type)
        continue;
      AffineMap read = op.getMatchingIndexingMap(&operand);
      for (unsigned dim = 0; dim < read.getNumResults(); ++dim) {
        auto loop = dyn_cast<AffineDimExpr>(read.getResult(dim));
        if (!loop)
          continue;
        OpFoldResult &extent = extents[ranks[loop.getPosition()]];
        if (!type.isDynamicDim(dim)) {
          extent = b.getIndexAttr(type.getDimSize(dim));
        } else if (extent.isNull() && !isKnown(extent)) {
          FailureOr<SmallVector<OpFoldResult>> sizes =
              tensorSizes(b, operand.get());
          if (failed(sizes))
            return failure();
          extent = (*sizes)[dim];
        }
      }
    }
  }
  if (llvm::any_of(extents, [](OpFoldResult e) { return e.isNull(); }))
    return failure();
  return extents;
}

bool lutra::hasRows(const CascadeGroup &group, linalg::GenericOp op,
                    AffineMap map) {
  ArrayRef<unsigned> ranks = group.ranksOf.at(op);
  return llvm::all_of(group.rows, [&](unsigned row) {
    return map.isFunctionOfDim(llvm::find(ranks, row) - ranks.begin());
  });
}

bool lutra::isStreamed(const CascadeGroup &group, linalg::GenericOp op,
                       AffineMap map) {
  ArrayRef<unsigned> ranks = group.ranksOf.at(op);
  const unsigned *loop = llvm::find(ranks, group.reduced);
  return loop != ranks.end() && !hasRows(group, op, map) &&
         map.isFunctionOfDim(loop - ranks.begin());
}
