//===- EinsumOp.cpp - One Einsum ------------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads and writes Einsums over ranks by name, and shows them as an
// EinsumOpInterface. What they may be is in EinsumVerifier.cpp.
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Cascade.h"
#include "dialects/Cascade/FilterAssembly.h"

#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

void EinsumOp::build(
    OpBuilder &b, OperationState &state, RankedTensorType type, ArrayAttr iter,
    ValueRange inputs, ArrayRef<AffineMap> maps, std::optional<Monoid> monoid,
    function_ref<Value(OpBuilder &, Location, ValueRange)> body) {
  build(b, state, type, inputs, /*mask=*/Value(), /*symbols=*/ValueRange(),
        /*init=*/Value(), iter, b.getAffineMapArrayAttr(maps),
        monoid ? MonoidAttr::get(b.getContext(), *monoid) : MonoidAttr(),
        /*filters=*/ArrayAttr());
  OpBuilder::InsertionGuard guard(b);
  Block *block = b.createBlock(state.regions[0].get());
  for (Value input : inputs)
    block->addArgument(getElementTypeOrSelf(input.getType()), state.location);
  YieldOp::create(b, state.location,
                  body(b, state.location, block->getArguments()));
}

void EinsumOp::build(
    OpBuilder &b, OperationState &state, RankedTensorType type, ArrayAttr iter,
    ValueRange inputs,
    function_ref<Value(OpBuilder &, Location, ValueRange)> body) {
  AffineMap all = b.getMultiDimIdentityMap(iter.size());
  SmallVector<AffineMap> maps;
  for (Value input : inputs) {
    auto tensor = dyn_cast<RankedTensorType>(input.getType());
    maps.push_back(all.getMinorSubMap(tensor ? tensor.getRank() : 0));
  }
  maps.push_back(all);
  build(b, state, type, iter, inputs, maps, std::nullopt, body);
}

//===----------------------------------------------------------------------===//
// Ranks
//===----------------------------------------------------------------------===//

std::optional<unsigned> EinsumOp::findRank(StringRef name) {
  for (unsigned rank = 0; rank < getNumRanks(); ++rank)
    if (getRankName(rank) == name)
      return rank;
  return std::nullopt;
}

bool EinsumOp::reduces(StringRef name) {
  std::optional<unsigned> rank = findRank(name);
  return rank && isReduced(*rank);
}

bool EinsumOp::goesAlong(AffineMap map, StringRef name) {
  std::optional<unsigned> rank = findRank(name);
  return rank && map.isFunctionOfDim(*rank);
}

bool lutra::cascade::hasSamePoints(EinsumOp a, EinsumOp b) {
  return a.getIter() == b.getIter() && a.getResultMap() == b.getResultMap() &&
         a.getFiltersAttr() == b.getFiltersAttr() &&
         a.getSymbols() == b.getSymbols() && a.getMask() == b.getMask() &&
         (!a.getMask() || a.getMaskMap() == b.getMaskMap());
}

void lutra::cascade::eraseUnread(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isa<EinsumOp>(op) && op.use_empty())
      op.erase();
}

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
  if (parseFilters(parser, result, symbols))
    return failure();
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
  printFilters(p, getFilters(), getSymbols());
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
