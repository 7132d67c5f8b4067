//===- WeightExpression.cpp - One weight of an image ----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Evaluates a weight expression block by block. A block is gathered straight
// from the mapped source, so that memory does not grow with the weight, unless
// the source is packed as varints, which cannot be read from the middle.
//
//===----------------------------------------------------------------------===//

#include "WeightExpression.h"

#include "dialects/Lutra/Lutra.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Support/DebugStringHelper.h"
#include "llvm/Support/MathExtras.h"
#include <cstring>
#include <memory>

using namespace mlir;
using namespace mlir::lutra;

/// Elements per block: at most 16 MiB per buffer.
static constexpr int64_t kBlock = int64_t(1) << 21;

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

llvm::Expected<WeightExpression> WeightExpression::parse(DictionaryAttr weight,
                                                         RankedTensorType type,
                                                         Location loc) {
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
  for (Attribute step : list)
    if (llvm::Error failure = result.applyStep(step, current, loc))
      return result.error(llvm::toString(std::move(failure)));
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

/// Decodes Protobuf's packed varints, whose low bits are the elements.
static bool decodeVarints(StringRef bytes, unsigned elementBytes, int64_t count,
                          SmallVectorImpl<char> &out) {
  // Each element takes a byte at least, so memory stays within 8 times the
  // file.
  if (count > int64_t(bytes.size()))
    return false;
  out.resize(count * elementBytes);
  size_t at = 0;
  for (int64_t i = 0; i < count; ++i) {
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      if (at == bytes.size() || shift > 63)
        return false;
      uint8_t byte = bytes[at++];
      value |= uint64_t(byte & 0x7f) << shift;
      if (byte < 0x80)
        break;
    }
    std::memcpy(out.data() + i * elementBytes, &value, elementBytes);
  }
  return at == bytes.size();
}

/// The bytes of an inline value.
static void spellValue(DenseElementsAttr value, unsigned elementBytes,
                       SmallVectorImpl<char> &out) {
  auto append = [&](const APInt &bits) {
    uint64_t number = bits.getZExtValue();
    const char *bytes = reinterpret_cast<const char *>(&number);
    out.append(bytes, bytes + elementBytes);
  };
  if (isa<FloatType>(value.getElementType()))
    for (const APFloat &element : value.getValues<APFloat>())
      append(element.bitcastToAPInt());
  else
    for (const APInt &element : value.getValues<APInt>())
      append(element);
}

llvm::Expected<StringRef>
WeightExpression::sourceBytes(OpenSource open,
                              SmallVectorImpl<char> &decoded) const {
  int64_t bytes = *denseByteSize(storage);
  if (value) {
    spellValue(value, bytesOf(*scalarOf(storage.getElementType())), decoded);
    return StringRef(decoded.data(), decoded.size());
  }
  auto file = open(source);
  if (!file)
    return error(llvm::toString(file.takeError()));
  uint64_t length = file->size();
  if (offset < 0 || size < 0 || uint64_t(offset) > length ||
      uint64_t(size) > length - offset)
    return error("expected bytes " + Twine(offset) + " to " +
                 Twine(uint64_t(offset) + uint64_t(size)) + " of '" + source +
                 "', which has " + Twine(length));
  StringRef range = file->substr(offset, size);
  if (!isVarint) {
    if (size != bytes)
      return error("expected " + Twine(bytes) + " bytes, got " + Twine(size));
    return range;
  }
  if (!decodeVarints(range, bytesOf(*scalarOf(storage.getElementType())),
                     storage.getNumElements(), decoded))
    return error("expected " + Twine(storage.getNumElements()) +
                 " packed varints in " + Twine(size) + " bytes");
  return StringRef(decoded.data(), decoded.size());
}

/// Elements on their way: as they are, and as they are converted.
struct lutra::WeightBlock {
  explicit WeightBlock(int64_t count)
      : elements(new char[count * 8]), converted(new char[count * 8]) {}

  std::unique_ptr<char[]> elements, converted;
};

/// Makes `block` elements [start, start + count) of the value, before codes are
/// packed.
void WeightExpression::evaluate(const WeightElements &source, int64_t start,
                                int64_t count, WeightBlock &block) const {
  view.gather(source, start, count, block.elements.get());
  // A stored bool may be any byte; from here on it is 0 or 1.
  if (scalarOf(storage.getElementType()) == Scalar::Bool)
    castElements(Scalar::Bool, block.elements.get(), Scalar::Bool,
                 block.elements.get(), count);
  for (size_t i = 0; i + 1 < casts.size(); ++i) {
    if (i == 0 && dequantization)
      dequantization->apply(block.elements.get(), start, count,
                            reinterpret_cast<float *>(block.converted.get()));
    else
      castElements(casts[i], block.elements.get(), casts[i + 1],
                   block.converted.get(), count);
    std::swap(block.elements, block.converted);
  }
}

int32_t WeightExpression::sumOfRow(const WeightElements &source, int64_t row,
                                   WeightBlock &block) const {
  int32_t sum = 0;
  for (int64_t column = 0; column < *summed; column += PlanesWriter::kBlock) {
    int64_t count = std::min(PlanesWriter::kBlock, *summed - column);
    evaluate(source, row * *summed + column, count, block);
    for (int64_t i = 0; i < count; ++i) {
      int32_t element;
      std::memcpy(&element, block.elements.get() + 4 * i, 4);
      sum += element;
    }
  }
  return sum;
}

void WeightExpression::writeElements(StringRef bytes,
                                     llvm::raw_ostream &os) const {
  if (view.isIdentity() && casts.size() == 1 && !codes && !planes &&
      casts[0] != Scalar::Bool) {
    for (size_t at = 0; at < bytes.size(); at += kBlock)
      os << bytes.substr(at, kBlock);
    return;
  }
  WeightElements source = {bytes.data(), bytesOf(casts.front()), codes};
  WeightBlock block(planes || summed ? PlanesWriter::kBlock
                                     : std::min(kBlock, numElements));
  if (planes) {
    planes->write(
        [&](int64_t start, int64_t count) {
          evaluate(source, start, count, block);
          return block.elements.get();
        },
        os);
    return;
  }
  if (summed) {
    for (int64_t row = 0; row < numElements; ++row) {
      int32_t sum = sumOfRow(source, row, block);
      os.write(reinterpret_cast<const char *>(&sum), sizeof(sum));
    }
    return;
  }
  for (int64_t start = 0; start < numElements; start += kBlock) {
    int64_t count = std::min(kBlock, numElements - start);
    evaluate(source, start, count, block);
    os.write(block.elements.get(), count * bytesOf(casts.back()));
  }
}

llvm::Error WeightExpression::write(OpenSource open, llvm::raw_ostream &os) {
  if (numElements > 0 && dequantization)
    if (llvm::Error failure = dequantization->load(open))
      return error(llvm::toString(std::move(failure)));
  SmallVector<char, 0> decoded;
  auto bytes = sourceBytes(open, decoded);
  if (!bytes)
    return bytes.takeError();
  if (numElements > 0)
    writeElements(*bytes, os);
  if (dequantization)
    dequantization->unload();
  return llvm::Error::success();
}
