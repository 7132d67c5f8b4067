//===- LutraOps.cpp - Operations of the lutra dialect ---------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/Lutra.h"

#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::lutra;

#define GET_OP_CLASSES
#include "dialects/Lutra/LutraOps.cpp.inc"

/// Suggests `name` for a value in printed IR, as far as the syntax allows.
static void suggestName(Value value, StringRef name, OpAsmSetValueNameFn set) {
  SmallString<32> text;
  for (char c : name)
    text += llvm::isAlnum(c) ? c : '_';
  if (!text.empty() && llvm::isDigit(text.front()))
    text.insert(text.begin(), '_');
  set(value, text);
}

//===----------------------------------------------------------------------===//
// DimOp
//===----------------------------------------------------------------------===//

void DimOp::getAsmResultNames(OpAsmSetValueNameFn set) {
  suggestName(getSize(), getName(), set);
}

LogicalResult DimOp::verify() {
  int64_t min = getMin(), max = getMax();
  if (min < 0 || max < min)
    return emitOpError("expects 0 <= min <= max, got min ")
           << min << " and max " << max;
  if (int64_t(getMultiple()) < 1)
    return emitOpError("expects a positive multiple, got ") << getMultiple();
  return success();
}

//===----------------------------------------------------------------------===//
// WeightOp
//===----------------------------------------------------------------------===//

void WeightOp::getAsmResultNames(OpAsmSetValueNameFn set) {
  suggestName(getResult(), getName(), set);
}

ParseResult WeightOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &b = parser.getBuilder();
  StringAttr name, source, encoding;
  int64_t offset = 0, size = 0;
  Type storage, type;
  Attribute value, steps;
  if (parser.parseAttribute(name, b.getNoneType()))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("from"))) {
    if (parser.parseAttribute(source, b.getNoneType()) ||
        parser.parseLSquare() || parser.parseInteger(offset) ||
        parser.parseComma() || parser.parseInteger(size) ||
        parser.parseRSquare())
      return failure();
    if (succeeded(parser.parseOptionalKeyword("encoding")) &&
        parser.parseAttribute(encoding, b.getNoneType()))
      return failure();
  } else if (parser.parseKeyword("value") || parser.parseAttribute(value)) {
    return failure();
  }
  if (parser.parseKeyword("storage") || parser.parseType(storage))
    return failure();
  if (succeeded(parser.parseOptionalKeyword("steps")) &&
      parser.parseAttribute(steps))
    return failure();
  if (parser.parseOptionalAttrDict(result.attributes) ||
      parser.parseColonType(type))
    return failure();
  result.addTypes(type);
  result.addAttribute("name", name);
  result.addAttribute("storage", TypeAttr::get(storage));
  if (source) {
    result.addAttribute("source", source);
    result.addAttribute("offset", b.getI64IntegerAttr(offset));
    result.addAttribute("size", b.getI64IntegerAttr(size));
  }
  if (encoding)
    result.addAttribute("encoding", encoding);
  if (value)
    result.addAttribute("value", value);
  if (steps)
    result.addAttribute("steps", steps);
  return success();
}

void WeightOp::print(OpAsmPrinter &p) {
  p << ' ';
  p.printAttribute(getNameAttr());
  if (getSourceAttr()) {
    p << " from ";
    p.printAttribute(getSourceAttr());
    p << '[' << int64_t(getOffset()) << ", " << int64_t(getSize()) << ']';
    if (getEncoding() != "raw") {
      p << " encoding ";
      p.printAttribute(getEncodingAttr());
    }
  } else {
    p << " value ";
    p.printAttribute(getValueAttr());
  }
  p << " storage " << getStorage();
  if (!getSteps().empty()) {
    p << " steps ";
    p.printAttribute(getStepsAttr());
  }
  p.printOptionalAttrDict((*this)->getAttrs(),
                          {"name", "source", "offset", "size", "encoding",
                           "value", "storage", "steps"});
  p << " : " << getResult().getType();
}

/// The bytes of a dense tensor of `type`, with bool in a byte each; nothing
/// where the product overflows.
static std::optional<int64_t> byteSize(RankedTensorType type) {
  int64_t bytes = llvm::divideCeil(type.getElementTypeBitWidth(), 8);
  for (int64_t size : type.getShape())
    if (llvm::MulOverflow(bytes, size, bytes))
      return std::nullopt;
  return bytes;
}

