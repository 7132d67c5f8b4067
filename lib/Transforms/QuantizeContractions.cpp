//===- QuantizeContractions.cpp - Products with quantized weights ---------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A product with a weight reads it as [N, K] and x as [M, K], whatever their
// dimensions are called and however they lie: loops of the weight alone are N,
// loops of x alone M, and what is summed over is K. The weight's steps make it
// a matrix and quantize it, which moves no byte here; x and y are reshaped, and
// transposed where their dimensions are not in this order.
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/WeightSteps.h"
#include "dialects/MPGemm/MPGemm.h"
#include "lutra/Analysis/Contraction.h"
#include "lutra/Analysis/TensorSizes.h"
#include "lutra/Transforms/Passes.h"
#include "lutra/Transforms/QuantizationSpec.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_QUANTIZECONTRACTIONS
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// Products with fewer weights than that stay: they are a small part of a
/// model, and of its time.
static constexpr int64_t kLeastWeights = 4096;

namespace {
/// A contraction with a weight, and what its loops are.
struct Product {
  linalg::LinalgOp op;
  OpOperand *x, *w;
  WeightOp weight;
  SmallVector<unsigned> m, n, k;

  AffineMap mapOf(OpOperand *operand) {
    return op.getMatchingIndexingMap(operand);
  }
  OpOperand *init() { return op.getDpsInitOperand(0); }
  /// The product of the weight's sizes along `loops`.
  int64_t weights(ArrayRef<unsigned> loops) {
    int64_t count = 1;
    for (auto [dim, expr] : llvm::enumerate(mapOf(w).getResults()))
      if (llvm::is_contained(loops, cast<AffineDimExpr>(expr).getPosition()))
        count *= cast<ShapedType>(w->get().getType()).getDimSize(dim);
    return count;
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Which products
//===----------------------------------------------------------------------===//

/// The loops that a projected permutation reads, in order.
static SmallVector<unsigned> loopsOf(AffineMap map) {
  return llvm::map_to_vector(map.getResults(), [](AffineExpr expr) {
    return cast<AffineDimExpr>(expr).getPosition();
  });
}

/// Sorts the loops of a product; says why where they are none of a product of
/// matrices.
static StringRef sortLoops(Product &product) {
  AffineMap x = product.mapOf(product.x), w = product.mapOf(product.w);
  if (!x.isProjectedPermutation())
    return "a convolution";
  if (!w.isProjectedPermutation() || product.weights(loopsOf(w)) == 0)
    return "no matrix";
  SmallVector<utils::IteratorType> kinds = product.op.getIteratorTypesArray();
  auto isReduction = [&](unsigned loop) {
    return kinds[loop] == utils::IteratorType::reduction;
  };
  for (unsigned loop : loopsOf(product.mapOf(product.init()))) {
    bool ofX = x.isFunctionOfDim(loop), ofW = w.isFunctionOfDim(loop);
    if (ofX == ofW)
      return "a batch of matrices";
    (ofX ? product.m : product.n).push_back(loop);
  }
  for (unsigned loop : loopsOf(x))
    if (isReduction(loop) && w.isFunctionOfDim(loop))
      product.k.push_back(loop);
  if (product.k.size() != product.op.getNumReductionLoops())
    return "a sum over one factor";
  return "";
}

/// Whether sums of the product start from 0.
static bool startsFromZero(Product &product) {
  auto fill = product.init()->get().getDefiningOp<linalg::FillOp>();
  return fill && matchPattern(fill.value(), m_AnyZeroFloat());
}

/// The product that an operation is, if one factor and only one is a weight of
/// floats.
static std::optional<Product> matchProduct(linalg::LinalgOp op) {
  std::optional<Contraction> contraction = matchContraction(op);
  if (!contraction || !getElementTypeOrSelf(op->getResult(0)).isF32())
    return std::nullopt;
  Product product = {op, contraction->a, contraction->b, {}, {}, {}, {}};
  auto weightOf = [](OpOperand *operand) {
    return operand->get().getDefiningOp<WeightOp>();
  };
  if (weightOf(product.x))
    std::swap(product.x, product.w);
  product.weight = weightOf(product.w);
  auto type = dyn_cast<RankedTensorType>(product.w->get().getType());
  if (!product.weight || weightOf(product.x) || !type ||
      !isa<FloatType>(type.getElementType()) || type.getElementType().isF64())
    return std::nullopt;
  return product;
}

/// The names of nodes, then of the weight.
static SmallVector<StringRef> namesOf(Product &product) {
  llvm::SmallSetVector<StringRef, 4> names;
  product.op->getLoc()->walk([&](Location loc) {
    if (auto name = dyn_cast<NameLoc>(loc))
      names.insert(name.getName());
    return WalkResult::advance();
  });
  SmallVector<StringRef> all(names.getArrayRef());
  all.push_back(product.weight.getName());
  return all;
}

//===----------------------------------------------------------------------===//
// The product of matrices
//===----------------------------------------------------------------------===//

namespace {
class Quantizer {
public:
  Quantizer(Product &product, const QuantizationRule &rule,
            ArrayRef<OpFoldResult> sizes)
      : product(product), rule(rule), sizes(sizes),
        b(product.op->getLoc(), product.op), rows(product.weights(product.n)),
        columns(product.weights(product.k)),
        size(rule.group == 0 ? columns : std::min(rule.group, columns)),
        groups(llvm::divideCeil(columns, size)) {}

  /// Replaces the product, and says in `layer` how.
  LogicalResult run(QuantizedLayer &layer);

private:
  mpgemm::FormatInterface format();
  FailureOr<Value> part(StringRef name, QuantizedLayer &layer);
  FailureOr<Value> groupedX(OpFoldResult count);
  FailureOr<Value> multiply(Value x, OpFoldResult count, QuantizedLayer &layer);
  Value shapedY(Value y);

  RankedTensorType typeOf(ArrayRef<OpFoldResult> shape, Type element);
  Value moved(Value tensor, ArrayRef<OpFoldResult> shape,
              ArrayRef<unsigned> from, ArrayRef<unsigned> to);
  Value expanded(Value tensor, ArrayRef<ReassociationIndices> groups,
                 ArrayRef<OpFoldResult> shape);

  Product &product;
  const QuantizationRule &rule;
  /// Of the result.
  ArrayRef<OpFoldResult> sizes;
  ImplicitLocOpBuilder b;
  int64_t rows, columns, size, groups;
};
} // namespace

mpgemm::FormatInterface Quantizer::format() {
  const WeightFormat &format = *rule.format;
  if (!format.values.empty())
    return mpgemm::CodebookAttr::get(b.getContext(), format.bits,
                                     b.getDenseF32ArrayAttr(format.values));
  return mpgemm::AffineAttr::get(b.getContext(), format.bits,
                                 format.zero.value_or(0));
}

/// The dimensions of `from` in the order of `to`.
static SmallVector<int64_t> permutationTo(ArrayRef<unsigned> from,
                                          ArrayRef<unsigned> to) {
  return llvm::map_to_vector(to, [&](unsigned loop) -> int64_t {
    return llvm::find(from, loop) - from.begin();
  });
}

/// The codes, scales or zero points of the weight.
FailureOr<Value> Quantizer::part(StringRef name, QuantizedLayer &layer) {
  MLIRContext *context = b.getContext();
  SmallVector<unsigned> from = loopsOf(product.mapOf(product.w)),
                        to = product.n;
  llvm::append_range(to, product.k);
  auto type = cast<RankedTensorType>(product.w->get().getType());
  SmallVector<Attribute> steps;
  if (from != to)
    steps.push_back(TransposeAttr::get(context, permutationTo(from, to)));
  if (type.getRank() != 2)
    steps.push_back(ReshapeAttr::get(context, {rows, columns}));
  if (!type.getElementType().isF32())
    steps.push_back(
        CastAttr::get(context, type.getElementType(), b.getF32Type()));
  steps.push_back(QuantizeAttr::get(context, name, rule.format->name, size,
                                    rule.leastSquares ? StringRef(kLeastSquares)
                                                      : StringRef(kNearest)));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(product.weight);
  FailureOr<WeightOp> weight = addSteps(b, product.weight, steps);
  if (failed(weight))
    return failure();
  auto result = cast<RankedTensorType>(weight->getResult().getType());
  int64_t bits =
      name == kCodes ? rule.format->bits : result.getElementTypeBitWidth();
  layer.quantizedBytes += llvm::divideCeil(result.getNumElements() * bits, 8);
  if (name == kCodes)
    layer.codes = weight->getOperation()->getAttrDictionary();
  return Value(weight->getResult());
}

//===----------------------------------------------------------------------===//
// Shapes of x and y
//===----------------------------------------------------------------------===//

RankedTensorType Quantizer::typeOf(ArrayRef<OpFoldResult> shape, Type element) {
  return RankedTensorType::get(
      llvm::map_to_vector(shape,
                          [](OpFoldResult size) {
                            return getConstantIntValue(size).value_or(
                                ShapedType::kDynamic);
                          }),
      element);
}

/// A tensor of dimensions along the loops `from`, of the sizes `shape`, in f32
/// with the dimensions of `to`.
Value Quantizer::moved(Value tensor, ArrayRef<OpFoldResult> shape,
                       ArrayRef<unsigned> from, ArrayRef<unsigned> to) {
  if (from == to && getElementTypeOrSelf(tensor).isF32())
    return tensor;
  SmallVector<int64_t> permutation = permutationTo(from, to);
  Value empty = tensor::EmptyOp::create(b, applyPermutation(shape, permutation),
                                        b.getF32Type());
  AffineMap read = inversePermutation(
      AffineMap::getPermutationMap(permutation, b.getContext()));
  SmallVector<utils::IteratorType> kinds(to.size(),
                                         utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             b, empty.getType(), tensor, empty,
             ArrayRef{read, b.getMultiDimIdentityMap(to.size())}, kinds,
             [](OpBuilder &b, Location loc, ValueRange in) {
               Value element = in[0];
               if (!element.getType().isF32())
                 element =
                     arith::ExtFOp::create(b, loc, b.getF32Type(), element);
               linalg::YieldOp::create(b, loc, element);
             })
      .getResult(0);
}

Value Quantizer::expanded(Value tensor, ArrayRef<ReassociationIndices> groups,
                          ArrayRef<OpFoldResult> shape) {
  return tensor::ExpandShapeOp::create(
      b, typeOf(shape, getElementTypeOrSelf(tensor)), tensor, groups, shape);
}

/// Dimensions [from, from + count).
static ReassociationIndices range(int64_t from, int64_t count) {
  return llvm::to_vector<2>(llvm::seq(from, from + count));
}

/// x as [M, groups, size], of `count` rows.
FailureOr<Value> Quantizer::groupedX(OpFoldResult count) {
  Value x = product.x->get();
  FailureOr<SmallVector<OpFoldResult>> shape = tensorSizes(b, x);
  if (failed(shape))
    return failure();
  SmallVector<unsigned> order = product.m;
  llvm::append_range(order, product.k);
  x = moved(x, *shape, loopsOf(product.mapOf(product.x)), order);
  int64_t m = product.m.size(), k = product.k.size();
  if (m == 0 && k > 1)
    x = tensor::CollapseShapeOp::create(b, x, ArrayRef{range(0, k)});
  if (m == 0)
    x = expanded(x, {range(0, 2)}, {count, b.getIndexAttr(columns)});
  else if (m > 1 || k > 1)
    x = tensor::CollapseShapeOp::create(b, x,
                                        ArrayRef{range(0, m), range(m, k)});
  if (int64_t missing = groups * size - columns) {
    auto type = cast<RankedTensorType>(x.getType());
    Value zero = arith::ConstantOp::create(b, b.getZeroAttr(b.getF32Type()));
    OpFoldResult none = b.getIndexAttr(0);
    x = tensor::PadOp::create(
        b,
        RankedTensorType::get({type.getDimSize(0), groups * size},
                              b.getF32Type()),
        x, ArrayRef{none, none},
        ArrayRef<OpFoldResult>{none, b.getIndexAttr(missing)}, zero);
  }
  return expanded(x, {range(0, 1), range(1, 2)},
                  {count, b.getIndexAttr(groups), b.getIndexAttr(size)});
}

/// y [M, N] as the result.
Value Quantizer::shapedY(Value y) {
  int64_t m = product.m.size(), n = product.n.size();
  SmallVector<unsigned> order = product.m,
                        to = loopsOf(product.mapOf(product.init()));
  llvm::append_range(order, product.n);
  SmallVector<OpFoldResult> shape =
      applyPermutation(sizes, permutationTo(to, order));
  if (m == 0)
    y = tensor::CollapseShapeOp::create(b, y, ArrayRef{range(0, 2)});
  if (m == 0 && n > 1)
    y = expanded(y, {range(0, n)}, shape);
  else if (m > 1 || (m > 0 && n > 1))
    y = expanded(y, {range(0, m), range(m, n)}, shape);
  return moved(y, shape, order, to);
}

//===----------------------------------------------------------------------===//
// The product
//===----------------------------------------------------------------------===//

FailureOr<Value> Quantizer::multiply(Value x, OpFoldResult count,
                                     QuantizedLayer &layer) {
  FailureOr<Value> codes = part(kCodes, layer), scales = part(kScales, layer),
                   zeros = Value();
  if (rule.format->hasZeros())
    zeros = part(kZeros, layer);
  if (failed(codes) || failed(scales) || failed(zeros))
    return failure();
  Value xScales, xSums;
  if (layer.integers) {
    OpFoldResult perGroup[] = {count, b.getIndexAttr(groups)};
    auto quantized = mpgemm::QuantizeActOp::create(
        b, cast<RankedTensorType>(x.getType()).clone(b.getI8Type()),
        typeOf(perGroup, b.getF32Type()), typeOf(perGroup, b.getI32Type()), x);
    x = quantized.getCodes();
    xScales = quantized.getScales();
    xSums = quantized.getSums();
  }
  Value init = tensor::EmptyOp::create(
      b, ArrayRef<OpFoldResult>{count, b.getIndexAttr(rows)}, b.getF32Type());
  return mpgemm::MatmulOp::create(b, init.getType(), x, *codes, *scales, *zeros,
                                  xScales, xSums, init, format(),
                                  mpgemm::LayoutAttr())
      .getResult();
}

LogicalResult Quantizer::run(QuantizedLayer &layer) {
  layer.format = rule.format;
  layer.group = size;
  layer.integers =
      rule.integers && mpgemm::fitsAccumulator(rule.format->bits, size);
  SmallVector<OpFoldResult> outer;
  AffineExpr count = b.getAffineConstantExpr(1);
  for (auto [loop, extent] :
       llvm::zip_equal(loopsOf(product.mapOf(product.init())), sizes))
    if (llvm::is_contained(product.m, loop)) {
      count = count * b.getAffineSymbolExpr(outer.size());
      outer.push_back(extent);
    }
  OpFoldResult m = affine::makeComposedFoldedAffineApply(
      b, b.getLoc(), AffineMap::get(0, outer.size(), count), outer);
  FailureOr<Value> x = groupedX(m);
  if (failed(x))
    return failure();
  FailureOr<Value> y = multiply(*x, m, layer);
  if (failed(y))
    return failure();
  product.op->getResult(0).replaceAllUsesWith(shapedY(*y));
  product.op->erase();
  return success();
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct QuantizeContractions
    : lutra::impl::QuantizeContractionsBase<QuantizeContractions> {
  using QuantizeContractionsBase::QuantizeContractionsBase;
  QuantizeContractions(QuantizationSpec rules,
                       std::vector<QuantizedLayer> &layers)
      : rules(std::move(rules)), layers(&layers) {}
  QuantizeContractions(const QuantizeContractions &other)
      : QuantizeContractionsBase(other), rules(other.rules),
        layers(other.layers) {}

  LogicalResult initialize(MLIRContext *context) override {
    if (!rules.rules.empty())
      return success();
    auto parsed = QuantizationSpec::parse(spec);
    if (!parsed)
      return emitError(UnknownLoc::get(context))
             << llvm::toString(parsed.takeError());
    rules = std::move(*parsed);
    return success();
  }

  void runOnOperation() override {
    SmallVector<linalg::LinalgOp> ops;
    getOperation().walk([&](linalg::LinalgOp op) { ops.push_back(op); });
    std::vector<QuantizedLayer> done;
    SmallVector<WeightOp> weights;
    for (linalg::LinalgOp op : ops) {
      std::optional<Product> product = matchProduct(op);
      if (!product)
        continue;
      weights.push_back(product->weight);
      if (failed(quantize(*product, done.emplace_back())))
        return signalPassFailure();
    }
    for (auto [layer, weight] : llvm::zip_equal(done, weights))
      layer.isKept = !weight->use_empty();
    if (layers)
      *layers = std::move(done);
  }

  LogicalResult quantize(Product &product, QuantizedLayer &layer) {
    SmallVector<StringRef> names = namesOf(product);
    auto type = cast<RankedTensorType>(product.w->get().getType());
    layer.weight = names.back().str();
    layer.nodes = llvm::join(ArrayRef(names).drop_back(), ", ");
    layer.shape.assign(type.getShape().begin(), type.getShape().end());
    layer.bytes = type.getNumElements() * type.getElementTypeBitWidth() / 8;
    const QuantizationRule *rule = rules.find(names);
    layer.reason = reasonToKeep(product, rule);
    FailureOr<SmallVector<OpFoldResult>> sizes = failure();
    OpBuilder b(product.op);
    if (layer.reason.empty()) {
      sizes = tensorSizes(b, product.op->getResult(0));
      if (failed(sizes))
        layer.reason = "a result of unknown size";
    }
    if (failed(sizes))
      return success();
    return Quantizer(product, *rule, *sizes).run(layer);
  }

  /// Why the product stays as it is; empty if it does not. Sorts its loops.
  static std::string reasonToKeep(Product &product,
                                  const QuantizationRule *rule) {
    StringRef reason = sortLoops(product);
    if (!reason.empty())
      return reason.str();
    if (!startsFromZero(product))
      return "added to something else";
    if (!rule)
      return "no rule";
    if (!rule->format)
      return "'" + rule->text + "'";
    int64_t count = product.weights(loopsOf(product.mapOf(product.w)));
    if (count < kLeastWeights)
      return "fewer than " + std::to_string(kLeastWeights) + " weights";
    return "";
  }

  QuantizationSpec rules;
  std::vector<QuantizedLayer> *layers = nullptr;
};
} // namespace

std::unique_ptr<Pass>
lutra::createQuantizeContractions(QuantizationSpec spec,
                                  std::vector<QuantizedLayer> &layers) {
  return std::make_unique<QuantizeContractions>(std::move(spec), layers);
}
