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
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_OBSERVECONTRACTIONS
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

using Combine = function_ref<Value(ImplicitLocOpBuilder &, ValueRange)>;

namespace {
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
  Value reduce(OpBuilder &builder, bool ofPairs, Combine combine) const;
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

/// Reduces over the rows of x what `combine` makes of the result so far and of
/// one element, or of two of the same row: [K.., K..] of the second's channels
/// inside.
Value Factor::reduce(OpBuilder &builder, bool ofPairs, Combine combine) const {
  ImplicitLocOpBuilder b(loc, builder);
  int64_t rank = cast<RankedTensorType>(x.getType()).getRank();
  unsigned loops = rank + (ofPairs ? k.size() : 0);
  SmallVector<utils::IteratorType> kinds(loops, utils::IteratorType::reduction);
  SmallVector<AffineExpr> first, second, result;
  for (unsigned dim = 0; dim < rank; ++dim)
    first.push_back(b.getAffineDimExpr(dim));
  second = first;
  for (unsigned dim : k)
    result.push_back(first[dim]);
  if (ofPairs)
    for (auto [i, dim] : llvm::enumerate(k))
      result.push_back(second[dim] = b.getAffineDimExpr(rank + i));
  for (AffineExpr expr : result)
    kinds[cast<AffineDimExpr>(expr).getPosition()] =
        utils::IteratorType::parallel;
  SmallVector<Value> inputs(ofPairs ? 2 : 1, x);
  SmallVector<AffineMap> maps = {
      AffineMap::get(loops, 0, first, b.getContext())};
  if (ofPairs)
    maps.push_back(AffineMap::get(loops, 0, second, b.getContext()));
  maps.push_back(AffineMap::get(loops, 0, result, b.getContext()));
  SmallVector<int64_t> shape = sizes;
  if (ofPairs)
    llvm::append_range(shape, sizes);
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(b.getF32Type()));
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

/// Adds the product of all elements.
static Value sumProducts(ImplicitLocOpBuilder &b, ValueRange in) {
  Value product = arith::MulFOp::create(b, in[0], in.drop_back().back());
  return arith::AddFOp::create(b, in.back(), product);
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
    // Windows see inputs many times.
    if (product.op->getParentOp() != func || product.isConvolution())
      continue;
    SmallVector<unsigned> k;
    SmallVector<int64_t> sizes;
    SmallVector<unsigned> loops = loopsOf(product.mapOf(product.x));
    for (unsigned loop : product.k) {
      k.push_back(llvm::find(loops, loop) - loops.begin());
      sizes.push_back(product.weights(loop));
    }
    SmallVector<OpFoldResult> rows;
    for (auto [loop, size] :
         llvm::zip_equal(loopsOf(product.mapOf(product.init())), task.sizes))
      if (llvm::is_contained(product.m, loop))
        rows.push_back(size);
    Value x = product.x->get();
    Factor factor = {{task.layer->nodes, {}, product.weights(product.k), false},
                     x,
                     k,
                     sizes,
                     rows,
                     product.op.getLoc()};
    Factor &shared = found.try_emplace({x, k}, factor).first->second;
    shared.observed.products.push_back(task.number);
    shared.observed.needsMatrix |= task.rule->compensates;
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
    Value sums = factor.reduce(b, isMatrix, sumProducts);
    if (failed(give((isMatrix ? "moments" : "squares") + Twine(number), sums)))
      return signalPassFailure();
    if (isMatrix)
      continue;
    Value most = factor.reduce(b, false, largest);
    if (failed(give("largest" + Twine(number), most)) ||
        failed(give("rows" + Twine(number), factor.countRows(b))))
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
