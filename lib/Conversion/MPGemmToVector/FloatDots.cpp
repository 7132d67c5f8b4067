//===- FloatDots.cpp - Products of codes and floats -----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Codes become numbers: evenly spaced ones by conversion, others by a look-up.
//
//===----------------------------------------------------------------------===//

#include "Dots.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lutra;

namespace {
/// Codes as floats, less an offset.
class FloatDot : public Dot {
public:
  FloatDot(OpBuilder &b, Location loc, int64_t lanes, double offset)
      : Dot(b, loc, lanes), whole(std::floor(offset)),
        fraction(offset - whole) {}

  Type sumType() const override { return b.getF32Type(); }
  unsigned steps() const override { return 4; }
  /// Codes are the lowest bits of floats from 2^23 on, where neighbours are 1
  /// apart: what is subtracted takes that away too, and is exact.
  Value codes(Value bytes, unsigned step, Value zero) override {
    bool isInteger =
        zero && cast<VectorType>(zero.getType()).getElementType().isInteger();
    Value none = splatFloat(kUnit + whole);
    if (isInteger)
      none = arith::AddFOp::create(b, loc, fromUnit(zero), splatFloat(whole));
    Value number = subtract(fromUnit(byteOfLanes(bytes, step)), none);
    // 2^23 and a half is no float.
    if (fraction != 0)
      number = subtract(number, splatFloat(fraction));
    return zero && !isInteger ? subtract(number, zero) : number;
  }
  Value factor(Value x, ValueRange index, unsigned step) override {
    Value number = numberAt(x, index, step);
    return vector::BroadcastOp::create(b, loc, vectorOf(b.getF32Type()),
                                       number);
  }
  Value add(Value sum, Value codes, Value factor) override {
    auto contract = arith::FastMathFlags::contract;
    Value product = arith::MulFOp::create(b, loc, factor, codes, contract);
    return arith::AddFOp::create(b, loc, sum, product, contract);
  }

protected:
  Value subtract(Value number, Value zero) {
    return arith::SubFOp::create(b, loc, number, zero);
  }

private:
  static constexpr int64_t kUnit = 1 << 23;

  /// 2^23 + `code`, which is below 2^23, in f32.
  Value fromUnit(Value code) {
    int64_t bits = llvm::bit_cast<int32_t>(float(kUnit));
    return arith::BitcastOp::create(
        b, loc, vectorOf(b.getF32Type()),
        arith::OrIOp::create(b, loc, code, splat(b.getI32Type(), bits)));
  }
  Value splatFloat(float value) {
    auto type = vectorOf(b.getF32Type());
    return arith::ConstantOp::create(b, loc,
                                     DenseElementsAttr::get(type, value));
  }

  int64_t whole;
  float fraction;
};

/// Codes of any format, looked up.
class TableDot : public FloatDot {
public:
  TableDot(OpBuilder &b, Location loc, int64_t lanes)
      : FloatDot(b, loc, lanes, 0) {}

  bool takesCodes() const override { return true; }
  Value codes(Value bytes, unsigned step, Value zero) override {
    return without(zero, lookUp(bytes, step));
  }

protected:
  Value without(Value zero, Value number) {
    if (!zero)
      return number;
    if (isa<IntegerType>(cast<VectorType>(zero.getType()).getElementType()))
      zero = arith::SIToFPOp::create(b, loc, vectorOf(b.getF32Type()), zero);
    return subtract(number, zero);
  }
  virtual Value lookUp(Value bytes, unsigned step) = 0;
};

/// At most 16 numbers, which are in a register. The instruction looks at the
/// lowest four bits of a lane only: where these are several codes, each has a
/// register of its own, so that few fields of a byte need be shifted and none
/// is masked.
class PermuteDot : public TableDot {
public:
  static constexpr int64_t kLanes = 16;

  PermuteDot(OpBuilder &b, Location loc, mpgemm::FormatInterface format)
      : TableDot(b, loc, kLanes) {
    unsigned bits = format.getBits();
    for (unsigned shift = 0; shift + bits <= 4; shift += bits) {
      SmallVector<float> values;
      for (unsigned index = 0; index < kLanes; ++index)
        values.push_back(format.decode((index >> shift) % (1u << bits)));
      tables.push_back(arith::ConstantOp::create(
          b, loc,
          DenseElementsAttr::get(vectorOf(b.getF32Type()), ArrayRef(values))));
    }
    isOnePlane = llvm::isPowerOf2_32(bits);
  }

  Value codesOfQuad(CodesOfChunk &chunk, int64_t quad, int64_t part,
                    unsigned step, Value zero) override {
    if (!isOnePlane)
      return TableDot::codesOfQuad(chunk, quad, part, step, zero);
    auto [bytes, number] = chunk.quadInHalf(quad, part);
    return without(zero, permute(bytes, step, tables[number]));
  }

protected:
  Value lookUp(Value bytes, unsigned step) override {
    return permute(bytes, step, tables.front());
  }

private:
  Value permute(Value bytes, unsigned step, Value table) {
    auto type = vectorOf(b.getI32Type());
    Value code = vector::BitCastOp::create(b, loc, type, bytes);
    if (step > 0)
      code =
          arith::ShRUIOp::create(b, loc, code, splat(b.getI32Type(), 8 * step));
    return callIntrinsic(table.getType(), "llvm.x86.avx512.permvar.sf.512",
                         {table, code});
  }

  /// The numbers of the codes in the lowest four bits, from the lowest on.
  SmallVector<Value> tables;
  bool isOnePlane;
};

/// Numbers in memory.
class GatherDot : public TableDot {
public:
  GatherDot(OpBuilder &b, Location loc, int64_t lanes, Value table)
      : TableDot(b, loc, lanes), table(table) {}

protected:
  Value lookUp(Value bytes, unsigned step) override {
    auto type = vectorOf(b.getF32Type());
    Value mask = vector::ConstantMaskOp::create(
        b, loc, vectorOf(b.getI1Type()), b.getDenseI64ArrayAttr({lanes}));
    Value none = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
    Value first = arith::ConstantIndexOp::create(b, loc, 0);
    return vector::GatherOp::create(b, loc, type, table, first,
                                    byteOfLanes(bytes, step), mask, none);
  }

private:
  Value table;
};
} // namespace

std::unique_ptr<Dot> lutra::createFloatDot(OpBuilder &b, mpgemm::MatmulOp op,
                                           int64_t lanes, TargetAttr target,
                                           Value table) {
  Location loc = op.getLoc();
  if (target && target.hasFeature("avx512f") && op.getFormat().isScalar() &&
      op.getFormat().getBits() <= 4 && lanes == PermuteDot::kLanes)
    return std::make_unique<PermuteDot>(b, loc, op.getFormat());
  if (std::optional<double> offset = op.getFormat().getOffset())
    return std::make_unique<FloatDot>(b, loc, lanes, *offset);
  return std::make_unique<GatherDot>(b, loc, lanes, table);
}
