//===- ParseWeightExpression.cpp - Steps of a weight ----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Composes the steps of a weight: what moves elements to one view, and the rest
// to what is done with elements that it has gathered.
//
//===----------------------------------------------------------------------===//

#include "WeightExpression.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/Support/DebugStringHelper.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::lutra;

std::optional<int64_t> lutra::denseByteSize(RankedTensorType type) {
  std::optional<Scalar> scalar = scalarOf(type.getElementType());
  if (!scalar || !type.hasStaticShape())
    return std::nullopt;
  // The factor leaves room for the sums in a view.
  int64_t bytes = bytesOf(*scalar) * 16;
  for (int64_t dim : type.getShape())
    if (llvm::MulOverflow(bytes, std::max<int64_t>(dim, 1), bytes))
      return std::nullopt;
  return type.getNumElements() * bytesOf(*scalar);
}

llvm::Error WeightExpression::error(const Twine &message) const {
  return llvm::createStringError("weight '" + name + "': " + message);
}

/// Moves the elements of a view as `step` does.
static void move(WeightView &view, Attribute step) {
  if (auto transpose = dyn_cast<TransposeAttr>(step))
    view.transpose(transpose.getPermutation());
  else if (auto reshape = dyn_cast<ReshapeAttr>(step))
    view.reshape(reshape.getShape());
  else if (auto reverse = dyn_cast<ReverseAttr>(step))
    view.reverse(reverse.getDim());
  else if (auto pack = dyn_cast<PackAttr>(step))
    view.pack(pack.getDim(), pack.getTile(), pack.getOuter());
}

using EmitError = function_ref<InFlightDiagnostic()>;

/// What a verifier says, as an error.
static llvm::Error checked(Location loc,
                           function_ref<LogicalResult(EmitError)> verify) {
  std::string message;
  ScopedDiagnosticHandler handler(loc.getContext(), [&](Diagnostic &diag) {
    message = diag.str();
    return success();
  });
  if (failed(verify([&] { return emitError(loc); })))
    return llvm::createStringError(message);
  return llvm::Error::success();
}

/// Applies a step to the type, as its verifier would, and to all else.
llvm::Error WeightExpression::applyStep(Attribute step, RankedTensorType &type,
                                        Location loc) {
  RankedTensorType operand = type;
  if (llvm::Error failure = checked(loc, [&](EmitError error) {
        FailureOr<RankedTensorType> result =
            lutra::applyStep(operand, step, error);
        if (succeeded(result))
          type = *result;
        return LogicalResult(result);
      }))
    return failure;
  if (!denseByteSize(type))
    return llvm::createStringError("expected a size in range, got " +
                                   debugString(type));
  if (auto cast = dyn_cast<CastAttr>(step)) {
    std::optional<Scalar> from = scalarOf(cast.getFrom()),
                          to = scalarOf(cast.getTo());
    if (!from || !to || isNarrowFloat(*to))
      return llvm::createStringError("expected a cast of numbers, got " +
                                     debugString(step));
    // The type itself may have lost its sign on the way.
    casts.back() = *from;
    casts.push_back(*to);
  }
  if (auto dequantize = dyn_cast<DequantizeAttr>(step)) {
    std::optional<Scalar> to = scalarOf(dequantize.getTo());
    if (!to || isNarrowFloat(*to))
      return llvm::createStringError(
          "expected to dequantize to a number, got " + debugString(step));
    auto parsed = WeightDequantization::parse(dequantize, operand, loc);
    if (!parsed)
      return parsed.takeError();
    dequantization.emplace(std::move(*parsed));
    casts.push_back(Scalar::F32);
    if (*to != Scalar::F32)
      casts.push_back(*to);
  }
  if (auto unpack = dyn_cast<UnpackAttr>(step)) {
    codes.emplace(unpack);
    casts.back() = Scalar::U8;
    view = WeightView(type.getShape());
  }
  if (auto pack = dyn_cast<PlanesAttr>(step))
    planes.emplace(pack, operand);
  if (isa<SumAttr>(step)) {
    summed = operand.getDimSize(1);
    casts.back() = Scalar::U8;
    casts.push_back(Scalar::S32);
  }
  // Without elements there is nothing to look at.
  if (type.getNumElements() == 0)
    return llvm::Error::success();
  move(view, step);
  if (dequantization)
    for (WeightView *parameters : dequantization->views())
      move(*parameters, step);
  return llvm::Error::success();
}

/// `weight` without its steps from `count` on, but with `last`, if there is
/// one.
static DictionaryAttr firstSteps(DictionaryAttr weight, unsigned count,
                                 Attribute last = {}) {
  SmallVector<Attribute> steps(
      weight.getAs<ArrayAttr>("steps").getValue().take_front(count));
  if (last)
    steps.push_back(last);
  NamedAttrList attributes(weight);
  attributes.set("steps", ArrayAttr::get(weight.getContext(), steps));
  return attributes.getDictionary(weight.getContext());
}