LogicalResult WeightOp::verify() {
  auto type = dyn_cast<RankedTensorType>(getStorage());
  if (!type || !type.hasStaticShape() || !type.getElementType().isIntOrFloat())
    return emitOpError("expects storage of static shape, got ") << getStorage();
  std::optional<int64_t> bytes = byteSize(type);
  if (!bytes)
    return emitOpError("expects a size below 2^63 bytes, got ") << type;
  if (bool(getSourceAttr()) == bool(getValueAttr()))
    return emitOpError("expects either a source or a value");
  if (getSourceAttr()) {
    if (getEncoding() != "raw" && getEncoding() != "varint")
      return emitOpError("expects encoding \"raw\" or \"varint\", got \"")
             << getEncoding() << '"';
    if (getEncoding() == "raw" && int64_t(getSize()) != *bytes)
      return emitOpError("expects ")
             << *bytes << " bytes for " << type << ", got " << getSize();
    if (int64_t(getOffset()) < 0 || int64_t(getSize()) < 0)
      return emitOpError("expects an offset and a size of at least 0");
  } else if (*bytes > kMaxValueBytes) {
    return emitOpError("expects a value of at most ")
           << kMaxValueBytes << " bytes, got " << *bytes;
  }
  if (failed(verifyOrder(getSteps().getValue(), [&] { return emitOpError(); })))
    return failure();
  auto shaped = cast<ShapedType>(getResult().getType());
  for (Attribute step : getSteps()) {
    auto next = applyStep(type, step, [&] { return emitOpError(); });
    if (failed(next))
      return failure();
    type = *next;
    if (!byteSize(type))
      return emitOpError("expects a size below 2^63 bytes after ") << step;
  }
  if (shaped.getShape() != type.getShape())
    return emitOpError("expects a result of ")
           << type << " after its steps, got " << shaped;
  return success();
}

//===----------------------------------------------------------------------===//
// StateOp
//===----------------------------------------------------------------------===//

void StateOp::getAsmResultNames(OpAsmSetValueNameFn set) {
  suggestName(getResult(), getName(), set);
}

LogicalResult StateOp::verify() {
  auto type = cast<RankedTensorType>(getResult().getType());
  int64_t axis = getAxis();
  if (axis < 0 || axis >= type.getRank() || type.isDynamicDim(axis))
    return emitOpError("expects an axis of static size, got ")
           << axis << " of " << type;
  if (getSizes().size() != size_t(type.getNumDynamicDims()))
    return emitOpError("expects ")
           << type.getNumDynamicDims() << " sizes, got " << getSizes().size();
  AffineMap shape = getShape();
  if (shape.getNumDims() != 0 ||
      shape.getNumResults() != unsigned(type.getRank()))
    return emitOpError("expects one size per dimension over symbols, got ")
           << getShapeAttr();
  for (auto [size, expr] : llvm::zip(type.getShape(), shape.getResults())) {
    auto constant = dyn_cast<AffineConstantExpr>(expr);
    if (ShapedType::isDynamic(size) ? !isa<AffineSymbolExpr>(expr)
                                    : !constant || constant.getValue() != size)
      return emitOpError("expects sizes as in ")
             << type << ", got " << getShapeAttr();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// DispatchOp
//===----------------------------------------------------------------------===//

LogicalResult DispatchOp::verify() {
  bool buffers = llvm::all_of(getOutputs(), [](Value output) {
    return isa<MemRefType>(output.getType());
  });
  if (buffers && !getOutputs().empty())
    return getNumResults() == 0
               ? success()
               : emitOpError("expects no results with buffers, got ")
                     << getNumResults();
  if (getResultTypes() != getOutputs().getTypes())
    return emitOpError("expects one result of each output's type");
  return success();
}

LogicalResult DispatchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto kernel = symbols.lookupNearestSymbolFrom<FunctionOpInterface>(
      *this, getKernelAttr());
  if (!kernel)
    return emitOpError("expects a function, got ") << getKernelAttr();
  if (kernel.getNumArguments() < getNumOperands())
    return emitOpError("expects ")
           << kernel.getNumArguments() << " operands for " << getKernelAttr()
           << ", got " << getNumOperands();
  return success();
}

void DispatchOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  for (OpOperand &operand : (*this)->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    effects.emplace_back(MemoryEffects::Read::get(), &operand);
    if (isDpsInit(&operand))
      effects.emplace_back(MemoryEffects::Write::get(), &operand);
  }
}
