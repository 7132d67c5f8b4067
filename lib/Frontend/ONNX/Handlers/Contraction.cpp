//===- Contraction.cpp - MatMul and Gemm ----------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements matrix products as one linalg.generic each, whatever is batched,
// broadcast or transposed: that is in the indexing maps. A weight that a Gemm
// transposes is transposed in its expression, so that later passes see [K, N].
//
//===----------------------------------------------------------------------===//

#include "Contraction.h"

#include "CodedMatrix.h"
#include "Operands.h"
#include "dialects/Lutra/Lutra.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lutra;

//===----------------------------------------------------------------------===//
// Sums of products
//===----------------------------------------------------------------------===//

DType lutra::accumulatorType(DType dtype) {
  return dtype == DType::Float16 || dtype == DType::BFloat16 ? DType::Float
                                                             : dtype;
}

Value lutra::toAccumulator(ImplicitLocOpBuilder &b, Value scalar, DType dtype) {
  if (accumulatorType(dtype) == dtype)
    return scalar;
  return arith::ExtFOp::create(b, b.getF32Type(), scalar);
}

Value lutra::fromAccumulator(ImplicitLocOpBuilder &b, Value scalar,
                             DType dtype) {
  if (accumulatorType(dtype) == dtype)
    return scalar;
  return arith::TruncFOp::create(b, storageType(b.getContext(), dtype), scalar);
}

Value lutra::addScalars(ImplicitLocOpBuilder &b, Value lhs, Value rhs) {
  if (isa<FloatType>(lhs.getType()))
    return arith::AddFOp::create(b, lhs, rhs);
  return arith::AddIOp::create(b, lhs, rhs);
}

Value lutra::mulScalars(ImplicitLocOpBuilder &b, Value lhs, Value rhs) {
  if (isa<FloatType>(lhs.getType()))
    return arith::MulFOp::create(b, lhs, rhs);
  return arith::MulIOp::create(b, lhs, rhs);
}

Tensor lutra::sumOfProducts(Lowering &lowering, const Tensor &lhs,
                            const Tensor &rhs, DType accumulator,
                            ArrayRef<AffineMap> maps,
                            ArrayRef<utils::IteratorType> iterators,
                            ArrayRef<AffineExpr> shape) {
  Value init =
      lowering.filled(shape, accumulator, lowering.scalarInt(accumulator, 0));
  return lowering.generic(
      {lhs, rhs}, maps, iterators, init, shape, accumulator,
      [&](ImplicitLocOpBuilder &b, ValueRange in) {
        auto widen = [&](Value scalar, DType from) {
          return Lowering::castScalar(b, scalar, from, accumulator);
        };
        Value product =
            mulScalars(b, widen(in[0], lhs.dtype), widen(in[1], rhs.dtype));
        return addScalars(b, in[2], product);
      });
}

bool lutra::haveFactors(const Tensor &lhs, const Tensor &rhs, int64_t axis) {
  return lhs.factors && rhs.factors && hasOneElement(lhs.factors->scale) &&
         (hasOneElement(rhs.factors->scale) || rhs.factors->axis == axis);
}

FailureOr<Tensor> lutra::applyScales(Lowering &lowering, const Tensor &sums,
                                     const Tensor &lhs, const Tensor &rhs) {
  return lowering.elementwise(
      {sums, lhs, rhs}, sums.dtype, [](ImplicitLocOpBuilder &b, ValueRange in) {
        return mulScalars(b, in[0], mulScalars(b, in[1], in[2]));
      });
}

FailureOr<Tensor> lutra::addBias(Lowering &lowering, const Tensor &accumulators,
                                 const Tensor &bias, DType dtype) {
  if (!bias && accumulators.dtype == dtype)
    return accumulators;
  SmallVector<Tensor> operands = {accumulators};
  if (bias)
    operands.push_back(bias);
  return lowering.elementwise(
      operands, dtype, [&](ImplicitLocOpBuilder &b, ValueRange in) {
        Value sum = in[0];
        if (bias)
          sum = addScalars(b, sum, toAccumulator(b, in[1], dtype));
        return fromAccumulator(b, sum, dtype);
      });
}

