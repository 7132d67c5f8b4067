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

#include "lutra/Target/WeightImage.h"
#include "llvm/Support/MathExtras.h"
#include <cstring>
#include <memory>

using namespace mlir;
using namespace mlir::lutra;

/// Elements per block: at most 16 MiB per buffer.
static constexpr int64_t kBlock = int64_t(1) << 21;

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

llvm::Expected<StringRef> WeightExpression::sourceBytes(OpenSource open) {
  int64_t bytes = *denseByteSize(storage);
  decoded.clear();
  if (quantization) {
    if (part != kCodes)
      quantization->appendPart(part, decoded);
    return StringRef(decoded.data(), decoded.size());
  }
  if (value) {
    spellValue(value, bytesOf(*scalarOf(storage.getElementType())), decoded);
    return StringRef(decoded.data(), decoded.size());
  }
  auto file = open(source);
  if (!file) {
    // Not a fault of the compiler's.
    std::error_code code;
    std::string text;
    llvm::handleAllErrors(file.takeError(), [&](llvm::ErrorInfoBase &failure) {
      code = failure.convertToErrorCode();
      text = failure.message();
    });
    return llvm::createStringError(code, "weight '" + name + "': " + text);
  }
  uint64_t length = file->size();
  if (offset < 0 || size < 0 || uint64_t(offset) > length ||
      uint64_t(size) > length - offset)
    return llvm::make_error<InvalidWeight>(
        ("weight '" + name + "': expected bytes " + Twine(offset) + " to " +
         Twine(uint64_t(offset) + uint64_t(size)) + " of '" + source +
         "', which has " + Twine(length))
            .str());
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
void WeightExpression::evaluate(int64_t start, int64_t count,
                                WeightBlock &block) const {
  view.gather(elements, start, count, block.elements.get());
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

void WeightExpression::read(int64_t start, int64_t count, char *out) const {
  WeightBlock block(std::min(kBlock, count));
  for (int64_t at = 0, size; at < count; at += size) {
    size = std::min(kBlock, count - at);
    evaluate(start + at, size, block);
    std::memcpy(out + at * bytesOf(casts.back()), block.elements.get(),
                size * bytesOf(casts.back()));
  }
}

int32_t WeightExpression::sumOfRow(int64_t row, WeightBlock &block) const {
  int32_t sum = 0;
  for (int64_t column = 0; column < *summed; column += PlanesWriter::kBlock) {
    int64_t count = std::min(PlanesWriter::kBlock, *summed - column);
    evaluate(row * *summed + column, count, block);
    for (int64_t i = 0; i < count; ++i) {
      int32_t element;
      std::memcpy(&element, block.elements.get() + 4 * i, 4);
      sum += element;
    }
  }
  return sum;
}

void WeightExpression::writeElements(llvm::raw_ostream &os) const {
  bool isCopy = view.isIdentity() && casts.size() == 1 && !codes && !planes &&
                !(quantization && part == kCodes);
  if (isCopy && casts[0] != Scalar::Bool) {
    StringRef bytes(elements.bytes, numElements * elements.elementBytes);
    for (size_t at = 0; at < bytes.size(); at += kBlock)
      os << bytes.substr(at, kBlock);
    return;
  }
  WeightBlock block(planes || summed ? PlanesWriter::kBlock
                                     : std::min(kBlock, numElements));
  if (planes) {
    planes->write(
        [&](int64_t start, int64_t count) {
          evaluate(start, count, block);
          return block.elements.get();
        },
        os);
    return;
  }
  if (summed) {
    for (int64_t row = 0; row < numElements; ++row) {
      int32_t sum = sumOfRow(row, block);
      os.write(reinterpret_cast<const char *>(&sum), sizeof(sum));
    }
    return;
  }
  for (int64_t start = 0; start < numElements; start += kBlock) {
    int64_t count = std::min(kBlock, numElements - start);
    evaluate(start, count, block);
    os.write(block.elements.get(), count * bytesOf(casts.back()));
  }
}

llvm::Error WeightExpression::load(OpenSource open) {
  if (numElements > 0 && dequantization)
    if (llvm::Error failure = dequantization->load(open))
      return error(llvm::toString(std::move(failure)));
  if (quantization)
    if (llvm::Error failure = quantization->load(open))
      return failure;
  auto bytes = sourceBytes(open);
  if (!bytes)
    return bytes.takeError();
  elements = {bytes->data(), bytesOf(casts.front()), codes};
  if (quantization && part == kCodes)
    elements.quantized = quantization.get();
  return llvm::Error::success();
}

void WeightExpression::unload() {
  decoded = {};
  if (dequantization)
    dequantization->unload();
}

llvm::Error WeightExpression::write(OpenSource open, llvm::raw_ostream &os) {
  if (llvm::Error failure = load(open))
    return failure;
  if (numElements > 0)
    writeElements(os);
  unload();
  return llvm::Error::success();
}
