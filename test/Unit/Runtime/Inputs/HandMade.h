//===- HandMade.h - Descriptors of artifacts written by hand ----*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What all of them say of themselves. FAKE_ABI and FAKE_FEATURES make one
// wrong.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TEST_UNIT_RUNTIME_INPUTS_HANDMADE_H
#define LUTRA_TEST_UNIT_RUNTIME_INPUTS_HANDMADE_H

#include "lutra/abi.h"

#ifndef FAKE_ABI
#define FAKE_ABI LUTRA_ABI_VERSION
#endif
#ifndef FAKE_FEATURES
#define FAKE_FEATURES ""
#endif

#define EXPORT __attribute__((visibility("default")))
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The artifact `model` of the `inputs`, `outputs`, `dims`, `plan` and `run` of
   its file; fields that not all have are given. */
#define MODEL(model, ...)                                                      \
  EXPORT const lutra_model_desc lutra_model_##model = {                        \
      .magic = LUTRA_MODEL_MAGIC,                                              \
      .abi_version = FAKE_ABI,                                                 \
      .name = #model,                                                          \
      .compiler = "lutra 0.1.0 (by hand)",                                     \
      .triple = "x86_64-unknown-linux-gnu",                                    \
      .cpu = "generic",                                                        \
      .features = FAKE_FEATURES,                                               \
      .input_count = COUNT(inputs),                                            \
      .output_count = COUNT(outputs),                                          \
      .dim_count = COUNT(dims),                                                \
      .inputs = inputs,                                                        \
      .outputs = outputs,                                                      \
      .dims = dims,                                                            \
      .plan = plan,                                                            \
      .run = run,                                                              \
      __VA_ARGS__}

#endif // LUTRA_TEST_UNIT_RUNTIME_INPUTS_HANDMADE_H
