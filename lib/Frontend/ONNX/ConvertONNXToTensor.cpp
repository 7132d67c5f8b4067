//===- ConvertONNXToTensor.cpp - Lowers each node by its handler ----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Asks the registry about every node and reports all refusals; then lowers the
// functions, and again where that has told more of their dimensions.
//
//===----------------------------------------------------------------------===//

#include "HostLowering.h"
#include "SizeAlgebra.h"
#include "lutra/Frontend/ONNX/Passes.h"

#include "dialects/Cascade/Cascade.h"
#include "dialects/Lutra/Lutra.h"
#include "dialects/MPGemm/MPGemm.h"
#include "lutra/Frontend/ONNX/Import.h"
#include "lutra/Frontend/ONNX/Registry.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <numeric>

namespace mlir::lutra {
#define GEN_PASS_DEF_CONVERTONNXTOTENSOR
#include "lutra/Frontend/ONNX/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// Reports every node that the registry refuses.
static LogicalResult checkNodes(ModuleOp module) {
  bool refused = false;
  module.walk([&](onnx::NodeOp node) {
    if (node->getParentOfType<onnx::NodeOp>())
      return; // Its owner may not run it, or is refused as a whole.
    Support support = Registry::get().supports(node);
    if (support)
      return;
    refused = true;
    emitNodeError(node) << support.reason();
  });
  return failure(refused);
}

/// Notes in lutra.dims that a dimension is of `size`.
static void relate(func::FuncOp func, const Lowering::Relation &relation) {
  Builder b(func.getContext());
  auto list = func->getAttrOfType<ArrayAttr>(attr::kDims);
  SmallVector<Attribute> dims(list.getValue());
  auto set = [&](unsigned i, AffineExpr size) {
    NamedAttrList dim(cast<DictionaryAttr>(dims[i]));
    AffineMap map = AffineMap::get(0, dims.size(), canonicalSize(size));
    dim.set(attr::kEquals, AffineMapAttr::get(map));
    dims[i] = dim.getDictionary(b.getContext());
  };
  if (relation.multiple > 1) {
    NamedAttrList dim(cast<DictionaryAttr>(dims[relation.dim]));
    auto number = [&](StringRef key) {
      return cast<IntegerAttr>(dim.get(key)).getInt();
    };
    int64_t multiple = std::lcm(number("multiple"), relation.multiple);
    int64_t least = llvm::divideCeil(number("min"), multiple) * multiple;
    dim.set("multiple", b.getI64IntegerAttr(multiple));
    dim.set("min", b.getI64IntegerAttr(std::min(least, number("max"))));
    dims[relation.dim] = dim.getDictionary(b.getContext());
  }
  set(relation.dim, relation.size);
  // Those that it determines are of its size from now on.
  AffineExpr symbol = b.getAffineSymbolExpr(relation.dim);
  for (unsigned i = 0; i < dims.size(); ++i)
    if (auto equals =
            cast<DictionaryAttr>(dims[i]).getAs<AffineMapAttr>(attr::kEquals))
      set(i, equals.getValue().getResult(0).replace(symbol, relation.size));
  func->setAttr(attr::kDims, b.getArrayAttr(dims));
}

/// Lowers a function. Names of dimensions say less than a model knows: where a
/// node needs a dimension to be the size of another, and their names do not say
/// so, that becomes a condition of each run, and lowering begins anew. So it
/// does where what a later node asked of a dimension's range may help.
static LogicalResult lowerHost(func::FuncOp func, WeightSources &sources) {
  for (size_t attempt = 0;; ++attempt) {
    std::optional<Lowering::Relation> relation;
    auto dims = func->getAttrOfType<ArrayAttr>(attr::kDims);
    if (!dims || dims.empty())
      return lowerNodes(func, sources, relation);
    OwningOpRef<func::FuncOp> original = func.clone();
    SmallVector<Diagnostic> diagnostics;
    LogicalResult result = failure();
    {
      ScopedDiagnosticHandler handler(func.getContext(), [&](Diagnostic &d) {
        diagnostics.push_back(std::move(d));
      });
      result = lowerNodes(func, sources, relation);
    }
    auto narrowed = func->getAttrOfType<ArrayAttr>(attr::kDims);
    if (succeeded(result) || (!relation && narrowed == dims) ||
        attempt > 4 * dims.size() + 4) {
      for (Diagnostic &diagnostic : diagnostics)
        func.getContext()->getDiagEngine().emit(std::move(diagnostic));
      return result;
    }
    if (relation)
      relate(*original, *relation);
    else
      original.get()->setAttr(attr::kDims, narrowed);
    func->getBlock()->getOperations().insert(Block::iterator(func), *original);
    func.erase();
    func = original.release();
  }
}

namespace {
struct ConvertONNXToTensor
    : public lutra::impl::ConvertONNXToTensorBase<ConvertONNXToTensor> {
  ConvertONNXToTensor() = default;
  explicit ConvertONNXToTensor(WeightSources &sources) : sources(&sources) {}
  ConvertONNXToTensor(const ConvertONNXToTensor &other)
      : ConvertONNXToTensorBase(other), sources(other.sources) {}

  void runOnOperation() override {
    WeightSources own;
    ModuleOp module = getOperation();
    if (failed(checkNodes(module)))
      return signalPassFailure();
    for (auto func : llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
      if (!func.isExternal() &&
          failed(lowerHost(func, sources ? *sources : own)))
        return signalPassFailure();
  }

  WeightSources *sources = nullptr;
};
} // namespace

std::unique_ptr<Pass> lutra::createConvertONNXToTensor(WeightSources &sources) {
  return std::make_unique<ConvertONNXToTensor>(sources);
}
