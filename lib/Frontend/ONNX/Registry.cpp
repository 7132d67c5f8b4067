//===- Registry.cpp - The table of ONNX operators -------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Collects the rows of all families, finds the handler of a node, and makes the
// checks that are the same for every operator. Attributes are read here
// whatever integer type or container the importer gave them.
//
//===----------------------------------------------------------------------===//

#include "lutra/Frontend/ONNX/Registry.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mlir::lutra;

//===----------------------------------------------------------------------===//
// Node
//===----------------------------------------------------------------------===//

bool Node::usesOutput(unsigned i) const {
  return i < op.getNumResults() && !op.getResult(i).use_empty();
}

int64_t Node::intAttr(StringRef name, int64_t otherwise) const {
  if (auto value = dyn_cast_or_null<IntegerAttr>(attr(name)))
    return value.getValue().getSExtValue();
  return otherwise;
}

double Node::floatAttr(StringRef name, double otherwise) const {
  if (auto value = dyn_cast_or_null<FloatAttr>(attr(name)))
    return value.getValueAsDouble();
  return otherwise;
}

StringRef Node::stringAttr(StringRef name, StringRef otherwise) const {
  if (auto value = dyn_cast_or_null<StringAttr>(attr(name)))
    return value.getValue();
  return otherwise;
}

SmallVector<int64_t> Node::intsAttr(StringRef name,
                                    ArrayRef<int64_t> otherwise) const {
  Attribute value = attr(name);
  if (auto array = dyn_cast_or_null<DenseI64ArrayAttr>(value))
    return SmallVector<int64_t>(array.asArrayRef());
  auto array = dyn_cast_or_null<ArrayAttr>(value);
  if (!array)
    return SmallVector<int64_t>(otherwise);
  SmallVector<int64_t> ints;
  for (Attribute element : array)
    if (auto integer = dyn_cast<IntegerAttr>(element))
      ints.push_back(integer.getValue().getSExtValue());
  return ints;
}

InFlightDiagnostic lutra::emitNodeError(onnx::NodeOp op) {
  int64_t version = op.getVersion();
  version =
      sinceVersion(op.getDomain(), op.getOpType(), version).value_or(version);
  InFlightDiagnostic diagnostic = emitError(op.getLoc());
  diagnostic << "node '" << op.getNodeName() << "' (" << op.getKind() << " v"
             << version << "): ";
  return diagnostic;
}

//===----------------------------------------------------------------------===//
// Registry
//===----------------------------------------------------------------------===//

static Registry build() {
  Registry registry;
  for (auto add : {addArithmeticHandlers,
                   addUnaryHandlers,
                   addActivationHandlers,
                   addLogicHandlers,
                   addCastHandlers,
                   addReductionHandlers,
                   addCumulativeHandlers,
                   addSoftmaxHandlers,
                   addNormalizationHandlers,
                   addLayerNormalizationHandlers,
                   addContractionHandlers,
                   addConvolutionHandlers,
                   addPoolingHandlers,
                   addShapeHandlers,
                   addMovementHandlers,
                   addConstantHandlers,
                   addGatherHandlers,
                   addQuantizedGatherHandlers,
                   addControlFlowHandlers,
                   addQuantizationHandlers,
                   addDynamicQuantizationHandlers,
                   addScaledContractionHandlers,
                   addExpertHandlers,
                   addIntegerContractionHandlers,
                   addIntegerConvolutionHandlers,
                   addLowBitContractionHandlers,
                   addCodebookContractionHandlers,
                   addRecurrentHandlers,
                   addScatterHandlers,
                   addTopKHandlers,
                   addConvTransposeHandlers,
                   addResizeHandlers,
                   addEinsumHandlers,
                   addSamplingHandlers,
                   addSequenceHandlers,
                   addRotaryEmbeddingHandlers,
                   addCol2ImHandlers,
                   addFeatureHandlers,
                   addLinearHandlers,
                   addSupportVectorHandlers,
                   addTreeHandlers,
                   addMaxPoolHandlers,
                   addAttentionHandlers,
                   addMultiHeadAttentionHandlers,
                   addGroupQueryAttentionHandlers})
    add(registry);
  registry.sort();
  return registry;
}

