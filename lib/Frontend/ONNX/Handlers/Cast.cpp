//===- Cast.cpp - Cast, CastLike, BitCast, Identity, Dropout --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Conversions, and the operators that hand their input on.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::lutra;

static Support supportsTarget(DType to) {
  if (isSupported(to))
    return Support::yes();
  StringRef name = dtypeName(to);
  return Support::no("expected a cast to a supported element type, got " +
                     name);
}

static DType castTarget(const Node &node) {
  return static_cast<DType>(node.intAttr("to", 0));
}

static FailureOr<SmallVector<Tensor>> lowerCast(const Node &node,
                                                Lowering &lowering) {
  if (Support support = supportsTarget(castTarget(node)); !support)
    return node.error() << support.reason();
  return SmallVector<Tensor>{lowering.cast(node.input(0), castTarget(node))};
}

static FailureOr<SmallVector<Tensor>> lowerCastLike(const Node &node,
                                                    Lowering &lowering) {
  return SmallVector<Tensor>{lowering.cast(node.input(0), node.input(1).dtype)};
}

//===----------------------------------------------------------------------===//
// BitCast
//===----------------------------------------------------------------------===//

static unsigned widthOf(DType dtype, MLIRContext *context) {
  return storageType(context, dtype).getIntOrFloatBitWidth();
}

static Support supportsBitCast(const Node &node) {
  DType from = node.input(0).dtype, to = castTarget(node);
  if (Support support = supportsTarget(to); !support)
    return support;
  MLIRContext *context = node.op.getContext();
  if (from != DType::Undefined &&
      widthOf(from, context) != widthOf(to, context))
    return Support::no("expected types of one width, got " + dtypeName(from) +
                       " and " + dtypeName(to));
  return Support::yes();
}

/// Types that are stored alike differ by name only, but for bool, which is 0 or
/// 1.
static FailureOr<SmallVector<Tensor>> lowerBitCast(const Node &node,
                                                   Lowering &lowering) {
  if (Support support = supportsBitCast(node); !support)
    return node.error() << support.reason();
  Tensor x = node.input(0);
  DType to = castTarget(node);
  Type type = storageType(lowering.context(), to);
  if (to == DType::Bool && x.dtype != to)
    return SmallVector<Tensor>{lowering.cast(x, to)};
  if (storageType(lowering.context(), x.dtype) == type)
    return SmallVector<Tensor>{lowering.tensor(x.value, x.shape, to)};
  FailureOr<Tensor> y = lowering.elementwise(
      x, to, [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
        return arith::BitcastOp::create(b, type, in[0]);
      });
  if (failed(y))
    return failure();
  return SmallVector<Tensor>{*y};
}

static FailureOr<SmallVector<Tensor>> lowerIdentity(const Node &node,
                                                    Lowering &) {
  return SmallVector<Tensor>{node.input(0)};
}

//===----------------------------------------------------------------------===//
// Dropout
//===----------------------------------------------------------------------===//

/// True where the third input says that this is a training graph.
static bool isTraining(const Node &node, Lowering &lowering) {
  Tensor mode = node.input(2);
  if (!mode)
    return false;
  return !mode.ints || mode.ints->size() != 1 ||
         mode.ints->front() != lowering.constant(0);
}

static FailureOr<SmallVector<Tensor>> lowerDropout(const Node &node,
                                                   Lowering &lowering) {
  if (isTraining(node, lowering))
    return node.error() << "expected training_mode to be constant and false";
  Tensor x = node.input(0);
  SmallVector<Tensor> results = {x};
  if (node.usesOutput(1)) {
    // Before version 10 the mask had the type of the data.
    DType type = node.sinceVersion < 10 ? x.dtype : DType::Bool;
    results.push_back(
        lowering.splat(x.shape, type, lowering.scalarInt(type, 1)));
  }
  return results;
}

static Support supportsAny(const Node &node) {
  return node.numInputs() ? Support::yes() : Support::no("expected an input");
}

void lutra::addCastHandlers(Registry &registry) {
  registry.add(
      {"",
       "Cast",
       {6, 9, 13, 19, 21, 23, 24, 25, 28},
       [](const Node &node) { return supportsTarget(castTarget(node)); },
       lowerCast,
       "float8, int4, int2 and strings"});
  registry.add({"",
                "CastLike",
                {15, 19, 21, 23, 24, 25},
                supportsAny,
                lowerCastLike,
                "float8, int4, int2 and strings"});
  registry.add({"",
                "BitCast",
                {26},
                supportsBitCast,
                lowerBitCast,
                "float8, int4, int2 and strings"});
  registry.add({"",
                "Identity",
                {1, 13, 14, 16, 19, 21, 23, 24, 25},
                supportsAny,
                lowerIdentity,
                "sequences and optionals"});
  registry.add({"",
                "Dropout",
                {7, 10, 12, 13, 22},
                supportsAny,
                lowerDropout,
                "training mode"});
}
