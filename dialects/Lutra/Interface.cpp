//===- Interface.cpp - The attributes of a model's interface --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Verifies the attributes that Lutra.h lists wherever they stand, so that what
// reads them, in all phases, need not ask for more than whether they are there.
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/DimEntry.h"
#include "dialects/Lutra/Lutra.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::lutra;

using EmitError = function_ref<InFlightDiagnostic()>;

static ArrayRef<Attribute> dimsOf(Operation *function) {
  auto dims = function->getAttrOfType<ArrayAttr>(attr::kDims);
  return dims ? dims.getValue() : ArrayRef<Attribute>();
}

/// A map ()[dims] -> (sizes) over no more than the function's dimensions.
static LogicalResult verifySizes(EmitError error, Attribute attribute,
                                 size_t numDims, size_t numSizes) {
  auto map = dyn_cast<AffineMapAttr>(attribute);
  if (!map || map.getValue().getNumDims() != 0 ||
      map.getValue().getNumSymbols() > numDims ||
      map.getValue().getNumResults() != numSizes)
    return error() << "expects " << numSizes << " sizes over " << numDims
                   << " symbols, got " << attribute;
  return success();
}

static LogicalResult verifyDims(EmitError error, Attribute attribute) {
  auto dims = dyn_cast<ArrayAttr>(attribute);
  if (!dims)
    return error() << "expects an array, got " << attribute;
  llvm::StringSet<> names;
  for (Attribute element : dims) {
    std::optional<DimEntry> dim = readDim(element);
    if (!dim)
      return error() << "expects {name, min, max, multiple}, got " << element;
    if (dim->min.getInt() < 0 || dim->max.getInt() < dim->min.getInt() ||
        dim->multiple.getInt() < 1)
      return error() << "expects 0 <= min <= max and a positive multiple, got "
                     << element;
    if (!names.insert(dim->name.getValue()).second)
      return error() << "expects dimension " << dim->name << " once";
    Attribute equals = cast<DictionaryAttr>(element).get(attr::kEquals);
    if (equals && failed(verifySizes(error, equals, dims.size(), 1)))
      return failure();
  }
  return success();
}

/// The places of weights; what a weight is, is checked when it is written.
static LogicalResult verifyImage(EmitError error, Attribute attribute) {
  auto image = dyn_cast<ArrayAttr>(attribute);
  if (!image)
    return error() << "expects an array, got " << attribute;
  for (Attribute element : image) {
    auto entry = dyn_cast<DictionaryAttr>(element);
    auto at = entry ? entry.getAs<IntegerAttr>("at") : IntegerAttr();
    auto type = entry ? entry.getAs<TypeAttr>("type") : TypeAttr();
    auto tensor =
        type ? dyn_cast<RankedTensorType>(type.getValue()) : RankedTensorType();
    auto weight =
        entry ? entry.getAs<DictionaryAttr>("weight") : DictionaryAttr();
    if (!at || !at.getType().isSignlessInteger(64) || !tensor ||
        !tensor.hasStaticShape() || !weight ||
        !weight.getAs<StringAttr>("name"))
      return error() << "expects {at, type, weight}, got " << element;
  }
  return success();
}

/// A kernel writes each tensor that it returns into one of its last arguments.
/// It is asked before the function is verified, which may lack its type.
static LogicalResult verifyKernel(Operation *op, EmitError error) {
  auto attribute = op->getAttrOfType<TypeAttr>("function_type");
  auto type =
      attribute ? dyn_cast<FunctionType>(attribute.getValue()) : FunctionType();
  if (!type)
    return success();
  ArrayRef<Type> results = type.getResults();
  for (Type result : results)
    if (!isa<RankedTensorType>(result))
      return error() << "expects results that are ranked tensors, got "
                     << result;
  if (type.getNumInputs() < results.size() ||
      type.getInputs().take_back(results.size()) != results)
    return error() << "expects last arguments of the types of its "
                   << results.size() << " results, got " << type;
  return success();
}

