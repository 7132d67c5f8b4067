//===- Sequence.cpp - ReverseSequence, RotaryEmbedding --------------------===//
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
#include "Rotation.h"

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

//===----------------------------------------------------------------------===//
// RotaryEmbedding
//===----------------------------------------------------------------------===//

static Support supportsRotary(const Node &node) {
  if (node.numInputs() < 3 || node.numInputs() > 4)
    return Support::no("expected 3 or 4 inputs, got " +
                       Twine(node.numInputs()));
  if (int64_t dim = node.intAttr("rotary_embedding_dim", 0); dim < 0 || dim % 2)
    return Support::no("expected an even rotary_embedding_dim, got " +
                       Twine(dim));
  return Support::yes();
}

/// The input as [batch, sequence, heads, size] in the order that it has in
/// memory; `heads` is the dimension of the heads.
static FailureOr<Tensor> splitHeads(const Node &node, Lowering &lowering,
                                    int64_t &heads) {
  Tensor x = node.input(0);
  int64_t count = node.intAttr("num_heads", 0);
  heads = x.rank() == 4 ? 1 : 2;
  if (x.rank() == 4)
    return x;
  if (x.rank() != 3 || count < 1 || x.staticSize(2) == ShapedType::kDynamic ||
      x.staticSize(2) % count)
    return node.error() << "expected an input of rank 4, or of rank 3 with "
                           "num_heads, got "
                        << lowering.str(x.shape);
  return lowering.reshape(x, {x.shape[0], x.shape[1], lowering.constant(count),
                              lowering.constant(x.staticSize(2) / count)});
}

static LogicalResult checkCaches(const Node &node, Lowering &lowering,
                                 AffineExpr batch, AffineExpr sequence,
                                 int64_t half) {
  Tensor ids = node.input(3);
  for (unsigned i : {1u, 2u}) {
    Tensor cache = node.input(i);
    Shape expected = {batch, sequence, lowering.constant(half)};
    if (ids && cache.rank() == 2)
      expected = {cache.shape[0], lowering.constant(half)};
    if (cache.shape != expected || cache.dtype != node.input(0).dtype ||
        (ids && !lowering.requireNonNegative(cache.shape[0] - 1)))
      return node.error() << "expected a cache of " << half
                          << " angles for each position, got "
                          << lowering.str(cache.shape);
  }
  if (ids && (ids.shape != Shape{batch, sequence} || !isInteger(ids.dtype)))
    return node.error() << "expected integer position_ids of shape "
                        << lowering.str({batch, sequence}) << ", got "
                        << lowering.str(ids.shape);
  return success();
}

static Results lowerRotary(const Node &node, Lowering &lowering) {
  if (Support support = supportsRotary(node); !support)
    return node.error() << support.reason();
  int64_t heads;
  FailureOr<Tensor> x = splitHeads(node, lowering, heads);
  if (failed(x))
    return failure();
  int64_t size = x->staticSize(3);
  int64_t rotated = node.intAttr("rotary_embedding_dim", 0);
  if (rotated == 0)
    rotated = size;
  if (!isFloat(x->dtype) || size == ShapedType::kDynamic || rotated > size ||
      rotated % 2 || rotated == 0)
    return node.error() << "expected floats with a known even number of "
                           "elements to rotate, got "
                        << lowering.str(x->shape);
  AffineExpr sequence = x->shape[heads == 1 ? 2 : 1];
  if (failed(checkCaches(node, lowering, x->shape[0], sequence, rotated / 2)))
    return failure();
  Rotation rotation{node.input(1), node.input(2), node.input(3), std::nullopt,
                    node.intAttr("interleaved", 0) == 1};
  FailureOr<Tensor> result = rotate(lowering, *x, heads, rotation);
  if (failed(result))
    return failure();
  result = lowering.reshape(*result, node.input(0).shape);
  if (failed(result))
    return failure();
  return SmallVector<Tensor>{*result};
}

void lutra::addSequenceHandlers(Registry &r) {
  r.add({"",
         "ReverseSequence",
         {10, 28},
         supportsReverseSequence,
         lowerReverseSequence});
  r.add({"", "RotaryEmbedding", {23}, supportsRotary, lowerRotary});
}
