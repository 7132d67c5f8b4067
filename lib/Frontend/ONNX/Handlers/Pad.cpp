//===- Pad.cpp - Pad ------------------------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements padding. Negative padding is a slice taken first. The modes that
// repeat elements of the input compute, for each element of the result, the
// index that it is read from.
//
//===----------------------------------------------------------------------===//

#include "../SizeAlgebra.h"
#include "Movement.h"
#include "Operands.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::lutra;

static Support supportsPad(const Node &node) {
  bool asInput = node.sinceVersion >= 11;
  unsigned most = node.sinceVersion >= 18 ? 4 : asInput ? 3 : 1;
  unsigned count = node.numInputs();
  if (count < (asInput ? 2 : 1) || count > most)
    return Support::no("expected " + Twine(asInput ? 2 : 1) + " to " +
                       Twine(most) + " inputs, got " + Twine(count));
  if (!asInput && !node.hasAttr("pads"))
    return Support::no("expected pads, got none");
  StringRef mode = node.stringAttr("mode", "constant");
  if (!llvm::is_contained({"constant", "reflect", "edge", "wrap"}, mode) ||
      (mode == "wrap" && node.sinceVersion < 19))
    return Support::no("expected mode constant, reflect, edge or (from version "
                       "19) wrap, got " +
                       mode);
  Support pads = supportsKnown(node, 1, "pads");
  return pads ? supportsKnown(node, 3, "axes") : pads;
}

namespace {
/// Padding per dimension of the input.
struct Padding {
  SmallVector<AffineExpr> low, high;
};
} // namespace

static FailureOr<SmallVector<AffineExpr>> padAmounts(const Node &node,
                                                     Lowering &lowering) {
  SmallVector<AffineExpr> amounts;
  if (node.sinceVersion >= 11) {
    auto given = requireInts(node, lowering, 1, "pads");
    if (failed(given))
      return failure();
    amounts = *given;
  } else {
    for (int64_t amount : node.intsAttr("pads"))
      amounts.push_back(lowering.constant(amount));
  }
  for (AffineExpr amount : amounts)
    if (auto number = dyn_cast<AffineConstantExpr>(amount))
      if (std::abs(std::max(number.getValue(), -INT64_MAX)) > kMaxExtent)
        return node.error() << "expected pads of at most " << kMaxExtent
                            << ", got " << number.getValue();
  return amounts;
}

static FailureOr<Padding> padding(const Node &node, Lowering &lowering,
                                  const Tensor &input) {
  auto amounts = padAmounts(node, lowering);
  if (failed(amounts))
    return failure();
  SmallVector<int64_t> axes =
      llvm::to_vector(llvm::seq<int64_t>(0, input.rank()));
  if (node.input(3)) {
    auto given = requireConstants(node, lowering, 3, "axes");
    if (failed(given))
      return failure();
    auto normal = normalizeAxes(node, *given, input.rank());
    if (failed(normal))
      return failure();
    axes = *normal;
  }
  size_t count = axes.size();
  if (amounts->size() != 2 * count)
    return node.error() << "expected " << 2 * count << " pads, got "
                        << amounts->size();
  Padding result;
  result.low.assign(input.rank(), lowering.constant(0));
  result.high = result.low;
  for (auto [i, axis] : llvm::enumerate(axes)) {
    result.low[axis] = (*amounts)[i];
    result.high[axis] = (*amounts)[count + i];
  }
  return result;
}

/// Takes negative padding off the input, which leaves only positive padding.
static FailureOr<Tensor> cropNegative(const Node &node, Lowering &lowering,
                                      const Tensor &input, Padding &padding) {
  SmallVector<AffineExpr> offsets, sizes;
  AffineExpr zero = lowering.constant(0);
  auto crop = [&](AffineExpr &amount) -> std::optional<AffineExpr> {
    if (lowering.isNonNegative(amount))
      return zero;
    if (!lowering.isNonNegative(canonicalSize(-amount)))
      return std::nullopt;
    AffineExpr cropped = canonicalSize(-amount);
    amount = zero;
    return cropped;
  };
  for (int64_t d = 0; d < input.rank(); ++d) {
    auto before = crop(padding.low[d]), after = crop(padding.high[d]);
    if (!before || !after)
      return node.error() << "expected pads of known sign, got "
                          << sizeText(lowering, before ? padding.high[d]
                                                       : padding.low[d]);
    offsets.push_back(*before);
    sizes.push_back(canonicalSize(input.shape[d] - *before - *after));
    if (!lowering.isNonNegative(sizes.back()))
      return node.error() << "expected a size of at least "
                          << sizeText(lowering, canonicalSize(*before + *after))
                          << " to crop, got "
                          << sizeText(lowering, input.shape[d]);
  }
  return lowering.slice(input, offsets, sizes,
                        SmallVector<int64_t>(input.rank(), 1));
}

