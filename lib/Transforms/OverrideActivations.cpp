//===- OverrideActivations.cpp - Rounds activations, or does not ----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a model says of its activations is a default: exporters leave it at f32
// where the user wants speed, or at integers where he wants accuracy. Integers
// that the model makes itself are part of it and stay.
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/Lutra.h"
#include "dialects/MPGemm/MPGemm.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_OVERRIDEACTIVATIONS
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// The names of the nodes that `op` comes from, and of the weight that its
/// codes are.
static SmallVector<StringRef> namesOf(mpgemm::ProductOpInterface op) {
  llvm::SmallSetVector<StringRef, 4> names;
  op->getLoc()->walk([&](Location loc) {
    if (auto name = dyn_cast<NameLoc>(loc))
      names.insert(name.getName());
    return WalkResult::advance();
  });
  if (auto weight = op.getCodes().getDefiningOp<WeightOp>())
    names.insert(weight.getName());
  return llvm::to_vector(names);
}

/// Why x cannot be integers; empty where it can.
static StringRef reasonForFloats(mpgemm::ProductOpInterface op) {
  if (!op.getFormatAttr() || op.isUnscaled())
    return "its weights are floats";
  if (!op.getFormatAttr().getOffset())
    return "its codes stand for no integers of 8 bits";
  if (!mpgemm::fitsAccumulator(op.getFormatAttr().getNumberBits(),
                               op.getXType().getDimSize(2)))
    return "sums of its groups do not fit 32 bits";
  return "";
}

template <typename OpTy>
static void roundActivations(OpTy op) {
  OpBuilder b(op);
  RankedTensorType x = cast<RankedTensorType>(op.getX().getType());
  RankedTensorType perGroup = x.clone(x.getShape().drop_back());
  auto rounded = mpgemm::QuantizeActOp::create(
      b, op.getLoc(), x.clone(b.getI8Type()), perGroup,
      perGroup.clone(b.getI32Type()), op.getX());
  op.getXMutable().assign(rounded.getCodes());
  op.getXScalesMutable().assign(rounded.getScales());
  op.getXSumsMutable().assign(rounded.getSums());
}

template <typename OpTy>
static void keepFloats(OpTy op, mpgemm::QuantizeActOp rounded) {
  op.getXMutable().assign(rounded.getX());
  op.getXScalesMutable().clear();
  op.getXSumsMutable().clear();
}

template <typename OpTy>
static void apply(const ActivationRules &rules, OpTy op) {
  auto product = cast<mpgemm::ProductOpInterface>(op.getOperation());
  const ActivationRule *rule = rules.find(namesOf(product));
  if (!rule)
    return;
  auto rounded = op.getX().template getDefiningOp<mpgemm::QuantizeActOp>();
  if (!rule->integers) {
    if (rounded && op.getXScales() == rounded.getScales())
      keepFloats(op, rounded);
    return;
  }
  if (product.isInteger())
    return;
  StringRef reason = reasonForFloats(product);
  if (reason.empty())
    roundActivations(op);
  else
    op.emitWarning() << "activations stay f32, though '" << rule->text
                     << "': " << reason;
}

namespace {
struct OverrideActivations
    : lutra::impl::OverrideActivationsBase<OverrideActivations> {
  using OverrideActivationsBase::OverrideActivationsBase;

  LogicalResult initialize(MLIRContext *context) override {
    auto parsed = ActivationRules::parse(spec);
    if (!parsed)
      return emitError(UnknownLoc::get(context))
             << llvm::toString(parsed.takeError());
    rules = std::move(*parsed);
    return success();
  }

  void runOnOperation() override {
    getOperation().walk([&](Operation *op) {
      if (auto product = dyn_cast<mpgemm::MatmulOp>(op))
        apply(rules, product);
      else if (auto product = dyn_cast<mpgemm::GatherMatmulOp>(op))
        apply(rules, product);
    });
  }

  ActivationRules rules;
};
} // namespace
