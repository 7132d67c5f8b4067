//===- SmallModel.c - An artifact whose descriptor is cut short -----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lutra/abi.h"

__attribute__((visibility("default")))
const uint32_t lutra_model_fake[2] = {LUTRA_MODEL_MAGIC, LUTRA_ABI_VERSION};
