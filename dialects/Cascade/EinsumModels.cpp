//===- EinsumModels.cpp - linalg.generic as an Einsum ---------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Cascade.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

namespace {
struct GenericModel
    : EinsumOpInterface::ExternalModel<GenericModel, linalg::GenericOp> {
  SmallVector<Value> getEinsumInputs(Operation *op) const {
    return llvm::to_vector(cast<linalg::GenericOp>(op).getInputs());
  }

  SmallVector<AffineMap> getEinsumMaps(Operation *op) const {
    return cast<linalg::GenericOp>(op).getIndexingMapsArray();
  }

  Block *getEinsumBody(Operation *op) const {
    return cast<linalg::GenericOp>(op).getBlock();
  }

  std::optional<Monoid> getEinsumMonoid(Operation *op) const {
    Operation *combiner = findCombiner(cast<linalg::GenericOp>(op));
    return combiner ? monoidOf(combiner) : std::nullopt;
  }

  Value getEinsumPoint(Operation *op) const {
    auto generic = cast<linalg::GenericOp>(op);
    if (!generic.hasPureTensorSemantics() || generic.getNumResults() != 1)
      return nullptr;
    Value yielded = generic.getBlock()->getTerminator()->getOperand(0);
    BlockArgument before = generic.getRegionOutputArgs()[0];
    if (generic.getNumReductionLoops() == 0)
      return before.use_empty() ? yielded : Value();
    Operation *combiner = findCombiner(generic);
    if (!combiner)
      return nullptr;
    return combiner->getOperand(combiner->getOperand(0) == before ? 1 : 0);
  }

private:
  /// The operation that combines a new value with what there is, if that is all
  /// the body does with what there is.
  static Operation *findCombiner(linalg::GenericOp op) {
    if (!op.hasPureTensorSemantics() || op.getNumResults() != 1 ||
        op.getNumReductionLoops() == 0)
      return nullptr;
    BlockArgument before = op.getRegionOutputArgs()[0];
    Operation *combiner =
        op.getBlock()->getTerminator()->getOperand(0).getDefiningOp();
    if (!combiner || !monoidOf(combiner) || !before.hasOneUse() ||
        *before.user_begin() != combiner)
      return nullptr;
    return combiner;
  }
};
} // namespace

void lutra::cascade::registerEinsumModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, linalg::LinalgDialect *) {
    linalg::GenericOp::attachInterface<GenericModel>(*context);
  });
}
