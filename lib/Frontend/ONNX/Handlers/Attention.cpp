//===- Attention.cpp - ONNX's Attention -----------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Inputs have their heads apart or not, a cache is given and grown, or is
// outside with a number of keys for each batch. Query 0 stands where the key
// stands that is new with it, so that a causal mask is aligned with the last
// of the keys.
//
//===----------------------------------------------------------------------===//

#include "../SizeAlgebra.h"
#include "AttentionOperands.h"
#include "Elementwise.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {
enum Input : unsigned { Q, K, V, Mask, PastKey, PastValue, NonPad };
enum Output : unsigned { Y, PresentKey, PresentValue, QKOutput };
} // namespace

static constexpr DType kFloats[] = {DType::Float, DType::Float16,
                                    DType::BFloat16, DType::Double};

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

static void checkAttributes(SizeCheck &check, const Node &node) {
  int64_t precision = node.intAttr("softmax_precision", 1);
  if (!isFloat(DType(precision)))
    check.fail("expected a softmax_precision of 1, 10, 11 or 16, got " +
               Twine(precision));
  int64_t mode = node.intAttr("qk_matmul_output_mode", 0);
  if (mode < 0 || mode > 3)
    check.fail("expected a qk_matmul_output_mode of 0 to 3, got " +
               Twine(mode));
  for (StringRef name : {"left_window_size", "right_window_size"})
    if (int64_t size = node.intAttr(name, -1); size < -1)
      check.fail("expected a " + name + " of -1 or more, got " + Twine(size));
  if (double cap = node.floatAttr("softcap", 0); !(cap >= 0))
    check.fail("expected a softcap of 0 or more, got " + std::to_string(cap));
}

static void checkTypes(SizeCheck &check, const Node &node) {
  check.expectType(Q, "Q", kFloats);
  check.expectType(V, "V", kFloats);
  if (DType type = node.input(Q).dtype; type != DType::Undefined) {
    check.expectType(K, "K", type);
    check.expectType(PastKey, "past_key", type);
  }
  if (DType type = node.input(V).dtype; type != DType::Undefined)
    check.expectType(PastValue, "past_value", type);
  check.expectType(Mask, "attn_mask",
                   {DType::Bool, DType::Float, DType::Float16, DType::BFloat16,
                    DType::Double});
  check.expectType(NonPad, "nonpad_kv_seqlen", DType::Int64);
}

static void checkCaches(SizeCheck &check, const Node &node) {
  check.expectBoth(PastKey, "past_key", "past_value");
  if (node.input(NonPad) && node.input(PastKey))
    check.fail("expected nonpad_kv_seqlen or past_key, got both");
  if (node.input(NonPad) &&
      (node.usesOutput(PresentKey) || node.usesOutput(PresentValue)))
    check.fail("expected no present_key with nonpad_kv_seqlen");
}

/// The sizes of inputs of rank 4.
static AttentionSizes sizesOfHeads(SizeCheck &check, const Node &node) {
  ArrayRef<AffineExpr> q = node.inputs()[Q].shape, k = node.inputs()[K].shape;
  AttentionSizes sizes;
  sizes.batch = q[0], sizes.heads = q[1], sizes.queries = q[2],
  sizes.depth = q[3];
  sizes.keyHeads = k[1], sizes.keys = k[2];
  sizes.width = node.inputs()[V].shape[3];
  for (StringRef name : {"q_num_heads", "kv_num_heads"})
    if (node.sinceVersion >= 25 && node.hasAttr(name))
      check.fail("expected no " + name + " with inputs of rank 4");
  divideHeads(check, sizes);
  check.expect(K, "K", {sizes.batch, sizes.keyHeads, sizes.keys, sizes.depth});
  check.expect(V, "V", {sizes.batch, sizes.keyHeads, sizes.keys, sizes.width});
  return sizes;
}

/// The sizes of inputs of rank 3.
static AttentionSizes sizesOfRows(SizeCheck &check, const Node &node) {
  ArrayRef<AffineExpr> q = node.inputs()[Q].shape, k = node.inputs()[K].shape,
                       v = node.inputs()[V].shape;
  AttentionSizes sizes;
  constexpr StringLiteral where = " for inputs of rank 3";
  sizes.heads = countHeads(check, node, "q_num_heads", where);
  sizes.keyHeads = countHeads(check, node, "kv_num_heads", where);
  sizes.batch = q[0], sizes.queries = q[1], sizes.keys = k[1];
  sizes.depth = headSize(check, "Q", q[2], sizes.heads);
  sizes.width = headSize(check, "V", v[2], sizes.keyHeads);
  divideHeads(check, sizes);
  check.expect(
      K, "K",
      {sizes.batch, sizes.keys, canonicalSize(sizes.keyHeads * sizes.depth)});
  check.expect(V, "V", {sizes.batch, sizes.keys, v[2]});
  return sizes;
}

