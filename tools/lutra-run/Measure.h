//===- Measure.h - Time runs and kernels ------------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TOOLS_LUTRA_RUN_MEASURE_H
#define LUTRA_TOOLS_LUTRA_RUN_MEASURE_H

#include "Session.h"

namespace lutra::run {

/// Runs options.warmup times, then options.repeat times on the clock. Returns
/// one line: minimum, median and maximum. Throws Failure.
std::string benchmark(Session &session, const Options &options);

/// The same runs with a trace: a table by kernel, the slowest first, and a line
/// for the time outside of dispatches. Throws Failure.
std::string profile(Session &session, const Options &options);

} // namespace lutra::run

#endif // LUTRA_TOOLS_LUTRA_RUN_MEASURE_H
