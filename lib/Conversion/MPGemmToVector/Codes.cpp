//===- Codes.cpp - Codes taken out of bit planes --------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A field is shifted to where its bits belong in the code and masked. Shifts
// are of 32-bit lanes, since few machines shift bytes; masks keep what crosses
// from one byte into the next out.
//
//===----------------------------------------------------------------------===//

#include "Codes.h"

#include "lutra/Analysis/Caches.h"
#include "lutra/Analysis/TargetFeatures.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <numeric>

using namespace mlir;
using namespace mlir::lutra;

int64_t lutra::lanesOf(TargetAttr target, const CodePlanes &planes) {
  if (planes.depth == 1)
    return std::max<int64_t>(1, planes.rows / 4);
  return std::gcd(planes.rowsShareBytes ? planes.quarter() : planes.rows,
                  int64_t(llvm::bit_floor(uint64_t(vectorBits(target) / 32))));
}

CodeUnit lutra::unitOf(mpgemm::MatmulOp op) {
  constexpr int64_t kMostQuads = 4;
  if (op.getPlanes().rowsShareBytes) {
    int64_t together = std::gcd(op.getGroupSize() / 4, kMostQuads);
    return {together, together};
  }
  int64_t quads = op.getPlanes().quadsPerChunk(), books = 1;
  mpgemm::FormatInterface format = op.getFormat();
  if (auto vectors = dyn_cast<mpgemm::VectorsAttr>(format))
    books = vectors.getBooks();
  int64_t chunks = llvm::divideCeil(books, quads);
  return {chunks, chunks * quads * format.getSpan()};
}

/// Register `part` of vector `vector` from the chunk on.
Value CodesOfChunk::load(int64_t vector, int64_t part) {
  Value &value = loaded[{vector, part}];
  if (value)
    return value;
  auto constant = [&](int64_t i) -> Value {
    return arith::ConstantIndexOp::create(b, loc, i);
  };
  int64_t ahead = vector / planes.vectorsPerChunk();
  Value at = chunk;
  if (ahead > 0)
    at = arith::AddIOp::create(b, loc, chunk, constant(ahead),
                               arith::IntegerOverflowFlags::nsw);
  Value bytes = vector::LoadOp::create(
      b, loc, VectorType::get({4 * lanes}, b.getI8Type()), codes,
      ValueRange{tile, at, constant(vector % planes.vectorsPerChunk()),
                 constant(4 * part * lanes)});
  return value = vector::BitCastOp::create(
             b, loc, VectorType::get({lanes}, b.getI32Type()), bytes);
}

/// `value` in each lane.
Value CodesOfChunk::splat(uint32_t value) {
  auto type = VectorType::get({lanes}, b.getI32Type());
  return arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(type, b.getI32IntegerAttr(value)));
}

Value CodesOfChunk::asBytes(Value vector) {
  return vector::BitCastOp::create(
      b, loc, VectorType::get({4 * lanes}, b.getI8Type()), vector);
}

/// A mask in each byte of a lane.
static constexpr uint32_t kEachByte = 0x01010101u;

std::pair<int64_t, int64_t> CodesOfChunk::placeOf(int64_t part) const {
  int64_t ofQuarter = planes.quarter() / lanes, quarter = part / ofQuarter,
          fields = planes.rowsOfByte();
  return {quarter / fields * ofQuarter + part % ofQuarter, quarter % fields};
}

Value CodesOfChunk::shiftRight(Value lanes, int64_t by) {
  if (by > 0)
    return arith::ShRUIOp::create(b, loc, lanes, splat(by));
  if (by < 0)
    return arith::ShLIOp::create(b, loc, lanes, splat(-by));
  return lanes;
}

Value CodesOfChunk::quad(int64_t quad, int64_t part) {
  if (planes.rowsShareBytes) {
    auto [at, number] = placeOf(part);
    uint32_t mask = (1u << planes.bits) - 1;
    return asBytes(arith::AndIOp::create(
        b, loc, shiftRight(load(quad, at), number * planes.bits),
        splat(mask * kEachByte)));
  }
  Value code;
  int64_t first = quad / planes.quadsPerChunk() * planes.vectorsPerChunk();
  quad %= planes.quadsPerChunk();
  for (CodePlane plane : planes.planes()) {
    int64_t perByte = plane.codesPerByte();
    Value field = shiftRight(load(first + quad / perByte, part),
                             quad % perByte * plane.width - plane.shift);
    uint32_t mask = ((1u << plane.width) - 1) << plane.shift;
    if (plane.width < 8)
      field = arith::AndIOp::create(b, loc, field, splat(mask * kEachByte));
    code = code ? arith::OrIOp::create(b, loc, code, field) : field;
    first += planes.quadsPerChunk() / perByte;
  }
  return asBytes(code);
}

std::pair<Value, int64_t> CodesOfChunk::quadInHalf(int64_t quad, int64_t part) {
  int64_t ofHalf = 4 / planes.bits, ofByte = 2 * ofHalf, vector = quad,
          at = part, number;
  if (planes.rowsShareBytes) {
    std::tie(at, number) = placeOf(part);
  } else {
    vector = quad / ofByte;
    number = quad % ofByte;
  }
  return {asBytes(shiftRight(load(vector, at), number / ofHalf * 4)),
          number % ofHalf};
}

Value CodesOfChunk::quadInPlace(int64_t quad, int64_t part) {
  if (planes.rowsShareBytes) {
    auto [at, number] = placeOf(part);
    Value codes = load(quad, at);
    uint32_t mask = (1u << (number + 1) * planes.bits) - 1;
    if (mask < 0xff)
      codes = arith::AndIOp::create(b, loc, codes, splat(mask * kEachByte));
    return asBytes(codes);
  }
  CodePlane plane = planes.planes().front();
  uint32_t mask = ((1u << plane.width) - 1) << quad * plane.width;
  return asBytes(
      arith::AndIOp::create(b, loc, load(0, part), splat(mask * kEachByte)));
}

Value CodesOfChunk::key(int64_t key, int64_t part) {
  Value bytes = load(key / 2, part);
  if (key % 2 != 0)
    bytes = arith::ShRUIOp::create(b, loc, bytes, splat(4));
  return asBytes(arith::AndIOp::create(b, loc, bytes, splat(0x0f * kEachByte)));
}

void CodesOfChunk::prefetch(int64_t distance, int64_t behind) {
  int64_t bytes = planes.vectorBytes(), vectors = planes.vectorsPerChunk(),
          ahead = llvm::divideCeil(distance, bytes * vectors);
  auto constant = [&](int64_t i) -> Value {
    return arith::ConstantIndexOp::create(b, loc, i);
  };
  Value later = arith::AddIOp::create(b, loc, chunk, constant(ahead + behind));
  for (int64_t vector = 0; vector < vectors; ++vector)
    for (int64_t at = 0; at < bytes; at += kCacheLine)
      memref::PrefetchOp::create(
          b, loc, codes,
          ValueRange{tile, later, constant(vector), constant(at)},
          /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
}
