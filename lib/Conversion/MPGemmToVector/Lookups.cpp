//===- Lookups.cpp - Sums of what tables hold for codes -------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// At depth 4 each byte of a lane has a table of its own; a dot product with
// ones then adds the four entries of a lane. At depth 1 all bytes have the same
// table, and entries are added in 16 bits: those of odd bytes once alone, and
// once with those of even bytes below them, from which they are then taken off.
// Entries are 128 more than what they stand for; sums start so much lower.
//
//===----------------------------------------------------------------------===//

#include "Dots.h"

#include "dialects/Lut/Lut.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::lutra;

/// What all entries have too much.
static constexpr int64_t kOffset = 128;

namespace {
class Lookups : public Dot {
public:
  using Dot::Dot;

  Value factor(Value x, ValueRange index, unsigned) override {
    int64_t size = cast<ShapedType>(x.getType()).getShape().back();
    return vector::LoadOp::create(
        b, loc, VectorType::get({size}, b.getI8Type()), x, index);
  }

protected:
  Value lookUp(Value keys, Value table) {
    return lut::LookupOp::create(b, loc, keys.getType(), keys, table);
  }
};

/// Four tables, whose entries a dot product with ones adds, `intrinsic` if
/// there is one.
class QuadLookups : public Lookups {
public:
  QuadLookups(OpBuilder &b, Location loc, int64_t lanes, StringRef intrinsic)
      : Lookups(b, loc, lanes), intrinsic(intrinsic) {}

  SmallVector<Value> start(int64_t adds) override {
    return {splat(b.getI32Type(), -4 * kOffset * adds)};
  }
  Value codes(Value bytes, unsigned, Value) override {
    // Key e of byte j is entry 16 * j + e.
    Value tags = vector::BitCastOp::create(b, loc, bytesType(),
                                           splat(b.getI32Type(), 0x30201000));
    return arith::OrIOp::create(b, loc, bytes, tags);
  }
  Value add(Value sum, Value codes, Value factor) override {
    Value entries = lookUp(codes, factor);
    if (!intrinsic.empty())
      return callIntrinsic(sum.getType(), intrinsic,
                           {sum, entries, splat(b.getI8Type(), 1)});
    for (unsigned j = 0; j < 4; ++j)
      sum = arith::AddIOp::create(b, loc, sum, byteOfLanes(entries, j));
    return sum;
  }

private:
  StringRef intrinsic;
};

/// One table.
class ByteLookups : public Lookups {
public:
  using Lookups::Lookups;

  Type sumType() const override { return b.getI16Type(); }
  int64_t sums() const override { return 2; }
  /// 256 * -128 is the lowest 16-bit integer.
  int64_t mostAdds() const override { return 256; }
  SmallVector<Value> start(int64_t adds) override {
    int64_t odd = -kOffset * adds;
    // Sums of even bytes hold those of odd ones 2^8 times besides.
    return {splat(b.getI16Type(), int16_t(odd * 257)),
            splat(b.getI16Type(), odd)};
  }
  Value codes(Value bytes, unsigned, Value) override { return bytes; }
  Value add(Value, Value, Value) override {
    llvm_unreachable("each register of codes has two of sums");
  }
  void addTo(MutableArrayRef<Value> sums, Value codes, Value factor) override {
    Value entries = vector::BitCastOp::create(b, loc, sums[0].getType(),
                                              lookUp(codes, factor));
    sums[0] = arith::AddIOp::create(b, loc, sums[0], entries);
    Value odd =
        arith::ShRUIOp::create(b, loc, entries, splat(b.getI16Type(), 8));
    sums[1] = arith::AddIOp::create(b, loc, sums[1], odd);
  }
  SmallVector<Value> widened(ArrayRef<Value> sums) override {
    Value above =
        arith::ShLIOp::create(b, loc, sums[1], splat(b.getI16Type(), 8));
    Value even = arith::SubIOp::create(b, loc, sums[0], above);
    SmallVector<Value> result;
    for (Value half : {even, sums[1]})
      for (int64_t first : {int64_t(0), lanes}) {
        Value part = vector::ExtractStridedSliceOp::create(
            b, loc, half, ArrayRef<int64_t>{first}, ArrayRef<int64_t>{lanes},
            ArrayRef<int64_t>{1});
        result.push_back(
            arith::ExtSIOp::create(b, loc, vectorOf(b.getI32Type()), part));
      }
    return result;
  }
};
} // namespace

std::unique_ptr<Dot> lutra::createLookups(OpBuilder &b, mpgemm::MatmulOp op,
                                          int64_t lanes, TargetAttr target) {
  Location loc = op.getLoc();
  if (op.getPlanes().depth == 1)
    return std::make_unique<ByteLookups>(b, loc, lanes);
  return std::make_unique<QuadLookups>(b, loc, lanes,
                                       unsignedDotName(lanes, target));
}
