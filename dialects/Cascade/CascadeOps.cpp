//===- CascadeOps.cpp - Cascades, iterations and states -------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Cascade.h"
#include "dialects/Cascade/FilterAssembly.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

#define GET_OP_CLASSES
#include "dialects/Cascade/CascadeOps.cpp.inc"

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

LogicalResult CascadeOp::verify() {
  if (getStaticExtents().size() != getRanks().size() ||
      size_t(llvm::count_if(getStaticExtents(), ShapedType::isDynamic)) !=
          getExtents().size())
    return emitOpError("expects an extent for each of ")
           << getRanks().size() << " ranks";
  llvm::StringSet<> names;
  for (auto [name, extent] : llvm::zip_equal(
           getRanks().getAsValueRange<StringAttr>(), getStaticExtents())) {
    if (!names.insert(name).second)
      return emitOpError("expects rank '") << name << "' once";
    if (name.empty())
      return emitOpError("expects ranks to have names");
    if (extent < 0 && !ShapedType::isDynamic(extent))
      return emitOpError("expects rank '")
             << name << "' to have an extent of at least 0, got " << extent;
  }
  return success();
}

LogicalResult CascadeOp::verifyRegions() {
  if (getBlock()->getNumArguments() != 0)
    return emitOpError("expects no arguments of the body");
  auto yield = dyn_cast<YieldOp>(getBlock()->back());
  if (!yield || yield.getOperandTypes() != getResultTypes())
    return emitOpError("expects to yield what it results in, ")
           << getResultTypes();
  for (Value value : yield.getValues())
    if (value.getParentBlock() != getBlock())
      return emitOpError("expects to yield what it computes");
  for (Operation &op : getBlock()->without_terminator())
    if (!isa<EinsumOp, IterateOp, RebaseOp, MergeOp, TopKOp>(op))
      return emitOpError("expects Einsums, got ") << op.getName();
  return success();
}

//===----------------------------------------------------------------------===//
// IterateOp
//===----------------------------------------------------------------------===//

bool IterateOp::streamsAlong(StringRef name) {
  auto result = walk([&](EinsumOp reader) {
    for (auto [i, input] : llvm::enumerate(reader.getInputs()))
      if (reader.hasReduction() &&
          reader.goesAlong(reader.getInputMap(i), name) &&
          isStreamed(*this, input))
        return WalkResult::interrupt();
    return WalkResult::advance();
  });
  return result.wasInterrupted();
}

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
  SmallVector<OpAsmParser::UnresolvedOperand> streams, inits, symbols;
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
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, parseCarried))
    return failure();
  if (parseFilters(parser, result, symbols))
    return failure();
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();
  // The types stand before the region, whose arguments have them.
  auto parseTypes = [&](SmallVectorImpl<Type> &list) {
    return parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, [&] {
      return parser.parseType(list.emplace_back());
    });
  };
  if (parser.parseColon() || parseTypes(streamTypes) || parser.parseComma() ||
      parseTypes(types))
    return failure();
  if (streamTypes.size() != streams.size() || types.size() != inits.size())
    return parser.emitError(at, "expected a type for each stream and for each "
                                "carried tensor");
  for (auto [i, type] : llvm::enumerate(streamTypes)) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor || dims[i] < 0 || dims[i] >= tensor.getRank())
      return parser.emitError(at, "expected a dimension of ")
             << type << ", got " << dims[i];
    arguments[i].type = partType(type, dims[i]);
  }
  for (auto [i, type] : llvm::enumerate(types))
    arguments[streamTypes.size() + i].type = type;
  // Operands are resolved behind the region: what is defined in it cannot be
  // one.
  if (parser.parseRegion(*result.addRegion(), arguments) ||
      parser.resolveOperands(streams, streamTypes, at, result.operands) ||
      parser.resolveOperands(inits, types, at, result.operands) ||
      parser.resolveOperands(symbols, b.getIndexType(), result.operands))
    return failure();
  result.addTypes(types);
  result.addAttribute("dims", b.getDenseI64ArrayAttr(dims));
  result.addAttribute(
      getOperandSegmentSizeAttr(),
      b.getDenseI32ArrayAttr({int32_t(streams.size()), int32_t(inits.size()),
                              int32_t(symbols.size())}));
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
  printFilters(p, getFilters(), getSymbols());
  p.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(),
      {"rank", "dims", "filters", getOperandSegmentSizeAttr()});
  p << " : (" << getStreams().getTypes() << "), (" << getInits().getTypes()
    << ") ";
  p.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

