//===- MultiHeadAttention.cpp - com.microsoft's MultiHeadAttention --------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Queries, keys and values come apart, or two or three of them in one tensor,
// before or after their bias. Padding is no exclusion here: the scores of
// padded keys get a finite number added, as the attribute mask_filter_value
// says.
//
//===----------------------------------------------------------------------===//

#include "../SizeAlgebra.h"
#include "AttentionOperands.h"
#include "Elementwise.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {
enum Input : unsigned {
  Query,
  Key,
  Values,
  Bias,
  Padding,
  ScoreBias,
  PastKey,
  PastValue,
  PastLength,
  CacheIndirection
};
enum Output : unsigned { Y, PresentKey, PresentValue, QK };

/// Where keys and values are.
enum class Packing {
  None,     ///< [batch, sequence, heads * size], each in its own tensor
  Heads,    ///< keys and values of [batch, heads, sequence, size]
  KeyValue, ///< keys and values of [batch, sequence, heads, 2, size]
  All,      ///< queries, too, of [batch, sequence, heads, 3, size]
};

struct Form {
  AttentionSizes sizes;
  Packing packing;
};
} // namespace

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

static void checkTypes(SizeCheck &check, const Node &node) {
  check.expectType(Query, "query",
                   {DType::Float, DType::Float16, DType::BFloat16});
  check.expectTypeOf(Query, {{Key, "key"},
                             {Values, "value"},
                             {Bias, "bias"},
                             {ScoreBias, "attention_bias"},
                             {PastKey, "past_key"},
                             {PastValue, "past_value"}});
  check.expectType(Padding, "key_padding_mask", DType::Int32);
}

static void checkRefused(SizeCheck &check, const Node &node) {
  if (node.input(PastLength) || node.input(CacheIndirection))
    check.fail("past_sequence_length and cache_indirection, of caches that are "
               "shared, not implemented");
  if (node.usesOutput(QK))
    check.fail("output qk not implemented");
  check.expectBoth(PastKey, "past_key", "past_value");
  if (!node.input(Key) && node.input(Values))
    check.fail("expected key with value, got only value");
}

static std::optional<Packing> packingOf(SizeCheck &check, const Node &node) {
  check.expectRank(Query, "query", node.input(Key) ? 3 : 5);
  if (!node.input(Key))
    return check.isKnown(Query) ? std::optional(Packing::All) : std::nullopt;
  check.expectRank(Key, "key", {3, 4, 5});
  std::optional<int64_t> rank = knownRank(node.input(Key));
  if (!rank || !check.isKnown(Query) || check.failed())
    return std::nullopt;
  if (*rank == 5 && node.input(Values))
    check.fail("expected no value with a key of rank 5");
  if (*rank == 5)
    return Packing::KeyValue;
  if (!node.input(Values))
    check.fail("expected value with a key of rank " + Twine(*rank));
  check.expectRank(Values, "value", *rank);
  if (*rank == 4 && node.input(PastKey))
    check.fail("expected no past_key with a key of rank 4");
  if (!check.isKnown(Values))
    return std::nullopt;
  return *rank == 4 ? Packing::Heads : Packing::None;
}

static AttentionSizes sizesOf(SizeCheck &check, const Node &node,
                              Packing packing) {
  ArrayRef<AffineExpr> q = node.inputs()[Query].shape;
  AttentionSizes sizes;
  sizes.heads = sizes.keyHeads = countHeads(check, node, "num_heads");
  sizes.group = check.number(1);
  sizes.batch = q[0], sizes.queries = q[1], sizes.past = check.number(0);
  if (packing == Packing::All) {
    sizes.keys = q[1], sizes.depth = sizes.width = q[4];
    check.expect(Query, "query",
                 {q[0], q[1], sizes.heads, check.number(3), q[4]});
    return sizes;
  }
  ArrayRef<AffineExpr> k = node.inputs()[Key].shape;
  sizes.depth = headSize(check, "query", q[2], sizes.heads);
  sizes.keys = k[packing == Packing::Heads ? 2 : 1];
  if (packing == Packing::KeyValue) {
    sizes.width = sizes.depth;
    check.expect(
        Key, "key",
        {sizes.batch, sizes.keys, sizes.heads, check.number(2), sizes.depth});
    return sizes;
  }
  ArrayRef<AffineExpr> v = node.inputs()[Values].shape;
  if (packing == Packing::Heads) {
    sizes.width = v[3];
    check.expect(Key, "key",
                 {sizes.batch, sizes.heads, sizes.keys, sizes.depth});
    check.expect(Values, "value",
                 {sizes.batch, sizes.heads, sizes.keys, sizes.width});
    return sizes;
  }
  sizes.width = headSize(check, "value", v[2], sizes.heads);
  check.expect(Key, "key", {sizes.batch, sizes.keys, q[2]});
  check.expect(Values, "value", {sizes.batch, sizes.keys, v[2]});
  return sizes;
}

