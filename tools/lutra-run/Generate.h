//===- Generate.h - Continue a text -----------------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TOOLS_LUTRA_RUN_GENERATE_H
#define LUTRA_TOOLS_LUTRA_RUN_GENERATE_H

#include "Options.h"
#include "lutra/runtime.h"

namespace lutra::run {

/// Prints how the model continues options.generate.prompt, each token as soon
/// as it is known, and with options.benchmark a line about the time. Throws
/// Failure.
void generate(const lutra_model *model, const Options &options);

} // namespace lutra::run

#endif // LUTRA_TOOLS_LUTRA_RUN_GENERATE_H
