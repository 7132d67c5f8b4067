//===- HostProgram.h - Buffers of the host and their lives ------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TRANSFORMS_HOSTPROGRAM_H
#define LUTRA_LIB_TRANSFORMS_HOSTPROGRAM_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/DenseMap.h"
#include <optional>

namespace mlir::lutra {

/// True for a reshape or a cast: another header of the same buffer.
bool isHostView(Operation *op);

/// How many results of the host the caller sees: states are behind them.
unsigned numOutputs(func::FuncOp host);

/// A buffer that a dispatch of the host writes, named by the tensor.empty that
/// stands for it. It is alive from dispatch `first` to dispatch `last`.
struct HostBuffer {
  tensor::EmptyOp empty;
  int64_t first, last;
  /// The result of the function whose memory this is, if any.
  std::optional<unsigned> output;
};

/// The straight line of dispatches that the host function is after `form`.
class HostProgram {
public:
  explicit HostProgram(func::FuncOp host) : host(host) {}

  /// Finds the buffers; an error where the host is not in that form.
  LogicalResult analyze();

  /// The buffer of a tensor.empty that a dispatch writes, or null.
  const HostBuffer *find(tensor::EmptyOp empty) const;
  /// A number of an index value, the same for the same arithmetic.
  unsigned numberOf(Value value) const { return numbers.lookup(value); }

  /// In order of their first use.
  SmallVector<HostBuffer> buffers;

private:
  void numberValues();
  void separateResults();
  void separateOutputs();
  /// The buffer behind a tensor, through reshapes and dispatches, or null.
  HostBuffer *behind(Value tensor);

  func::FuncOp host;
  llvm::DenseMap<Operation *, unsigned> byEmpty;
  llvm::DenseMap<Value, unsigned> numbers;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_TRANSFORMS_HOSTPROGRAM_H
