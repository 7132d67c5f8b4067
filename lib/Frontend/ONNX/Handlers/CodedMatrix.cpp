//===- CodedMatrix.cpp - Products with matrices of codes ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Implements the product with a constant matrix that is read as the file has
// it, and what a dequantized matrix must be for that: its scales are one per
// column of the product, or per block of consecutive elements of one.
//
//===----------------------------------------------------------------------===//

#include "CodedMatrix.h"

#include "NarrowFloats.h"
#include "Operands.h"
#include "dialects/MPGemm/MPGemm.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::lutra;

WeightOp lutra::weightOf(Lowering &lowering, const Tensor &tensor) {
  if (auto weight = tensor.value.getDefiningOp<WeightOp>())
    return weight;
  DenseElementsAttr elements;
  if (!matchPattern(tensor.value, m_Constant(&elements)))
    return {};
  ImplicitLocOpBuilder &b = lowering.b;
  auto name = dyn_cast<NameLoc>(tensor.value.getLoc());
  return WeightOp::create(
      b, elements.getType(), name ? name.getName() : b.getStringAttr(""),
      StringAttr(), IntegerAttr(), IntegerAttr(), StringAttr(),
      TypeAttr::get(elements.getType()), elements, b.getArrayAttr({}));
}

WeightOp lutra::storedBytes(Lowering &lowering, const Tensor &tensor) {
  WeightOp weight = weightOf(lowering, tensor);
  if (!weight || !llvm::all_of(weight.getSteps(), llvm::IsaPred<ReshapeAttr>))
    return {};
  return weight;
}

//===----------------------------------------------------------------------===//
// The product
//===----------------------------------------------------------------------===//

FailureOr<Tensor> lutra::paddedRows(Lowering &lowering, const Tensor &x,
                                    int64_t padded) {
  Tensor wide = lowering.cast(x, DType::Float);
  Shape low(x.rank(), lowering.constant(0)), high = low;
  high.back() = lowering.constant(padded) - x.shape.back();
  wide = lowering.pad(wide, low, high, lowering.scalar(DType::Float, 0));
  AffineExpr rows = lowering.product(ArrayRef(x.shape).drop_back());
  return lowering.reshape(wide, {rows, lowering.constant(padded)});
}

/// What codes of the matrix stand for.
static mpgemm::FormatInterface formatOf(MLIRContext *context,
                                        const CodedMatrix &matrix) {
  if (matrix.numbers.empty())
    return mpgemm::AffineAttr::get(context, matrix.bits, matrix.zero);
  return mpgemm::CodebookAttr::get(
      context, matrix.bits, DenseF32ArrayAttr::get(context, matrix.numbers));
}

FailureOr<GroupedRows> lutra::groupedRows(Lowering &lowering,
                                          const Tensor &rows, AffineExpr groups,
                                          AffineExpr size, unsigned bits) {
  Shape grouped = {rows.shape[0], groups, size},
        perGroup = {rows.shape[0], groups};
  FailureOr<Tensor> x = lowering.reshape(rows, grouped);
  if (failed(x))
    return failure();
  auto known = dyn_cast<AffineConstantExpr>(size);
  if (bits == 0 || !known || !mpgemm::fitsAccumulator(bits, known.getValue()))
    return GroupedRows{x->value, nullptr, nullptr};
  auto quantized = mpgemm::QuantizeActOp::create(
      lowering.b, lowering.type(grouped, DType::Int8),
      lowering.type(perGroup, DType::Float),
      lowering.type(perGroup, DType::Int32), x->value);
  return GroupedRows{quantized.getCodes(), quantized.getScales(),
                     quantized.getSums()};
}

FailureOr<Tensor> lutra::codedProduct(Lowering &lowering, const Tensor &rows,
                                      const CodedMatrix &matrix,
                                      bool integers) {
  ArrayRef<AffineExpr> codes = matrix.codes.shape;
  FailureOr<GroupedRows> x = groupedRows(lowering, rows, codes[1], codes[2],
                                         integers ? matrix.bits : 0);
  if (failed(x))
    return failure();
  Shape shape = {rows.shape[0], codes[0]};
  auto product = mpgemm::MatmulOp::create(
      lowering.b, lowering.type(shape, DType::Float), x->numbers,
      matrix.codes.value, matrix.scales.value, /*superScales=*/Value(),
      matrix.zeros.value, /*codebook=*/Value(), x->scales, x->sums,
      lowering.empty(shape, DType::Float), formatOf(lowering.context(), matrix),
      mpgemm::LayoutAttr());
  return lowering.tensor(product.getResult(), shape, DType::Float);
}

