//===- Tensors.cpp - Tensors of an ONNX model -----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Takes tensors out of Protobuf: wherever the elements are, their number and
// size must be what the shape and the element type say.
//
//===----------------------------------------------------------------------===//

#include "Library.h"

#include <cstring>

using namespace mlir::lutra::model;
using ::onnx::TensorProto;

static constexpr int kMaxRank = 16;

namespace {
/// How TensorProto holds an element type.
struct ElementFormat {
  unsigned bits = 0;
  /// The typed field that holds elements which are not in raw_data.
  uint32_t field = 0;
};
} // namespace

static ElementFormat elementFormat(int32_t dtype) {
  switch (dtype) {
  case TensorProto::FLOAT:
    return {32, kFloatData};
  case TensorProto::DOUBLE:
    return {64, kDoubleData};
  case TensorProto::COMPLEX64:
    return {64, kFloatData};
  case TensorProto::COMPLEX128:
    return {128, kDoubleData};
  case TensorProto::INT64:
    return {64, kInt64Data};
  case TensorProto::UINT64:
    return {64, kUInt64Data};
  case TensorProto::UINT32:
    return {32, kUInt64Data};
  case TensorProto::INT32:
    return {32, kInt32Data};
  case TensorProto::INT16:
  case TensorProto::UINT16:
  case TensorProto::FLOAT16:
  case TensorProto::BFLOAT16:
    return {16, kInt32Data};
  case TensorProto::INT8:
  case TensorProto::UINT8:
  case TensorProto::BOOL:
  case TensorProto::FLOAT8E4M3FN:
  case TensorProto::FLOAT8E4M3FNUZ:
  case TensorProto::FLOAT8E5M2:
  case TensorProto::FLOAT8E5M2FNUZ:
  case TensorProto::FLOAT8E8M0:
    return {8, kInt32Data};
  case TensorProto::INT4:
  case TensorProto::UINT4:
  case TensorProto::FLOAT4E2M1:
    return {4, kInt32Data};
  case TensorProto::INT2:
  case TensorProto::UINT2:
    return {2, kInt32Data};
  default:
    return {};
  }
}

[[noreturn]] static void fail(const TensorProto &proto,
                              const std::string &what) {
  throw ModelError("tensor " + quoted(proto.name()) + ": " + what);
}

/// The bytes of the tensor in memory; refuses what does not fit in 63 bits.
static uint64_t checkedByteSize(const TensorProto &proto, unsigned bits) {
  if (proto.dims_size() > kMaxRank)
    fail(proto, "expected a rank of at most " + std::to_string(kMaxRank) +
                    ", got " + std::to_string(proto.dims_size()));
  uint64_t total = bits;
  for (int64_t size : proto.dims())
    if (size < 0)
      fail(proto, "expected sizes of at least 0, got " + std::to_string(size));
  for (int64_t size : proto.dims())
    if (size == 0)
      return 0;
  for (int64_t size : proto.dims())
    if (__builtin_mul_overflow(total, uint64_t(size), &total) ||
        total > INT64_MAX)
      fail(proto, "expected less than 2^60 bytes, got a shape of more");
  return (total + 7) / 8;
}

static void expectBytes(const TensorProto &proto, uint64_t got,
                        uint64_t expected) {
  if (got != expected)
    fail(proto, "expected " + std::to_string(expected) +
                    " bytes of elements, got " + std::to_string(got));
}

template <typename Element, typename List>
static std::string pack(const List &list) {
  std::string bytes(list.size() * sizeof(Element), '\0');
  char *out = bytes.data();
  for (auto value : list) {
    auto element = static_cast<Element>(value);
    std::memcpy(out, &element, sizeof(Element));
    out += sizeof(Element);
  }
  return bytes;
}

static std::string packInt32(const TensorProto &proto, unsigned bits) {
  if (bits == 32)
    return pack<int32_t>(proto.int32_data());
  if (bits == 16)
    return pack<uint16_t>(proto.int32_data());
  return pack<uint8_t>(proto.int32_data());
}

