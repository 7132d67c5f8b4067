//===- DynamicQuantization.cpp - DynamicQuantizeLinear --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DynamicQuantization.h"

#include "QuantizedElements.h"
#include "Reduction.h"

using namespace mlir;
using namespace mlir::lutra;

FailureOr<DynamicallyQuantized> lutra::dynamicallyQuantized(Lowering &lowering,
                                                            const Tensor &x) {
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(x.rank()));
  Tensor max = accumulate(lowering, x, axes, Monoid::Max, DType::Float);
  Tensor min = accumulate(lowering, x, axes, Monoid::Min, DType::Float);
  FailureOr<Tensor> scale = compute(
      lowering, {max, min}, DType::Float, [](Scalars &s, ValueRange in) {
        Value zero = s.constant(0);
        Value range = s.sub(s.max(in[0], zero), s.min(in[1], zero));
        range = s.select(s.eq(range, zero), s.constant(1), range);
        return s.div(range, s.constant(255));
      });
  if (failed(scale))
    return failure();
  FailureOr<Tensor> zero = compute(
      lowering, {min, *scale}, DType::UInt8, [](Scalars &s, ValueRange in) {
        Value lowest = s.min(in[0], s.constant(0));
        return quantizeScalar(s.b, s.neg(s.div(lowest, in[1])), Value(),
                              DType::UInt8);
      });
  if (failed(zero))
    return failure();
  FailureOr<Tensor> bytes = compute(
      lowering, {x, *scale, *zero}, DType::UInt8,
      [](Scalars &s, ValueRange in) {
        return quantizeScalar(s.b, s.div(in[0], in[1]), in[2], DType::UInt8);
      });
  if (failed(bytes))
    return failure();
  return DynamicallyQuantized{*bytes, *scale, *zero};
}

static bool isFloat32(DType dtype) { return dtype == DType::Float; }

static Support supportsDynamicQuantize(const Node &node) {
  if (node.numInputs() != 1)
    return Support::no("expected one input, got " + Twine(node.numInputs()));
  return supportsInput(node, 0, "x", isFloat32);
}

static FailureOr<SmallVector<Tensor>> lowerDynamicQuantize(const Node &node,
                                                           Lowering &lowering) {
  if (Support support = supportsDynamicQuantize(node); !support)
    return node.error() << support.reason();
  auto y = dynamicallyQuantized(lowering, node.input(0));
  if (failed(y))
    return failure();
  return SmallVector<Tensor>{y->bytes, y->scale, y->zero};
}

void lutra::addDynamicQuantizationHandlers(Registry &registry) {
  registry.add({"",
                "DynamicQuantizeLinear",
                {11},
                supportsDynamicQuantize,
                lowerDynamicQuantize});
}
