//===- CascadeOps.cpp - Cascades, iterations and states -------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Cascade.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

#define GET_OP_CLASSES
#include "dialects/Cascade/CascadeOps.cpp.inc"

std::optional<SmallVector<StringRef>> lutra::cascade::ranksOf(Value tensor) {
  if (auto argument = dyn_cast<BlockArgument>(tensor)) {
    auto iterate = dyn_cast<IterateOp>(argument.getOwner()->getParentOp());
    unsigned streams = iterate ? iterate.getStreams().size() : 0;
    if (!iterate || argument.getArgNumber() < streams)
      return std::nullopt;
    return ranksOf(iterate.getInits()[argument.getArgNumber() - streams]);
  }
  Operation *op = tensor.getDefiningOp();
  if (auto einsum = dyn_cast<EinsumOp>(op)) {
    SmallVector<StringRef> ranks;
    for (AffineExpr expr : einsum.getResultMap().getResults())
      ranks.push_back(
          einsum.getRankName(cast<AffineDimExpr>(expr).getPosition()));
    return ranks;
  }
  if (auto rebase = dyn_cast<RebaseOp>(op))
    return ranksOf(rebase.getReference());
  if (auto iterate = dyn_cast<IterateOp>(op))
    return ranksOf(
        iterate.getInits()[cast<OpResult>(tensor).getResultNumber()]);
  if (auto merge = dyn_cast<MergeOp>(op)) {
    unsigned number = cast<OpResult>(tensor).getResultNumber();
    auto ranks = ranksOf(merge->getOperand(number));
    if (ranks)
      ranks->erase(ranks->begin());
    return ranks;
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// CascadeOp
//===----------------------------------------------------------------------===//

void CascadeOp::build(OpBuilder &b, OperationState &state, TypeRange results,
                      ArrayRef<StringRef> ranks, ArrayRef<OpFoldResult> extents,
                      bool reassoc) {
  SmallVector<int64_t> staticExtents;
  SmallVector<Value> dynamic;
  dispatchIndexOpFoldResults(extents, dynamic, staticExtents);
  state.addOperands(dynamic);
  state.addTypes(results);
  state.addAttribute("ranks", b.getStrArrayAttr(ranks));
  state.addAttribute("staticExtents", b.getDenseI64ArrayAttr(staticExtents));
  if (reassoc)
    state.addAttribute("reassoc", b.getUnitAttr());
  state.addRegion()->emplaceBlock();
}

SmallVector<OpFoldResult> CascadeOp::getMixedExtents() {
  return getMixedValues(getStaticExtents(), getExtents(), getContext());
}

std::optional<unsigned> CascadeOp::findRank(StringRef name) {
  for (auto [i, rank] :
       llvm::enumerate(getRanks().getAsValueRange<StringAttr>()))
    if (rank == name)
      return i;
  return std::nullopt;
}

int64_t CascadeOp::getStaticExtent(StringRef name) {
  std::optional<unsigned> rank = findRank(name);
  return rank ? getStaticExtents()[*rank] : ShapedType::kDynamic;
}

ParseResult CascadeOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &b = parser.getBuilder();
  SmallVector<Attribute> ranks;
  SmallVector<int64_t> staticExtents;
  SmallVector<OpAsmParser::UnresolvedOperand> extents;
  if (succeeded(parser.parseOptionalKeyword("reassoc")))
    result.addAttribute("reassoc", b.getUnitAttr());
  auto parseRank = [&]() -> ParseResult {
    std::string name;
    if (parser.parseKeywordOrString(&name) || parser.parseEqual())
      return failure();
    ranks.push_back(b.getStringAttr(name));
    OpAsmParser::UnresolvedOperand extent;
    OptionalParseResult dynamic = parser.parseOptionalOperand(extent);
    if (dynamic.has_value()) {
      if (*dynamic)
        return failure();
      extents.push_back(extent);
      staticExtents.push_back(ShapedType::kDynamic);
      return success();
    }
    return parser.parseInteger(staticExtents.emplace_back());
  };
  SmallVector<Type> types;
  if (parser.parseKeyword("ranks") ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, parseRank) ||
      parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
      parser.parseRegion(*result.addRegion()) ||
      parser.parseColonTypeList(types) ||
      parser.resolveOperands(extents, b.getIndexType(), result.operands))
    return failure();
  result.addTypes(types);
  result.addAttribute("ranks", b.getArrayAttr(ranks));
  result.addAttribute("staticExtents", b.getDenseI64ArrayAttr(staticExtents));
  return success();
}

