//===- Trace.h - Runs as events on a time line ------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TOOLS_LUTRA_RUN_TRACE_H
#define LUTRA_TOOLS_LUTRA_RUN_TRACE_H

#include "Session.h"

namespace lutra::run {

/// Runs options.warmup times, then options.repeat times while it notes when
/// each run, dispatch and task begins and ends. Returns them in the trace event
/// format of Chrome, which Perfetto reads too. Throws Failure.
std::string traceRuns(Session &session, const Options &options);

} // namespace lutra::run

#endif // LUTRA_TOOLS_LUTRA_RUN_TRACE_H
