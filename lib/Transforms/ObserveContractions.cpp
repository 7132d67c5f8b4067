//===- ObserveContractions.cpp - What products with weights read ----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Makes statistics of the left factors of products a model's outputs, in place
// of its own: what only those needed is dead from here on. Products that read
// the same share an observation.
//
//===----------------------------------------------------------------------===//

#include "WeightProduct.h"
#include "lutra/Analysis/TensorSizes.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/MapVector.h"
#include <numeric>

namespace mlir::lutra {
#define GEN_PASS_DEF_OBSERVECONTRACTIONS
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

using Combine = function_ref<Value(ImplicitLocOpBuilder &, ValueRange)>;

namespace {
/// What is reduced beside x, with the dimensions that it lies along: those of
/// x, and behind them its own, which the result has innermost.
struct Companion {
  Value tensor;
  SmallVector<AffineExpr> place;
  SmallVector<int64_t> sizes;
};

/// The left factor of some products, x [m.., k..] in any order.
struct Factor {
  ObservedFactor observed;
  Value x;
  /// The dimensions of x that products sum over, in order of channels, and
  /// their sizes.
  SmallVector<unsigned> k;
  SmallVector<int64_t> sizes;
  /// The sizes of the other dimensions.
  SmallVector<OpFoldResult> rows;
  Location loc;