//===----------------------------------------------------------------------===//
// Dequantized matrices
//===----------------------------------------------------------------------===//

unsigned lutra::codeBits(DType dtype) {
  switch (dtype) {
  case DType::Int8:
  case DType::UInt8:
  case DType::Float8E4M3FN:
  case DType::Float8E4M3FNUZ:
  case DType::Float8E5M2:
  case DType::Float8E5M2FNUZ:
    return 8;
  case DType::Int4:
  case DType::UInt4:
  case DType::Float4E2M1:
    return 4;
  case DType::Int2:
  case DType::UInt2:
    return 2;
  default:
    return 0;
  }
}

bool lutra::isSignedCode(DType dtype) {
  return dtype == DType::Int8 || dtype == DType::Int4 || dtype == DType::Int2;
}

Tensor lutra::codesOfConstant(Lowering &lowering, const Tensor &tensor) {
  auto weight = tensor.value.getDefiningOp<WeightOp>();
  if (!weight && !tensor.value.getDefiningOp<arith::ConstantOp>())
    return {};
  if (tensor.dtype != DType::Int8)
    return lowering.tensor(tensor.value, tensor.shape, DType::UInt8);
  if (!weight)
    weight = weightOf(lowering, tensor);
  if (!weight || !llvm::all_of(weight.getSteps(),
                               llvm::IsaPred<ReshapeAttr, TransposeAttr>))
    return {};
  ImplicitLocOpBuilder &b = lowering.b;
  auto storage = cast<RankedTensorType>(weight.getStorage());
  SmallVector<Attribute> steps = {UnpackAttr::get(
      b.getContext(), 8, /*flip=*/true, storage.getShape(), /*rows=*/1)};
  llvm::append_range(steps, weight.getSteps());
  auto copy = cast<WeightOp>(b.clone(*weight));
  copy.setStepsAttr(b.getArrayAttr(steps));
  return lowering.tensor(copy.getResult(), tensor.shape, DType::UInt8);
}

std::optional<int64_t> lutra::sameCode(Lowering &lowering, Tensor zeros) {
  int64_t offset = zeros.dtype == DType::Int8 ? 128 : 0;
  if (isNarrow(zeros.dtype))
    zeros.dtype = DType::UInt8;
  auto known = lowering.constantInts(zeros);
  if (!known || known->empty() || !llvm::all_equal(*known))
    return std::nullopt;
  return known->front() + offset;
}

std::shared_ptr<const Codes>
lutra::codesOf(const Node &node, Lowering &lowering, const Tensor &scales) {
  Tensor x = node.input(0), zeros = node.input(2);
  Codes result;
  result.bits = codeBits(x.dtype);
  if (x.rank() != 2 || result.bits == 0)
    return nullptr;
  result.scales = scales;
  result.zero = isSignedCode(x.dtype) ? 1 << (result.bits - 1) : 0;
  result.axis = node.intAttr("axis", 1);
  result.axis += result.axis < 0 ? 2 : 0;
  result.block = node.intAttr("block_size", 0);
  result.codes = codesOfConstant(lowering, x);
  if (isNarrowFloat(x.dtype)) {
    result.numbers = numbersOf(lowering.context(), x.dtype);
    if (zeros && sameCode(lowering, zeros) != 0)
      return nullptr;
  } else if (zeros) {
    std::optional<int64_t> same = sameCode(lowering, zeros);
    result.zero = same.value_or(0);
    if (!same)
      result.zeros = codesOfConstant(lowering, zeros);
    if (!same && !result.zeros)
      return nullptr;
  }
  return result.codes ? std::make_shared<Codes>(result) : nullptr;
}

std::shared_ptr<const Codes> lutra::transposed(Lowering &lowering,
                                               const Codes &codes) {
  Codes result = codes;
  result.codes = lowering.transpose(codes.codes, {1, 0});
  result.axis = 1 - codes.axis;
  for (Tensor *tensor : {&result.scales, &result.zeros})
    if (*tensor && tensor->rank() == 2)
      *tensor = lowering.transpose(*tensor, {1, 0});
  return std::make_shared<Codes>(result);
}

