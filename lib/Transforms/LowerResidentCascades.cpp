//===- LowerResidentCascades.cpp - Cascades whose rows stay in a cache ----===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A cascade that goes over no rank part by part makes its passes over rows that
// are still in a cache. It gains nothing from being one kernel of its own kind,
// and becomes structured operations again, which are fused row by row.
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Cascade.h"
#include "lutra/Conversion/CascadeToLinalg.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_LOWERRESIDENTCASCADES
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// Whether `sum` adds up exponentials, so that its reciprocal does not overflow
/// where a quotient by it would not.
static bool isSumOfExponentials(Value sum) {
  auto einsum = sum.getDefiningOp<EinsumOp>();
  if (!einsum || einsum.getMonoid() != Monoid::Add)
    return false;
  Value point = einsum.getEinsumPoint();
  if (auto argument = dyn_cast<BlockArgument>(point)) {
    auto producer =
        einsum.getInputs()[argument.getArgNumber()].getDefiningOp<EinsumOp>();
    point = producer && !producer.hasReduction() ? producer.getEinsumPoint()
                                                 : Value();
  }
  return point &&
         isa_and_nonnull<math::ExpOp, math::Exp2Op>(point.getDefiningOp());
}

/// Divides once for each row, and multiplies all of it by the reciprocal.
static void hoistReciprocals(CascadeOp op) {
  SmallVector<EinsumOp> maps;
  for (auto einsum : op.getBlock()->getOps<EinsumOp>())
    if (!einsum.hasReduction())
      maps.push_back(einsum);
  for (EinsumOp einsum : maps)
    for (auto [i, input] : llvm::enumerate(einsum.getInputs())) {
      BlockArgument divisor = einsum.getBlock()->getArgument(i);
      auto quotient = divisor.hasOneUse()
                          ? dyn_cast<arith::DivFOp>(*divisor.user_begin())
                          : arith::DivFOp();
      auto sum = dyn_cast<RankedTensorType>(input.getType());
      if (!quotient || quotient.getRhs() != divisor ||
          quotient.getLhs() == divisor || !sum ||
          sum.getRank() >= cast<RankedTensorType>(einsum.getType()).getRank() ||
          !isSumOfExponentials(input))
        continue;
      OpBuilder b(einsum);
      auto reciprocal = EinsumOp::create(
          b, einsum.getLoc(), sum, b.getStrArrayAttr(*ranksOf(input)), input,
          [&](OpBuilder &b, Location loc, ValueRange elements) -> Value {
            Value one = arith::ConstantOp::create(
                b, loc, b.getFloatAttr(sum.getElementType(), 1.0));
            return arith::DivFOp::create(b, loc, one, elements[0]);
          });
      einsum->setOperand(i, reciprocal.getResult());
      b.setInsertionPoint(quotient);
      quotient.replaceAllUsesWith(arith::MulFOp::create(b, quotient.getLoc(),
                                                        quotient.getLhs(),
                                                        divisor)
                                      .getResult());
      quotient.erase();
    }
}

namespace {
struct LowerResidentCascades
    : lutra::impl::LowerResidentCascadesBase<LowerResidentCascades> {
  using LowerResidentCascadesBase::LowerResidentCascadesBase;

  void runOnOperation() override {
    SmallVector<CascadeOp> cascades;
    getOperation().walk([&](CascadeOp op) {
      // What merges states is a kernel as it is.
      if (op.getBlock()->getOps<IterateOp>().empty() &&
          op.getBlock()->getOps<MergeOp>().empty())
        cascades.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (CascadeOp op : cascades) {
      if (op.getReassoc())
        hoistReciprocals(op);
      rewriter.replaceOp(op, lowerCascade(rewriter, op, /*part=*/0));
    }
  }
};
} // namespace
