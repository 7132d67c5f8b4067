//===- TopKOp.cpp - A choice among the points of a rank -------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Cascade.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

SmallVector<StringRef> TopKOp::getResultRanks() {
  SmallVector<StringRef> ranks(getRanks().getAsValueRange<StringAttr>());
  llvm::replace(ranks, getAlong(), getAs());
  return ranks;
}

static LogicalResult verifyRanks(TopKOp op, CascadeOp cascade) {
  llvm::StringSet<> seen;
  SmallVector<StringRef> ranks(op.getRanks().getAsValueRange<StringAttr>());
  ranks.push_back(op.getAs());
  for (StringRef rank : ranks) {
    if (!cascade.findRank(rank))
      return op.emitOpError("expects a rank of the cascade, got '")
             << rank << "'";
    if (!seen.insert(rank).second)
      return op.emitOpError("expects rank '") << rank << "' once";
  }
  if (!llvm::is_contained(op.getRanks(), op.getAlongAttr()))
    return op.emitOpError("expects to go along a rank of the input, got '")
           << op.getAlong() << "'";
  auto known = ranksBefore(op.getInput(), op);
  ranks.pop_back();
  if (known && *known != ranks)
    return op.emitOpError("expects the input over [")
           << llvm::join(*known, ", ") << "], got [" << llvm::join(ranks, ", ")
           << "]";
  return success();
}

/// Checks that a tensor is as long along each of `ranks` as the cascade says.
static LogicalResult verifyExtents(TopKOp op, CascadeOp cascade, StringRef what,
                                   RankedTensorType type,
                                   ArrayRef<StringRef> ranks) {
  if (size_t(type.getRank()) != ranks.size())
    return op.emitOpError("expects ")
           << what << " of " << ranks.size() << " dimensions, got " << type;
  for (auto [rank, size] : llvm::zip_equal(ranks, type.getShape())) {
    int64_t extent = cascade.getStaticExtent(rank);
    if (!ShapedType::isDynamic(extent) && !ShapedType::isDynamic(size) &&
        extent != size)
      return op.emitOpError("expects ")
             << what << " to have extent " << extent << " along rank '" << rank
             << "', got " << size;
  }
  return success();
}

LogicalResult TopKOp::verify() {
  auto cascade = cast<CascadeOp>((*this)->getParentOp());
  if (failed(verifyRanks(*this, cascade)))
    return failure();
  auto input = cast<RankedTensorType>(getInput().getType()),
       values = cast<RankedTensorType>(getValues().getType()),
       indices = cast<RankedTensorType>(getIndices().getType());
  SmallVector<StringRef> ranks(getRanks().getAsValueRange<StringAttr>()),
      results = getResultRanks();
  if (failed(verifyExtents(*this, cascade, "the input", input, ranks)) ||
      failed(verifyExtents(*this, cascade, "values", values, results)) ||
      failed(verifyExtents(*this, cascade, "indices", indices, results)))
    return failure();
  if (!input.getElementType().isIntOrFloat() ||
      values.getElementType() != input.getElementType())
    return emitOpError("expects values of the input's type, which are numbers, "
                       "got ")
           << values.getElementType() << " of " << input.getElementType();
  if (!indices.getElementType().isInteger(64))
    return emitOpError("expects indices of i64, got ")
           << indices.getElementType();
  int64_t most = cascade.getStaticExtent(getAlong()),
          count = cascade.getStaticExtent(getAs());
  if (!ShapedType::isDynamic(most) && !ShapedType::isDynamic(count) &&
      count > most)
    return emitOpError("expects to choose at most ")
           << most << " of rank '" << getAlong() << "', got " << count;
  return success();
}
