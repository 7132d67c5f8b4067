//===- DeduplicateKernels.cpp - One of each set of equal kernels ----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Kernels are equal where their text is, name and locations aside. Since
// constants and weights reach a kernel as operands, twelve equal layers of a
// model leave one kernel each.
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/Lutra.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/raw_ostream.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_DEDUPLICATEKERNELS
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// The kernel's text without its name and locations.
static std::string textOf(func::FuncOp kernel) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << kernel.getFunctionType() << kernel->getDiscardableAttrDictionary();
  OpPrintingFlags flags;
  flags.assumeVerified();
  AsmState state(kernel, flags);
  for (Operation &op : kernel.getBody().front())
    op.print(os << '\n', state);
  return text;
}

namespace {
struct DeduplicateKernels
    : lutra::impl::DeduplicateKernelsBase<DeduplicateKernels> {
  using DeduplicateKernelsBase::DeduplicateKernelsBase;

  void runOnOperation() override {
    llvm::StringMap<func::FuncOp> first;
    llvm::StringMap<StringAttr> replacement;
    for (auto kernel :
         llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>())) {
      if (!kernel->hasAttr(attr::kKernel) || kernel.isDeclaration())
        continue;
      auto [entry, isNew] = first.try_emplace(textOf(kernel), kernel);
      if (isNew)
        continue;
      replacement[kernel.getSymName()] = entry->second.getSymNameAttr();
      kernel.erase();
      ++numMerged;
    }
    getOperation().walk([&](DispatchOp dispatch) {
      auto it = replacement.find(dispatch.getKernel());
      if (it != replacement.end())
        dispatch.setKernel(it->second);
    });
  }
};
} // namespace
