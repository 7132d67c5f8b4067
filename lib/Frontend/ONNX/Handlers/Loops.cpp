//===- Loops.cpp - Loops that update tensors in order ---------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Builds nests of scf.for that carry tensors. Bufferization updates these in
// place.
//
//===----------------------------------------------------------------------===//

#include "Loops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::lutra;

SmallVector<Value> lutra::loopInOrder(Lowering &lowering,
                                      ArrayRef<AffineExpr> loops,
                                      ValueRange inits, LoopStep step) {
  ImplicitLocOpBuilder &b = lowering.b;
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value one = arith::ConstantIndexOp::create(b, 1);
  SmallVector<Value> sizes = llvm::map_to_vector(
      loops, [&](AffineExpr size) { return lowering.sizeValue(size); });
  if (sizes.empty())
    sizes.push_back(one);
  SmallVector<Value> zeros(sizes.size(), zero), ones(sizes.size(), one);
  scf::LoopNest nest = scf::buildLoopNest(
      b, b.getLoc(), zeros, sizes, ones, inits,
      [&](OpBuilder &nested, Location loc, ValueRange index,
          ValueRange tensors) {
        ImplicitLocOpBuilder inner(loc, nested);
        return step(inner, index.take_front(loops.size()), tensors);
      });
  return nest.results;
}
