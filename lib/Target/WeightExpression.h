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
#include "WeightQuantization.h"
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
  /// Expressions that `shared` is given to fit a quantized matrix once.
  static llvm::Expected<WeightExpression>
  parse(DictionaryAttr weight, RankedTensorType type, Location loc,
        SharedQuantizations *shared = nullptr);
  /// The matrix that such a weight quantizes.
  static llvm::Expected<std::shared_ptr<WeightQuantization>>
  parseQuantization(DictionaryAttr weight, Location loc);

  StringRef getName() const { return name; }
  int64_t byteSize() const { return numElements * bytesOf(casts.back()); }
  /// The type of the value's elements.
  Scalar scalar() const { return casts.back(); }

  /// Writes the value in blocks.
  llvm::Error write(OpenSource open, llvm::raw_ostream &os);

  /// Makes ready to read; the bytes of sources must stay where they are.
  llvm::Error load(OpenSource open);
  void unload();
  /// Copies elements [start, start + count) of the value; not where codes are
  /// packed or rows are added up.
  void read(int64_t start, int64_t count, char *out) const;

private:
  explicit WeightExpression(WeightView view) : view(std::move(view)) {}

  llvm::Expected<StringRef> sourceBytes(OpenSource open);
  llvm::Error error(const Twine &message) const;
  llvm::Error applyStep(Attribute step, RankedTensorType &type, Location loc);
  llvm::Error quantize(DictionaryAttr weight, unsigned at,
                       RankedTensorType operand, RankedTensorType type,
                       Location loc, SharedQuantizations *shared);
  void evaluate(int64_t start, int64_t count, struct WeightBlock &block) const;
  int32_t sumOfRow(int64_t row, WeightBlock &block) const;
  void writeElements(llvm::raw_ostream &os) const;

  StringRef name, source;
  int64_t offset = 0, size = 0;
  bool isVarint = false;
  DenseElementsAttr value;
  RankedTensorType storage;
  int64_t numElements = 0;
  WeightView view;
  std::optional<WeightDequantization> dequantization;
  /// What all before is the matrix of, and which part of it the rest reads.
  std::shared_ptr<WeightQuantization> quantization;
  StringRef part;
  std::optional<CodeStream> codes;
  std::optional<PlanesWriter> planes;
  /// The elements of a row, where rows are added up.
  std::optional<int64_t> summed;
  /// The storage's element type, then that after each cast.
  SmallVector<Scalar, 2> casts;
  /// While the value is read: what it is made of, and the bytes of that where
  /// no file has them.
  WeightElements elements = {};
  SmallVector<char, 0> decoded;
};

/// The bytes of a dense tensor; nothing for an element type that memory does
/// not hold, or where the size overflows.
std::optional<int64_t> denseByteSize(RankedTensorType type);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TARGET_WEIGHTEXPRESSION_H
