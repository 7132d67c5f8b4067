//===- Experts.cpp - Layers of which rows choose their weights ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A layer is one reduction that reads the weights of each route's expert where
// they lie: nothing is gathered, and no expert is multiplied that was not
// chosen. Several codes of a byte are multiplied with as many elements of x, so
// that bytes are read as they follow each other.
//
//===----------------------------------------------------------------------===//

#include "Experts.h"

#include "Reduction.h"
#include "TopK.h"
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
/// Emits the reduction of a layer.
class LayerProduct {
public:
  LayerProduct(Lowering &lowering, const Routes &routes,
               const ExpertLayer &layer)
      : lowering(lowering), routes(routes), layer(layer) {}

  FailureOr<Tensor> ofFloats(const Tensor &x);
  FailureOr<Tensor> ofCodes(const Tensor &x);

private:
  using Term = function_ref<Value(Scalars &, ValueRange x, Value expert)>;

  /// The sum of `term` over the loops behind (token, route, column), which is
  /// given the elements of `operands` and the index of the expert.
  Tensor sum(ArrayRef<Tensor> operands, ArrayRef<AffineMap> maps,
             unsigned loops, Term term);
  /// Where the loops (token, route) are in a row of x.
  SmallVector<AffineExpr> rowOf(const Tensor &x, int64_t rank) const;
  Value read(Scalars &s, const Tensor &tensor, ValueRange index) const;
  Value zeroOf(Scalars &s, Value expert, Value column, Value block) const;

  AffineExpr loop(unsigned i) const { return lowering.b.getAffineDimExpr(i); }
  unsigned codesPerByte() const { return 8 / layer.bits; }

  Lowering &lowering;
  const Routes &routes;
  const ExpertLayer &layer;
};
} // namespace

Tensor LayerProduct::sum(ArrayRef<Tensor> operands, ArrayRef<AffineMap> maps,
                         unsigned loops, Term term) {
  SmallVector<Tensor> reads(operands);
  SmallVector<AffineMap> allMaps(maps);
  reads.push_back(routes.experts);
  MLIRContext *context = lowering.context();
  allMaps.push_back(AffineMap::get(loops, 0, {loop(0), loop(1)}, context));
  allMaps.push_back(
      AffineMap::get(loops, 0, {loop(0), loop(1), loop(2)}, context));
  SmallVector<utils::IteratorType> iterators(loops,
                                             utils::IteratorType::reduction);
  std::fill_n(iterators.begin(), 3, utils::IteratorType::parallel);
  Shape shape = routes.experts.shape;
  shape.push_back(layer.weights.shape[1]);
  Value init =
      lowering.filled(shape, DType::Float, lowering.scalar(DType::Float, 0));
  return lowering.generic(
      reads, allMaps, iterators, init, shape, DType::Float,
      [&](ImplicitLocOpBuilder &b, ValueRange in) {
        Scalars s(b, DType::Float);
        Value expert = arith::IndexCastOp::create(b, b.getIndexType(),
                                                  in[operands.size()]);
        return s.add(in.back(),
                     term(s, in.take_front(operands.size()), expert));
      });
}

SmallVector<AffineExpr> LayerProduct::rowOf(const Tensor &x,
                                            int64_t rank) const {
  SmallVector<AffineExpr> exprs = {loop(0)};
  if (x.rank() == rank + 1)
    exprs.push_back(loop(1));
  return exprs;
}

Value LayerProduct::read(Scalars &s, const Tensor &tensor,
                         ValueRange index) const {
  Value element = tensor::ExtractOp::create(s.b, tensor.value, index);
  return Lowering::castScalar(s.b, element, tensor.dtype, s.dtype);
}

FailureOr<Tensor> LayerProduct::ofFloats(const Tensor &x) {
  SmallVector<AffineExpr> exprs = rowOf(x, 2);
  exprs.push_back(loop(3));
  auto map = AffineMap::get(4, 0, exprs, lowering.context());
  return sum(x, map, 4, [&](Scalars &s, ValueRange in, Value expert) {
    Value column = linalg::IndexOp::create(s.b, 2),
          depth = linalg::IndexOp::create(s.b, 3);
    return s.mul(in[0], read(s, layer.weights, {expert, column, depth}));
  });
}

