//===- Planner.h - The choice of a loop nest --------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_LINALGTOVECTOR_PLANNER_H
#define LUTRA_LIB_CONVERSION_LINALGTOVECTOR_PLANNER_H

#include "Nest.h"
#include "lutra/Analysis/Contraction.h"

namespace mlir::lutra {

/// Compares the nests of an operation.
class Planner {
public:
  Planner(linalg::GenericOp op, TargetAttr target, ScheduleAttr schedule);
  std::optional<Plan> run();

private:
  /// How vectors lie along `loop`: of as many lanes as it has, or of `lanes`.
  std::optional<Plan> planAlong(unsigned loop) const;
  std::optional<Plan> planAlong(unsigned loop, int64_t lanes) const;
  void fillTile(Plan &plan) const;
  RegisterTile wholeRows(RegisterTile tile, int64_t m, const Plan &plan) const;
  void fillContraction(Plan &plan) const;
  void fillInnerProducts(Plan &plan) const;
  void fillGroup(Plan &plan) const;
  OpOperand *storedOutput(const Plan &plan) const;
  bool shareWidening() const;
  int64_t groupOfSteps(const Plan &plan) const;
  double cost(const Plan &plan) const;
  double accessCost(OpOperand &operand, const Plan &plan) const;
  bool inAllOutputs(unsigned loop) const;
  bool isParallel(unsigned loop) const {
    return op.getIteratorTypesArray()[loop] == utils::IteratorType::parallel;
  }
  /// The loops in the order in which the output lies in memory.
  SmallVector<unsigned> loopsInOutputOrder() const;

  mutable linalg::GenericOp op;
  TargetAttr target;
  ScheduleAttr schedule;
  SmallVector<int64_t> extents;
  std::optional<Contraction> contraction;
  int64_t maxLanes;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_LINALGTOVECTOR_PLANNER_H
