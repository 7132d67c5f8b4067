//===- EncodeMPGemm.cpp - Layouts of codes --------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Packs the codes, scales and zero points of products whose factors are weights
// as register tiles read them: steps added to their expressions, which move no
// byte here. Chooses whether codes of few bits are multiplied or looked up.
//
//===----------------------------------------------------------------------===//

#include "dialects/Lut/Lut.h"
#include "dialects/Lutra/CodePlanes.h"
#include "dialects/Lutra/WeightSteps.h"
#include "dialects/MPGemm/MPGemm.h"
#include "lutra/Analysis/Contraction.h"
#include "lutra/Analysis/ProductCost.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_ENCODEMPGEMM
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;
using mpgemm::GatherMatmulOp;
using mpgemm::LayoutAttr;
using mpgemm::MatmulOp;
using mpgemm::ProductOpInterface;

static WeightOp weightOf(Value value) {
  return value ? value.getDefiningOp<WeightOp>() : WeightOp();
}

/// The weight that `value` is, if there is one, with more steps.
static FailureOr<Value> withSteps(OpBuilder &b, Value value,
                                  ArrayRef<Attribute> steps) {
  WeightOp weight = weightOf(value);
  if (!weight)
    return Value();
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(weight);
  FailureOr<WeightOp> encoded = addSteps(b, weight, steps);
  if (failed(encoded))
    return failure();
  return encoded->getResult();
}

/// Scales, and super-scales if there are any.
struct Scales {
  Value each, super;
};

/// The factor that all floats of 8 bits are dequantized with, as one of each
/// row of `type`; null where it is not known.
static Value factorOfRows(OpBuilder &b, WeightOp weight, DequantizeAttr step,
                          RankedTensorType type) {
  auto factor = step.getScale().getAs<DenseElementsAttr>("value");
  auto perRow = RankedTensorType::get({type.getDimSize(0), 1}, b.getF32Type());
  if (!factor || factor.getNumElements() != 1 || step.getZero() ||
      step.getScale().get("steps") || !factor.getElementType().isF32() ||
      perRow.getNumElements() > WeightOp::kMaxValueBytes / 4)
    return nullptr;
  return createInlineWeight(
      b, weight.getLoc(), weight.getName(),
      DenseElementsAttr::get(perRow, *factor.value_begin<float>()));
}

/// Scales as the floats of 8 bits that they are cast or dequantized from, if
/// that is all that is computed of them: kernels read those as they are.
static Scales asStored(OpBuilder &b, Value scales) {
  WeightOp weight = weightOf(scales);
  SmallVector<Attribute> moves, others;
  for (Attribute step : weight ? weight.getSteps() : b.getArrayAttr({}))
    (isa<TransposeAttr, ReshapeAttr, ReverseAttr>(step) ? moves : others)
        .push_back(step);
  if (others.size() != 1)
    return {scales, nullptr};
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(weight);
  auto type = cast<RankedTensorType>(scales.getType());
  Type from, to;
  Value factor;
  if (auto step = dyn_cast<CastAttr>(others[0])) {
    from = step.getFrom();
    to = step.getTo();
  } else if (auto step = dyn_cast<DequantizeAttr>(others[0])) {
    from = step.getFrom();
    to = step.getTo();
    factor = factorOfRows(b, weight, step, type);
  }
  // Other types might round, and lack the range of E8M0.
  if (!to || !to.isF32() || (isa<DequantizeAttr>(others[0]) && !factor) ||
      !isa<Float8E4M3FNType, Float8E8M0FNUType>(from))
    return {scales, nullptr};
  auto stored = cast<WeightOp>(b.clone(*weight));
  stored.setStepsAttr(b.getArrayAttr(moves));
  stored.getResult().setType(type.clone(from));
  return {stored.getResult(), factor};
}

/// x with each group padded with zeros to `size` numbers.
static Value padGroups(OpBuilder &b, Location loc, Value x, int64_t size) {
  auto type = cast<RankedTensorType>(x.getType());
  if (type.getDimSize(2) == size)
    return x;
  SmallVector<OpFoldResult> low(3, b.getIndexAttr(0)), high = low;
  high[2] = b.getIndexAttr(size - type.getDimSize(2));
  auto padded = RankedTensorType::get(
      {type.getDimSize(0), type.getDimSize(1), size}, type.getElementType());
  Value zero =
      arith::ConstantOp::create(b, loc, b.getZeroAttr(type.getElementType()));
  return tensor::PadOp::create(b, loc, padded, x, low, high, zero);
}