/// A scale of one element for each column; null where it is not known.
static Tensor repeated(Lowering &lowering, const Tensor &tensor,
                       ArrayRef<AffineExpr> shape) {
  DenseElementsAttr one;
  RankedTensorType type = lowering.type(shape, tensor.dtype);
  constexpr int64_t kMaxElements = WeightOp::kMaxValueBytes / 4;
  if (!matchPattern(tensor.value, m_Constant(&one)) ||
      type.getNumElements() > kMaxElements)
    return {};
  auto all = DenseElementsAttr::get(type, *one.value_begin<Attribute>());
  ImplicitLocOpBuilder &b = lowering.b;
  Value weight = WeightOp::create(b, type, b.getStringAttr(""), StringAttr(),
                                  IntegerAttr(), IntegerAttr(), StringAttr(),
                                  TypeAttr::get(type), all, b.getArrayAttr({}));
  return lowering.tensor(weight, shape, tensor.dtype);
}

/// Scales or zero points of codes [N, K] as [N, groups]; null where they are
/// others.
static Tensor perGroup(Lowering &lowering, const Tensor &tensor,
                       const Codes &codes, int64_t groups) {
  Shape shape = {codes.codes.shape[0], lowering.constant(groups)};
  if (tensor.rank() == 2)
    return codes.axis == 1 ? tensor : Tensor();
  if (hasOneElement(tensor))
    return repeated(lowering, tensor, shape);
  if (codes.axis != 0)
    return {};
  FailureOr<Tensor> column = lowering.reshape(tensor, shape);
  return failed(column) ? Tensor() : *column;
}

/// Codes [N, K] in groups, the last padded; nothing where they have none.
static std::optional<CodedMatrix> inGroups(Lowering &lowering,
                                           const Codes &codes) {
  int64_t k = codes.codes.staticSize(1);
  if (k == 0 || codes.codes.staticSize(0) == 0)
    return std::nullopt;
  bool isBlocked = codes.block != 0 && codes.scales.rank() == 2;
  int64_t size = isBlocked ? codes.block : k;
  int64_t groups = llvm::divideCeil(k, size);
  CodedMatrix matrix = {Tensor(), codes.bits,
                        perGroup(lowering, codes.scales, codes, groups),
                        Tensor(), codes.zero};
  if (codes.zeros)
    matrix.zeros = perGroup(lowering, codes.zeros, codes, groups);
  matrix.numbers = codes.numbers;
  if (!matrix.scales || bool(codes.zeros) != bool(matrix.zeros))
    return std::nullopt;
  AffineExpr none = lowering.constant(0);
  Tensor padded = lowering.pad(codes.codes, {none, none},
                               {none, lowering.constant(groups * size - k)},
                               lowering.scalarInt(DType::UInt8, 0));
  FailureOr<Tensor> grouped =
      lowering.reshape(padded, {codes.codes.shape[0], lowering.constant(groups),
                                lowering.constant(size)});
  if (failed(grouped))
    return std::nullopt;
  matrix.codes = *grouped;
  return matrix;
}

std::optional<FailureOr<Tensor>> lutra::productWithCodes(Lowering &lowering,
                                                         const Tensor &x,
                                                         const Tensor &matrix,
                                                         bool transposed) {
  if (!matrix.codes || x.rank() == 0)
    return std::nullopt;
  std::shared_ptr<const Codes> codes =
      transposed ? matrix.codes : lutra::transposed(lowering, *matrix.codes);
  if (x.shape.back() != codes->codes.shape[1])
    return std::nullopt;
  std::optional<CodedMatrix> coded = inGroups(lowering, *codes);
  if (!coded)
    return std::nullopt;
  int64_t padded = coded->codes.staticSize(1) * coded->codes.staticSize(2);
  FailureOr<Tensor> rows = paddedRows(lowering, x, padded);
  if (failed(rows))
    return rows;
  FailureOr<Tensor> product =
      codedProduct(lowering, *rows, *coded, /*integers=*/false);
  if (failed(product))
    return product;
  Shape shape = x.shape;
  shape.back() = coded->codes.shape[0];
  return lowering.reshape(*product, shape);
}
