//===- ImportTensors.cpp - Constants, weights and attributes --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A tensor of at most 1 KiB becomes an arith.constant; a larger one a
// lutra.weight, which refers to the file that holds it. Narrow integers and
// floats are unpacked to codes, as dialects/Lutra/LutraAttrs.td has them.
//
//===----------------------------------------------------------------------===//

#include "ExternalData.h"
#include "Importer.h"
#include "dialects/Lutra/Lutra.h"
#include "lutra/Frontend/ONNX/Tensor.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::lutra;

FailureOr<RankedTensorType> Importer::tensorType(const model::Tensor &tensor,
                                                 StringRef name) {
  Type element = importType(b.getContext(), DType(tensor.dtype));
  if (!element)
    return error("tensor '" + name + "': element type " +
                 model::elementTypeName(tensor.dtype) + " is not supported");
  return RankedTensorType::get(tensor.dims, element);
}

/// The elements of a packed varint payload as dense bytes. The wire scan has
/// counted them.
static std::string decodeVarints(StringRef bytes, uint64_t elementBytes) {
  std::string dense;
  const auto *pos = reinterpret_cast<const uint8_t *>(bytes.begin());
  const auto *end = reinterpret_cast<const uint8_t *>(bytes.end());
  while (pos < end) {
    uint64_t value = 0;
    for (unsigned shift = 0; pos < end; shift += 7) {
      uint8_t byte = *pos++;
      if (shift < 64)
        value |= uint64_t(byte & 0x7f) << shift;
      if (!(byte & 0x80))
        break;
    }
    for (uint64_t i = 0; i < elementBytes; ++i)
      dense.push_back(static_cast<char>(value >> (8 * i)));
  }
  return dense;
}

static DenseElementsAttr denseElements(RankedTensorType type, StringRef bytes) {
  if (type.getNumElements() == 0)
    return DenseElementsAttr::get(type, ArrayRef<Attribute>());
  if (isNarrow(dtypeOf(type.getElementType()))) {
    unsigned width = type.getElementTypeBitWidth();
    SmallVector<APInt> values;
    for (int64_t i = 0; i < type.getNumElements(); ++i) {
      uint8_t byte = bytes[i * width / 8];
      uint8_t code = byte >> i * width % 8 & ((1 << width) - 1);
      values.push_back(APInt(width, code));
    }
    auto floating = dyn_cast<FloatType>(type.getElementType());
    if (!floating)
      return DenseElementsAttr::get(type, values);
    return DenseElementsAttr::get(
        type, llvm::map_to_vector(values, [&](const APInt &bits) {
          return APFloat(floating.getFloatSemantics(), bits);
        }));
  }
  if (type.getElementType().isInteger(1)) {
    SmallVector<bool> values;
    for (char byte : bytes)
      values.push_back(byte != 0);
    return DenseElementsAttr::get(type, ArrayRef<bool>(values));
  }
  return DenseElementsAttr::getFromRawBuffer(
      type, ArrayRef<char>(bytes.data(), bytes.size()));
}

FailureOr<Importer::Bytes> Importer::locate(const model::Tensor &tensor,
                                            StringRef name) {
  if (auto *data = std::get_if<model::Tensor::Inline>(&tensor.data))
    return Bytes{"", 0, data->bytes, false};
  if (auto *payload = std::get_if<model::Payload>(&tensor.data)) {
    auto bytes = sources.open(path);
    if (!bytes)
      return error(llvm::toString(bytes.takeError()));
    return Bytes{path.str(), payload->offset,
                 bytes->substr(payload->offset, payload->size),
                 payload->isVarint()};
  }
  const auto &data = std::get<model::Tensor::External>(tensor.data);
  auto file = openExternalData(path, data.location, sources);
  if (!file)
    return error("tensor '" + name + "': " + llvm::toString(file.takeError()));
  if (data.offset > file->bytes.size() ||
      tensor.byteSize > file->bytes.size() - data.offset)
    return error(
        "tensor '" + name + "': expected " + llvm::Twine(tensor.byteSize) +
        " bytes at " + llvm::Twine(data.offset) + " of external data '" +
        data.location + "', which has " + llvm::Twine(file->bytes.size()));
  return Bytes{file->source, data.offset,
               file->bytes.substr(data.offset, tensor.byteSize), false};
}

