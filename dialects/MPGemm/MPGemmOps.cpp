//===- MPGemmOps.cpp - Verifiers of the mpgemm dialect --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/MPGemm/MPGemm.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::mpgemm;

#define GET_OP_CLASSES
#include "dialects/MPGemm/MPGemmOps.cpp.inc"

bool mpgemm::fitsAccumulator(unsigned bits, int64_t codes) {
  // A zero point is at most as large as a code, so a partial sum is at most
  // what the codes alone, or the zero point alone, give.
  int64_t most = ((int64_t(1) << bits) - 1) * 128;
  return codes <= std::numeric_limits<int32_t>::max() / most;
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

static std::string shapeText(ArrayRef<int64_t> shape) {
  std::string text;
  for (int64_t size : shape)
    text += (text.empty() ? "[" : ", ") +
            (ShapedType::isDynamic(size) ? "?" : std::to_string(size));
  return text + "]";
}

/// Checks the shape of operand `name`, which may be absent.
static LogicalResult verifyShape(Operation *op, StringRef name, Value operand,
                                 ArrayRef<int64_t> shape) {
  if (!operand)
    return success();
  auto type = cast<ShapedType>(operand.getType());
  if (failed(verifyCompatibleShape(type.getShape(), shape)))
    return op->emitOpError("expects ")
           << name << " of shape " << shapeText(shape) << ", got " << type;
  return success();
}

static Type elementOf(Value value) {
  return cast<ShapedType>(value.getType()).getElementType();
}

/// Checks that tables are of a layout that has keys, in as many bytes.
static LogicalResult verifyTables(ProductOpInterface op) {
  LayoutAttr layout = op.getLayoutAttr();
  unsigned bits = op.getFormatAttr().getBits();
  if (!layout || !llvm::isPowerOf2_32(bits) || bits > 4 ||
      !op.getFormatAttr().isScalar())
    return op->emitOpError("expects tables with a layout of codes of 1, 2 or 4 "
                           "bits, got x of ")
           << op.getXType();
  if (layout.getRowsShareBytes())
    return op->emitOpError("expects tables with a layout whose bytes have "
                           "codes of one row, got ")
           << layout;
  if (op.getXType().getDimSize(3) != 16 * layout.getDepth())
    return op->emitOpError("expects tables of ")
           << 16 * layout.getDepth() << " bytes, got x of " << op.getXType();
  if (!op.isInteger() || !op.getXScales() || op.isUnscaled())
    return op->emitOpError("expects tables of bytes with scales");
  if (bool(op.getXSums()) != bool(op.getZeros()) ||
      (op.getXSums() && !elementOf(op.getXSums()).isF32()))
    return op->emitOpError(
        "expects sums of x, in f32, where, and only where, there are zeros");
  return success();
}

/// Checks the element types of x, its scales and its sums.
static LogicalResult verifyX(ProductOpInterface op) {
  if (op.hasTables())
    return verifyTables(op);
  Type x = elementOf(op.getX());
  if (!x.isF32() && !x.isInteger(8))
    return op->emitOpError("expects x of f32 or i8, got ") << x;
  bool mayBeScaled = op.isInteger() && !op.isUnscaled();
  if (op.isInteger() != bool(op.getXSums()) ||
      (op.getXScales() && !mayBeScaled))
    return op->emitOpError(
        "expects sums of x where, and only where, x is integers, and scales of "
        "x only with scales of codes");
  if (op.getXSums() && !elementOf(op.getXSums()).isInteger(32))
    return op->emitOpError("expects sums of x in i32, got ")
           << op.getXSums().getType();
  if (op.getXScales() && !elementOf(op.getXScales()).isF32())
    return op->emitOpError("expects scales of x in f32, got ")
           << op.getXScales().getType();
  if (op.isInteger() && !op.getFormatAttr().getOffset())
    return op->emitOpError("expects x of floats with format ")
           << op.getFormatAttr();
  return success();
}

/// Checks the element types of scales of codes.
static LogicalResult verifyScales(ProductOpInterface op) {
  Value scales = op.getScales(), superScales = op.getSuperScales();
  if (scales && !isa<FloatType>(elementOf(scales)) &&
      !elementOf(scales).isInteger(8))
    return op->emitOpError("expects scales of floats or in bytes, got ")
           << scales.getType();
  if (!superScales)
    return success();
  if (!scales || !isa<FloatType>(elementOf(superScales)))
    return op->emitOpError("expects super-scales of floats beside scales, got ")
           << superScales.getType();
  return success();
}

/// Checks the element types of codes, their parameters and the result.
static LogicalResult verifyElements(ProductOpInterface op) {
  if (!elementOf(op.getCodes()).isInteger(8))
    return op->emitOpError("expects codes in bytes, got ")
           << op.getCodes().getType();
  if (failed(verifyScales(op)))
    return failure();
  bool areFloats = op.getZeros() && isa<FloatType>(elementOf(op.getZeros()));
  if (op.getZeros() && !areFloats && !elementOf(op.getZeros()).isInteger(8))
    return op->emitOpError("expects zeros of floats or in bytes, got ")
           << op.getZeros().getType();
  if (op.getZeros() && isa<BinaryAttr, VectorsAttr>(op.getFormatAttr()))
    return op->emitOpError("expects no zeros with format ")
           << op.getFormatAttr();
  if (!op.isUnscaled()) {
    if (!elementOf(op.getInit()).isF32())
      return op->emitOpError("expects a result of f32, got ")
             << op.getInit().getType();
    return success();
  }
  if (!op.isInteger() || areFloats || op.getCodeGroups() != 1 ||
      !isa<AffineAttr>(op.getFormatAttr()))
    return op->emitOpError(
        "expects scales unless all is integers, in one group");
  if (!elementOf(op.getInit()).isInteger(32))
    return op->emitOpError("expects a result of i32 without scales, got ")
           << op.getInit().getType();
  return success();
}

/// Checks the shapes of what `g` groups have, `rows` columns beside each other
/// if there is a layout.
static LogicalResult verifyParameters(ProductOpInterface op, int64_t n,
                                      int64_t g,
                                      std::optional<int64_t> rows = {}) {
  auto shape = [&](int64_t groups) {
    SmallVector<int64_t> shape = {n, groups};
    if (rows)
      shape.push_back(*rows);
    return shape;
  };
  if (failed(verifyShape(op, "scales", op.getScales(), shape(g))) ||
      failed(verifyShape(op, "zeros", op.getZeros(), shape(g))))
    return failure();
  Value superScales = op.getSuperScales();
  if (!superScales)
    return success();
  auto type = cast<ShapedType>(superScales.getType());
  int64_t blocks = type.getRank() < 2 ? 0 : type.getDimSize(1);
  if (ShapedType::isDynamic(g) || blocks < 1 || blocks > g ||
      int64_t(llvm::divideCeil(g, op.getSuperBlock())) != blocks)
    return op->emitOpError("expects super-scales of blocks of equally many of ")
           << g << " groups, got " << type;
  return verifyShape(op, "superscales", superScales, shape(blocks));
}

/// Checks codes, scales and zero points of `n` columns in `g` groups of `k`
/// codes, padded to whole tiles where there is a layout.
static LogicalResult verifyWeight(ProductOpInterface op, int64_t n, int64_t g,
                                  int64_t k) {
  if (auto layout = op.getLayoutAttr()) {
    if (ShapedType::isDynamic(g) || ShapedType::isDynamic(k))
      return op->emitOpError("expects a layout of groups of known size, got ")
             << op.getX().getType();
    CodePlanes planes = op.getPlanes();
    if (!planes.isValid())
      return op->emitOpError("expects codes of 2 or 4 bits where rows share "
                             "bytes, got ")
             << planes.bits;
    if (!planes.divides(k))
      return op->emitOpError("expects a layout of groups of whole chunks, or "
                             "chunks of whole groups, got groups of ")
             << k << " codes and chunks of "
             << planes.depth * planes.quadsPerChunk();
    int64_t tiles =
        ShapedType::isDynamic(n) ? n : llvm::divideCeil(n, layout.getRows());
    int64_t shape[] = {tiles, planes.chunks(g * k), planes.vectorsPerChunk(),
                       planes.vectorBytes()};
    if (failed(verifyShape(op, "codes", op.getCodes(), shape)))
      return failure();
    return verifyParameters(op, tiles, g, layout.getRows());
  }
  if (failed(verifyShape(op, "codes", op.getCodes(), {n, g, k})))
    return failure();
  return verifyParameters(op, n, g);
}

/// Checks all but the sizes of codes and of what belongs to them.
static LogicalResult verifyRows(ProductOpInterface op) {
  ShapedType x = op.getXType(), init = op.getInitType();
  if (x.getRank() != 3 && x.getRank() != 4)
    return op->emitOpError("expects x of rank 3, or tables of rank 4, got ")
           << x;
  if (init.getRank() != 2)
    return op->emitOpError("expects a result of rank 2, got ") << init;
  if (failed(verifyCompatibleDims({x.getDimSize(0), init.getDimSize(0)})))
    return op->emitOpError("expects a result of ")
           << x.getDimSize(0) << " rows, got " << init;
  if (!op.getFormatAttr())
    return success();
  if (failed(verifyX(op)) || failed(verifyElements(op)) ||
      failed(verifyShape(op, "xscales", op.getXScales(),
                         x.getShape().take_front(2))) ||
      failed(
          verifyShape(op, "xsums", op.getXSums(), x.getShape().take_front(2))))
    return failure();
  int64_t k = op.getGroupSize();
  unsigned bits = op.getFormatAttr().getNumberBits();
  if (op.isInteger() && !ShapedType::isDynamic(k) && !fitsAccumulator(bits, k))
    return op->emitOpError("expects groups whose sums fit 32 bits, got ")
           << k << " codes of " << bits << " bits";
  return success();
}

/// Checks the codebook, and that groups have whole vectors.
static LogicalResult verifyCodebook(MatmulOp op) {
  auto format = dyn_cast<VectorsAttr>(op.getFormat());
  if (bool(format) != bool(op.getCodebook()))
    return op.emitOpError(
               "expects a codebook where, and only where, codes stand "
               "for vectors, got ")
           << op.getFormat();
  if (!format)
    return success();
  if (!elementOf(op.getCodebook()).isInteger(8))
    return op.emitOpError("expects a codebook of bytes, got ")
           << op.getCodebook().getType();
  int64_t k = op.getGroupSize();
  if (ShapedType::isDynamic(k) || k % format.getBlock() != 0)
    return op.emitOpError("expects groups of a multiple of ")
           << format.getBlock() << " numbers with format " << format
           << ", got x of " << op.getXType();
  return verifyShape(
      op, "codebook", op.getCodebook(),
      {format.getBooks(), format.getSize(), int64_t(1) << format.getBits()});
}

LogicalResult MatmulOp::verify() {
  if (getResult() && getResult().getType() != getInitType())
    return emitOpError("expects a result of the type of outs, got ")
           << getResult().getType();
  if (failed(verifyRows(*this)) || failed(verifyCodebook(*this)))
    return failure();
  return verifyWeight(*this, getInitType().getDimSize(1), getCodeGroups(),
                      getCodesOfGroup());
}

LogicalResult MatmulOp::reifyResultShapes(OpBuilder &b,
                                          ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back(tensor::getMixedSizes(b, getLoc(), getInit()));
  return success();
}

void MatmulOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  if (getResult())
    return;
  for (OpOperand &operand : getOperation()->getOpOperands()) {
    auto *effect =
        &operand == &getInitMutable()
            ? static_cast<MemoryEffects::Effect *>(MemoryEffects::Write::get())
            : MemoryEffects::Read::get();
    effects.emplace_back(effect, &operand, SideEffects::DefaultResource::get());
  }
}

