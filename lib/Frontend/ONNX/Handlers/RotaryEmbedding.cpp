//===- RotaryEmbedding.cpp - RotaryEmbedding, also com.microsoft's --------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The two differ in the order of their inputs and in what says how long a head
// is: com.microsoft's are as long as there are angles, unless
// rotary_embedding_dim says that only the first elements are turned.
//
//===----------------------------------------------------------------------===//

#include "../SizeAlgebra.h"
#include "Operands.h"
#include "Rotation.h"
#include "SizeCheck.h"

using namespace mlir;
using namespace mlir::lutra;

using Results = FailureOr<SmallVector<Tensor>>;

/// The input as [batch, sequence, heads, size] in the order that it has in
/// memory. Of `count` heads, unless they are apart; `heads` is their dimension.
static FailureOr<Tensor> splitHeads(const Node &node, Lowering &lowering,
                                    int64_t count, int64_t &heads) {
  Tensor x = node.input(0);
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

/// What splitHeads gave, turned and as the input again.
static Results turned(const Node &node, Lowering &lowering, const Tensor &x,
                      int64_t heads, const Rotation &rotation) {
  FailureOr<Tensor> result = rotate(lowering, x, heads, rotation);
  if (failed(result))
    return failure();
  result = lowering.reshape(*result, node.input(0).shape);
  if (failed(result))
    return failure();
  return SmallVector<Tensor>{*result};
}

//===----------------------------------------------------------------------===//
// ONNX's
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
        (ids && (cache.rank() != 2 ||
                 !lowering.requireNonNegative(cache.shape[0] - 1))))
      return node.error() << "expected a cache of " << half
                          << " angles for each position, got "
                          << lowering.str(cache.shape);
  }
  // A position is looked up in both.
  Tensor cos = node.input(1), sin = node.input(2);
  if (ids && !lowering.requireEqual(cos.shape[0], sin.shape[0]))
    return node.error() << "expected caches of the same shape, got "
                        << lowering.str(cos.shape) << " and "
                        << lowering.str(sin.shape);
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
  FailureOr<Tensor> x =
      splitHeads(node, lowering, node.intAttr("num_heads", 0), heads);
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
  return turned(node, lowering, *x, heads, rotation);
}

//===----------------------------------------------------------------------===//
// com.microsoft's
//===----------------------------------------------------------------------===//

namespace {
enum Input : unsigned { X, Ids, Cos, Sin };
} // namespace

static void checkTypes(SizeCheck &check, const Node &node) {
  for (unsigned i : {X, Ids, Cos, Sin})
    if (!node.input(i))
      check.fail("expected input, position_ids, cos_cache and sin_cache");
  check.expectType(X, "input", {DType::Float, DType::Float16, DType::BFloat16});
  check.expectType(Ids, "position_ids", DType::Int64);
  check.expectTypeOf(X, {{Cos, "cos_cache"}, {Sin, "sin_cache"}});
  check.expectRank(X, "input", {3, 4});
  check.expectRank(Ids, "position_ids", {0, 1, 2});
  check.expectRank(Cos, "cos_cache", 2);
  // ONNX Runtime documents it and does not read it.
  if (double scale = node.floatAttr("scale", 1); scale != 1)
    check.fail("expected a scale of 1, got " + std::to_string(scale));
}

/// A size that must be known when the node is lowered.
static std::optional<int64_t> known(SizeCheck &check, const Twine &what,
                                    AffineExpr size) {
  if (auto constant = dyn_cast<AffineConstantExpr>(size))
    return constant.getValue();
  if (check.isDemanding())
    check.fail("expected " + what + " of known size, got " + check.text(size));
  return std::nullopt;
}