/// The zero point of a block, which is packed along the last dimension.
Value LayerProduct::zeroOf(Scalars &s, Value expert, Value column,
                           Value block) const {
  if (!layer.zeros)
    return s.constant(1 << (layer.bits - 1));
  Scalars i(s.b, DType::Int32);
  SmallVector<Value> index = {expert, column, block};
  if (layer.zeros.rank() == 2)
    index.pop_back();
  auto constant = [&](int64_t value) {
    return arith::ConstantIndexOp::create(s.b, value);
  };
  Value count = constant(codesPerByte()), position = index.back();
  index.back() = arith::DivUIOp::create(s.b, position, count);
  Value field = arith::RemUIOp::create(s.b, position, count);
  Value byte = read(i, layer.zeros, index);
  Value shift = arith::IndexCastOp::create(
      s.b, i.type(), arith::MulIOp::create(s.b, field, constant(layer.bits)));
  Value code =
      arith::AndIOp::create(s.b, arith::ShRUIOp::create(s.b, byte, shift),
                            i.constantInt((1 << layer.bits) - 1));
  return Lowering::castScalar(s.b, code, DType::Int32, DType::Float);
}

FailureOr<Tensor> LayerProduct::ofCodes(const Tensor &x) {
  ArrayRef<AffineExpr> codes = layer.weights.shape;
  unsigned perByte = codesPerByte();
  int64_t bytes = layer.weights.staticSize(2), ofBlock = layer.block / perByte;
  AffineExpr blocks = lowering.constant(bytes / ofBlock),
             size = lowering.constant(ofBlock);
  Shape row(ArrayRef(x.shape).drop_back());
  row.append({blocks, size, lowering.constant(perByte)});
  FailureOr<Tensor> parts = lowering.reshape(x, row),
                    weights = lowering.reshape(
                        layer.weights, {codes[0], codes[1], blocks, size}),
                    scales = lowering.reshape(layer.scales,
                                              {codes[0], codes[1], blocks});
  if (failed(parts) || failed(weights) || failed(scales))
    return failure();
  SmallVector<AffineMap> maps;
  for (unsigned part = 0; part < perByte; ++part) {
    SmallVector<AffineExpr> exprs = rowOf(x, 2);
    exprs.append({loop(3), loop(4), lowering.constant(part)});
    maps.push_back(AffineMap::get(5, 0, exprs, lowering.context()));
  }
  SmallVector<Tensor> operands(perByte, *parts);
  return sum(operands, maps, 5, [&](Scalars &s, ValueRange in, Value expert) {
    Scalars i(s.b, DType::Int32);
    auto index = [&](unsigned loop) -> Value {
      return linalg::IndexOp::create(s.b, loop);
    };
    Value byte = read(i, *weights, {expert, index(2), index(3), index(4)});
    Value zero = zeroOf(s, expert, index(2), index(3)), products;
    for (unsigned part = 0; part < perByte; ++part) {
      Value code = byte;
      if (part > 0)
        code =
            arith::ShRUIOp::create(s.b, code, i.constantInt(part * layer.bits));
      if (part + 1 < perByte)
        code = arith::AndIOp::create(s.b, code,
                                     i.constantInt((1 << layer.bits) - 1));
      Value number = Lowering::castScalar(s.b, code, DType::Int32, s.dtype);
      Value product = s.mul(in[part], s.sub(number, zero));
      products = products ? s.add(products, product) : product;
    }
    return s.mul(products, read(s, *scales, {expert, index(2), index(3)}));
  });
}

FailureOr<Tensor> lutra::expertProduct(Lowering &lowering, const Tensor &x,
                                       const Routes &routes,
                                       const ExpertLayer &layer) {
  LayerProduct product(lowering, routes, layer);
  return layer.bits == 0 ? product.ofFloats(x) : product.ofCodes(x);
}
