//===- Tasks.h - What is worth a task ---------------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_SCHEDULE_TASKS_H
#define LUTRA_LIB_SCHEDULE_TASKS_H

#include <cstdint>

namespace mlir::lutra {

/// Multiply-adds, or elements moved, that are worth waking another thread for.
inline constexpr int64_t kMinTaskWork = 1 << 15;
/// Tasks that the columns of a contraction are cut into, if they are enough.
inline constexpr int64_t kMinTasks = 6;

} // namespace mlir::lutra

#endif // LUTRA_LIB_SCHEDULE_TASKS_H
