//===- LoweringConstants.cpp - Constants while a graph is lowered ---------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Makes scalars, small constants, splats and tensors of symbolic integers, and
// reads constants back, from the model's file where they are weights.
//
//===----------------------------------------------------------------------===//

#include "lutra/Frontend/ONNX/Import.h"
#include "lutra/Frontend/ONNX/Lowering.h"

#include "dialects/Lutra/Lutra.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "llvm/Support/LEB128.h"

using namespace mlir;
using namespace mlir::lutra;

//===----------------------------------------------------------------------===//
// Making
//===----------------------------------------------------------------------===//

Value Lowering::scalar(DType dtype, double value) {
  Type type = storageType(context(), dtype);
  if (isFloat(dtype))
    return arith::ConstantOp::create(b, b.getFloatAttr(type, value));
  return scalarInt(dtype, static_cast<int64_t>(value));
}

Value Lowering::scalarInt(DType dtype, int64_t value) {
  Type type = storageType(context(), dtype);
  if (isFloat(dtype))
    return arith::ConstantOp::create(
        b, b.getFloatAttr(type, static_cast<double>(value)));
  APInt bits(64, static_cast<uint64_t>(value));
  return arith::ConstantOp::create(
      b,
      b.getIntegerAttr(type, bits.sextOrTrunc(type.getIntOrFloatBitWidth())));
}

/// The elements of a small constant as expressions.
static std::optional<SmallVector<AffineExpr>>
knownInts(DenseElementsAttr elements, DType dtype) {
  auto type = cast<ShapedType>(elements.getType());
  if (isFloat(dtype) || type.getRank() > 1 || type.getNumElements() > 64)
    return std::nullopt;
  SmallVector<AffineExpr> ints;
  for (const APInt &value : elements.getValues<APInt>())
    ints.push_back(getAffineConstantExpr(
        isUnsigned(dtype) ? value.getZExtValue() : value.getSExtValue(),
        elements.getContext()));
  return ints;
}

Tensor Lowering::constantTensor(DenseElementsAttr elements, DType dtype) {
  Tensor result = tensor(arith::ConstantOp::create(b, elements), dtype);
  result.ints = knownInts(elements, dtype);
  return result;
}

Tensor Lowering::splat(ArrayRef<AffineExpr> shape, DType dtype, Value scalar) {
  Attribute constant;
  RankedTensorType splatType = type(shape, dtype);
  if (splatType.hasStaticShape() && matchPattern(scalar, m_Constant(&constant)))
    return constantTensor(DenseElementsAttr::get(splatType, constant), dtype);
  return tensor(filled(shape, dtype, scalar), shape, dtype);
}

Tensor Lowering::intsTensor(ArrayRef<AffineExpr> elements, DType dtype,
                            bool isScalar) {
  Type element = storageType(context(), dtype);
  Shape shape;
  if (!isScalar)
    shape.push_back(constant(elements.size()));
  SmallVector<APInt> constants;
  for (AffineExpr expr : elements)
    if (auto known = dyn_cast<AffineConstantExpr>(expr))
      constants.push_back(APInt(64, known.getValue())
                              .sextOrTrunc(element.getIntOrFloatBitWidth()));
  Tensor result;
  if (constants.size() == elements.size()) {
    result = constantTensor(
        DenseElementsAttr::get(type(shape, dtype), constants), dtype);
  } else {
    SmallVector<Value> values;
    for (AffineExpr expr : elements)
      values.push_back(arith::IndexCastOp::create(b, element, sizeValue(expr)));
    result =
        tensor(tensor::FromElementsOp::create(b, type(shape, dtype), values),
               shape, dtype);
  }
  result.ints.emplace(elements.begin(), elements.end());
  return result;
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

/// The little-endian elements of `bytes` as raw bits. Varints are Protobuf's.
static std::optional<SmallVector<APInt>> decode(StringRef bytes, bool varint,
                                                int64_t count, unsigned width) {
  SmallVector<APInt> elements;
  const auto *p = bytes.bytes_begin(), *end = bytes.bytes_end();
  if (!varint && int64_t(bytes.size()) / (width / 8) < count)
    return std::nullopt;
  elements.reserve(count);
  for (int64_t i = 0; i < count; ++i) {
    uint64_t bits = 0;
    if (varint) {
      unsigned length = 0;
      const char *error = nullptr;
      bits = llvm::decodeULEB128(p, &length, end, &error);
      if (error)
        return std::nullopt;
      p += length;
    } else {
      for (unsigned byte = 0; byte < width / 8; ++byte)
        bits |= uint64_t(*p++) << (8 * byte);
    }
    elements.push_back(APInt(64, bits).zextOrTrunc(width));
  }
  return elements;
}

static SmallVector<APInt> floatBits(DenseElementsAttr elements) {
  SmallVector<APInt> bits;
  for (const APFloat &value : elements.getValues<APFloat>())
    bits.push_back(value.bitcastToAPInt());
  return bits;
}

/// The raw bits of a weight's elements; nothing where a step but a reshape
/// changed them. Steps are for tensors larger than what handlers read.
static std::optional<SmallVector<APInt>> weightBits(WeightOp weight,
                                                    WeightSources &sources) {
  for (Attribute step : weight.getSteps())
    if (!isa<ReshapeAttr>(step))
      return std::nullopt;
  auto type = cast<RankedTensorType>(weight.getStorage());
  if (auto value = dyn_cast_or_null<DenseElementsAttr>(weight.getValueAttr())) {
    if (isa<FloatType>(type.getElementType()))
      return floatBits(value);
    return llvm::to_vector(value.getValues<APInt>());
  }
  llvm::Expected<StringRef> file =
      sources.open(weight.getSource().value_or(""));
  if (!file) {
    llvm::consumeError(file.takeError());
    return std::nullopt;
  }
  uint64_t offset = weight.getOffset(), size = weight.getSize();
  if (offset > file->size() || size > file->size() - offset)
    return std::nullopt;
  return decode(file->substr(offset, size), weight.getEncoding() == "varint",
                type.getNumElements(),
                std::max(8u, type.getElementTypeBitWidth()));
}

static std::optional<SmallVector<APInt>> constantBits(const Tensor &tensor,
                                                      WeightSources &sources) {
  if (!tensor.value)
    return std::nullopt;
  if (auto weight = tensor.value.getDefiningOp<WeightOp>())
    return weightBits(weight, sources);
  DenseElementsAttr elements;
  if (!matchPattern(tensor.value, m_Constant(&elements)))
    return std::nullopt;
  if (isFloat(tensor.dtype))
    return floatBits(elements);
  return llvm::to_vector(elements.getValues<APInt>());
}

std::optional<SmallVector<int64_t>>
Lowering::constantInts(const Tensor &tensor) {
  if (!isInteger(tensor.dtype))
    return std::nullopt;
  auto bits = constantBits(tensor, sources);
  if (!bits)
    return std::nullopt;
  return llvm::map_to_vector(*bits, [&](const APInt &value) {
    return isUnsigned(tensor.dtype) ? int64_t(value.getZExtValue())
                                    : value.getSExtValue();
  });
}

std::optional<SmallVector<double>>
Lowering::constantFloats(const Tensor &tensor) {
  if (!isFloat(tensor.dtype))
    return std::nullopt;
  auto bits = constantBits(tensor, sources);
  if (!bits)
    return std::nullopt;
  auto type = mlir::cast<FloatType>(storageType(context(), tensor.dtype));
  return llvm::map_to_vector(*bits, [&](const APInt &value) {
    return FloatAttr::getValueAsDouble(
        APFloat(type.getFloatSemantics(), value));
  });
}
