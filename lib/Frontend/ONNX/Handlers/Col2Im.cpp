//===- Col2Im.cpp - Col2Im ------------------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Adds overlapping blocks up into an image. Seen from the image, an element is
// the sum over the positions in a block at which a block's grid puts it there:
// a reduction, in which all elements are independent of each other.
//
//===----------------------------------------------------------------------===//

#include "Contraction.h"
#include "Elementwise.h"
#include "Window.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

/// Elements of a block, which a kernel has a byte of stack for.
static constexpr int64_t kMaxBlock = 4096;

namespace {
/// One spatial dimension: the image, a block, and how many blocks.
struct Axis {
  int64_t image, block, stride, dilation, low, count;
};
} // namespace

static Support supportsCol2Im(const Node &node) {
  if (node.numInputs() != 3)
    return Support::no("expected 3 inputs, got " + Twine(node.numInputs()));
  if (Support shape = supportsKnown(node, 1, "image_shape"); !shape)
    return shape;
  if (Support shape = supportsKnown(node, 2, "block_shape"); !shape)
    return shape;
  return checkWindow(node, std::nullopt);
}

static FailureOr<SmallVector<Axis>> makeAxes(const Node &node,
                                             Lowering &lowering) {
  auto image = requireConstants(node, lowering, 1, "image_shape");
  auto block = requireConstants(node, lowering, 2, "block_shape");
  if (failed(image) || failed(block))
    return failure();
  size_t rank = image->size();
  SmallVector<int64_t> ones(rank, 1), zeros(2 * rank, 0);
  SmallVector<int64_t> strides = node.intsAttr("strides", ones),
                       dilations = node.intsAttr("dilations", ones),
                       pads = node.intsAttr("pads", zeros);
  if (rank == 0 || block->size() != rank || strides.size() != rank ||
      dilations.size() != rank || pads.size() != 2 * rank)
    return node.error() << "expected as many strides, dilations and halves of "
                           "pads as dimensions, got an image of rank "
                        << rank;
  SmallVector<Axis> axes;
  for (size_t i = 0; i < rank; ++i) {
    int64_t size = (*image)[i], extent = (*block)[i];
    if (size < 1 || size > kMaxExtent || extent < 1 || extent > kMaxExtent)
      return node.error() << "expected images and blocks of 1 to " << kMaxExtent
                          << ", got " << size << " and " << extent;
    // All are below 2^31.
    int64_t room =
        size + pads[i] + pads[rank + i] - dilations[i] * (extent - 1) - 1;
    if (room < 0)
      return node.error() << "expected blocks within the padded image";
    axes.push_back({size, extent, strides[i], dilations[i], pads[i],
                    room / strides[i] + 1});
  }
  return axes;
}

/// The block whose element `k` lies on element `o` of the image; sets `found`
/// to whether there is one.
static Value blockAt(Scalars &s, const Axis &axis, Value o, Value k,
                     Value &found) {
  Value at = s.sub(s.add(o, s.constantInt(axis.low)),
                   s.mul(k, s.constantInt(axis.dilation)));
  Value stride = s.constantInt(axis.stride);
  Value block = s.div(at, stride);
  Value fits = s.eq(s.mul(block, stride), at);
  Value inside = arith::AndIOp::create(s.b, s.ge(at, s.constantInt(0)),
                                       s.lt(block, s.constantInt(axis.count)));
  Value here = arith::AndIOp::create(s.b, fits, inside);
  found = found ? Value(arith::AndIOp::create(s.b, found, here)) : here;
  return s.max(s.min(block, s.constantInt(axis.count - 1)), s.constantInt(0));
}

