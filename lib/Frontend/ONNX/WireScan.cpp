//===- WireScan.cpp - Weights stay in the file ----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A reader of Protobuf's wire format that knows which fields of an ONNX model
// lead to tensors. It copies everything else to the skeleton as it is and
// rewrites the lengths of the messages around a payload that it cuts out.
//
//===----------------------------------------------------------------------===//

#include "WireScan.h"

#include <algorithm>

using namespace mlir::lutra::model;

namespace {

enum class Message {
  Opaque,
  Model,
  Graph,
  Node,
  Attribute,
  Function,
  Tensor,
  Sparse,
  Training
};

enum WireType : uint32_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kStartGroup = 3,
  kEndGroup = 4,
  kFixed32 = 5
};

struct Field {
  uint32_t number = 0, wire = 0;
  /// The varint's value, or the length of the bytes.
  uint64_t value = 0;
  /// Positions: of the tag, of the bytes (or the fixed value), after the field.
  uint64_t begin = 0, body = 0, end = 0;
};

/// Nested messages that Protobuf itself would accept by default.
constexpr int kMaxDepth = 100;

} // namespace

/// The fields through which tensors are reached.
static Message childMessage(Message message, uint32_t field) {
  struct Edge {
    Message message;
    uint32_t field;
    Message child;
  };
  static constexpr Edge edges[] = {
      {Message::Model, 7, Message::Graph},
      {Message::Model, 20, Message::Training},
      {Message::Model, 25, Message::Function},
      {Message::Graph, 1, Message::Node},
      {Message::Graph, 5, Message::Tensor},
      {Message::Graph, 15, Message::Sparse},
      {Message::Function, 7, Message::Node},
      {Message::Function, 11, Message::Attribute},
      {Message::Node, 5, Message::Attribute},
      {Message::Attribute, 5, Message::Tensor},
      {Message::Attribute, 6, Message::Graph},
      {Message::Attribute, 10, Message::Tensor},
      {Message::Attribute, 11, Message::Graph},
      {Message::Attribute, 22, Message::Sparse},
      {Message::Attribute, 23, Message::Sparse},
  };
  for (const Edge &edge : edges)
    if (edge.message == message && edge.field == field)
      return edge.child;
  return Message::Opaque;
}

static void appendVarint(std::string &out, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

static void appendBytes(std::string &out, uint32_t field,
                        std::string_view bytes) {
  appendVarint(out, (uint64_t(field) << 3) | kBytes);
  appendVarint(out, bytes.size());
  out.append(bytes);
}

/// Bytes per element of a TensorProto.DataType whose elements are varints.
static uint64_t varintElementBytes(uint64_t dtype) {
  switch (dtype) {
  case 7:  // INT64
  case 13: // UINT64
    return 8;
  case 6:  // INT32
  case 12: // UINT32
    return 4;
  case 4:  // UINT16
  case 5:  // INT16
  case 10: // FLOAT16
  case 16: // BFLOAT16
    return 2;
  default:
    return 1;
  }
}

static bool isPayload(uint32_t field) {
  return field == kFloatData || field == kInt32Data || field == kInt64Data ||
         field == kRawData || field == kDoubleData || field == kUInt64Data;
}

namespace {

class Scanner {
public:
  Scanner(std::string_view bytes, WireScan &result)
      : bytes(bytes), result(result) {}

  /// Copies the message in [pos, end) to `out`, without its payloads.
  bool copy(Message message, uint64_t pos, uint64_t end, std::string &out,
            int depth);

private:
  bool refuse(const std::string &why) {
    if (result.error.empty())
      result.error = why;
    return false;
  }
  bool fail(uint64_t pos, const std::string &found) {
    return refuse("expected an ONNX model, got " + found + " at byte " +
                  std::to_string(pos));
  }
  bool varint(uint64_t &pos, uint64_t end, uint64_t &value);
  bool next(uint64_t &pos, uint64_t end, Field &field);
  bool countVarints(const Field &field, uint64_t &count);
  bool copyTensor(uint64_t pos, uint64_t end, std::string &out);
  bool checkKey(const Field &entry);
  /// What the first pass over a tensor finds.
  struct TensorScan {
    uint64_t dtype = 0;
    std::string_view name;
    Field payload;
    unsigned payloads = 0;
    uint64_t unpacked = 0;
  };
  bool scanTensor(uint64_t pos, uint64_t end, TensorScan &scan);
  bool isWeight(const TensorScan &scan, uint64_t &elements, bool &weight);

  std::string_view bytes;
  WireScan &result;
};

} // namespace

bool Scanner::varint(uint64_t &pos, uint64_t end, uint64_t &value) {
  value = 0;
  uint64_t begin = pos;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (pos >= end)
      return fail(begin, "a truncated number");
    auto byte = static_cast<unsigned char>(bytes[pos++]);
    if (shift < 64)
      value |= uint64_t(byte & 0x7f) << shift;
    if (!(byte & 0x80))
      return true;
  }
  return fail(begin, "a number of more than 10 bytes");
}

