//===- Experts.cpp - Layers of which rows choose their weights ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The weights of all experts are one operand of a product, in which each block
// of rows is multiplied with those of its own.
//
//===----------------------------------------------------------------------===//

#include "Experts.h"

#include "CodedMatrix.h"
#include "PackedCodes.h"
#include "Reduction.h"
#include "TopK.h"
#include "dialects/MPGemm/MPGemm.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

//===----------------------------------------------------------------------===//
// Routes
//===----------------------------------------------------------------------===//

/// `given` at the experts of each token.
static Tensor sharesOf(Lowering &lowering, const Tensor &given,
                       const Tensor &experts) {
  return computeMapped(
      lowering, experts, lowering.b.getMultiDimIdentityMap(2), experts.shape,
      DType::Float, [&](Scalars &s, ValueRange in) {
        Value token = linalg::IndexOp::create(s.b, 0);
        Value expert =
            arith::IndexCastOp::create(s.b, s.b.getIndexType(), in[0]);
        Value share = tensor::ExtractOp::create(s.b, given.value,
                                                ValueRange{token, expert});
        return Lowering::castScalar(s.b, share, given.dtype, DType::Float);
      });
}

/// exp(x - most), where `most` [T] is the largest logit of a token.
static FailureOr<Tensor> exponentials(Lowering &lowering, const Tensor &x,
                                      const Tensor &most) {
  return compute(
      lowering, {x, lowering.unsqueeze(most, {1})}, DType::Float,
      [](Scalars &s, ValueRange in) { return s.exp(s.sub(in[0], in[1])); });
}

FailureOr<Routes> lutra::route(Lowering &lowering, const Tensor &logits,
                               const Tensor &given, int64_t k, bool normalize) {
  Tensor wide = lowering.cast(logits, DType::Float);
  auto [best, experts] =
      topK(lowering, wide, 1, lowering.constant(k), /*largest=*/true);
  FailureOr<Tensor> shares;
  Tensor whole;
  if (given) {
    shares = sharesOf(lowering, given, experts);
    whole = *shares;
  } else {
    Tensor most = accumulate(lowering, wide, 1, Monoid::Max, DType::Float);
    shares = exponentials(lowering, best, most);
    FailureOr<Tensor> all =
        normalize ? shares : exponentials(lowering, wide, most);
    if (failed(shares) || failed(all))
      return failure();
    whole = *all;
  }
  if (given && !normalize)
    return Routes{experts, *shares};
  Tensor sum = accumulate(lowering, whole, 1, Monoid::Sum, DType::Float);
  shares =
      compute(lowering, {*shares, lowering.unsqueeze(sum, {1})}, DType::Float,
              [](Scalars &s, ValueRange in) { return s.div(in[0], in[1]); });
  if (failed(shares))
    return failure();
  return Routes{experts, *shares};
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

namespace {
/// The operands of mpgemm.gather_matmul that a layer has: codes or floats, and
/// of codes scales, zero points and what they are.
struct Matrices {
  Tensor codes, scales, zeros;
  mpgemm::FormatInterface format;
};
} // namespace

static FailureOr<Matrices> matricesOf(Lowering &lowering,
                                      const ExpertLayer &layer) {
  int64_t columns = layer.weights.staticSize(0) * layer.weights.staticSize(1),
          size = layer.weights.staticSize(2);
  if (layer.bits == 0) {
    FailureOr<Tensor> floats = lowering.reshape(
        layer.weights, {lowering.constant(columns), lowering.constant(1),
                        lowering.constant(size)});
    if (failed(floats))
      return failure();
    return Matrices{*floats, {}, {}, {}};
  }
  int64_t groups = size * (8 / layer.bits) / layer.block;
  FailureOr<Tensor> codes =
                        unpackCodes(lowering, layer.weights, layer.bits,
                                    {columns, groups, layer.block}, columns),
                    scales = lowering.reshape(layer.scales,
                                              {lowering.constant(columns),
                                               lowering.constant(groups)}),
                    zeros = Tensor();
  // Zero points of a row, or those of an expert, begin a byte.
  if (layer.zeros)
    zeros = unpackCodes(lowering, layer.zeros, layer.bits, {columns, groups},
                        layer.zeros.rank() == 2 ? layer.zeros.staticSize(0)
                                                : columns);
  if (failed(codes) || failed(scales) || failed(zeros))
    return failure();
  int64_t zero = layer.zeros ? 0 : int64_t(1) << (layer.bits - 1);
  return Matrices{
      *codes, *scales, *zeros,
      mpgemm::AffineAttr::get(lowering.context(), layer.bits, zero)};
}

FailureOr<Tensor> lutra::expertProduct(Lowering &lowering, const Tensor &x,
                                       const SortedRoutes &routes,
                                       const ExpertLayer &layer) {
  FailureOr<Matrices> matrices = matricesOf(lowering, layer);
  if (failed(matrices))
    return failure();
  ArrayRef<AffineExpr> codes = matrices->codes.shape;
  FailureOr<GroupedRows> rows = groupedRows(lowering, x, codes[1], codes[2],
                                            layer.integers ? layer.bits : 0);
  if (failed(rows))
    return failure();
  Shape shape = {x.shape[0], layer.weights.shape[1]};
  auto product = mpgemm::GatherMatmulOp::create(
      lowering.b, lowering.type(shape, DType::Float), routes.blockExperts.value,
      routes.offsets.value, rows->numbers, matrices->codes.value,
      matrices->scales.value, /*superScales=*/Value(), matrices->zeros.value,
      rows->scales, rows->sums, lowering.empty(shape, DType::Float),
      matrices->format, mpgemm::LayoutAttr());
  return lowering.tensor(product.getResult(), shape, DType::Float);
}
