//===- Dots.cpp - Products of codes and numbers on a machine --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Integers: one instruction adds four products of bytes (VNNI, NEON's dot
// products); two do it where sums of two products fit 16 bits (codes of up to
// 7 bits, SSSE3 and up), and small codes stay in 16 bits for a while; products
// of 16 bits, pairs of which are added to 32 (NEON); codes and numbers as
// 16-bit integers (SSE2); and multiplications of 32-bit integers anywhere.
//
//===----------------------------------------------------------------------===//

#include "Dots.h"

#include "lutra/Analysis/TargetFeatures.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::lutra;

VectorType Dot::vectorOf(Type element) const {
  return VectorType::get({lanes}, element);
}

VectorType Dot::bytesType() const {
  return VectorType::get({4 * lanes}, b.getI8Type());
}

Value Dot::splat(Type element, int64_t value) const {
  int64_t count = 32 * lanes / element.getIntOrFloatBitWidth();
  auto type = VectorType::get({count}, element);
  return arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(type, b.getIntegerAttr(element, value)));
}

Value Dot::broadcastQuad(Value x, ValueRange index) const {
  Value quad = vector::LoadOp::create(
      b, loc, VectorType::get({4}, b.getI8Type()), x, index);
  quad = vector::BitCastOp::create(b, loc, VectorType::get({1}, b.getI32Type()),
                                   quad);
  return vector::BroadcastOp::create(b, loc, vectorOf(b.getI32Type()), quad);
}

Value Dot::byteOfLanes(Value bytes, unsigned j) const {
  Type i32 = b.getI32Type();
  Value lane = vector::BitCastOp::create(b, loc, vectorOf(i32), bytes);
  if (j > 0)
    lane = arith::ShRUIOp::create(b, loc, lane, splat(i32, 8 * j));
  if (j < 3)
    lane = arith::AndIOp::create(b, loc, lane, splat(i32, 0xff));
  return lane;
}

Value Dot::callIntrinsic(Type result, StringRef name,
                         ArrayRef<Value> arguments) const {
  return LLVM::CallIntrinsicOp::create(b, loc, result, b.getStringAttr(name),
                                       SmallVector<Value>(arguments))
      .getResult(0);
}

Value Dot::numberAt(Value x, ValueRange index, unsigned step) const {
  SmallVector<Value> place(index);
  if (step != 0)
    place.back() = arith::AddIOp::create(
        b, loc, place.back(), arith::ConstantIndexOp::create(b, loc, step),
        arith::IntegerOverflowFlags::nsw);
  return memref::LoadOp::create(b, loc, x, place);
}

namespace {
/// One instruction: sum + codes * x, for bytes of which codes are unsigned and
/// x is signed, or both are signed and codes are below 128.
class QuadDot : public Dot {
public:
  QuadDot(OpBuilder &b, Location loc, int64_t lanes, StringRef intrinsic,
          unsigned most = 255)
      : Dot(b, loc, lanes), intrinsic(intrinsic), most(most) {}

  unsigned maxCode() const override { return most; }

  Value codes(Value bytes, unsigned, Value) override { return bytes; }
  Value factor(Value x, ValueRange index, unsigned) override {
    return vector::BitCastOp::create(b, loc, bytesType(),
                                     broadcastQuad(x, index));
  }
  Value add(Value sum, Value codes, Value factor) override {
    return callIntrinsic(sum.getType(), intrinsic, {sum, codes, factor});
  }

protected:
  StringRef intrinsic;

private:
  unsigned most;
};

/// Two products added in 16 bits, then two of these in 32.
class PairDot : public QuadDot {
public:
  PairDot(OpBuilder &b, Location loc, int64_t lanes, StringRef bytes,
          StringRef words)
      : QuadDot(b, loc, lanes, bytes, /*most=*/127), words(words) {}

  Value add(Value sum, Value codes, Value factor) override {
    Type i16 = b.getI16Type();
    Value pairs = callIntrinsic(VectorType::get({2 * lanes}, i16), intrinsic,
                                {codes, factor});
    Value quads =
        callIntrinsic(vectorOf(b.getI32Type()), words, {pairs, splat(i16, 1)});
    return arith::AddIOp::create(b, loc, sum, quads);
  }

private:
  StringRef words;
};

/// Two products added in 16 bits, and more of these, as long as codes are so
/// small that they fit.
class ShortPairDot : public QuadDot {
public:
  ShortPairDot(OpBuilder &b, Location loc, int64_t lanes, StringRef bytes,
               StringRef words, unsigned bits)
      : QuadDot(b, loc, lanes, bytes, /*most=*/127), words(words), bits(bits) {}

  /// Whether sums of whole chunks, at most 8 quads, fit, and those of a group
  /// are added up in floats a few times only, which rounds them.
  static bool supports(mpgemm::MatmulOp op) {
    constexpr int64_t kMostBlocks = 16;
    unsigned bits = op.getFormat().getNumberBits();
    return bits <= 4 && !op.isUnscaled() &&
           op.getGroupSize() / 4 <= kMostBlocks * quadsThatFit(bits);
  }

