//===- Quantization.cpp - QuantizeLinear, DequantizeLinear ----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements the operators between numbers and their quantized form as one
// elementwise operation each. Whether a scale is for the tensor, a slice of an
// axis or a block of one is in the indexing map that reads it.
//
//===----------------------------------------------------------------------===//

#include "../SizeAlgebra.h"
#include "CodedMatrix.h"
#include "DequantizedWeight.h"
#include "NarrowFloats.h"
#include "QuantizedElements.h"

using namespace mlir;
using namespace mlir::lutra;

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

/// How input i, a scale or a zero point, is read in the loop nest of input 0:
/// one for all (rank 0, or one element), one per slice of `axis`, or one per
/// block of it.
static FailureOr<AffineMap> parameterMap(const Node &node, Lowering &lowering,
                                         unsigned i) {
  const Tensor &x = node.input(0), &parameter = node.input(i);
  int64_t rank = x.rank(), block = node.intAttr("block_size", 0);
  auto map = [&](ArrayRef<AffineExpr> exprs) {
    return AffineMap::get(rank, 0, exprs, lowering.context());
  };
  if (parameter.rank() == 0)
    return map({});
  if (parameter.rank() == 1 && parameter.staticSize(0) == 1 && !block)
    return map({lowering.constant(0)});
  FailureOr<int64_t> axis = normalizeAxis(node, node.intAttr("axis", 1), rank);
  if (failed(axis))
    return failure();
  auto mismatch = [&](ArrayRef<AffineExpr> expected) {
    return node.error() << "expected input " << i << " of shape "
                        << lowering.str(expected) << ", got "
                        << lowering.str(parameter.shape);
  };
  if (!block) {
    if (parameter.rank() != 1 || parameter.shape[0] != x.shape[*axis])
      return mismatch(x.shape[*axis]);
    return map({lowering.b.getAffineDimExpr(*axis)});
  }
  Shape blocks = x.shape;
  blocks[*axis] = canonicalSize(blocks[*axis].ceilDiv(block));
  if (ArrayRef(parameter.shape) != ArrayRef(blocks))
    return mismatch(blocks);
  SmallVector<AffineExpr> exprs;
  for (int64_t d = 0; d < rank; ++d)
    exprs.push_back(lowering.b.getAffineDimExpr(d));
  exprs[*axis] = exprs[*axis].floorDiv(block);
  return map(exprs);
}

/// `body` over input 0 and those of `parameters` that are there: 1, its scale,
/// and 2, its zero point.
static FailureOr<Tensor> withParameters(const Node &node, Lowering &lowering,
                                        ArrayRef<unsigned> parameters,
                                        DType result, BodyRef body) {
  SmallVector<Tensor> operands = {node.input(0)};
  SmallVector<AffineMap> maps = {
      lowering.b.getMultiDimIdentityMap(node.input(0).rank())};
  for (unsigned i : parameters) {
    if (!node.input(i))
      continue;
    FailureOr<AffineMap> map = parameterMap(node, lowering, i);
    if (failed(map))
      return failure();
    operands.push_back(node.input(i));
    maps.push_back(*map);
  }
  return computeMapped(lowering, operands, maps, node.input(0).shape, result,
                       body);
}

/// What both directions ask of their attributes.
static Support supportsAttributes(const Node &node) {
  if (node.numInputs() < 2 || node.numInputs() > 3)
    return Support::no("expected 2 or 3 inputs, got " +
                       Twine(node.numInputs()));
  int64_t block = node.intAttr("block_size", 0);
  if (block < 0 || block > kMaxExtent)
    return Support::no("expected block_size in [0, " + Twine(kMaxExtent) +
                       "], got " + Twine(block));
  return Support::yes();
}

