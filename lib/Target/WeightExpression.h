//===- WeightExpression.h - One weight of an image --------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TARGET_WEIGHTEXPRESSION_H
#define LUTRA_LIB_TARGET_WEIGHTEXPRESSION_H

#include "WeightCast.h"
#include "WeightCodes.h"
#include "WeightDequantization.h"
#include "WeightView.h"
#include "lutra/Target/WeightImage.h"
#include "mlir/IR/BuiltinAttributes.h"

namespace mlir::lutra {

/// A weight expression, read and checked: where its bytes come from, how its
/// elements move, and through which types they go. Casts commute with movement
/// (they take 0 to 0, which is what pack adds), so they come last; so does
/// dequantization, whose scales move along. Codes are packed last of all.
class WeightExpression {
public:
  /// Reads {name, source, offset, size, encoding, storage, value, steps}, the
  /// attributes of a lutra.weight, whose value is of `type`.
  static llvm::Expected<WeightExpression>
  parse(DictionaryAttr weight, RankedTensorType type, Location loc);

  int64_t byteSize() const { return numElements * bytesOf(casts.back()); }
  /// The type of the value's elements.
  Scalar scalar() const { return casts.back(); }

  /// Writes the value in blocks.
  llvm::Error write(OpenSource open, llvm::raw_ostream &os);

private:
  explicit WeightExpression(WeightView view) : view(std::move(view)) {}

  llvm::Expected<StringRef> sourceBytes(OpenSource open,
                                        SmallVectorImpl<char> &decoded) const;
  llvm::Error error(const Twine &message) const;
  llvm::Error applyStep(Attribute step, RankedTensorType &type, Location loc);
  void evaluate(const WeightElements &elements, int64_t start, int64_t count,
                struct WeightBlock &block) const;
  int32_t sumOfRow(const WeightElements &source, int64_t row,
                   WeightBlock &block) const;
  void writeElements(StringRef bytes, llvm::raw_ostream &os) const;

  StringRef name, source;
  int64_t offset = 0, size = 0;
  bool isVarint = false;
  DenseElementsAttr value;
  RankedTensorType storage;
  int64_t numElements = 0;
  WeightView view;
  std::optional<WeightDequantization> dequantization;
  std::optional<CodeStream> codes;
  std::optional<PlanesWriter> planes;
  /// The elements of a row, where rows are added up.
  std::optional<int64_t> summed;
  /// The storage's element type, then that after each cast.
  SmallVector<Scalar, 2> casts;
};

/// The bytes of a dense tensor; nothing for an element type that memory does
/// not hold, or where the size overflows.
std::optional<int64_t> denseByteSize(RankedTensorType type);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TARGET_WEIGHTEXPRESSION_H
