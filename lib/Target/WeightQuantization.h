//===- WeightQuantization.h - A weight as codes and scales ------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TARGET_WEIGHTQUANTIZATION_H
#define LUTRA_LIB_TARGET_WEIGHTQUANTIZATION_H

#include "GroupQuantizer.h"
#include "InputMoments.h"
#include "RowQuantizer.h"
#include "dialects/Lutra/Lutra.h"
#include "lutra/Target/WeightError.h"
#include "lutra/Target/WeightImage.h"
#include "llvm/ADT/DenseMap.h"
#include <memory>
#include <optional>

namespace mlir::lutra {

class ErrorCompensation;
class WeightExpression;

/// A matrix [N, K] whose rows are quantized in groups. The parameters of all
/// groups are kept, and the codes of a panel of rows.
class WeightQuantization {
public:
  /// `operand` is the matrix, of which `step` is made.
  static llvm::Expected<std::shared_ptr<WeightQuantization>>
  parse(QuantizeAttr step, RankedTensorType type, WeightExpression operand,
        Location loc);
  ~WeightQuantization();

  /// Fits the parameters of all groups; does nothing the second time. The error
  /// says which weight is not finite.
  llvm::Error load(OpenSource open);

  /// The largest magnitude and the sum of squares of each column, of weights as
  /// they are; needs no load() before.
  llvm::Error measureColumns(OpenSource open, std::vector<float> &largest,
                             std::vector<float> &squares);

  /// Copies codes first, first + stride, .. of [N, G, group] to a byte each.
  void copy(int64_t first, int64_t stride, int64_t count, char *out);
  /// All scales, super-scales, zero points, sums of rows or columns that stay
  /// in f32, as the step has them.
  void appendPart(StringRef part, SmallVectorImpl<char> &out);

  /// To be called after load().
  QuantizationError measure();
  /// The squared error of each row, of which columns count by their moments; to
  /// be called after load().
  std::vector<double> measureRows();

private:
  WeightQuantization(QuantizeAttr step, RankedTensorType type,
                     WeightExpression operand);
  int64_t rowsOfPanel() const;
  void createRowQuantizer();
  int64_t ownGroups() const;
  ArrayRef<float> weightsOf(int64_t row) const;
  ArrayRef<float> groupOf(int64_t row, int64_t group) const;
  MutableArrayRef<GroupParameters> parametersOf(int64_t row, int64_t count = 1);
  ArrayRef<float> importanceOf(int64_t group) const;
  void readPanel(int64_t row);
  void scalePanel();
  llvm::Error checkPanel() const;
  llvm::Error forEachPanel(function_ref<void()> work);
  void encodePanel(int64_t row);
  void
  forEachBlock(int64_t row,
               function_ref<void(int64_t, MutableArrayRef<GroupParameters>)>);
  llvm::Error chooseSuperScales();
  void roundScales(int64_t row);
  void compensatePanel(const ErrorCompensation &compensation);
  llvm::Error loadMoments(OpenSource open);
  void appendScale(GroupParameters group, SmallVectorImpl<char> &out) const;
  void appendRest(SmallVectorImpl<char> &out);
  void appendSums(SmallVectorImpl<char> &out);
  void decodeRow(int64_t row, MutableArrayRef<float> weights);
  void makeErrors();

  /// Has the threads.
  MLIRContext *context;
  const WeightFormat &format;
  bool leastSquares, compensates;
  /// Where rows are in the operand, unless they are all of it.
  std::vector<int64_t> places;
  /// Of columns, or none.
  std::vector<float> factors;
  /// Columns with a negative factor.
  std::vector<int64_t> repeated;
  /// `size` is weights of a group, `width` codes of a row, and `panelColumns`
  /// weights of a row as it is quantized, with repeated columns once.
  int64_t rows, columns, size, groups, width, superBlock, panelRows,
      panelColumns;
  std::unique_ptr<WeightExpression> operand, momentsOperand;
  std::optional<InputMoments> moments;
  /// Of columns, or none.
  std::vector<float> importance;
  std::optional<GroupQuantizer> quantizer;
  /// In its place, where a group is not quantized by itself.
  std::unique_ptr<RowQuantizer> rowQuantizer;
  /// Those of groups, or of their planes.
  std::vector<GroupParameters> parameters;
  /// Panels that start with these rows, as numbers and as codes.
  int64_t panelStart = -1, encodedStart = -1;
  std::vector<float> numbers;
  std::vector<uint8_t> codes;
  /// Of all rows, where codes are not chosen each for itself.
  std::vector<uint8_t> compensated;
};

/// Quantized matrices by their expressions, so that codes, scales and zero
/// points of one are fitted once.
using SharedQuantizations =
    llvm::DenseMap<Attribute, std::shared_ptr<WeightQuantization>>;

} // namespace mlir::lutra

#endif // LUTRA_LIB_TARGET_WEIGHTQUANTIZATION_H
