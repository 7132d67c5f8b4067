//===- Split.cpp - Split --------------------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../SizeAlgebra.h"
#include "Movement.h"
#include "Operands.h"
#include "SliceRanges.h"

using namespace mlir;
using namespace mlir::lutra;

static Support supportsSplit(const Node &node) {
  unsigned most = node.sinceVersion >= 13 ? 2 : 1;
  if (node.numInputs() < 1 || node.numInputs() > most)
    return Support::no("expected at most " + Twine(most) + " inputs, got " +
                       Twine(node.numInputs()));
  int64_t outputs = node.numOutputs();
  if (int64_t count = node.intAttr("num_outputs", outputs); count != outputs)
    return Support::no("expected num_outputs to be " + Twine(outputs) +
                       ", the number of outputs, got " + Twine(count));
  return supportsKnown(node, 1, "split", true);
}

/// Equal parts; from version 18 on the last may be smaller.
static FailureOr<SmallVector<AffineExpr>>
equalParts(const Node &node, Lowering &lowering, AffineExpr size) {
  int64_t count = node.numOutputs();
  if (auto part = divideSize(size, lowering.constant(count)))
    return SmallVector<AffineExpr>(count, *part);
  AffineExpr part = canonicalSize(size.ceilDiv(count));
  AffineExpr last = canonicalSize(size - part * (count - 1));
  if (node.sinceVersion < 18 || !lowering.isNonNegative(last))
    return node.error() << "expected a size that " << count
                        << " parts divide, got " << sizeText(lowering, size);
  SmallVector<AffineExpr> parts(count, part);
  parts.back() = last;
  return parts;
}

/// The sizes of the outputs along `axis` where all are declared.
static std::optional<SmallVector<AffineExpr>> declaredParts(const Node &node,
                                                            int64_t axis) {
  SmallVector<AffineExpr> parts;
  for (unsigned i = 0; i < node.numOutputs(); ++i) {
    auto shape = declaredShape(node, i);
    if (!shape || int64_t(shape->size()) <= axis)
      return std::nullopt;
    parts.push_back((*shape)[axis]);
  }
  return parts;
}

static FailureOr<SmallVector<AffineExpr>>
splitSizes(const Node &node, Lowering &lowering, int64_t axis) {
  AffineExpr size = node.input(0).shape[axis];
  SmallVector<AffineExpr> sizes;
  auto declared = declaredParts(node, axis);
  if (node.sinceVersion >= 13 && node.input(1) && declared &&
      !knownInts(lowering, node.input(1))) {
    sizes = *declared;
  } else if (node.sinceVersion >= 13 && node.input(1)) {
    auto given = requireInts(node, lowering, 1, "split");
    if (failed(given))
      return failure();
    sizes = *given;
  } else if (node.sinceVersion < 13 && node.hasAttr("split")) {
    for (int64_t part : node.intsAttr("split"))
      sizes.push_back(lowering.constant(part));
  } else {
    return equalParts(node, lowering, size);
  }
  AffineExpr sum = lowering.constant(0);
  for (AffineExpr part : sizes) {
    if (!lowering.isNonNegative(part))
      return node.error() << "expected sizes of 0 or more, got "
                          << lowering.str(sizes);
    sum = canonicalSize(sum + part);
  }
  if (sizes.size() != node.numOutputs() || sum != size)
    return node.error() << "expected " << node.numOutputs()
                        << " sizes with the sum " << sizeText(lowering, size)
                        << ", got " << lowering.str(sizes);
  return sizes;
}

static FailureOr<SmallVector<Tensor>> lowerSplit(const Node &node,
                                                 Lowering &lowering) {
  if (Support support = supportsSplit(node); !support)
    return node.error() << support.reason();
  if (failed(requireRank(node, 0, 1)))
    return failure();
  Tensor input = node.input(0);
  FailureOr<int64_t> axis =
      normalizeAxis(node, node.intAttr("axis", 0), input.rank());
  if (failed(axis))
    return failure();
  auto sizes = splitSizes(node, lowering, *axis);
  if (failed(sizes))
    return failure();
  SmallVector<Tensor> parts;
  SliceRanges ranges = wholeOf(lowering, input);
  AffineExpr offset = lowering.constant(0);
  for (AffineExpr size : *sizes) {
    ranges.offsets[*axis] = offset;
    ranges.sizes[*axis] = size;
    parts.push_back(take(lowering, input, ranges));
    offset = canonicalSize(offset + size);
  }
  return parts;
}

void lutra::addSplitHandlers(Registry &registry) {
  registry.add({"",
                "Split",
                {2, 11, 13, 18},
                supportsSplit,
                lowerSplit,
                "the sizes must be constant or computed from shapes"});
}
