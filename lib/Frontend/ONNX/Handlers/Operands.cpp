//===- Operands.cpp - Checked attributes and known operands ---------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements the checks of axes and the reading of operands that shapes are
// computed from: folded shape arithmetic first, then constants of the model.
//
//===----------------------------------------------------------------------===//

#include "Operands.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/SmallBitVector.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace mlir::lutra;

/// Shape operands have an element per dimension; nothing longer is read.
static constexpr int64_t kMaxKnownInts = 1024;

bool lutra::isModelInput(Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  return argument && !isa<onnx::NodeOp>(argument.getOwner()->getParentOp());
}

std::optional<int64_t> lutra::knownRank(const Tensor &tensor) {
  if (tensor.value)
    if (auto type = dyn_cast<RankedTensorType>(tensor.value.getType()))
      return type.getRank();
  return std::nullopt;
}

FailureOr<int64_t> lutra::normalizeAxis(const Node &node, int64_t axis,
                                        int64_t rank) {
  if (axis < -rank || axis >= rank)
    return node.error() << "expected an axis in [" << -rank << ", " << rank
                        << "), got " << axis;
  return axis < 0 ? axis + rank : axis;
}

FailureOr<SmallVector<int64_t>>
lutra::normalizeAxes(const Node &node, ArrayRef<int64_t> axes, int64_t rank) {
  SmallVector<int64_t> result;
  llvm::SmallBitVector seen(rank);
  for (int64_t axis : axes) {
    FailureOr<int64_t> normal = normalizeAxis(node, axis, rank);
    if (failed(normal))
      return failure();
    if (seen.test(*normal))
      return node.error() << "expected different axes, got " << axis
                          << " twice";
    seen.set(*normal);
    result.push_back(*normal);
  }
  return result;
}

std::optional<SmallVector<AffineExpr>> lutra::knownInts(Lowering &lowering,
                                                        const Tensor &tensor) {
  if (tensor.ints)
    return tensor.ints;
  if (!tensor || !isInteger(tensor.dtype) || tensor.rank() > 1)
    return std::nullopt;
  if (tensor.rank() == 1 && (tensor.staticSize(0) == ShapedType::kDynamic ||
                             tensor.staticSize(0) > kMaxKnownInts))
    return std::nullopt;
  if (tensor.rank() == 1 && tensor.staticSize(0) == 0)
    return SmallVector<AffineExpr>();
  std::optional<SmallVector<int64_t>> constants = lowering.constantInts(tensor);
  if (!constants)
    return std::nullopt;
  return llvm::map_to_vector(
      *constants, [&](int64_t value) { return lowering.constant(value); });
}

FailureOr<SmallVector<AffineExpr>> lutra::requireInts(const Node &node,
                                                      Lowering &lowering,
                                                      unsigned i,
                                                      StringRef what) {
  Tensor input = node.input(i);
  if (!input)
    return node.error() << "expected " << what << " as input " << i
                        << ", got none";
  if (auto known = knownInts(lowering, input))
    return *known;
  return node.error() << "expected " << what << " (input " << i
                      << ") to be constant or computed from shapes, got "
                         "values known only at run time";
}

FailureOr<SmallVector<int64_t>> lutra::requireConstants(const Node &node,
                                                        Lowering &lowering,
                                                        unsigned i,
                                                        StringRef what) {
  FailureOr<SmallVector<AffineExpr>> ints =
      requireInts(node, lowering, i, what);
  if (failed(ints))
    return failure();
  SmallVector<int64_t> result;
  for (AffineExpr expr : *ints) {
    auto number = dyn_cast<AffineConstantExpr>(expr);
    if (!number)
      return node.error() << "expected constant " << what << ", got "
                          << sizeText(lowering, expr);
    result.push_back(number.getValue());
  }
  return result;
}

/// Whether a node's result has the shape of its first operand, whatever the
/// others are.
static bool keepsShape(onnx::NodeOp op) {
  return llvm::StringSwitch<bool>(op.getKind())
      .Cases({"Abs", "Cast", "CastLike", "Ceil", "Clip", "Elu", "Erf", "Exp"},
             true)
      .Cases({"Floor", "Identity", "LeakyRelu", "Log", "Neg", "Not"}, true)
      .Cases({"Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Softplus"},
             true)
      .Cases({"Sqrt", "Tanh"}, true)
      .Default(false);
}

/// The type of `value`, or of what is computed from it element by element,
/// where that tells the shape.
static RankedTensorType declaredType(Value value) {
  constexpr unsigned kMaxSteps = 16;
  for (unsigned step = 0; value && step < kMaxSteps; ++step) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (type && type.hasStaticShape())
      return type;
    Value next;
    for (OpOperand &use : value.getUses())
      if (auto reader = dyn_cast<onnx::NodeOp>(use.getOwner());
          reader && use.getOperandNumber() == 0 && keepsShape(reader))
        next = reader.getResult(0);
    value = next;
  }
  return nullptr;
}

std::optional<Shape> lutra::declaredShape(const Node &node, unsigned result) {
  RankedTensorType type = declaredType(node.op.getResult(result));
  if (!type)
    return std::nullopt;
  return llvm::map_to_vector(type.getShape(), [&](int64_t size) {
    return getAffineConstantExpr(size, type.getContext());
  });
}

Support lutra::supportsKnown(const Node &node, unsigned i, StringRef what,
                             bool unlessDeclared) {
  if (!node.input(i) || !isModelInput(node.input(i).value) ||
      (unlessDeclared && declaredShape(node)))
    return Support::yes();
  return Support::no("expected " + what + " (input " + Twine(i) +
                     ") to be constant or computed from shapes, got an input "
                     "of the model");
}

LogicalResult lutra::requireRank(const Node &node, unsigned i, int64_t rank) {
  if (!node.input(i))
    return node.error() << "expected input " << i << ", got none";
  if (node.input(i).rank() < rank)
    return node.error() << "expected input " << i << " of rank " << rank
                        << " or more, got rank " << node.input(i).rank();
  return success();
}

LogicalResult lutra::requireSameType(const Node &node) {
  DType dtype = node.input(0).dtype;
  for (unsigned i = 1; i < node.numInputs(); ++i)
    if (node.input(i) && node.input(i).dtype != dtype)
      return node.error() << "expected input " << i << " of type "
                          << dtypeName(dtype) << ", got "
                          << dtypeName(node.input(i).dtype);
  return success();
}

FailureOr<SmallVector<Tensor>> lutra::one(FailureOr<Tensor> result) {
  if (failed(result))
    return failure();
  return SmallVector<Tensor>{*result};
}

bool lutra::hasOneElement(const Tensor &tensor) {
  return tensor.rank() == 0 ||
         (tensor.rank() == 1 && tensor.staticSize(0) == 1);
}

std::string lutra::sizeText(Lowering &lowering, AffineExpr size) {
  std::string text = lowering.str(size);
  return text.substr(1, text.size() - 2);
}

Value lutra::indexIn(ImplicitLocOpBuilder &b, Lowering &lowering,
                     AffineExpr size) {
  if (auto number = dyn_cast<AffineConstantExpr>(size))
    return arith::ConstantIndexOp::create(b, number.getValue());
  return lowering.sizeValue(size);
}
