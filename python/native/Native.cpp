//===- Native.cpp - The native module of the Python package ---------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Puts `lutra._native` together. It is private to the package: it trusts what
// python/lutra passes in.
//
//===----------------------------------------------------------------------===//

#include "Native.h"

NB_MODULE(_native, module) {
  lutra::python::addCompile(module);
  lutra::python::addModel(module);
  lutra::python::addCall(module);
}
