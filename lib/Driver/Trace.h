//===- Trace.h - What happened when -----------------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_DRIVER_TRACE_H
#define LUTRA_LIB_DRIVER_TRACE_H

#include "mlir/Support/LLVM.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace mlir {
class PassInstrumentation;
} // namespace mlir

namespace mlir::lutra {

/// Spans of time that nest, one track for each thread.
class Trace {
public:
  /// Begins a span on this thread's track. `subject` is what it works on.
  void begin(StringRef name, StringRef category, StringRef subject = {});
  /// Ends the span that began last on this thread.
  void end();

  /// All spans that have ended, in the trace event format of Chrome.
  void print(StringRef process, llvm::raw_ostream &os) const;

private:
  using Clock = std::chrono::steady_clock;
  struct Span {
    std::string name, category, subject;
    unsigned track;
    // In nanoseconds.
    int64_t begin;
    int64_t duration = -1;
  };
  struct Track {
    unsigned number;
    SmallVector<size_t> open;
  };

  int64_t now() const {
    return std::chrono::nanoseconds(Clock::now() - start).count();
  }
  Track &track();

  Clock::time_point start = Clock::now();
  std::mutex mutex;
  std::map<std::thread::id, Track> tracks;
  std::vector<Span> spans;
};

/// Makes every pass a span of `trace`.
std::unique_ptr<PassInstrumentation> tracePasses(Trace &trace);

} // namespace mlir::lutra

#endif // LUTRA_LIB_DRIVER_TRACE_H