bool Scanner::next(uint64_t &pos, uint64_t end, Field &field) {
  field.begin = pos;
  uint64_t tag;
  if (!varint(pos, end, tag))
    return false;
  field.number = static_cast<uint32_t>(tag >> 3);
  field.wire = tag & 7;
  if (tag >> 32 || field.number == 0)
    return fail(field.begin, "an invalid field tag");
  field.body = pos;
  switch (field.wire) {
  case kVarint:
    if (!varint(pos, end, field.value))
      return false;
    break;
  case kFixed32:
  case kFixed64:
    field.value = field.wire == kFixed32 ? 4 : 8;
    if (field.value > end - pos)
      return fail(field.begin, "a truncated field");
    pos += field.value;
    break;
  case kBytes:
    if (!varint(pos, end, field.value))
      return false;
    field.body = pos;
    if (field.value > end - pos)
      return fail(field.begin, "a field of " + std::to_string(field.value) +
                                   " bytes where " + std::to_string(end - pos) +
                                   " are left");
    pos += field.value;
    break;
  default:
    return fail(field.begin,
                "the invalid wire type " + std::to_string(field.wire));
  }
  field.end = pos;
  return true;
}

bool Scanner::copy(Message message, uint64_t pos, uint64_t end,
                   std::string &out, int depth) {
  if (depth > kMaxDepth)
    return fail(pos, "messages nested more than " + std::to_string(kMaxDepth) +
                         " deep");
  if (message == Message::Tensor)
    return copyTensor(pos, end, out);
  while (pos < end) {
    Field field;
    if (!next(pos, end, field))
      return false;
    Message child = childMessage(message, field.number);
    if (child == Message::Opaque) {
      out.append(bytes.substr(field.begin, field.end - field.begin));
      continue;
    }
    if (field.wire != kBytes)
      return fail(field.begin, "wire type " + std::to_string(field.wire) +
                                   " where a message belongs");
    if (child == Message::Sparse)
      return refuse("sparse tensors are not supported");
    // What a training framework left there has no part in inference.
    if (child == Message::Training)
      continue;
    std::string inner;
    if (!copy(child, field.body, field.end, inner, depth + 1))
      return false;
    appendBytes(out, field.number, inner);
  }
  return true;
}

bool Scanner::checkKey(const Field &entry) {
  uint64_t pos = entry.body;
  while (pos < entry.end) {
    Field field;
    if (!next(pos, entry.end, field))
      return false;
    if (field.number == 1 && field.wire == kBytes &&
        bytes.substr(field.body, field.value) == kPayloadKey)
      return refuse("external data key '" + std::string(kPayloadKey) +
                    "' is reserved");
  }
  return true;
}

bool Scanner::scanTensor(uint64_t pos, uint64_t end, TensorScan &scan) {
  while (pos < end) {
    Field field;
    if (!next(pos, end, field))
      return false;
    if (field.number == 2 && field.wire == kVarint)
      scan.dtype = field.value;
    if (field.number == 8 && field.wire == kBytes)
      scan.name = bytes.substr(field.body, std::min<uint64_t>(field.value, 80));
    if (field.number == 13 && field.wire == kBytes && !checkKey(field))
      return false;
    if (!isPayload(field.number))
      continue;
    if (field.wire != kBytes) {
      ++scan.unpacked;
    } else if (field.value != 0) {
      ++scan.payloads;
      if (field.value > scan.payload.value)
        scan.payload = field;
    }
  }
  return true;
}

bool Scanner::countVarints(const Field &field, uint64_t &count) {
  count = 0;
  uint64_t length = 0;
  for (unsigned char byte : bytes.substr(field.body, field.value)) {
    if (++length > 10)
      return fail(field.begin, "a number of more than 10 bytes");
    if (byte & 0x80)
      continue;
    ++count;
    length = 0;
  }
  return length == 0 || fail(field.begin, "a truncated number");
}

/// Decides by the size that the elements have in memory.
bool Scanner::isWeight(const TensorScan &scan, uint64_t &elements,
                       bool &weight) {
  const Field &payload = scan.payload;
  elements = 0;
  weight = payload.value > kMaxInlineBytes;
  if (payload.number != kInt32Data && payload.number != kInt64Data &&
      payload.number != kUInt64Data)
    return true;
  if (!countVarints(payload, elements))
    return false;
  weight = elements * varintElementBytes(scan.dtype) > kMaxInlineBytes;
  return true;
}

bool Scanner::copyTensor(uint64_t pos, uint64_t end, std::string &out) {
  TensorScan scan;
  if (!scanTensor(pos, end, scan))
    return false;
  std::string name = "tensor '" + std::string(scan.name) + "'";
  if (scan.unpacked * 8 > kMaxInlineBytes)
    return refuse(name + ": expected packed elements in more than 1 KiB");
  uint64_t elements;
  bool weight;
  if (!isWeight(scan, elements, weight))
    return false;
  if (!weight && scan.payloads <= 1) {
    out.append(bytes.substr(pos, end - pos));
    return true;
  }
  if (scan.payloads != 1 || scan.unpacked != 0)
    return refuse(name + ": expected elements in one place, got several");
  const Field &payload = scan.payload;
  out.append(bytes.substr(pos, payload.begin - pos));
  out.append(bytes.substr(payload.end, end - payload.end));
  // external_data {key, value}; data_location = EXTERNAL, so that nothing in
  // the ONNX library takes the tensor for an empty one.
  std::string entry;
  appendBytes(entry, 1, kPayloadKey);
  appendBytes(entry, 2, std::to_string(result.payloads.size()));
  appendBytes(out, 13, entry);
  appendVarint(out, (14 << 3) | kVarint);
  appendVarint(out, 1);
  result.payloads.push_back(
      {payload.body, payload.value, payload.number, elements});
  return true;
}

WireScan mlir::lutra::model::scanModel(std::string_view model) {
  WireScan result;
  Scanner scanner(model, result);
  if (!scanner.copy(Message::Model, 0, model.size(), result.skeleton, 0))
    result.skeleton.clear();
  return result;
}
