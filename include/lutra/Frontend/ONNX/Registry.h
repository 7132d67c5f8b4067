//===- Registry.h - The table of ONNX operators -----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A handler answers two questions about a node: may it be lowered, and how.
// The registry finds it by (domain, operator, since-version). --check,
// docs/SupportedOps.md and the tensor phase all read this one table.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_FRONTEND_ONNX_REGISTRY_H
#define LUTRA_FRONTEND_ONNX_REGISTRY_H

#include "dialects/ONNX/ONNX.h"
#include "lutra/Frontend/ONNX/Lowering.h"

namespace mlir::lutra {

/// The answer to "may this node be lowered": yes, or no with a reason in lower
/// case and without a period ("expects group to divide 6 channels, got 4").
class Support {
public:
  static Support yes() { return {}; }
  static Support no(const llvm::Twine &reason) {
    Support answer;
    answer.text = reason.str();
    return answer;
  }
  explicit operator bool() const { return text.empty(); }
  StringRef reason() const { return text; }

private:
  std::string text;
};

/// Emits an error at a node: "node 'conv1' (Conv v11): <what follows>".
InFlightDiagnostic emitNodeError(onnx::NodeOp op);

/// A node with typed access to its attributes and operands. When `supports` is
/// asked, the operands have the types that ONNX's inference found: dtype and
/// rank may be unknown and `input(i).value` is the import value. When `lower`
/// is asked they are the lowered tensors, exact in every respect.
class Node {
public:
  Node(onnx::NodeOp op, int64_t since, ArrayRef<Tensor> inputs)
      : op(op), sinceVersion(since), operands(inputs) {}

  /// Mutable because MLIR's accessors are not const.
  mutable onnx::NodeOp op;
  /// The operator's since-version that is in force in this model.
  int64_t sinceVersion;

  unsigned numInputs() const { return operands.size(); }
  unsigned numOutputs() const { return op.getNumResults(); }
  /// Input i, or a null tensor where it is omitted.
  Tensor input(unsigned i) const {
    return i < operands.size() ? operands[i] : Tensor();
  }
  ArrayRef<Tensor> inputs() const { return operands; }
  /// True where output i exists and something uses it.
  bool usesOutput(unsigned i) const;

  bool hasAttr(StringRef name) const { return bool(attr(name)); }
  Attribute attr(StringRef name) const { return op.getAttrs().get(name); }
  int64_t intAttr(StringRef name, int64_t otherwise) const;
  double floatAttr(StringRef name, double otherwise) const;
  /// An owned copy is not needed: the text lives in the context.
  StringRef stringAttr(StringRef name, StringRef otherwise) const;
  SmallVector<int64_t> intsAttr(StringRef name,
                                ArrayRef<int64_t> otherwise = {}) const;

  /// Emits an error at the node: emitNodeError.
  InFlightDiagnostic error() const { return emitNodeError(op); }

private:
  ArrayRef<Tensor> operands;
};

using SupportsFn = Support (*)(const Node &);
/// Returns one tensor per output; for an output that nothing uses, a null one
/// will do. On failure an error was emitted with node.error().
using LowerFn = FailureOr<SmallVector<Tensor>> (*)(const Node &, Lowering &);

/// One row of the table.
struct OpHandler {
  StringRef domain;
  StringRef name;
  /// The since-versions that `lower` implements, ascending. A node whose
  /// version in force is not among them is refused.
  SmallVector<int64_t> versions;
  SupportsFn supports;
  LowerFn lower;
  /// One line on what is not supported, for docs/SupportedOps.md; may be empty.
  StringRef limits = "";
  /// Whether it takes inputs, or gives outputs, of narrow types.
  bool takesNarrow = false;
};

class Registry {
public:
  /// The registry of all handlers, built once.
  static const Registry &get();

  /// The handler of an operator, or null.
  const OpHandler *find(StringRef domain, StringRef name) const;
  /// All handlers, sorted by domain and name.
  ArrayRef<OpHandler> handlers() const { return rows; }

  /// Asks `supports` of a node, after the checks that are the same for all:
  /// known operator, implemented version, supported element types.
  Support supports(onnx::NodeOp node) const;

