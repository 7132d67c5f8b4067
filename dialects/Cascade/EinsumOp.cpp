//===- EinsumOp.cpp - One Einsum ------------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Cascade.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

//===----------------------------------------------------------------------===//
// EinsumOpInterface
//===----------------------------------------------------------------------===//

SmallVector<Value> EinsumOp::getEinsumInputs() {
  return llvm::to_vector(getInputs());
}

SmallVector<AffineMap> EinsumOp::getEinsumMaps() {
  SmallVector<AffineMap> maps;
  for (unsigned i = 0; i < getInputs().size(); ++i)
    maps.push_back(getInputMap(i));
  maps.push_back(getResultMap());
  return maps;
}

std::optional<Monoid> EinsumOp::getEinsumMonoid() { return getMonoid(); }

Value EinsumOp::getEinsumPoint() {
  return getBlock()->getTerminator()->getOperand(0);
}

Block *EinsumOp::getEinsumBody() { return getBlock(); }

//===----------------------------------------------------------------------===//
// Assembly
//===----------------------------------------------------------------------===//

namespace {
/// The ranks of an Einsum as names of affine dimensions.
using RankNames = SmallVector<std::pair<StringRef, AffineExpr>>;
} // namespace

static ParseResult parseMap(OpAsmParser &parser, const RankNames &names,
                            AffineMap &map) {
  SmallVector<AffineExpr> exprs;
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&] {
        return parser.parseAffineExpr(names, exprs.emplace_back());
      }))
    return failure();
  map = AffineMap::get(names.size(), 0, exprs, parser.getContext());
  return success();
}

/// `%x[p, m]`, of which a scalar has no indices.
static ParseResult parseOperand(OpAsmParser &parser, const RankNames &names,
                                OpAsmParser::UnresolvedOperand &operand,
                                AffineMap &map) {
  return failure(parser.parseOperand(operand) || parseMap(parser, names, map));
}

static ParseResult parseRanks(OpAsmParser &parser, ArrayAttr &iter,
                              RankNames &names) {
  SmallVector<Attribute> ranks;
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&] {
        std::string name;
        if (parser.parseKeywordOrString(&name))
          return failure();
        ranks.push_back(parser.getBuilder().getStringAttr(name));
        return success();
      }))
    return failure();
  iter = parser.getBuilder().getArrayAttr(ranks);
  for (auto [i, rank] : llvm::enumerate(ranks))
    names.push_back({cast<StringAttr>(rank).getValue(),
                     getAffineDimExpr(i, parser.getContext())});
  return success();
}

