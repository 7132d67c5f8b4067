//===- ImportInterface.cpp - Inputs, outputs and dimensions ---------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each symbolic dimension becomes one entry of lutra.dims, in order of its
// first appearance over the inputs, and is the symbol of that number in shapes.
// One whose name is a sum of others says so in its entry.
//
//===----------------------------------------------------------------------===//

#include "DimNames.h"
#include "Importer.h"
#include "dialects/Lutra/Lutra.h"
#include "lutra/Frontend/ONNX/Tensor.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::lutra;

llvm::Expected<std::map<std::string, int64_t>>
mlir::lutra::fixedDims(const ImportOptions &options) {
  std::map<std::string, int64_t> fixed;
  for (const auto &[name, range] : options.dims) {
    if (range.min < 0 || range.max < range.min || range.multiple < 1)
      return llvm::createStringError(
          "dimension '" + name +
          "': expected 0 <= min <= max and a multiple of at least 1, got " +
          llvm::Twine(range.min) + ".." + llvm::Twine(range.max) + "%" +
          llvm::Twine(range.multiple));
    if (range.max / range.multiple * range.multiple < range.min)
      return llvm::createStringError(
          "dimension '" + name + "': expected a multiple of " +
          llvm::Twine(range.multiple) + " in " + llvm::Twine(range.min) + ".." +
          llvm::Twine(range.max));
    if (range.min == range.max)
      fixed[name] = range.min;
  }
  return fixed;
}

LogicalResult Importer::readDims(const model::Model &model,
                                 const ImportOptions &options) {
  for (const auto &[name, range] : options.dims)
    if (!llvm::is_contained(model.dims, name))
      return error("dimension '" + name + "' is none of the model's: " +
                   (model.dims.empty() ? "all sizes are fixed"
                                       : llvm::join(model.dims, ", ")));
  auto isLength = [&](StringRef name) {
    return llvm::any_of(states, [&](const auto &entry) {
      return entry.second.lengthName == name;
    });
  };
  for (const std::string &name : model.dims) {
    // States of one length may have it under several names.
    if (name != length && isLength(name) && symbols.contains(length)) {
      symbols[name] = symbols.lookup(length);
      continue;
    }
    auto given = options.dims.find(name);
    DimRange range;
    if (given != options.dims.end())
      range = given->second;
    if (range.min == range.max)
      continue;
    symbols[name] = dims.size();
    NamedAttrList dim;
    dim.set("name", b.getStringAttr(name));
    dim.set("min", b.getI64IntegerAttr(range.min));
    dim.set("max", b.getI64IntegerAttr(range.max));
    dim.set("multiple", b.getI64IntegerAttr(range.multiple));
    if (name == length)
      dim.set("state", b.getUnitAttr());
    dims.push_back(dim.getDictionary(b.getContext()));
  }
  relateDims(options);
  return success();
}

/// Notes of each dimension that is named by a sum of others what it equals.
void Importer::relateDims(const ImportOptions &options) {
  auto sizeOf = [&](StringRef name) -> std::optional<AffineExpr> {
    auto given = options.dims.find(name.str());
    if (given != options.dims.end() && given->second.min == given->second.max)
      return b.getAffineConstantExpr(given->second.min);
    auto symbol = symbols.find(name);
    if (symbol == symbols.end())
      return std::nullopt;
    return b.getAffineSymbolExpr(symbol->second);
  };
  for (Attribute &entry : dims) {
    NamedAttrList dim(cast<DictionaryAttr>(entry));
    StringRef name = cast<StringAttr>(dim.get("name")).getValue();
    if (auto size = sizeFromName(name, b.getContext(), sizeOf))
      dim.set(attr::kEquals,
              AffineMapAttr::get(AffineMap::get(0, dims.size(), *size)));
    entry = dim.getDictionary(b.getContext());
  }
}

/// These names become a program's interface.
LogicalResult Importer::checkInterfaceNames(const model::Model &model) {
  for (const auto *names :
       {&model.graph.inputs, &model.graph.outputs, &model.dims})
    for (const std::string &name : *names)
      if (printable(name) != name)
        return error("expected names of inputs, outputs and dimensions in "
                     "printable UTF-8, got '" +
                     name + "'");
  return success();
}

/// The type of a tensor as far as it is known; none where that is too little
/// to be a type, or the element type is not one that the compiler computes in.
Type Importer::importedType(const model::ValueType &type) {
  Type element = importType(b.getContext(), DType(type.dtype));
  if (!type.notTensor.empty() || !element)
    return b.getNoneType();
  if (!type.shape)
    return UnrankedTensorType::get(element);
  SmallVector<int64_t> shape;
  for (const model::Dim &dim : *type.shape)
    shape.push_back(dim.size.value_or(ShapedType::kDynamic));
  return RankedTensorType::get(shape, element);
}

Type Importer::valueType(const model::Graph &graph, StringRef name) {
  auto found = graph.types.find(name.str());
  if (found == graph.types.end())
    return b.getNoneType();
  return importedType(found->second);
}

FailureOr<Type> Importer::inputType(const model::Graph &graph, StringRef name) {
  auto found = graph.types.find(name.str());
  if (found == graph.types.end())
    return error("input '" + name + "' has no type");
  const model::ValueType &type = found->second;
  if (!type.notTensor.empty())
    return error("input '" + name + "': expected a tensor, got a " +
                 type.notTensor);
  if (!isSupported(DType(type.dtype)))
    return error("input '" + name + "': element type " +
                 model::elementTypeName(type.dtype) + " is not supported");
  if (!type.shape)
    return error("input '" + name +
                 "': expected a tensor of known rank, got one without a shape");
  return importedType(type);
}

DictionaryAttr Importer::inputAttrs(const model::Graph &graph, StringRef name) {
  const model::ValueType &type = graph.types.find(name.str())->second;
  SmallVector<AffineExpr> sizes;
  for (const model::Dim &dim : *type.shape)
    sizes.push_back(dim.size ? b.getAffineConstantExpr(*dim.size)
                             : b.getAffineSymbolExpr(symbols.lookup(dim.name)));
  auto map = AffineMap::get(0, dims.size(), sizes, b.getContext());
  NamedAttrList attrs;
  attrs.set(attr::kName, b.getStringAttr(name));
  attrs.set(attr::kDType, b.getStringAttr(dtypeName(DType(type.dtype))));
  attrs.set(attr::kShape, AffineMapAttr::get(map));
  if (auto state = states.find(name); state != states.end())
    attrs.set(
        attr::kState,
        b.getDictionaryAttr(
            {b.getNamedAttr("present", b.getStringAttr(state->second.present)),
             b.getNamedAttr("axis", b.getI64IntegerAttr(state->second.axis)),
             b.getNamedAttr("capacity",
                            b.getI64IntegerAttr(state->second.capacity))}));
  return attrs.getDictionary(b.getContext());
}

DictionaryAttr Importer::outputAttrs(StringRef name, Type type) {
  NamedAttrList attrs;
  attrs.set(attr::kName, b.getStringAttr(name));
  if (auto tensor = dyn_cast<TensorType>(type))
    attrs.set(attr::kDType,
              b.getStringAttr(dtypeName(dtypeOf(tensor.getElementType()))));
  return attrs.getDictionary(b.getContext());
}
