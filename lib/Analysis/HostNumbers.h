//===- HostNumbers.h - Index arithmetic for given sizes ---------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_ANALYSIS_HOSTNUMBERS_H
#define LUTRA_LIB_ANALYSIS_HOSTNUMBERS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpDefinition.h"
#include "llvm/ADT/DenseMap.h"
#include <optional>

namespace mlir::lutra {

/// Computes a function's index arithmetic, operation by operation in order.
class HostNumbers {
public:
  void set(Value value, int64_t number) {
    known[value] = Builder(value.getContext()).getIndexAttr(number);
  }
  /// Computes the results of `op` where its operands are known. The function
  /// stays as it is.
  void visit(Operation *op);
  std::optional<int64_t> get(Value value) const;

private:
  llvm::DenseMap<Value, Attribute> known;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_ANALYSIS_HOSTNUMBERS_H