/// The constant to pad with.
static FailureOr<Value> padValue(const Node &node, Lowering &lowering,
                                 DType dtype) {
  Tensor given = node.sinceVersion >= 11 ? node.input(2) : Tensor();
  if (!given) {
    double value = node.sinceVersion < 11 ? node.floatAttr("value", 0) : 0;
    return isFloat(dtype) ? lowering.scalar(dtype, value)
                          : lowering.scalarInt(dtype, 0);
  }
  if (given.dtype != dtype || given.rank() > 1 ||
      (given.rank() == 1 && given.staticSize(0) != 1))
    return node.error() << "expected one " << dtypeName(dtype)
                        << " to pad with, got " << dtypeName(given.dtype) << " "
                        << lowering.str(given.shape);
  DenseElementsAttr elements;
  if (matchPattern(given.value, m_Constant(&elements)))
    return Value(arith::ConstantOp::create(
        lowering.b, cast<TypedAttr>(*elements.value_begin<Attribute>())));
  SmallVector<Value> index;
  if (given.rank() == 1)
    index.push_back(lowering.sizeValue(lowering.constant(0)));
  return Value(tensor::ExtractOp::create(lowering.b, given.value, index));
}

//===----------------------------------------------------------------------===//
// Modes that repeat the input
//===----------------------------------------------------------------------===//

/// x mod n with a result in [0, n).
static Value floorMod(ImplicitLocOpBuilder &b, Value x, Value n) {
  Value rest = arith::RemSIOp::create(b, x, n);
  return arith::RemSIOp::create(b, arith::AddIOp::create(b, rest, n), n);
}

/// The index in [0, size) that position `at`, which may be outside, repeats.
static Value repeatedIndex(ImplicitLocOpBuilder &b, StringRef mode, Value at,
                           Value size) {
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value one = arith::ConstantIndexOp::create(b, 1);
  Value last = arith::SubIOp::create(b, size, one);
  if (mode == "edge")
    return arith::MinSIOp::create(b, arith::MaxSIOp::create(b, at, zero), last);
  if (mode == "wrap")
    return floorMod(b, at, size);
  // Reflection without the border has a period of 2 (size - 1); one element
  // reflects into itself.
  Value period = arith::AddIOp::create(b, last, last);
  period = arith::MaxSIOp::create(b, period, one);
  Value folded = floorMod(b, at, period);
  return arith::MinSIOp::create(b, folded,
                                arith::SubIOp::create(b, period, folded));
}

static FailureOr<Tensor> padRepeating(const Node &node, Lowering &lowering,
                                      const Tensor &input,
                                      const Padding &padding, StringRef mode) {
  Shape shape;
  AffineExpr zero = lowering.constant(0);
  auto isPadded = [&](int64_t d) {
    return padding.low[d] != zero || padding.high[d] != zero;
  };
  bool needed = false;
  for (int64_t d = 0; d < input.rank(); ++d) {
    AffineExpr size = input.shape[d];
    shape.push_back(canonicalSize(size + padding.low[d] + padding.high[d]));
    needed |= isPadded(d);
    if (isPadded(d) && !lowering.isNonNegative(size - 1))
      return node.error() << "expected at least one element to repeat in "
                             "dimension "
                          << d << ", got " << sizeText(lowering, size);
  }
  if (!needed)
    return input;
  return readAt(
      lowering, input, shape, [&](ImplicitLocOpBuilder &b, ValueRange result) {
        SmallVector<Value> index(result);
        for (int64_t d = 0; d < input.rank(); ++d) {
          if (!isPadded(d))
            continue;
          Value at = arith::SubIOp::create(
              b, index[d], indexIn(b, lowering, padding.low[d]));
          index[d] =
              repeatedIndex(b, mode, at, indexIn(b, lowering, input.shape[d]));
        }
        return index;
      });
}

static FailureOr<SmallVector<Tensor>> lowerPad(const Node &node,
                                               Lowering &lowering) {
  if (Support support = supportsPad(node); !support)
    return node.error() << support.reason();
  if (failed(requireRank(node, 0, 0)))
    return failure();
  FailureOr<Padding> amounts = padding(node, lowering, node.input(0));
  if (failed(amounts))
    return failure();
  FailureOr<Tensor> input =
      cropNegative(node, lowering, node.input(0), *amounts);
  if (failed(input))
    return failure();
  StringRef mode = node.stringAttr("mode", "constant");
  if (mode != "constant") {
    auto result = padRepeating(node, lowering, *input, *amounts, mode);
    if (failed(result))
      return failure();
    return SmallVector<Tensor>{*result};
  }
  FailureOr<Value> value = padValue(node, lowering, input->dtype);
  if (failed(value))
    return failure();
  return SmallVector<Tensor>{
      lowering.pad(*input, amounts->low, amounts->high, *value)};
}

void lutra::addPadHandlers(Registry &registry) {
  registry.add({"",
                "Pad",
                {2, 11, 13, 18, 19, 21, 23, 24, 25},
                supportsPad,
                lowerPad,
                "the pads must be constant or computed from shapes"});
}
