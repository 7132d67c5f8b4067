//===- NoModel.c - A shared object that is no artifact --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

__attribute__((visibility("default"))) int lutraModelLess(void) { return 0; }
