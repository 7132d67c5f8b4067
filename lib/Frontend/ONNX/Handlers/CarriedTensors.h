//===- CarriedTensors.h - What a loop over time carries ---------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_CARRIEDTENSORS_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_CARRIEDTENSORS_H

#include "Recurrence.h"

namespace mlir::lutra {

/// The direction and rows that one loop over time is for.
struct RecurrenceTask {
  OpFoldResult direction, row, rows;
};

/// A tensor that a loop over time carries, for all directions.
struct Carried {
  Shape shape;
  DType dtype;
  /// The dimension of the directions.
  int64_t axis;
  /// Whether it is a result, and not only of use to the loop.
  bool isKept;
};

/// What the loop over time of `net` carries: Y, the states, the scratch.
class CarriedTensors {
public:
  CarriedTensors(Lowering &lowering, const Recurrence &net);

  ArrayRef<Carried> all() const { return tensors; }
  size_t firstState() const { return net.hasOutput ? 1 : 0; }
  size_t firstScratch() const { return firstState() + net.initial.size(); }

  /// The task's parts of all.
  SmallVector<Part> partsOf(const RecurrenceTask &task) const;
  /// The first value of a state: in `destination`, or where that is null, in
  /// whatever tensor it lies.
  Value initialState(unsigned state, const RecurrenceTask &task,
                     Value destination) const;
  /// Tensors for all, or for what is kept.
  SmallVector<Value> empty(bool onlyKept) const;
  /// Y and the states among `values`, which are all or what is kept; null for a
  /// state that is not among them.
  SmallVector<Tensor> results(ValueRange values, bool onlyKept) const;

  /// States that begin as the same are different buffers nonetheless: the loop
  /// updates each in place. What tells them apart is of no further meaning.
  static void keepApart(Operation *op, int64_t number);

private:
  Lowering &lowering;
  ImplicitLocOpBuilder &b;
  const Recurrence &net;
  SmallVector<Carried> tensors;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_CARRIEDTENSORS_H