  Type sumType() const override { return b.getI16Type(); }
  int64_t mostAdds() const override { return quadsThatFit(bits); }
  Value add(Value sum, Value codes, Value factor) override {
    return arith::AddIOp::create(
        b, loc, sum, callIntrinsic(sum.getType(), intrinsic, {codes, factor}));
  }
  SmallVector<Value> widened(ArrayRef<Value> sums) override {
    return {callIntrinsic(vectorOf(b.getI32Type()), words,
                          {sums.front(), splat(b.getI16Type(), 1)})};
  }

private:
  static int64_t quadsThatFit(unsigned bits) {
    return std::numeric_limits<int16_t>::max() / (2 * ((1 << bits) - 1) * 127);
  }

  StringRef words;
  unsigned bits;
};

/// Even and odd codes and numbers as 16-bit integers.
class WordDot : public Dot {
public:
  WordDot(OpBuilder &b, Location loc, int64_t lanes, StringRef words)
      : Dot(b, loc, lanes), words(words) {}

  unsigned steps() const override { return 2; }
  Value codes(Value bytes, unsigned step, Value) override {
    Type i16 = b.getI16Type();
    Value pairs = vector::BitCastOp::create(b, loc, wordsType(), bytes);
    if (step == 0)
      return arith::AndIOp::create(b, loc, pairs, splat(i16, 0xff));
    return arith::ShRUIOp::create(b, loc, pairs, splat(i16, 8));
  }
  Value factor(Value x, ValueRange index, unsigned step) override {
    Type i16 = b.getI16Type();
    Value pairs =
        vector::BitCastOp::create(b, loc, wordsType(), broadcastQuad(x, index));
    if (step == 0)
      pairs = arith::ShLIOp::create(b, loc, pairs, splat(i16, 8));
    return arith::ShRSIOp::create(b, loc, pairs, splat(i16, 8));
  }
  Value add(Value sum, Value codes, Value factor) override {
    return arith::AddIOp::create(
        b, loc, sum, callIntrinsic(sum.getType(), words, {codes, factor}));
  }

private:
  VectorType wordsType() const {
    return VectorType::get({2 * lanes}, b.getI16Type());
  }

  StringRef words;
};

/// Bytes with a sign, by NEON: codes of 8 bits minus 128.
class SignedDot : public Dot {
public:
  SignedDot(OpBuilder &b, Location loc, int64_t lanes, unsigned bits)
      : Dot(b, loc, lanes), bits(bits) {}

  unsigned maxCode() const override { return bits == 8 ? 255 : 127; }
  int64_t offset() const override { return bits == 8 ? 128 : 0; }
  Value codes(Value bytes, unsigned, Value) override {
    if (offset() == 0)
      return bytes;
    return arith::XOrIOp::create(b, loc, bytes, splat(b.getI8Type(), -128));
  }
  Value factor(Value x, ValueRange index, unsigned) override {
    return vector::BitCastOp::create(b, loc, bytesType(),
                                     broadcastQuad(x, index));
  }
  Value add(Value sum, Value codes, Value factor) override {
    return callIntrinsic(sum.getType(), "llvm.aarch64.neon.sdot.v4i32.v16i8",
                         {sum, codes, factor});
  }

private:
  unsigned bits;
};

/// The same without dot products: a register of sums has two for each of two
/// columns, of which another makes one.
class SignedPairDot : public SignedDot {
public:
  using SignedDot::SignedDot;

  int64_t sums() const override { return 2; }
  void addTo(MutableArrayRef<Value> sums, Value codes, Value factor) override {
    for (auto [half, sum] : llvm::enumerate(sums)) {
      Value products = arith::MulIOp::create(b, loc, wordsOf(codes, half),
                                             wordsOf(factor, half));
      Value pairs = callIntrinsic(
          sum.getType(), "llvm.aarch64.neon.saddlp.v4i32.v8i16", {products});
      sum = arith::AddIOp::create(b, loc, sum, pairs);
    }
  }
  SmallVector<Value> widened(ArrayRef<Value> sums) override {
    auto every = [&](ArrayRef<int64_t> lanes) -> Value {
      return vector::ShuffleOp::create(b, loc, sums[0], sums[1], lanes);
    };
    return {arith::AddIOp::create(b, loc, every({0, 2, 4, 6}),
                                  every({1, 3, 5, 7}))};
  }

private:
  /// Half of some bytes.
  Value wordsOf(Value bytes, int64_t half) {
    Value part = vector::ExtractStridedSliceOp::create(
        b, loc, bytes, ArrayRef<int64_t>{half * 2 * lanes},
        ArrayRef<int64_t>{2 * lanes}, ArrayRef<int64_t>{1});
    auto type = VectorType::get({2 * lanes}, b.getI16Type());
    return arith::ExtSIOp::create(b, loc, type, part);
  }
};

/// 32-bit integers.
class PlainDot : public Dot {
public:
  using Dot::Dot;

