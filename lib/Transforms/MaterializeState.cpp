//===- MaterializeState.cpp - Concatenations become insertions ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A model with a cache concatenates what it is given with what is new, and
// returns the whole: each step copies the cache. Here the cache becomes a
// lutra.state of full size, the new part is inserted behind its length, and
// what read the concatenation reads a slice. All later passes see plain values;
// that nothing is copied follows from the insertion being written into the
// state itself (form-dispatches).
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/Lutra.h"
#include "lutra/Analysis/TensorSizes.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_MATERIALIZESTATE
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

namespace {
/// One argument that becomes a state.
struct Past {
  BlockArgument argument;
  StringAttr name;
  StringRef present;
  int64_t axis, capacity;
  /// The result that is the argument with more appended.
  unsigned result;
};

struct MaterializeState : lutra::impl::MaterializeStateBase<MaterializeState> {
  using MaterializeStateBase::MaterializeStateBase;

  void runOnOperation() override {
    if (getOperation().isExternal())
      return;
    FailureOr<SmallVector<Past>> pasts = find();
    if (failed(pasts))
      return signalPassFailure();
    // Each is put in front of the others.
    SmallVector<Value> states(pasts->size());
    for (auto [past, state] : llvm::reverse(llvm::zip_equal(*pasts, states))) {
      FailureOr<Value> written = materialize(past);
      if (failed(written))
        return signalPassFailure();
      state = *written;
    }
    if (!states.empty() && failed(changeInterface(*pasts, states)))
      signalPassFailure();
  }

private:
  InFlightDiagnostic error(const Past &past) {
    return getOperation().emitError()
           << "state '" << past.name.getValue() << "': ";
  }
  FailureOr<SmallVector<Past>> find();
  tensor::InsertSliceOp appended(const Past &past,
                                 ArrayRef<OpFoldResult> sizes);
  FailureOr<Value> materialize(Past past);
  LogicalResult changeInterface(ArrayRef<Past> pasts, ArrayRef<Value> states);
};
} // namespace

FailureOr<SmallVector<Past>> MaterializeState::find() {
  func::FuncOp func = getOperation();
  SmallVector<Past> pasts;
  for (BlockArgument argument : func.getArguments()) {
    unsigned number = argument.getArgNumber();
    auto state = func.getArgAttrOfType<DictionaryAttr>(number, attr::kState);
    if (!state)
      continue;
    auto name = func.getArgAttrOfType<StringAttr>(number, attr::kName);
    auto shape = func.getArgAttrOfType<AffineMapAttr>(number, attr::kShape);
    if (!name || !shape)
      return func.emitError("argument ")
             << number << ": expected " << attr::kName << " and "
             << attr::kShape;
    auto present = state.getAs<StringAttr>("present");
    Past past{argument,
              name,
              present.getValue(),
              state.getAs<IntegerAttr>("axis").getInt(),
              state.getAs<IntegerAttr>("capacity").getInt(),
              0};
    while (past.result < func.getNumResults() &&
           func.getResultAttrOfType<StringAttr>(past.result, attr::kName) !=
               present)
      ++past.result;
    if (past.result == func.getNumResults()) {
      error(past) << "no result is called '" << past.present << "'";
      return failure();
    }
    if (!func.getResultAttrOfType<AffineMapAttr>(past.result, attr::kShape))
      return func.emitError("result ")
             << past.result << ": expected " << attr::kShape;
    pasts.push_back(past);
  }
  return pasts;
}

/// Whether `insert` puts its source at `offset` of `axis`, and at 0 elsewhere.
static bool isAt(tensor::InsertSliceOp insert, int64_t axis,
                 OpFoldResult offset) {
  for (auto [dim, at] : llvm::enumerate(insert.getMixedOffsets()))
    if (!isEqualConstantIntOrValue(
            at, int64_t(dim) == axis
                    ? offset
                    : OpFoldResult(IntegerAttr::get(
                          IndexType::get(at.getContext()), 0))))
      return false;
  return insert.hasUnitStride();
}

/// The insertion of what is new behind the argument, or null.
tensor::InsertSliceOp MaterializeState::appended(const Past &past,
                                                 ArrayRef<OpFoldResult> sizes) {
  Operation *ret = getOperation().getBody().front().getTerminator();
  auto last =
      ret->getOperand(past.result).getDefiningOp<tensor::InsertSliceOp>();
  auto first =
      last ? last.getDest().getDefiningOp<tensor::InsertSliceOp>() : nullptr;
  OpFoldResult zero = IntegerAttr::get(IndexType::get(&getContext()), 0);
  if (!first || first.getSource() != past.argument ||
      !first.getDest().getDefiningOp<tensor::EmptyOp>() ||
      !isAt(first, past.axis, zero) || !isAt(last, past.axis, sizes[past.axis]))
    return nullptr;
  return last;
}

