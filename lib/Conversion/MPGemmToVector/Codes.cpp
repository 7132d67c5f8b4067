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

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::lutra;

Value CodesOfChunk::load(int64_t vector, int64_t part) {
  Value &value = loaded[{vector, part}];
  if (value)
    return value;
  auto constant = [&](int64_t i) -> Value {
    return arith::ConstantIndexOp::create(b, loc, i);
  };
  Value bytes = vector::LoadOp::create(
      b, loc, VectorType::get({4 * lanes}, b.getI8Type()), codes,
      ValueRange{tile, chunk, constant(vector), constant(4 * part * lanes)});
  return value = vector::BitCastOp::create(
             b, loc, VectorType::get({lanes}, b.getI32Type()), bytes);
}

Value CodesOfChunk::quad(int64_t quad, int64_t part) {
  auto type = VectorType::get({lanes}, b.getI32Type());
  auto splat = [&](uint32_t value) -> Value {
    return arith::ConstantOp::create(
        b, loc, DenseElementsAttr::get(type, b.getI32IntegerAttr(value)));
  };
  Value code;
  int64_t first = 0;
  for (CodePlane plane : planes.planes()) {
    int64_t perByte = plane.codesPerByte();
    Value field = load(first + quad / perByte, part);
    int64_t right = quad % perByte * plane.width - plane.shift;
    if (right > 0)
      field = arith::ShRUIOp::create(b, loc, field, splat(right));
    else if (right < 0)
      field = arith::ShLIOp::create(b, loc, field, splat(-right));
    uint32_t mask = ((1u << plane.width) - 1) << plane.shift;
    if (plane.width < 8)
      field = arith::AndIOp::create(b, loc, field, splat(mask * 0x01010101u));
    code = code ? arith::OrIOp::create(b, loc, code, field) : field;
    first += planes.quadsPerChunk() / perByte;
  }
  return vector::BitCastOp::create(
      b, loc, VectorType::get({4 * lanes}, b.getI8Type()), code);
}
