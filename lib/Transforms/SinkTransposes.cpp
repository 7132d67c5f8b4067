//===- SinkTransposes.cpp - Channels stay last between convolutions -------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A convolution with codes or of integers is computed with its channels
// innermost, and a graph wants them second. The transposition between the two
// is moved behind what follows: elementwise operations, which then are done
// while a tile of the product is in registers, paddings and windows. Where the
// next convolution turns channels back, nothing is left of the two.
//
//===----------------------------------------------------------------------===//

#include "Movement.h"
#include "UnitDims.h"
#include "dialects/MPGemm/MPGemm.h"
#include "lutra/Analysis/Contraction.h"
#include "lutra/Analysis/TensorSizes.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/DenseSet.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_SINKTRANSPOSES
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// Where a transposition reads what it writes at its dimensions.
static AffineMap readMap(linalg::GenericOp transpose) {
  return transpose.getIndexingMapsArray()[0];
}

static Value sourceOf(linalg::GenericOp transpose) {
  return transpose.getDpsInputs()[0];
}

/// The entries of a list that a permutation has in its place.
static SmallVector<OpFoldResult> permuted(ArrayRef<OpFoldResult> list,
                                          AffineMap order) {
  return llvm::map_to_vector(order.getResults(), [&](AffineExpr dim) {
    return list[cast<AffineDimExpr>(dim).getPosition()];
  });
}

/// Whether an operation only reads elements in another order, which changes
/// what lies innermost.
static bool isTranspose(linalg::GenericOp op) {
  if (!isMovement(op) || op.getNumLoops() == 0)
    return false;
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  return maps[0].isPermutation() && maps[1].isIdentity() &&
         maps[0].getResults().back() != maps[1].getResults().back();
}

/// Whether a transposition makes the last dimension, channels, the second.
static bool movesChannels(linalg::GenericOp transpose) {
  ArrayRef<AffineExpr> read = readMap(transpose).getResults();
  auto dim = [&](unsigned i) {
    return getAffineDimExpr(i, transpose.getContext());
  };
  if (read.size() < 3 || read.front() != dim(0) || read.back() != dim(1))
    return false;
  for (unsigned i = 1; i + 1 < read.size(); ++i)
    if (read[i] != dim(i + 1))
      return false;
  return true;
}

static bool isElementwise(linalg::GenericOp op) {
  return op && op.getNumReductionLoops() == 0 && op.getNumDpsInits() == 1 &&
         op.getNumDpsInputs() > 0 && !op.hasIndexSemantics() &&
         op.getRegionOutputArgs()[0].use_empty() &&
         op.getIndexingMapsArray().back().isIdentity();
}

/// Whether `tensor` is a product with codes or sums of products of integers, or
/// was computed of such element by element.
static bool isProduct(Value tensor) {
  for (;;) {
    Operation *op = tensor.getDefiningOp();
    auto generic = dyn_cast_or_null<linalg::GenericOp>(op);
    if (isa_and_nonnull<mpgemm::MatmulOp>(op))
      return true;
    if (generic && matchContraction(generic))
      return getElementTypeOrSelf(tensor).isInteger(32);
    if (isa_and_nonnull<tensor::ExpandShapeOp>(op))
      tensor = op->getOperand(0);
    else if (generic && isElementwise(generic) &&
             generic.getIndexingMapsArray().front().isIdentity())
      tensor = generic.getDpsInputs()[0];
    else
      return false;
  }
}

namespace {
class Sinking {
public:
  explicit Sinking(func::FuncOp func) : func(func), b(func.getContext()) {}
  void run();

private:
  linalg::GenericOp transposeBehind(Value value);
  bool cancel(linalg::GenericOp op);
  bool sinkElementwise(linalg::GenericOp op);
  bool sinkPad(tensor::PadOp op);
  bool sinkWindow(linalg::GenericOp op);
  bool replace(Operation *op, Value source, AffineMap read);
  Value computeFlat(linalg::GenericOp op, tensor::ExpandShapeOp like,
                    ArrayRef<Value> inputs, ArrayRef<AffineMap> maps);
  Value compute(linalg::GenericOp op, ArrayRef<OpFoldResult> sizes,
                ArrayRef<Value> inputs, ArrayRef<AffineMap> maps);

  func::FuncOp func;
  OpBuilder b;
  /// Transpositions on their way.
  llvm::DenseSet<Operation *> moving;
};
} // namespace

linalg::GenericOp Sinking::transposeBehind(Value value) {
  Operation *op = value.getDefiningOp();
  return moving.contains(op) ? cast<linalg::GenericOp>(op)
                             : linalg::GenericOp();
}

