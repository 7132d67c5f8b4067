//===- Terms.h - The scalars of a cascade as expressions --------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TRANSFORMS_REDUCEPASSES_TERMS_H
#define LUTRA_TRANSFORMS_REDUCEPASSES_TERMS_H

#include "dialects/Cascade/Cascade.h"

#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/FoldingSet.h"
#include <deque>
#include <optional>

namespace mlir::lutra::cascade {

/// A scalar at a point of a cascade's ranks: an element of a tensor, a scalar
/// from outside, or an operation on terms. Equal terms are one object.
struct Term : llvm::FoldingSetNode {
  /// The tensor or scalar that is read; null for an operation.
  Value source;
  /// Where the element lies, over all ranks of the cascade.
  AffineMap map;
  std::optional<OperationName> name;
  DictionaryAttr attributes;
  SmallVector<const Term *, 2> operands;
  Type type;
  /// The longest way down to an element.
  unsigned depth = 0;

  bool isElement() const { return bool(source); }
  template <typename... Ops>
  bool isa() const {
    return name && ((name->getStringRef() == Ops::getOperationName()) || ...);
  }
  void Profile(llvm::FoldingSetNodeID &id) const;
};

/// The terms of one cascade. What would become too large is null or left as the
/// element that it is. Valid until an Einsum is erased.
class Terms {
public:
  explicit Terms(CascadeOp cascade);

  CascadeOp getCascade() const { return cascade; }

  const Term *element(Value source, AffineMap map);
  const Term *operation(OperationName name, DictionaryAttr attributes,
                        ArrayRef<const Term *> operands, Type type);
  /// An operation without attributes of interest.
  template <typename Op>
  const Term *operation(ArrayRef<const Term *> operands, Type type) {
    MLIRContext *context = cascade.getContext();
    return operation(OperationName(Op::getOperationName(), context),
                     DictionaryAttr::get(context), operands, type);
  }
  const Term *constant(TypedAttr value);

  /// The value of a point of an Einsum; null where its body is too large, or
  /// more than operations with one result.
  const Term *point(EinsumOp op);
  /// The map that computes what `term` reads, where it reads it at its own
  /// ranks.
  EinsumOp producer(const Term *term);
  /// The Einsum, a reduction or not, that `term` reads at its own ranks.
  EinsumOp einsum(const Term *term);
  /// `term` with the maps that it reads written out.
  const Term *inlined(const Term *term);

  /// `map` over the ranks of `op` as one over those of the cascade, and back.
  AffineMap toCascade(EinsumOp op, AffineMap map);

private:
  const Term *unique(Term &&term);
  const Term *computePoint(EinsumOp op);

  CascadeOp cascade;
  llvm::FoldingSet<Term> set;
  std::deque<Term> storage;
  llvm::DenseMap<Operation *, const Term *> points;
  llvm::DenseMap<const Term *, const Term *> inlinings;
};

/// Calls `visit` with the elements of tensors that `term` reads, in their
/// order.
void collectElements(const Term *term, SmallPtrSetImpl<const Term *> &seen,
                     function_ref<void(const Term *)> visit);

/// The shape of an Einsum that is to be built from a term.
struct EinsumShape {
  SmallVector<StringRef> iter;
  SmallVector<StringRef> result;
  RankedTensorType type;
  std::optional<Monoid> monoid;
  ArrayAttr filters;
  SmallVector<Value> symbols;
  Value mask;
  /// Over `iter`.
  AffineMap maskMap;
  Value init;

  /// That of `op`.
  static EinsumShape of(EinsumOp op);
  /// A map of the same result.
  EinsumShape asMap() const;
};

/// Builds an Einsum whose points are `point`.
EinsumOp buildEinsum(OpBuilder &b, Location loc, CascadeOp cascade,
                     const EinsumShape &shape, const Term *point);

/// `term` as a person would write it, shortened where it is long: x0 for what
/// is read from outside, max[m] for a reduction.
std::string describe(Terms &terms, const Term *term);
/// A reduction, as in max[m].
std::string describe(EinsumOp reduction);

} // namespace mlir::lutra::cascade

#endif // LUTRA_TRANSFORMS_REDUCEPASSES_TERMS_H
