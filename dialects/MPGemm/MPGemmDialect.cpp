//===- MPGemmDialect.cpp - The mpgemm dialect and its formats -------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/MPGemm/MPGemm.h"

#include "dialects/Lutra/TrellisCode.h"
#include "dialects/Lutra/WeightFormats.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::mpgemm;

#include "dialects/MPGemm/FormatInterface.cpp.inc"
#include "dialects/MPGemm/MPGemmDialect.cpp.inc"
#include "dialects/MPGemm/ProductInterface.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/MPGemm/MPGemmAttrs.cpp.inc"

void MPGemmDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/MPGemm/MPGemmAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/MPGemm/MPGemmOps.cpp.inc"
      >();
}

using EmitError = function_ref<InFlightDiagnostic()>;

static LogicalResult verifyBits(EmitError error, unsigned bits) {
  if (bits < 1 || bits > 8)
    return error() << "expects codes of 1 to 8 bits, got " << bits;
  return success();
}

LogicalResult AffineAttr::verify(EmitError error, unsigned bits, int64_t zero,
                                 unsigned below) {
  if (failed(verifyBits(error, bits)))
    return failure();
  if (below > 1u << bits)
    return error() << "expects codes below " << (1 << bits) << ", got "
                   << below;
  if (zero < 0 || zero >= int64_t(1) << bits)
    return error() << "expects a zero point in [0, " << (1 << bits) << "), got "
                   << zero;
  return success();
}

double AffineAttr::decode(unsigned code) const {
  return double(code) - double(getZero());
}

unsigned AffineAttr::getLevels() const {
  return getBelow() == 0 ? 1u << getBits() : getBelow();
}

std::optional<double> AffineAttr::getOffset() const { return getZero(); }

LogicalResult CodebookAttr::verify(EmitError error, unsigned bits,
                                   DenseF32ArrayAttr values) {
  if (failed(verifyBits(error, bits)))
    return failure();
  if (values.size() != int64_t(1) << bits)
    return error() << "expects " << (1 << bits) << " values, got "
                   << values.size();
  return success();
}

double CodebookAttr::decode(unsigned code) const { return getValues()[code]; }

unsigned CodebookAttr::getLevels() const { return 1u << getBits(); }

std::optional<double> CodebookAttr::getOffset() const {
  if (!areBytes(getValues().asArrayRef()))
    return std::nullopt;
  return 128;
}

unsigned CodebookAttr::getNumberBits() const {
  return getOffset() ? 8 : getBits();
}

LogicalResult BinaryAttr::verify(EmitError error, unsigned planes) {
  if (planes < 1 || planes > 8)
    return error() << "expects 1 to 8 planes, got " << planes;
  return success();
}

unsigned BinaryAttr::getBits() const { return 1; }

double BinaryAttr::decode(unsigned code) const { return code - 0.5; }

unsigned BinaryAttr::getLevels() const { return 2; }

std::optional<double> BinaryAttr::getOffset() const { return 0.5; }

LogicalResult TrellisAttr::verify(EmitError error, unsigned bits) {
  if (!findTrellisCode(bits))
    return error() << "expects a trellis of 2 to 4 bits, got " << bits;
  return success();
}

double TrellisAttr::decode(unsigned window) const {
  return findTrellisCode(getBits())->number(window);
}

unsigned TrellisAttr::getLevels() const { return 1u << getBits(); }

std::optional<double> TrellisAttr::getOffset() const {
  return TrellisCode::kOffset;
}

unsigned TrellisAttr::getNumberBits() const { return 8; }

unsigned TrellisAttr::getWindow() const { return TrellisCode::kWindow; }

LogicalResult VectorsAttr::verify(EmitError error, unsigned bits, unsigned size,
                                  unsigned books) {
  if (bits < 4 || bits > 8)
    return error() << "expects codes of vectors of 4 to 8 bits, got " << bits;
  if (size != 2 && size != 4 && size != 8)
    return error() << "expects vectors of 2, 4 or 8 numbers, got " << size;
  if ((books != 1 && books != 2 && books != 4) || books > size)
    return error()
           << "expects 1, 2 or 4 codebooks, and no more than numbers of "
              "a vector, got "
           << books;
  return success();
}

double VectorsAttr::decode(unsigned) const {
  llvm_unreachable("a code stands for a vector");
}

unsigned VectorsAttr::getLevels() const { return 1u << getBits(); }

std::optional<double> VectorsAttr::getOffset() const { return 128; }

unsigned VectorsAttr::getNumberBits() const { return 8; }

bool VectorsAttr::isScalar() const { return false; }

unsigned VectorsAttr::getSpan() const { return getSize() / getBooks(); }

LogicalResult LayoutAttr::verify(EmitError error, int64_t rows, int64_t depth,
                                 bool rowsShareBytes) {
  if (rows < 1 || rows > 1024)
    return error() << "expects 1 to 1024 rows, got " << rows;
  if (!CodePlanes{1, rows, depth}.isValid())
    return error() << "expects a depth of 4, or of 1 and rows by twos, got "
                   << rows << " rows of depth " << depth;
  if (rowsShareBytes && !CodePlanes{4, rows, depth, true}.isValid())
    return error() << "expects a depth of 4 and rows by fours where rows share "
                      "bytes, got "
                   << rows << " rows of depth " << depth;
  return success();
}
