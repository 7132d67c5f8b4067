//===- GroupQueryAttention.cpp - com.microsoft's GroupQueryAttention ------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The operator of decoders that ONNX Runtime runs: queries that are the last of
// their keys, turned by their positions, and caches that are longer by the new
// keys than those before, or are buffers in which there is room for them.
//
//===----------------------------------------------------------------------===//

#include "../SizeAlgebra.h"
#include "AttentionOperands.h"
#include "BatchedCache.h"
#include "Elementwise.h"
#include "Rotation.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {
enum Input : unsigned {
  Query,
  Key,
  Values,
  PastKey,
  PastValue,
  Lengths,
  Total,
  Cos,
  Sin,
  Positions,
  ScoreBias,
  Sink,
  KeyScale,
  ValueScale,
  QueryNorm,
  KeyNorm
};
enum Output : unsigned { Y, PresentKey, PresentValue, QK };
} // namespace

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

static void checkTypes(SizeCheck &check, const Node &node) {
  check.expectType(Query, "query",
                   {DType::Float, DType::Float16, DType::BFloat16});
  check.expectTypeOf(Query, {{Key, "key"},
                             {Values, "value"},
                             {PastKey, "past_key"},
                             {PastValue, "past_value"},
                             {Cos, "cos_cache"},
                             {Sin, "sin_cache"},
                             {ScoreBias, "attention_bias"},
                             {Sink, "head_sink"}});
  check.expectType(Lengths, "seqlens_k", DType::Int32);
  check.expectType(Total, "total_sequence_length", DType::Int32);
  check.expectType(Positions, "position_ids", DType::Int64);
}

/// ONNX Runtime takes any number but 1 for 0.
static bool turns(const Node &node) {
  return node.intAttr("do_rotary", 0) == 1;
}

static void checkRefused(SizeCheck &check, const Node &node) {
  for (StringRef name : {"k_quant_type", "v_quant_type"})
    if (StringRef type = node.stringAttr(name, "NONE"); type != "NONE")
      check.fail("expected a " + name + " of NONE, got " + type +
                 ": caches of integers not implemented");
  if (node.input(KeyScale) || node.input(ValueScale))
    check.fail("k_scale and v_scale not implemented");
  if (node.input(QueryNorm) || node.input(KeyNorm))
    check.fail("q_norm_weight and k_norm_weight not implemented");
  if (node.intAttr("sliding_window_cache", 0))
    check.fail("sliding_window_cache not implemented");
  if (node.intAttr("qk_output", 0) || node.usesOutput(QK))
    check.fail("output_qk not implemented");
  int64_t window = node.intAttr("local_window_size", -1);
  if (window < -1)
    check.fail("expected a local_window_size of -1 or more, got " +
               Twine(window));
  if (window != -1 && node.intAttr("causal", 1) == 0)
    check.fail("expected no local_window_size without causal, got " +
               Twine(window));
  if (double cap = node.floatAttr("softcap", 0); !(cap >= 0))
    check.fail("expected a softcap of 0 or more, got " + std::to_string(cap));
  check.expectBoth(Key, "key", "value");
  check.expectBoth(PastKey, "past_key", "past_value");
  check.expectBoth(Cos, "cos_cache", "sin_cache");
  if (turns(node) && !node.input(Cos))
    check.fail("expected cos_cache and sin_cache with do_rotary");
}

static void checkRotation(SizeCheck &check, const Node &node,
                          const AttentionSizes &sizes) {
  if (!turns(node) || !check.isKnown(Cos))
    return;
  check.expectRank(Cos, "cos_cache", 2);
  if (check.failed())
    return;
  Tensor cos = node.input(Cos);
  AffineExpr rest = canonicalSize(sizes.depth - cos.shape[1] * 2);
  auto left = dyn_cast<AffineConstantExpr>(rest);
  if (!left ? check.isDemanding() : left.getValue() < 0)
    check.fail("expected a cos_cache of at most half as many angles as a head "
               "is long, got " +
               check.text(cos.shape) + " for a size of " +
               check.text(sizes.depth));
  if (!check.isAtLeast(cos.shape[0], check.number(1)))
    check.fail("expected a cos_cache of 1 position or more, got " +
               check.text(cos.shape));
  check.expect(Sin, "sin_cache", cos.shape);
  check.expect(Positions, "position_ids", {sizes.batch, sizes.queries});
}

