//===- SizeExpressions.cpp - Sizes as formulas for people -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads index arithmetic back into affine expressions. A model decides how long
// that arithmetic is, so every expression is bounded: one that doubles from
// step to step becomes unknown, and never a formula of pages.
//
//===----------------------------------------------------------------------===//

#include "lutra/Analysis/SizeExpressions.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::lutra;

/// Operators and operands of the longest formula.
static constexpr unsigned kMaxTerms = 48;

/// Takes the terms of `expr` from `budget`; false where it does not suffice.
static bool take(AffineExpr expr, unsigned &budget) {
  if (budget == 0)
    return false;
  --budget;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  return !binary ||
         (take(binary.getLHS(), budget) && take(binary.getRHS(), budget));
}

static AffineExpr bounded(AffineExpr expr) {
  unsigned budget = kMaxTerms;
  return expr && take(expr, budget) ? expr : AffineExpr();
}

AffineExpr lutra::boundedSum(AffineExpr a, AffineExpr b) {
  return a && b ? bounded(a + b) : AffineExpr();
}

AffineExpr lutra::boundedProduct(AffineExpr a, AffineExpr b) {
  return a && b ? bounded(a * b) : AffineExpr();
}

AffineExpr lutra::boundedProduct(ArrayRef<AffineExpr> sizes,
                                 AffineExpr factor) {
  for (AffineExpr size : sizes)
    factor = boundedProduct(factor, size);
  return factor;
}

AffineExpr lutra::substitute(AffineExpr expr, ArrayRef<AffineExpr> symbols) {
  if (!expr)
    return expr;
  SmallVector<AffineExpr> values;
  for (auto [i, symbol] : llvm::enumerate(symbols)) {
    if (!symbol && expr.isFunctionOfSymbol(i))
      return {};
    values.push_back(symbol ? symbol
                            : getAffineConstantExpr(0, expr.getContext()));
  }
  return bounded(expr.replaceSymbols(values));
}

std::optional<int64_t> lutra::evaluate(AffineExpr expr,
                                       ArrayRef<int64_t> symbols) {
  if (!expr)
    return std::nullopt;
  SmallVector<AffineExpr> values;
  for (int64_t symbol : symbols)
    values.push_back(getAffineConstantExpr(symbol, expr.getContext()));
  auto value = dyn_cast<AffineConstantExpr>(expr.replaceSymbols(values));
  return value ? std::optional(value.getValue()) : std::nullopt;
}

static std::string print(AffineExpr expr, ArrayRef<std::string> names);

/// The operands of a tree of one operator, in order.
static SmallVector<AffineExpr> flatten(AffineExpr expr, AffineExprKind kind) {
  SmallVector<AffineExpr> operands, stack = {expr};
  while (!stack.empty()) {
    AffineExpr next = stack.pop_back_val();
    if (next.getKind() == kind) {
      auto binary = cast<AffineBinaryOpExpr>(next);
      stack.append({binary.getRHS(), binary.getLHS()});
    } else {
      operands.push_back(next);
    }
  }
  return operands;
}

/// A term of a sum as its constant factor and the text of the others.
static std::pair<int64_t, std::string> printTerm(AffineExpr term,
                                                 ArrayRef<std::string> names) {
  int64_t factor = 1;
  std::string text;
  for (AffineExpr operand : flatten(term, AffineExprKind::Mul)) {
    auto constant = dyn_cast<AffineConstantExpr>(operand);
    int64_t product = 0;
    if (constant && !llvm::MulOverflow(factor, constant.getValue(), product)) {
      factor = product;
      continue;
    }
    bool isSum = operand.getKind() == AffineExprKind::Add;
    text += text.empty() ? "" : "*";
    text += isSum ? "(" + print(operand, names) + ")" : print(operand, names);
  }
  return {factor, text};
}

/// A sum whose like terms are one, or a product, with the constant factor
/// first.
static std::string printSum(AffineExpr expr, ArrayRef<std::string> names) {
  SmallVector<std::pair<std::string, int64_t>> terms;
  for (AffineExpr term : flatten(expr, AffineExprKind::Add)) {
    auto [factor, text] = printTerm(term, names);
    auto *like = llvm::find_if(
        terms, [&, &text = text](auto &known) { return known.first == text; });
    if (like == terms.end())
      terms.emplace_back(text, factor);
    else if (llvm::AddOverflow(like->second, factor, like->second))
      return "?";
  }
  std::string text;
  for (const auto &[others, factor] : terms) {
    text += text.empty() ? "" : " + ";
    if (others.empty() || factor != 1)
      text += std::to_string(factor) + (others.empty() ? "" : "*");
    text += others;
  }
  return text;
}

static std::string print(AffineExpr expr, ArrayRef<std::string> names) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return std::to_string(constant.getValue());
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return names[symbol.getPosition()];
  AffineExprKind kind = expr.getKind();
  if (kind == AffineExprKind::Add || kind == AffineExprKind::Mul)
    return printSum(expr, names);
  auto binary = cast<AffineBinaryOpExpr>(expr);
  std::string a = print(binary.getLHS(), names),
              b = print(binary.getRHS(), names);
  if (kind == AffineExprKind::CeilDiv)
    return "ceildiv(" + a + ", " + b + ")";
  bool isMod = kind == AffineExprKind::Mod;
  return "((" + a + (isMod ? ") % (" : ") // (") + b + "))";
}

std::string lutra::formula(AffineExpr expr, ArrayRef<std::string> names) {
  return expr ? print(expr, names) : "?";
}

