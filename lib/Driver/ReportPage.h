//===- ReportPage.h - Parts of the report's page ----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_DRIVER_REPORTPAGE_H
#define LUTRA_LIB_DRIVER_REPORTPAGE_H

#include "ModelReports.h"

namespace mlir::lutra::page {

/// `text`, which may be any bytes, as the content of an element or of an
/// attribute in double quotes.
std::string escaped(StringRef text);

/// "1.5 MiB", "-" for what is not known.
std::string formatBytes(std::optional<int64_t> bytes);
/// "1.5 M".
std::string formatCount(std::optional<int64_t> count);
/// "12.3 us".
std::string formatSeconds(double seconds);

/// The colour of a kernel, the same in all pictures.
std::string colorOf(unsigned kernel);

/// "t3: f32[1,64], 256 bytes", with the sizes of the report.
std::string describe(const ModelReport &report, const TensorReport &tensor);

/// Beside the list of dispatches, one line for each tensor from the dispatch
/// that writes it to the last that reads it. A row is `rowHeight` high.
void drawLanes(const ModelReport &report, unsigned rowHeight,
               llvm::raw_ostream &os);

/// The arena: dispatches from left to right, bytes from bottom to top.
void drawMemory(const ModelReport &report, llvm::raw_ostream &os);

extern const llvm::StringLiteral kStyle, kScript;

} // namespace mlir::lutra::page

#endif // LUTRA_LIB_DRIVER_REPORTPAGE_H
