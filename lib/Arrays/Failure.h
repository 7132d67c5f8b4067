//===- Failure.h - How running a model fails --------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_ARRAYS_FAILURE_H
#define LUTRA_LIB_ARRAYS_FAILURE_H

#include "lutra/runtime.h"

#include <stdexcept>
#include <string>

namespace lutra::run {

/// Documented in docs/Errors.md; the same for every tool.
enum class Exit {
  Ok = 0,
  Internal = 1,
  CommandLine = 2,
  Invalid = 3, // The artifact or an input.
  InputOutput = 4,
  Mismatch = 5
};

/// Thrown anywhere, printed once by main.
class Failure : public std::runtime_error {
public:
  Failure(Exit code, const std::string &message)
      : std::runtime_error(message), code(code) {}

  Exit code;
};

/// Throws a runtime's error as a Failure and frees it.
void check(lutra_status *status);

} // namespace lutra::run

#endif // LUTRA_LIB_ARRAYS_FAILURE_H
