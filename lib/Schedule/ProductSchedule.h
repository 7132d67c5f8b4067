//===- ProductSchedule.h - Tiles of a product with codes --------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_SCHEDULE_PRODUCTSCHEDULE_H
#define LUTRA_LIB_SCHEDULE_PRODUCTSCHEDULE_H

#include "dialects/Lutra/Lutra.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::lutra {

/// The schedule of the kernel `func` for the product with codes in it, whose
/// loops are those of its TilingInterface; null where there is none.
ScheduleAttr selectProductSchedule(func::FuncOp func, TargetAttr target);

} // namespace mlir::lutra

#endif // LUTRA_LIB_SCHEDULE_PRODUCTSCHEDULE_H