/// Replaces the result of `op` by `source`, transposed.
bool Sinking::replace(Operation *op, Value source, AffineMap read) {
  Location loc = op->getLoc();
  FailureOr<SmallVector<OpFoldResult>> sizes = tensorSizes(b, source);
  if (failed(sizes))
    return false;
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  Value empty = tensor::EmptyOp::create(
      b, loc, permuted(*sizes, inversePermutation(read)),
      type.getElementType());
  if (empty.getType() != type)
    empty = tensor::CastOp::create(b, loc, type, empty);
  auto transpose = linalg::GenericOp::create(
      b, loc, empty.getType(), source, empty,
      {read, b.getMultiDimIdentityMap(type.getRank())},
      SmallVector(type.getRank(), utils::IteratorType::parallel),
      [](OpBuilder &b, Location loc, ValueRange values) {
        linalg::YieldOp::create(b, loc, values.front());
      });
  moving.insert(transpose);
  op->getResult(0).replaceAllUsesWith(transpose.getResult(0));
  op->erase();
  return true;
}

/// Two transpositions of which the second undoes the first are none.
bool Sinking::cancel(linalg::GenericOp op) {
  linalg::GenericOp before = transposeBehind(sourceOf(op));
  if (!before || !readMap(before).compose(readMap(op)).isIdentity())
    return false;
  op.getResult(0).replaceAllUsesWith(sourceOf(before));
  op.erase();
  return true;
}

/// `op` over `sizes`, of `inputs` that `maps` read.
Value Sinking::compute(linalg::GenericOp op, ArrayRef<OpFoldResult> sizes,
                       ArrayRef<Value> inputs, ArrayRef<AffineMap> maps) {
  Location loc = op.getLoc();
  SmallVector<Value> operands(inputs);
  SmallVector<AffineMap> all(maps);
  for (auto [operand, map] : llvm::zip(operands, all))
    operand = withoutUnits(b, loc, operand, map);
  all.push_back(b.getMultiDimIdentityMap(sizes.size()));
  Value empty = tensor::EmptyOp::create(b, loc, sizes,
                                        getElementTypeOrSelf(op.getResult(0)));
  auto made = linalg::GenericOp::create(
      b, loc, empty.getType(), operands, empty, all,
      SmallVector(sizes.size(), utils::IteratorType::parallel));
  IRMapping mapping;
  op.getRegion().cloneInto(&made.getRegion(), mapping);
  return made.getResult(0);
}

/// The same where inputs that have all dimensions are, or become, expansions
/// like `like`: computed on what these expand. Null where another input has
/// one of the dimensions that are made of one.
Value Sinking::computeFlat(linalg::GenericOp op, tensor::ExpandShapeOp like,
                           ArrayRef<Value> inputs, ArrayRef<AffineMap> maps) {
  SmallVector<ReassociationIndices> groups = like.getReassociationIndices();
  unsigned rank = groups.size();
  SmallVector<AffineExpr> flat(like.getType().getRank());
  for (auto [i, group] : llvm::enumerate(groups))
    if (group.size() == 1)
      flat[group.front()] = b.getAffineDimExpr(i);
  SmallVector<Value> operands;
  SmallVector<AffineMap> all;
  for (auto [input, map] : llvm::zip(inputs, maps)) {
    if (map.isIdentity() && map.getNumResults() == flat.size()) {
      auto expand = input.getDefiningOp<tensor::ExpandShapeOp>();
      bool isAlike =
          expand && expand.getReassociationIndices() == groups &&
          expand.getSrcType().getShape() == like.getSrcType().getShape();
      operands.push_back(isAlike ? expand.getSrc()
                                 : tensor::CollapseShapeOp::create(
                                       b, op.getLoc(), input, groups)
                                       .getResult());
      all.push_back(b.getMultiDimIdentityMap(rank));
      continue;
    }
    for (unsigned dim = 0; dim < flat.size(); ++dim)
      if (map.isFunctionOfDim(dim) && !flat[dim])
        return nullptr;
    // The others are not read.
    SmallVector<AffineExpr> dims(flat);
    for (AffineExpr &expr : dims)
      expr = expr ? expr : b.getAffineConstantExpr(0);
    operands.push_back(input);
    all.push_back(map.replaceDimsAndSymbols(dims, {}, rank, 0));
  }
  FailureOr<SmallVector<OpFoldResult>> sizes = tensorSizes(b, like.getSrc());
  if (failed(sizes))
    return nullptr;
  Value result = compute(op, *sizes, operands, all);
  auto type = RankedTensorType::get(like.getType().getShape(),
                                    getElementTypeOrSelf(result.getType()));
  return tensor::ExpandShapeOp::create(b, op.getLoc(), type, result, groups,
                                       like.getMixedOutputShape());
}

