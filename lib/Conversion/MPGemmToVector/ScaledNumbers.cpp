//===- ScaledNumbers.cpp - Codes as the numbers they stand for ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ScaledNumbers.h"

#include "lutra/Analysis/TargetFeatures.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::lutra;

int64_t ScaledNumbers::chunkOf(mpgemm::MatmulOp op) {
  return op.getPlanes().depth * unitOf(op).quads;
}

bool ScaledNumbers::supports(mpgemm::MatmulOp op) {
  mpgemm::FormatInterface format = op.getFormat();
  return !op.hasTables() && !op.isUnscaled() && format.getPlanes() == 1 &&
         format.getWindow() == format.getBits() &&
         op.getGroupSize() % chunkOf(op) == 0;
}

ScaledNumbers::ScaledNumbers(OpBuilder &b, mpgemm::MatmulOp op,
                             TargetAttr target, Value table)
    : IndexBuilder(b, op.getLoc()), op(op), planes(op.getPlanes()),
      lanesOfRegister(lanesOf(target, planes)),
      numParts(planes.rows / lanesOfRegister),
      dot(createFloatDot(b, op, lanesOfRegister, target, table)),
      groupSums(b, op, lanesOfRegister, numParts) {
  if (NumberDecoder::isNeeded(op.getFormat()) && !dot->takesCodes())
    decoder.emplace(b, op, lanesOfRegister);
}

void ScaledNumbers::decode(
    Value tile, int64_t firstPart, int64_t parts, Value first, Value count,
    function_ref<void(Value, int64_t, ArrayRef<Value>)> store) {
  CodeUnit unit = unitOf(op);
  int64_t size = chunkOf(op), ofGroup = op.getGroupSize() / size;
  loop(constant(0), count, 1, [&](Value i) {
    Value chunk = add(first, i);
    groupSums.enter(tile,
                    arith::DivUIOp::create(b, loc, chunk, constant(ofGroup)));
    groupSums.loadScales();
    CodesOfChunk codes(b, loc, planes, lanesOfRegister, op.getCodes(), tile,
                       times(chunk, unit.chunks));
    for (int64_t quad = 0; quad < unit.quads; ++quad)
      for (int64_t part = firstPart; part < firstPart + parts; ++part) {
        // Where x is integers, what is no integer of an offset counts as one.
        Value bytes, zero = op.getZeros() ? groupSums.zero(part) : Value();
        if (decoder)
          bytes = decoder->decode(codes, quad, part, {});
        SmallVector<Value> numbers;
        for (unsigned step = 0; step < dot->steps(); ++step) {
          Value number = bytes
                             ? dot->codes(bytes, step, zero)
                             : dot->codesOfQuad(codes, quad, part, step, zero);
          numbers.push_back(
              arith::MulFOp::create(b, loc, number, groupSums.scale(part)));
        }
        store(plus(times(i, size), quad * planes.depth), part - firstPart,
              numbers);
      }
  });
}