/// Refuses an attribute that names a type which `accepts` does not accept.
static Support supportsTypeAttr(const Node &node, StringRef name,
                                bool (*accepts)(DType)) {
  auto dtype = static_cast<DType>(node.intAttr(name, 0));
  if (dtype == DType::Undefined || accepts(dtype))
    return Support::yes();
  return Support::no("expected " + name + " to be a supported type, got " +
                     dtypeName(dtype));
}

/// The first refusal.
static Support firstOf(std::initializer_list<Support> answers) {
  for (const Support &answer : answers)
    if (!answer)
      return answer;
  return Support::yes();
}

/// The zero point of narrow integers, which may be null, as a code.
static Tensor zeroCode(Lowering &lowering, const Tensor &zero, DType dtype) {
  if (zero)
    return lowering.tensor(zero.value, zero.shape, DType::UInt8);
  if (!isSignedCode(dtype))
    return {};
  return lowering.splat(
      {}, DType::UInt8,
      lowering.scalarInt(DType::UInt8, 1 << (codeBits(dtype) - 1)));
}

//===----------------------------------------------------------------------===//
// QuantizeLinear
//===----------------------------------------------------------------------===//

/// What QuantizeLinear takes, besides what it gives scales.
static bool isNumber(DType dtype) {
  return isScale(dtype) || dtype == DType::Int32;
}

static bool isQuantizeScale(DType dtype) {
  return isNumber(dtype) || dtype == DType::Float8E8M0;
}

static bool isResult(DType dtype) {
  return isQuantized(dtype) || isNarrowQuantized(dtype);
}

/// The type of the result, as the node says it.
static DType quantizedType(const Node &node) {
  auto named = static_cast<DType>(node.intAttr("output_dtype", 0));
  if (node.input(2))
    return node.input(2).dtype;
  return named == DType::Undefined ? DType::UInt8 : named;
}

static Support supportsQuantize(const Node &node) {
  Support support =
      firstOf({supportsAttributes(node), supportsInput(node, 0, "x", isNumber),
               supportsInput(node, 1, "y_scale", isQuantizeScale),
               supportsInput(node, 2, "y_zero_point", isResult),
               supportsTypeAttr(node, "output_dtype", isResult),
               supportsTypeAttr(node, "precision", isScale)});
  auto named = static_cast<DType>(node.intAttr("output_dtype", 0));
  DType zero = node.input(2).dtype;
  if (support && named != DType::Undefined && zero != DType::Undefined &&
      named != zero)
    return Support::no("expected output_dtype to be the type of y_zero_point, "
                       "got " +
                       dtypeName(named) + " and " + dtypeName(zero));
  return support;
}

/// The type that x is divided by the scale in.
static DType divisionType(const Node &node) {
  auto named = static_cast<DType>(node.intAttr("precision", 0));
  DType dtype = named == DType::Undefined ? node.input(1).dtype : named;
  return isFloat(dtype) ? dtype : DType::Float;
}

/// The inputs with a scale and zero point that are floats as such, and the zero
/// point of narrow integers as the code that stands for 0.
static FailureOr<SmallVector<Tensor>>
quantizeInputs(const Node &node, Lowering &lowering, DType result) {
  SmallVector<Tensor> inputs(node.inputs());
  inputs.resize(3);
  for (Tensor &parameter : MutableArrayRef(inputs).drop_front()) {
    if (!parameter || !isNarrowFloat(parameter.dtype))
      continue;
    FailureOr<Tensor> numbers = decoded(lowering, parameter);
    if (failed(numbers))
      return failure();
    parameter = *numbers;
  }
  if (isNarrow(result) && !isNarrowFloat(result))
    inputs[2] = zeroCode(lowering, inputs[2], result);
  return inputs;
}

