//===- Check.cpp - What of a model is not supported -----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Asks the registry about every node, so that one run names all that stands in
// a model's way.
//
//===----------------------------------------------------------------------===//

#include "ONNXLibrary.h"
#include "lutra/Frontend/ONNX/Import.h"
#include "lutra/Frontend/ONNX/Registry.h"

using namespace mlir;
using namespace mlir::lutra;

std::optional<int64_t>
mlir::lutra::sinceVersion(StringRef domain, StringRef name, int64_t version) {
  return model::schemaVersion(domain.str(), name.str(), version);
}

std::vector<Refusal> mlir::lutra::checkSupport(ModuleOp module) {
  std::vector<Refusal> refusals;
  module.walk<WalkOrder::PreOrder>([&](onnx::NodeOp node) {
    Support support = Registry::get().supports(node);
    if (support)
      return;
    StringRef domain = node.getDomain(), op = node.getOpType();
    int64_t version = node.getVersion();
    refusals.push_back({node.getNodeName().str(), printable(domain),
                        printable(op), printable(support.reason()),
                        sinceVersion(domain, op, version).value_or(version)});
  });
  return refusals;
}