static std::string inlineBytes(const TensorProto &proto, ElementFormat format) {
  if (proto.has_raw_data())
    return proto.raw_data();
  switch (format.field) {
  case kFloatData:
    return pack<float>(proto.float_data());
  case kDoubleData:
    return pack<double>(proto.double_data());
  case kInt64Data:
    return pack<int64_t>(proto.int64_data());
  case kUInt64Data:
    return format.bits == 64 ? pack<uint64_t>(proto.uint64_data())
                             : pack<uint32_t>(proto.uint64_data());
  default:
    return packInt32(proto, format.bits);
  }
}

static uint64_t parseNumber(const TensorProto &proto, const std::string &key,
                            const std::string &text) {
  uint64_t value = 0;
  for (char c : text)
    if (c < '0' || c > '9' || __builtin_mul_overflow(value, 10u, &value) ||
        __builtin_add_overflow(value, uint64_t(c - '0'), &value))
      fail(proto,
           "expected a number as " + key + " of external data, got " + text);
  if (text.empty())
    fail(proto, "expected a number as " + key + " of external data");
  return value;
}

static Payload findPayload(const TensorProto &proto, const std::string &index,
                           const std::vector<Payload> &payloads) {
  if (proto.external_data_size() != 1)
    fail(proto, "expected elements in one place, got inline and external data");
  uint64_t i = parseNumber(proto, "index", index);
  if (i >= payloads.size())
    fail(proto, "expected a payload of the model");
  return payloads[i];
}

static void checkPayload(const TensorProto &proto, const Payload &payload,
                         ElementFormat format, uint64_t byteSize) {
  if (payload.field != kRawData && payload.field != format.field)
    fail(proto, "expected elements in field " + std::to_string(format.field) +
                    " or raw_data, got field " + std::to_string(payload.field));
  expectBytes(proto,
              payload.isVarint()
                  ? payload.elements * std::max(1u, format.bits / 8)
                  : payload.size,
              byteSize);
}

static Tensor::External exportExternal(const TensorProto &proto,
                                       uint64_t byteSize) {
  Tensor::External external;
  for (const auto &entry : proto.external_data()) {
    if (entry.key() == "location")
      external.location = entry.value();
    else if (entry.key() == "offset")
      external.offset = parseNumber(proto, "offset", entry.value());
    else if (entry.key() == "length")
      expectBytes(proto, parseNumber(proto, "length", entry.value()), byteSize);
  }
  if (external.location.empty())
    fail(proto, "expected a location of external data");
  return external;
}

Tensor mlir::lutra::model::exportTensor(const TensorProto &proto,
                                        const std::vector<Payload> &payloads) {
  ElementFormat format = elementFormat(proto.data_type());
  if (format.bits == 0)
    fail(proto, "element type " + elementTypeName(proto.data_type()) +
                    " is not supported");
  if (proto.has_segment())
    fail(proto, "segments are not supported");
  Tensor tensor;
  tensor.name = proto.name();
  tensor.dtype = proto.data_type();
  tensor.byteSize = checkedByteSize(proto, format.bits);
  tensor.dims.assign(proto.dims().begin(), proto.dims().end());
  for (const auto &entry : proto.external_data())
    if (entry.key() == kPayloadKey) {
      Payload payload = findPayload(proto, entry.value(), payloads);
      checkPayload(proto, payload, format, tensor.byteSize);
      tensor.data = payload;
      return tensor;
    }
  if (proto.data_location() == TensorProto::EXTERNAL) {
    tensor.data = exportExternal(proto, tensor.byteSize);
    return tensor;
  }
  std::string bytes = inlineBytes(proto, format);
  expectBytes(proto, bytes.size(), tensor.byteSize);
  tensor.data = Tensor::Inline{std::move(bytes)};
  return tensor;
}