/// The codes of a group in as few matrix tiles as can be, if that is not much
/// more than `codes`, or half as much more where there would be no tiles.
static int64_t paddedToTiles(int64_t codes) {
  int64_t quads = codes / 4, whole = llvm::alignTo(quads, 16);
  bool isFewer = whole / 16 < quads / wordsOfTile(quads),
       hasTiles = wordsOfTile(quads) >= kLeastWordsOfTile;
  int64_t most = hasTiles ? 9 * quads / 8 : 3 * quads / 2;
  return isFewer && whole <= most ? 4 * whole : codes;
}

/// Steps for a weight of `matrices` matrices of some columns, [matrices *
/// columns, ..], that put `rows` columns beside each other: [matrices *
/// ceil(columns / rows), .., rows].
static SmallVector<Attribute> besideEachOther(ShapedType type, int64_t matrices,
                                              int64_t rows) {
  MLIRContext *context = type.getContext();
  int64_t columns = type.getDimSize(0) / matrices;
  if (matrices == 1 || columns % rows == 0)
    return {PackAttr::get(context, 0, rows, 0)};
  SmallVector<int64_t> apart = {matrices, columns},
                       packed = {matrices *
                                 int64_t(llvm::divideCeil(columns, rows))};
  llvm::append_range(apart, type.getShape().drop_front());
  llvm::append_range(packed, type.getShape().drop_front());
  packed.push_back(rows);
  return {ReshapeAttr::get(context, apart), PackAttr::get(context, 1, rows, 1),
          ReshapeAttr::get(context, packed)};
}

/// The same for codes [matrices * columns, groups, size] in bit planes, whose
/// groups are padded to `padded` codes.
static SmallVector<Attribute> inPlanes(ShapedType type, int64_t matrices,
                                       const CodePlanes &planes,
                                       int64_t padded) {
  MLIRContext *context = type.getContext();
  int64_t columns = type.getDimSize(0) / matrices,
          whole = llvm::alignTo(columns, planes.rows),
          depth = type.getDimSize(1) * padded;
  SmallVector<Attribute> steps;
  if (padded != type.getDimSize(2))
    steps.push_back(PackAttr::get(context, 2, padded, 2));
  if (matrices > 1 && whole != columns) {
    steps.append({ReshapeAttr::get(context, {matrices, columns, depth}),
                  PackAttr::get(context, 1, whole, 1),
                  TransposeAttr::get(context, {0, 1, 3, 2})});
    columns = whole;
  }
  steps.append({ReshapeAttr::get(context, {matrices * columns, depth}),
                PlanesAttr::get(context, planes.bits, planes.rows, planes.depth,
                                planes.rowsShareBytes)});
  return steps;
}

namespace {
struct EncodeMPGemm : lutra::impl::EncodeMPGemmBase<EncodeMPGemm> {
  using EncodeMPGemmBase::EncodeMPGemmBase;

  void runOnOperation() override {
    TargetAttr target = targetOf(getOperation());
    if (!target) {
      getOperation().emitError("expected the attribute '")
          << attr::kTarget << "' on the module";
      return signalPassFailure();
    }
    SmallVector<ProductOpInterface> ops;
    getOperation().walk([&](ProductOpInterface op) { ops.push_back(op); });
    for (ProductOpInterface op : ops)
      if (isEncodable(op) &&
          failed(op.getFormatAttr() ? encode(op, target)
                                    : encodeFloats(op, target)))
        return signalPassFailure();
  }

  /// Whether codes, scales and zero points are weights, and none of them is
  /// empty.
  static bool isEncodable(ProductOpInterface op) {
    ShapedType x = op.getXType();
    auto isWeight = [](Value value) { return !value || weightOf(value); };
    return !op.getLayoutAttr() && isWeight(op.getCodes()) &&
           isWeight(op.getScales()) && isWeight(op.getSuperScales()) &&
           isWeight(op.getZeros()) && x.getDimSize(1) > 0 &&
           x.getDimSize(2) > 0 &&
           cast<ShapedType>(op.getCodes().getType()).getNumElements() > 0;
  }

