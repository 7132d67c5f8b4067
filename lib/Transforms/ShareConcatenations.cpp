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

#include "Insertions.h"
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

/// Insertions into an empty tensor, one after the other.
using Chain = SmallVector<tensor::InsertSliceOp>;

namespace {
struct ShareConcatenations
    : lutra::impl::ShareConcatenationsBase<ShareConcatenations> {
  void runOnOperation() override;
};
} // namespace

static tensor::EmptyOp emptyOf(Chain &chain) {
  return chain.front().getDest().getDefiningOp<tensor::EmptyOp>();
}

/// The chain that ends in `last`, if nothing reads what is between.
static Chain chainBehind(tensor::InsertSliceOp last) {
  Chain chain = insertionsIntoEmpty(last);
  auto takes = [](tensor::InsertSliceOp op) {
    return op.hasUnitStride() &&
           op.getSourceType().getRank() == op.getType().getRank();
  };
  return llvm::all_of(chain, takes) ? chain : Chain();
}

/// Whether `longer` begins by writing all that `shorter` writes, to the same
/// places, and goes on where the tensor of `shorter` ends.
static bool beginsWith(Chain &longer, Chain &shorter) {
  tensor::InsertSliceOp next = longer[shorter.size()];
  if (!shorter.back()->isBeforeInBlock(next))
    return false;
  for (auto [a, b] : llvm::zip(longer, shorter))
    if (a.getSource() != b.getSource() ||
        !isEqualConstantIntOrValueArray(a.getMixedOffsets(),
                                        b.getMixedOffsets()))
      return false;
  SmallVector<OpFoldResult> whole = emptyOf(longer).getMixedSizes(),
                            part = emptyOf(shorter).getMixedSizes(),
                            offsets = next.getMixedOffsets();
  for (auto [size, begun, offset] : llvm::zip_equal(whole, part, offsets))
    if (!isEqualConstantIntOrValue(begun,
                                   isZeroInteger(offset) ? size : offset))
      return false;
  return true;
}

/// Makes `longer` begin with what `shorter` has joined.
static void replaceFirst(Chain &longer, Chain &shorter) {
  size_t count = shorter.size();
  tensor::InsertSliceOp next = longer[count];
  OpBuilder b(next);
  unsigned rank = next.getType().getRank();
  SmallVector<OpFoldResult> zeros(rank, b.getIndexAttr(0)),
      ones(rank, b.getIndexAttr(1));
  auto whole = tensor::InsertSliceOp::create(
      b, next.getLoc(), shorter.back().getResult(), emptyOf(longer), zeros,
      emptyOf(shorter).getMixedSizes(), ones);
  next.getDestMutable().assign(whole);
  for (auto op : llvm::reverse(ArrayRef(longer).take_front(count)))
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
    Chain chain = isLast ? chainBehind(op) : Chain();
    if (chain.empty())
      continue;
    known.try_emplace({op.getSource(), chain.size()}, chains.size());
    chains.push_back(std::move(chain));
  }
  // From the last, so that what a chain begins with is still as it was found.
  for (Chain &chain : llvm::reverse(chains))
    for (size_t count = chain.size() - 1; count > 1; --count) {
      auto it = known.find({chain[count - 1].getSource(), count});
      if (it == known.end() || !beginsWith(chain, chains[it->second]))
        continue;
      replaceFirst(chain, chains[it->second]);
      break;
    }
}
