//===- Samples.h - A model on samples of its inputs -------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_ARRAYS_SAMPLES_H
#define LUTRA_LIB_ARRAYS_SAMPLES_H

#include "Array.h"
#include "Failure.h"

#include <functional>
#include <optional>

namespace lutra::run {

/// Runs `artifact` on each sample of `files`, one after the other, and passes
/// its outputs on. Each file is a .npz with an array for each input, named
/// after it: of the input's shape, for all samples of the file, or of one
/// dimension more in front, along which the samples lie. A state is empty
/// before each sample. Throws nothing: what is wrong is the result.
std::optional<Failure>
runOnSamples(const std::string &artifact, const std::vector<std::string> &files,
             const std::function<void(const std::vector<Array> &)> &take);

} // namespace lutra::run

#endif // LUTRA_LIB_ARRAYS_SAMPLES_H