/// Parts are of the rank, at the dimension that is said.
static LogicalResult verifyStreams(IterateOp op) {
  StringRef rank = op.getRank();
  int64_t extent = op->getParentOfType<CascadeOp>().getStaticExtent(rank);
  for (auto [i, stream] : llvm::enumerate(op.getStreams())) {
    auto type = cast<RankedTensorType>(stream.getType());
    int64_t dim = op.getDims()[i];
    if (dim < 0 || dim >= type.getRank())
      return op.emitOpError("expects a dimension of ")
             << type << ", got " << dim;
    int64_t size = type.getDimSize(dim);
    if (!ShapedType::isDynamic(extent) && !ShapedType::isDynamic(size) &&
        size != extent)
      return op.emitOpError("expects dimension ")
             << dim << " of stream " << i << " to have the extent " << extent
             << " of rank '" << rank << "', got " << size;
    auto ranks = ranksBefore(stream, op);
    if (ranks && (*ranks)[dim] != rank)
      return op.emitOpError("expects dimension ")
             << dim << " of stream " << i << " to be rank '" << rank
             << "', got '" << (*ranks)[dim] << "'";
    Type part = op.getParts()[i].getType();
    if (part != IterateOp::partType(type, dim))
      return op.emitOpError("expects a part of type ")
             << IterateOp::partType(type, dim) << ", got " << part;
  }
  return success();
}

/// What is carried has the same ranks all along, and not the one gone over.
static LogicalResult verifyCarried(IterateOp op) {
  auto yield = dyn_cast<YieldOp>(op.getBlock()->back());
  if (!yield || yield.getOperandTypes() != op.getInits().getTypes() ||
      op.getResultTypes() != op.getInits().getTypes() ||
      ValueRange(op.getCarried()).getTypes() != op.getInits().getTypes())
    return op.emitOpError("expects to carry ") << op.getInits().getTypes();
  for (auto [init, next] : llvm::zip_equal(op.getInits(), yield.getValues())) {
    auto before = ranksBefore(init, op), after = ranksBefore(next, yield);
    if (!before || !after)
      return op.emitOpError("expects to carry what the cascade computes");
    if (llvm::is_contained(*before, op.getRank()))
      return op.emitOpError("expects to carry nothing that has rank '")
             << op.getRank() << "'";
    if (*before != *after)
      return op.emitOpError("expects to carry a tensor over the ranks [")
             << llvm::join(*before, ", ") << "], got ["
             << llvm::join(*after, ", ") << "]";
  }
  return success();
}

LogicalResult IterateOp::verifyRegions() {
  if (!(*this)->getParentOfType<CascadeOp>().findRank(getRank()))
    return emitOpError("expects a rank of the cascade, got '")
           << getRank() << "'";
  if (getDims().size() != getStreams().size())
    return emitOpError("expects a dimension for each stream");
  if (getBlock()->getNumArguments() != getStreams().size() + getInits().size())
    return emitOpError("expects ")
           << getStreams().size() + getInits().size()
           << " arguments of the body, got " << getBlock()->getNumArguments();
  if (failed(verifyStreams(*this)) || failed(verifyCarried(*this)))
    return failure();
  size_t numRanks = (*this)->getParentOfType<CascadeOp>().getRanks().size();
  if (!getFilters() && !getSymbols().empty())
    return emitOpError("expects no symbols without filters");
  if (getFilters())
    for (IntegerSet set : getFilters()->getAsValueRange<IntegerSetAttr>())
      if (set.getNumDims() != numRanks ||
          set.getNumSymbols() != getSymbols().size())
        return emitOpError("expects filters over ")
               << numRanks << " ranks and " << getSymbols().size()
               << " symbols, got " << IntegerSetAttr::get(set);
  for (Operation &op : getBlock()->without_terminator())
    if (!isa<EinsumOp, RebaseOp, MergeOp>(op))
      return emitOpError("expects Einsums, got ") << op.getName();
  return success();
}
