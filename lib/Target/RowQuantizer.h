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

namespace mlir {
class MLIRContext;
} // namespace mlir

namespace mlir::lutra {

/// Chooses scales and codes for rows of finite weights, in formats in which a
/// group has several scales or codes depend on each other. The same weights
/// give the same result on every machine.
class RowQuantizer {
public:
  virtual ~RowQuantizer() = default;

  /// Whether it is to see all rows, in order, and to learn, before it is asked
  /// for anything.
  virtual bool learns() const { return false; }
  virtual void see(ArrayRef<float> weights) {}
  virtual void learn(MLIRContext *context) {}
  /// What it has learned, in bytes.
  virtual void appendCodebook(SmallVectorImpl<char> &out) const {}

  /// Chooses the scales of a row, [groups * planes].
  virtual void fit(ArrayRef<float> weights,
                   MutableArrayRef<GroupParameters> parameters) const = 0;
  /// Gives weights their codes, [groups * planes, codes of a group]; those
  /// behind the last weight stay.
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
/// Weights of a matrix [rows, columns] as sums of vectors of codebooks
/// (VectorQuantizer.cpp). Squared errors count as much as `importance` says of
/// each column, where it is given.
std::unique_ptr<RowQuantizer>
createVectorQuantizer(const WeightFormat &format, int64_t group,
                      bool leastSquares, int64_t rows, int64_t columns,
                      ArrayRef<float> importance);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TARGET_ROWQUANTIZER_H
