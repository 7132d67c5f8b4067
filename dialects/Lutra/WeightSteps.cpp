//===- WeightSteps.cpp - Weights with more steps --------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/WeightSteps.h"

using namespace mlir;
using namespace mlir::lutra;

FailureOr<WeightOp> lutra::addSteps(OpBuilder &b, WeightOp weight,
                                    ArrayRef<Attribute> more) {
  auto type = cast<RankedTensorType>(weight.getResult().getType());
  SmallVector<Attribute> steps(weight.getSteps().getValue());
  for (Attribute step : more) {
    FailureOr<RankedTensorType> next =
        applyStep(type, step, [&] { return weight.emitOpError(); });
    if (failed(next))
      return failure();
    type = *next;
    steps.push_back(step);
  }
  auto result = cast<WeightOp>(b.clone(*weight));
  result.setStepsAttr(b.getArrayAttr(steps));
  result.getResult().setType(type);
  return result;
}

WeightOp lutra::createInlineWeight(OpBuilder &b, Location loc, StringRef name,
                                   DenseElementsAttr elements) {
  return WeightOp::create(b, loc, elements.getType(), b.getStringAttr(name),
                          /*source=*/nullptr, b.getI64IntegerAttr(0),
                          b.getI64IntegerAttr(0), b.getStringAttr("raw"),
                          TypeAttr::get(elements.getType()), elements,
                          b.getArrayAttr({}));
}