ParseResult EinsumOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &b = parser.getBuilder();
  ArrayAttr iter;
  RankNames names;
  SmallVector<OpAsmParser::UnresolvedOperand> inputs, masks, symbols, inits;
  SmallVector<AffineMap> maps;
  if (parseRanks(parser, iter, names) ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, [&] {
        return parseOperand(parser, names, inputs.emplace_back(),
                            maps.emplace_back());
      }))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("reduce"))) {
    StringRef keyword;
    llvm::SMLoc at = parser.getCurrentLocation();
    if (parser.parseLParen() || parser.parseKeyword(&keyword) ||
        parser.parseRParen())
      return failure();
    std::optional<Monoid> monoid = symbolizeMonoid(keyword);
    if (!monoid)
      return parser.emitError(at, "expected add, mul, max, min, and, or; got ")
             << keyword;
    result.addAttribute("monoid", MonoidAttr::get(b.getContext(), *monoid));
  }
  if (succeeded(parser.parseOptionalKeyword("filters"))) {
    ArrayAttr filters;
    if (parser.parseLParen() ||
        parser.parseAttribute(filters, "filters", result.attributes) ||
        parser.parseOperandList(symbols,
                                AsmParser::Delimiter::OptionalSquare) ||
        parser.parseRParen())
      return failure();
  }
  if (succeeded(parser.parseOptionalKeyword("mask")) &&
      (parser.parseLParen() ||
       parseOperand(parser, names, masks.emplace_back(), maps.emplace_back()) ||
       parser.parseRParen()))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("init")) &&
      (parser.parseLParen() || parser.parseOperand(inits.emplace_back()) ||
       parser.parseRParen()))
    return failure();
  FunctionType type;
  llvm::SMLoc at;
  if (parser.parseArrow() || parseMap(parser, names, maps.emplace_back()) ||
      parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
      parser.parseRegion(*result.addRegion()) ||
      parser.getCurrentLocation(&at) || parser.parseColonType(type))
    return failure();
  if (type.getNumResults() != 1)
    return parser.emitError(at, "expected one result");
  if (type.getNumInputs() != inputs.size() + masks.size())
    return parser.emitError(at, "expected the types of ")
           << inputs.size() + masks.size() << " operands, got "
           << type.getNumInputs();
  SmallVector<OpAsmParser::UnresolvedOperand> tensors(inputs);
  tensors.append(masks);
  if (parser.resolveOperands(tensors, type.getInputs(), at, result.operands) ||
      parser.resolveOperands(symbols, b.getIndexType(), result.operands) ||
      parser.resolveOperands(inits, type.getResult(0), result.operands))
    return failure();
  result.addTypes(type.getResults());
  result.addAttribute("iter", iter);
  result.addAttribute("maps", b.getAffineMapArrayAttr(maps));
  result.addAttribute(
      getOperandSegmentSizeAttr(),
      b.getDenseI32ArrayAttr({int32_t(inputs.size()), int32_t(masks.size()),
                              int32_t(symbols.size()), int32_t(inits.size())}));
  return success();
}

/// Prints an expression over named ranks.
static void printExpr(raw_ostream &os, AffineExpr expr, EinsumOp op,
                      bool isInner = false) {
  if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
    os << op.getRankName(dim.getPosition());
    return;
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary) {
    os << expr;
    return;
  }
  auto sign = [&]() -> StringRef {
    switch (expr.getKind()) {
    case AffineExprKind::Add:
      return " + ";
    case AffineExprKind::Mul:
      return " * ";
    case AffineExprKind::Mod:
      return " mod ";
    case AffineExprKind::FloorDiv:
      return " floordiv ";
    default:
      return " ceildiv ";
    }
  };
  if (isInner)
    os << '(';
  printExpr(os, binary.getLHS(), op, true);
  os << sign();
  printExpr(os, binary.getRHS(), op, true);
  if (isInner)
    os << ')';
}

static void printMap(OpAsmPrinter &p, AffineMap map, EinsumOp op) {
  p << '[';
  llvm::interleaveComma(map.getResults(), p, [&](AffineExpr expr) {
    printExpr(p.getStream(), expr, op);
  });
  p << ']';
}

void EinsumOp::print(OpAsmPrinter &p) {
  p << " [";
  llvm::interleaveComma(llvm::seq(getNumRanks()), p,
                        [&](unsigned rank) { p << getRankName(rank); });
  p << "] (";
  llvm::interleaveComma(llvm::enumerate(getInputs()), p, [&](auto input) {
    p << input.value();
    printMap(p, getInputMap(input.index()), *this);
  });
  p << ')';
  if (getMonoid())
    p << " reduce(" << stringifyMonoid(*getMonoid()) << ')';
  if (getFilters()) {
    p << " filters(" << *getFilters();
    if (!getSymbols().empty())
      p << '[' << getSymbols() << ']';
    p << ')';
  }
  if (getMask()) {
    p << " mask(" << getMask();
    printMap(p, getMaskMap(), *this);
    p << ')';
  }
  if (getInit())
    p << " init(" << getInit() << ')';
  p << " -> ";
  printMap(p, getResultMap(), *this);
  p.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(),
      {"iter", "maps", "monoid", "filters", getOperandSegmentSizeAttr()});
  p << ' ';
  p.printRegion(getBody());
  p << " : (";
  llvm::interleaveComma(getInputs().getTypes(), p);
  if (getMask())
    p << (getInputs().empty() ? "" : ", ") << getMask().getType();
  p << ") -> " << getType();
}

