//===- Gather.cpp - Tensors that are read at indices of data --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How an index changes in a block is followed through the body: a quotient of
// the coordinate by a multiple of the block's length is the same in all of it,
// and so is what is computed of that, such as an element of a table; a
// remainder goes along the block.
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Gather.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/SetVector.h"
#include <numeric>

using namespace mlir;
using namespace mlir::lutra::cascade;

bool lutra::cascade::gathers(EinsumOp op) {
  return !op.getBlock()->getOps<tensor::ExtractOp>().empty();
}

SmallVector<StringRef> lutra::cascade::ranksOfElement(tensor::ExtractOp element,
                                                      EinsumOp op) {
  llvm::SetVector<Operation *> sources;
  auto add = [&](ValueRange values) {
    for (Value value : values)
      if (Operation *source = value.getDefiningOp();
          source && source->getBlock() == op.getBlock())
        sources.insert(source);
  };
  add(element.getIndices());
  llvm::SetVector<StringRef> ranks;
  for (unsigned i = 0; i < sources.size(); ++i) {
    if (auto index = dyn_cast<IndexOp>(sources[i]))
      ranks.insert(index.getRank());
    add(sources[i]->getOperands());
  }
  return ranks.takeVector();
}

bool lutra::cascade::streams(IterateOp op, Type type) {
  return llvm::any_of(op.getStreams(), [&](Value stream) {
    return getElementTypeOrSelf(stream.getType()) == type;
  });
}

bool lutra::cascade::isStreamed(IterateOp op, Value value) {
  if (llvm::is_contained(op.getParts(), value))
    return true;
  auto einsum = value.getDefiningOp<EinsumOp>();
  if (!einsum || einsum->getParentOp() != op || einsum.hasReduction())
    return false;
  auto isOutside = [&](Value input) {
    return !op.getBody().isAncestor(input.getParentRegion());
  };
  bool hasStream = gathers(einsum);
  for (Value input : einsum.getInputs()) {
    if (isOutside(input))
      continue;
    if (!isStreamed(op, input))
      return false;
    hasStream = true;
  }
  return hasStream;
}

namespace {
/// How a value changes in a block.
struct Course {
  enum Kind { Same, Along, Other } kind = Same;
  unsigned rank = 0;
  /// Whether it is the coordinate itself.
  bool isPlain = false;
};

class Follower {
public:
  Follower(EinsumOp op, StringRef rank, function_ref<bool(StringRef)> isSingle)
      : op(op), rank(rank), isSingle(isSingle) {}

  Course follow(Value value);
  int64_t length = 0;

private:
  Course follow(AffineExpr expr, ValueRange operands, unsigned numDims);
  Course follow(IndexOp index);

  EinsumOp op;
  StringRef rank;
  function_ref<bool(StringRef)> isSingle;
  DenseMap<Value, Course> known;
};
} // namespace

static Course sum(Course x, Course y) {
  if (x.kind == Course::Same && y.kind != Course::Other)
    std::swap(x, y);
  if (x.kind != Course::Other && y.kind == Course::Same)
    return {x.kind, x.rank, false};
  return {Course::Other};
}

Course Follower::follow(IndexOp index) {
  if (isSingle(index.getRank()))
    return {};
  return {Course::Along, *op.findRank(index.getRank()),
          index.getRank() == rank};
}

Course Follower::follow(AffineExpr expr, ValueRange operands,
                        unsigned numDims) {
  if (isa<AffineConstantExpr>(expr))
    return {};
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return follow(operands[dim.getPosition()]);
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return follow(operands[numDims + symbol.getPosition()]);
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Course x = follow(binary.getLHS(), operands, numDims),
         y = follow(binary.getRHS(), operands, numDims);
  if (expr.getKind() == AffineExprKind::Add)
    return sum(x, y);
  if (x.kind == Course::Same && y.kind == Course::Same)
    return {};
  auto by = dyn_cast<AffineConstantExpr>(binary.getRHS());
  if (!x.isPlain || !by || by.getValue() <= 0)
    return {Course::Other};
  switch (expr.getKind()) {
  case AffineExprKind::FloorDiv:
    length = std::gcd(length, by.getValue());
    return {};
  case AffineExprKind::Mod:
    length = std::gcd(length, by.getValue());
    return {Course::Along, x.rank, false};
  default:
    return {Course::Other};
  }
}

Course Follower::follow(Value value) {
  Operation *inner = value.getDefiningOp();
  if (!inner || inner->getBlock() != op.getBlock())
    // An element of an input may change with each of its ranks.
    return value.getParentBlock() == op.getBlock() ? Course{Course::Other}
                                                   : Course{};
  auto [it, isNew] = known.try_emplace(value);
  if (!isNew)
    return it->second;
  Course course;
  if (auto index = dyn_cast<IndexOp>(inner)) {
    course = follow(index);
  } else if (auto apply = dyn_cast<affine::AffineApplyOp>(inner)) {
    course = follow(apply.getAffineMap().getResult(0), apply.getMapOperands(),
                    apply.getAffineMap().getNumDims());
  } else if (isa<arith::AddIOp>(inner)) {
    course = sum(follow(inner->getOperand(0)), follow(inner->getOperand(1)));
  } else {
    for (Value operand : inner->getOperands())
      if (follow(operand).kind != Course::Same)
        course.kind = Course::Other;
  }
  return known[value] = course;
}

std::optional<GatheredBlocks>
lutra::cascade::matchBlocks(EinsumOp op, StringRef rank,
                            function_ref<bool(StringRef)> isSingle) {
  auto element = op.getEinsumPoint().getDefiningOp<tensor::ExtractOp>();
  if (op.hasReduction() || !element || element->getBlock() != op.getBlock())
    return std::nullopt;
  Follower follower(op, rank, isSingle);
  GatheredBlocks blocks{element, 0, {}};
  llvm::SmallBitVector seen(op.getNumRanks());
  for (Value index : element.getIndices()) {
    Course course = follower.follow(index);
    if (course.kind == Course::Other ||
        (course.kind == Course::Along && seen.test(course.rank)))
      return std::nullopt;
    if (course.kind == Course::Along)
      seen.set(course.rank);
    blocks.ranks.push_back(course.kind == Course::Along
                               ? std::optional(course.rank)
                               : std::nullopt);
  }
  // All that is not single is found in the block.
  for (unsigned i = 0; i < op.getNumRanks(); ++i)
    if (!seen.test(i) && !isSingle(op.getRankName(i)))
      return std::nullopt;
  blocks.length = follower.length;
  return blocks.length > 0 ? std::optional(blocks) : std::nullopt;
}