//===----------------------------------------------------------------------===//
// MatMul
//===----------------------------------------------------------------------===//

/// Both inputs must have one numeric element type; bool has no product.
static LogicalResult checkTypes(const Node &node) {
  DType dtype = node.input(0).dtype;
  if (!isFloat(dtype) && !isInteger(dtype))
    return node.error() << "expected a numeric element type, got "
                        << dtypeName(dtype);
  return requireSameType(node);
}

static LogicalResult checkDepth(const Node &node, Lowering &lowering,
                                AffineExpr lhs, AffineExpr rhs) {
  if (lhs == rhs)
    return success();
  return node.error() << "expected equal sizes to be summed over, got "
                      << sizeText(lowering, lhs) << " and "
                      << sizeText(lowering, rhs);
}

namespace {
/// The loops of a numpy matrix product: batches, then m and n where the
/// operands have them, then k.
struct MatMulLoops {
  Shape batch, shape;
  SmallVector<utils::IteratorType> iterators;
  std::optional<unsigned> m, n;
  unsigned k;
};
} // namespace

static FailureOr<MatMulLoops> matMulLoops(Lowering &lowering, const Tensor &lhs,
                                          const Tensor &rhs) {
  auto batchOf = [](const Tensor &tensor) {
    Tensor batch = tensor;
    batch.shape.truncate(std::max<int64_t>(tensor.rank() - 2, 0));
    return batch;
  };
  FailureOr<Shape> batch = lowering.broadcast({batchOf(lhs), batchOf(rhs)});
  if (failed(batch))
    return failure();
  MatMulLoops loops;
  loops.batch = *batch;
  loops.shape = *batch;
  if (lhs.rank() > 1) {
    loops.m = loops.shape.size();
    loops.shape.push_back(lhs.shape[lhs.rank() - 2]);
  }
  if (rhs.rank() > 1) {
    loops.n = loops.shape.size();
    loops.shape.push_back(rhs.shape.back());
  }
  loops.k = loops.shape.size();
  loops.iterators.assign(loops.k, utils::IteratorType::parallel);
  loops.iterators.push_back(utils::IteratorType::reduction);
  return loops;
}

/// An operand's map: its batch dimensions, aligned at the end and zero where
/// they are broadcast, then `rest`.
static AffineMap matMulMap(Lowering &lowering, const Tensor &operand,
                           const MatMulLoops &loops,
                           ArrayRef<std::optional<unsigned>> rest) {
  SmallVector<AffineExpr> exprs;
  int64_t batches = std::max<int64_t>(operand.rank() - 2, 0);
  for (int64_t i = 0; i < batches; ++i) {
    int64_t loop = loops.batch.size() - batches + i;
    bool broadcast = operand.shape[i] != loops.batch[loop];
    exprs.push_back(broadcast ? lowering.constant(0)
                              : lowering.b.getAffineDimExpr(loop));
  }
  for (std::optional<unsigned> loop : rest)
    if (loop)
      exprs.push_back(lowering.b.getAffineDimExpr(*loop));
  return AffineMap::get(loops.iterators.size(), 0, exprs, lowering.context());
}

static Support supportsMatMul(const Node &node) {
  if (node.numInputs() != 2)
    return Support::no("expected 2 inputs, got " + Twine(node.numInputs()));
  return Support::yes();
}

