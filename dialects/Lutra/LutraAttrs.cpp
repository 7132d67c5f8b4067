//===- LutraAttrs.cpp - Types of weight expressions -----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/CodePlanes.h"
#include "dialects/Lutra/Lutra.h"
#include "dialects/Lutra/WeightFormats.h"
#include "dialects/Lutra/WeightSteps.h"

#include "llvm/ADT/SmallBitVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::lutra;

using EmitError = function_ref<InFlightDiagnostic()>;

static FailureOr<RankedTensorType> apply(RankedTensorType type,
                                         TransposeAttr step, EmitError error) {
  ArrayRef<int64_t> permutation = step.getPermutation();
  llvm::SmallBitVector seen(type.getRank());
  for (int64_t from : permutation)
    if (from >= 0 && from < type.getRank())
      seen.set(from);
  if (permutation.size() != size_t(type.getRank()) || !seen.all())
    return error() << "expects a permutation of " << type.getRank()
                   << " dimensions, got " << step;
  SmallVector<int64_t> shape;
  for (int64_t from : permutation)
    shape.push_back(type.getDimSize(from));
  return RankedTensorType::get(shape, type.getElementType());
}

static FailureOr<RankedTensorType> apply(RankedTensorType type,
                                         ReshapeAttr step, EmitError error) {
  auto result = RankedTensorType::get(step.getShape(), type.getElementType());
  if (llvm::any_of(step.getShape(), [](int64_t size) { return size < 0; }) ||
      result.getNumElements() != type.getNumElements())
    return error() << "expects a shape of " << type.getNumElements()
                   << " elements, got " << step;
  return result;
}

static FailureOr<RankedTensorType> apply(RankedTensorType type,
                                         ReverseAttr step, EmitError error) {
  if (step.getDim() < 0 || step.getDim() >= type.getRank())
    return error() << "expects a dimension below " << type.getRank() << ", got "
                   << step;
  return type;
}

static FailureOr<RankedTensorType> apply(RankedTensorType type, PackAttr step,
                                         EmitError error) {
  int64_t rank = type.getRank(), dim = step.getDim(), outer = step.getOuter();
  if (dim < 0 || dim >= rank || outer < 0 || outer >= rank ||
      step.getTile() < 1)
    return error() << "expects dim and outer below " << rank
                   << " and a positive tile, got " << step;
  SmallVector<int64_t> shape(type.getShape());
  int64_t tiles = llvm::divideCeil(shape[dim], step.getTile());
  shape.erase(shape.begin() + dim);
  shape.insert(shape.begin() + outer, tiles);
  shape.push_back(step.getTile());
  return RankedTensorType::get(shape, type.getElementType());
}

/// The type in which memory holds an element: bool is a byte, integers have no
/// sign, floats of 8 bits and fewer are their bits.
static Type storageType(Type type) {
  if (type.isIntOrFloat() && type.getIntOrFloatBitWidth() <= 8)
    return IntegerType::get(type.getContext(), 8);
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer)
    return type;
  return IntegerType::get(type.getContext(), std::max(8u, integer.getWidth()));
}

static FailureOr<RankedTensorType> apply(RankedTensorType type, CastAttr step,
                                         EmitError error) {
  if (storageType(step.getFrom()) != storageType(type.getElementType()))
    return error() << "expects a cast from " << type.getElementType()
                   << ", got " << step;
  return RankedTensorType::get(type.getShape(), storageType(step.getTo()));
}

static LogicalResult verifyBits(unsigned bits, Attribute step,
                                EmitError error) {
  if (bits < 1 || bits > 8)
    return error() << "expects codes of 1 to 8 bits, got " << step;
  return success();
}

/// The bytes that the codes of an unpack step take; nothing where it has a
/// size below 0, rows that differ, or more codes than memory holds.
static std::optional<int64_t> packedBytes(UnpackAttr step) {
  int64_t codes = 1, rows = step.getRows(), bits;
  for (int64_t size : step.getShape())
    if (size < 0 || llvm::MulOverflow(codes, size, codes))
      return std::nullopt;
  if (rows < 1 || codes % rows != 0 ||
      llvm::MulOverflow(codes / rows, int64_t(step.getBits()), bits))
    return std::nullopt;
  // No more than the codes, of 8 bits at most.
  return llvm::divideCeil(bits, 8) * rows;
}

