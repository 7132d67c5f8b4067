//===- PackedElements.cpp - Elements that hold several --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Numbers of four bits lie two to a byte: a graph takes the low and the high
// halves of a tensor apart and concatenates them. As a copy of two tensors that
// is a barrier for all that follows. The same with a dimension of its own for
// the half is one operation on elements, which can be fused like any other.
//
//===----------------------------------------------------------------------===//

#include "PackedElements.h"

#include "Insertions.h"

#include "dialects/Lutra/Lutra.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::lutra;

/// As many as bits in a byte, each with as few operations.
static constexpr unsigned kMaxParts = 8, kMaxSteps = 8;

namespace {
/// A tensor that is joined of functions of one other.
struct Join {
  Value source;
  unsigned dim;
  /// The operations that make each part, last one first.
  SmallVector<SmallVector<linalg::GenericOp>> parts;
};
} // namespace

/// Whether `op` maps each element of one tensor, and nothing else, to one.
static bool isUnaryMap(linalg::GenericOp op) {
  return op && op.getNumDpsInputs() == 1 && op.getNumResults() == 1 &&
         op.getNumReductionLoops() == 0 && op.hasPureTensorSemantics() &&
         llvm::all_of(op.getIndexingMapsArray(),
                      [](AffineMap map) { return map.isIdentity(); }) &&
         op.getRegionOutputArgs()[0].use_empty() &&
         op.getDpsInits()[0].getDefiningOp<tensor::EmptyOp>() &&
         llvm::all_of(op.getBlock()->without_terminator(),
                      [](Operation &inner) {
                        return isa<arith::ArithDialect>(inner.getDialect());
                      });
}

/// The unary maps that lead to `tensor`, last one first, and what the first of
/// them reads.
static Value mapsBehind(Value tensor, SmallVector<linalg::GenericOp> &maps) {
  while (maps.size() < kMaxSteps) {
    auto op = tensor.getDefiningOp<linalg::GenericOp>();
    if (!isUnaryMap(op))
      break;
    maps.push_back(op);
    tensor = op.getDpsInputs()[0];
  }
  return tensor;
}

/// The dimension along which `op` puts part `number` of equal ones.
static std::optional<unsigned> joinedDim(tensor::InsertSliceOp op,
                                         unsigned number) {
  RankedTensorType part = op.getSourceType(), whole = op.getDestType();
  if (!op.hasUnitStride() || part.getRank() != whole.getRank())
    return std::nullopt;
  std::optional<unsigned> joined;
  for (auto [dim, offset] : llvm::enumerate(op.getMixedOffsets())) {
    std::optional<int64_t> at = getConstantIntValue(offset);
    if (!at || part.getShape()[dim] != whole.getShape()[dim]) {
      if (joined || !at || part.isDynamicDim(dim) ||
          *at != number * part.getDimSize(dim))
        return std::nullopt;
      joined = dim;
    } else if (*at != 0) {
      return std::nullopt;
    }
  }
  return joined;
}

/// What `last`, the last of several insertions, joins.
static std::optional<Join> matchJoin(tensor::InsertSliceOp last) {
  SmallVector<tensor::InsertSliceOp> insertions =
      insertionsIntoEmpty(last, kMaxParts);
  if (insertions.empty())
    return std::nullopt;
  Join join;
  for (auto [number, op] : llvm::enumerate(insertions)) {
    std::optional<unsigned> dim = joinedDim(op, number);
    Value source = mapsBehind(op.getSource(), join.parts.emplace_back());
    if (!dim || join.parts.back().empty() ||
        (number > 0 && (*dim != join.dim || source != join.source)))
      return std::nullopt;
    join.source = source;
    join.dim = *dim;
  }
  RankedTensorType part = last.getSourceType(), whole = last.getDestType();
  auto element = dyn_cast<IntegerType>(
      cast<RankedTensorType>(join.source.getType()).getElementType());
  if (join.parts.size() < 2 || !element || element.getWidth() > 8 ||
      part.getDimSize(join.dim) * int64_t(join.parts.size()) !=
          whole.getDimSize(join.dim))
    return std::nullopt;
  // A weight is made what it has to be when a model is loaded.
  Operation *origin = join.source.getDefiningOp();
  if (origin &&
      (isa<WeightOp>(origin) || origin->hasTrait<OpTrait::ConstantLike>()))
    return std::nullopt;
  return join;
}

