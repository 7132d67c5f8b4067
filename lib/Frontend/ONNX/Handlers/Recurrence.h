//===- Recurrence.h - The loop of a recurrent net ---------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What LSTM, GRU and RNN share: the inputs are projected for all steps by one
// matrix product, and what remains is a loop over time whose states, output and
// scratch are tensors that it carries, so that it runs as one kernel without an
// allocation. An operator only says what one step computes.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_RECURRENCE_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_RECURRENCE_H

#include "../Scalars.h"
#include "Part.h"
#include "lutra/Frontend/ONNX/Lowering.h"

namespace mlir::lutra {

/// The sizes and operands of a recurrent net.
struct Recurrence {
  int64_t directions = 1, gates = 1, hidden = 1;
  /// The only direction is the one from the last step to the first.
  bool isReverse = false;
  /// Sequences and states have the batch as their first dimension.
  bool isBatchFirst = false;
  AffineExpr steps, batch;
  DType dtype = DType::Undefined;
  /// X * W + bias for all directions, [steps, batch, directions * gates *
  /// hidden] in the accumulator type.
  Tensor projected;
  /// R as it multiplies rows from the right: [directions, hidden, gates *
  /// hidden] or, for one gate at a time, [directions, gates, hidden, hidden].
  Tensor weights;
  /// The steps that each sequence has, or null.
  Tensor lengths;
  /// The first value of each state, [directions, batch, hidden]; null is zero.
  SmallVector<Tensor> initial;
  /// The widths and types of a step's scratch, of which each row of the batch
  /// has its own.
  SmallVector<std::pair<int64_t, DType>> scratch;
  bool hasOutput = true;
  /// Whether something reads the last value of each state.
  SmallVector<bool> keepsState;
};

/// One operand of a step's elementwise operation over (row, unit).
struct StepOperand {
  Value value;
  AffineMap map;
};

/// One step of one direction for some rows of the batch. The values of
/// `states`, `scratch` and `output` are those before the step until the
/// operator replaces them.
class Step {
public:
  Step(ImplicitLocOpBuilder &b, const Recurrence &net, OpFoldResult direction,
       OpFoldResult rows)
      : b(b), net(net), direction(direction), rows(rows) {}

  ImplicitLocOpBuilder &b;
  const Recurrence &net;
  OpFoldResult direction;
  /// The number of rows.
  OpFoldResult rows;
  /// This step's projected inputs, [rows, gates * hidden].
  Value inputs;
  SmallVector<Value> states, scratch;
  /// What Y gets of this step, [rows, hidden]; null where nothing reads Y.
  Value output;
  /// The step's place in the sequence as i32 and the rows' lengths, where they
  /// have lengths.
  Value time, lengths;

  /// Gate `index` of a matrix [rows, gates * hidden].
  StepOperand gate(Value matrix, int64_t index) const;
  /// Columns [index * hidden, ...) of this direction's row of `parameter`.
  StepOperand shared(const Tensor &parameter, int64_t index) const;
  /// A matrix [rows, hidden].
  StepOperand whole(Value matrix) const;

  /// state * R for all gates, as the new value of `matrix`.
  Value multiply(Value state, Value matrix) const;
  /// The same for one gate; R has the gates apart.
  Value multiplyGate(Value state, int64_t index, Value matrix) const;

  /// One elementwise operation over (row, unit) that replaces `outs`. `body`
  /// gets the operands, then the old values of `outs`, floats in the
  /// accumulator type.
  using Body = function_ref<SmallVector<Value>(Scalars &, ValueRange)>;
  SmallVector<Value> map(ArrayRef<StepOperand> ins, ArrayRef<Value> outs,
                         Body body) const;
  /// The same for the states, and for the output, which is the new value of
  /// the first state. A sequence that has ended keeps its states, and its
  /// output is zero.
  void update(ArrayRef<StepOperand> ins, Body body);

private:
  Value product(Value state, Value weights, Value out) const;
};

/// Emits one step; `direction` tells apart those whose steps differ.
using StepBody = function_ref<void(Step &, int64_t direction)>;

/// Y, then the last value of each state, in the net's layout; null, or not,
/// where nothing reads it. Where `alike`, all directions take the steps of
/// direction 0 and run side by side.
SmallVector<Tensor> runRecurrence(Lowering &lowering, const Recurrence &net,
                                  bool alike, StepBody body);

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_RECURRENCE_H
