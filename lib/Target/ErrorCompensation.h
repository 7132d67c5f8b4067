//===- ErrorCompensation.h - Weights that make up for others ----*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TARGET_ERRORCOMPENSATION_H
#define LUTRA_LIB_TARGET_ERRORCOMPENSATION_H

#include "GroupQuantizer.h"
#include "mlir/IR/MLIRContext.h"

namespace mlir::lutra {

/// Quantizes rows a weight at a time, each with what the errors of those before
/// it are best made up for with: GPTQ (Frantar et al., 2022).
class ErrorCompensation {
public:
  /// `moments` are the sums of products of any two of `columns` inputs, and a
  /// hundredth of their mean square is added to each square. Takes as much
  /// memory as they do, and columns^3 / 3 multiplications.
  ErrorCompensation(MLIRContext *context, std::vector<float> moments,
                    int64_t columns);

  /// Quantizes rows of weights in groups of `size`, whose parameters, all but
  /// super-scales, are fitted when their turn comes. `codes` have `codesOfRow`
  /// for each row.
  void quantize(const GroupQuantizer &quantizer, ArrayRef<float> weights,
                int64_t size, MutableArrayRef<GroupParameters> parameters,
                uint8_t *codes, int64_t codesOfRow) const;

private:
  struct Rows;

  void factorize(MLIRContext *context);
  void subtract(MLIRContext *context, int64_t first, int64_t last,
                ArrayRef<float> block);
  void feed(Rows &rows, int64_t from, int64_t to, int64_t begin,
            int64_t end) const;
  std::vector<float> ideal(const Rows &rows, int64_t row, int64_t begin,
                           int64_t end) const;
  void encode(const GroupQuantizer &quantizer, Rows &rows, int64_t begin,
              int64_t end) const;

  int64_t columns;
  /// At first the moments, H; then the part above the diagonal of a matrix U
  /// with ones on it, H = U D U^T.
  std::vector<float> matrix;
  /// D, on average 1: how much errors of each column count, once later columns
  /// have made up for them as well as they can.
  std::vector<float> importance;
  float least;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_TARGET_ERRORCOMPENSATION_H