//===----------------------------------------------------------------------===//
// Verification
//===----------------------------------------------------------------------===//

/// The innermost rank that is gone over around `op` is seen in parts only.
static bool isIterated(Operation *op, StringRef rank) {
  auto iterate = op->getParentOfType<IterateOp>();
  return iterate && iterate.getRank() == rank;
}

/// Checks that the dimensions of a tensor are as long as its ranks.
static LogicalResult verifyExtents(EinsumOp op, CascadeOp cascade,
                                   StringRef what, Type type, AffineMap map) {
  auto shaped = dyn_cast<RankedTensorType>(type);
  if (!shaped) {
    if (map.getNumResults() != 0)
      return op.emitOpError("expects no indices for ")
             << what << ", a scalar, got " << map.getNumResults();
    return success();
  }
  if (map.getNumDims() != op.getNumRanks() || map.getNumSymbols() != 0 ||
      map.getNumResults() != shaped.getRank())
    return op.emitOpError("expects ")
           << shaped.getRank() << " indices over " << op.getNumRanks()
           << " ranks for " << what << ", got " << AffineMapAttr::get(map);
  for (auto [i, expr] : llvm::enumerate(map.getResults())) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    if (!dim)
      continue;
    StringRef rank = op.getRankName(dim.getPosition());
    int64_t extent = isIterated(op, rank) ? ShapedType::kDynamic
                                          : cascade.getStaticExtent(rank);
    int64_t size = shaped.getDimSize(i);
    if (!ShapedType::isDynamic(extent) && !ShapedType::isDynamic(size) &&
        size != extent)
      return op.emitOpError("expects dimension ")
             << i << " of " << what << " to have the extent " << extent
             << " of rank '" << rank << "', got " << size;
  }
  return success();
}

static LogicalResult verifyRanks(EinsumOp op, CascadeOp cascade) {
  llvm::StringSet<> seen;
  for (unsigned rank = 0; rank < op.getNumRanks(); ++rank) {
    StringRef name = op.getRankName(rank);
    if (!cascade.findRank(name))
      return op.emitOpError("expects a rank of the cascade, got '")
             << name << "'";
    if (!seen.insert(name).second)
      return op.emitOpError("expects rank '") << name << "' once";
    bool isRead = llvm::any_of(op.getMaps().getAsValueRange<AffineMapAttr>(),
                               [&](AffineMap map) {
                                 return map.getNumDims() == op.getNumRanks() &&
                                        map.isFunctionOfDim(rank);
                               });
    if (!isRead && op.isReduced(rank) && isIterated(op, name))
      return op.emitOpError("expects an operand with rank '") << name << "'";
  }
  return success();
}

static LogicalResult verifyReduction(EinsumOp op) {
  Type element = getElementTypeOrSelf(op.getType());
  AffineMap map = op.getResultMap();
  if (!map.isProjectedPermutation())
    return op.emitOpError("expects a result indexed by ranks, each once, got ")
           << AffineMapAttr::get(map);
  for (unsigned rank = 0; rank < op.getNumRanks(); ++rank) {
    if (!op.isReduced(rank))
      continue;
    if (!op.getMonoid())
      return op.emitOpError("expects rank '")
             << op.getRankName(rank) << "' in the result, or a reduction";
    if (!op.getInit() && !identityOf(*op.getMonoid(), element))
      return op.emitOpError("expects an init, since '")
             << stringifyMonoid(*op.getMonoid()) << "' over rank '"
             << op.getRankName(rank) << "' has no identity in " << element;
  }
  if (op.getMonoid() || (!op.isFiltered() && !op.getInit()))
    return success();
  return op.emitOpError("expects a reduction where there is a filter, a mask "
                        "or an init");
}

