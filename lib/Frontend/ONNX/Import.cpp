//===- Import.cpp - From ONNX files to the onnx dialect -------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads a model and builds `func.func @main` of one onnx.node per node. The
// wire scan keeps weights out of Protobuf, the ONNX library answers what the
// graph is, and this file only translates: nothing is lowered or folded here.
//
//===----------------------------------------------------------------------===//

#include "Importer.h"
#include "dialects/Lutra/Lutra.h"
#include "dialects/ONNX/ONNX.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace mlir::lutra;

std::string mlir::lutra::printable(StringRef text) {
  std::string result = llvm::json::fixUTF8(text);
  for (char &c : result)
    if (llvm::isASCII(c) && !llvm::isPrint(c))
      c = '?';
  return result;
}

/// Every error about the model passes through here, and may quote it.
static InFlightDiagnostic emit(MLIRContext *context, const llvm::Twine &what) {
  std::string text = what.str();
  constexpr size_t kMaxLength = 1000;
  if (text.size() > kMaxLength)
    text = text.substr(0, kMaxLength) + "...";
  return emitError(UnknownLoc::get(context)) << printable(text);
}

InFlightDiagnostic Importer::error(const llvm::Twine &what) {
  return emit(b.getContext(), path + ": " + what);
}

Value Importer::absent() {
  if (!absentValue) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(entry);
    absentValue = onnx::AbsentOp::create(b, b.getUnknownLoc(), b.getNoneType());
  }
  return absentValue;
}

FailureOr<Value> Importer::lookup(const Scope &scope, StringRef name,
                                  StringRef node) {
  for (const Scope *s = &scope; s; s = s->parent)
    if (auto found = s->values.find(name); found != s->values.end())
      return found->second;
  return error("node '" + node + "' uses value '" + name +
               "', which nothing defines");
}

LogicalResult Importer::addSubgraph(const model::Graph &graph,
                                    const Scope &parent, Region &region,
                                    StringRef node) {
  OpBuilder::InsertionGuard guard(b);
  Block *block = b.createBlock(&region);
  Scope scope{&parent, {}};
  for (const std::string &input : graph.inputs)
    scope.values[input] =
        block->addArgument(valueType(graph, input), nameLoc(input));
  SmallVector<Value> outputs;
  if (failed(addGraph(graph, scope, outputs)))
    return failure();
  onnx::YieldOp::create(b, nameLoc(node), outputs);
  return success();
}

/// The tensor of a Constant node, or null.
static const model::Tensor *constantTensor(const model::Node &node) {
  if (node.op != "Constant" || !node.domain.empty() ||
      node.attributes.size() != 1 || node.attributes.front().name != "value" ||
      node.outputs.size() != 1)
    return nullptr;
  return std::get_if<model::Tensor>(&node.attributes.front().value);
}

/// A subgraph's attribute is the number of its region.
LogicalResult
Importer::addAttributes(const model::Node &node, NamedAttrList &attrs,
                        SmallVectorImpl<const model::Graph *> &subgraphs) {
  for (const model::Attribute &attr : node.attributes) {
    if (auto *subgraph =
            std::get_if<std::shared_ptr<model::Graph>>(&attr.value)) {
      attrs.set(attr.name, b.getIndexAttr(subgraphs.size()));
      subgraphs.push_back(subgraph->get());
      continue;
    }
    FailureOr<Attribute> value = attribute(attr, node.name);
    if (failed(value))
      return failure();
    attrs.set(attr.name, *value);
  }
  return success();
}

LogicalResult Importer::addNode(const model::Node &node,
                                const model::Graph &graph, Scope &scope) {
  // A Constant is what an initializer is, and may be as large.
  if (const model::Tensor *tensor = constantTensor(node)) {
    FailureOr<Value> value = addTensor(*tensor, node.name);
    if (failed(value))
      return failure();
    scope.values[node.outputs.front()] = *value;
    return success();
  }
  std::string kind =
      node.domain.empty() ? node.op : node.domain + "." + node.op;
  SmallVector<Value> inputs;
  for (const std::string &input : node.inputs) {
    FailureOr<Value> value =
        input.empty() ? absent() : lookup(scope, input, node.name);
    if (failed(value))
      return failure();
    inputs.push_back(*value);
  }
  SmallVector<Type> types;
  for (const std::string &output : node.outputs)
    types.push_back(valueType(graph, output));
  NamedAttrList attrs;
  SmallVector<const model::Graph *> subgraphs;
  if (failed(addAttributes(node, attrs, subgraphs)))
    return failure();
  auto op = onnx::NodeOp::create(
      b, nameLoc(node.name), types, kind, node.version, inputs,
      attrs.getDictionary(b.getContext()), subgraphs.size());
  for (auto [subgraph, region] : llvm::zip_equal(subgraphs, op.getGraphs()))
    if (failed(addSubgraph(*subgraph, scope, region, node.name)))
      return failure();
  for (auto [name, value] : llvm::zip_equal(node.outputs, op.getOutputs()))
    if (!name.empty())
      scope.values[name] = value;
  return success();
}

