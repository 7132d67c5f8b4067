//===- ShareConcatenations.cpp - Concatenate what is new -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where each layer reads the results of all layers before it, a concatenation
// begins with all that the one before it joined. It then copies that one and
// what is new: the code of such a network grows with its layers instead of
// their square, and the parts need not be kept.
//
//===----------------------------------------------------------------------===//

#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_SHARECONCATENATIONS
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

namespace {
/// Insertions into an empty tensor, one after the other.
struct Chain {
  tensor::EmptyOp empty;
  SmallVector<tensor::InsertSliceOp> insertions;
};

struct ShareConcatenations
    : lutra::impl::ShareConcatenationsBase<ShareConcatenations> {
  void runOnOperation() override;
};
} // namespace

/// The chain that ends in `last`, if nothing reads what is between.
static std::optional<Chain> chainBehind(tensor::InsertSliceOp last) {
  Chain chain;
  auto takes = [](tensor::InsertSliceOp op) {
    return op.hasUnitStride() &&
           op.getSourceType().getRank() == op.getType().getRank();
  };
  for (auto op = last; op;
       op = op.getDest().getDefiningOp<tensor::InsertSliceOp>()) {
    if (!takes(op) || (op != last && !op->hasOneUse()))
      return std::nullopt;
    chain.insertions.push_back(op);
  }
  chain.empty =
      chain.insertions.back().getDest().getDefiningOp<tensor::EmptyOp>();
  std::reverse(chain.insertions.begin(), chain.insertions.end());
  return chain.empty ? std::optional(chain) : std::nullopt;
}

/// Whether `longer` begins by writing all that `shorter` writes, to the same
/// places, and goes on where the tensor of `shorter` ends.
static bool beginsWith(Chain &longer, Chain &shorter) {
  tensor::InsertSliceOp next = longer.insertions[shorter.insertions.size()];
  if (!shorter.insertions.back()->isBeforeInBlock(next))
    return false;
  for (auto [a, b] : llvm::zip(longer.insertions, shorter.insertions))
    if (a.getSource() != b.getSource() ||
        !isEqualConstantIntOrValueArray(a.getMixedOffsets(),
                                        b.getMixedOffsets()))
      return false;
  SmallVector<OpFoldResult> whole = longer.empty.getMixedSizes(),
                            part = shorter.empty.getMixedSizes(),
                            offsets = next.getMixedOffsets();
  for (auto [size, begun, offset] : llvm::zip_equal(whole, part, offsets))
    if (!isEqualConstantIntOrValue(begun,
                                   isZeroInteger(offset) ? size : offset))
      return false;
  return true;
}

/// Makes `longer` begin with what `shorter` has joined.
static void replaceFirst(Chain &longer, Chain &shorter) {
  size_t count = shorter.insertions.size();
  tensor::InsertSliceOp next = longer.insertions[count];
  OpBuilder b(next);
  unsigned rank = next.getType().getRank();
  SmallVector<OpFoldResult> zeros(rank, b.getIndexAttr(0)),
      ones(rank, b.getIndexAttr(1));
  auto whole = tensor::InsertSliceOp::create(
      b, next.getLoc(), shorter.insertions.back().getResult(), longer.empty,
      zeros, shorter.empty.getMixedSizes(), ones);
  next.getDestMutable().assign(whole);
  for (auto op : llvm::reverse(ArrayRef(longer.insertions).take_front(count)))
    op.erase();
}

void ShareConcatenations::runOnOperation() {
  SmallVector<Chain> chains;
  // By the last part, and how many there are: the first such chain.
  llvm::DenseMap<std::pair<Value, size_t>, size_t> known;
  for (auto op : getOperation().getOps<tensor::InsertSliceOp>()) {
    bool isLast = llvm::none_of(op->getUses(), [](OpOperand &use) {
      auto user = dyn_cast<tensor::InsertSliceOp>(use.getOwner());
      return user && use.get() == user.getDest();
    });
    std::optional<Chain> chain = isLast ? chainBehind(op) : std::nullopt;
    if (!chain)
      continue;
    known.try_emplace({op.getSource(), chain->insertions.size()},
                      chains.size());
    chains.push_back(std::move(*chain));
  }
  // From the last, so that what a chain begins with is still as it was found.
  for (Chain &chain : llvm::reverse(chains))
    for (size_t count = chain.insertions.size() - 1; count > 1; --count) {
      auto it = known.find({chain.insertions[count - 1].getSource(), count});
      if (it == known.end() || !beginsWith(chain, chains[it->second]))
        continue;
      replaceFirst(chain, chains[it->second]);
      break;
    }
}