FailureOr<DenseElementsAttr> Importer::elements(const model::Tensor &tensor,
                                                StringRef name) {
  FailureOr<RankedTensorType> type = tensorType(tensor, name);
  if (failed(type))
    return failure();
  if (tensor.byteSize > model::kMaxInlineBytes)
    return error("tensor '" + name + "': expected at most 1 KiB, got " +
                 llvm::Twine(tensor.byteSize) + " bytes");
  if (tensor.byteSize == 0)
    return denseElements(*type, {});
  FailureOr<Bytes> bytes = locate(tensor, name);
  if (failed(bytes))
    return failure();
  if (bytes->isVarint)
    return denseElements(
        *type, decodeVarints(bytes->data,
                             std::max<uint64_t>(
                                 tensor.byteSize / type->getNumElements(), 1)));
  return denseElements(*type, bytes->data);
}

FailureOr<Value> Importer::addTensor(const model::Tensor &tensor,
                                     StringRef name) {
  FailureOr<RankedTensorType> type = tensorType(tensor, name);
  if (failed(type))
    return failure();
  bool isSmall = tensor.byteSize <= model::kMaxInlineBytes;
  // Elements of 4 and 2 bits are more than they have bytes.
  if (isSmall && type->getNumElements() <= int64_t(model::kMaxInlineBytes)) {
    FailureOr<DenseElementsAttr> value = elements(tensor, name);
    if (failed(value))
      return failure();
    return Value(arith::ConstantOp::create(b, nameLoc(name), *value));
  }
  FailureOr<Bytes> bytes = locate(tensor, name);
  if (failed(bytes))
    return failure();
  RankedTensorType storage = *type;
  SmallVector<Attribute> steps;
  if (isNarrow(DType(tensor.dtype))) {
    Type element = type->getElementType();
    storage = RankedTensorType::get(int64_t(tensor.byteSize),
                                    importType(b.getContext(), DType::UInt8));
    steps.push_back(UnpackAttr::get(
        b.getContext(), element.getIntOrFloatBitWidth(),
        /*flip=*/element.isSignlessInteger(), type->getShape(), /*rows=*/1));
  }
  NamedAttrList attrs;
  attrs.set("name", b.getStringAttr(printable(name)));
  attrs.set("storage", TypeAttr::get(storage));
  attrs.set("steps", b.getArrayAttr(steps));
  if (!bytes->source.empty()) {
    attrs.set("source", b.getStringAttr(bytes->source));
    attrs.set("offset", b.getI64IntegerAttr(bytes->offset));
    attrs.set("size", b.getI64IntegerAttr(bytes->data.size()));
    attrs.set("encoding", b.getStringAttr(bytes->isVarint ? "varint" : "raw"));
  } else if (isSmall) {
    attrs.set("value", denseElements(storage, bytes->data));
  } else {
    return error("tensor '" + name +
                 "': expected at most 1 KiB of unpacked "
                 "elements");
  }
  return Value(WeightOp::create(b, nameLoc(name), *type, ValueRange(),
                                attrs.getAttrs()));
}

FailureOr<Attribute> Importer::attribute(const model::Attribute &attribute,
                                         StringRef node) {
  if (auto *value = std::get_if<int64_t>(&attribute.value))
    return Attribute(
        IntegerAttr::get(b.getIntegerType(64, /*isSigned=*/true), *value));
  if (auto *value = std::get_if<float>(&attribute.value))
    return Attribute(b.getF32FloatAttr(*value));
  if (auto *value = std::get_if<std::string>(&attribute.value))
    return Attribute(b.getStringAttr(*value));
  if (auto *value = std::get_if<std::vector<int64_t>>(&attribute.value))
    return Attribute(b.getDenseI64ArrayAttr(*value));
  if (auto *value = std::get_if<std::vector<float>>(&attribute.value))
    return Attribute(b.getDenseF32ArrayAttr(*value));
  if (auto *value = std::get_if<std::vector<std::string>>(&attribute.value)) {
    SmallVector<StringRef> strings(value->begin(), value->end());
    return Attribute(b.getStrArrayAttr(strings));
  }
  if (auto *value = std::get_if<model::ValueType>(&attribute.value))
    return Attribute(TypeAttr::get(importedType(*value)));
  const auto &tensor = std::get<model::Tensor>(attribute.value);
  auto dense = elements(tensor, (node + "." + attribute.name).str());
  if (failed(dense))
    return failure();
  return Attribute(*dense);
}
