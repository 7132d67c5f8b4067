//===- RowQuantizer.h - Weights of a row as codes ---------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TARGET_ROWQUANTIZER_H
#define LUTRA_LIB_TARGET_ROWQUANTIZER_H

#include "GroupQuantizer.h"
#include <memory>

namespace mlir::lutra {

/// Chooses scales and codes for rows of finite weights, in formats in which a
/// group has several scales or codes depend on each other. The same weights
/// give the same result on every machine.
class RowQuantizer {
public:
  virtual ~RowQuantizer() = default;

  /// Chooses the scales of a row, [groups * planes].
  virtual void fit(ArrayRef<float> weights,
                   MutableArrayRef<GroupParameters> parameters) const = 0;
  /// Gives each weight its codes, [groups * planes, size]; those behind the
  /// last weight stay.
  virtual void encode(ArrayRef<float> weights,
                      ArrayRef<GroupParameters> parameters,
                      uint8_t *codes) const = 0;
  /// The weights that codes stand for.
  virtual void decode(const uint8_t *codes,
                      ArrayRef<GroupParameters> parameters,
                      MutableArrayRef<float> weights) const = 0;
};

/// Weights as sums of signed scales (BinaryQuantizer.cpp).
std::unique_ptr<RowQuantizer>
createBinaryQuantizer(unsigned planes, int64_t size, bool leastSquares);
/// Weights as a path through a trellis (TrellisQuantizer.cpp).
std::unique_ptr<RowQuantizer>
createTrellisQuantizer(unsigned bits, int64_t size, bool leastSquares);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TARGET_ROWQUANTIZER_H
