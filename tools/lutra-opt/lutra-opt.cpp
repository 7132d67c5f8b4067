//===- lutra-opt.cpp - Runs passes over IR --------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MLIR's optimizer driver with Lutra's dialects and passes, for tests and for
// looking at one pass alone.
//
//===----------------------------------------------------------------------===//

#include "lutra/Driver/Registration.h"
#include "mlir/Dialect/Linalg/TransformOps/DialectExtension.h"
#include "mlir/Dialect/Transform/IR/TransformDialect.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::lutra::registerDialects(registry);
  // Upstream's tiling, as it sees the operations that implement its interfaces.
  registry.insert<mlir::transform::TransformDialect>();
  mlir::linalg::registerTransformDialectExtension(registry);
  mlir::registerAllPasses();
  mlir::lutra::registerPasses();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Lutra's optimizer driver\n", registry));
}
