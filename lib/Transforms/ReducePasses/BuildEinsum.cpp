//===- BuildEinsum.cpp - Terms become Einsums and words -------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The way back from terms: the body of an Einsum that computes a term, with one
// argument for each element that it reads, and the short formula that a report
// shows for it.
//
//===----------------------------------------------------------------------===//

#include "Terms.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Format.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

//===----------------------------------------------------------------------===//
// Einsums
//===----------------------------------------------------------------------===//

EinsumShape EinsumShape::of(EinsumOp op) {
  EinsumShape shape;
  for (unsigned rank = 0; rank < op.getNumRanks(); ++rank)
    shape.iter.push_back(op.getRankName(rank));
  shape.result = *ranksOf(op.getResult());
  shape.type = cast<RankedTensorType>(op.getType());
  shape.monoid = op.getMonoid();
  shape.filters = op.getFiltersAttr();
  shape.symbols = llvm::to_vector(op.getSymbols());
  shape.mask = op.getMask();
  if (shape.mask)
    shape.maskMap = op.getMaskMap();
  shape.init = op.getInit();
  return shape;
}

EinsumShape EinsumShape::asMap() const {
  EinsumShape shape;
  shape.iter = shape.result = result;
  shape.type = type;
  return shape;
}

namespace {
/// Writes terms into the body of an Einsum.
class BodyWriter {
public:
  BodyWriter(OpBuilder &b, Location loc, Block *body, ArrayRef<Value> inputs,
             ArrayRef<AffineMap> maps)
      : b(b), loc(loc) {
    for (auto [i, argument] : llvm::enumerate(body->getArguments()))
      arguments[{inputs[i], maps[i]}] = argument;
  }

  Value write(const Term *term) {
    Value &value = values[term];
    if (value)
      return value;
    if (term->isElement())
      return value = isa<ShapedType>(term->source.getType())
                         ? arguments.lookup({term->source, term->map})
                         : term->source;
    SmallVector<Value> operands;
    for (const Term *operand : term->operands)
      operands.push_back(write(operand));
    OperationState state(loc, *term->name, operands, term->type,
                         term->attributes.getValue());
    return values[term] = b.create(state)->getResult(0);
  }

private:
  OpBuilder &b;
  Location loc;
  llvm::DenseMap<std::pair<Value, AffineMap>, Value> arguments;
  llvm::DenseMap<const Term *, Value> values;
};
} // namespace

void lutra::cascade::collectElements(const Term *term,
                                     SmallPtrSetImpl<const Term *> &seen,
                                     function_ref<void(const Term *)> visit) {
  if (!seen.insert(term).second)
    return;
  if (term->isElement() && isa<ShapedType>(term->source.getType()))
    visit(term);
  for (const Term *operand : term->operands)
    collectElements(operand, seen, visit);
}

EinsumOp lutra::cascade::buildEinsum(OpBuilder &b, Location loc,
                                     CascadeOp cascade,
                                     const EinsumShape &shape,
                                     const Term *point) {
  MLIRContext *context = b.getContext();
  unsigned numRanks = shape.iter.size();
  SmallVector<AffineExpr> positions(cascade.getRanks().size(),
                                    getAffineConstantExpr(0, context));
  for (auto [i, rank] : llvm::enumerate(shape.iter))
    positions[*cascade.findRank(rank)] = getAffineDimExpr(i, context);

  SmallPtrSet<const Term *, 16> seen;
  SmallVector<const Term *> elements;
  collectElements(point, seen,
                  [&](const Term *element) { elements.push_back(element); });
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps, elementMaps;
  for (const Term *element : elements) {
    inputs.push_back(element->source);
    elementMaps.push_back(element->map);
    maps.push_back(
        element->map.replaceDimsAndSymbols(positions, {}, numRanks, 0));
  }
  if (shape.mask)
    maps.push_back(shape.maskMap);
  SmallVector<AffineExpr> resultExprs;
  for (StringRef rank : shape.result)
    resultExprs.push_back(positions[*cascade.findRank(rank)]);
  maps.push_back(AffineMap::get(numRanks, 0, resultExprs, context));

  auto einsum = EinsumOp::create(
      b, loc, shape.type, inputs, shape.mask, shape.symbols, shape.init,
      b.getStrArrayAttr(shape.iter), b.getAffineMapArrayAttr(maps),
      shape.monoid ? MonoidAttr::get(context, *shape.monoid) : MonoidAttr(),
      shape.filters);
  OpBuilder::InsertionGuard guard(b);
  Block *body = b.createBlock(&einsum.getBody());
  for (Value input : inputs)
    body->addArgument(getElementTypeOrSelf(input.getType()), loc);
  Value value = BodyWriter(b, loc, body, inputs, elementMaps).write(point);
  YieldOp::create(b, loc, value);
  return einsum;
}

