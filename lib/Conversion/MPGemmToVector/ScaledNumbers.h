//===- ScaledNumbers.h - Codes as the numbers they stand for ----*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_SCALEDNUMBERS_H
#define LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_SCALEDNUMBERS_H

#include "Codes.h"
#include "Dots.h"
#include "IndexBuilder.h"
#include "Numbers.h"
#include "Sums.h"

namespace mlir::lutra {

/// Makes numbers, in f32 and scaled, of the codes of a tile of columns, in
/// registers of `lanes` columns.
class ScaledNumbers : IndexBuilder {
public:
  /// Whether groups are whole chunks of codes that do not depend on those
  /// before them.
  static bool supports(mpgemm::MatmulOp op);
  /// Codes of a column that are decoded together, which groups have several of.
  static int64_t chunkOf(mpgemm::MatmulOp op);
  /// `op` must be supported. `table` has a codebook's values.
  ScaledNumbers(OpBuilder &b, mpgemm::MatmulOp op, TargetAttr target,
                Value table);

  int64_t lanes() const { return lanesOfRegister; }
  /// Registers beside each other.
  int64_t parts() const { return numParts; }
  /// Decodes `count` chunks from chunk `first` on of `parts` registers of tile
  /// `tile` from `firstPart` on. `store` gets the numbers of four codes of each
  /// of these, [4], and where the first of them is from the first chunk on.
  void
  decode(Value tile, int64_t firstPart, int64_t parts, Value first, Value count,
         function_ref<void(Value code, int64_t part, ArrayRef<Value>)> store);

private:
  mpgemm::MatmulOp op;
  CodePlanes planes;
  int64_t lanesOfRegister, numParts;
  std::unique_ptr<Dot> dot;
  /// Where codes are not numbers of the dot.
  std::optional<NumberDecoder> decoder;
  GroupSums groupSums;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_SCALEDNUMBERS_H
