//===- Elementwise.cpp - Rows of elementwise operators --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What every elementwise operator shares: the check of its inputs' types, the
// widening of 16-bit floats, and the folding of shape arithmetic.
//
//===----------------------------------------------------------------------===//

#include "Elementwise.h"

#include "../SizeAlgebra.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::lutra;

bool lutra::accepts(Types types, DType dtype) {
  switch (types) {
  case Types::Any:
    return isSupported(dtype);
  case Types::Number:
    return isFloat(dtype) || isInteger(dtype);
  case Types::Float:
    return isFloat(dtype);
  case Types::Integer:
    return isInteger(dtype);
  case Types::Unsigned:
    return isInteger(dtype) && isUnsigned(dtype);
  case Types::Bool:
    return dtype == DType::Bool;
  }
  return false;
}

static StringRef describe(Types types) {
  switch (types) {
  case Types::Any:
    return "a supported element type";
  case Types::Number:
    return "numbers";
  case Types::Float:
    return "floats";
  case Types::Integer:
    return "integers";
  case Types::Unsigned:
    return "unsigned integers";
  case Types::Bool:
    return "BOOL";
  }
  return "";
}

Support lutra::supportsTypes(const Node &node, Types types, unsigned first) {
  if (first >= node.numInputs() || !node.input(first))
    return Support::no("expected input " + Twine(first));
  DType common = DType::Undefined;
  for (Tensor input : node.inputs().drop_front(first)) {
    if (input.dtype == DType::Undefined)
      continue;
    if (!accepts(types, input.dtype))
      return Support::no("expected " + describe(types) + ", got " +
                         dtypeName(input.dtype));
    if (common != DType::Undefined && common != input.dtype)
      return Support::no("expected inputs of one type, got " +
                         dtypeName(common) + " and " + dtypeName(input.dtype));
    common = input.dtype;
  }
  return Support::yes();
}

/// Runs `body` between the conversions from storage types and back.
static Value widened(ImplicitLocOpBuilder &b, ValueRange scalars,
                     ArrayRef<Tensor> operands, DType result, BodyRef body) {
  SmallVector<Value> inputs;
  for (auto [scalar, operand] : llvm::zip(scalars, operands))
    inputs.push_back(Lowering::castScalar(b, scalar, operand.dtype,
                                          computeType(operand.dtype)));
  Scalars s(b, computeType(operands.front().dtype));
  return Lowering::castScalar(b, body(s, inputs), computeType(result), result);
}

FailureOr<Tensor> lutra::compute(Lowering &lowering, ArrayRef<Tensor> operands,
                                 DType result, BodyRef body) {
  return lowering.elementwise(
      operands, result, [&](ImplicitLocOpBuilder &b, ValueRange scalars) {
        return widened(b, scalars, operands, result, body);
      });
}

Tensor lutra::computeMapped(Lowering &lowering, ArrayRef<Tensor> operands,
                            ArrayRef<AffineMap> maps,
                            ArrayRef<AffineExpr> shape, DType result,
                            BodyRef body) {
  SmallVector<AffineMap> allMaps(maps);
  allMaps.push_back(lowering.b.getMultiDimIdentityMap(shape.size()));
  SmallVector<utils::IteratorType> iterators(shape.size(),
                                             utils::IteratorType::parallel);
  return lowering.generic(
      operands, allMaps, iterators, lowering.empty(shape, result), shape,
      result, [&](ImplicitLocOpBuilder &b, ValueRange scalars) {
        return widened(b, scalars.drop_back(), operands, result, body);
      });
}

Value lutra::sizeScalar(Lowering &lowering, Scalars &s, AffineExpr size) {
  if (auto known = dyn_cast<AffineConstantExpr>(size))
    return s.constantInt(known.getValue());
  Value number = arith::IndexCastOp::create(s.b, s.b.getI64Type(),
                                            lowering.sizeValue(size));
  return Lowering::castScalar(s.b, number, DType::Int64, s.dtype);
}

std::optional<SmallVector<AffineExpr>>
lutra::foldInts(Lowering &lowering, ArrayRef<Tensor> operands, Fold fold) {
  size_t count = 1;
  for (const Tensor &operand : operands) {
    if (!operand.ints)
      return std::nullopt;
    if (operand.ints->size() != 1)
      count = operand.ints->size();
  }
  SmallVector<AffineExpr> result;
  for (size_t i = 0; i < count; ++i) {
    SmallVector<AffineExpr> elements;
    for (const Tensor &operand : operands) {
      ArrayRef<AffineExpr> ints = *operand.ints;
      if (ints.size() != 1 && ints.size() != count)
        return std::nullopt;
      elements.push_back(ints[ints.size() == 1 ? 0 : i]);
    }
    AffineExpr folded = fold(lowering, elements);
    if (!folded)
      return std::nullopt;
    result.push_back(canonicalSize(folded));
  }
  return result;
}

/// True where every constant of `ints` is representable in `dtype`.
static bool fit(ArrayRef<AffineExpr> ints, DType dtype) {
  return llvm::all_of(ints, [&](AffineExpr expr) {
    auto known = dyn_cast<AffineConstantExpr>(expr);
    if (!known || dtype == DType::Int64 || dtype == DType::Bool)
      return true;
    return llvm::isInt<32>(known.getValue());
  });
}

/// More than a kernel reads at once: LLVM's time for a call grows with the
/// square of its arguments.
static constexpr size_t kMaxOperands = 64;

FailureOr<SmallVector<Tensor>>
lutra::lowerElementwise(const Node &node, Lowering &lowering, Types types,
                        DType result, Body body, Fold fold, Body part) {
  if (Support support = supportsTypes(node, types); !support)
    return node.error() << support.reason();
  DType operandType = node.input(0).dtype;
  if (result == DType::Undefined)
    result = operandType;
  bool foldable = operandType == DType::Int64 || operandType == DType::Int32 ||
                  operandType == DType::Bool;
  if (fold && foldable)
    if (auto ints = foldInts(lowering, node.inputs(), fold);
        ints && fit(*ints, result)) {
      bool isScalar = llvm::all_of(
          node.inputs(), [](const Tensor &t) { return t.rank() == 0; });
      return SmallVector<Tensor>{lowering.intsTensor(*ints, result, isScalar)};
    }
  SmallVector<Tensor> operands(node.inputs());
  while (part && operands.size() > kMaxOperands) {
    FailureOr<Tensor> first =
        compute(lowering, ArrayRef(operands).take_front(kMaxOperands),
                computeType(operandType), [&](Scalars &s, ValueRange inputs) {
                  return part(s, inputs, node);
                });
    if (failed(first))
      return failure();
    operands.erase(operands.begin() + 1, operands.begin() + kMaxOperands);
    operands.front() = *first;
  }
  FailureOr<Tensor> tensor =
      compute(lowering, operands, result, [&](Scalars &s, ValueRange inputs) {
        return body(s, inputs, node);
      });
  if (failed(tensor))
    return failure();
  return SmallVector<Tensor>{*tensor};
}
