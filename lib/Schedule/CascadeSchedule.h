//===- CascadeSchedule.h - Tiles of a cascade -------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_SCHEDULE_CASCADESCHEDULE_H
#define LUTRA_LIB_SCHEDULE_CASCADESCHEDULE_H

#include "dialects/Cascade/Cascade.h"
#include "dialects/Lutra/Lutra.h"

namespace mlir::lutra {

/// A schedule whose loops are the ranks of `op`, the root of a kernel: tiles of
/// rows run in parallel, and `tile` of an iterated rank is the length of a
/// part.
ScheduleAttr selectCascadeSchedule(cascade::CascadeOp op, TargetAttr target);

/// Tiles `op`, the root of a kernel, as its schedule says, and writes it out as
/// loops and structured operations.
LogicalResult applyCascadeSchedule(RewriterBase &rewriter,
                                   cascade::CascadeOp op,
                                   ScheduleAttr schedule);

} // namespace mlir::lutra

#endif // LUTRA_LIB_SCHEDULE_CASCADESCHEDULE_H