  /// The matrices that `op` has one behind the other.
  static int64_t matricesOf(ProductOpInterface op) {
    if (!isa<GatherMatmulOp>(*op))
      return 1;
    auto codes = cast<ShapedType>(op.getCodes().getType());
    return codes.getDimSize(0) / op.getInitType().getDimSize(1);
  }

  LogicalResult encode(ProductOpInterface op, TargetAttr target) {
    OpBuilder b(op);
    int64_t matrices = matricesOf(op), size = op.getCodesOfGroup();
    std::optional<LookupForm> form = chooseLookups(op, target);
    CodePlanes planes = choosePlanes(op, form, target);
    int64_t padded = paddedGroup(planes, size);
    mpgemm::FormatInterface format = op.getFormatAttr();
    bool hasWindow = format.getWindow() != format.getBits();
    if (op.isInteger() && !form && hasByteTiles(target) && format.isScalar())
      padded = paddedToTiles(padded);
    int64_t paddedX = padded * format.getSpan();
    if (op.isInteger() &&
        !mpgemm::fitsAccumulator(format.getNumberBits(), paddedX))
      return success();
    // Codes that are added would be in the windows of those behind them.
    if (hasWindow && op.getXType().getDimSize(1) > 1 && padded != size)
      return success();
    auto typeOf = [](Value value) { return cast<ShapedType>(value.getType()); };
    auto withParameters = [&](Value value) -> FailureOr<Value> {
      if (!value)
        return value;
      return withSteps(b, value,
                       besideEachOther(typeOf(value), matrices, planes.rows));
    };
    Scales stored = op.getSuperScales()
                        ? Scales{op.getScales(), op.getSuperScales()}
                        : asStored(b, op.getScales());
    FailureOr<Value> codes = withSteps(b, op.getCodes(),
                                       inPlanes(typeOf(op.getCodes()), matrices,
                                                planes, padded)),
                     scales = withParameters(stored.each),
                     superScales = withParameters(stored.super),
                     zeros = withParameters(op.getZeros());
    if (failed(codes) || failed(scales) || failed(superScales) || failed(zeros))
      return failure();
    Value x = op.getX(), xScales = op.getXScales(), xSums = op.getXSums();
    if (form) {
      auto floats = x.getDefiningOp<mpgemm::QuantizeActOp>().getX();
      auto tables = lut::BuildOp::create(
          b, op.getLoc(), padGroups(b, op.getLoc(), floats, paddedX),
          valuesOf(op.getFormatAttr()), planes.depth);
      x = tables.getTables();
      xScales = tables.getScales();
      xSums = op.getZeros() ? tables.getSums() : Value();
    } else {
      x = padGroups(b, op.getLoc(), x, paddedX);
    }
    replace(op, x, *codes, *scales, *superScales, *zeros, xScales, xSums,
            LayoutAttr::get(op.getContext(), planes.rows, planes.depth,
                            planes.rowsShareBytes));
    return success();
  }

  /// A product of floats with weights that are floats.
  LogicalResult encodeFloats(ProductOpInterface op, TargetAttr target) {
    OpBuilder b(op);
    int64_t rows = registerTile(target, b.getF32Type(), ShapedType::kDynamic,
                                op.getInitType().getDimSize(1))
                       .n;
    auto type = cast<ShapedType>(op.getCodes().getType());
    FailureOr<Value> codes = withSteps(
        b, op.getCodes(), besideEachOther(type, matricesOf(op), rows));
    if (failed(codes))
      return failure();
    replace(op, op.getX(), *codes, nullptr, nullptr, nullptr, nullptr, nullptr,
            LayoutAttr::get(op.getContext(), rows, /*depth=*/4,
                            /*rowsShareBytes=*/false));
    return success();
  }