/// Where all dimensions are known.
static OpBuilder afterDims(func::FuncOp func) {
  Block &body = func.getBody().front();
  OpBuilder b = OpBuilder::atBlockBegin(&body);
  SmallVector<DimOp> dims(body.getOps<DimOp>());
  for (DimOp dim : llvm::reverse(dims))
    dim->moveBefore(&body, body.begin());
  if (!dims.empty())
    b.setInsertionPointAfter(dims.back());
  return b;
}

/// Gives the program the state, in the place of the argument and of its
/// concatenation, and returns the state's new value.
FailureOr<Value> MaterializeState::materialize(Past past) {
  func::FuncOp func = getOperation();
  OpBuilder b = afterDims(func);
  FailureOr<SmallVector<OpFoldResult>> sizes = tensorSizes(b, past.argument);
  if (failed(sizes)) {
    error(past) << "expected known sizes";
    return failure();
  }
  tensor::InsertSliceOp insert = appended(past, *sizes);
  if (!insert) {
    error(past) << "expected '" << past.present
                << "' to be the concatenation of it and new values along axis "
                << past.axis;
    return failure();
  }
  unsigned number = past.argument.getArgNumber();
  AffineMap shape =
      func.getArgAttrOfType<AffineMapAttr>(number, attr::kShape).getValue();
  SmallVector<AffineExpr> exprs(shape.getResults());
  exprs[past.axis] = b.getAffineConstantExpr(past.capacity);
  SmallVector<OpFoldResult> whole(*sizes);
  whole[past.axis] = b.getIndexAttr(past.capacity);
  SmallVector<int64_t> extents;
  SmallVector<Value> dynamic;
  dispatchIndexOpFoldResults(whole, dynamic, extents);
  Type element = getElementTypeOrSelf(past.argument.getType());

  Location loc = insert.getLoc();
  auto state = StateOp::create(
      b, past.argument.getLoc(), RankedTensorType::get(extents, element),
      past.name, b.getI64IntegerAttr(past.axis),
      func.getArgAttrOfType<StringAttr>(number, attr::kDType),
      AffineMapAttr::get(
          AffineMap::get(0, shape.getNumSymbols(), exprs, b.getContext())),
      dynamic);
  SmallVector<OpFoldResult> zeros(whole.size(), b.getIndexAttr(0)),
      ones(whole.size(), b.getIndexAttr(1));
  // Whatever else reads what was there sees it whenever it looks.
  Value before = tensor::ExtractSliceOp::create(
      b, loc, cast<RankedTensorType>(past.argument.getType()),
      state.getResult(), zeros, *sizes, ones);
  b.setInsertionPoint(insert);
  auto written = tensor::InsertSliceOp::create(
      b, loc, insert.getSource(), state.getResult(), insert.getMixedOffsets(),
      insert.getMixedSizes(), insert.getMixedStrides());
  FailureOr<SmallVector<OpFoldResult>> all = tensorSizes(b, insert.getDest());
  if (failed(all)) {
    error(past) << "expected known sizes";
    return failure();
  }
  Value present = tensor::ExtractSliceOp::create(b, loc, insert.getType(),
                                                 written, zeros, *all, ones);
  insert.getResult().replaceAllUsesWith(present);
  auto first = insert.getDest().getDefiningOp<tensor::InsertSliceOp>();
  insert.erase();
  if (first->use_empty())
    first.erase();
  if (past.argument.use_empty())
    before.getDefiningOp()->erase();
  else
    past.argument.replaceAllUsesWith(before);
  return written.getResult();
}

/// Takes the states' arguments and results out of the function, and returns
/// their new values behind the others.
LogicalResult MaterializeState::changeInterface(ArrayRef<Past> pasts,
                                                ArrayRef<Value> states) {
  func::FuncOp func = getOperation();
  Operation *ret = func.getBody().front().getTerminator();
  Attribute length;
  llvm::BitVector arguments(func.getNumArguments()),
      results(func.getNumResults());
  for (const Past &past : pasts) {
    AffineMap shape =
        func.getResultAttrOfType<AffineMapAttr>(past.result, attr::kShape)
            .getValue();
    auto own = AffineMapAttr::get(shape.getSubMap({unsigned(past.axis)}));
    if (length && length != own) {
      error(past) << "expected the length of all states, " << length << ", got "
                  << own;
      return failure();
    }
    length = own;
    arguments.set(past.argument.getArgNumber());
    results.set(past.result);
  }
  func->setAttr(attr::kLength, length);
  ret->eraseOperands(results);
  ret->insertOperands(ret->getNumOperands(), states);
  if (failed(func.eraseArguments(arguments)) ||
      failed(func.eraseResults(results)))
    return failure();
  for (auto [past, state] : llvm::zip_equal(pasts, states)) {
    Builder b(&getContext());
    auto attrs = b.getDictionaryAttr(b.getNamedAttr(attr::kState, past.name));
    if (failed(func.insertResult(func.getNumResults(), state.getType(), attrs)))
      return failure();
  }
  return success();
}
