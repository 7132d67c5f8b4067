//===- RegisterDialects.cpp - The dialects that a tool understands --------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One list of dialects for the compiler, lutra-opt and the language server, so
// that what one of them writes the others read.
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Cascade.h"
#include "dialects/Lut/Lut.h"
#include "dialects/Lutra/Lutra.h"
#include "dialects/MPGemm/MPGemm.h"
#include "dialects/ONNX/ONNX.h"
#include "lutra/Driver/Registration.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"

using namespace mlir;

void lutra::registerDialects(DialectRegistry &registry) {
  registry.insert<onnx::ONNXDialect, LutraDialect, cascade::CascadeDialect,
                  lut::LutDialect, mpgemm::MPGemmDialect>();
  cascade::registerEinsumModels(registry);
  mpgemm::registerBufferizationModels(registry);
  registerAllDialects(registry);
  registerAllExtensions(registry);
  registerAllToLLVMIRTranslations(registry);
}