/// Checks all but the lengths of sequences, and finds the sizes, with the past
/// still zero, where ranks are known.
static std::optional<AttentionSizes> checkNode(SizeCheck &check,
                                               const Node &node) {
  checkTypes(check, node);
  checkRefused(check, node);
  check.expectRank(Query, "query", 3);
  check.expectRank(PastKey, "past_key", 4);
  AttentionSizes sizes;
  sizes.heads = countHeads(check, node, "num_heads");
  sizes.keyHeads = countHeads(check, node, "kv_num_heads");
  divideHeads(check, sizes);
  if (check.failed() || !check.isKnown(Query))
    return std::nullopt;
  ArrayRef<AffineExpr> q = node.inputs()[Query].shape;
  bool packed = !node.input(Key);
  AffineExpr heads =
      packed ? canonicalSize(sizes.heads + sizes.keyHeads * 2) : sizes.heads;
  sizes.batch = q[0], sizes.queries = sizes.keys = q[1];
  sizes.depth = sizes.width = headSize(check, "query", q[2], heads);
  sizes.past = check.number(0);
  AffineExpr row = canonicalSize(sizes.keyHeads * sizes.depth);
  check.expect(Key, "key", {sizes.batch, sizes.keys, row});
  check.expect(Values, "value", {sizes.batch, sizes.keys, row});
  if (check.isKnown(PastKey)) {
    Shape cache = {sizes.batch, sizes.keyHeads, node.inputs()[PastKey].shape[2],
                   sizes.depth};
    check.expect(PastKey, "past_key", cache);
    check.expect(PastValue, "past_value", cache);
  }
  check.expect(Lengths, "seqlens_k", sizes.batch);
  check.expect(Sink, "head_sink", sizes.heads);
  check.expectRank(ScoreBias, "attention_bias", 4);
  // How many keys there are is not known yet.
  if (!check.failed() && check.isKnown(ScoreBias))
    checkMask(check, node, ScoreBias, "attention_bias",
              {sizes.batch, sizes.heads, sizes.queries,
               node.inputs()[ScoreBias].shape[3]},
              /*isPadded=*/false);
  checkRotation(check, node, sizes);
  return sizes;
}

static Support supportsGroupQuery(const Node &node) {
  SizeCheck check(node);
  checkNode(check, node);
  if (!check.failed() && node.input(PastKey) && !node.input(ScoreBias) &&
      !(node.numOutputs() > PresentKey && declaredShape(node, PresentKey)))
    return supportsKnown(node, Total, "total_sequence_length");
  return check.result();
}

//===----------------------------------------------------------------------===//
// Lengths
//===----------------------------------------------------------------------===//

/// total_sequence_length, where it is known when the model is compiled.
static std::optional<AffineExpr> knownTotal(const Node &node,
                                            Lowering &lowering) {
  if (auto ints = knownInts(lowering, node.input(Total));
      ints && ints->size() == 1)
    return canonicalSize(ints->front());
  if (node.input(ScoreBias))
    return node.inputs()[ScoreBias].shape[3];
  return std::nullopt;
}

