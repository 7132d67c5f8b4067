//===- SizeCheck.cpp - Types and sizes of a node's inputs -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements the same checks for both questions that a handler answers: of what
// import knows, where the unknown passes, and of the lowered tensors.
//
//===----------------------------------------------------------------------===//

#include "SizeCheck.h"

#include "../SizeAlgebra.h"
#include "Operands.h"

using namespace mlir;
using namespace mlir::lutra;

bool SizeCheck::equal(AffineExpr a, AffineExpr b) {
  if (isa<AffineConstantExpr>(a) && isa<AffineConstantExpr>(b))
    return a == b;
  return !lowering || lowering->requireEqual(a, b);
}

bool SizeCheck::isAtLeast(AffineExpr a, AffineExpr b) {
  AffineExpr difference = canonicalSize(a - b);
  if (auto known = dyn_cast<AffineConstantExpr>(difference))
    return known.getValue() >= 0;
  return !lowering || lowering->requireNonNegative(difference);
}

bool SizeCheck::isKnown(unsigned i) const {
  return knownRank(node.input(i)).has_value();
}

void SizeCheck::fail(const Twine &reason) {
  if (answer)
    answer = Support::no(reason);
}

AffineExpr SizeCheck::number(int64_t value) const {
  return getAffineConstantExpr(value, node.op.getContext());
}

std::string SizeCheck::text(ArrayRef<AffineExpr> shape) const {
  if (lowering)
    return lowering->str(shape);
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::interleaveComma(shape, os << '[', [&](AffineExpr size) {
    if (auto known = dyn_cast<AffineConstantExpr>(size))
      os << known.getValue();
    else
      os << '?';
  });
  os << ']';
  return text;
}

void SizeCheck::expect(unsigned i, StringRef name, ArrayRef<AffineExpr> shape) {
  if (failed() || !isKnown(i))
    return;
  ArrayRef<AffineExpr> actual = node.inputs()[i].shape;
  bool same = actual.size() == shape.size();
  for (size_t d = 0; same && d < shape.size(); ++d)
    same = equal(actual[d], shape[d]);
  if (!same)
    fail("expected " + name + " of shape " + text(shape) + ", got " +
         text(actual));
}

void SizeCheck::expectRank(unsigned i, StringRef name,
                           ArrayRef<int64_t> ranks) {
  std::optional<int64_t> rank = knownRank(node.input(i));
  if (!rank || llvm::is_contained(ranks, *rank))
    return;
  std::string wanted;
  llvm::raw_string_ostream os(wanted);
  llvm::interleave(ranks, os, " or ");
  fail("expected " + name + " of rank " + wanted + ", got rank " +
       Twine(*rank));
}

void SizeCheck::expectType(unsigned i, StringRef name, ArrayRef<DType> types) {
  DType type = node.input(i).dtype;
  if (!node.input(i) || type == DType::Undefined ||
      llvm::is_contained(types, type))
    return;
  std::string wanted;
  llvm::raw_string_ostream os(wanted);
  llvm::interleave(types, os, [&](DType t) { os << dtypeName(t); }, " or ");
  fail("expected " + name + " of type " + wanted + ", got " + dtypeName(type));
}

void SizeCheck::expectBoth(unsigned i, StringRef first, StringRef second) {
  bool hasFirst = bool(node.input(i)), hasSecond = bool(node.input(i + 1));
  if (hasFirst != hasSecond)
    fail("expected " + first + " and " + second + " together, got only " +
         (hasFirst ? first : second));
}

void SizeCheck::expectTypeOf(unsigned i,
                             ArrayRef<std::pair<unsigned, StringRef>> inputs) {
  if (DType type = node.input(i).dtype; type != DType::Undefined)
    for (auto [input, name] : inputs)
      expectType(input, name, type);
}

void SizeCheck::expectLast(unsigned i, StringRef name, int64_t size) {
  if (failed() || !isKnown(i))
    return;
  Shape shape = node.input(i).shape;
  if (shape.empty())
    return fail("expected " + name + " of rank 1 or more, got rank 0");
  shape.back() = number(size);
  expect(i, name, shape);
}

int64_t SizeCheck::count(StringRef name, int64_t otherwise, int64_t least,
                         int64_t most) {
  int64_t value = node.intAttr(name, otherwise);
  if (value < least || value > most)
    fail("expected " + name + " in [" + Twine(least) + ", " + Twine(most) +
         "], got " + Twine(value));
  return value;
}