  /// Puts the same product of other operands in the place of `op`.
  static void replace(ProductOpInterface op, Value x, Value codes, Value scales,
                      Value superScales, Value zeros, Value xScales,
                      Value xSums, LayoutAttr layout) {
    OpBuilder b(op);
    Operation *encoded;
    if (auto gather = dyn_cast<GatherMatmulOp>(*op))
      encoded = GatherMatmulOp::create(
          b, op.getLoc(), op->getResultTypes(), gather.getExperts(),
          gather.getOffsets(), x, codes, scales, superScales, zeros, xScales,
          xSums, op.getInit(), op.getFormatAttr(), layout);
    else
      encoded = MatmulOp::create(
          b, op.getLoc(), op->getResultTypes(), x, codes, scales, superScales,
          zeros, cast<MatmulOp>(*op).getCodebook(), xScales, xSums,
          op.getInit(), op.getFormatAttr(), layout);
    op->replaceAllUsesWith(encoded);
    op->erase();
  }

  /// How `op` is looked up, if it is. Only of numbers that are quantized here
  /// may tables be made in their place.
  std::optional<LookupForm> chooseLookups(ProductOpInterface op,
                                          TargetAttr target) {
    unsigned bits = op.getFormatAttr().getBits();
    if (lookups == "never" || op.isUnscaled() ||
        !op.getFormatAttr().isScalar() ||
        !op.getX().getDefiningOp<mpgemm::QuantizeActOp>())
      return std::nullopt;
    // How many rows a block has is not known.
    int64_t rows = isa<GatherMatmulOp>(*op) ? ShapedType::kDynamic
                                            : op.getXType().getDimSize(0);
    CodedProduct product{bits, rows, op.getInitType().getDimSize(1)};
    std::optional<LookupForm> form = lookupForm(product, target);
    if (!form || product.rows == 0 ||
        (lookups != "always" && !isLookupFaster(product, target)))
      return std::nullopt;
    // Keys of one group only.
    CodePlanes planes = choosePlanes(op, form, target);
    int64_t ofKey = planes.depth * 4 / planes.bits,
            size = paddedGroup(planes, op.getXType().getDimSize(2));
    return size % ofKey == 0 ? form : std::nullopt;
  }

  /// Four registers of sums beside each other, of which two or all four have
  /// their codes in the same bytes, where all fields are multiplied in place;
  /// else two, so that what is read of x serves both. Fewer where these pad
  /// less than seven eighths as many columns. At depth 1 a register is four
  /// times as many.
  static CodePlanes choosePlanes(ProductOpInterface op,
                                 std::optional<LookupForm> form,
                                 TargetAttr target) {
    unsigned bits = op.getFormatAttr().getBits();
    int64_t n = op.getInitType().getDimSize(1), lanes = vectorBits(target) / 32;
    if (form && form->depth == 1)
      return {bits, 4 * lanes, 1};
    auto fills = [&](int64_t registers) {
      return 8 * llvm::alignTo(n, lanes) >=
             7 * llvm::alignTo(n, registers * lanes);
    };
    if (!form && sharesBytes(op, target) && fills(4))
      return {bits, 4 * lanes, /*depth=*/4, /*rowsShareBytes=*/true};
    return {bits, fills(2) ? 2 * lanes : lanes};
  }

  /// Whether codes of several columns in a byte are multiplied in place: by
  /// products of unsigned bytes, of which the highest field is not masked.
  static bool sharesBytes(ProductOpInterface op, TargetAttr target) {
    mpgemm::FormatInterface format = op.getFormatAttr();
    unsigned bits = format.getBits();
    return op.isInteger() && isa<mpgemm::AffineAttr>(format) &&
           (bits == 2 || bits == 4) && hasVNNI(target);
  }

  static int64_t paddedGroup(const CodePlanes &planes, int64_t size) {
    return planes.divides(size)
               ? size
               : llvm::alignTo(size, planes.depth * planes.quadsPerChunk());
  }

  /// What codes stand for. Those that do not occur stand for what the last one
  /// does, so that they make no entry of a table larger.
  static SmallVector<float> valuesOf(mpgemm::FormatInterface format) {
    SmallVector<float> values;
    for (unsigned code = 0; code < 1u << format.getBits(); ++code)
      values.push_back(format.decode(std::min(code, format.getLevels() - 1)));
    return values;
  }
};
} // namespace
