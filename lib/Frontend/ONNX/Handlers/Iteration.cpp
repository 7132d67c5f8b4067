//===- Iteration.cpp - Subgraphs that run as a loop -----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The body is lowered once, inside an scf.for that carries the states and the
// outputs. All of it becomes one kernel, so that what the body computes in
// passing lies on the stack and must be small and of known size.
//
//===----------------------------------------------------------------------===//

#include "Iteration.h"

#include "Operands.h"
#include "Part.h"
#include "dialects/Lutra/Lutra.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::lutra;

/// What the temporaries of a body may take of a stack.
static constexpr int64_t kMaxStackBytes = 1 << 18;

namespace {
class Iterator {
public:
  Iterator(const Node &node, Lowering &lowering, const Iteration &iteration)
      : node(node), lowering(lowering), b(lowering.b), iteration(iteration) {}

  FailureOr<SmallVector<Tensor>> run();

private:
  SmallVector<Tensor> arguments(scf::ForOp loop);
  LogicalResult yieldStates(ArrayRef<Tensor> next);
  void keepStates(scf::ForOp loop);
  FailureOr<SmallVector<Tensor>> addOutputs(scf::ForOp &loop,
                                            ArrayRef<Tensor> elements);
  LogicalResult checkTemporaries(scf::ForOp loop);
  OpFoldResult placeOf(Value number, bool isBackward);
  Part elementOf(ArrayRef<AffineExpr> shape, Iteration::Walk walk,
                 Value number);

  const Node &node;
  Lowering &lowering;
  ImplicitLocOpBuilder &b;
  const Iteration &iteration;
};
} // namespace

/// Where iteration `number` is along a walk.
OpFoldResult Iterator::placeOf(Value number, bool isBackward) {
  if (!isBackward)
    return number;
  AffineExpr i = b.getAffineSymbolExpr(0), n = b.getAffineSymbolExpr(1);
  return affine::makeComposedFoldedAffineApply(
      b, b.getLoc(), AffineMap::get(0, 2, n - 1 - i),
      {OpFoldResult(number), lowering.size(iteration.trips)});
}

/// An iteration's element of a tensor of `shape`, without the walk's axis.
Part Iterator::elementOf(ArrayRef<AffineExpr> shape, Iteration::Walk walk,
                         Value number) {
  Part part;
  for (auto [dim, size] : llvm::enumerate(shape))
    part = int64_t(dim) == walk.axis
               ? std::move(part).pick(placeOf(number, walk.isBackward))
               : std::move(part).take(b.getIndexAttr(0), lowering.size(size));
  return part;
}

/// What the body gets at the loop's iteration.
SmallVector<Tensor> Iterator::arguments(scf::ForOp loop) {
  SmallVector<Tensor> all;
  Value number = loop.getInductionVar();
  if (iteration.isLoop) {
    Value i64 = arith::IndexCastOp::create(b, b.getI64Type(), number);
    Value scalar = tensor::FromElementsOp::create(
        b, RankedTensorType::get({}, b.getI64Type()), i64);
    all.push_back(lowering.tensor(scalar, DType::Int64));
    all.push_back(lowering.cast(
        lowering.intsTensor(lowering.constant(1), DType::Int64, true),
        DType::Bool));
  }
  for (auto [state, argument] :
       llvm::zip_equal(iteration.states, loop.getRegionIterArgs()))
    all.push_back(lowering.tensor(argument, state.shape, state.dtype));
  for (auto [input, walk] :
       llvm::zip_equal(iteration.inputs, iteration.inputWalks)) {
    Shape shape = input.shape;
    shape.erase(shape.begin() + walk.axis);
    Value element = elementOf(input.shape, walk, number).of(b, input.value);
    all.push_back(lowering.tensor(element, shape, input.dtype));
  }
  return all;
}

/// Ends the loop's body with the states for the next iteration.
LogicalResult Iterator::yieldStates(ArrayRef<Tensor> next) {
  SmallVector<Value> values;
  for (auto [state, after] : llvm::zip_equal(iteration.states, next)) {
    if (after.dtype != state.dtype || after.shape != state.shape)
      return node.error() << "expected a state of shape "
                          << lowering.str(state.shape)
                          << " after each iteration, got "
                          << lowering.str(after.shape);
    values.push_back(after.value);
  }
  if (!values.empty())
    scf::YieldOp::create(b, values);
  return success();
}

/// Copies the states to where the loop keeps them, after all else.
void Iterator::keepStates(scf::ForOp loop) {
  OpBuilder::InsertionGuard guard(b);
  Operation *yield = loop.getBody()->getTerminator();
  b.setInsertionPoint(yield);
  for (size_t i = 0; i < iteration.states.size(); ++i) {
    OpOperand &next = yield->getOpOperand(i);
    Value kept = loop.getRegionIterArg(i);
    if (next.get() != kept)
      next.set(linalg::CopyOp::create(b, next.get(), kept).getResult(0));
  }
}