const Registry &Registry::get() {
  static const Registry registry = build();
  return registry;
}

static std::pair<StringRef, StringRef> key(const OpHandler &handler) {
  return {handler.domain, handler.name};
}

void Registry::sort() {
  llvm::sort(rows, [](const OpHandler &a, const OpHandler &b) {
    return key(a) < key(b);
  });
}

const OpHandler *Registry::find(StringRef domain, StringRef name) const {
  if (domain == "ai.onnx")
    domain = "";
  auto wanted = std::make_pair(domain, name);
  auto *found = llvm::lower_bound(
      ArrayRef<OpHandler>(rows), wanted,
      [](const OpHandler &a, const std::pair<StringRef, StringRef> &b) {
        return key(a) < b;
      });
  return found != rows.data() + rows.size() && key(*found) == wanted ? found
                                                                     : nullptr;
}

/// What import's types say about a value. An unknown size is a dimension
/// expression of its own, equal to nothing else.
static Tensor importedTensor(Value value, unsigned &unknown) {
  Tensor tensor;
  if (isa_and_nonnull<onnx::AbsentOp>(value.getDefiningOp()))
    return tensor;
  tensor.value = value;
  auto type = dyn_cast<TensorType>(value.getType());
  if (!type)
    return tensor;
  tensor.dtype = dtypeOf(type.getElementType());
  if (type.hasRank())
    for (int64_t size : type.getShape())
      tensor.shape.push_back(
          ShapedType::isDynamic(size)
              ? getAffineDimExpr(unknown++, value.getContext())
              : getAffineConstantExpr(size, value.getContext()));
  return tensor;
}

static Support supportedTypes(onnx::NodeOp node, bool takesNarrow) {
  auto check = [](ValueRange values, StringRef what, bool takesNarrow) {
    for (auto [i, value] : llvm::enumerate(values))
      if (auto type = dyn_cast<TensorType>(value.getType())) {
        DType dtype = dtypeOf(type.getElementType());
        if (isSupported(dtype) || (takesNarrow && isNarrow(dtype)))
          continue;
        std::string text;
        llvm::raw_string_ostream(text) << type.getElementType();
        return Support::no("expected a supported element type in " + what +
                           " " + Twine(i) + ", got " + text);
      }
    return Support::yes();
  };
  Support inputs = check(node.getInputs(), "input", takesNarrow);
  return inputs ? check(node.getResults(), "output", takesNarrow) : inputs;
}

/// Flags of which ONNX Runtime takes 0 and 1 only. For others it has one
/// meaning for all other numbers, 0's or 1's, which the handlers follow.
static Support supportedFlags(const Node &node) {
  for (StringRef name :
       {"causal", "exclusive", "fmod", "layout", "reverse", "storage_order"})
    if (int64_t value = node.intAttr(name, 0); value != 0 && value != 1)
      return Support::no("expected " + name + " 0 or 1, got " + Twine(value));
  return Support::yes();
}

Support Registry::supports(onnx::NodeOp node) const {
  std::optional<int64_t> since =
      sinceVersion(node.getDomain(), node.getOpType(), node.getVersion());
  const OpHandler *handler = find(node.getDomain(), node.getOpType());
  if (!handler)
    return Support::no(since ? "operator not implemented" : "unknown operator");
  if (!since)
    return Support::no("operator not in version " + Twine(node.getVersion()) +
                       " of its domain");
  if (!llvm::is_contained(handler->versions, *since))
    return Support::no("version " + Twine(*since) + " not implemented");
  if (Support types = supportedTypes(node, handler->takesNarrow); !types)
    return types;
  unsigned unknown = 0;
  SmallVector<Tensor> inputs;
  for (Value input : node.getInputs())
    inputs.push_back(importedTensor(input, unknown));
  Node checked(node, *since, inputs);
  Support flags = supportedFlags(checked);
  return flags ? handler->supports(checked) : flags;
}