int64_t GatherMatmulOp::getMatrixSize() {
  int64_t n = getInitType().getDimSize(1);
  LayoutAttr layout = getLayoutAttr();
  return layout ? llvm::divideCeil(n, layout.getRows()) : n;
}

/// Checks experts and offsets.
static LogicalResult verifyBlocks(GatherMatmulOp op) {
  for (auto [name, operand] :
       {std::pair("experts", op.getExperts()), {"offsets", op.getOffsets()}}) {
    auto type = cast<ShapedType>(operand.getType());
    if (type.getRank() != 1 || !type.getElementType().isInteger(64))
      return op.emitOpError("expects ")
             << name << " of rank 1 and i64, got " << type;
  }
  int64_t blocks = cast<ShapedType>(op.getExperts().getType()).getDimSize(0);
  return verifyShape(op, "offsets", op.getOffsets(),
                     ShapedType::isDynamic(blocks) ? blocks : blocks + 1);
}

/// Checks what stands in the place of codes without a format.
static LogicalResult verifyFloats(GatherMatmulOp op) {
  Type x = elementOf(op.getX()), codes = elementOf(op.getCodes());
  if (!x.isF32() || op.hasTables() || !isa<FloatType>(codes) ||
      !elementOf(op.getInit()).isF32())
    return op.emitOpError("expects floats, and x and a result of f32, without "
                          "a format, got codes of ")
           << codes << ", x of " << x << " and a result of "
           << op.getInitType();
  if (op.getScales() || op.getSuperScales() || op.getZeros() ||
      op.getXScales() || op.getXSums())
    return op.emitOpError("expects neither scales, zeros nor sums without a "
                          "format");
  auto shape = llvm::to_vector(op.getXType().getShape());
  shape[0] = ShapedType::kDynamic;
  if (LayoutAttr layout = op.getLayoutAttr())
    shape.push_back(layout.getRows());
  return verifyShape(op, "codes", op.getCodes(), shape);
}

