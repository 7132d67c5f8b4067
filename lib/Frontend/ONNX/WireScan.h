//===- WireScan.h - Weights stay in the file --------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Walks the bytes of an ONNX model before Protobuf sees them and cuts out the
// payload of every tensor above 1 KiB, so that the parser neither copies
// weights nor meets its 2 GiB limit. Plain C++: neither LLVM nor Protobuf.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_WIRESCAN_H
#define LUTRA_LIB_FRONTEND_ONNX_WIRESCAN_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mlir::lutra::model {

/// A tensor with more bytes than this is a weight and not a constant.
inline constexpr uint64_t kMaxInlineBytes = 1024;

/// The external_data key by which a tensor of the skeleton names its payload, a
/// decimal index into WireScan::payloads. Models may not use it.
inline constexpr std::string_view kPayloadKey = "lutra.payload";

/// Numbers of TensorProto's payload fields.
enum PayloadField : uint32_t {
  kFloatData = 4,
  kInt32Data = 5,
  kInt64Data = 7,
  kRawData = 9,
  kDoubleData = 10,
  kUInt64Data = 11
};

/// Where a tensor's elements are in the model.
struct Payload {
  uint64_t offset = 0, size = 0;
  uint32_t field = 0;
  /// The number of varints; 0 where the field has fixed-size elements.
  uint64_t elements = 0;
  bool isVarint() const {
    return field == kInt32Data || field == kInt64Data || field == kUInt64Data;
  }
};

struct WireScan {
  /// The model without the payloads: an ordinary ModelProto.
  std::string skeleton;
  std::vector<Payload> payloads;
  /// Empty, or why the bytes are not a model, with the position.
  std::string error;
};

/// Never reads outside of `model`, whatever it holds.
WireScan scanModel(std::string_view model);

} // namespace mlir::lutra::model

#endif // LUTRA_LIB_FRONTEND_ONNX_WIRESCAN_H
