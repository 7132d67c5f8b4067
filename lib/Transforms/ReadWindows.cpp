//===- ReadWindows.cpp - Convolutions as products of matrices -------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Copies what each window sees, the positions of the kernel and then channels,
// so that the product reads dimensions along loops. Channels are moved
// innermost first, since a copy then has whole runs of them.
//
//===----------------------------------------------------------------------===//

#include "WeightProduct.h"
#include "lutra/Analysis/TensorSizes.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;
using namespace mlir::lutra;

/// A tensor of `sizes` whose elements are those of `source` that `map` reads.
static Value copyThrough(ImplicitLocOpBuilder &b, Value source, AffineMap map,
                         ArrayRef<OpFoldResult> sizes) {
  Value empty =
      tensor::EmptyOp::create(b, sizes, getElementTypeOrSelf(source));
  return linalg::GenericOp::create(
             b, empty.getType(), source, empty,
             ArrayRef{map, b.getMultiDimIdentityMap(sizes.size())},
             SmallVector(sizes.size(), utils::IteratorType::parallel),
             [](OpBuilder &b, Location loc, ValueRange in) {
               linalg::YieldOp::create(b, loc, in[0]);
             })
      .getResult(0);
}

/// Whether `map` reads all of a tensor of `rank` dimensions in order: the first
/// loops and the last.
static bool readsInOrder(AffineMap map, unsigned rank) {
  SmallVector<AffineExpr> dims;
  for (unsigned i = 0; i + 1 < rank; ++i)
    dims.push_back(getAffineDimExpr(i, map.getContext()));
  dims.push_back(getAffineDimExpr(map.getNumDims() - 1, map.getContext()));
  return map.getResults() == ArrayRef(dims);
}

namespace {
class Reader {
public:
  Reader(WeightProduct &product, ArrayRef<OpFoldResult> sizes)
      : product(product), b(product.op->getLoc(), product.op),
        x(product.x->get()), map(product.mapOf(product.x)) {
    loops = product.m;
    llvm::append_range(loops, product.k);
    for (unsigned loop : loops)
      shape.push_back(product.sizeOf(b, loop, sizes));
  }
  LogicalResult run();

private:
  LogicalResult moveChannelsLast();
  void copyWindows();

  WeightProduct &product;
  ImplicitLocOpBuilder b;
  Value x;
  AffineMap map;
  /// Those of the product that x is read along, and their sizes.
  SmallVector<unsigned> loops;
  SmallVector<OpFoldResult> shape;
};
} // namespace

LogicalResult Reader::moveChannelsLast() {
  auto isChannel = [&](AffineExpr expr) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    return dim && llvm::is_contained(product.k, dim.getPosition());
  };
  SmallVector<int64_t> order =
      llvm::to_vector(llvm::seq<int64_t>(0, map.getNumResults()));
  llvm::stable_sort(order, [&](int64_t i, int64_t j) {
    return isChannel(map.getResult(i)) < isChannel(map.getResult(j));
  });
  if (isIdentityPermutation(order))
    return success();
  FailureOr<SmallVector<OpFoldResult>> sizes = tensorSizes(b, x);
  if (failed(sizes))
    return product.op.emitError("expected a convolution of known sizes");
  applyPermutationToVector(*sizes, order);
  AffineMap moved = AffineMap::getPermutationMap(order, b.getContext());
  x = copyThrough(b, x, inversePermutation(moved), *sizes);
  map = moved.compose(map);
  return success();
}

/// Makes x a tensor of `shape`.
void Reader::copyWindows() {
  // Reductions of one step stand at 0.
  unsigned outer = product.m.size();
  SmallVector<AffineExpr> places(map.getNumDims(), b.getAffineConstantExpr(0));
  for (auto [i, loop] : llvm::enumerate(loops))
    if (i < outer || !isOneInteger(shape[i]))
      places[loop] = b.getAffineDimExpr(i);
  map = simplifyAffineMap(
      map.replaceDimsAndSymbols(places, {}, loops.size(), 0));
  unsigned rank = map.getNumResults();
  if (rank != outer + 1 || !readsInOrder(map, rank)) {
    x = copyThrough(b, x, map, shape);
    return;
  }
  SmallVector<ReassociationIndices> groups(rank);
  SmallVector<int64_t> sizes(
      cast<RankedTensorType>(x.getType()).getShape().drop_back());
  for (unsigned i = 0; i < loops.size(); ++i) {
    groups[std::min(i, outer)].push_back(i);
    if (i >= outer)
      sizes.push_back(*getConstantIntValue(shape[i]));
  }
  auto type = RankedTensorType::get(sizes, getElementTypeOrSelf(x));
  x = tensor::ExpandShapeOp::create(b, type, x, groups, shape);
}

LogicalResult Reader::run() {
  if (failed(moveChannelsLast()))
    return failure();
  copyWindows();
  SmallVector<AffineMap> maps = product.op.getIndexingMapsArray();
  SmallVector<AffineExpr> read;
  for (unsigned loop : loops)
    read.push_back(b.getAffineDimExpr(loop));
  maps[product.x->getOperandNumber()] =
      AffineMap::get(maps.front().getNumDims(), 0, read, b.getContext());
  auto generic = cast<linalg::GenericOp>(product.op.getOperation());
  product.x->set(x);
  generic.setIndexingMapsAttr(b.getAffineMapArrayAttr(maps));
  return success();
}

LogicalResult lutra::readWindows(WeightProduct &product,
                                 ArrayRef<OpFoldResult> sizes) {
  return Reader(product, sizes).run();
}
