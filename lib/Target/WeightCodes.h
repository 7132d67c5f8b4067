//===- WeightCodes.h - Low-bit codes of a weight ----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TARGET_WEIGHTCODES_H
#define LUTRA_LIB_TARGET_WEIGHTCODES_H

#include "dialects/Lutra/CodePlanes.h"
#include "dialects/Lutra/Lutra.h"

namespace mlir::lutra {

/// Codes of a few bits that follow each other in a file, as an unpack step
/// reads them.
class CodeStream {
public:
  explicit CodeStream(UnpackAttr step);

  /// Copies codes first, first + stride, .. to a byte each.
  void copy(const char *bytes, int64_t first, int64_t stride, int64_t count,
            char *out) const;

private:
  unsigned bits;
  /// Of the top bit, where it is inverted.
  unsigned flip;
  /// Codes after which unused bits come, and how many of these.
  int64_t codes, padding;
};

/// Codes [rows, columns] as a planes step packs them, written panel by panel.
class PlanesWriter {
public:
  /// The most codes that are read at once, a multiple of every chunk's.
  static constexpr int64_t kBlock = 4096;

  PlanesWriter(PlanesAttr step, RankedTensorType codes);

  /// Reads `count` codes from `start` on, all of one row; they are valid until
  /// the next call.
  using Read = function_ref<const char *(int64_t start, int64_t count)>;
  void write(Read read, llvm::raw_ostream &os) const;

private:
  CodePlanes planes;
  int64_t rows, columns;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_TARGET_WEIGHTCODES_H