static FailureOr<SmallVector<Tensor>> lowerCol2Im(const Node &node,
                                                  Lowering &lowering) {
  if (Support support = supportsCol2Im(node); !support)
    return node.error() << support.reason();
  FailureOr<SmallVector<Axis>> axes = makeAxes(node, lowering);
  if (failed(axes))
    return failure();
  Tensor x = node.input(0);
  SmallVector<AffineExpr> counts, blocks;
  int64_t rank = axes->size(), elements = 1, total = 1;
  bool tooMany = false;
  for (const Axis &axis : *axes) {
    tooMany |= llvm::MulOverflow(elements, axis.block, elements);
    tooMany |= llvm::MulOverflow(total, axis.count, total);
    blocks.push_back(lowering.constant(axis.block));
    counts.push_back(lowering.constant(axis.count));
  }
  if (elements > kMaxBlock)
    return node.error() << "expected blocks of at most " << kMaxBlock
                        << " elements, got " << elements;
  if (tooMany || x.rank() != 3 || x.staticSize(2) != total ||
      x.staticSize(1) == ShapedType::kDynamic || x.staticSize(1) % elements)
    return node.error() << "expected " << total << " blocks of " << elements
                        << " elements for each channel, got "
                        << lowering.str(x.shape);
  if (!accepts(Types::Number, x.dtype))
    return node.error() << "expected numbers, got " << dtypeName(x.dtype);
  Shape shape = {x.shape[0], lowering.constant(x.staticSize(1) / elements)};
  Shape split = shape;
  for (const Axis &axis : *axes)
    shape.push_back(lowering.constant(axis.image));
  llvm::append_range(split, blocks);
  llvm::append_range(split, counts);
  FailureOr<Tensor> parts = lowering.reshape(x, split);
  if (failed(parts))
    return failure();
  // The extents of the loops over a block come from a tensor of its shape,
  // which is only looked at for that.
  Tensor sizes =
      lowering.tensor(lowering.empty(blocks, DType::Int8), blocks, DType::Int8);
  int64_t loops = 2 + 2 * rank;
  SmallVector<AffineExpr> written, within;
  for (int64_t i = 0; i < loops; ++i)
    (i < 2 + rank ? written : within).push_back(lowering.b.getAffineDimExpr(i));
  AffineMap maps[] = {AffineMap::get(loops, 0, within, lowering.context()),
                      AffineMap::get(loops, 0, written, lowering.context())};
  SmallVector<utils::IteratorType> iterators(2 + rank,
                                             utils::IteratorType::parallel);
  iterators.append(rank, utils::IteratorType::reduction);
  DType type = accumulatorType(x.dtype);
  Value zero = lowering.filled(shape, type, lowering.scalarInt(type, 0));
  Tensor sum = lowering.generic(
      sizes, maps, iterators, zero, shape, type,
      [&](ImplicitLocOpBuilder &b, ValueRange in) {
        Scalars s(b, DType::Int64);
        auto loop = [&](int64_t i) -> Value {
          return arith::IndexCastOp::create(b, b.getI64Type(),
                                            linalg::IndexOp::create(b, i));
        };
        Value found;
        SmallVector<Value> at = {linalg::IndexOp::create(b, 0),
                                 linalg::IndexOp::create(b, 1)};
        for (int64_t i = 0; i < rank; ++i)
          at.push_back(linalg::IndexOp::create(b, 2 + rank + i));
        for (auto [i, axis] : llvm::enumerate(*axes))
          at.push_back(arith::IndexCastOp::create(
              b, b.getIndexType(),
              blockAt(s, axis, loop(2 + i), loop(2 + rank + i), found)));
        Value element = toAccumulator(
            b, tensor::ExtractOp::create(b, parts->value, at), x.dtype);
        Scalars number(b, type);
        return addScalars(b, in[1],
                          number.select(found, element, number.constantInt(0)));
      });
  FailureOr<Tensor> result = addBias(lowering, sum, Tensor(), x.dtype);
  if (failed(result))
    return failure();
  return SmallVector<Tensor>{*result};
}

void lutra::addCol2ImHandlers(Registry &r) {
  r.add({"",
         "Col2Im",
         {18},
         supportsCol2Im,
         lowerCol2Im,
         "image_shape and block_shape must be constant"});
}