void CascadeOp::print(OpAsmPrinter &p) {
  if (getReassoc())
    p << " reassoc";
  p << " ranks(";
  unsigned next = 0;
  llvm::interleaveComma(
      llvm::zip_equal(getRanks().getAsValueRange<StringAttr>(),
                      getStaticExtents()),
      p, [&](auto rank) {
        p << std::get<0>(rank) << " = ";
        if (ShapedType::isDynamic(std::get<1>(rank)))
          p << getExtents()[next++];
        else
          p << std::get<1>(rank);
      });
  p << ')';
  p.printOptionalAttrDictWithKeyword((*this)->getAttrs(),
                                     {"ranks", "staticExtents", "reassoc"});
  p << ' ';
  p.printRegion(getBody());
  p << " : ";
  llvm::interleaveComma(getResultTypes(), p);
}

LogicalResult CascadeOp::verifyRegions() {
  llvm::StringSet<> names;
  for (StringRef name : getRanks().getAsValueRange<StringAttr>())
    if (!names.insert(name).second)
      return emitOpError("expects rank '") << name << "' once";
  if (getStaticExtents().size() != getRanks().size() ||
      size_t(llvm::count(getStaticExtents(), ShapedType::kDynamic)) !=
          getExtents().size())
    return emitOpError("expects an extent for each of ")
           << getRanks().size() << " ranks";
  auto yield = dyn_cast<YieldOp>(getBlock()->getTerminator());
  if (!yield || yield.getOperandTypes() != getResultTypes())
    return emitOpError("expects to yield what it results in, ")
           << getResultTypes();
  for (Value value : yield.getValues())
    if (value.getParentBlock() != getBlock())
      return emitOpError("expects to yield what it computes");
  for (Operation &op : getBlock()->without_terminator())
    if (!isa<EinsumOp, IterateOp, RebaseOp, MergeOp>(op))
      return emitOpError("expects Einsums, got ") << op.getName();
  return success();
}

//===----------------------------------------------------------------------===//
// IterateOp
//===----------------------------------------------------------------------===//

RankedTensorType IterateOp::partType(Type stream, int64_t dim) {
  auto type = cast<RankedTensorType>(stream);
  SmallVector<int64_t> shape(type.getShape());
  shape[dim] = ShapedType::kDynamic;
  return RankedTensorType::get(shape, type.getElementType());
}

ParseResult IterateOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &b = parser.getBuilder();
  StringAttr rank;
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<OpAsmParser::UnresolvedOperand> streams, inits;
  SmallVector<int64_t> dims;
  SmallVector<Type> streamTypes, types;
  auto parseStream = [&] {
    return failure(
        parser.parseArgument(arguments.emplace_back()) || parser.parseEqual() ||
        parser.parseOperand(streams.emplace_back()) || parser.parseLSquare() ||
        parser.parseInteger(dims.emplace_back()) || parser.parseRSquare());
  };
  auto parseCarried = [&] {
    return failure(parser.parseArgument(arguments.emplace_back()) ||
                   parser.parseEqual() ||
                   parser.parseOperand(inits.emplace_back()));
  };
  llvm::SMLoc at = parser.getCurrentLocation();
  if (parser.parseAttribute(rank, b.getNoneType(), "rank", result.attributes) ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren,
                                     parseStream) ||
      parser.parseKeyword("carry") ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren,
                                     parseCarried) ||
      parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();
  // The types stand before the region, whose arguments have them.
  auto parseTypes = [&](SmallVectorImpl<Type> &list) {
    return parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, [&] {
      return parser.parseType(list.emplace_back());
    });
  };
  if (parser.parseColon() || parseTypes(streamTypes) || parser.parseComma() ||
      parseTypes(types) ||
      parser.resolveOperands(streams, streamTypes, at, result.operands) ||
      parser.resolveOperands(inits, types, at, result.operands))
    return failure();
  for (auto [i, type] : llvm::enumerate(streamTypes)) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor || dims[i] < 0 || dims[i] >= tensor.getRank())
      return parser.emitError(at, "expected a dimension of ")
             << type << ", got " << dims[i];
    arguments[i].type = partType(type, dims[i]);
  }
  for (auto [i, type] : llvm::enumerate(types))
    arguments[streamTypes.size() + i].type = type;
  if (parser.parseRegion(*result.addRegion(), arguments))
    return failure();
  result.addTypes(types);
  result.addAttribute("dims", b.getDenseI64ArrayAttr(dims));
  result.addAttribute(
      getOperandSegmentSizeAttr(),
      b.getDenseI32ArrayAttr({int32_t(streams.size()), int32_t(inits.size())}));
  return success();
}