AffineExpr SizeExpressions::value(OpFoldResult index) {
  if (std::optional<int64_t> number = getConstantIntValue(index))
    return constant(*number);
  auto value = dyn_cast<Value>(index);
  if (!value)
    return {};
  auto it = known.find(value);
  if (it != known.end())
    return it->second;
  AffineExpr expr = bounded(compute(value));
  known[value] = expr;
  return expr;
}

AffineExpr SizeExpressions::compute(Value index) {
  if (auto argument = dyn_cast<BlockArgument>(index))
    return leaf(argument, std::nullopt);
  Operation *op = index.getDefiningOp();
  if (auto dim = dyn_cast<tensor::DimOp>(op)) {
    std::optional<int64_t> position = dim.getConstantIndex();
    return position ? size(dim.getSource(), *position) : AffineExpr();
  }
  if (auto apply = dyn_cast<affine::AffineApplyOp>(op)) {
    SmallVector<AffineExpr> operands;
    for (Value operand : apply.getMapOperands())
      if (AffineExpr expr = value(operand))
        operands.push_back(expr);
      else
        return {};
    AffineMap map = apply.getAffineMap();
    ArrayRef<AffineExpr> all = operands;
    return map.getResult(0).replaceDimsAndSymbols(
        all.take_front(map.getNumDims()), all.drop_front(map.getNumDims()));
  }
  if (op->getNumOperands() != 2 || !isa<arith::ArithDialect>(op->getDialect()))
    return {};
  AffineExpr a = value(op->getOperand(0)), b = value(op->getOperand(1));
  if (!a || !b)
    return {};
  if (isa<arith::AddIOp>(op))
    return a + b;
  if (isa<arith::SubIOp>(op))
    return a - b;
  if (isa<arith::MulIOp>(op))
    return a * b;
  auto divisor = dyn_cast<AffineConstantExpr>(b);
  if (!divisor || divisor.getValue() < 1)
    return {};
  if (isa<arith::DivUIOp, arith::DivSIOp, arith::FloorDivSIOp>(op))
    return a.floorDiv(b);
  if (isa<arith::CeilDivUIOp, arith::CeilDivSIOp>(op))
    return a.ceilDiv(b);
  return isa<arith::RemUIOp, arith::RemSIOp>(op) ? a % b : AffineExpr();
}

AffineExpr SizeExpressions::size(Value shaped, unsigned dim) {
  auto type = dyn_cast<ShapedType>(shaped.getType());
  if (!type || !type.hasRank() || dim >= type.getRank())
    return {};
  if (!type.isDynamicDim(dim))
    return constant(type.getDimSize(dim));
  if (auto argument = dyn_cast<BlockArgument>(shaped))
    return bounded(leaf(argument, dim));
  return bounded(computeSize(cast<OpResult>(shaped), dim));
}

SmallVector<AffineExpr> SizeExpressions::sizes(Value shaped) {
  SmallVector<AffineExpr> result;
  for (unsigned dim :
       llvm::seq<unsigned>(cast<ShapedType>(shaped.getType()).getRank()))
    result.push_back(size(shaped, dim));
  return result;
}

/// Where the dimension `dim` of a slice is in its source.
template <typename Slice>
static OpFoldResult sliceSize(Slice op, unsigned dim) {
  llvm::SmallBitVector dropped = op.getDroppedDims();
  for (auto [i, size] : llvm::enumerate(op.getMixedSizes()))
    if (!dropped.test(i) && dim-- == 0)
      return size;
  return {};
}

AffineExpr SizeExpressions::computeSize(OpResult shaped, unsigned dim) {
  auto product = [&](auto op) {
    AffineExpr result = constant(1);
    ReassociationIndices sources = op.getReassociationIndices()[dim];
    for (int64_t i : sources)
      result = boundedProduct(result, size(op.getSrc(), i));
    return result;
  };
  return llvm::TypeSwitch<Operation *, AffineExpr>(shaped.getOwner())
      .Case([&](tensor::EmptyOp op) { return value(op.getMixedSizes()[dim]); })
      .Case([&](memref::ViewOp op) {
        return value(op.getSizes()[op.getType().getDynamicDimIndex(dim)]);
      })
      .Case([&](memref::ReinterpretCastOp op) {
        return value(op.getMixedSizes()[dim]);
      })
      .Case<tensor::ExpandShapeOp, memref::ExpandShapeOp>(
          [&](auto op) { return value(op.getMixedOutputShape()[dim]); })
      .Case<tensor::CollapseShapeOp, memref::CollapseShapeOp>(product)
      .Case<tensor::ExtractSliceOp, memref::SubViewOp>(
          [&](auto op) { return value(sliceSize(op, dim)); })
      .Case([&](tensor::PadOp op) {
        return boundedSum(size(op.getSource(), dim),
                          boundedSum(value(op.getMixedLowPad()[dim]),
                                     value(op.getMixedHighPad()[dim])));
      })
      .Case<tensor::CastOp, memref::CastOp>(
          [&](auto op) { return size(op.getSource(), dim); })
      .Case([&](tensor::InsertSliceOp op) { return size(op.getDest(), dim); })
      .Case([&](DestinationStyleOpInterface op) {
        return size(op.getTiedOpOperand(shaped)->get(), dim);
      })
      .Case([&](LoopLikeOpInterface op) {
        OpOperand *init = op.getTiedLoopInit(shaped);
        return init ? size(init->get(), dim) : AffineExpr();
      })
      .Default([](Operation *) { return AffineExpr(); });
}
