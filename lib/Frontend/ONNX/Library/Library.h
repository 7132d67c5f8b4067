//===- Library.h - Inside of the ONNX library's interface -------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the files of LutraONNXLibrary share. They may throw; ONNXLibrary.cpp
// catches.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_LIBRARY_LIBRARY_H
#define LUTRA_LIB_FRONTEND_ONNX_LIBRARY_LIBRARY_H

#include "../ONNXLibrary.h"

#include "onnx/onnx_pb.h"
#include <stdexcept>

namespace onnx {
class OpSchema;
} // namespace onnx

namespace mlir::lutra::model {

/// Why a model is refused.
struct ModelError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline std::string quoted(const std::string &name) { return "'" + name + "'"; }

/// "node 'conv1'", or "node Conv" where it has no name.
std::string describe(const ::onnx::NodeProto &node);

/// The version that the model imports of a domain; "" and "ai.onnx" are one.
std::optional<int64_t> importedVersion(const ::onnx::ModelProto &model,
                                       const std::string &domain);

/// The metadata key under which a node from a function's body carries the
/// version of its domain, where that differs from the model's.
inline constexpr const char *kVersionKey = "lutra.version";

/// The version of a node's domain that the node is written for.
int64_t nodeVersion(const ::onnx::ModelProto &model,
                    const ::onnx::NodeProto &node);

/// Gives unnamed nodes of the main graph and its subgraphs the name Op_N, N
/// their position in the graph.
void nameNodes(::onnx::ModelProto &model);

/// Checks names and sorts nodes such that values are defined before they are
/// used, in all graphs.
void checkAndSort(::onnx::GraphProto &graph);

/// The definition of an operator in a version of its domain, or null; "" and
/// "ai.onnx" are one domain.
const ::onnx::OpSchema *findSchema(const std::string &domain,
                                   const std::string &op, int64_t version);

/// The same for an operator of a domain that ONNX does not know, but handlers
/// are written for.
const ::onnx::OpSchema *contributedSchema(const std::string &domain,
                                          const std::string &op);

/// Checks the nodes of operators that ONNX knows: their numbers of inputs and
/// outputs, and that all is there that the operator requires.
void checkSignatures(const ::onnx::ModelProto &model);

/// Replaces calls of the model's own functions by their bodies.
void inlineFunctions(::onnx::ModelProto &model);

/// Replaces nodes of the operators that no handler is written for, since ONNX
/// defines them by a body. True where one was found.
bool expandSchemaFunctions(::onnx::ModelProto &model);

/// Seeds the types of values. That inference fails is no reason to refuse a
/// model: the types that it found until then stay.
void inferTypes(::onnx::ModelProto &model);

/// Names the unnamed dimensions of inputs "<input>.<index>", gives those in
/// `fixed` their size in all graphs, and returns the names of all.
std::vector<std::string>
resolveDims(::onnx::ModelProto &model,
            const std::map<std::string, int64_t> &fixed);

/// The plain form of a checked model.
Graph exportGraph(const ::onnx::ModelProto &model,
                  const std::vector<Payload> &payloads);

/// The plain form of a tensor, its size checked against its shape.
Tensor exportTensor(const ::onnx::TensorProto &proto,
                    const std::vector<Payload> &payloads);

/// The plain form of a type.
ValueType exportType(const ::onnx::TypeProto &type);

} // namespace mlir::lutra::model

#endif // LUTRA_LIB_FRONTEND_ONNX_LIBRARY_LIBRARY_H