static FailureOr<SmallVector<Tensor>> lowerQuantize(const Node &given,
                                                    Lowering &lowering) {
  if (Support support = supportsQuantize(given); !support)
    return given.error() << support.reason();
  DType result = quantizedType(given);
  auto inputs = quantizeInputs(given, lowering, result);
  if (failed(inputs))
    return failure();
  Node node(given.op, given.sinceVersion, *inputs);
  DType division = divisionType(node);
  DType types[] = {computeType(node.input(0).dtype),
                   computeType(node.input(1).dtype)};
  bool saturates = node.intAttr("saturate", 1);
  FailureOr<Tensor> y = withParameters(
      node, lowering, {1, 2}, result, [&](Scalars &s, ValueRange in) {
        Scalars f(s.b, DType::Float);
        auto cast = [&](Value value, DType from, DType to) {
          return Lowering::castScalar(s.b, value, from, to);
        };
        // In f32; a quotient of 16-bit floats is rounded to theirs.
        auto operand = [&](unsigned i) {
          Value value = cast(in[i], types[i], division);
          return cast(value, division, DType::Float);
        };
        Value quotient = f.div(operand(0), operand(1));
        quotient = cast(cast(quotient, DType::Float, division), division,
                        DType::Float);
        Value zero = in.size() > 2 ? in[2] : Value();
        if (!isNarrowFloat(result))
          return quantizeScalar(s.b, quotient, zero, result);
        if (zero)
          quotient = f.add(quotient, zero);
        return encodeScalar(s.b, quotient, result, saturates);
      });
  if (failed(y))
    return failure();
  return SmallVector<Tensor>{*y};
}

//===----------------------------------------------------------------------===//
// DequantizeLinear
//===----------------------------------------------------------------------===//

/// What DequantizeLinear takes: accumulators too.
static bool isDequantized(DType dtype) {
  return isResult(dtype) || dtype == DType::Int32;
}

static bool isDequantizeScale(DType dtype) {
  return isScale(dtype) || dtype == DType::Float8E8M0;
}

static Support supportsDequantize(const Node &node) {
  Support support = firstOf(
      {supportsAttributes(node), supportsInput(node, 0, "x", isDequantized),
       supportsInput(node, 1, "x_scale", isDequantizeScale),
       supportsInput(node, 2, "x_zero_point", isDequantized),
       supportsTypeAttr(node, "output_dtype", isScale)});
  DType x = node.input(0).dtype, zero = node.input(2).dtype;
  if (support && x != DType::Undefined && zero != DType::Undefined && x != zero)
    return Support::no("expected x and x_zero_point of one type, got " +
                       dtypeName(x) + " and " + dtypeName(zero));
  if (support && node.input(1).dtype == DType::Float8E8M0 &&
      !node.hasAttr("output_dtype"))
    return Support::no("expected output_dtype with an x_scale of FLOAT8E8M0");
  return support;
}

/// (x - zero) * scale of narrow floats that are known at run time.
static FailureOr<Tensor> dequantizeFloats(const Node &node, Lowering &lowering,
                                          DType to) {
  SmallVector<Tensor> inputs(node.inputs());
  inputs.resize(3);
  for (unsigned i : {0u, 2u}) {
    if (!inputs[i])
      continue;
    FailureOr<Tensor> numbers = decoded(lowering, inputs[i]);
    if (failed(numbers))
      return failure();
    inputs[i] = *numbers;
  }
  Node numbers(node.op, node.sinceVersion, inputs);
  return withParameters(numbers, lowering, {1, 2}, to,
                        [](Scalars &s, ValueRange in) {
                          Value x = in.size() > 2 ? s.sub(in[0], in[2]) : in[0];
                          return s.mul(x, in[1]);
                        });
}

