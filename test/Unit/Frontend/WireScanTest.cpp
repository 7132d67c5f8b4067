//===- WireScanTest.cpp - Weights stay in the file ------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The scan and the loader behind it on models written byte by byte, whole,
// truncated and mutated. Meant to be run under AddressSanitizer, too.
//
//===----------------------------------------------------------------------===//

#include "ONNXLibrary.h"
#include <gtest/gtest.h>

using namespace mlir::lutra::model;

namespace {

std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7)
    out.push_back(char(value | 0x80));
  out.push_back(char(value));
  return out;
}

std::string number(uint32_t field, uint64_t value) {
  return varint(field << 3) + varint(value);
}

std::string bytes(uint32_t field, const std::string &value) {
  return varint((field << 3) | 2) + varint(value.size()) + value;
}

std::string tensor(const std::string &name, int dtype, int64_t size,
                   const std::string &payload) {
  return number(1, size) + number(2, dtype) + payload + bytes(8, name);
}

std::string valueInfo(const std::string &name, int dtype, int64_t size) {
  std::string shape = bytes(1, number(1, size));
  return bytes(1, name) +
         bytes(2, bytes(1, number(1, dtype) + bytes(2, shape)));
}

constexpr int kFloat = 1, kInt64 = 7;

/// y = x + w, with an unused int64 tensor, in a model of IR 8 and opset 18.
std::string modelWith(const std::string &weights, int64_t size) {
  std::string add =
      bytes(1, "x") + bytes(1, "w") + bytes(2, "y") + bytes(4, "Add");
  std::string graph = bytes(1, add) + bytes(2, "g") + weights +
                      bytes(11, valueInfo("x", kFloat, size)) +
                      bytes(12, valueInfo("y", kFloat, size));
  return number(1, 8) + bytes(8, number(2, 18)) + bytes(7, graph);
}

std::string rawFloats(int64_t size) {
  return bytes(9, std::string(4 * size, 'w'));
}

std::string validModel() {
  std::string ints;
  for (int i = 0; i < 200; ++i)
    ints += varint(uint64_t(-i));
  return modelWith(bytes(5, tensor("w", kFloat, 300, rawFloats(300))) +
                       bytes(5, tensor("i", kInt64, 200, bytes(7, ints))),
                   300);
}

Result<Model> load(const std::string &model) {
  WireScan scan = scanModel(model);
  if (!scan.error.empty())
    return {{}, scan.error};
  // What a consumer of the records relies on.
  for (const Payload &payload : scan.payloads) {
    EXPECT_LE(payload.offset, model.size());
    EXPECT_LE(payload.size, model.size() - payload.offset);
  }
  return loadModel(scan, {});
}

std::string errorOf(const std::string &model) { return load(model).error; }

} // namespace

TEST(WireScan, cutsPayloadsAndKeepsTheRest) {
  std::string model = validModel();
  WireScan scan = scanModel(model);
  ASSERT_EQ(scan.error, "");
  ASSERT_EQ(scan.payloads.size(), 2u);
  EXPECT_EQ(scan.payloads[0].field, kRawData);
  EXPECT_EQ(scan.payloads[0].size, 1200u);
  EXPECT_EQ(model.substr(scan.payloads[0].offset, 1200),
            std::string(1200, 'w'));
  EXPECT_TRUE(scan.payloads[1].isVarint());
  EXPECT_EQ(scan.payloads[1].elements, 200u);
  EXPECT_LT(scan.skeleton.size(), 300u);

  Result<Model> loaded = loadModel(scan, {});
  ASSERT_EQ(loaded.error, "");
  const Graph &graph = loaded.value.graph;
  ASSERT_EQ(graph.initializers.size(), 2u);
  EXPECT_EQ(graph.initializers[0].name, "w");
  EXPECT_EQ(std::get<Payload>(graph.initializers[0].data).offset,
            scan.payloads[0].offset);
  EXPECT_EQ(graph.initializers[1].byteSize, 1600u);
  ASSERT_EQ(graph.nodes.size(), 1u);
  EXPECT_EQ(graph.nodes[0].name, "Add_0");
}

TEST(WireScan, leavesSmallTensorsWhereTheyAre) {
  std::string model =
      modelWith(bytes(5, tensor("w", kFloat, 256, rawFloats(256))), 256);
  WireScan scan = scanModel(model);
  EXPECT_EQ(scan.error, "");
  EXPECT_TRUE(scan.payloads.empty());
  EXPECT_EQ(scan.skeleton, model);
}

