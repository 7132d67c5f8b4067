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
#include "QuantizedElements.h"
#include "dialects/Lutra/Lutra.h"
#include "mlir/IR/Matchers.h"

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

//===----------------------------------------------------------------------===//
// QuantizeLinear
//===----------------------------------------------------------------------===//

/// What QuantizeLinear takes, besides what it gives scales.
static bool isNumber(DType dtype) {
  return isScale(dtype) || dtype == DType::Int32;
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
               supportsInput(node, 1, "y_scale", isNumber),
               supportsInput(node, 2, "y_zero_point", isQuantized),
               supportsTypeAttr(node, "output_dtype", isQuantized),
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

static FailureOr<SmallVector<Tensor>> lowerQuantize(const Node &node,
                                                    Lowering &lowering) {
  if (Support support = supportsQuantize(node); !support)
    return node.error() << support.reason();
  DType result = quantizedType(node), division = divisionType(node);
  DType types[] = {computeType(node.input(0).dtype),
                   computeType(node.input(1).dtype)};
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
        return quantizeScalar(s.b, quotient, in.size() > 2 ? in[2] : Value(),
                              result);
      });
  if (failed(y))
    return failure();
  return SmallVector<Tensor>{*y};
}

//===----------------------------------------------------------------------===//
// DequantizeLinear
//===----------------------------------------------------------------------===//

/// What DequantizeLinear takes: accumulators and narrow integers too.
static bool isInteger32(DType dtype) {
  return isQuantized(dtype) || isNarrow(dtype) || dtype == DType::Int32;
}

static Support supportsDequantize(const Node &node) {
  Support support = firstOf(
      {supportsAttributes(node), supportsInput(node, 0, "x", isInteger32),
       supportsInput(node, 1, "x_scale", isScale),
       supportsInput(node, 2, "x_zero_point", isInteger32),
       supportsTypeAttr(node, "output_dtype", isScale)});
  DType x = node.input(0).dtype, zero = node.input(2).dtype;
  if (support && x != DType::Undefined && zero != DType::Undefined && x != zero)
    return Support::no("expected x and x_zero_point of one type, got " +
                       dtypeName(x) + " and " + dtypeName(zero));
  return support;
}

/// The attributes of a constant as a weight that is unpacked at most, or null.
static DictionaryAttr plainWeight(const Node &node, const Tensor &tensor) {
  if (auto weight = tensor.value.getDefiningOp<WeightOp>()) {
    ArrayRef<Attribute> steps = weight.getSteps().getValue();
    bool isPlain =
        steps.empty() || (steps.size() == 1 && isa<UnpackAttr>(steps[0]));
    return isPlain ? weight->getAttrDictionary() : DictionaryAttr();
  }
  DenseElementsAttr elements;
  if (!matchPattern(tensor.value, m_Constant(&elements)))
    return {};
  Builder b(node.op.getContext());
  return b.getDictionaryAttr(
      {b.getNamedAttr("name", b.getStringAttr(node.op.getNodeName())),
       b.getNamedAttr("storage", TypeAttr::get(elements.getType())),
       b.getNamedAttr("value", elements)});
}

