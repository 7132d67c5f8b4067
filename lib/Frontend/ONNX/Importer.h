//===- Importer.h - Builds the onnx dialect's module ------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_IMPORTER_H
#define LUTRA_LIB_FRONTEND_ONNX_IMPORTER_H

#include "ONNXLibrary.h"
#include "lutra/Frontend/ONNX/Import.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::lutra {

/// Turns one loaded model into a module. Failure means that an error was
/// emitted.
class Importer {
public:
  Importer(MLIRContext &context, StringRef path, WeightSources &sources)
      : b(&context), path(path), sources(sources) {}

  OwningOpRef<ModuleOp> build(const model::Model &model,
                              const ImportOptions &options);

private:
  /// The values that one graph defines; a subgraph sees those around it.
  struct Scope {
    const Scope *parent;
    llvm::StringMap<Value> values;
  };

  /// Where a tensor's bytes are: in a source, or only here (no source).
  struct Bytes {
    std::string source;
    uint64_t offset = 0;
    StringRef data;
    bool isVarint = false;
  };

  InFlightDiagnostic error(const llvm::Twine &what);
  Location nameLoc(StringRef name) {
    if (name.empty())
      return b.getUnknownLoc();
    return NameLoc::get(b.getStringAttr(printable(name)));
  }

  // Import.cpp: graphs.
  LogicalResult addGraph(const model::Graph &graph, Scope &scope,
                         SmallVectorImpl<Value> &outputs);
  LogicalResult addNode(const model::Node &node, const model::Graph &graph,
                        Scope &scope);
  LogicalResult addAttributes(const model::Node &node, NamedAttrList &attrs,
                              SmallVectorImpl<const model::Graph *> &subgraphs);
  LogicalResult addSubgraph(const model::Graph &graph, const Scope &parent,
                            Region &region, StringRef node);
  FailureOr<Value> lookup(const Scope &scope, StringRef name, StringRef node);
  Value absent();

  // ImportTensors.cpp: constants and attributes.
  FailureOr<Value> addTensor(const model::Tensor &tensor, StringRef name);
  FailureOr<RankedTensorType> tensorType(const model::Tensor &tensor,
                                         StringRef name);
  FailureOr<Bytes> locate(const model::Tensor &tensor, StringRef name);
  FailureOr<DenseElementsAttr> elements(const model::Tensor &tensor,
                                        StringRef name);
  FailureOr<Attribute> attribute(const model::Attribute &attribute,
                                 StringRef node);

  // ImportState.cpp: states.
  LogicalResult readStates(const model::Model &model, ImportOptions &options);
  LogicalResult addState(const model::Graph &graph, StringRef past,
                         StringRef present, int64_t capacity);
  LogicalResult readLength(ImportOptions &options);
  std::optional<unsigned> findAxis(const model::Graph &graph, StringRef past,
                                   StringRef present);

  // ImportInterface.cpp: types, inputs, outputs, dimensions.
  LogicalResult checkInterfaceNames(const model::Model &model);
  Type importedType(const model::ValueType &type);
  Type valueType(const model::Graph &graph, StringRef name);
  LogicalResult readDims(const model::Model &model,
                         const ImportOptions &options);
  void relateDims(const ImportOptions &options);
  FailureOr<Type> inputType(const model::Graph &graph, StringRef name);
  DictionaryAttr inputAttrs(const model::Graph &graph, StringRef name);
  DictionaryAttr outputAttrs(StringRef name, Type type);

  OpBuilder b;
  StringRef path;
  WeightSources &sources;
  /// Symbolic dimensions: position and attribute lutra.dims.
  llvm::StringMap<unsigned> symbols;
  SmallVector<Attribute> dims;
  /// An input that is kept between runs. All have one length, `length`, which
  /// is the dimension of all their `lengthName`s.
  struct State {
    std::string present, lengthName;
    unsigned axis;
    int64_t capacity;
  };
  llvm::StringMap<State> states;
  std::string length;
  /// The one stand-in for omitted inputs, in the main function's entry.
  Value absentValue;
  Block *entry = nullptr;
};

/// The sizes that `options` fixes; an error text where a range makes no sense.
llvm::Expected<std::map<std::string, int64_t>>
fixedDims(const ImportOptions &options);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_IMPORTER_H