static LogicalResult verifyFilters(EinsumOp op) {
  if (!op.getFilters())
    return op.getSymbols().empty() ? success()
                                   : op.emitOpError("expects no symbols "
                                                    "without filters");
  for (IntegerSet set : op.getFilters()->getAsValueRange<IntegerSetAttr>())
    if (set.getNumDims() != op.getNumRanks() ||
        set.getNumSymbols() != op.getSymbols().size())
      return op.emitOpError("expects filters over ")
             << op.getNumRanks() << " ranks and " << op.getSymbols().size()
             << " symbols, got " << IntegerSetAttr::get(set);
  return success();
}

/// A sum whose points may all be absent is 0.
static LogicalResult verifyDivisions(EinsumOp op) {
  for (auto [input, argument] :
       llvm::zip(op.getInputs(), op.getBlock()->getArguments())) {
    auto sum = input.getDefiningOp<EinsumOp>();
    if (!sum || !sum.isFiltered() || sum.getMonoid() != Monoid::Add ||
        sum.getInit())
      continue;
    for (OpOperand &use : argument.getUses()) {
      if (!isa<arith::DivFOp>(use.getOwner()) || use.getOperandNumber() != 1)
        continue;
      unsigned rank = 0;
      while (!sum.isReduced(rank))
        ++rank;
      return op.emitOpError("expects cascade.divide by the sum over rank '")
             << sum.getRankName(rank) << "', all of whose points may be absent";
    }
  }
  return success();
}

static LogicalResult verifyBody(EinsumOp op) {
  Block *body = op.getBlock();
  if (body->getNumArguments() != op.getInputs().size())
    return op.emitOpError("expects ")
           << op.getInputs().size() << " arguments of the body, got "
           << body->getNumArguments();
  for (auto [i, argument] : llvm::enumerate(body->getArguments())) {
    Type element = getElementTypeOrSelf(op.getInputs()[i].getType());
    if (argument.getType() != element)
      return op.emitOpError("expects argument ")
             << i << " of the body to be " << element << ", got "
             << argument.getType();
  }
  auto yield = dyn_cast<YieldOp>(body->getTerminator());
  Type element = getElementTypeOrSelf(op.getType());
  if (!yield || yield.getNumOperands() != 1 ||
      yield.getOperand(0).getType() != element)
    return op.emitOpError("expects the body to yield one ") << element;
  for (Operation &inner : body->without_terminator())
    if (!isMemoryEffectFree(&inner) || inner.getNumRegions() != 0)
      return op.emitOpError("expects a body without side effects, got ")
             << inner.getName();
  return success();
}

LogicalResult EinsumOp::verifyRegions() {
  auto cascade = (*this)->getParentOfType<CascadeOp>();
  if (!cascade)
    return emitOpError("expects a cascade around it");
  unsigned numMaps = getInputs().size() + (getMask() ? 1 : 0) + 1;
  if (getMaps().size() != numMaps)
    return emitOpError("expects ")
           << numMaps << " maps, got " << getMaps().size();
  for (unsigned i = 0; i < getInputs().size(); ++i)
    if (failed(verifyExtents(*this, cascade, "input " + std::to_string(i),
                             getInputs()[i].getType(), getInputMap(i))))
      return failure();
  if (getMask() && (failed(verifyExtents(*this, cascade, "the mask",
                                         getMask().getType(), getMaskMap())) ||
                    !getElementTypeOrSelf(getMask().getType()).isIntOrIndex()))
    return emitOpError("expects a mask of integers over the ranks");
  if (getInit() && getInit().getType() != getType())
    return emitOpError("expects an init of type ")
           << getType() << ", got " << getInit().getType();
  if (failed(verifyExtents(*this, cascade, "the result", getType(),
                           getResultMap())) ||
      failed(verifyRanks(*this, cascade)) || failed(verifyReduction(*this)) ||
      failed(verifyFilters(*this)) || failed(verifyBody(*this)))
    return failure();
  return verifyDivisions(*this);
}
