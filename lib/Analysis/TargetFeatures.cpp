//===- TargetFeatures.cpp - What a target has -----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads the description of the target that the driver leaves on the module.
//
//===----------------------------------------------------------------------===//

#include "lutra/Analysis/TargetFeatures.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/TargetParser/Triple.h"

using namespace mlir;
using namespace mlir::lutra;

TargetAttr lutra::targetOf(Operation *op) {
  auto module = dyn_cast<ModuleOp>(op);
  if (!module)
    module = op->getParentOfType<ModuleOp>();
  return module ? module->getAttrOfType<TargetAttr>(attr::kTarget)
                : TargetAttr();
}

bool lutra::isAArch64(TargetAttr target) {
  return target && llvm::Triple(target.getTriple()).isAArch64();
}

bool lutra::isX86(TargetAttr target) {
  return target && llvm::Triple(target.getTriple()).isX86();
}

bool lutra::isZen(TargetAttr target) {
  return isX86(target) && target.getCpu().starts_with("znver");
}

int64_t lutra::vectorBits(TargetAttr target) {
  return target ? std::max<int64_t>(64, target.getVectorBits()) : 128;
}

int64_t lutra::vectorRegisters(TargetAttr target) {
  return target ? target.getVectorRegisters() : 16;
}

bool lutra::foreseesStreams(TargetAttr target) {
  return !isX86(target) || (isZen(target) && target.getCpu() != "znver5");
}

// By benchmarks/mpgemm.py --kind memory on a Xeon of the fourth generation:
// 1536 takes up to a fifth longer, and multiples of a page up to a tenth.
int64_t lutra::prefetchDistance(TargetAttr target) {
  return isX86(target) && !isZen(target) ? 3584 : 4096;
}

static bool hasTiles(TargetAttr target, StringRef product) {
  return target && target.hasFeature("amx-tile") &&
         target.hasFeature(product) && vectorBits(target) == 512;
}

bool lutra::hasVNNI(TargetAttr target) {
  return isX86(target) &&
         (target.hasFeature("avx512vnni") || target.hasFeature("avxvnni"));
}

bool lutra::hasSlowPairs(TargetAttr target) { return hasBF16Tiles(target); }

bool lutra::hasByteTiles(TargetAttr target) {
  return hasTiles(target, "amx-int8");
}

bool lutra::hasBF16Tiles(TargetAttr target) {
  return hasTiles(target, "amx-bf16");
}
