//===- Inputs.h - The inputs of a run ---------------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TOOLS_LUTRA_RUN_INPUTS_H
#define LUTRA_TOOLS_LUTRA_RUN_INPUTS_H

#include "Array.h"
#include "Options.h"

#include <string_view>

namespace lutra::run {

/// "2x3xf32=1,2,3,4,5,6", "f32=1" (a scalar), "4xi64=0" (four zeros). Throws
/// Failure(Invalid) that starts with `origin`.
Array parseLiteral(std::string_view text, const std::string &origin);

/// Fills with a sequence that is the same on every machine: floats uniform in
/// [-1,1), bytes in their whole range, wider integers in 0..7 (they are often
/// indices), bools.
void fillRandom(Array &array, uint64_t seed);

/// All inputs in the model's order: given ones read or parsed, all others
/// random, with dims taken from the given ones, then --dim, then the smallest.
/// Throws Failure.
std::vector<Array> makeInputs(const lutra_model *model, const Options &options);

} // namespace lutra::run

#endif // LUTRA_TOOLS_LUTRA_RUN_INPUTS_H
