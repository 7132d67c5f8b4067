//===- LinearBound.cpp - Linear bounds of affine expressions --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An affine expression is flattened to a linear one of its dimensions, its
// symbols, and quotients q of the form d floordiv c. These are taken out one
// after the other by d - c + 1 <= c * q <= d, on the side that makes the
// expression larger.
//
//===----------------------------------------------------------------------===//

#include "lutra/Analysis/LinearBound.h"

#include "mlir/IR/AffineExprVisitor.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>

using namespace mlir;
using namespace mlir::lutra;

namespace {
/// Flattens, and keeps what the quotients are made of.
struct Flattener : SimpleAffineExprFlattener {
  using SimpleAffineExprFlattener::SimpleAffineExprFlattener;

  struct Quotient {
    /// Factors of the dimensions, the symbols, and the quotients before.
    SmallVector<int64_t> factors;
    int64_t constant, divisor;
  };
  SmallVector<Quotient> quotients;

  void addLocalFloorDivId(ArrayRef<int64_t> dividend, int64_t divisor,
                          AffineExpr localExpr) override {
    quotients.push_back(
        {SmallVector<int64_t>(dividend.drop_back()), dividend.back(), divisor});
    SimpleAffineExprFlattener::addLocalFloorDivId(dividend, divisor, localExpr);
  }
};
} // namespace

/// x * y + z, if that is a number of 64 bits.
static bool multiplyAdd(int64_t x, int64_t y, int64_t z, int64_t &result) {
  return !llvm::MulOverflow(x, y, result) &&
         !llvm::AddOverflow(result, z, result);
}

/// Takes the last quotient, which has the factor `by`, out of `factors`, the
/// last of which is the constant.
static bool takeOut(const Flattener::Quotient &quotient, int64_t by,
                    MutableArrayRef<int64_t> factors) {
  for (auto [i, factor] : llvm::enumerate(factors.drop_back())) {
    int64_t part;
    if (llvm::MulOverflow(by, quotient.factors[i], part) ||
        !multiplyAdd(factor, quotient.divisor, part, factor))
      return false;
  }
  int64_t low = by < 0 ? quotient.divisor - 1 : 0, part;
  return !llvm::MulOverflow(by, quotient.constant - low, part) &&
         multiplyAdd(factors.back(), quotient.divisor, part, factors.back());
}

std::optional<SmallVector<int64_t>>
lutra::linearBound(AffineExpr expr, unsigned numDims, unsigned numSymbols) {
  Flattener flattener(numDims, numSymbols);
  if (!expr.isPureAffine() || failed(flattener.walkPostOrder(expr)))
    return std::nullopt;
  auto &flat = flattener.operandExprStack.back();
  SmallVector<int64_t> factors(flat.begin(), flat.end());
  while (!flattener.quotients.empty()) {
    Flattener::Quotient quotient = flattener.quotients.pop_back_val();
    int64_t by = factors[factors.size() - 2];
    factors.erase(factors.end() - 2);
    if (by != 0 && !takeOut(quotient, by, factors))
      return std::nullopt;
  }
  int64_t common = 0;
  for (int64_t factor : ArrayRef(factors).drop_back())
    common = std::gcd(common, factor);
  if (common > 1) {
    for (int64_t &factor : MutableArrayRef(factors).drop_back())
      factor /= common;
    factors.back() = llvm::divideFloorSigned(factors.back(), common);
  }
  return factors;
}
