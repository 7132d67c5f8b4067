//===- WeightDequantization.cpp - Scales of a weight ----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads a weight's scales and zero points whole, since there are few, and
// applies them to the weight block by block.
//
//===----------------------------------------------------------------------===//

#include "WeightDequantization.h"

#include "WeightExpression.h"

using namespace mlir;
using namespace mlir::lutra;

/// Parameters per block of a pass over the elements.
static constexpr int64_t kBlock = 4096;

WeightDequantization::WeightDequantization(Scalar from) : from(from) {}
WeightDequantization::WeightDequantization(WeightDequantization &&) = default;
WeightDequantization::~WeightDequantization() = default;

/// A weight of `shape` as an array that repeats along `type`.
static WeightView repeated(ArrayRef<int64_t> shape, DequantizeAttr step,
                           RankedTensorType type) {
  SmallVector<int64_t> sizes(type.getShape()), strides(type.getRank(), 0);
  int64_t axis = step.getAxis();
  if (llvm::all_of(shape, [](int64_t size) { return size == 1; }))
    return WeightView(sizes, strides);
  if (step.getBlock() == 0) {
    strides[axis] = 1;
    return WeightView(sizes, strides);
  }
  int64_t stride = 1;
  for (int64_t d = type.getRank(); d-- > 0; stride *= shape[d])
    strides[d] = stride;
  sizes[axis] = shape[axis];
  sizes.insert(sizes.begin() + axis + 1, step.getBlock());
  strides.insert(strides.begin() + axis + 1, 0);
  WeightView view(sizes, strides);
  view.reshape(type.getShape());
  return view;
}

llvm::Expected<WeightDequantization::Parameter>
WeightDequantization::parameter(DictionaryAttr weight, DequantizeAttr step,
                                RankedTensorType type, Location loc) {
  // The step's verifier has checked these: at most codes are unpacked, and
  // cast.
  auto plain =
      cast<RankedTensorType>(weight.getAs<TypeAttr>("storage").getValue());
  auto steps = weight.getAs<ArrayAttr>("steps");
  for (Attribute step : steps ? steps.getValue() : ArrayRef<Attribute>())
    if (auto unpack = dyn_cast<UnpackAttr>(step))
      plain = plain.clone(unpack.getShape());
    else
      plain = plain.clone(cast<CastAttr>(step).getTo());
  auto expression = WeightExpression::parse(weight, plain, loc);
  if (!expression)
    return expression.takeError();
  return Parameter{std::make_unique<WeightExpression>(std::move(*expression)),
                   repeated(plain.getShape(), step, type),
                   {}};
}

llvm::Expected<WeightDequantization>
WeightDequantization::parse(DequantizeAttr step, RankedTensorType type,
                            Location loc) {
  std::optional<Scalar> from = scalarOf(step.getFrom());
  if (!from)
    return llvm::createStringError("expected a weight of numbers");
  WeightDequantization result(*from);
  auto scale = parameter(step.getScale(), step, type, loc);
  if (!scale)
    return scale.takeError();
  result.scale.emplace(std::move(*scale));
  if (!step.getZero())
    return result;
  auto zero = parameter(step.getZero(), step, type, loc);
  if (!zero)
    return zero.takeError();
  result.zero.emplace(std::move(*zero));
  if (bytesOf(result.zero->expression->scalar()) != bytesOf(*from))
    return llvm::createStringError("expected zero points of the weight's type");
  return result;
}

SmallVector<WeightView *, 2> WeightDequantization::views() {
  SmallVector<WeightView *, 2> result = {&scale->view};
  if (zero)
    result.push_back(&zero->view);
  return result;
}

llvm::Error WeightDequantization::load(Parameter &parameter, OpenSource open,
                                       Scalar from, Scalar to) {
  SmallVector<char, 0> stored;
  llvm::raw_svector_ostream os(stored);
  if (llvm::Error error = parameter.expression->write(open, os))
    return error;
  int64_t count = stored.size() / bytesOf(from);
  parameter.values.resize(count * bytesOf(to));
  castElements(from, stored.data(), to, parameter.values.data(), count);
  return llvm::Error::success();
}

llvm::Error WeightDequantization::load(OpenSource open) {
  if (llvm::Error error =
          load(*scale, open, scale->expression->scalar(), Scalar::F32))
    return error;
  // The type of stored zero points may have lost its sign.
  return zero ? load(*zero, open, from, centered()) : llvm::Error::success();
}

void WeightDequantization::unload() {
  scale->values = {};
  if (zero)
    zero->values = {};
}

Scalar WeightDequantization::centered() const {
  return isNarrowFloat(from) ? Scalar::F32 : Scalar::S32;
}

static float difference(float x, float zero) { return x - zero; }
static float difference(int32_t x, int32_t zero) {
  return float(int32_t(uint32_t(x) - uint32_t(zero)));
}

template <typename Centered>
void WeightDequantization::applyAs(const char *in, int64_t start, int64_t count,
                                   float *out) const {
  std::array<Centered, kBlock> x, z = {};
  std::array<float, kBlock> s;
  auto bytes = [](auto &array) { return reinterpret_cast<char *>(&array[0]); };
  for (int64_t at = 0; at < count; at += kBlock) {
    int64_t n = std::min(kBlock, count - at);
    castElements(from, in + at * bytesOf(from), centered(), bytes(x), n);
    scale->view.gather({scale->values.data(), sizeof(float)}, start + at, n,
                       bytes(s));
    if (zero)
      zero->view.gather({zero->values.data(), sizeof(Centered)}, start + at, n,
                        bytes(z));
    for (int64_t i = 0; i < n; ++i)
      out[at + i] = difference(x[i], z[i]) * s[i];
  }
}

void WeightDequantization::apply(const char *in, int64_t start, int64_t count,
                                 float *out) const {
  if (centered() == Scalar::F32)
    applyAs<float>(in, start, count, out);
  else
    applyAs<int32_t>(in, start, count, out);
}
