//===- StateReader.h - What an iteration carries, as it is read -*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_DIALECTS_CASCADE_STATEREADER_H
#define LUTRA_DIALECTS_CASCADE_STATEREADER_H

#include "dialects/Cascade/Parts.h"

namespace mlir::lutra::cascade {

/// Deeper expressions are not looked into.
constexpr unsigned kMaxDepth = 32;

/// Whether input `number` is read at the coordinates of its own ranks.
bool isReadByName(EinsumOp op, unsigned number);

/// A scalar in the body of an Einsum.
struct Scalar {
  Value value;
  EinsumOp einsum;

  /// The input of which it is an element, if it is one.
  std::optional<unsigned> getInput() {
    auto argument = dyn_cast<BlockArgument>(value);
    return argument && argument.getOwner() == einsum.getBlock()
               ? std::optional(argument.getArgNumber())
               : std::nullopt;
  }
  /// Its definition in the body, if that is where it is computed.
  Operation *getDefinition() {
    Operation *op = value.getDefiningOp();
    return op && einsum->isProperAncestor(op) ? op : nullptr;
  }
};

/// Reads what is carried off the body of an iteration.
class StateReader {
public:
  explicit StateReader(IterateOp op) : op(op) {}
  std::optional<SmallVector<CarriedState>> run();

private:
  std::optional<CarriedState> read(unsigned number);
  std::optional<CarriedState> readReference(unsigned number, RebaseOp rebase);
  std::optional<CarriedState> readSum(unsigned number, EinsumOp sum);
  bool isIndependent(Value tensor);
  bool isIndependent(Scalar scalar, unsigned depth);
  Scalar resolve(Scalar scalar);
  bool isReference(Scalar scalar, RebaseOp rebase);
  bool isUnder(Scalar scalar, RebaseOp rebase, unsigned depth);
  RebaseOp correctionOf(EinsumOp moved, Value carried);
  std::optional<unsigned> numberOf(Value carried);

  // CarriedMoments.cpp
  std::optional<CarriedState> readPlainSum(unsigned number);
  std::optional<CarriedState> readSquares(unsigned number, EinsumOp sum);
  EinsumOp addedTo(unsigned number);
  std::optional<unsigned> carriedElement(Scalar scalar);
  bool isElement(Scalar scalar, Value tensor);
  bool isSame(Scalar a, Scalar b, unsigned depth);
  template <typename Op>
  std::optional<std::pair<Scalar, Scalar>> operands(Scalar scalar);
  std::optional<Scalar> squared(Scalar scalar);
  std::optional<Moments> meanBefore(Scalar scalar);
  bool isMeanAfter(Scalar scalar, const Moments &about);

  IterateOp op;
  llvm::DenseMap<Value, bool> independent;
};

} // namespace mlir::lutra::cascade

#endif // LUTRA_DIALECTS_CASCADE_STATEREADER_H
