//===- RegisterPasses.cpp - The passes that lutra-opt knows by name -------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Registers the passes of every room, as their Passes.td declare them.
//
//===----------------------------------------------------------------------===//

#include "lutra/Conversion/Passes.h"
#include "lutra/Driver/Registration.h"
#include "lutra/Frontend/ONNX/Passes.h"
#include "lutra/Schedule/Passes.h"
#include "lutra/Target/Passes.h"
#include "lutra/Transforms/Passes.h"

using namespace mlir;

void lutra::registerPasses() {
  registerLutraFrontendPasses();
  registerLutraTransformsPasses();
  registerLutraConversionPasses();
  registerLutraSchedulePasses();
  registerLutraTargetPasses();
}
