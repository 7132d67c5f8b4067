//===- TrellisCode.h - Numbers of windows of codes --------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_LUTRA_TRELLISCODE_H
#define LUTRA_DIALECTS_LUTRA_TRELLISCODE_H

#include <array>
#include <cstdint>

namespace mlir::lutra {

/// What numbers the windows of a sequence of codes stand for. A window is
/// kWindow bits: the last code in the highest, the one before it below. So each
/// code says which of 2^bits numbers follows, of a choice that depends on the
/// codes before it (trellis-coded quantization: Marcellin and Fischer, 1990;
/// with windows, QTIP: Tseng et al., 2024).
///
/// Numbers are computed from the quarters of a byte, which machines look up in
/// registers: of a window with the nibbles high, middle and low,
///
///   first[high ^ mixFirst[low]] + second[middle ^ mixSecond[low]]
struct TrellisCode {
  static constexpr unsigned kWindow = 12;
  /// Numbers are in [-kOffset, 255 - kOffset].
  static constexpr int kOffset = 128;

  /// What normally distributed numbers of variance 1 are multiplied with.
  float deviation;
  std::array<uint8_t, 16> mixFirst, mixSecond;
  std::array<int8_t, 16> first, second;

  int number(unsigned window) const {
    unsigned low = window & 15, middle = window >> 4 & 15, high = window >> 8;
    return first[high ^ mixFirst[low]] + second[middle ^ mixSecond[low]];
  }
};

/// The code for trellises of `bits` bits, 2 to 4, or null.
const TrellisCode *findTrellisCode(unsigned bits);

} // namespace mlir::lutra

#endif // LUTRA_DIALECTS_LUTRA_TRELLISCODE_H
