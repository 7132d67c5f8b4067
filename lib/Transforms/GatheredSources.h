//===- GatheredSources.h - What a cascade gathers for itself ----*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_GATHEREDSOURCES_H
#define LUTRA_LIB_TRANSFORMS_GATHEREDSOURCES_H

#include "CascadeGroup.h"
#include "dialects/Cascade/Cascade.h"

namespace mlir::lutra {

/// Tensors from outside that a group reads and that are gathered, or computed
/// element by element of what is.
class GatheredSources {
public:
  explicit GatheredSources(const CascadeGroup &group)
      : members(group.members.begin(), group.members.end()) {}

  /// An Einsum at `b` that gathers what a reader over the ranks `iter`, of
  /// which `rank` is gone over, reads of `tensor` by `map`, which changes with
  /// it; null where the tensor is better read from memory.
  Value raise(OpBuilder &b, Value tensor, AffineMap &map,
              ArrayRef<Attribute> iter, StringRef rank,
              function_ref<bool(StringRef)> isSingle);

private:
  using Elements = DenseMap<std::pair<Value, AffineMap>, Value>;

  bool isLocal(Value tensor, unsigned depth = 0);
  linalg::GenericOp gathering(Value tensor, unsigned depth = 0);
  Value element(OpBuilder &b, Location loc, Value tensor, AffineMap map,
                ValueRange ranks, Elements &known);
  Value apply(OpBuilder &b, Location loc, AffineExpr expr, ValueRange ranks);

  llvm::DenseSet<Operation *> members;
  DenseMap<Value, linalg::GenericOp> found;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_GATHEREDSOURCES_H