/// The number of keys that each batch has before the new ones. Where a cache
/// grows, a batch of one sequence has as many as the cache.
static BatchNumber pastOf(const Node &node, Lowering &lowering,
                          const AttentionSizes &sizes, const CacheForm &cache) {
  bool isFull = sizes.batch == lowering.constant(1) &&
                cache.present == cache.total && knownTotal(node, lowering) &&
                node.input(PastKey) &&
                cache.present != node.inputs()[PastKey].shape[2];
  auto lengths = knownInts(lowering, node.input(Lengths));
  bool areKnown = lengths && llvm::all_of(*lengths, [&](AffineExpr length) {
                    return canonicalSize(length + 1) == cache.total;
                  });
  if (!node.input(PastKey) || isFull || areKnown)
    return {Tensor(), canonicalSize(cache.total - sizes.keys)};
  return {node.input(Lengths), canonicalSize(1 - sizes.keys),
          /*atLeastZero=*/true};
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

namespace {
struct QueryKeyValue {
  Ranked query, key, value;
};
} // namespace

/// Queries, keys and values of a packed query, with their heads apart so that
/// they are read where they are.
static FailureOr<SmallVector<Tensor>>
unpacked(const Node &node, Lowering &lowering, const AttentionSizes &sizes) {
  AffineExpr all = canonicalSize(sizes.heads + sizes.keyHeads * 2);
  FailureOr<Tensor> packed = lowering.reshape(
      node.input(Query), {sizes.batch, sizes.queries, all, sizes.depth});
  if (failed(packed))
    return failure();
  SmallVector<Tensor> parts;
  AffineExpr zero = lowering.constant(0), begin = zero;
  for (AffineExpr heads : {sizes.heads, sizes.keyHeads, sizes.keyHeads}) {
    parts.push_back(lowering.slice(
        *packed, {zero, zero, begin, zero},
        {sizes.batch, sizes.queries, heads, sizes.depth}, {1, 1, 1, 1}));
    begin = canonicalSize(begin + heads);
  }
  return parts;
}

/// `x` turned by the positions of its rows.
static FailureOr<Tensor> turned(const Node &node, Lowering &lowering,
                                const AttentionSizes &sizes, const Tensor &x,
                                AffineExpr heads, const BatchNumber &past) {
  Rotation rotation{node.input(Cos), node.input(Sin), node.input(Positions),
                    past, node.intAttr("rotary_interleaved", 0) == 1};
  FailureOr<Tensor> apart =
      lowering.reshape(x, {sizes.batch, sizes.queries, heads, sizes.depth});
  if (failed(apart))
    return failure();
  return rotate(lowering, *apart, /*heads=*/2, rotation);
}

/// The heads of the inputs, turned where the node says so.
static FailureOr<QueryKeyValue> headsOf(const Node &node, Lowering &lowering,
                                        const AttentionSizes &sizes,
                                        const BatchNumber &past) {
  FailureOr<SmallVector<Tensor>> inputs = SmallVector<Tensor>{
      node.input(Query), node.input(Key), node.input(Values)};
  if (!node.input(Key))
    inputs = unpacked(node, lowering, sizes);
  if (failed(inputs))
    return failure();
  MutableArrayRef<Tensor> parts = *inputs;
  if (turns(node))
    for (auto [i, heads] : {std::pair(0, sizes.heads), {1, sizes.keyHeads}}) {
      FailureOr<Tensor> x =
          turned(node, lowering, sizes, parts[i], heads, past);
      if (failed(x))
        return failure();
      parts[i] = *x;
    }
  auto split = [&](const Tensor &x, Rank of, Rank size) {
    return splitHeads(lowering, x, sizes, of, size);
  };
  FailureOr<Ranked> query = split(parts[0], Rank::Query, Rank::Depth),
                    key = split(parts[1], Rank::Key, Rank::Depth),
                    value = split(parts[2], Rank::Key, Rank::Width);
  if (failed(query) || failed(key) || failed(value))
    return failure();
  return QueryKeyValue{*query, *key, *value};
}

/// Adds new keys and values to the caches, and has queries see those.
static LogicalResult extendCaches(const Node &node, Lowering &lowering,
                                  const CacheForm &cache,
                                  const BatchNumber &past,
                                  QueryKeyValue &operands,
                                  MutableArrayRef<Tensor> results) {
  auto extend = [&](Ranked &x, unsigned before, unsigned present) {
    FailureOr<Tensor> extended =
        extendCache(lowering, x, node.input(before), past, cache.present,
                    node.usesOutput(present));
    if (failed(extended))
      return failure();
    results[present] = *extended;
    if (node.input(before))
      x = fromCache(firstKeys(lowering, *extended, cache.total),
                    x.ranks.back());
    return success();
  };
  return success(succeeded(extend(operands.key, PastKey, PresentKey)) &&
                 succeeded(extend(operands.value, PastValue, PresentValue)));
}

//===----------------------------------------------------------------------===//
// Lowering
//===----------------------------------------------------------------------===//

static KeyFilter filterOf(const Node &node, const AttentionSizes &sizes,
                          const BatchNumber &past, MLIRContext *context) {
  KeyFilter filter;
  filter.first = past;
  filter.causal = node.intAttr("causal", 1) != 0;
  // A window counts the query's own key.
  int64_t window = node.intAttr("local_window_size", -1);
  if (window >= 0 && window <= kMaxExtent)
    filter.left = window - 1;
  if (!filter.causal && sizes.batch != getAffineConstantExpr(1, context))
    filter.length =
        BatchNumber{node.input(Lengths), getAffineConstantExpr(1, context)};
  return filter;
}

static LogicalResult addSink(const Node &node, Lowering &lowering,
                             const AttentionSizes &sizes, Attend &form) {
  form.zeroSink = node.intAttr("smooth_softmax", 0) == 1 && !node.input(Sink);
  if (!node.input(Sink))
    return success();
  form.sink.ranks = withoutGroup({Rank::Head, Rank::Group}, sizes.grouped());
  Shape shape = {sizes.keyHeads, sizes.group};
  shape.truncate(form.sink.ranks.size());
  FailureOr<Tensor> sink = lowering.reshape(node.input(Sink), shape);
  if (failed(sink))
    return failure();
  form.sink.tensor = *sink;
  return success();
}

static FailureOr<Attend> formOf(const Node &node, Lowering &lowering,
                                const AttentionSizes &sizes,
                                const BatchNumber &past,
                                const QueryKeyValue &operands) {
  Attend form;
  form.query = operands.query, form.key = operands.key,
  form.value = operands.value;
  form.type = node.input(Query).dtype;
  if (double scale = node.floatAttr("scale", 0); scale != 0)
    form.scale = scale;
  form.softcap = node.floatAttr("softcap", 0);
  form.filter = filterOf(node, sizes, past, lowering.context());
  form.layout = splitLayout(sizes);
  if (failed(addSink(node, lowering, sizes, form)) ||
      failed(addBias(node, lowering, ScoreBias, sizes, form)))
    return failure();
  return form;
}

static FailureOr<SmallVector<Tensor>> lowerGroupQuery(const Node &node,
                                                      Lowering &lowering) {
  SizeCheck check(node, &lowering);
  std::optional<AttentionSizes> sizes = checkNode(check, node);
  if (check.failed())
    return node.error() << check.result().reason();
  FailureOr<CacheForm> cache =
      cacheForm(node, lowering, node.input(PastKey), sizes->keys,
                knownTotal(node, lowering), PresentKey);
  if (failed(cache))
    return failure();
  sizes->past = canonicalSize(cache->total - sizes->keys);
  checkMask(check, node, ScoreBias, "attention_bias", sizes->scores(),
            /*isPadded=*/false);
  if (check.failed())
    return node.error() << check.result().reason();
  BatchNumber past = pastOf(node, lowering, *sizes, *cache);
  FailureOr<QueryKeyValue> operands = headsOf(node, lowering, *sizes, past);
  SmallVector<Tensor> results(4);
  if (failed(operands) ||
      failed(extendCaches(node, lowering, *cache, past, *operands, results)))
    return failure();
  FailureOr<Attend> form = formOf(node, lowering, *sizes, past, *operands);
  if (failed(form))
    return failure();
  FailureOr<Tensor> y =
      lowering.reshape(attend(lowering, *form).result,
                       {sizes->batch, sizes->queries,
                        canonicalSize(sizes->heads * sizes->depth)});
  if (failed(y))
    return failure();
  results[Y] = *y;
  return results;
}

void lutra::addGroupQueryAttentionHandlers(Registry &r) {
  r.add({"com.microsoft",
         "GroupQueryAttention",
         {1},
         supportsGroupQuery,
         lowerGroupQuery,
         "caches of integers; normalized queries and keys; output_qk; a "
         "total_sequence_length that is an input, unless the shape of "
         "present_key is declared"});
}