FailureOr<Tensor> lutra::matMul(const Node &node, Lowering &lowering,
                                const Tensor &lhs, const Tensor &rhs,
                                DType accumulator) {
  AffineExpr depth = rhs.shape[std::max<int64_t>(rhs.rank() - 2, 0)];
  if (failed(checkDepth(node, lowering, lhs.shape.back(), depth)))
    return failure();
  FailureOr<MatMulLoops> loops = matMulLoops(lowering, lhs, rhs);
  if (failed(loops))
    return failure();
  SmallVector<AffineExpr> outer;
  for (unsigned loop = 0; loop < loops->k; ++loop)
    outer.push_back(lowering.b.getAffineDimExpr(loop));
  AffineMap maps[] = {
      matMulMap(lowering, lhs, *loops, {loops->m, loops->k}),
      matMulMap(lowering, rhs, *loops, {loops->k, loops->n}),
      AffineMap::get(loops->k + 1, 0, outer, lowering.context())};
  return sumOfProducts(lowering, lhs, rhs, accumulator, maps, loops->iterators,
                       loops->shape);
}

static FailureOr<SmallVector<Tensor>> lowerMatMul(const Node &node,
                                                  Lowering &lowering) {
  if (failed(requireRank(node, 0, 1)) || failed(requireRank(node, 1, 1)) ||
      failed(checkTypes(node)))
    return failure();
  Tensor lhs = node.input(0), rhs = node.input(1);
  DType dtype = lhs.dtype;
  // A product of vectors has no dimension that a vector of scales fits.
  bool scaled =
      lhs.rank() > 1 && rhs.rank() > 1 && haveFactors(lhs, rhs, rhs.rank() - 1);
  std::optional<FailureOr<Tensor>> coded =
      scaled ? productOfBytes(lowering, lhs, rhs, /*transposed=*/false)
             : productWithCodes(lowering, lhs, rhs, /*transposed=*/false);
  FailureOr<Tensor> product =
      coded ? *coded
            : matMul(node, lowering, scaled ? lhs.factors->integers : lhs,
                     scaled ? rhs.factors->integers : rhs,
                     accumulatorType(dtype));
  if (succeeded(product) && scaled)
    product =
        applyScales(lowering, *product, lhs.factors->scale, rhs.factors->scale);
  if (failed(product))
    return failure();
  return one(addBias(lowering, *product, Tensor(), dtype));
}

//===----------------------------------------------------------------------===//
// Gemm
//===----------------------------------------------------------------------===//

static bool isWhole(double value) {
  return std::trunc(value) == value && std::fabs(value) < 9.0e15;
}

static Support supportsGemm(const Node &node) {
  if (node.numInputs() < 2 || node.numInputs() > 3)
    return Support::no("expected 2 or 3 inputs, got " +
                       Twine(node.numInputs()));
  for (StringRef name : {"alpha", "beta"})
    if (isInteger(node.input(0).dtype) && !isWhole(node.floatAttr(name, 1)))
      return Support::no("expected a whole " + name +
                         " with integer operands, got " +
                         std::to_string(node.floatAttr(name, 1)));
  for (unsigned i : {0u, 1u})
    if (std::optional<int64_t> rank = knownRank(node.input(i));
        rank && *rank != 2)
      return Support::no("expected input " + Twine(i) + " of rank 2, got " +
                         Twine(*rank));
  return Support::yes();
}

/// The operand as [first, second], either by its data, where that is free, or
/// by the map that `transposed` selects.
static Tensor orient(Lowering &lowering, Tensor operand, bool &transposed) {
  if (!transposed || !operand.value.getDefiningOp<WeightOp>())
    return operand;
  transposed = false;
  return lowering.transpose(operand, {1, 0});
}

