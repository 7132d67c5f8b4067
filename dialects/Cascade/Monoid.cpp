//===- Monoid.cpp - What combines the points of a rank --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Cascade.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

bool lutra::cascade::isMonoidOver(Monoid monoid, Type type) {
  if (type.isSignlessIntOrIndex())
    return !type.isInteger(0);
  return isa<FloatType>(type) && monoid != Monoid::And && monoid != Monoid::Or;
}

static TypedAttr identityOf(Monoid monoid, FloatType type) {
  const llvm::fltSemantics &semantics = type.getFloatSemantics();
  // Without a 0 and a sign there is no sum, and little else that is computed.
  if (!APFloat::semanticsHasZero(semantics) ||
      !APFloat::semanticsHasSignedRepr(semantics))
    return nullptr;
  auto extreme = [&](bool isNegative) {
    return FloatAttr::get(type,
                          APFloat::semanticsHasInf(semantics)
                              ? APFloat::getInf(semantics, isNegative)
                              : APFloat::getLargest(semantics, isNegative));
  };
  switch (monoid) {
  case Monoid::Add:
    return FloatAttr::get(type, 0.0);
  case Monoid::Mul:
    return FloatAttr::get(type, 1.0);
  case Monoid::Max:
    return extreme(true);
  case Monoid::Min:
    return extreme(false);
  case Monoid::And:
  case Monoid::Or:
    return nullptr;
  }
  llvm_unreachable("unknown monoid");
}

TypedAttr lutra::cascade::identityOf(Monoid monoid, Type type) {
  Builder b(type.getContext());
  if (auto real = dyn_cast<FloatType>(type))
    return ::identityOf(monoid, real);
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer || !isMonoidOver(monoid, type))
    return nullptr;
  unsigned width = integer.getWidth();
  switch (monoid) {
  case Monoid::Add:
  case Monoid::Or:
    return b.getIntegerAttr(type, 0);
  case Monoid::Mul:
    return b.getIntegerAttr(type, 1);
  case Monoid::Max:
    return b.getIntegerAttr(type, APInt::getSignedMinValue(width));
  case Monoid::Min:
    return b.getIntegerAttr(type, APInt::getSignedMaxValue(width));
  case Monoid::And:
    return b.getIntegerAttr(type, APInt::getAllOnes(width));
  }
  llvm_unreachable("unknown monoid");
}

Value lutra::cascade::combine(OpBuilder &b, Location loc, Monoid monoid,
                              Value x, Value y) {
  bool isReal = isa<FloatType>(getElementTypeOrSelf(x.getType()));
  switch (monoid) {
  case Monoid::Add:
    return isReal ? arith::AddFOp::create(b, loc, x, y).getResult()
                  : arith::AddIOp::create(b, loc, x, y).getResult();
  case Monoid::Mul:
    return isReal ? arith::MulFOp::create(b, loc, x, y).getResult()
                  : arith::MulIOp::create(b, loc, x, y).getResult();
  // NaN propagates, as in ONNX.
  case Monoid::Max:
    return isReal ? arith::MaximumFOp::create(b, loc, x, y).getResult()
                  : arith::MaxSIOp::create(b, loc, x, y).getResult();
  case Monoid::Min:
    return isReal ? arith::MinimumFOp::create(b, loc, x, y).getResult()
                  : arith::MinSIOp::create(b, loc, x, y).getResult();
  case Monoid::And:
    return arith::AndIOp::create(b, loc, x, y);
  case Monoid::Or:
    return arith::OrIOp::create(b, loc, x, y);
  }
  llvm_unreachable("unknown monoid");
}

std::optional<Monoid> lutra::cascade::monoidOf(Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<Monoid>>(op)
      .Case<arith::AddFOp, arith::AddIOp>([](auto) { return Monoid::Add; })
      .Case<arith::MulFOp, arith::MulIOp>([](auto) { return Monoid::Mul; })
      .Case<arith::MaximumFOp, arith::MaxSIOp>([](auto) { return Monoid::Max; })
      .Case<arith::MinimumFOp, arith::MinSIOp>([](auto) { return Monoid::Min; })
      .Case<arith::AndIOp>([](auto) { return Monoid::And; })
      .Case<arith::OrIOp>([](auto) { return Monoid::Or; })
      .Default([](Operation *) { return std::nullopt; });
}
