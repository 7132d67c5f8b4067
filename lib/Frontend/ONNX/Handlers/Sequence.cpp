//===- Sequence.cpp - ReverseSequence -------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operators on sequences in which the position of an element matters.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"
#include "Loops.h"
#include "Movement.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

using Results = FailureOr<SmallVector<Tensor>>;

//===----------------------------------------------------------------------===//
// ReverseSequence
//===----------------------------------------------------------------------===//

static Support supportsReverseSequence(const Node &node) {
  if (node.numInputs() != 2)
    return Support::no("expected 2 inputs, got " + Twine(node.numInputs()));
  int64_t batch = node.intAttr("batch_axis", 1);
  int64_t time = node.intAttr("time_axis", 0);
  if (batch == time || batch < 0 || batch > 1 || time < 0 || time > 1)
    return Support::no("expected batch_axis and time_axis to be 0 and 1, got " +
                       Twine(batch) + " and " + Twine(time));
  return Support::yes();
}

static Results lowerReverseSequence(const Node &node, Lowering &lowering) {
  if (Support support = supportsReverseSequence(node); !support)
    return node.error() << support.reason();
  if (failed(requireRank(node, 0, 2)))
    return failure();
  Tensor x = node.input(0), lengths = node.input(1);
  int64_t batch = node.intAttr("batch_axis", 1);
  int64_t time = node.intAttr("time_axis", 0);
  if (lengths.dtype != DType::Int64 || lengths.rank() != 1 ||
      lengths.shape[0] != x.shape[batch])
    return node.error() << "expected an INT64 length for each of "
                        << sizeText(lowering, x.shape[batch])
                        << " sequences, got " << lowering.str(lengths.shape);
  return SmallVector<Tensor>{readAt(
      lowering, x, x.shape, [&](ImplicitLocOpBuilder &b, ValueRange index) {
        Scalars s(b, DType::Int64);
        SmallVector<Value> at(index);
        Value place =
            arith::IndexCastOp::create(b, b.getI64Type(), index[time]);
        Value given = tensor::ExtractOp::create(b, lengths.value, index[batch]);
        Value length = s.min(given, sizeScalar(lowering, s, x.shape[time]));
        Value mirrored = s.sub(s.sub(length, s.constantInt(1)), place);
        at[time] = arith::IndexCastOp::create(
            b, b.getIndexType(),
            s.select(s.lt(place, length), mirrored, place));
        return at;
      })};
}

void lutra::addSequenceHandlers(Registry &r) {
  r.add({"",
         "ReverseSequence",
         {10, 28},
         supportsReverseSequence,
         lowerReverseSequence});
}