/// Computes element by element before transposing. Inputs that are not
/// transposed alike are numbers, or lie along one dimension.
bool Sinking::sinkElementwise(linalg::GenericOp op) {
  linalg::GenericOp first;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    AffineMap map = op.getMatchingIndexingMap(operand);
    linalg::GenericOp transpose = transposeBehind(operand->get());
    if (transpose && map.isIdentity()) {
      if (first && readMap(first) != readMap(transpose))
        return false;
      first = transpose;
    } else if (llvm::count_if(llvm::seq(map.getNumDims()), [&](unsigned dim) {
                 return map.isFunctionOfDim(dim);
               }) > 1) {
      return false;
    }
  }
  if (!first)
    return false;
  AffineMap back = inversePermutation(readMap(first));
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  tensor::ExpandShapeOp expand;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    AffineMap map = op.getMatchingIndexingMap(operand);
    linalg::GenericOp transpose = transposeBehind(operand->get());
    bool isMoved = transpose && map.isIdentity();
    inputs.push_back(isMoved ? sourceOf(transpose) : operand->get());
    maps.push_back(isMoved ? b.getMultiDimIdentityMap(back.getNumDims())
                           : map.compose(back));
    if (isMoved && !expand)
      expand = inputs.back().getDefiningOp<tensor::ExpandShapeOp>();
  }
  Value result = expand ? computeFlat(op, expand, inputs, maps) : Value();
  if (!result) {
    FailureOr<SmallVector<OpFoldResult>> sizes =
        tensorSizes(b, sourceOf(first));
    if (failed(sizes))
      return false;
    result = compute(op, *sizes, inputs, maps);
  }
  return replace(op, result, readMap(first));
}

/// Pads before transposing.
bool Sinking::sinkPad(tensor::PadOp op) {
  linalg::GenericOp transpose = transposeBehind(op.getSource());
  Value value = op.getConstantPaddingValue();
  if (!transpose || !value)
    return false;
  AffineMap read = readMap(transpose);
  auto type = RankedTensorType::get(
      applyPermutationMap(read, op.getResultType().getShape()),
      op.getResultType().getElementType());
  Value padded =
      tensor::PadOp::create(b, op.getLoc(), type, sourceOf(transpose),
                            permuted(op.getMixedLowPad(), read),
                            permuted(op.getMixedHighPad(), read), value);
  return replace(op, padded, read);
}

/// Reads what a reduction of one tensor reads before it is transposed. Where
/// its result has the same dimensions, that is transposed instead.
bool Sinking::sinkWindow(linalg::GenericOp op) {
  auto fill = op.getDpsInits()[0].getDefiningOp<linalg::FillOp>();
  linalg::GenericOp transpose = transposeBehind(op.getDpsInputs()[0]);
  if (!transpose || !fill || op.hasIndexSemantics() ||
      llvm::count(op.getDpsInputs(), transpose.getResult(0)) != 1)
    return false;
  AffineMap read = readMap(transpose);
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  FailureOr<SmallVector<OpFoldResult>> sizes = tensorSizes(b, op.getResult(0));
  if (failed(sizes))
    return false;
  maps.front() = read.compose(maps.front());
  bool isMoved = maps.back().getNumResults() == read.getNumResults();
  Value init = fill.getResult(0);
  if (isMoved) {
    maps.back() = read.compose(maps.back());
    Value empty =
        tensor::EmptyOp::create(b, op.getLoc(), permuted(*sizes, read),
                                getElementTypeOrSelf(op.getResult(0)));
    init = linalg::FillOp::create(b, op.getLoc(), fill.value(), empty)
               .getResult(0);
  }
  SmallVector<Value> inputs(op.getDpsInputs());
  inputs.front() = sourceOf(transpose);
  auto made = linalg::GenericOp::create(b, op.getLoc(), init.getType(), inputs,
                                        init, maps, op.getIteratorTypesArray());
  IRMapping mapping;
  op.getRegion().cloneInto(&made.getRegion(), mapping);
  if (isMoved)
    return replace(op, made.getResult(0), read);
  op.getResult(0).replaceAllUsesWith(made.getResult(0));
  op.erase();
  return true;
}

void Sinking::run() {
  for (Operation &op : llvm::make_early_inc_range(func.getBody().front())) {
    b.setInsertionPoint(&op);
    if (auto pad = dyn_cast<tensor::PadOp>(op)) {
      sinkPad(pad);
      continue;
    }
    auto generic = dyn_cast<linalg::GenericOp>(op);
    if (!generic || generic.getNumDpsInits() != 1)
      continue;
    if (isTranspose(generic)) {
      if (!cancel(generic) && movesChannels(generic) &&
          isProduct(sourceOf(generic)))
        moving.insert(generic);
    } else if (isElementwise(generic)) {
      sinkElementwise(generic);
    } else if (generic.getNumReductionLoops() > 0 &&
               generic.getNumDpsInputs() > 0 && !matchContraction(generic)) {
      sinkWindow(generic);
    }
  }
}

namespace {
struct SinkTransposes : lutra::impl::SinkTransposesBase<SinkTransposes> {
  using SinkTransposesBase::SinkTransposesBase;

  void runOnOperation() override {
    if (!getOperation().isDeclaration())
      Sinking(getOperation()).run();
  }
};
} // namespace
