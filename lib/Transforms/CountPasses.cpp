//===- CountPasses.cpp - Says how often cascades go over their ranks ------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Prints the report of each cascade as a remark.
//
//===----------------------------------------------------------------------===//

#include "lutra/Analysis/CascadeReport.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_COUNTPASSES
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

namespace {
struct CountPasses : lutra::impl::CountPassesBase<CountPasses> {
  using CountPassesBase::CountPassesBase;

  void runOnOperation() override {
    if (rows < 1 || stream < 1) {
      emitError(getOperation().getLoc(),
                "expected a tile of at least one point, got ")
          << int64_t(rows) << " by " << int64_t(stream);
      return signalPassFailure();
    }
    unsigned number = 0;
    getOperation().walk([&](cascade::CascadeOp cascade) {
      std::string text;
      llvm::raw_string_ostream os(text);
      printCascade(reportCascade(cascade, number++, {rows, stream}), os);
      emitRemark(cascade.getLoc()) << text;
    });
    markAllAnalysesPreserved();
  }
};
} // namespace