namespace {
/// What key_padding_mask says of keys.
enum class PaddingForm { Lengths, PerKey, PerQueryAndKey };
} // namespace

static PaddingForm paddingForm(SizeCheck &check, const Node &node,
                               const AttentionSizes &sizes) {
  ArrayRef<AffineExpr> mask = node.inputs()[Padding].shape;
  switch (mask.size()) {
  case 1: {
    // Behind the lengths, some have the places where the batches begin.
    AffineExpr withStarts = canonicalSize(sizes.batch * 3 + 2);
    if (canonicalSize(mask[0]) != withStarts)
      check.expect(Padding, "key_padding_mask", sizes.batch);
    return PaddingForm::Lengths;
  }
  case 2:
    check.expect(Padding, "key_padding_mask", {sizes.batch, sizes.total()});
    return PaddingForm::PerKey;
  default:
    check.expect(Padding, "key_padding_mask",
                 {sizes.batch, sizes.queries, sizes.total()});
    return PaddingForm::PerQueryAndKey;
  }
}

/// Checks a node, and finds its form where its ranks are known.
static std::optional<Form> checkNode(SizeCheck &check, const Node &node) {
  checkTypes(check, node);
  checkRefused(check, node);
  if (check.failed())
    return std::nullopt;
  std::optional<Packing> packing = packingOf(check, node);
  if (!packing || check.failed())
    return std::nullopt;
  AttentionSizes sizes = sizesOf(check, node, *packing);
  check.expectRank(PastKey, "past_key", 4);
  if (check.failed() || (node.input(PastKey) && !check.isKnown(PastKey)))
    return std::nullopt;
  if (node.input(PastKey))
    sizes.past = node.inputs()[PastKey].shape[2];
  check.expect(PastKey, "past_key",
               {sizes.batch, sizes.heads, sizes.past, sizes.depth});
  check.expect(PastValue, "past_value",
               {sizes.batch, sizes.heads, sizes.past, sizes.width});
  check.expect(Bias, "bias",
               canonicalSize(sizes.heads * (sizes.depth * 2 + sizes.width)));
  if (!check.failed() && check.isKnown(Padding))
    paddingForm(check, node, sizes);
  check.expectRank(ScoreBias, "attention_bias", 4);
  checkMask(check, node, ScoreBias, "attention_bias", sizes.scores(),
            /*isPadded=*/false);
  return Form{sizes, *packing};
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

namespace {
/// Finds the three operands of a node as heads, with their bias.
class Operands {
public:
  Operands(const Node &node, Lowering &lowering, const Form &form)
      : node(node), lowering(lowering), sizes(form.sizes),
        packing(form.packing) {}

  FailureOr<Ranked> query() {
    return packing == Packing::All ? part(Query, Rank::Query, 0, 0)
                                   : apart(Query, Rank::Query, 0);
  }
  FailureOr<Ranked> key() { return keyOrValue(Key, 1); }
  FailureOr<Ranked> value() { return keyOrValue(Values, 2); }

private:
  FailureOr<Ranked> keyOrValue(unsigned input, int64_t which);
  /// Part `at` of [batch, sequence, heads, parts, size].
  FailureOr<Ranked> part(unsigned input, Rank of, int64_t at, int64_t which);
  /// [batch, sequence, heads * size].
  FailureOr<Ranked> apart(unsigned input, Rank of, int64_t which);
  /// Adds the part of the bias that belongs to queries, keys or values.
  FailureOr<Ranked> biased(FailureOr<Ranked> x, int64_t which);
  static Rank sizeRank(int64_t which) {
    return which == 2 ? Rank::Width : Rank::Depth;
  }

  const Node &node;
  Lowering &lowering;
  const AttentionSizes &sizes;
  Packing packing;
};
} // namespace

FailureOr<Ranked> Operands::keyOrValue(unsigned input, int64_t which) {
  switch (packing) {
  case Packing::All:
    return part(Query, Rank::Key, which, which);
  case Packing::KeyValue:
    return part(Key, Rank::Key, which - 1, which);
  case Packing::None:
    return apart(input, Rank::Key, which);
  case Packing::Heads:
    // These were projected, and got their bias, long ago.
    return groupHeads(lowering, node.input(input), sizes, Rank::Key,
                      sizeRank(which));
  }
  return failure();
}

FailureOr<Ranked> Operands::part(unsigned input, Rank of, int64_t at,
                                 int64_t which) {
  Tensor packed = node.input(input);
  SmallVector<AffineExpr> offsets(5, lowering.constant(0));
  offsets[3] = lowering.constant(at);
  Shape shape = packed.shape;
  shape[3] = lowering.constant(1);
  Tensor slice = lowering.slice(packed, offsets, shape, {1, 1, 1, 1, 1});
  return biased(
      Ranked{slice, {Rank::Batch, of, Rank::Head, Rank::None, sizeRank(which)}},
      which);
}

FailureOr<Ranked> Operands::apart(unsigned input, Rank of, int64_t which) {
  return biased(
      splitHeads(lowering, node.input(input), sizes, of, sizeRank(which)),
      which);
}

FailureOr<Ranked> Operands::biased(FailureOr<Ranked> x, int64_t which) {
  if (failed(x) || !node.input(Bias))
    return x;
  AffineExpr size = which == 2 ? sizes.width : sizes.depth;
  AffineExpr begin = canonicalSize(sizes.heads * sizes.depth * which);
  Tensor slice = lowering.slice(node.input(Bias), begin,
                                canonicalSize(sizes.heads * size), 1);
  Shape shape = {sizes.heads, size};
  if (x->has(Rank::None))
    shape.insert(shape.begin() + 1, lowering.constant(1));
  FailureOr<Tensor> bias = lowering.reshape(slice, shape);
  if (failed(bias))
    return failure();
  FailureOr<Tensor> sum =
      compute(lowering, {x->tensor, *bias}, x->tensor.dtype,
              [](Scalars &s, ValueRange in) { return s.add(in[0], in[1]); });
  if (failed(sum))
    return failure();
  return Ranked{*sum, x->ranks};
}

/// What padding adds to the scores: zero for keys that are there.
static Ranked paddingBias(const Node &node, Lowering &lowering,
                          const AttentionSizes &sizes) {
  SizeCheck check(node, &lowering);
  PaddingForm form = paddingForm(check, node, sizes);
  Ranked bias;
  bias.ranks = {Rank::Batch, Rank::Key};
  Shape shape = {sizes.batch, sizes.total()};
  if (form == PaddingForm::PerQueryAndKey) {
    bias.ranks.insert(bias.ranks.begin() + 1, Rank::Query);
    shape.insert(shape.begin() + 1, sizes.queries);
  }
  bool isLengths = form == PaddingForm::Lengths;
  AffineMap map = isLengths
                      ? AffineMap::get(2, 0, lowering.b.getAffineDimExpr(0))
                      : lowering.b.getMultiDimIdentityMap(shape.size());
  double filter = node.floatAttr("mask_filter_value", -10000);
  Tensor mask = node.input(Padding);
  if (isLengths)
    mask = lowering.slice(mask, lowering.constant(0), sizes.batch, 1);
  bias.tensor = computeMapped(
      lowering, mask, map, shape, DType::Float, [&](Scalars &s, ValueRange in) {
        Value reference = s.constantInt(0);
        if (isLengths)
          reference = arith::IndexCastOp::create(
              s.b, s.type(), linalg::IndexOp::create(s.b, 1));
        Scalars f(s.b, DType::Float);
        return f.select(s.gt(in[0], reference), f.constant(0),
                        f.constant(filter));
      });
  return bias;
}

//===----------------------------------------------------------------------===//
// Lowering
//===----------------------------------------------------------------------===//

static FailureOr<SmallVector<Tensor>> lowerMultiHead(const Node &node,
                                                     Lowering &lowering) {
  SizeCheck check(node, &lowering);
  std::optional<Form> found = checkNode(check, node);
  if (check.failed())
    return node.error() << check.result().reason();
  const AttentionSizes &sizes = found->sizes;
  Operands operands(node, lowering, *found);
  FailureOr<Ranked> query = operands.query(), key = operands.key(),
                    value = operands.value();
  SmallVector<Tensor> results(4);
  if (failed(query) || failed(key) || failed(value) ||
      failed(growCaches(node, lowering, PastKey, *key, *value, results)))
    return failure();
  Attend form;
  form.query = *query, form.key = *key, form.value = *value;
  form.type = node.input(Query).dtype;
  if (double scale = node.floatAttr("scale", 0); scale != 0)
    form.scale = scale;
  form.filter.first.plus = sizes.past;
  form.filter.causal = node.intAttr("unidirectional", 0) == 1;
  form.layout = splitLayout(sizes);
  if (node.input(Padding))
    form.biases.push_back(paddingBias(node, lowering, sizes));
  if (failed(addBias(node, lowering, ScoreBias, sizes, form)))
    return failure();
  FailureOr<Tensor> y = lowering.reshape(
      attend(lowering, form).result,
      {sizes.batch, sizes.queries, canonicalSize(sizes.heads * sizes.width)});
  if (failed(y))
    return failure();
  results[Y] = *y;
  return results;
}

void lutra::addMultiHeadAttentionHandlers(Registry &r) {
  r.add({"com.microsoft",
         "MultiHeadAttention",
         {1},
         supportsChecked<checkNode>,
         lowerMultiHead,
         "shared caches; output qk"});
}
