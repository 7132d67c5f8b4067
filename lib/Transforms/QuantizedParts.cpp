//===- QuantizedParts.cpp - Formats of a product's outputs ----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A weight has one format, or bits between those of two where some outputs have
// the one and some the other. These are two products, and the outputs of both
// are put back in order where they are read next.
//
//===----------------------------------------------------------------------===//

#include "QuantizedParts.h"

#include "dialects/Lutra/WeightSteps.h"
#include "dialects/MPGemm/MPGemm.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

/// The columns of matrices that kernels compute at once, at most.
static constexpr int64_t kMostOutputs = 64;

/// Blocks of equally many of `groups`, as far as that goes, and as many blocks
/// as if they had `most` each; 0 for none.
static int64_t evenBlock(int64_t groups, int64_t most) {
  return most == 0 || groups == 0
             ? 0
             : llvm::divideCeil(groups, llvm::divideCeil(groups, most));
}

QuantizedPart lutra::partOf(QuantizationTask &task, const WeightFormat &format,
                            DenseElementsAttr rows, int64_t group) {
  const QuantizedLayer &layer = *task.layer;
  WeightProduct &product = task.product;
  int64_t columns = product.weights(product.k);
  QuantizedPart part = {&format, rows, format.groupOf(group, columns)};
  part.integers = task.rule->integers &&
                  mpgemm::fitsAccumulator(format.numberBits(), part.group);
  MLIRContext *context = product.op.getContext();
  int64_t ofRow = numGroups(layer.step(context, part, kCodes), columns);
  part.superBlock = evenBlock(ofRow * format.planes(),
                              task.rule->superBlock * format.planes() /
                                  std::max<int64_t>(1, part.group));
  SmallVector<Attribute> steps(product.weight().getSteps().getValue());
  llvm::append_range(steps, product.matrixSteps());
  steps.push_back(layer.step(context, part, kCodes));
  NamedAttrList attributes(product.weight()->getAttrDictionary());
  attributes.set("steps", ArrayAttr::get(context, steps));
  part.codes = attributes.getDictionary(context);
  return part;
}

/// Bytes of codes, scales, zero points and columns that stay of a part.
static int64_t bytesOf(QuantizationTask &task, const QuantizedPart &part) {
  const QuantizedLayer &layer = *task.layer;
  const WeightFormat &format = *part.format;
  WeightProduct &product = task.product;
  QuantizeAttr step = layer.step(product.op.getContext(), part, kCodes);
  int64_t rows =
      part.rows ? part.rows.getNumElements() : product.weights(product.n);
  int64_t ofRow = numGroups(step, product.weights(product.k)),
          groups = rows * ofRow;
  bool isByte = part.superBlock > 0 || format.scale != WeightScale::BF16;
  int64_t ofGroup =
      (isByte ? 1 : 2) * format.planes() + (format.hasZeros() ? 1 : 0);
  int64_t floats = step.numKept();
  if (part.integers && layer.activation && layer.activation->zero != 0)
    ++floats;
  return llvm::divideCeil(groups * format.codesOf(part.group) * format.bits,
                          8) +
         groups * ofGroup + format.codebookSize() +
         rows * (2 * step.numSuperScales(ofRow * format.planes()) +
                 floats * sizeof(float));
}

void lutra::describe(QuantizationTask &task, std::optional<int64_t> group) {
  QuantizedLayer &layer = *task.layer;
  layer.quantizedBytes = 0;
  for (QuantizedPart &part : layer.parts) {
    part = partOf(task, *part.format, part.rows,
                  group.value_or(task.rule->groupOf(*part.format)));
    layer.quantizedBytes += bytesOf(task, part);
  }
}

void lutra::describe(QuantizationTask &task, const WeightFormat &format) {
  task.layer->parts.assign(1, {&format});
  describe(task);
}

/// Rows as an attribute, in order.
static DenseElementsAttr rowsOf(ArrayRef<int64_t> rows, MLIRContext *context) {
  SmallVector<int64_t> sorted(rows);
  llvm::sort(sorted);
  return Builder(context).getI64TensorAttr(sorted);
}

int64_t lutra::outputsOf(double share, int64_t outputs) {
  int64_t step = std::clamp<int64_t>(llvm::bit_floor(uint64_t(outputs) / 8), 1,
                                     kMostOutputs);
  if (outputs == 1)
    return std::llround(share);
  return std::clamp<int64_t>(std::llround(share * outputs / step) * step, step,
                             outputs - step);
}

std::pair<DenseElementsAttr, DenseElementsAttr>
lutra::splitRows(ArrayRef<double> errors, int64_t most, MLIRContext *context) {
  auto order = llvm::to_vector(llvm::seq<int64_t>(errors.size()));
  llvm::sort(order, [&](int64_t a, int64_t b) {
    return std::pair(errors[a], a) < std::pair(errors[b], b);
  });
  ArrayRef<int64_t> rows = order;
  return {rowsOf(rows.drop_back(most), context),
          rowsOf(rows.take_back(most), context)};
}

Value lutra::joinOutputs(ImplicitLocOpBuilder &b, StringRef name,
                         ArrayRef<QuantizedPart> parts, ValueRange ofParts,
                         OpFoldResult count) {
  if (parts.size() == 1)
    return ofParts.front();
  int64_t ofFirst = parts.front().rows.getNumElements(), column = 0,
          outputs = ofFirst + parts.back().rows.getNumElements();
  SmallVector<int64_t> places(outputs);
  for (const QuantizedPart &part : parts)
    for (int64_t row : part.rows.getValues<int64_t>())
      places[row] = column++;
  Value from =
      createInlineWeight(b, b.getLoc(), name, b.getI64TensorAttr(places));
  Value init = tensor::EmptyOp::create(
      b, ArrayRef<OpFoldResult>{count, b.getIndexAttr(outputs)},
      b.getF32Type());
  AffineMap both = b.getMultiDimIdentityMap(2);
  SmallVector<utils::IteratorType> loops(2, utils::IteratorType::parallel);
  auto body = [&](OpBuilder &inner, Location loc, ValueRange in) {
    ImplicitLocOpBuilder b(loc, inner);
    Value row = linalg::IndexOp::create(b, 0);
    Value at = arith::IndexCastOp::create(b, b.getIndexType(), in[0]);
    Value zero = arith::ConstantIndexOp::create(b, 0),
          end = arith::ConstantIndexOp::create(b, ofFirst);
    Value isFirst =
        arith::CmpIOp::create(b, arith::CmpIPredicate::slt, at, end);
    // Both are read, each where it has an element.
    auto element = [&](Value of, Value inFirst, Value inSecond) -> Value {
      Value column = arith::SelectOp::create(b, isFirst, inFirst, inSecond);
      return tensor::ExtractOp::create(b, of, ValueRange{row, column});
    };
    Value first = element(ofParts[0], at, zero),
          second = element(ofParts[1], zero, arith::SubIOp::create(b, at, end));
    linalg::YieldOp::create(
        b, Value(arith::SelectOp::create(b, isFirst, first, second)));
  };
  return linalg::GenericOp::create(b, init.getType(), from, init,
                                   {both.getSubMap({1}), both}, loops, body)
      .getResult(0);
}
