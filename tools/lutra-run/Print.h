//===- Print.h - Models and tensors as text ---------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TOOLS_LUTRA_RUN_PRINT_H
#define LUTRA_TOOLS_LUTRA_RUN_PRINT_H

#include "Array.h"

namespace lutra::run {

/// One element with all its digits: "1.5", "-3", "true".
std::string formatElement(const Array &array, int64_t index);

/// "float32[2,3] = [[1, 2, 3], [4, 5, 6]]"; of more than eight entries in a
/// dimension the first and last three.
std::string formatArray(const Array &array);

/// What `--info` prints, several lines.
std::string formatInfo(const lutra_model_desc &model);

} // namespace lutra::run

#endif // LUTRA_TOOLS_LUTRA_RUN_PRINT_H