void IterateOp::print(OpAsmPrinter &p) {
  p << ' ' << getRankAttr() << " (";
  llvm::interleaveComma(llvm::zip_equal(getParts(), getStreams(), getDims()), p,
                        [&](auto stream) {
                          auto [part, whole, dim] = stream;
                          p << part << " = " << whole << '[' << dim << ']';
                        });
  p << ") carry(";
  llvm::interleaveComma(
      llvm::zip_equal(getCarried(), getInits()), p, [&](auto carried) {
        p << std::get<0>(carried) << " = " << std::get<1>(carried);
      });
  p << ')';
  p.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(), {"rank", "dims", getOperandSegmentSizeAttr()});
  p << " : (" << getStreams().getTypes() << "), (" << getInits().getTypes()
    << ") ";
  p.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

LogicalResult IterateOp::verifyRegions() {
  if (!cast<CascadeOp>((*this)->getParentOp()).findRank(getRank()))
    return emitOpError("expects a rank of the cascade, got '")
           << getRank() << "'";
  if (getDims().size() != getStreams().size())
    return emitOpError("expects a dimension for each stream");
  if (getBlock()->getNumArguments() != getStreams().size() + getInits().size())
    return emitOpError("expects ")
           << getStreams().size() + getInits().size()
           << " arguments of the body, got " << getBlock()->getNumArguments();
  for (auto [part, stream, dim] :
       llvm::zip_equal(getParts(), getStreams(), getDims())) {
    auto type = cast<RankedTensorType>(stream.getType());
    if (dim < 0 || dim >= type.getRank())
      return emitOpError("expects a dimension of ") << type << ", got " << dim;
    if (part.getType() != partType(type, dim))
      return emitOpError("expects a part of type ")
             << partType(type, dim) << ", got " << part.getType();
  }
  auto yield = dyn_cast<YieldOp>(getBlock()->getTerminator());
  if (!yield || yield.getOperandTypes() != getInits().getTypes() ||
      getResultTypes() != getInits().getTypes() ||
      ValueRange(getCarried()).getTypes() != getInits().getTypes())
    return emitOpError("expects to carry ") << getInits().getTypes();
  for (Value init : getInits())
    if (!ranksOf(init))
      return emitOpError("expects to carry what the cascade computes");
  for (Operation &op : getBlock()->without_terminator())
    if (!isa<EinsumOp, RebaseOp, MergeOp>(op))
      return emitOpError("expects Einsums, got ") << op.getName();
  return success();
}

//===----------------------------------------------------------------------===//
// The other operations
//===----------------------------------------------------------------------===//

LogicalResult RebaseOp::verify() {
  if (!isa<FloatType>(getElementTypeOrSelf(getReference().getType())))
    return emitOpError("expects floating-point references, got ")
           << getReference().getType();
  PolicyKind policy = getPolicyKind();
  bool isExponential = getFamily() != Family::Ratio;
  if ((policy == PolicyKind::Lazy || policy == PolicyKind::Fixed) &&
      !isExponential)
    return emitOpError("expects an exponential family under the policy '")
           << stringifyPolicyKind(policy) << "'";
  if (isExponential && getMonoid() != Monoid::Max)
    return emitOpError("expects the reference of an exponential family to be "
                       "a maximum, got '")
           << stringifyMonoid(getMonoid()) << "'";
  return success();
}

LogicalResult MergeOp::verify() {
  unsigned hasReference = getReference() ? 1 : 0;
  if (getNumResults() != getSums().size() + hasReference)
    return emitOpError("expects ") << getSums().size() + hasReference
                                   << " results, got " << getNumResults();
  for (auto [operand, result] : llvm::zip_equal(getOperands(), getResults())) {
    auto type = dyn_cast<RankedTensorType>(operand.getType());
    if (!type || type.getRank() == 0 ||
        result.getType() != RankedTensorType::get(type.getShape().drop_front(),
                                                  type.getElementType()))
      return emitOpError("expects results like the operands without their "
                         "first dimension, got ")
             << result.getType();
  }
  return success();
}

LogicalResult IndexOp::verify() {
  auto einsum = (*this)->getParentOfType<EinsumOp>();
  if (!einsum || !llvm::is_contained(einsum.getIter(), getRankAttr()))
    return emitOpError("expects a rank of the Einsum around it, got '")
           << getRank() << "'";
  return success();
}