  Value countRows(OpBuilder &builder) const;
  Companion itself(OpBuilder &builder) const;
  Companion limits(OpBuilder &builder) const;
  Value reduce(OpBuilder &builder, const Companion &companion,
               Combine combine) const;
};

struct ObserveContractions
    : lutra::impl::ObserveContractionsBase<ObserveContractions> {
  using ObserveContractionsBase::ObserveContractionsBase;
  ObserveContractions(QuantizationSpec rules, ArrayRef<size_t> matrices,
                      std::vector<ObservedFactor> &factors)
      : rules(std::move(rules)), matrices(matrices), factors(&factors) {}
  ObserveContractions(const ObserveContractions &other)
      : ObserveContractionsBase(other), rules(other.rules),
        matrices(other.matrices), factors(other.factors) {}

  LogicalResult initialize(MLIRContext *context) override {
    if (!chosen.empty())
      matrices.assign(chosen.begin(), chosen.end());
    return rules.initialize(spec, context);
  }
  void runOnOperation() override;

  QuantizationSpec rules;
  SmallVector<size_t> matrices;
  std::vector<ObservedFactor> *factors = nullptr;
};
} // namespace

/// How many rows x has, as a tensor of one number.
Value Factor::countRows(OpBuilder &builder) const {
  ImplicitLocOpBuilder b(loc, builder);
  AffineExpr product = b.getAffineConstantExpr(1);
  for (unsigned i = 0; i < rows.size(); ++i)
    product = product * b.getAffineSymbolExpr(i);
  Value count = getValueOrCreateConstantIndexOp(
      b, loc,
      affine::makeComposedFoldedAffineApply(
          b, loc, AffineMap::get(0, rows.size(), product), rows));
  Value init = tensor::EmptyOp::create(b, ArrayRef<int64_t>{1}, b.getF32Type());
  return linalg::GenericOp::create(
             b, init.getType(), ValueRange(), init, b.getMultiDimIdentityMap(1),
             utils::IteratorType::parallel,
             [&](OpBuilder &inner, Location at, ValueRange) {
               ImplicitLocOpBuilder b(at, inner);
               Value number =
                   arith::IndexCastOp::create(b, b.getI64Type(), count);
               number = arith::SIToFPOp::create(b, b.getF32Type(), number);
               linalg::YieldOp::create(b, number);
             })
      .getResult(0);
}

/// x itself, for products of any two channels of a row.
Companion Factor::itself(OpBuilder &b) const {
  int64_t rank = cast<RankedTensorType>(x.getType()).getRank();
  Companion companion = {x, {}, sizes};
  for (int64_t dim = 0; dim < rank; ++dim)
    companion.place.push_back(b.getAffineDimExpr(dim));
  for (auto [i, dim] : llvm::enumerate(k))
    companion.place[dim] = b.getAffineDimExpr(rank + i);
  return companion;
}

/// The limits of ChannelStatistics.
Companion Factor::limits(OpBuilder &b) const {
  auto limits = llvm::map_to_vector(llvm::seq(kLimits), limitOf);
  Value tensor = arith::ConstantOp::create(
      b, loc,
      DenseElementsAttr::get(RankedTensorType::get(kLimits, b.getF32Type()),
                             ArrayRef<float>(limits)));
  int64_t rank = cast<RankedTensorType>(x.getType()).getRank();
  return {tensor, {b.getAffineDimExpr(rank)}, {kLimits}};
}

/// Reduces over the rows of x, from 0 on, what `combine` makes of one
/// element, one of the companion, if there is one, and the result so far:
/// [K..], and the companion's own dimensions inside.
Value Factor::reduce(OpBuilder &builder, const Companion &companion,
                     Combine combine) const {
  ImplicitLocOpBuilder b(loc, builder);
  int64_t rank = cast<RankedTensorType>(x.getType()).getRank();
  unsigned loops = rank + companion.sizes.size();
  SmallVector<utils::IteratorType> kinds(loops, utils::IteratorType::reduction);
  SmallVector<AffineExpr> result;
  for (unsigned dim : k)
    result.push_back(b.getAffineDimExpr(dim));
  for (unsigned dim = rank; dim < loops; ++dim)
    result.push_back(b.getAffineDimExpr(dim));
  for (AffineExpr expr : result)
    kinds[cast<AffineDimExpr>(expr).getPosition()] =
        utils::IteratorType::parallel;
  SmallVector<Value> inputs = {x};
  SmallVector<AffineMap> maps = {
      AffineMap::getMultiDimIdentityMap(loops, b.getContext())
          .getMajorSubMap(rank)};
  if (companion.tensor) {
    inputs.push_back(companion.tensor);
    maps.push_back(AffineMap::get(loops, 0, companion.place, b.getContext()));
  }
  maps.push_back(AffineMap::get(loops, 0, result, b.getContext()));
  SmallVector<int64_t> shape = sizes;
  llvm::append_range(shape, companion.sizes);
  Value zero = arith::ConstantOp::create(b, b.getF32FloatAttr(0));
  Value empty = tensor::EmptyOp::create(b, shape, b.getF32Type());
  Value init = linalg::FillOp::create(b, zero, empty).getResult(0);
  return linalg::GenericOp::create(
             b, init.getType(), inputs, init, maps, kinds,
             [&](OpBuilder &inner, Location at, ValueRange in) {
               ImplicitLocOpBuilder b(at, inner);
               SmallVector<Value> numbers(in);
               for (Value &number : numbers)
                 if (!number.getType().isF32())
                   number = arith::ExtFOp::create(b, b.getF32Type(), number);
               linalg::YieldOp::create(b, combine(b, numbers));
             })
      .getResult(0);
}

static Value largest(ImplicitLocOpBuilder &b, ValueRange in) {
  Value magnitude = math::AbsFOp::create(b, in[0]);
  return arith::MaximumFOp::create(b, in[1], magnitude);
}

static Value least(ImplicitLocOpBuilder &b, ValueRange in) {
  return arith::MinimumFOp::create(b, in[1], in[0]);
}

static Value greatest(ImplicitLocOpBuilder &b, ValueRange in) {
  return arith::MaximumFOp::create(b, in[1], in[0]);
}

/// Adds the product of all elements.
static Value sumProducts(ImplicitLocOpBuilder &b, ValueRange in) {
  Value product = arith::MulFOp::create(b, in[0], in.drop_back().back());
  return arith::AddFOp::create(b, in.back(), product);
}

/// Adds the square of what the magnitude exceeds a limit by.
static Value sumExcess(ImplicitLocOpBuilder &b, ValueRange in) {
  Value zero = arith::ConstantOp::create(b, b.getF32FloatAttr(0));
  Value excess =
      arith::SubFOp::create(b, math::AbsFOp::create(b, in[0]), in[1]);
  excess = arith::MaximumFOp::create(b, excess, zero);
  return arith::AddFOp::create(b, in[2],
                               arith::MulFOp::create(b, excess, excess));
}

/// The sizes of the dimensions of x that are no channels.
static SmallVector<OpFoldResult> rowsOf(QuantizationTask &task,
                                        ArrayRef<unsigned> channels) {
  WeightProduct &product = task.product;
  OpBuilder b(product.op);
  SmallVector<OpFoldResult> rows;
  if (!product.isConvolution()) {
    for (unsigned loop : product.m)
      rows.push_back(product.sizeOf(b, loop, task.sizes));
    return rows;
  }
  // There are such, or it would be no task.
  SmallVector<OpFoldResult> sizes = *tensorSizes(b, product.x->get());
  for (auto [dim, size] : llvm::enumerate(sizes))
    if (!llvm::is_contained(channels, dim))
      rows.push_back(size);
  return rows;
}

/// What the tasks read, each once. Only what the function of the first computes
/// can be returned.
static std::vector<Factor>
collectFactors(MutableArrayRef<QuantizationTask> tasks) {
  llvm::MapVector<std::pair<Value, SmallVector<unsigned>>, Factor> found;
  Operation *func = nullptr;
  for (QuantizationTask &task : tasks) {
    WeightProduct &product = task.product;
    if (!func)
      func = product.op->getParentOfType<func::FuncOp>();
    // Windows see inputs many times, in which all that counts is their range.
    bool isConvolution = product.isConvolution();
    if (product.op->getParentOp() != func ||
        (isConvolution && !task.rule->isStatic))
      continue;
    SmallVector<unsigned> k;
    SmallVector<int64_t> sizes;
    ArrayRef<AffineExpr> places = product.mapOf(product.x).getResults();
    for (unsigned loop : product.k) {
      const auto *place =
          llvm::find(places, getAffineDimExpr(loop, func->getContext()));
      if (place == places.end())
        continue;
      k.push_back(place - places.begin());
      sizes.push_back(product.weights(loop));
    }
    Value x = product.x->get();
    int64_t channels = std::accumulate(sizes.begin(), sizes.end(), int64_t(1),
                                       std::multiplies<>());
    Factor factor = {{task.layer->nodes, {}, channels, false, false},
                     x,
                     k,
                     sizes,
                     rowsOf(task, k),
                     product.op.getLoc()};
    Factor &shared = found.try_emplace({x, k}, factor).first->second;
    shared.observed.products.push_back(task.number);
    shared.observed.needsMatrix |= task.rule->compensates && !isConvolution;
    shared.observed.isStatic |= task.rule->isStatic;
  }
  std::vector<Factor> factors;
  for (auto &entry : found)
    factors.push_back(std::move(entry.second));
  return factors;
}

void ObserveContractions::runOnOperation() {
  std::vector<QuantizedLayer> layers;
  SmallVector<WeightOp> weights;
  std::vector<QuantizationTask> tasks =
      collectTasks(getOperation(), rules, layers, weights);
  std::vector<Factor> found = collectFactors(tasks);
  if (factors)
    factors->clear();
  if (found.empty())
    return;
  auto func = tasks.front().product.op->getParentOfType<func::FuncOp>();
  Operation *ret = func.getBody().front().getTerminator();
  OpBuilder b(ret);
  // States go on.
  llvm::BitVector own(func.getNumResults());
  for (unsigned result = 0; result < own.size(); ++result)
    own[result] = !func.getResultAttr(result, attr::kState);
  ret->eraseOperands(own);
  if (failed(func.eraseResults(own)))
    return signalPassFailure();

  auto dims = func->getAttrOfType<ArrayAttr>(attr::kDims);
  unsigned symbols = dims ? dims.size() : 0, place = 0;
  auto give = [&](const Twine &name, Value value) {
    auto type = cast<RankedTensorType>(value.getType());
    auto shape = llvm::map_to_vector(type.getShape(), [&](int64_t size) {
      return b.getAffineConstantExpr(size);
    });
    NamedAttribute attributes[] = {
        {attr::kDType, b.getStringAttr("FLOAT")},
        {attr::kName, b.getStringAttr(name)},
        {attr::kShape, AffineMapAttr::get(
                           AffineMap::get(0, symbols, shape, b.getContext()))}};
    ret->insertOperands(place, value);
    return func.insertResult(place++, type, b.getDictionaryAttr(attributes));
  };
  for (auto [number, factor] : llvm::enumerate(found)) {
    if (factors)
      factors->push_back(factor.observed);
    bool isMatrix = llvm::is_contained(matrices, number);
    if (!matrices.empty() && !isMatrix)
      continue;
    SmallVector<std::pair<StringRef, Value>> results;
    if (isMatrix)
      results = {{"moments", factor.reduce(b, factor.itself(b), sumProducts)}};
    else
      results = {{"squares", factor.reduce(b, {}, sumProducts)},
                 {"largest", factor.reduce(b, {}, largest)},
                 {"rows", factor.countRows(b)}};
    if (!isMatrix && factor.observed.isStatic)
      results.append(
          {{"least", factor.reduce(b, {}, least)},
           {"greatest", factor.reduce(b, {}, greatest)},
           {"excess", factor.reduce(b, factor.limits(b), sumExcess)}});
    for (auto [name, value] : results)
      if (failed(give(name + Twine(number), value)))
        return signalPassFailure();
  }
}

std::unique_ptr<Pass>
lutra::createObserveContractions(QuantizationSpec spec,
                                 ArrayRef<size_t> matrices,
                                 std::vector<ObservedFactor> &factors) {
  return std::make_unique<ObserveContractions>(std::move(spec), matrices,
                                               factors);
}
