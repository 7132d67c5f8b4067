//===- HostNumbers.cpp - Index arithmetic for given sizes -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Evaluates by folding, so that every operation that the host may hold means
// here what it means to the rest of the compiler.
//
//===----------------------------------------------------------------------===//

#include "HostNumbers.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace mlir::lutra;

void HostNumbers::visit(Operation *op) {
  if (op->getNumResults() != 1 || op->getNumRegions() != 0 ||
      !op->getResult(0).getType().isIntOrIndex() || !isMemoryEffectFree(op))
    return;
  SmallVector<Attribute> operands;
  for (Value operand : op->getOperands())
    if (Attribute number = known.lookup(operand))
      operands.push_back(number);
    else
      return;
  // Folding may change an operation in place.
  Operation *copy = op->clone();
  SmallVector<OpFoldResult> results;
  if (succeeded(copy->fold(operands, results)) && results.size() == 1) {
    auto value = dyn_cast<Value>(results[0]);
    if (Attribute number =
            value ? known.lookup(value) : cast<Attribute>(results[0]))
      known[op->getResult(0)] = number;
  }
  copy->destroy();
}

std::optional<int64_t> HostNumbers::get(Value value) const {
  auto number = dyn_cast_or_null<IntegerAttr>(known.lookup(value));
  return number ? std::optional(number.getValue().getSExtValue())
                : std::nullopt;
}