/// alpha * product + beta * bias, rounded to the operands' type.
static FailureOr<Tensor> scaleAndAdd(const Node &node, Lowering &lowering,
                                     const Tensor &product, const Tensor &bias,
                                     DType dtype) {
  double alpha = node.floatAttr("alpha", 1), beta = node.floatAttr("beta", 1);
  bool hasBias = bias && beta != 0;
  if (alpha == 1 && beta == 1)
    return addBias(lowering, product, bias, dtype);
  auto scale = [](ImplicitLocOpBuilder &b, Value scalar, double by) -> Value {
    if (by == 1)
      return scalar;
    Type type = scalar.getType();
    TypedAttr factor =
        isa<FloatType>(type)
            ? TypedAttr(b.getFloatAttr(type, by))
            : TypedAttr(b.getIntegerAttr(
                  type, APInt(64, static_cast<int64_t>(by), true)
                            .trunc(type.getIntOrFloatBitWidth())));
    return mulScalars(b, scalar, arith::ConstantOp::create(b, factor));
  };
  SmallVector<Tensor> operands = {product};
  if (hasBias)
    operands.push_back(bias);
  return lowering.elementwise(
      operands, dtype, [&](ImplicitLocOpBuilder &b, ValueRange in) {
        Value sum = scale(b, in[0], alpha);
        if (hasBias)
          sum = addScalars(b, sum,
                           scale(b, toAccumulator(b, in[1], dtype), beta));
        return fromAccumulator(b, sum, dtype);
      });
}

static FailureOr<SmallVector<Tensor>> lowerGemm(const Node &node,
                                                Lowering &lowering) {
  for (unsigned i : {0u, 1u})
    if (!node.input(i) || node.input(i).rank() != 2)
      return node.error() << "expected input " << i << " of rank 2, got "
                          << lowering.str(node.input(i).shape);
  if (failed(checkTypes(node)))
    return failure();
  if (Support support = supportsGemm(node); !support)
    return node.error() << support.reason();
  bool transA = node.intAttr("transA", 0), transB = node.intAttr("transB", 0);
  const bool transposed = transB;
  bool scaled = haveFactors(node.input(0), node.input(1), transB ? 0 : 1);
  auto operand = [&](unsigned i) {
    return scaled ? node.input(i).factors->integers : node.input(i);
  };
  Tensor lhs = orient(lowering, operand(0), transA);
  Tensor rhs = orient(lowering, operand(1), transB);
  Shape shape = {lhs.shape[transA], rhs.shape[!transB]};
  if (failed(checkDepth(node, lowering, lhs.shape[!transA], rhs.shape[transB])))
    return failure();
  Tensor bias = node.input(2);
  Tensor target = lowering.tensor(Value(), shape, lhs.dtype);
  if (bias) {
    FailureOr<Shape> common = lowering.broadcast({target, bias});
    if (failed(common))
      return failure();
    if (*common != shape)
      return node.error() << "expected C to broadcast to "
                          << lowering.str(shape) << ", got "
                          << lowering.str(bias.shape);
  }
  AffineExpr m, n, k;
  bindDims(lowering.context(), m, n, k);
  auto map = [&](AffineExpr first, AffineExpr second, bool swap) {
    if (swap)
      std::swap(first, second);
    return AffineMap::get(3, 0, {first, second}, lowering.context());
  };
  AffineMap maps[] = {map(m, k, transA), map(k, n, transB), map(m, n, false)};
  utils::IteratorType iterators[] = {utils::IteratorType::parallel,
                                     utils::IteratorType::parallel,
                                     utils::IteratorType::reduction};
  std::optional<FailureOr<Tensor>> coded;
  if (!transA)
    coded = scaled ? productOfBytes(lowering, node.input(0), node.input(1),
                                    transposed)
                   : productWithCodes(lowering, lhs, node.input(1), transposed);
  FailureOr<Tensor> product =
      coded ? *coded
            : sumOfProducts(lowering, lhs, rhs, accumulatorType(lhs.dtype),
                            maps, iterators, shape);
  if (scaled && succeeded(product))
    product = applyScales(lowering, *product, node.input(0).factors->scale,
                          node.input(1).factors->scale);
  if (failed(product))
    return failure();
  return one(scaleAndAdd(node, lowering, *product, bias, lhs.dtype));
}

void lutra::addContractionHandlers(Registry &registry) {
  registry.add({"", "MatMul", {1, 9, 13}, supportsMatMul, lowerMatMul});
  registry.add({"",
                "Gemm",
                {7, 9, 11, 13},
                supportsGemm,
                lowerGemm,
                "alpha and beta of integer products must be whole"});
}
