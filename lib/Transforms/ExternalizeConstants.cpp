//===- ExternalizeConstants.cpp - Constants become weights ----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A small constant tensor that is no splat becomes an inline weight: it then
// lies in the weight image, and the kernels that differ only in such constants
// are the same kernel. A splat stays, since fusion reads it as a scalar.
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/WeightSteps.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_EXTERNALIZECONSTANTS
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// The constant's name: that of the node it came from.
static std::string weightName(Location loc) {
  if (auto name = loc->findInstanceOf<NameLoc>())
    return name.getName().str();
  return "constant";
}

namespace {
struct ExternalizeConstants
    : lutra::impl::ExternalizeConstantsBase<ExternalizeConstants> {
  using ExternalizeConstantsBase::ExternalizeConstantsBase;

  void runOnOperation() override {
    getOperation().walk([](arith::ConstantOp constant) {
      auto elements = dyn_cast<DenseElementsAttr>(constant.getValue());
      if (!elements || elements.isSplat() || elements.empty() ||
          !isa<RankedTensorType>(constant.getType()))
        return;
      OpBuilder b(constant);
      WeightOp weight = createInlineWeight(
          b, constant.getLoc(), weightName(constant.getLoc()), elements);
      constant.replaceAllUsesWith(weight.getResult());
      constant.erase();
    });
  }
};
} // namespace