/// The shape of a weight that is as its file has it, or unpacked from that, and
/// cast at most; nothing for any other.
static std::optional<ArrayRef<int64_t>> plainShape(DictionaryAttr weight) {
  auto attr = weight.getAs<TypeAttr>("storage");
  auto storage =
      attr ? dyn_cast<RankedTensorType>(attr.getValue()) : RankedTensorType();
  if (!storage || !storage.hasStaticShape())
    return std::nullopt;
  auto given = weight.getAs<ArrayAttr>("steps");
  ArrayRef<Attribute> steps = given ? given.getValue() : ArrayRef<Attribute>();
  if (!steps.empty() && isa<CastAttr>(steps.back()))
    steps = steps.drop_back();
  if (steps.empty())
    return storage.getShape();
  auto unpack = dyn_cast<UnpackAttr>(steps[0]);
  if (!unpack || steps.size() != 1 || !storage.getElementType().isInteger(8) ||
      unpack.getBits() < 1 || unpack.getBits() > 8 ||
      packedBytes(unpack) != storage.getNumElements())
    return std::nullopt;
  return unpack.getShape();
}

/// Whether `shape` may be that of a scale for `type`.
static bool fits(RankedTensorType type, ArrayRef<int64_t> shape,
                 DequantizeAttr step) {
  int64_t axis = step.getAxis(), block = step.getBlock();
  if (llvm::all_of(shape, [](int64_t size) { return size == 1; }))
    return true;
  if (axis < 0 || axis >= type.getRank() || block < 0)
    return false;
  if (block == 0)
    return shape.size() == 1 && shape[0] == type.getDimSize(axis);
  SmallVector<int64_t> blocks(type.getShape());
  if (blocks[axis] % block != 0)
    return false;
  blocks[axis] /= block;
  return shape == ArrayRef(blocks);
}

static FailureOr<RankedTensorType> apply(RankedTensorType type,
                                         DequantizeAttr step, EmitError error) {
  if (storageType(step.getFrom()) != storageType(type.getElementType()) ||
      !isa<FloatType>(step.getTo()))
    return error() << "expects to dequantize " << type.getElementType()
                   << " to a float, got " << step;
  for (DictionaryAttr weight : {step.getScale(), step.getZero()}) {
    if (!weight)
      continue;
    std::optional<ArrayRef<int64_t>> shape = plainShape(weight);
    if (!shape || !fits(type, *shape, step))
      return error() << "expects a plain weight of one element per tensor, "
                        "slice or block of "
                     << type << ", got " << weight;
  }
  return RankedTensorType::get(type.getShape(), step.getTo());
}

static FailureOr<RankedTensorType> apply(RankedTensorType type, UnpackAttr step,
                                         EmitError error) {
  if (failed(verifyBits(step.getBits(), step, error)))
    return failure();
  if (!type.getElementType().isInteger(8))
    return error() << "expects to unpack bytes, got " << type;
  std::optional<int64_t> bytes = packedBytes(step);
  if (!bytes || *bytes != type.getNumElements())
    return error() << "expects a shape whose codes take "
                   << type.getNumElements() << " bytes, got " << step;
  return RankedTensorType::get(step.getShape(),
                               IntegerType::get(type.getContext(), 8));
}

static FailureOr<RankedTensorType> apply(RankedTensorType type, PlanesAttr step,
                                         EmitError error) {
  constexpr int64_t kMaxRows = 1024;
  if (failed(verifyBits(step.getBits(), step, error)))
    return failure();
  if (type.getRank() != 2 || !type.getElementType().isInteger(8))
    return error() << "expects codes in bytes of rank 2, got " << type;
  if (step.getRows() < 1 || step.getRows() > kMaxRows)
    return error() << "expects 1 to " << kMaxRows << " rows, got " << step;
  CodePlanes planes{step.getBits(), step.getRows(), step.getDepth(),
                    step.getRowsShareBytes()};
  if (!planes.isValid())
    return error() << (planes.rowsShareBytes
                           ? "expects codes of 2 or 4 bits, a depth of 4 and "
                             "rows by fours where rows share bytes, got "
                           : "expects a depth of 4, or of 1 and rows by twos, "
                             "got ")
                   << step;
  int64_t panels = llvm::divideCeil(type.getDimSize(0), step.getRows());
  int64_t shape[] = {panels, planes.chunks(type.getDimSize(1)),
                     planes.vectorsPerChunk(), planes.vectorBytes()};
  return RankedTensorType::get(shape, type.getElementType());
}

