//===- BlockSchedule.h - Blocks of a product --------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_SCHEDULE_BLOCKSCHEDULE_H
#define LUTRA_LIB_SCHEDULE_BLOCKSCHEDULE_H

#include "lutra/Analysis/Contraction.h"

namespace mlir::lutra {

struct KernelLoops;

/// Rows of two matrix tiles, which are multiplied together.
inline constexpr int64_t kRowsOfMatrixTiles = 32;

/// One task for each block of a contraction that goes over its reduction so, if
/// they are worth several.
ScheduleAttr selectBlockSchedule(KernelLoops &kernel,
                                 const Contraction &contraction, Blocks blocks,
                                 TargetAttr target);

} // namespace mlir::lutra

#endif // LUTRA_LIB_SCHEDULE_BLOCKSCHEDULE_H
