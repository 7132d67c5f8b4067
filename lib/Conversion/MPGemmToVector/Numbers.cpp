//===- Numbers.cpp - Bytes that codes stand for ---------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Codes of up to four bits are looked up in a register. Those of a trellis are
// first part of windows: a byte of a register belongs to one of the four
// sequences of a row, so that windows go on byte by byte, without a
// permutation. The highest eight bits of a window are in a byte; the lowest
// four are among those of an earlier one.
//
//===----------------------------------------------------------------------===//

#include "Numbers.h"

#include "dialects/Lut/Lut.h"
#include "dialects/Lutra/TrellisCode.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::lutra;

static constexpr uint32_t kEachByte = 0x01010101u;
static constexpr uint8_t kNibble = 0x0f;

/// `value` in each lane.
Value NumberDecoder::splat(uint32_t value) {
  auto type = VectorType::get({lanes}, b.getI32Type());
  return arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(type, b.getI32IntegerAttr(value)));
}

Value NumberDecoder::asLanes(Value bytes) {
  return vector::BitCastOp::create(
      b, loc, VectorType::get({lanes}, b.getI32Type()), bytes);
}

/// Bytes shifted, as far as `mask` has them.
Value NumberDecoder::shiftRight(Value lanes, unsigned by, uint8_t mask) {
  if (by > 0)
    lanes = arith::ShRUIOp::create(b, loc, lanes, splat(by));
  return arith::AndIOp::create(b, loc, lanes, splat(mask * kEachByte));
}

Value NumberDecoder::lookUp(Value nibbles, ArrayRef<uint8_t> entries) {
  auto bytes = VectorType::get({4 * lanes}, b.getI8Type()),
       table = VectorType::get({int64_t(entries.size())}, b.getI8Type());
  Value keys = vector::BitCastOp::create(b, loc, bytes, nibbles),
        constant = arith::ConstantOp::create(
            b, loc, DenseElementsAttr::get(table, entries));
  return lut::LookupOp::create(b, loc, bytes, keys, constant);
}

SmallVector<Value> NumberDecoder::start() {
  constexpr unsigned kWindows = 2;
  if (!isa<mpgemm::TrellisAttr>(format))
    return {};
  return SmallVector<Value>(kWindows, splat(0));
}

Value NumberDecoder::decodeTrellis(Value codes,
                                   MutableArrayRef<Value> history) {
  unsigned bits = format.getBits();
  const TrellisCode &code = *findTrellisCode(bits);
  // The bits below the highest eight were `age` windows before `shift` above
  // the lowest.
  unsigned age = llvm::divideCeil(4, bits), shift = age * bits - 4;
  Value low = shiftRight(history[age - 1], shift, kNibble);
  Value window = arith::OrIOp::create(
      b, loc, shiftRight(history[0], bits, 0xff >> bits),
      arith::ShLIOp::create(b, loc, asLanes(codes), splat(8 - bits)));
  history[1] = history[0];
  history[0] = window;

  // Sums of two tables are in bytes with the offset in the first.
  std::array<uint8_t, 16> first, second;
  for (unsigned i = 0; i < 16; ++i) {
    first[i] = uint8_t(code.first[i] + TrellisCode::kOffset);
    second[i] = uint8_t(code.second[i]);
  }
  auto mixed = [&](Value nibble, ArrayRef<uint8_t> mix) -> Value {
    return arith::XOrIOp::create(b, loc, nibble, asLanes(lookUp(low, mix)));
  };
  Value high = mixed(shiftRight(window, 4, kNibble), code.mixFirst),
        middle = mixed(shiftRight(window, 0, kNibble), code.mixSecond);
  return arith::AddIOp::create(b, loc, lookUp(high, first),
                               lookUp(middle, second));
}

/// The sum of what each book has for the codes of a block.
Value NumberDecoder::decodeVectors(mpgemm::VectorsAttr vectors,
                                   CodesOfChunk &codes, int64_t quad,
                                   int64_t part) {
  int64_t size = vectors.getSize(), books = vectors.getBooks();
  auto bytes = VectorType::get({4 * lanes}, b.getI8Type()),
       entries = VectorType::get({vectors.getLevels()}, b.getI8Type());
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(b, loc, value);
  };
  Value sum;
  for (int64_t book = 0; book < books; ++book) {
    Value keys = codes.quad(quad / size * books + book, part),
          table = vector::LoadOp::create(
              b, loc, entries, codebook,
              ValueRange{constant(book), constant(quad % size), constant(0)}),
          added = lut::LookupOp::create(b, loc, bytes, keys, table);
    sum = sum ? arith::AddIOp::create(b, loc, sum, added).getResult() : added;
  }
  return sum;
}

Value NumberDecoder::decode(CodesOfChunk &chunk, int64_t quad, int64_t part,
                            MutableArrayRef<Value> history) {
  if (auto vectors = dyn_cast<mpgemm::VectorsAttr>(format))
    return decodeVectors(vectors, chunk, quad, part);
  Value codes = chunk.quad(quad, part);
  if (isa<mpgemm::TrellisAttr>(format))
    return decodeTrellis(codes, history);
  std::array<uint8_t, 16> entries = {};
  for (unsigned code = 0; code < 1u << format.getBits(); ++code)
    entries[code] = uint8_t(int(format.decode(code) + *format.getOffset()));
  return lookUp(codes, entries);
}