  unsigned steps() const override { return 4; }
  Value codes(Value bytes, unsigned step, Value) override {
    return byteOfLanes(bytes, step);
  }
  Value factor(Value x, ValueRange index, unsigned step) override {
    Type i32 = b.getI32Type();
    Value number = numberAt(x, index, step);
    number = arith::ExtSIOp::create(b, loc, i32, number);
    return vector::BroadcastOp::create(b, loc, vectorOf(i32), number);
  }
  Value add(Value sum, Value codes, Value factor) override {
    return arith::AddIOp::create(b, loc, sum,
                                 arith::MulIOp::create(b, loc, codes, factor));
  }
};

/// The intrinsics of an x86 vector of `lanes` 32-bit lanes; empty where there
/// is none.
struct X86Names {
  StringRef quads, pairs, words;
};
} // namespace

static X86Names x86Names(int64_t lanes, TargetAttr target) {
  X86Names names;
  auto has = [&](StringRef feature) { return target.hasFeature(feature); };
  bool hasVNNI = has("avx512vnni") && has("avx512vl");
  switch (lanes) {
  case 16:
    if (has("avx512vnni"))
      names.quads = "llvm.x86.avx512.vpdpbusd.512";
    if (has("avx512bw")) {
      names.pairs = "llvm.x86.avx512.pmaddubs.w.512";
      names.words = "llvm.x86.avx512.pmaddw.d.512";
    }
    break;
  case 8:
    if (hasVNNI || has("avxvnni"))
      names.quads = "llvm.x86.avx512.vpdpbusd.256";
    if (has("avx2")) {
      names.pairs = "llvm.x86.avx2.pmadd.ub.sw";
      names.words = "llvm.x86.avx2.pmadd.wd";
    }
    break;
  case 4:
    if (hasVNNI || has("avxvnni"))
      names.quads = "llvm.x86.avx512.vpdpbusd.128";
    if (has("ssse3"))
      names.pairs = "llvm.x86.ssse3.pmadd.ub.sw.128";
    names.words = "llvm.x86.sse2.pmadd.wd";
    break;
  }
  return names;
}

StringRef lutra::unsignedDotName(int64_t lanes, TargetAttr target) {
  if (!target)
    return "";
  if (!isAArch64(target))
    return x86Names(lanes, target).quads;
  return lanes == 4 && target.hasFeature("i8mm")
             ? "llvm.aarch64.neon.usdot.v4i32.v16i8"
             : "";
}

StringRef lutra::wordDotName(int64_t lanes, TargetAttr target) {
  return x86Names(lanes, target).words;
}

/// Dots of integers on x86, or null.
static std::unique_ptr<Dot> createX86Dot(OpBuilder &b, mpgemm::MatmulOp op,
                                         int64_t lanes, TargetAttr target) {
  Location loc = op.getLoc();
  unsigned bits = op.getFormat().getNumberBits();
  X86Names names = x86Names(lanes, target);
  if (!names.pairs.empty() && ShortPairDot::supports(op))
    return std::make_unique<ShortPairDot>(b, loc, lanes, names.pairs,
                                          names.words, bits);
  // 2 * 127 * 127 fits 16 bits, 2 * 255 * 127 does not.
  if (!names.pairs.empty() && bits <= 7)
    return std::make_unique<PairDot>(b, loc, lanes, names.pairs, names.words);
  if (!names.words.empty())
    return std::make_unique<WordDot>(b, loc, lanes, names.words);
  return nullptr;
}

/// Dots of integers on AArch64, or null.
static std::unique_ptr<Dot> createNeonDot(OpBuilder &b, Location loc,
                                          unsigned bits, int64_t lanes,
                                          TargetAttr target) {
  if (lanes != 4)
    return nullptr;
  if (target.hasFeature("dotprod"))
    return std::make_unique<SignedDot>(b, loc, lanes, bits);
  return std::make_unique<SignedPairDot>(b, loc, lanes, bits);
}

std::unique_ptr<Dot> lutra::createDot(OpBuilder &b, mpgemm::MatmulOp op,
                                      int64_t lanes, TargetAttr target,
                                      Value table) {
  Location loc = op.getLoc();
  unsigned bits = op.getFormat().getNumberBits();
  if (op.hasTables())
    return createLookups(b, op, lanes, target);
  if (!op.isInteger())
    return createFloatDot(b, op, lanes, target, table);
  if (StringRef name = unsignedDotName(lanes, target); !name.empty())
    return std::make_unique<QuadDot>(b, loc, lanes, name);
  std::unique_ptr<Dot> dot;
  if (target)
    dot = isAArch64(target) ? createNeonDot(b, loc, bits, lanes, target)
                            : createX86Dot(b, op, lanes, target);
  return dot ? std::move(dot) : std::make_unique<PlainDot>(b, loc, lanes);
}