/// Checks a node, and finds its sizes where its ranks are known.
static std::optional<AttentionSizes> checkNode(SizeCheck &check,
                                               const Node &node) {
  checkAttributes(check, node);
  checkTypes(check, node);
  checkCaches(check, node);
  check.expectRank(Q, "Q", {3, 4});
  std::optional<int64_t> rank = knownRank(node.input(Q));
  if (!rank || check.failed())
    return std::nullopt;
  check.expectRank(K, "K", *rank);
  check.expectRank(V, "V", *rank);
  check.expectRank(PastKey, "past_key", {4});
  if (check.failed() || !check.isKnown(K) || !check.isKnown(V))
    return std::nullopt;
  AttentionSizes sizes =
      *rank == 4 ? sizesOfHeads(check, node) : sizesOfRows(check, node);
  sizes.past = check.number(0);
  if (node.input(PastKey) && !check.isKnown(PastKey))
    return std::nullopt;
  if (node.input(PastKey))
    sizes.past = node.inputs()[PastKey].shape[2];
  check.expect(PastKey, "past_key",
               {sizes.batch, sizes.keyHeads, sizes.past, sizes.depth});
  check.expect(PastValue, "past_value",
               {sizes.batch, sizes.keyHeads, sizes.past, sizes.width});
  check.expect(NonPad, "nonpad_kv_seqlen", sizes.batch);
  if (!check.failed())
    checkMask(check, node, Mask, "attn_mask", sizes.scores(),
              /*isPadded=*/true);
  return sizes;
}

//===----------------------------------------------------------------------===//
// Lowering
//===----------------------------------------------------------------------===//

/// Which keys queries see, but for the mask.
static KeyFilter filterOf(const Node &node, Lowering &lowering,
                          const AttentionSizes &sizes) {
  KeyFilter filter;
  filter.causal = node.intAttr("is_causal", 0) == 1;
  auto window = [&](StringRef name) -> std::optional<int64_t> {
    int64_t size = node.intAttr(name, -1);
    if (node.sinceVersion < 25 || size < 0 || size > kMaxExtent)
      return std::nullopt;
    return size;
  };
  filter.left = window("left_window_size");
  filter.right = window("right_window_size");
  filter.first.plus = sizes.past;
  Tensor given = node.input(NonPad);
  if (!given)
    return filter;
  filter.first = {given, canonicalSize(-sizes.queries)};
  // The last query stands at the last key that is there.
  if (!filter.causal)
    filter.length = BatchNumber{given, lowering.constant(0)};
  return filter;
}

/// Which keys queries see, and what is added to the scores: a mask that is not
/// bool.
static LogicalResult addMask(const Node &node, Lowering &lowering,
                             const AttentionSizes &sizes, Attend &form) {
  form.filter = filterOf(node, lowering, sizes);
  if (!node.input(Mask))
    return success();
  FailureOr<Ranked> mask = alignMask(lowering, node.input(Mask), sizes);
  if (failed(mask))
    return failure();
  if (mask->tensor.dtype == DType::Bool)
    form.filter.mask = *mask;
  else
    form.biases.push_back(*mask);
  return success();
}

static std::optional<Scores> wantedScores(const Node &node) {
  if (!node.usesOutput(QKOutput))
    return std::nullopt;
  return Scores(node.intAttr("qk_matmul_output_mode", 0));
}

/// The inputs as heads, behind what caches have, and the caches.
static FailureOr<Attend> operandsOf(const Node &node, Lowering &lowering,
                                    const AttentionSizes &sizes,
                                    MutableArrayRef<Tensor> results) {
  bool apart = node.input(Q).rank() == 4;
  auto view = [&](unsigned i, Rank of, Rank size) {
    return (apart ? groupHeads : splitHeads)(lowering, node.input(i), sizes, of,
                                             size);
  };
  FailureOr<Ranked> query = view(Q, Rank::Query, Rank::Depth),
                    key = view(K, Rank::Key, Rank::Depth),
                    value = view(V, Rank::Key, Rank::Width);
  if (failed(query) || failed(key) || failed(value) ||
      failed(growCaches(node, lowering, PastKey, *key, *value, results)))
    return failure();
  Attend form;
  form.query = *query, form.key = *key, form.value = *value;
  form.layout = apart ? groupLayout(sizes) : splitLayout(sizes);
  return form;
}

static FailureOr<SmallVector<Tensor>> lowerAttention(const Node &node,
                                                     Lowering &lowering) {
  SizeCheck check(node, &lowering);
  std::optional<AttentionSizes> sizes = checkNode(check, node);
  if (check.failed())
    return node.error() << check.result().reason();
  SmallVector<Tensor> results(4);
  FailureOr<Attend> form = operandsOf(node, lowering, *sizes, results);
  if (failed(form) || failed(addMask(node, lowering, *sizes, *form)))
    return failure();
  form->type = node.input(Q).dtype;
  if (node.hasAttr("scale"))
    form->scale = node.floatAttr("scale", 1);
  form->softcap = node.floatAttr("softcap", 0);
  form->softmaxType = DType(node.intAttr("softmax_precision", 0));
  std::optional<Scores> wanted = wantedScores(node);
  Attended attended = attend(lowering, *form, wanted);

  ArrayRef<AffineExpr> q = node.inputs()[Q].shape;
  Shape shape(q.begin(), q.end());
  shape.back() =
      q.size() == 4 ? sizes->width : canonicalSize(sizes->heads * sizes->width);
  FailureOr<Tensor> y = lowering.reshape(attended.result, shape);
  if (failed(y))
    return failure();
  results[Y] = *y;
  if (!wanted)
    return results;
  FailureOr<Tensor> scores = lowering.reshape(attended.scores, sizes->scores());
  if (failed(scores))
    return failure();
  results[QKOutput] = *scores;
  return results;
}

void lutra::addAttentionHandlers(Registry &r) {
  r.add({"",
         "Attention",
         {23, 24, 25},
         supportsChecked<checkNode>,
         lowerAttention});
}
