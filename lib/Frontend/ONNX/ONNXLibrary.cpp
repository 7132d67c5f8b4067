//===- ONNXLibrary.cpp - The ONNX C++ library, at arm's length ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The entry points of the interface, and the place where everything that
// Protobuf or the ONNX library throws becomes the text of an error.
//
//===----------------------------------------------------------------------===//

#include "ONNXLibrary.h"

#include "Library/Library.h"
#include "onnx/defs/parser.h"
#include "onnx/defs/schema.h"
#include <algorithm>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

using namespace mlir::lutra::model;
namespace io = google::protobuf::io;

/// Versions that this build of the ONNX library and our handlers know.
static constexpr int64_t kMinIR = 3, kMaxIR = 14;
static constexpr int64_t kMinOpset = 7, kMaxOpset = 28;
/// Graph structure, without weights, that Protobuf can parse.
static constexpr size_t kMaxSkeletonBytes = INT32_MAX;
static constexpr int kMaxTextDepth = 64;

/// Runs `work` and turns what it throws into the result's error.
template <typename T, typename Work>
static Result<T> guarded(Work work) {
  Result<T> result;
  try {
    result.value = work();
  } catch (const std::exception &error) {
    result.error = error.what();
  } catch (...) {
    result.error = "unknown error in the ONNX library";
  }
  std::replace(result.error.begin(), result.error.end(), '\n', ' ');
  return result;
}

static void parseSkeleton(const std::string &skeleton,
                          ::onnx::ModelProto &model) {
  if (skeleton.size() > kMaxSkeletonBytes)
    throw ModelError("expected a graph of less than 2 GiB besides its weights");
  io::ArrayInputStream stream(skeleton.data(),
                              static_cast<int>(skeleton.size()));
  io::CodedInputStream coded(&stream);
  coded.SetTotalBytesLimit(INT32_MAX);
  if (!model.ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage())
    throw ModelError("expected an ONNX model, got bytes that are no "
                     "protobuf of one");
  if (!model.has_graph())
    throw ModelError("expected an ONNX model, got a protobuf without a graph");
}

static void checkVersions(const ::onnx::ModelProto &model) {
  int64_t ir = model.ir_version();
  if (ir < kMinIR || ir > kMaxIR)
    throw ModelError("expected IR version " + std::to_string(kMinIR) + " to " +
                     std::to_string(kMaxIR) + ", got " + std::to_string(ir));
  std::optional<int64_t> opset = importedVersion(model, "");
  if (opset && (*opset < kMinOpset || *opset > kMaxOpset))
    throw ModelError("expected opset " + std::to_string(kMinOpset) + " to " +
                     std::to_string(kMaxOpset) + ", got " +
                     std::to_string(*opset));
}

Result<Model>
mlir::lutra::model::loadModel(const WireScan &scan,
                              const std::map<std::string, int64_t> &fixedDims) {
  return guarded<Model>([&] {
    ::onnx::ModelProto proto;
    parseSkeleton(scan.skeleton, proto);
    checkVersions(proto);
    nameNodes(proto);
    inlineFunctions(proto);
    nameNodes(proto);
    checkAndSort(*proto.mutable_graph());
    checkSignatures(proto);
    Model model;
    model.dims = resolveDims(proto, fixedDims);
    inferTypes(proto);
    // A body may hold a node that is itself expanded.
    for (int round = 0; round < 4 && expandSchemaFunctions(proto); ++round) {
      nameNodes(proto);
      checkAndSort(*proto.mutable_graph());
      inferTypes(proto);
    }
    model.graph = exportGraph(proto, scan.payloads);
    return model;
  });
}

/// The parser recurses without a limit of its own.
static void checkTextDepth(std::string_view text) {
  int depth = 0;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (quote) {
      if (c == '\\')
        ++i;
      else if (c == quote)
        quote = 0;
    } else if (c == '"') {
      quote = c;
    } else if (c == '#') {
      i = std::min(text.find('\n', i), text.size());
    } else if (c == '(' || c == '{' || c == '[') {
      if (++depth > kMaxTextDepth)
        throw ModelError("brackets nested more than " +
                         std::to_string(kMaxTextDepth) + " deep");
    } else if (c == ')' || c == '}' || c == ']') {
      --depth;
    }
  }
}

Result<std::string> mlir::lutra::model::parseText(std::string_view text) {
  return guarded<std::string>([&] {
    checkTextDepth(text);
    ::onnx::ModelProto model;
    ::onnx::OnnxParser parser(text);
    ::onnx::Common::Status status;
    try {
      status = parser.Parse(model);
    } catch (const std::out_of_range &) {
      throw ModelError("expected ONNX text with numbers of at most 64 bits");
    }
    if (!status.IsOK())
      throw ModelError("expected ONNX text: " + status.ErrorMessage());
    if (!parser.EndOfInput())
      throw ModelError("expected the end of the model's text, got more");
    std::string bytes;
    io::StringOutputStream stream(&bytes);
    io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    if (model.ByteSizeLong() > kMaxSkeletonBytes ||
        !model.SerializeToCodedStream(&coded))
      throw ModelError("expected a text model of less than 2 GiB");
    coded.Trim();
    return bytes;
  });
}

std::optional<int64_t>
mlir::lutra::model::schemaVersion(const std::string &domain,
                                  const std::string &op, int64_t version) {
  Result<std::optional<int64_t>> since = guarded<std::optional<int64_t>>([&] {
    std::optional<int64_t> since;
    if (const auto *schema = findSchema(domain, op, version))
      since = schema->SinceVersion();
    return since;
  });
  return since.value;
}

std::string mlir::lutra::model::elementTypeName(int32_t dtype) {
  if (!::onnx::TensorProto_DataType_IsValid(dtype))
    return "number " + std::to_string(dtype);
  return ::onnx::TensorProto_DataType_Name(
      static_cast<::onnx::TensorProto_DataType>(dtype));
}