/// Lets the loop put the elements that its iterations yield together.
FailureOr<SmallVector<Tensor>> Iterator::addOutputs(scf::ForOp &loop,
                                                    ArrayRef<Tensor> elements) {
  SmallVector<Tensor> outputs;
  SmallVector<Value> inits;
  SmallVector<Iteration::Walk> walks(iteration.outputWalks);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(loop);
  for (auto [element, walk] : llvm::zip_equal(elements, walks)) {
    auto axis = normalizeAxis(node, walk.axis, element.rank() + 1);
    if (failed(axis))
      return failure();
    walk.axis = *axis;
    Shape shape = element.shape;
    shape.insert(shape.begin() + *axis, iteration.trips);
    inits.push_back(lowering.empty(shape, element.dtype));
    outputs.push_back(lowering.tensor(inits.back(), shape, element.dtype));
  }
  auto insertAll = [&](OpBuilder &nested, Location loc,
                       ArrayRef<BlockArgument> kept) {
    OpBuilder::InsertionGuard inside(b);
    b.restoreInsertionPoint(nested.saveInsertionPoint());
    Value number = cast<scf::ForOp>(kept.front().getOwner()->getParentOp())
                       .getInductionVar();
    SmallVector<Value> values;
    for (auto [argument, element, output, walk] :
         llvm::zip_equal(kept, elements, outputs, walks))
      values.push_back(elementOf(output.shape, walk, number)
                           .insert(b, element.value, argument));
    return values;
  };
  if (outputs.empty())
    return outputs;
  IRRewriter rewriter(b.getContext());
  FailureOr<LoopLikeOpInterface> replaced = loop.replaceWithAdditionalYields(
      rewriter, inits, /*replaceInitOperandUsesInLoop=*/false, insertAll);
  if (failed(replaced))
    return node.error() << "expected a body that a loop can hold";
  loop = cast<scf::ForOp>(replaced->getOperation());
  for (auto [output, value] :
       llvm::zip_equal(outputs, loop.getResults().take_back(outputs.size())))
    output.value = value;
  return outputs;
}

/// Refuses a body whose temporaries a stack cannot hold. States are among them:
/// where they trade places one is copied first.
LogicalResult Iterator::checkTemporaries(scf::ForOp loop) {
  int64_t bytes = 0;
  auto fits = [&](Type type) {
    int64_t size = 8;
    for (int64_t extent : cast<RankedTensorType>(type).getShape())
      if (ShapedType::isDynamic(extent) ||
          llvm::MulOverflow(size, extent, size))
        return false;
    return !llvm::AddOverflow(bytes, size, bytes) && bytes <= kMaxStackBytes;
  };
  bool allFit = llvm::all_of(iteration.states, [&](const Tensor &state) {
    return fits(state.value.getType());
  });
  loop.walk([&](Operation *op) {
    if (isa<tensor::EmptyOp, tensor::PadOp, tensor::GenerateOp,
            tensor::FromElementsOp>(op))
      allFit &= fits(op->getResult(0).getType());
  });
  if (!allFit)
    return node.error() << "expected a body whose tensors have known sizes, of "
                           "256 KiB at most in all";
  return success();
}

FailureOr<SmallVector<Tensor>> Iterator::run() {
  if (!lowering.isNonNegative(iteration.trips))
    return node.error() << "expected a number of iterations that is not "
                           "negative, got "
                        << sizeText(lowering, iteration.trips);
  SmallVector<Value> inits;
  for (const Tensor &state : iteration.states)
    inits.push_back(state.value);
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value one = arith::ConstantIndexOp::create(b, 1);
  auto loop = scf::ForOp::create(b, zero, lowering.sizeValue(iteration.trips),
                                 one, inits);
  FailureOr<SmallVector<Tensor>> results = failure();
  ArrayRef<Tensor> rest;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    results = lowering.lowerGraph(iteration.body, arguments(loop));
    size_t expected = iteration.isLoop + iteration.states.size() +
                      iteration.outputWalks.size();
    if (failed(results))
      return failure();
    if (results->size() != expected)
      return node.error() << "expected a subgraph of " << expected
                          << " outputs, got " << results->size();
    rest = *results;
    if (iteration.isLoop) {
      const Tensor &goesOn = rest.front();
      if (!goesOn.ints || goesOn.ints->size() != 1 ||
          goesOn.ints->front() != lowering.constant(1))
        return node.error() << "expected a condition that is known to hold "
                               "after each iteration";
      rest = rest.drop_front();
    }
    if (failed(yieldStates(rest.take_front(iteration.states.size()))))
      return failure();
    rest = rest.drop_front(iteration.states.size());
  }
  FailureOr<SmallVector<Tensor>> outputs = addOutputs(loop, rest);
  if (failed(outputs) || failed(checkTemporaries(loop)))
    return failure();
  keepStates(loop);
  // A weight is the host's, and a kernel is given it.
  for (auto weight :
       llvm::make_early_inc_range(loop.getBody()->getOps<WeightOp>()))
    weight->moveBefore(loop);
  SmallVector<Tensor> all;
  for (auto [state, value] : llvm::zip(iteration.states, loop.getResults()))
    all.push_back(lowering.tensor(value, state.shape, state.dtype));
  llvm::append_range(all, *outputs);
  return all;
}

FailureOr<SmallVector<Tensor>> lutra::iterate(const Node &node,
                                              Lowering &lowering,
                                              const Iteration &iteration) {
  return Iterator(node, lowering, iteration).run();
}