//===----------------------------------------------------------------------===//
// Words
//===----------------------------------------------------------------------===//

/// Longer formulas end in dots.
static constexpr unsigned kMaxWords = 64;

std::string lutra::cascade::describe(EinsumOp op) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << (op.getMonoid() == Monoid::Add ? "sum"
                                       : stringifyMonoid(*op.getMonoid()))
     << '[';
  llvm::ListSeparator separator(", ");
  for (unsigned rank = 0; rank < op.getNumRanks(); ++rank)
    if (op.isReduced(rank))
      os << separator << op.getRankName(rank);
  os << ']';
  return text;
}

namespace {
class Describer {
public:
  explicit Describer(Terms &terms) {
    // Numbered as they are met first.
    for (EinsumOp op : terms.getCascade().getBlock()->getOps<EinsumOp>())
      for (Value input : op.getInputs())
        if (input.getParentBlock() != terms.getCascade().getBlock())
          numbers.try_emplace(input, numbers.size());
  }

  std::string describe(const Term *term) {
    print(term, 0, 6);
    if (text.size() > kMaxWords)
      text = text.substr(0, kMaxWords) + "...";
    return text;
  }

private:
  void print(const Term *term, unsigned outer, unsigned depth);
  void printBinary(const Term *term, StringRef sign, unsigned level,
                   unsigned outer, unsigned depth) {
    if (level < outer)
      text += '(';
    print(term->operands[0], level, depth);
    text += sign;
    print(term->operands[1], level + 1, depth);
    if (level < outer)
      text += ')';
  }
  void printElement(const Term *term);
  void printConstant(const Term *term);

  llvm::DenseMap<Value, unsigned> numbers;
  std::string text;
};
} // namespace

void Describer::printElement(const Term *term) {
  auto op = term->source.getDefiningOp<EinsumOp>();
  if (op && op.hasReduction()) {
    text += ::describe(op);
    return;
  }
  auto it = numbers.find(term->source);
  text +=
      it == numbers.end() ? std::string("x") : "x" + std::to_string(it->second);
}

void Describer::printConstant(const Term *term) {
  auto real = dyn_cast<FloatAttr>(term->attributes.get("value"));
  llvm::raw_string_ostream os(text);
  if (real)
    os << llvm::format("%g", real.getValueAsDouble());
  else
    os << term->attributes.get("value");
}

void Describer::print(const Term *term, unsigned outer, unsigned depth) {
  if (text.size() > kMaxWords)
    return;
  if (term->isElement())
    return printElement(term);
  if (term->isa<arith::ConstantOp>())
    return printConstant(term);
  if (depth == 0) {
    text += "...";
    return;
  }
  if (term->isa<arith::ExtFOp, arith::TruncFOp>())
    return print(term->operands[0], outer, depth);
  if (term->isa<arith::AddFOp, arith::AddIOp>())
    return printBinary(term, " + ", 1, outer, depth - 1);
  if (term->isa<arith::SubFOp, arith::SubIOp>())
    return printBinary(term, " - ", 1, outer, depth - 1);
  if (term->isa<arith::MulFOp, arith::MulIOp>())
    return printBinary(term, " * ", 2, outer, depth - 1);
  if (term->isa<arith::DivFOp, DivideOp>())
    return printBinary(term, " / ", 2, outer, depth - 1);
  text += llvm::StringSwitch<StringRef>(term->name->getStringRef())
              .Cases({"math.roundeven", "math.round"}, "round")
              .Case("math.absf", "abs")
              .Case("arith.negf", "-")
              .Case("arith.maximumf", "max")
              .Case("arith.minimumf", "min")
              .Default(term->name->stripDialect());
  text += '(';
  llvm::ListSeparator separator(", ");
  for (const Term *operand : term->operands) {
    text += StringRef(separator);
    print(operand, 0, depth - 1);
  }
  text += ')';
}

std::string lutra::cascade::describe(Terms &terms, const Term *term) {
  return Describer(terms).describe(terms.inlined(term));
}
