//===- TopK.cpp - TopK ----------------------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A choice is a cascade of its own until the one that computes what it chooses
// from takes it in.
//
//===----------------------------------------------------------------------===//

#include "TopK.h"

#include "Elementwise.h"

#include "dialects/Cascade/Cascade.h"

using namespace mlir;
using namespace mlir::lutra;

/// The names of the ranks along the dimensions of a tensor of which `axis` is
/// gone over.
static SmallVector<std::string> rankNames(int64_t rank, int64_t axis) {
  static constexpr StringLiteral kRows[] = {"p", "h", "b", "g", "i", "j"};
  SmallVector<std::string> names(rank);
  unsigned row = 0;
  for (int64_t dim = rank - 1; dim >= 0; --dim) {
    if (dim == axis) {
      names[dim] = "m";
      continue;
    }
    names[dim] =
        row < std::size(kRows) ? kRows[row].str() : "b" + std::to_string(row);
    ++row;
  }
  return names;
}

std::pair<Tensor, Tensor> lutra::topK(Lowering &lowering, const Tensor &x,
                                      int64_t axis, AffineExpr k,
                                      bool largest) {
  ImplicitLocOpBuilder &b = lowering.b;
  Shape shape = x.shape;
  shape[axis] = k;
  Value lists[] = {lowering.empty(shape, x.dtype),
                   lowering.empty(shape, DType::Int64)};
  if (k != lowering.constant(0)) {
    SmallVector<std::string> names = rankNames(x.rank(), axis);
    names.push_back("n");
    SmallVector<StringRef> ranks(names.begin(), names.end());
    SmallVector<OpFoldResult> extents = lowering.sizes(x.shape);
    extents.push_back(lowering.size(k));
    Type types[] = {lists[0].getType(), lists[1].getType()};
    auto choice = cascade::CascadeOp::create(b, types, ranks, extents,
                                             /*reassoc=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(choice.getBlock());
    auto op = cascade::TopKOp::create(
        b, types, x.value, b.getStrArrayAttr(ArrayRef(ranks).drop_back()), "m",
        "n", /*smallest=*/!largest,
        /*isUnsigned=*/isInteger(x.dtype) && isUnsigned(x.dtype));
    cascade::YieldOp::create(b, op.getResults());
    llvm::copy(choice.getResults(), lists);
  }
  return {lowering.tensor(lists[0], shape, x.dtype),
          lowering.tensor(lists[1], shape, DType::Int64)};
}

static Support supportsTopK(const Node &node) {
  if (node.sinceVersion >= 10 && node.numInputs() != 2)
    return Support::no("expected 2 inputs, got " + Twine(node.numInputs()));
  if (node.sinceVersion < 10 && node.intAttr("k", -1) < 0)
    return Support::no("expected k of 0 or more");
  DType type = node.input(0).dtype;
  if (type != DType::Undefined && !accepts(Types::Number, type))
    return Support::no("expected numbers, got " + dtypeName(type));
  return node.sinceVersion < 10 ? Support::yes()
                                : supportsKnown(node, 1, "k", true);
}

/// The number of elements to find: an attribute, an input, or what the declared
/// shape of the result says.
static FailureOr<AffineExpr> countOfTop(const Node &node, Lowering &lowering,
                                        int64_t axis) {
  if (node.sinceVersion < 10)
    return lowering.constant(node.intAttr("k", 0));
  if (auto ints = knownInts(lowering, node.input(1)); ints && ints->size() == 1)
    return ints->front();
  std::optional<Shape> declared = declaredShape(node);
  if (declared && int64_t(declared->size()) > axis)
    return (*declared)[axis];
  FailureOr<SmallVector<AffineExpr>> ints = requireInts(node, lowering, 1, "k");
  if (failed(ints))
    return failure();
  return node.error() << "expected one k, got " << ints->size();
}

static FailureOr<SmallVector<Tensor>> lowerTopK(const Node &node,
                                                Lowering &lowering) {
  if (Support support = supportsTopK(node); !support)
    return node.error() << support.reason();
  Tensor x = node.input(0);
  auto axis = normalizeAxis(node, node.intAttr("axis", -1), x.rank());
  if (failed(axis))
    return failure();
  FailureOr<AffineExpr> k = countOfTop(node, lowering, *axis);
  if (failed(k))
    return failure();
  AffineExpr size = x.shape[*axis];
  bool isNone = *k == lowering.constant(0);
  if (!(isNone || lowering.requireNonNegative(*k - 1)) ||
      !lowering.requireNonNegative(size - *k))
    return node.error() << "expected k in [0, " << sizeText(lowering, size)
                        << "], got " << sizeText(lowering, *k);
  auto [values, indices] =
      topK(lowering, x, *axis, *k, node.intAttr("largest", 1) == 1);
  return SmallVector<Tensor>{values, indices};
}

void lutra::addTopKHandlers(Registry &r) {
  r.add({"",
         "TopK",
         {1, 10, 11, 24},
         supportsTopK,
         lowerTopK,
         "k must be constant or computed from shapes"});
}