/// Input 0 with a dequantize step, where it and its parameters are constants;
/// else a null tensor. A null `scale` is 1.
static Tensor dequantizeWeight(const Node &node, Lowering &lowering,
                               const Tensor &scale, DType to) {
  const Tensor &x = node.input(0), &zero = node.input(2);
  ImplicitLocOpBuilder &b = lowering.b;
  auto one = DenseElementsAttr::get(RankedTensorType::get({}, b.getF32Type()),
                                    ArrayRef<float>{1});
  DictionaryAttr weight = plainWeight(node, x),
                 zeros = zero ? plainWeight(node, zero) : DictionaryAttr(),
                 scales =
                     scale
                         ? plainWeight(node, scale)
                         : b.getDictionaryAttr(
                               {b.getNamedAttr("name", b.getStringAttr("one")),
                                b.getNamedAttr("storage",
                                               TypeAttr::get(one.getType())),
                                b.getNamedAttr("value", one)});
  int64_t block = node.intAttr("block_size", 0), axis = node.intAttr("axis", 1);
  axis = axis < 0 ? axis + x.rank() : axis;
  // Parameters of one element pay no heed to these.
  if (axis < 0 || axis >= x.rank())
    axis = block = 0;
  if (!weight || !scales || (zero && !zeros) ||
      (block && x.staticSize(axis) % block != 0))
    return {};
  auto step = DequantizeAttr::get(
      b.getContext(), importType(b.getContext(), x.dtype),
      storageType(b.getContext(), to), axis, block, scales, zeros);
  NamedAttrList attrs(weight);
  SmallVector<Attribute> steps;
  if (auto unpack = weight.getAs<ArrayAttr>("steps"))
    llvm::append_range(steps, unpack);
  steps.push_back(step);
  attrs.set("steps", b.getArrayAttr(steps));
  Value value = WeightOp::create(b, lowering.type(x.shape, to), ValueRange(),
                                 attrs.getAttrs());
  return lowering.tensor(value, x.shape, to);
}

/// (x - zero) * scale, or x - zero where `scaled` is false.
static FailureOr<Tensor> dequantize(const Node &node, Lowering &lowering,
                                    bool scaled, DType to) {
  Tensor scale = scaled ? node.input(1) : Tensor();
  if (Tensor weight = dequantizeWeight(node, lowering, scale, to))
    return weight;
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
  if (scale.rank() > 1 || x.dtype == DType::Int32)
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
  return std::make_shared<Factors>(
      Factors{*integers, scale, axis < 0 ? axis + x.rank() : axis, quantized,
              node.input(2)});
}

/// The inputs with narrow integers as the codes that they are held as; the zero
/// point is then that of codes.
static SmallVector<Tensor> asCodes(const Node &node, Lowering &lowering) {
  SmallVector<Tensor> inputs(node.inputs());
  if (!isNarrow(node.input(0).dtype))
    return inputs;
  inputs.resize(3);
  if (DType x = inputs[0].dtype; !inputs[2] && isSignedCode(x))
    inputs[2] = lowering.splat(
        {}, DType::UInt8,
        lowering.scalarInt(DType::UInt8, 1 << (codeBits(x) - 1)));
  for (unsigned i : {0u, 2u})
    if (inputs[i])
      inputs[i] =
          lowering.tensor(inputs[i].value, inputs[i].shape, DType::UInt8);
  return inputs;
}

static FailureOr<SmallVector<Tensor>> lowerDequantize(const Node &given,
                                                      Lowering &lowering) {
  if (Support support = supportsDequantize(given); !support)
    return given.error() << support.reason();
  SmallVector<Tensor> inputs = asCodes(given, lowering);
  Node node(given.op, given.sinceVersion, inputs);
  auto to = static_cast<DType>(
      node.intAttr("output_dtype", int64_t(node.input(1).dtype)));
  for (unsigned i = 1; i < node.numInputs(); ++i)
    if (node.input(i) && failed(parameterMap(node, lowering, i)))
      return failure();
  FailureOr<Tensor> y = dequantize(node, lowering, /*scaled=*/true, to);
  if (failed(y))
    return failure();
  if (to == DType::Float)
    y->factors = factorsOf(node, lowering);
  y->codes = codesOf(given, lowering);
  return SmallVector<Tensor>{*y};
}

void lutra::addQuantizationHandlers(Registry &registry) {
  SmallVector<int64_t> versions = {10, 13, 19, 21, 23, 24, 25, 28};
  registry.add({"", "QuantizeLinear", versions, supportsQuantize, lowerQuantize,
                "float8, float4, int4 and int2"});
  registry.add({"", "DequantizeLinear", versions, supportsDequantize,
                lowerDequantize,
                "float8 and float4, and int4 and int2 that are not constant",
                /*takesNarrow=*/true});
}
