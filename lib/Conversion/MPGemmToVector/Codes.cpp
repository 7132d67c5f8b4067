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
  return std::gcd(planes.rows,
                  int64_t(llvm::bit_floor(uint64_t(vectorBits(target) / 32))));
}

CodeUnit lutra::unitOf(mpgemm::MatmulOp op) {
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

Value CodesOfChunk::quad(int64_t quad, int64_t part, bool withFields) {
  Value code;
  int64_t first = quad / planes.quadsPerChunk() * planes.vectorsPerChunk();
  quad %= planes.quadsPerChunk();
  for (CodePlane plane : planes.planes()) {
    int64_t perByte = plane.codesPerByte();
    Value field = load(first + quad / perByte, part);
    int64_t right = quad % perByte * plane.width - plane.shift;
    if (right > 0)
      field = arith::ShRUIOp::create(b, loc, field, splat(right));
    else if (right < 0)
      field = arith::ShLIOp::create(b, loc, field, splat(-right));
    uint32_t mask = ((1u << plane.width) - 1) << plane.shift;
    if (plane.width < 8 && !withFields)
      field = arith::AndIOp::create(b, loc, field, splat(mask * kEachByte));
    code = code ? arith::OrIOp::create(b, loc, code, field) : field;
    first += planes.quadsPerChunk() / perByte;
  }
  return asBytes(code);
}

Value CodesOfChunk::quadInPlace(int64_t quad, int64_t part) {
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

void CodesOfChunk::prefetch(int64_t distance) {
  constexpr int64_t kLine = 64;
  int64_t bytes = planes.vectorBytes(), vectors = planes.vectorsPerChunk(),
          ahead = llvm::divideCeil(distance, bytes * vectors);
  auto constant = [&](int64_t i) -> Value {
    return arith::ConstantIndexOp::create(b, loc, i);
  };
  Value later = arith::AddIOp::create(b, loc, chunk, constant(ahead));
  for (int64_t vector = 0; vector < vectors; ++vector)
    for (int64_t at = 0; at < bytes; at += kLine)
      memref::PrefetchOp::create(
          b, loc, codes,
          ValueRange{tile, later, constant(vector), constant(at)},
          /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
}
