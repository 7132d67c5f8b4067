//===- WeightView.h - Rearranged elements of an array -----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TARGET_WEIGHTVIEW_H
#define LUTRA_LIB_TARGET_WEIGHTVIEW_H

#include "WeightCodes.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include <optional>

namespace mlir::lutra {

class WeightQuantization;

/// An array as a file has it: elements of 1, 2, 4 or 8 bytes, or codes, which
/// are read as a byte each. Or codes that are made when they are read.
struct WeightElements {
  const char *bytes;
  unsigned elementBytes;
  std::optional<CodeStream> codes = std::nullopt;
  WeightQuantization *quantized = nullptr;

  /// Copies elements first, first + stride, .. to `out`.
  void copy(int64_t first, int64_t stride, int64_t count, char *out) const;
};

/// A dense array seen through transposes, packs, reversals and reshapes. Steps
/// compose into one strided view as long as a view can express them, so that
/// any block of the result can be gathered without the tensors in between.
/// Sizes must have been checked: no product of them overflows.
class WeightView {
public:
  explicit WeightView(ArrayRef<int64_t> shape);
  /// An array of other strides, of which 0 repeats elements.
  WeightView(ArrayRef<int64_t> shape, ArrayRef<int64_t> strides);

  void transpose(ArrayRef<int64_t> permutation);
  void pack(int64_t dim, int64_t tile, int64_t outer);
  void reshape(ArrayRef<int64_t> shape);
  void reverse(int64_t dim);

  /// To be called after the last step: joins dimensions for longer runs.
  void finish();

  /// Whether the result is the array itself, in order.
  bool isIdentity() const;

  /// Copies elements [start, start + count) of the result, in row-major order,
  /// to `out`; positions that pack added become zero.
  void gather(const WeightElements &source, int64_t start, int64_t count,
              char *out) const;

private:
  /// A number that depends on an index: the sum of index[i] * factors[i].
  using Linear = SmallVector<int64_t, 6>;
  /// Indices where `form` reaches `limit` lie outside of the array.
  struct Bound {
    Linear form;
    int64_t limit;
  };
  struct Level {
    SmallVector<int64_t, 6> sizes;
    Linear strides;
    /// The place of the first element, where strides may be negative.
    int64_t offset = 0;
    SmallVector<Bound, 2> bounds;

    /// All linear forms: the strides and those of the bounds.
    template <typename Fn>
    void forEachForm(Fn fn) {
      fn(strides);
      for (Bound &bound : bounds)
        fn(bound.form);
    }
    bool canMerge(unsigned outer, unsigned inner) const;
    bool tryReshape(ArrayRef<int64_t> shape);
    void dropUnitDims();
  };

  static Level dense(ArrayRef<int64_t> shape);
  /// The position in the array of element `position` of level `level`'s result,
  /// or -1 outside.
  int64_t resolve(size_t level, int64_t position) const;
  void gatherRow(const WeightElements &source, ArrayRef<int64_t> index,
                 int64_t count, char *out) const;
  int64_t gatherTiles(const WeightElements &source, ArrayRef<int64_t> index,
                      int64_t rows, char *out) const;

  /// Views of views: each level sees the one before it as a dense array. More
  /// than one only where a reshape does not fit the strides.
  SmallVector<Level, 1> levels;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_TARGET_WEIGHTVIEW_H