LogicalResult GatherMatmulOp::verify() {
  FormatInterface format = getFormatAttr();
  if (format && !getScales())
    return emitOpError("expects scales with a format");
  if (format && (format.getPlanes() != 1 || !format.isScalar()))
    return emitOpError("expects a format whose codes each stand for a number, "
                       "got ")
           << format;
  if (failed(verifyRows(*this)) || failed(verifyBlocks(*this)))
    return failure();
  auto codes = cast<ShapedType>(getCodes().getType());
  int64_t n = getInitType().getDimSize(1);
  if (ShapedType::isDynamic(n) || n < 1 || codes.getRank() == 0 ||
      codes.isDynamicDim(0))
    return emitOpError("expects known columns, got codes of ")
           << codes << " and a result of " << getInitType();
  int64_t all = codes.getDimSize(0);
  if (all % getMatrixSize() != 0)
    return emitOpError("expects whole matrices of ")
           << n << " columns, got codes of " << codes;
  if (!getFormatAttr())
    return verifyFloats(*this);
  int64_t columns = getLayoutAttr() ? all * getLayoutAttr().getRows() : all;
  return verifyWeight(*this, columns, getXType().getDimSize(1),
                      getCodesOfGroup());
}

LogicalResult
GatherMatmulOp::reifyResultShapes(OpBuilder &b,
                                  ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back(tensor::getMixedSizes(b, getLoc(), getInit()));
  return success();
}

LogicalResult QuantizeActOp::verify() {
  auto x = cast<ShapedType>(getX().getType());
  if (x.getRank() != 3 || !x.getElementType().isF32())
    return emitOpError("expects x of rank 3 and f32, got ") << x;
  ArrayRef<int64_t> groups = x.getShape().drop_back();
  if (!elementOf(getCodes()).isInteger(8) || !elementOf(getScales()).isF32() ||
      !elementOf(getSums()).isInteger(32))
    return emitOpError("expects codes of i8, scales of f32 and sums of i32");
  if (failed(verifyShape(*this, "codes", getCodes(), x.getShape())) ||
      failed(verifyShape(*this, "scales", getScales(), groups)))
    return failure();
  return verifyShape(*this, "sums", getSums(), groups);
}