static FailureOr<RankedTensorType> apply(RankedTensorType type, SumAttr step,
                                         EmitError error) {
  constexpr int64_t kMaxColumns = std::numeric_limits<int32_t>::max() / 255;
  if (type.getRank() != 2 || !type.getElementType().isInteger(8) ||
      type.getDimSize(1) > kMaxColumns)
    return error() << "expects bytes of rank 2 in rows of at most "
                   << kMaxColumns << ", got " << type;
  return RankedTensorType::get(type.getDimSize(0),
                               IntegerType::get(type.getContext(), 32));
}

int64_t QuantizeAttr::numKept() const {
  DenseElementsAttr factors = getFactors();
  return factors ? llvm::count(factors.getValues<float>(), 0) : 0;
}

int64_t lutra::numRepeated(QuantizeAttr step) {
  DenseElementsAttr factors = step.getFactors();
  if (!factors)
    return 0;
  return llvm::count_if(factors.getValues<float>(),
                        [](float factor) { return factor < 0; });
}

int64_t lutra::numGroups(QuantizeAttr step, int64_t columns) {
  int64_t size = step.getGroup();
  return llvm::divideCeil(columns, size) +
         2 * llvm::divideCeil(numRepeated(step), size);
}

int64_t QuantizeAttr::numSuperScales(int64_t groups) const {
  if (findWeightFormat(getFormat())->scale == WeightScale::E4M3)
    return std::min<int64_t>(groups, 1);
  return getSuperBlock() == 0 ? 0 : llvm::divideCeil(groups, getSuperBlock());
}

/// The type of a scale.
static Type scaleType(QuantizeAttr step) {
  MLIRContext *context = step.getContext();
  switch (findWeightFormat(step.getFormat())->scale) {
  case WeightScale::PowerOfTwo:
    return Float8E8M0FNUType::get(context);
  case WeightScale::E4M3:
    return Float8E4M3FNType::get(context);
  case WeightScale::BF16:
    break;
  }
  return step.getSuperBlock() > 0 ? Type(IntegerType::get(context, 8))
                                  : BFloat16Type::get(context);
}

/// Checks what a step knows of the `k` columns.
static LogicalResult verifyColumns(QuantizeAttr step, int64_t k,
                                   EmitError error) {
  DenseElementsAttr factors = step.getFactors();
  if (factors && (!factors.getElementType().isF32() ||
                  factors.getType().getShape() != ArrayRef(k)))
    return error() << "expects " << k << " factors of f32, got "
                   << factors.getType();
  DictionaryAttr moments = step.getMoments();
  bool isMatrix = false;
  if (moments) {
    std::optional<ArrayRef<int64_t>> shape = plainShape(moments);
    auto storage = moments.getAs<TypeAttr>("storage");
    isMatrix = shape == ArrayRef<int64_t>({k, k});
    if (!shape || moments.get("steps") ||
        !cast<RankedTensorType>(storage.getValue()).getElementType().isF32() ||
        !(isMatrix || *shape == ArrayRef(k)))
      return error() << "expects moments of " << k << " columns in f32, got "
                     << moments;
  }
  if (step.getMethod() == kCompensated && !isMatrix)
    return error() << "expects moments of any two columns for gptq, got "
                   << step;
  return success();
}

/// Checks which of `n` rows a step is of, if not of all.
static LogicalResult verifyRows(QuantizeAttr step, int64_t n, EmitError error) {
  DenseElementsAttr rows = step.getRows();
  if (!rows)
    return success();
  if (!rows.getElementType().isInteger(64) || rows.getType().getRank() != 1 ||
      rows.empty())
    return error() << "expects some rows as a vector of i64, got "
                   << rows.getType();
  int64_t last = -1;
  for (int64_t row : rows.getValues<int64_t>()) {
    if (row <= last || row >= n)
      return error() << "expects rows that increase, below " << n << ", got "
                     << row << " behind " << last;
    last = row;
  }
  return success();
}

