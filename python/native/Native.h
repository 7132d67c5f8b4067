//===- Native.h - The parts of the native module ----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_PYTHON_NATIVE_NATIVE_H
#define LUTRA_PYTHON_NATIVE_NATIVE_H

#include <nanobind/nanobind.h>

namespace lutra::python {

/// Adds `compile`, `ir` and `check`: lib/Driver.
void addCompile(nanobind::module_ &module);

/// Adds `Model` and `State`: the runtime.
void addModel(nanobind::module_ &module);

/// Adds `Caller`, which calls a model.
void addCall(nanobind::module_ &module);

} // namespace lutra::python

#endif // LUTRA_PYTHON_NATIVE_NATIVE_H