/// Quantizes `operand`, what steps before number `at` give; from here on the
/// part of it that this step gives, of `type`, is what the value is made of.
llvm::Error WeightExpression::quantize(DictionaryAttr weight, unsigned at,
                                       RankedTensorType operand,
                                       RankedTensorType type, Location loc,
                                       SharedQuantizations *shared) {
  auto step = cast<QuantizeAttr>(weight.getAs<ArrayAttr>("steps")[at]);
  auto ofCodes = QuantizeAttr::get(step.getContext(), kCodes, step.getFormat(),
                                   step.getGroup(), step.getMethod(),
                                   step.getFactors(), step.getMoments(),
                                   step.getSuperBlock(), step.getRows());
  Attribute key = firstSteps(weight, at, ofCodes);
  if (shared)
    quantization = shared->lookup(key);
  if (!quantization) {
    auto matrix = parse(firstSteps(weight, at), operand, loc);
    if (!matrix)
      return matrix.takeError();
    auto parsed =
        WeightQuantization::parse(step, operand, std::move(*matrix), loc);
    if (!parsed)
      return parsed.takeError();
    quantization = std::move(*parsed);
    if (shared)
      shared->try_emplace(key, quantization);
  }
  part = step.getPart();
  storage = type;
  view = WeightView(type.getShape());
  dequantization.reset();
  codes.reset();
  Type element = type.getElementType();
  casts.assign({element.isBF16()  ? Scalar::BF16
                : element.isF32() ? Scalar::F32
                                  : Scalar::U8});
  return llvm::Error::success();
}

llvm::Expected<std::shared_ptr<WeightQuantization>>
WeightExpression::parseQuantization(DictionaryAttr weight, Location loc) {
  auto steps = weight.getAs<ArrayAttr>("steps");
  auto storage = weight.getAs<TypeAttr>("storage");
  size_t count = 0;
  while (steps && count < steps.size() && !isa<QuantizeAttr>(steps[count]))
    ++count;
  if (!storage || !steps || count == steps.size())
    return llvm::createStringError("expected a weight that is quantized");
  auto type = cast<RankedTensorType>(storage.getValue());
  for (Attribute step : steps.getValue().take_front(++count)) {
    auto next = lutra::applyStep(type, step, [&] { return emitError(loc); });
    if (failed(next))
      return llvm::createStringError("expected a weight of valid steps");
    type = *next;
  }
  auto expression = parse(firstSteps(weight, count), type, loc);
  if (!expression)
    return expression.takeError();
  return expression->quantization;
}

llvm::Expected<WeightExpression>
WeightExpression::parse(DictionaryAttr weight, RankedTensorType type,
                        Location loc, SharedQuantizations *shared) {
  auto integer = [&](StringRef key) {
    auto attr = weight.getAs<IntegerAttr>(key);
    return attr ? attr.getValue().getSExtValue() : 0;
  };
  auto text = [&](StringRef key) {
    auto attr = weight.getAs<StringAttr>(key);
    return attr ? attr.getValue() : StringRef();
  };
  auto storageAttr = weight.getAs<TypeAttr>("storage");
  auto storage = storageAttr
                     ? dyn_cast<RankedTensorType>(storageAttr.getValue())
                     : RankedTensorType();
  WeightExpression result(
      WeightView(storage ? storage.getShape() : ArrayRef<int64_t>()));
  result.name = text("name");
  result.source = text("source");
  result.offset = integer("offset");
  result.size = integer("size");
  result.isVarint = text("encoding") == "varint";
  result.value = weight.getAs<DenseElementsAttr>("value");
  result.storage = storage;
  if (!storage || !denseByteSize(storage))
    return result.error("expected storage of numbers");
  if (result.value &&
      (result.value.getType().getShape() != storage.getShape() ||
       result.value.getElementType() != storage.getElementType()))
    return result.error("expected a value of " + debugString(storage));
  if (!result.value && result.source.empty())
    return result.error("expected a source or a value");

  result.casts.push_back(*scalarOf(storage.getElementType()));
  RankedTensorType current = storage;
  auto steps = weight.getAs<ArrayAttr>("steps");
  ArrayRef<Attribute> list = steps ? steps.getValue() : ArrayRef<Attribute>();
  if (llvm::Error failure = checked(
          loc, [&](EmitError error) { return verifyOrder(list, error); }))
    return result.error(llvm::toString(std::move(failure)));
  for (auto [i, step] : llvm::enumerate(list)) {
    RankedTensorType operand = current;
    if (llvm::Error failure = result.applyStep(step, current, loc))
      return result.error(llvm::toString(std::move(failure)));
    if (isa<QuantizeAttr>(step))
      if (llvm::Error failure =
              result.quantize(weight, i, operand, current, loc, shared))
        return std::move(failure);
  }
  std::optional<Scalar> last = scalarOf(type.getElementType());
  if (current.getShape() != type.getShape() || !last ||
      bytesOf(*last) != bytesOf(result.casts.back()))
    return result.error("expected " + debugString(type) +
                        " after its steps, got " + debugString(current));
  result.numElements = current.getNumElements();
  if (result.numElements == 0)
    return result;
  result.view.finish();
  if (result.dequantization)
    for (WeightView *parameters : result.dequantization->views())
      parameters->finish();
  return result;
}