static FailureOr<RankedTensorType> apply(RankedTensorType type,
                                         QuantizeAttr step, EmitError error) {
  if (type.getRank() != 2 || !type.getElementType().isF32())
    return error() << "expects to quantize f32 of rank 2, got " << type;
  const WeightFormat *format = findWeightFormat(step.getFormat());
  if (!format)
    return error() << "expects a known format, got " << step;
  StringRef part = step.getPart(), method = step.getMethod();
  if (part != kCodes && part != kScales && part != kSums &&
      (part != kZeros || !format->hasZeros()) &&
      (part != kSuperScales || step.numSuperScales(/*groups=*/1) == 0) &&
      (part != kCodebook || !format->hasVectors()) &&
      (part != kRest || !step.getFactors()))
    return error() << "expects codes, scales, sums or, where there are any, "
                      "superscales, zeros, the codebook or the rest, got "
                   << step;
  if (method != kNearest && method != kLeastSquares && method != kCompensated)
    return error() << "expects the method nearest, mse or gptq, got " << step;
  if (method == kCompensated && format->coding != WeightCoding::Numbers)
    return error() << "expects gptq only where a code is a number, got "
                   << step;
  if (step.getSuperBlock() < 0 ||
      (step.getSuperBlock() > 0 && !format->takesSuperBlocks()))
    return error()
           << "expects super-blocks of groups where scales are bf16, got "
           << step;
  int64_t n = type.getDimSize(0), k = type.getDimSize(1),
          size = step.getGroup();
  if (failed(verifyColumns(step, k, error)) ||
      failed(verifyRows(step, n, error)))
    return failure();
  if (DenseElementsAttr rows = step.getRows())
    n = rows.getNumElements();
  int64_t most = std::max<int64_t>(format->groupOf(0, k), 1);
  if (size < 1 || size > most)
    return error() << "expects groups of 1 to " << most << " weights, got "
                   << step;
  if (format->hasVectors() && size % format->groupMultiple != 0)
    return error() << "expects groups of a multiple of "
                   << format->groupMultiple << " weights, got " << step;
  if (numRepeated(step) > 0 &&
      (format->coding != WeightCoding::Numbers || method == kCompensated))
    return error() << "expects to repeat columns only of codes that are "
                      "numbers and without gptq, got "
                   << step;
  int64_t groups = numGroups(step, k) * format->planes();
  Type byte = IntegerType::get(type.getContext(), 8);
  if (part == kRest)
    return type.clone({n, step.numKept()});
  if (part == kSums)
    return type.clone({n});
  if (part == kCodes)
    return RankedTensorType::get({n, groups, format->codesOf(size)}, byte);
  if (part == kCodebook)
    return RankedTensorType::get(
        {format->books, format->vectorSize, int64_t(format->levels)}, byte);
  if (part == kSuperScales)
    return RankedTensorType::get({n, step.numSuperScales(groups)},
                                 BFloat16Type::get(type.getContext()));
  return RankedTensorType::get({n, groups},
                               part == kScales ? scaleType(step) : byte);
}

FailureOr<RankedTensorType> lutra::applyStep(RankedTensorType type,
                                             Attribute step, EmitError error) {
  return TypeSwitch<Attribute, FailureOr<RankedTensorType>>(step)
      .Case<TransposeAttr, ReshapeAttr, ReverseAttr, PackAttr, CastAttr,
            DequantizeAttr, UnpackAttr, PlanesAttr, SumAttr, QuantizeAttr>(
          [&](auto step) { return apply(type, step, error); })
      .Default([&](Attribute other) -> FailureOr<RankedTensorType> {
        return error() << "expects a step of a weight expression, got "
                       << other;
      });
}

LogicalResult lutra::verifyOrder(ArrayRef<Attribute> steps, EmitError error) {
  for (auto [i, step] : llvm::enumerate(steps)) {
    bool isUnpacked = i == 1 && isa<UnpackAttr>(steps[0]);
    if ((isa<UnpackAttr>(step) && i != 0) ||
        (isa<DequantizeAttr>(step) && i != 0 && !isUnpacked))
      return error() << "expects as its first step " << step;
    if (isa<PlanesAttr, SumAttr>(step) && i + 1 != steps.size())
      return error() << "expects as its last step " << step;
  }
  if (llvm::count_if(steps, llvm::IsaPred<QuantizeAttr>) > 1)
    return error() << "expects at most one step that quantizes";
  return success();
}

bool TargetAttr::hasFeature(StringRef feature) const {
  return llvm::any_of(llvm::split(getFeatures(), ','), [&](StringRef item) {
    return item.consume_front("+") && item == feature;
  });
}