/// (x - zero) * scale, or x - zero where `scaled` is false.
static FailureOr<Tensor> dequantize(const Node &node, Lowering &lowering,
                                    bool scaled, DType to) {
  Tensor scale = scaled ? node.input(1) : Tensor();
  if (Tensor weight = dequantizedWeight(node, lowering, scale, to))
    return weight;
  if (isNarrowFloat(node.input(0).dtype))
    return dequantizeFloats(node, lowering, to);
  SmallVector<unsigned> parameters;
  if (scaled)
    parameters.push_back(1);
  if (!isZero(lowering, node.input(2)))
    parameters.push_back(2);
  bool shifted = !parameters.empty() && parameters.back() == 2;
  DType from = node.input(0).dtype;
  return withParameters(
      node, lowering, parameters, to, [&](Scalars &s, ValueRange in) {
        Value zero = shifted ? in.back() : Value();
        Value x = centerScalar(s.b, in[0], zero, from);
        x = Lowering::castScalar(s.b, x, DType::Int32, DType::Float);
        return scaled ? Scalars(s.b, DType::Float).mul(x, in[1]) : x;
      });
}

/// The result's factors, where there is one scale per tensor or slice.
static std::shared_ptr<const Factors> factorsOf(const Node &node,
                                                Lowering &lowering) {
  const Tensor &x = node.input(0), &scale = node.input(1);
  if (scale.rank() > 1 || x.dtype == DType::Int32 || isNarrowFloat(x.dtype))
    return nullptr;
  FailureOr<Tensor> integers =
      dequantize(node, lowering, /*scaled=*/false, DType::Float);
  if (failed(integers))
    return nullptr;
  int64_t axis = node.intAttr("axis", 1);
  Tensor quantized = x;
  // What is a weight can be transposed.
  if (WeightOp weight = weightOf(lowering, x))
    quantized.value = weight.getResult();
  return std::make_shared<Factors>(Factors{*integers, scale,
                                           axis < 0 ? axis + x.rank() : axis,
                                           quantized, node.input(2)});
}

/// The inputs with narrow integers as the codes that they are held as, and a
/// scale in f32 or a 16-bit float; the zero point is then that of codes.
static FailureOr<SmallVector<Tensor>> dequantizeInputs(const Node &node,
                                                       Lowering &lowering) {
  SmallVector<Tensor> inputs(node.inputs());
  inputs.resize(3);
  if (isNarrowFloat(inputs[1].dtype)) {
    FailureOr<Tensor> scale = decoded(lowering, inputs[1]);
    if (failed(scale))
      return failure();
    inputs[1] = *scale;
  }
  DType x = inputs[0].dtype;
  if (isNarrow(x) && !isNarrowFloat(x)) {
    inputs[0] = lowering.tensor(inputs[0].value, inputs[0].shape, DType::UInt8);
    inputs[2] = zeroCode(lowering, inputs[2], x);
  }
  return inputs;
}

static FailureOr<SmallVector<Tensor>> lowerDequantize(const Node &given,
                                                      Lowering &lowering) {
  if (Support support = supportsDequantize(given); !support)
    return given.error() << support.reason();
  auto inputs = dequantizeInputs(given, lowering);
  if (failed(inputs))
    return failure();
  Node node(given.op, given.sinceVersion, *inputs);
  auto to = static_cast<DType>(
      node.intAttr("output_dtype", int64_t(node.input(1).dtype)));
  for (unsigned i : {1u, 2u})
    if (node.input(i) && failed(parameterMap(node, lowering, i)))
      return failure();
  FailureOr<Tensor> y = dequantize(node, lowering, /*scaled=*/true, to);
  if (failed(y))
    return failure();
  if (to == DType::Float)
    y->factors = factorsOf(node, lowering);
  y->codes = codesOf(given, lowering, node.input(1));
  return SmallVector<Tensor>{*y};
}

void lutra::addQuantizationHandlers(Registry &registry) {
  SmallVector<int64_t> versions = {10, 13, 19, 21, 23, 24, 25, 28};
  StringRef limits = "inputs and outputs of a model of 8-bit floats, and of 4 "
                     "and 2 bits; float6";
  registry.add({"", "QuantizeLinear", versions, supportsQuantize, lowerQuantize,
                limits, /*takesNarrow=*/true});
  registry.add({"", "DequantizeLinear", versions, supportsDequantize,
                lowerDequantize, limits, /*takesNarrow=*/true});
}