TEST(WireScan, decidesBySizeInMemoryForVarints) {
  // 129 one-byte varints are 1032 bytes of int64, and 129 of int8.
  for (auto [dtype, weights] : {std::pair(7, 1u), std::pair(3, 0u)}) {
    std::string payload = bytes(dtype == 7 ? 7 : 5, std::string(129, '\1'));
    std::string model =
        modelWith(bytes(5, tensor("w", dtype, 129, payload)), 129);
    WireScan scan = scanModel(model);
    EXPECT_EQ(scan.error, "");
    EXPECT_EQ(scan.payloads.size(), weights);
  }
}

TEST(WireScan, refusesWhatItCannotRefer) {
  std::string unpacked;
  for (int i = 0; i < 300; ++i)
    unpacked += varint((4 << 3) | 5) + std::string(4, 'w');
  EXPECT_EQ(
      errorOf(modelWith(bytes(5, tensor("w", kFloat, 300, unpacked)), 300)),
      "tensor 'w': expected packed elements in more than 1 KiB");
  EXPECT_EQ(
      errorOf(modelWith(
          bytes(5, tensor("w", kFloat, 600,
                          rawFloats(300) + bytes(4, std::string(1200, 'w')))),
          600)),
      "tensor 'w': expected elements in one place, got several");
  EXPECT_EQ(errorOf(modelWith(bytes(15, ""), 1)),
            "sparse tensors are not supported");
  std::string forged = bytes(1, std::string(kPayloadKey)) + bytes(2, "0");
  EXPECT_EQ(errorOf(modelWith(
                bytes(5, tensor("w", kFloat, 300, bytes(13, forged))), 300)),
            "external data key 'lutra.payload' is reserved");
}

TEST(WireScan, checksSizes) {
  EXPECT_EQ(errorOf(modelWith(
                bytes(5, tensor("w", kFloat, 301, rawFloats(300))), 301)),
            "tensor 'w': expected 1204 bytes of elements, got 1200");
  EXPECT_EQ(errorOf(modelWith(
                bytes(5, tensor("w", kFloat, INT64_MAX, rawFloats(300))), 1)),
            "tensor 'w': expected less than 2^60 bytes, got a shape of more");
  EXPECT_EQ(
      errorOf(modelWith(
          bytes(5, tensor("w", kInt64, 300, bytes(4, std::string(1200, 'w')))),
          300)),
      "tensor 'w': expected elements in field 7 or raw_data, got field "
      "4");
}

TEST(WireScan, refusesBrokenBytes) {
  EXPECT_EQ(errorOf(bytes(7, "").substr(0, 1)),
            "expected an ONNX model, got a truncated number at byte 1");
  EXPECT_EQ(errorOf("\x3a\x7f"),
            "expected an ONNX model, got a field of 127 bytes where 0 are left "
            "at byte 0");
  EXPECT_EQ(errorOf(std::string(20, '\xff')),
            "expected an ONNX model, got a number of more than 10 bytes at "
            "byte 0");
  EXPECT_EQ(errorOf(varint((7 << 3) | 3)),
            "expected an ONNX model, got the invalid wire type 3 at byte 0");
  EXPECT_EQ(errorOf(number(7, 1)), "expected an ONNX model, got wire type 0 "
                                   "where a message belongs at byte 0");
}

TEST(WireScan, limitsNesting) {
  std::string graph = bytes(2, "innermost");
  for (int i = 0; i < 200; ++i)
    graph = bytes(1, bytes(5, bytes(6, graph)));
  EXPECT_NE(errorOf(bytes(7, graph)).find("nested more than 100 deep"),
            std::string::npos);
}

TEST(WireScan, survivesEveryTruncation) {
  std::string model = validModel();
  for (size_t size = 0; size < model.size(); ++size)
    EXPECT_NE(errorOf(model.substr(0, size)), "") << "at " << size;
}

TEST(WireScan, survivesEveryMutation) {
  std::string model = validModel();
  for (size_t i = 0; i < model.size(); ++i) {
    // Within payloads every byte is like every other.
    if (i % 16 != 0 && model.compare(i, 16, std::string(16, 'w')) == 0)
      continue;
    for (int bit = 0; bit < 8; ++bit) {
      std::string mutant = model;
      mutant[i] ^= char(1 << bit);
      load(mutant);
    }
    for (char byte : {'\0', '\x7f', '\xff'}) {
      std::string mutant = model;
      mutant[i] = byte;
      load(mutant);
    }
  }
}