LogicalResult LutraDialect::verifyOperationAttribute(Operation *op,
                                                     NamedAttribute named) {
  StringRef name = named.getName();
  Attribute value = named.getValue();
  auto error = [&] { return op->emitOpError() << "'" << name << "' "; };
  auto expect = [&](bool holds, StringRef what) -> LogicalResult {
    if (holds)
      return success();
    return error() << "expects " << what << ", got " << value;
  };
  if (name == attr::kDims)
    return verifyDims(error, value);
  if (name == attr::kLength)
    return verifySizes(error, value, dimsOf(op).size(), 1);
  if (name == attr::kTarget)
    return expect(isa<TargetAttr>(value), "a target");
  if (name == attr::kKernel)
    return verifyKernel(op, error);
  if (name == attr::kSchedule)
    return expect(isa<ScheduleAttr>(value), "a schedule");
  if (name == attr::kImage)
    return verifyImage(error, value);
  if (name == attr::kRows)
    return expect(isa<DenseI64ArrayAttr>(value), "numbers of loops");
  if (name == attr::kStream) {
    auto operand = dyn_cast<IntegerAttr>(value);
    return expect(operand && operand.getValue().ult(op->getNumOperands()),
                  "the number of an operand");
  }
  return success();
}

/// What an argument and a result have in common.
static LogicalResult verifyTensor(Operation *op, EmitError error, Type type,
                                  NamedAttribute named) {
  StringRef name = named.getName();
  if ((name == attr::kName || name == attr::kDType) &&
      !isa<StringAttr>(named.getValue()))
    return error() << "expects a string, got " << named.getValue();
  if (name != attr::kShape)
    return success();
  auto tensor = dyn_cast<ShapedType>(type);
  if (!tensor || !tensor.hasRank())
    return error() << "expects a ranked tensor, got " << type;
  if (failed(verifySizes(error, named.getValue(), dimsOf(op).size(),
                         tensor.getRank())))
    return failure();
  AffineMap sizes = cast<AffineMapAttr>(named.getValue()).getValue();
  for (auto [size, expr] :
       llvm::zip_equal(tensor.getShape(), sizes.getResults()))
    if (auto constant = dyn_cast<AffineConstantExpr>(expr))
      if (!ShapedType::isDynamic(size) && size != constant.getValue())
        return error() << "expects sizes as in " << type << ", got "
                       << named.getValue();
  return success();
}

/// What MaterializeState makes of an argument.
static LogicalResult verifyPast(EmitError error, Type type, Attribute value) {
  auto state = dyn_cast<DictionaryAttr>(value);
  auto tensor = dyn_cast<RankedTensorType>(type);
  auto number = [&](StringRef key) {
    auto found = state ? state.getAs<IntegerAttr>(key) : IntegerAttr();
    return found && found.getType().isInteger(64) ? found.getInt() : -1;
  };
  if (!state || !tensor || !state.getAs<StringAttr>("present") ||
      number("axis") < 0 || number("axis") >= tensor.getRank() ||
      number("capacity") < 1)
    return error() << "expects {present, axis, capacity} of a tensor, got "
                   << value;
  return success();
}

LogicalResult LutraDialect::verifyRegionArgAttribute(Operation *op, unsigned,
                                                     unsigned number,
                                                     NamedAttribute named) {
  auto function = dyn_cast<FunctionOpInterface>(op);
  if (!function)
    return success();
  auto error = [&] {
    return op->emitOpError("argument ")
           << number << ": '" << named.getName().getValue() << "' ";
  };
  Type type = function.getArgumentTypes()[number];
  if (named.getName() == attr::kState)
    return verifyPast(error, type, named.getValue());
  return verifyTensor(op, error, type, named);
}

LogicalResult LutraDialect::verifyRegionResultAttribute(Operation *op, unsigned,
                                                        unsigned number,
                                                        NamedAttribute named) {
  auto function = dyn_cast<FunctionOpInterface>(op);
  if (!function)
    return success();
  auto error = [&] {
    return op->emitOpError("result ")
           << number << ": '" << named.getName().getValue() << "' ";
  };
  if (named.getName() == attr::kState && !isa<StringAttr>(named.getValue()))
    return error() << "expects the name of a state, got " << named.getValue();
  return verifyTensor(op, error, function.getResultTypes()[number], named);
}