  void add(OpHandler handler) { rows.push_back(std::move(handler)); }
  /// Orders the rows, which `find` rests on; called once all are added.
  void sort();

private:
  std::vector<OpHandler> rows;
};

/// The since-version of an operator in force at `version` of `domain`, from
/// ONNX's own schemas; nothing where ONNX does not know the operator.
std::optional<int64_t> sinceVersion(StringRef domain, StringRef name,
                                    int64_t version);

/// Each family of handlers, in Handlers/<Family>.cpp, adds its rows.
void addArithmeticHandlers(Registry &); // Add .. Pow, Mod, Min, Max, Sum, ...
void addUnaryHandlers(Registry &);      // Abs .. Tanh, Erf, Exp, rounding
void addActivationHandlers(Registry &); // Relu .. Mish, Clip, PRelu
void addLogicHandlers(Registry &);      // And, Equal, Where, Not, bitwise
void addCastHandlers(Registry &);       // Cast, CastLike, Identity, Dropout
void addReductionHandlers(Registry &);  // Reduce*, ArgMax, ArgMin
void addCumulativeHandlers(Registry &); // CumSum, CumProd
void addSoftmaxHandlers(Registry &);    // Softmax, LogSoftmax, Hardmax
void addNormalizationHandlers(Registry &); // BatchNorm, GroupNorm, LRN, ...
void addLayerNormalizationHandlers(Registry &); // LayerNorm, RMSNorm
void addContractionHandlers(Registry &);        // MatMul, Gemm
void addConvolutionHandlers(Registry &);        // Conv
void addPoolingHandlers(Registry &);            // AveragePool, LpPool, Global*
void addMaxPoolHandlers(Registry &);            // MaxPool, GlobalMaxPool
void addShapeHandlers(Registry &);    // Shape, Reshape, Flatten, Squeeze, ...
void addMovementHandlers(Registry &); // Transpose, Concat, Slice, Split, Pad..
void addConstantHandlers(Registry &); // Constant, ConstantOfShape, Range
void addControlFlowHandlers(Registry &);  // If, Loop, Scan
void addQuantizationHandlers(Registry &); // QuantizeLinear, DequantizeLinear
void addDynamicQuantizationHandlers(Registry &); // DynamicQuantizeLinear
void addScaledContractionHandlers(
    Registry &); // DynamicQuantizeMatMul, MatMulIntegerToFloat
void addExpertHandlers(Registry &);              // com.microsoft's MoE and QMoE
void addIntegerContractionHandlers(Registry &);  // MatMulInteger, QLinearMatMul
void addIntegerConvolutionHandlers(Registry &);  // ConvInteger, QLinearConv
void addLowBitContractionHandlers(Registry &);   // com.microsoft's MatMulNBits
void addCodebookContractionHandlers(Registry &); // com.microsoft's MatMulBnb4
void addGatherHandlers(Registry &); // Gather, GatherElements, GatherND, OneHot
void addQuantizedGatherHandlers(
    Registry &);                       // com.microsoft's GatherBlockQuantized
void addRecurrentHandlers(Registry &); // LSTM, GRU, RNN
void addScatterHandlers(Registry &);   // Scatter*, TensorScatter
void addTopKHandlers(Registry &);      // TopK
void addConvTransposeHandlers(Registry &); // ConvTranspose
void addResizeHandlers(Registry &);        // Resize, Upsample
void addEinsumHandlers(Registry &);        // Einsum
void addSamplingHandlers(Registry &);      // GridSample, MaxUnpool
void addCol2ImHandlers(Registry &);        // Col2Im
void addFeatureHandlers(Registry &);       // Scaler, Imputer, Normalizer, ...
void addLinearHandlers(Registry &);        // LinearClassifier, LinearRegressor
void addSupportVectorHandlers(Registry &); // SVMClassifier, SVMRegressor
void addTreeHandlers(Registry &);          // TreeEnsemble*
void addSequenceHandlers(Registry &);      // ReverseSequence
void addRotaryEmbeddingHandlers(Registry &);     // also com.microsoft's
void addAttentionHandlers(Registry &);           // Attention
void addMultiHeadAttentionHandlers(Registry &);  // com.microsoft's
void addGroupQueryAttentionHandlers(Registry &); // com.microsoft's

} // namespace mlir::lutra

#endif // LUTRA_FRONTEND_ONNX_REGISTRY_H
