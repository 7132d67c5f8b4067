//===- ExpandWordProducts.cpp - Products of integers of 16 bits -----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// x86 multiplies pairs of 16-bit integers and adds the two products in 32 bits
// (pmaddwd) faster than it multiplies 32-bit integers, and adds that to a sum
// in the same instruction where it has VNNI. In lanes of one number each, the
// other of the pair is 0 in one of the factors, whatever it is in the other.
//
//===----------------------------------------------------------------------===//

#include "lutra/Conversion/Passes.h"

#include "MPGemmToVector/Dots.h"
#include "lutra/Analysis/TargetFeatures.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_EXPANDWORDPRODUCTS
#include "lutra/Conversion/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// What a number that 16 bits hold, with its sign, is extended from; null for
/// any other.
static Value wordBehind(Value value) {
  Operation *op = value.getDefiningOp();
  unsigned most = isa_and_nonnull<arith::ExtSIOp>(op)   ? 16
                  : isa_and_nonnull<arith::ExtUIOp>(op) ? 8
                                                        : 0;
  if (most == 0)
    return nullptr;
  Value source = op->getOperand(0);
  return getElementTypeOrSelf(source).getIntOrFloatBitWidth() <= most ? source
                                                                      : Value();
}

namespace {
struct ExpandProduct : OpRewritePattern<arith::MulIOp> {
  ExpandProduct(MLIRContext *context, TargetAttr target)
      : OpRewritePattern(context), target(target) {}

  LogicalResult matchAndRewrite(arith::MulIOp op,
                                PatternRewriter &rewriter) const override {
    auto type = dyn_cast<VectorType>(op.getType());
    Value x = op.getLhs(), y = op.getRhs(), other = wordBehind(x),
          word = wordBehind(y);
    if (!type || type.getRank() != 1 || !type.getElementType().isInteger(32) ||
        !other || !word)
      return failure();
    StringRef name = wordDotName(type.getNumElements(), target);
    if (name.empty())
      return failure();
    // From 16 bits a number is extended by zeros at once.
    if (getElementTypeOrSelf(other).isInteger(16)) {
      std::swap(x, y);
      std::swap(other, word);
    }
    Location loc = op.getLoc();
    if (isa<arith::ExtSIOp>(y.getDefiningOp())) {
      Type i16 = type.clone(rewriter.getI16Type());
      if (word.getType() != i16)
        word = arith::ExtSIOp::create(rewriter, loc, i16, word);
      y = arith::ExtUIOp::create(rewriter, loc, type, word);
    }
    auto pairs =
        VectorType::get({2 * type.getNumElements()}, rewriter.getI16Type());
    rewriter.replaceOpWithNewOp<LLVM::CallIntrinsicOp>(
        op, type, rewriter.getStringAttr(name),
        ValueRange{vector::BitCastOp::create(rewriter, loc, pairs, x),
                   vector::BitCastOp::create(rewriter, loc, pairs, y)});
    return success();
  }

  TargetAttr target;
};

struct ExpandWordProducts
    : lutra::impl::ExpandWordProductsBase<ExpandWordProducts> {
  void runOnOperation() override {
    TargetAttr target = targetOf(getOperation());
    if (!isX86(target))
      return;
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandProduct>(&getContext(), target);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