LogicalResult Importer::addGraph(const model::Graph &graph, Scope &scope,
                                 SmallVectorImpl<Value> &outputs) {
  for (const model::Tensor &tensor : graph.initializers) {
    FailureOr<Value> value = addTensor(tensor, tensor.name);
    if (failed(value))
      return failure();
    scope.values[tensor.name] = *value;
  }
  for (const model::Node &node : graph.nodes)
    if (failed(addNode(node, graph, scope)))
      return failure();
  for (const std::string &output : graph.outputs) {
    FailureOr<Value> value = lookup(scope, output, "output");
    if (failed(value))
      return failure();
    outputs.push_back(*value);
  }
  return success();
}

/// Files keep initializers that no node uses; the weight image should not.
static void eraseUnused(Operation *root) {
  root->walk([](Operation *op) {
    if (isa<WeightOp, arith::ConstantOp>(op) && op->use_empty())
      op->erase();
  });
}

OwningOpRef<ModuleOp> Importer::build(const model::Model &model,
                                      const ImportOptions &options) {
  const model::Graph &graph = model.graph;
  ImportOptions own = options;
  if (failed(checkInterfaceNames(model)) || failed(readStates(model, own)) ||
      failed(readDims(model, own)))
    return {};
  SmallVector<Type> inputTypes;
  for (const std::string &input : graph.inputs) {
    FailureOr<Type> type = inputType(graph, input);
    if (failed(type))
      return {};
    inputTypes.push_back(*type);
  }
  // Names are those of nodes; what belongs to the whole model is in its file.
  Location loc = FileLineColLoc::get(b.getStringAttr(printable(path)), 0, 0);
  OwningOpRef<ModuleOp> module = ModuleOp::create(b, loc);
  b.setInsertionPointToStart(module->getBody());
  auto func =
      func::FuncOp::create(b, loc, "main", b.getFunctionType(inputTypes, {}));
  entry = func.addEntryBlock();
  b.setInsertionPointToStart(entry);
  Scope scope{nullptr, {}};
  for (auto [name, value] : llvm::zip_equal(graph.inputs, func.getArguments()))
    scope.values[name] = value;
  SmallVector<Value> outputs;
  if (failed(addGraph(graph, scope, outputs)))
    return {};
  func::ReturnOp::create(b, loc, outputs);
  eraseUnused(func);

  func.setType(b.getFunctionType(inputTypes, ValueRange(outputs).getTypes()));
  for (auto [i, name] : llvm::enumerate(graph.inputs))
    func.setArgAttrs(i, inputAttrs(graph, name));
  for (auto [i, name] : llvm::enumerate(graph.outputs))
    func.setResultAttrs(i, outputAttrs(name, outputs[i].getType()));
  func->setAttr(attr::kDims, b.getArrayAttr(dims));
  return module;
}

/// What the bytes are that are no model, for the error.
static std::string describeBytes(StringRef bytes) {
  if (bytes.empty())
    return "an empty file";
  if (bytes.starts_with("version https://git-lfs"))
    return "a Git LFS pointer (run git lfs pull)";
  if (bytes.starts_with("PK\x03\x04"))
    return "a ZIP archive";
  if (bytes.starts_with("<ir_version") || bytes.starts_with("< ir_version") ||
      bytes.starts_with("<\n"))
    return "text (ONNX text has the extension .onnxtxt)";
  return {};
}

OwningOpRef<ModuleOp> mlir::lutra::importONNX(MLIRContext &context,
                                              StringRef path,
                                              WeightSources &sources,
                                              const ImportOptions &options) {
  context.loadDialect<onnx::ONNXDialect, LutraDialect, arith::ArithDialect,
                      func::FuncDialect>();
  auto fail = [&](const llvm::Twine &what) {
    emit(&context, what);
    return OwningOpRef<ModuleOp>();
  };
  auto fixed = fixedDims(options);
  if (!fixed)
    return fail(llvm::toString(fixed.takeError()));
  auto bytes = sources.open(path);
  if (!bytes)
    return fail(llvm::toString(bytes.takeError()));
  std::string what = describeBytes(*bytes);
  if (!what.empty())
    return fail(path + ": expected an ONNX model, got " + what);
  model::WireScan scan = model::scanModel({bytes->data(), bytes->size()});
  if (!scan.error.empty())
    return fail(path + ": " + scan.error);
  auto loaded = model::loadModel(scan, *fixed);
  if (!loaded)
    return fail(path + ": " + loaded.error);
  scan.skeleton.clear();
  auto module = Importer(context, path, sources).build(loaded.value, options);
  // Types of one value agree by construction; the verifier says more where a
  // file makes a region or a weight that is none.
  if (module && failed(verify(*module)))
    return {};
  return module;
}