/// One operation for all parts, whose dimension `join.dim` counts them.
static linalg::GenericOp buildParts(OpBuilder &b, Location loc,
                                    const Join &join, Type element) {
  auto from = cast<RankedTensorType>(join.source.getType());
  unsigned rank = from.getRank() + 1;
  linalg::GenericOp part = join.parts[0][0];
  SmallVector<OpFoldResult> sizes =
      part.getDpsInits()[0].getDefiningOp<tensor::EmptyOp>().getMixedSizes();
  sizes.insert(sizes.begin() + join.dim, b.getIndexAttr(join.parts.size()));
  Value empty = tensor::EmptyOp::create(b, loc, sizes, element);
  AffineMap same = b.getMultiDimIdentityMap(rank);
  SmallVector<AffineMap> maps = {same.dropResult(join.dim), same};
  SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
  return linalg::GenericOp::create(
      b, loc, empty.getType(), join.source, empty, maps, loops,
      [&](OpBuilder &b, Location loc, ValueRange elements) {
        Value index = linalg::IndexOp::create(b, loc, join.dim), result;
        for (auto [number, maps] : llvm::enumerate(join.parts)) {
          Value value = elements[0];
          for (linalg::GenericOp op : llvm::reverse(maps)) {
            IRMapping inner;
            inner.map(op.getBlock()->getArgument(0), value);
            for (Operation &each : op.getBlock()->without_terminator())
              b.clone(each, inner);
            value = inner.lookupOrDefault(
                op.getBlock()->getTerminator()->getOperand(0));
          }
          if (!result) {
            result = value;
            continue;
          }
          Value own = arith::ConstantIndexOp::create(b, loc, number);
          Value isIt = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                             index, own);
          result = arith::SelectOp::create(b, loc, isIt, value, result);
        }
        linalg::YieldOp::create(b, loc, result);
      });
}

SmallVector<tensor::CollapseShapeOp> lutra::unpackElements(func::FuncOp func) {
  SmallVector<tensor::CollapseShapeOp> reshapes;
  for (auto op :
       llvm::make_early_inc_range(func.getOps<tensor::InsertSliceOp>())) {
    std::optional<Join> join = matchJoin(op);
    if (!join)
      continue;
    OpBuilder b(op);
    linalg::GenericOp parts =
        buildParts(b, op.getLoc(), *join, op.getDestType().getElementType());
    SmallVector<ReassociationIndices> groups;
    for (unsigned dim = 0; dim <= unsigned(op.getDestType().getRank()); ++dim) {
      if (dim == join->dim + 1)
        groups.back().push_back(dim);
      else
        groups.push_back({dim});
    }
    reshapes.push_back(tensor::CollapseShapeOp::create(
        b, op.getLoc(), op.getDestType(), parts.getResult(0), groups));
    op.replaceAllUsesWith(reshapes.back().getResult());
  }
  return reshapes;
}

/// Whether `op` computes several elements of each one that it reads, told by
/// the coordinate that it does not read along.
static bool isUnpacking(linalg::GenericOp op) {
  auto element = dyn_cast<IntegerType>(
      getElementTypeOrSelf(op.getDpsInputs()[0].getType()));
  AffineMap read = op.getIndexingMapsArray()[0];
  return element && element.getWidth() <= 8 &&
         llvm::any_of(op.getBlock()->getOps<linalg::IndexOp>(),
                      [&](linalg::IndexOp index) {
                        return !read.isFunctionOfDim(index.getDim());
                      });
}

bool lutra::isUnpacked(Value tensor) {
  for (unsigned step = 0; step < kMaxSteps; ++step) {
    auto op = tensor.getDefiningOp<linalg::GenericOp>();
    if (!op || op.getNumDpsInputs() == 0 || op.getNumReductionLoops() != 0)
      return false;
    if (isUnpacking(op))
      return true;
    // What scales has fewer dimensions.
    SmallVector<OpOperand *> inputs = op.getDpsInputOperands();
    auto read = llvm::find_if(inputs, [&](OpOperand *operand) {
      return op.getMatchingIndexingMap(operand).isPermutation();
    });
    if (read == inputs.end())
      return false;
    tensor = (*read)->get();
  }
  return false;
}
