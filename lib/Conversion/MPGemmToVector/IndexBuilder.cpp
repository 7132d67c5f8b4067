//===- IndexBuilder.cpp - Arithmetic of indices and loops -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "IndexBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::lutra;

Value IndexBuilder::constant(int64_t value) {
  return arith::ConstantIndexOp::create(b, loc, value);
}

Value IndexBuilder::add(Value lhs, Value rhs) {
  return arith::AddIOp::create(b, loc, lhs, rhs,
                               arith::IntegerOverflowFlags::nsw);
}

Value IndexBuilder::plus(Value index, int64_t by) {
  return by == 0 ? index : add(index, constant(by));
}

Value IndexBuilder::times(Value index, int64_t by) {
  return by == 1 ? index
                 : arith::MulIOp::create(b, loc, index, constant(by),
                                         arith::IntegerOverflowFlags::nsw)
                       .getResult();
}

Value IndexBuilder::upTo(int64_t most, Value begin, Value end) {
  return arith::MinUIOp::create(b, loc, constant(most),
                                arith::SubIOp::create(b, loc, end, begin));
}

void IndexBuilder::loop(Value begin, Value end, int64_t step,
                        function_ref<void(Value)> body) {
  auto loop = scf::ForOp::create(b, loc, begin, end, constant(step));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}
