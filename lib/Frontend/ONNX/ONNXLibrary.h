//===- ONNXLibrary.h - The ONNX C++ library, at arm's length ----*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the importer needs of Protobuf and of the ONNX library, in plain structs
// and without exceptions: parsing, structural checks, type inference, function
// bodies. No header of either is visible through this one.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_ONNXLIBRARY_H
#define LUTRA_LIB_FRONTEND_ONNX_ONNXLIBRARY_H

#include "WireScan.h"

#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <variant>

namespace mlir::lutra::model {

/// A value, or an error in one line.
template <typename T>
struct Result {
  T value;
  std::string error;
  explicit operator bool() const { return error.empty(); }
};

/// A size: known, or a name (empty for a size that ONNX cannot name).
struct Dim {
  std::optional<int64_t> size;
  std::string name;
};

struct ValueType {
  /// What the value is where it is no tensor: "sequence", "optional", ...
  std::string notTensor;
  /// TensorProto.DataType; 0 where nothing is known.
  int32_t dtype = 0;
  /// Nothing where the rank is unknown.
  std::optional<std::vector<Dim>> shape;
};

/// A tensor of checked size: `dims` and `dtype` agree with the bytes, wherever
/// they are.
struct Tensor {
  std::string name;
  int32_t dtype = 0;
  std::vector<int64_t> dims;
  uint64_t byteSize = 0;

  /// The bytes themselves: dense, little-endian, a bool in a byte.
  struct Inline {
    std::string bytes;
  };
  /// In another file. `length` was checked where it was given.
  struct External {
    std::string location;
    uint64_t offset = 0;
  };
  /// A payload is in the model's own file.
  std::variant<Inline, Payload, External> data;
};

struct Graph;

struct Attribute {
  std::string name;
  std::variant<int64_t, float, std::string, std::vector<int64_t>,
               std::vector<float>, std::vector<std::string>, Tensor, ValueType,
               std::shared_ptr<Graph>>
      value;
};

struct Node {
  std::string name, domain, op;
  /// The version of `domain` that the model imports.
  int64_t version = 0;
  /// An empty name is an omitted input or output.
  std::vector<std::string> inputs, outputs;
  std::vector<Attribute> attributes;
};

/// Sorted such that every value is defined before it is used.
struct Graph {
  std::vector<std::string> inputs, outputs;
  std::vector<Tensor> initializers;
  std::vector<Node> nodes;
  std::unordered_map<std::string, ValueType> types;
};

struct Model {
  Graph graph;
  /// Names of the dimensions of the inputs, in order of appearance, those that
  /// were fixed included.
  std::vector<std::string> dims;
};

/// The binary form of a model in ONNX's text syntax, the same for equal texts.
Result<std::string> parseText(std::string_view text);

/// Loads what `scan` found. `fixedDims` gives named dimensions a size.
Result<Model> loadModel(const WireScan &scan,
                        const std::map<std::string, int64_t> &fixedDims);

/// The version at which an operator took the meaning that it has in `version`
/// of its domain.
std::optional<int64_t> schemaVersion(const std::string &domain,
                                     const std::string &op, int64_t version);

/// TensorProto's name of an element type ("FLOAT8E4M3FN"), or its number.
std::string elementTypeName(int32_t dtype);

} // namespace mlir::lutra::model

#endif // LUTRA_LIB_FRONTEND_ONNX_ONNXLIBRARY_H
