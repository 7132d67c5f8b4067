//===- LutDialect.cpp - The lut dialect -----------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Lut/Lut.h"

#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::lutra::lut;

#include "dialects/Lut/LutDialect.cpp.inc"

#define GET_OP_CLASSES
#include "dialects/Lut/LutOps.cpp.inc"

void LutDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/Lut/LutOps.cpp.inc"
      >();
}

/// Codes of a key, of `values` values each; 0 where keys have no whole codes.
static int64_t codesOfKey(int64_t values) {
  switch (values) {
  case 2:
    return 4;
  case 4:
    return 2;
  case 16:
    return 1;
  default:
    return 0;
  }
}

int64_t BuildOp::codesOfKey() { return ::codesOfKey(getValues().size()); }

void BuildOp::build(OpBuilder &b, OperationState &state, Value x,
                    ArrayRef<float> values, int64_t depth) {
  auto type = cast<RankedTensorType>(x.getType());
  int64_t m = type.getDimSize(0), g = type.getDimSize(1),
          size = type.getDimSize(2), keys = ::codesOfKey(values.size());
  assert(keys > 0 && "2, 4 or 16 values");
  int64_t tables = ShapedType::isDynamic(size) ? size : size / (keys * depth);
  auto groups = RankedTensorType::get({m, g}, type.getElementType());
  build(b, state,
        RankedTensorType::get({m, g, tables, kEntries * depth}, b.getI8Type()),
        groups, groups, x, values, depth);
}

LogicalResult BuildOp::verify() {
  auto x = cast<ShapedType>(getX().getType());
  if (x.getRank() != 3 || !x.getElementType().isF32())
    return emitOpError("expects x of rank 3 and f32, got ") << x;
  if (codesOfKey() == 0)
    return emitOpError("expects 2, 4 or 16 values, got ") << getValues().size();
  int64_t depth = getDepth(), size = x.getDimSize(2);
  if (depth < 1 || depth > kEntries)
    return emitOpError("expects a depth of 1 to ")
           << kEntries << ", got " << depth;
  int64_t step = codesOfKey() * depth;
  if (ShapedType::isDynamic(size) || size % step != 0)
    return emitOpError("expects groups of known size, a multiple of ")
           << step << ", got " << x;
  ArrayRef<int64_t> groups = x.getShape().drop_back();
  int64_t tables[] = {groups[0], groups[1], size / step, kEntries * depth};
  auto isShaped = [](Value value, ArrayRef<int64_t> shape, bool isFloat) {
    auto type = cast<ShapedType>(value.getType());
    return succeeded(verifyCompatibleShape(type.getShape(), shape)) &&
           (isFloat ? type.getElementType().isF32()
                    : type.getElementType().isInteger(8));
  };
  if (!isShaped(getTables(), tables, false))
    return emitOpError("expects tables of bytes, ")
           << size / step << " of " << tables[3] << " for each group, got "
           << getTables().getType();
  for (Value of : {getScales(), getSums()})
    if (!isShaped(of, groups, true))
      return emitOpError("expects scales and sums in f32, one for each group, "
                         "got ")
             << of.getType();
  return success();
}
