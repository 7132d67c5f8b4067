//===- EncodeStates.cpp - Layouts of what is kept between runs ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A contraction vectorizes along the innermost loop of its result. Where that
// is the length of a state, as for the keys of attention, the state's rows
// would be gathered, or all of it copied into another layout at each step.
// Nobody but the program sees a state's layout, so that the length moves
// innermost, and only what is appended is transposed.
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/Lutra.h"
#include "lutra/Analysis/Contraction.h"
#include "lutra/Analysis/TensorSizes.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_ENCODESTATES
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

namespace {
/// All that touches a state.
struct Uses {
  tensor::InsertSliceOp insert;
  SmallVector<tensor::ExtractSliceOp> slices;
};

struct EncodeStates : lutra::impl::EncodeStatesBase<EncodeStates> {
  using EncodeStatesBase::EncodeStatesBase;

  void runOnOperation() override {
    SmallVector<StateOp> states(getOperation().getOps<StateOp>());
    for (StateOp state : states) {
      std::optional<Uses> uses = usesOf(state);
      if (uses && isReadAlongLength(state, *uses) &&
          failed(moveLengthInnermost(state, *uses)))
        return signalPassFailure();
    }
  }

private:
  std::optional<Uses> usesOf(StateOp state);
  bool isReadAlongLength(StateOp state, const Uses &uses);
  LogicalResult moveLengthInnermost(StateOp state, const Uses &uses);
};
} // namespace

/// The uses of a state that is only appended to once and read in slices.
std::optional<Uses> EncodeStates::usesOf(StateOp state) {
  Uses uses;
  for (Operation *user : state.getResult().getUsers()) {
    auto insert = dyn_cast<tensor::InsertSliceOp>(user);
    if (!insert || uses.insert || insert.getDest() != state.getResult() ||
        insert.getSource() == state.getResult() ||
        insert.getSourceType().getRank() != insert.getType().getRank())
      return std::nullopt;
    uses.insert = insert;
  }
  if (!uses.insert)
    return std::nullopt;
  for (Operation *user : uses.insert.getResult().getUsers()) {
    if (isa<func::ReturnOp>(user))
      continue;
    auto slice = dyn_cast<tensor::ExtractSliceOp>(user);
    if (!slice || slice.getType().getRank() != slice.getSourceType().getRank())
      return std::nullopt;
    uses.slices.push_back(slice);
  }
  return uses;
}

/// Whether every reader is a contraction that runs vectors along the length.
bool EncodeStates::isReadAlongLength(StateOp state, const Uses &uses) {
  unsigned readers = 0;
  for (tensor::ExtractSliceOp slice : uses.slices)
    for (OpOperand &use : slice.getResult().getUses()) {
      auto op = dyn_cast<linalg::GenericOp>(use.getOwner());
      std::optional<Contraction> contraction =
          op ? matchContraction(op) : std::nullopt;
      if (!contraction || contraction->b != &use)
        return false;
      AffineMap map = op.getMatchingIndexingMap(&use);
      auto loop = dyn_cast<AffineDimExpr>(map.getResult(state.getAxis()));
      if (!map.isProjectedPermutation() || !loop ||
          loop.getPosition() != contraction->n)
        return false;
      ++readers;
    }
  auto type = cast<RankedTensorType>(state.getResult().getType());
  return readers > 0 && int64_t(state.getAxis()) != type.getRank() - 1;
}

static AffineMap permuted(AffineMap map, ArrayRef<int64_t> order) {
  SmallVector<AffineExpr> results(map.getResults());
  applyPermutationToVector(results, order);
  return AffineMap::get(map.getNumDims(), map.getNumSymbols(), results,
                        map.getContext());
}

template <typename T>
static SmallVector<T> permuted(SmallVector<T> list, ArrayRef<int64_t> order) {
  applyPermutationToVector(list, order);
  return list;
}

/// A transposed copy of `tensor`.
static FailureOr<Value> transposed(OpBuilder &b, Location loc, Value tensor,
                                   ArrayRef<int64_t> order) {
  FailureOr<SmallVector<OpFoldResult>> sizes = tensorSizes(b, tensor);
  if (failed(sizes))
    return failure();
  unsigned rank = order.size();
  Value empty = tensor::EmptyOp::create(b, loc, permuted(*sizes, order),
                                        getElementTypeOrSelf(tensor.getType()));
  AffineMap identity = b.getMultiDimIdentityMap(rank);
  SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             b, loc, empty.getType(), tensor, empty,
             {identity, permuted(identity, order)}, loops,
             [](OpBuilder &b, Location loc, ValueRange values) {
               linalg::YieldOp::create(b, loc, values.front());
             })
      .getResult(0);
}

LogicalResult EncodeStates::moveLengthInnermost(StateOp state,
                                                const Uses &uses) {
  auto type = cast<RankedTensorType>(state.getResult().getType());
  SmallVector<int64_t> order;
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    if (dim != int64_t(state.getAxis()))
      order.push_back(dim);
  order.push_back(state.getAxis());
  auto permutedType = [&](RankedTensorType type) {
    return type.clone(permuted(llvm::to_vector(type.getShape()), order));
  };

  // The axis has a static size, so that the dynamic ones keep their order.
  OpBuilder b(state);
  auto moved = StateOp::create(
      b, state.getLoc(), permutedType(type), state.getNameAttr(),
      b.getI64IntegerAttr(type.getRank() - 1), state.getDtypeAttr(),
      AffineMapAttr::get(permuted(state.getShape(), order)), state.getSizes());
  tensor::InsertSliceOp insert = uses.insert;
  b.setInsertionPoint(insert);
  FailureOr<Value> source =
      transposed(b, insert.getLoc(), insert.getSource(), order);
  if (failed(source))
    return insert.emitError("expected a tensor of known sizes");
  auto written = tensor::InsertSliceOp::create(
      b, insert.getLoc(), *source, moved.getResult(),
      permuted(insert.getMixedOffsets(), order),
      permuted(insert.getMixedSizes(), order),
      permuted(insert.getMixedStrides(), order));
  for (tensor::ExtractSliceOp slice : uses.slices) {
    b.setInsertionPoint(slice);
    Value read = tensor::ExtractSliceOp::create(
        b, slice.getLoc(), permutedType(slice.getType()), written,
        permuted(slice.getMixedOffsets(), order),
        permuted(slice.getMixedSizes(), order),
        permuted(slice.getMixedStrides(), order));
    for (OpOperand &use :
         llvm::make_early_inc_range(slice.getResult().getUses())) {
      auto op = cast<linalg::GenericOp>(use.getOwner());
      SmallVector<AffineMap> maps = op.getIndexingMapsArray();
      AffineMap &map = maps[use.getOperandNumber()];
      map = permuted(map, order);
      op.setIndexingMapsAttr(b.getAffineMapArrayAttr(maps));
      use.set(read);
    }
    slice.erase();
  }
  func::FuncOp func = getOperation();
  Operation *ret = func.getBody().front().getTerminator();
  insert.getResult().replaceAllUsesWith(written.getResult());
  func.setType(func.getFunctionType().clone(func.getArgumentTypes(),
                                            ret->getOperandTypes()));
  insert.erase();
  state.erase();
  return success();
}
