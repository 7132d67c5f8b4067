//===- ProductCost.cpp - What products with codes cost --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Counts instructions on full registers of the machine, for a row of x and a
// register of codes: as many codes as it has bytes. benchmarks/mpgemm.py with
// --set lookups=never and always is what the counts were checked against.
//
//===----------------------------------------------------------------------===//

#include "lutra/Analysis/ProductCost.h"

#include "lutra/Analysis/TargetFeatures.h"

using namespace mlir;
using namespace mlir::lutra;

/// Whether one instruction adds products of four bytes.
static bool hasDot(TargetAttr target) {
  if (isAArch64(target))
    return target.hasFeature("dotprod") || target.hasFeature("i8mm");
  return hasVNNI(target);
}

static double dotCost(unsigned bits, TargetAttr target, bool isFew) {
  // Matrix tiles take many rows, and most of their time is not for products.
  if (hasByteTiles(target) && !isFew)
    return 0.4;
  // Two rows at once.
  if (isAArch64(target) && target.hasFeature("i8mm") && !isFew)
    return 0.5;
  if (hasDot(target))
    return 1;
  // Two products of half a register each, and their pairs added up.
  if (isAArch64(target))
    return 4;
  // pmaddubsw, pmaddwd, paddd; but paddw alone until 16 bits are full; or two
  // of pmaddwd and paddd on wider operands.
  if (target.hasFeature("ssse3"))
    return bits <= 4 ? 2.5 : 3;
  return 6;
}

/// The same for a register of keys.
static double lookupCost(LookupForm form, TargetAttr target) {
  // A look-up, and the sums of even and odd bytes.
  if (form.depth == 1)
    return 4;
  // Zen permutes bytes beside dot products; Intel's cores have one port for
  // permutations, which dot products use too.
  return isZen(target) ? 1.33 : 2.6;
}

std::optional<LookupForm> lutra::lookupForm(const CodedProduct &product,
                                            TargetAttr target) {
  if (product.bits != 1 && product.bits != 2 && product.bits != 4)
    return std::nullopt;
  if (vectorBits(target) == 512 && target.hasFeature("avx512vbmi") &&
      target.hasFeature("avx512vnni"))
    return LookupForm{4};
  if (isAArch64(target) || target.hasFeature("ssse3"))
    return LookupForm{1};
  return std::nullopt;
}

ProductCosts lutra::productCosts(const CodedProduct &product,
                                 TargetAttr target) {
  /// Below so many rows a product waits for memory, and tables are more of it.
  constexpr int64_t kFewRows = 16;
  /// Taking codes or keys out of bytes serves the rows of a register tile, and
  /// codes for matrix tiles a block of rows.
  constexpr int64_t kRowsOfTile = 4, kRowsOfBlock = 128;
  bool isFew = ShapedType::isDynamic(product.rows) || product.rows < kFewRows;
  double rows = isFew ? 1 : kRowsOfTile,
         rowsOfCodes = !isFew && hasByteTiles(target)
                           ? std::min(product.rows, kRowsOfBlock)
                           : rows,
         lanes = vectorBits(target) / 32,
         registers = double(product.columns) / (4 * lanes);
  double multiply = dotCost(product.bits, target, isFew) + 2 / rowsOfCodes;
  // Rounding x.
  ProductCosts costs = {registers * multiply + 4 / lanes, std::nullopt};
  std::optional<LookupForm> form = lookupForm(product, target);
  // Rounding each product of a code of 4 bits loses more than rounding x does.
  if (!form || product.bits > 2)
    return costs;
  double keyCodes = 4 / product.bits,
         lookUp = (lookupCost(*form, target) + 1.5 / rows) / keyCodes;
  // 16 entries for each key's codes.
  lookUp = registers * lookUp + 16 / lanes * (keyCodes + 4) / keyCodes;
  costs.lookUp = lookUp * (isFew && hasDot(target) ? 2 : 1.1);
  return costs;
}

std::optional<ProductCosts>
lutra::costsOfChoice(mpgemm::ProductOpInterface product, TargetAttr target) {
  if (!product.getFormatAttr() || !product.getFormatAttr().isScalar() ||
      !product.getXScales())
    return std::nullopt;
  // How many rows a block has is not known.
  int64_t rows = isa<mpgemm::GatherMatmulOp>(*product)
                     ? ShapedType::kDynamic
                     : product.getXType().getDimSize(0);
  return productCosts({product.getFormatAttr().getBits(), rows,
                       product.getInitType().getDimSize(1)},
                      target);
}

bool lutra::isLookupFaster(const CodedProduct &product, TargetAttr target) {
  ProductCosts costs = productCosts(product, target);
  return costs.lookUp && *costs.lookUp < costs.multiply;
}

bool lutra::areFloatTilesFaster(mpgemm::ProductOpInterface product,
                                TargetAttr target) {
  /// Codes of a group, which fill halves of a tile, and rows for which codes
  /// are decoded (benchmarks/mpgemm.py --kind prefill, on Sapphire Rapids: at
  /// 64 codes both take as long, and at 32 those of bytes 1.7 times as long).
  constexpr int64_t kMostCodes = 32, kHalfOfTile = 16, kLeastRows = 48;
  /// Of codes that lost ten times as much as bf16 loses.
  constexpr unsigned kMostBits = 5;
  mpgemm::FormatInterface format = product.getFormatAttr();
  int64_t rows = product.getXType().getDimSize(0),
          codes = product.getGroupSize();
  // Integers with one scale for all may lie far from 0, which bf16 is less
  // exact for, and with a model's own sums are exact.
  return hasBF16Tiles(target) && target.hasFeature("avx512bf16") &&
         product.getLayoutAttr() && product.isInteger() &&
         product.getXScales() && !product.hasTables() &&
         !product.isUnscaled() && format.getPlanes() == 1 &&
         format.getWindow() == format.getBits() &&
         (format.getBits() <= kMostBits || !format.isScalar()) &&
         codes <= kMostCodes && codes % kHalfOfTile == 0 &&
         (ShapedType::isDynamic(rows) || rows >= kLeastRows);
}
