//===- SizeExpressions.h - Sizes as formulas for people ---------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_ANALYSIS_SIZEEXPRESSIONS_H
#define LUTRA_ANALYSIS_SIZEEXPRESSIONS_H

#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/OpDefinition.h"
#include "llvm/ADT/DenseMap.h"
#include <functional>
#include <optional>

namespace mlir::lutra {

/// Follows index values and the sizes of tensors and buffers of one function
/// back to its arguments, without changing it. A null expression is a size that
/// no formula of bearable length says.
class SizeExpressions {
public:
  /// The expression of an index argument (no `dim`), or of a size of another
  /// argument; null where there is none.
  using Leaf =
      std::function<AffineExpr(BlockArgument, std::optional<unsigned> dim)>;

  SizeExpressions(MLIRContext *context, Leaf leaf)
      : context(context), leaf(std::move(leaf)) {}

  AffineExpr value(OpFoldResult index);
  AffineExpr size(Value shaped, unsigned dim);
  SmallVector<AffineExpr> sizes(Value shaped);
  AffineExpr constant(int64_t value) const {
    return getAffineConstantExpr(value, context);
  }

private:
  AffineExpr compute(Value index);
  AffineExpr computeSize(OpResult shaped, unsigned dim);

  MLIRContext *context;
  Leaf leaf;
  llvm::DenseMap<Value, AffineExpr> known;
};

/// Null where an operand is null, or where the result is too long for a person.
AffineExpr boundedSum(AffineExpr a, AffineExpr b);
AffineExpr boundedProduct(AffineExpr a, AffineExpr b);

/// The product of `sizes`, times `factor`.
AffineExpr boundedProduct(ArrayRef<AffineExpr> sizes, AffineExpr factor);

/// `expr` with these expressions for its symbols; null where one that it needs
/// is null.
AffineExpr substitute(AffineExpr expr, ArrayRef<AffineExpr> symbols);

/// The value of `expr` with these numbers for its symbols, where it has one.
std::optional<int64_t> evaluate(AffineExpr expr, ArrayRef<int64_t> symbols);

/// `2*batch*seq + 4`, with `names` for the symbols and `//` for floordiv; "?"
/// for null.
std::string formula(AffineExpr expr, ArrayRef<std::string> names);

} // namespace mlir::lutra

#endif // LUTRA_ANALYSIS_SIZEEXPRESSIONS_H