/// Checks how the input divides into heads, and finds how many there are where
/// that is known. The first `turned` elements of each are turned.
static std::optional<int64_t> checkHeads(SizeCheck &check, const Node &node,
                                         int64_t turned) {
  const Shape &shape = node.inputs()[X].shape;
  int64_t count = check.count("num_heads", 0, 0, kMaxExtent);
  bool isPart = node.intAttr("rotary_embedding_dim", 0) != 0;
  if (isPart && count == 0)
    check.fail("expected num_heads with rotary_embedding_dim");
  std::optional<int64_t> row = known(check, "rows", shape.back());
  if (check.failed() || !row)
    return std::nullopt;
  int64_t size = turned;
  if (shape.size() == 4) {
    size = isPart ? std::max(*row, turned) : turned;
    if (count && !check.equal(shape[1], check.number(count)))
      check.fail("expected " + Twine(count) + " heads, got input " +
                 check.text(shape));
    count = 1;
  } else if (isPart) {
    size = std::max(*row / count, turned);
  } else if (count == 0) {
    count = *row / size;
  }
  if (count == 0 || *row % count || *row / count != size)
    check.fail("expected rows of heads of which " + Twine(turned) +
               " elements are turned, got input " + check.text(shape));
  return count;
}

/// Checks a node, and finds the number of heads where that is known.
static std::optional<int64_t> checkContributed(SizeCheck &check,
                                               const Node &node) {
  checkTypes(check, node);
  int64_t part = check.count("rotary_embedding_dim", 0, 0, kMaxExtent);
  if (check.failed() || !llvm::all_of(ArrayRef{X, Ids, Cos},
                                      [&](auto i) { return check.isKnown(i); }))
    return std::nullopt;
  ArrayRef<AffineExpr> x = node.inputs()[X].shape,
                       ids = node.inputs()[Ids].shape,
                       cos = node.inputs()[Cos].shape;
  AffineExpr sequence = x[x.size() - 2];
  if (ids.size() == 2)
    check.expect(Ids, "position_ids", {x[0], sequence});
  else if (ids.size() == 1)
    check.expect(Ids, "position_ids", check.number(1));
  check.expect(Sin, "sin_cache", cos);
  std::optional<int64_t> pairs = known(check, "rows of cos_cache", cos[1]);
  if (check.failed() || !pairs)
    return std::nullopt;
  if (*pairs < 1 || *pairs > kMaxExtent || (part && part != 2 * *pairs))
    check.fail("expected a cos_cache of half as many angles as elements are "
               "turned, got " +
               check.text(cos));
  // A sequence that holds several begins again at the first position.
  bool isPacked = node.intAttr("is_packed_batching", 0) != 0;
  bool isBounded = !isPacked && isa<AffineConstantExpr>(cos[0]);
  if (!check.isAtLeast(cos[0], check.number(1)) ||
      (isBounded && !check.isAtLeast(cos[0], sequence)))
    check.fail("expected a cos_cache of as many positions as sequences are "
               "long, got " +
               check.text(cos) + " for input " + check.text(x));
  if (check.failed())
    return std::nullopt;
  return checkHeads(check, node, 2 * *pairs);
}

static Results lowerContributed(const Node &node, Lowering &lowering) {
  SizeCheck check(node, &lowering);
  std::optional<int64_t> count = checkContributed(check, node);
  if (check.failed() || !count)
    return node.error() << check.result().reason();
  int64_t heads;
  FailureOr<Tensor> x = splitHeads(node, lowering, *count, heads);
  if (failed(x))
    return failure();
  Rotation rotation{node.input(Cos), node.input(Sin), Tensor(), std::nullopt,
                    node.intAttr("interleaved", 0) == 1};
  if (node.input(Ids).rank() == 2) {
    rotation.ids = node.input(Ids);
  } else {
    FailureOr<Tensor> first =
        lowering.reshape(node.input(Ids), lowering.constant(1));
    if (failed(first))
      return failure();
    rotation.first = BatchNumber{*first, lowering.constant(0)};
  }
  return turned(node, lowering, *x, heads, rotation);
}

void lutra::addRotaryEmbeddingHandlers(Registry &r) {
  r.add({"", "RotaryEmbedding", {23}, supportsRotary, lowerRotary});
  r.add({"com.microsoft",
         "RotaryEmbedding",
         {1},
         supportsChecked<checkContributed>,
         lowerContributed,
         "a scale other than 1"});
}
