//===- SimplifyCascades.cpp - Cheaper points of running references --------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What is done for each point of an iteration, but need not be. Masks leave the
// maps that they stand in. Maps that a machine has an instruction for move into
// what reads them. A map that keeps the order of numbers is applied to a
// maximum and not to each point of it. Exponentials of differences to a
// reference are taken to base 2, with the logarithm of e in a factor that is
// there anyway. A sum of them divides once a row. And conversions of results
// are done where these are computed.
//
//===----------------------------------------------------------------------===//

#include "BaseTwo.h"
#include "CascadeDivisions.h"
#include "CascadeResults.h"
#include "MaskingMaps.h"
#include "dialects/Cascade/Cascade.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_SIMPLIFYCASCADES
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

//===----------------------------------------------------------------------===//
// Maps that are one instruction move into what reads them.
//===----------------------------------------------------------------------===//

/// Products take their factors from memory, where they should be ready.
static bool takesMaps(EinsumOp op) {
  return !op.hasReduction() || op.getInputs().size() == 1;
}

/// Puts the body of `producer` before that of `reader`, for its input `i`.
static void inlineMap(EinsumOp producer, EinsumOp reader, unsigned i) {
  BlockArgument argument = reader.getBlock()->getArgument(i);
  BlockArgument from = producer.getBlock()->getArgument(0);
  OpBuilder b = OpBuilder::atBlockBegin(reader.getBlock());
  Location loc = argument.getLoc();
  // A new argument in the place of the old one, which may be of another type.
  BlockArgument element =
      reader.getBlock()->insertArgument(i, from.getType(), loc);
  argument = reader.getBlock()->getArgument(i + 1);
  IRMapping map;
  map.map(from, element);
  for (Operation &op : producer.getBlock()->without_terminator())
    b.clone(op, map);
  argument.replaceAllUsesWith(map.lookupOrDefault(producer.getEinsumPoint()));
  reader.getBlock()->eraseArgument(i + 1);
  reader->setOperand(i, producer.getInputs()[0]);
}

static void inlineMaps(Block &block) {
  for (auto reader : block.getOps<EinsumOp>())
    for (unsigned i = 0; takesMaps(reader) && i < reader.getInputs().size();)
      if (auto producer = reader.getInputs()[i].getDefiningOp<EinsumOp>();
          producer && producer->getBlock() == &block && isCheapMap(producer))
        inlineMap(producer, reader, i);
      else
        ++i;
  eraseUnread(block);
}

//===----------------------------------------------------------------------===//
// Maps that keep the order of numbers leave maxima.
//===----------------------------------------------------------------------===//

/// The operations that lead from the body's argument to its value, if each of
/// them keeps the order of numbers.
static std::optional<SmallVector<Operation *>> orderedChain(EinsumOp op) {
  SmallVector<Operation *> chain;
  Value x = op.getBlock()->getArgument(0);
  while (x != op.getEinsumPoint()) {
    if (!x.hasOneUse() || !keepsOrder(**x.user_begin(), x))
      return std::nullopt;
    chain.push_back(*x.user_begin());
    x = chain.back()->getResult(0);
  }
  return chain;
}

/// max f(x) = f(max x).
static void hoistOutOfMaximum(EinsumOp op) {
  if (op.getMonoid() != Monoid::Max || op.getInputs().size() != 1 ||
      op.getInit())
    return;
  auto chain = orderedChain(op);
  Block *body = op.getBlock();
  if (!chain || chain->empty() ||
      body->getArgument(0).getType() != op.getEinsumPoint().getType())
    return;
  OpBuilder b(op->getContext());
  b.setInsertionPointAfter(op);
  auto map = EinsumOp::create(
      b, op.getLoc(), op.getType(), b.getStrArrayAttr(*ranksOf(op.getResult())),
      op.getResult(), [&](OpBuilder &b, Location, ValueRange elements) {
        IRMapping mapping;
        mapping.map(body->getArgument(0), elements[0]);
        for (Operation &each : body->without_terminator())
          b.clone(each, mapping);
        return mapping.lookupOrDefault(op.getEinsumPoint());
      });
  body->getTerminator()->setOperand(0, body->getArgument(0));
  for (Operation *each : llvm::reverse(*chain))
    each->erase();
  op.getResult().replaceAllUsesExcept(map.getResult(), map);
}

namespace {
struct SimplifyCascades : lutra::impl::SimplifyCascadesBase<SimplifyCascades> {
  using SimplifyCascadesBase::SimplifyCascadesBase;

  void runOnOperation() override {
    SmallVector<IterateOp> iterations;
    getOperation().walk([&](IterateOp op) {
      if (op->getParentOfType<CascadeOp>().getReassoc())
        iterations.push_back(op);
    });
    for (IterateOp iterate : iterations) {
      takeConversions(iterate->getParentOfType<CascadeOp>());
      inlineMaps(*iterate.getBlock());
      for (auto op : llvm::to_vector(iterate.getBlock()->getOps<EinsumOp>()))
        separateMask(op);
      inlineMaps(*iterate.getBlock());
      for (auto op : llvm::to_vector(iterate.getBlock()->getOps<EinsumOp>()))
        hoistOutOfMaximum(op);
      takeBaseTwo(iterate);
      divideOnceARow(iterate);
    }
  }
};
} // namespace
