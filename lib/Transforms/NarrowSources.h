//===- NarrowSources.h - What a cascade widens for itself -------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_NARROWSOURCES_H
#define LUTRA_LIB_TRANSFORMS_NARROWSOURCES_H

#include "CascadeGroup.h"

namespace mlir::lutra {

/// Tensors from outside that a group reads and that are made, element by
/// element, of smaller ones.
class NarrowSources {
public:
  explicit NarrowSources(const CascadeGroup &group)
      : members(group.members.begin(), group.members.end()) {}

  /// What to read instead of `tensor`, which a reader over the ranks `iter`
  /// reads by `map`; `map` changes with it. Where a smaller tensor can be read
  /// and nothing else needs this one, it is an Einsum at `b` that computes it.
  Value raise(OpBuilder &b, Value tensor, AffineMap &map,
              ArrayRef<Attribute> iter);

private:
  bool isLocal(Operation *op, unsigned depth);
  bool canCompute(linalg::GenericOp op);
  double bytesToRead(Value tensor, unsigned depth);
  bool isComputed(linalg::GenericOp op);

  llvm::DenseSet<Operation *> members;
  DenseMap<Value, double> known;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_NARROWSOURCES_H
