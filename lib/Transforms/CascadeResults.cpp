//===- CascadeResults.cpp - What follows cascades, in them ----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CascadeResults.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// The map that alone reads a result and only converts its elements.
static linalg::GenericOp conversionOf(Value result) {
  auto reader = result.hasOneUse()
                    ? dyn_cast<linalg::GenericOp>(*result.user_begin())
                    : linalg::GenericOp();
  if (!reader || reader.getNumDpsInputs() != 1 ||
      reader->getNumResults() != 1 || !reader.hasPureTensorSemantics() ||
      reader.getNumReductionLoops() != 0 ||
      llvm::any_of(reader.getIndexingMapsArray(),
                   [](AffineMap map) { return !map.isIdentity(); }))
    return nullptr;
  Block *body = reader.getBlock();
  bool isConversion =
      body->getArgument(1).use_empty() &&
      llvm::all_of(body->without_terminator(), [](Operation &op) {
        return isa<arith::ExtFOp, arith::TruncFOp>(op);
      });
  return isConversion ? reader : linalg::GenericOp();
}

/// The value that a body of a map has for `element`.
static Value cloneBody(OpBuilder &b, linalg::GenericOp map, Value element) {
  IRMapping mapping;
  mapping.map(map.getBlock()->getArgument(0), element);
  for (Operation &op : map.getBlock()->without_terminator())
    b.clone(op, mapping);
  return mapping.lookupOrDefault(
      map.getBlock()->getTerminator()->getOperand(0));
}

void lutra::takeConversions(CascadeOp op) {
  Operation *yield = op.getBlock()->getTerminator();
  for (OpResult result : op.getResults()) {
    linalg::GenericOp map = conversionOf(result);
    if (!map)
      continue;
    OpOperand &yielded = yield->getOpOperand(result.getResultNumber());
    auto type = cast<RankedTensorType>(map.getResultTypes()[0]);
    auto producer = yielded.get().getDefiningOp<EinsumOp>();
    if (producer && !producer.hasReduction() && producer->hasOneUse()) {
      Operation *point = producer.getBlock()->getTerminator();
      OpBuilder b(point);
      point->setOperand(0, cloneBody(b, map, point->getOperand(0)));
      producer.getResult().setType(type);
    } else {
      OpBuilder b(yield);
      yielded.set(EinsumOp::create(
                      b, map.getLoc(), type,
                      b.getStrArrayAttr(*ranksOf(yielded.get())), yielded.get(),
                      [&](OpBuilder &b, Location, ValueRange elements) {
                        return cloneBody(b, map, elements[0]);
                      })
                      .getResult());
    }
    result.setType(type);
    map.getResult(0).replaceAllUsesWith(result);
    map.erase();
  }
}
