//===- QuantizationTasks.cpp - The products that are quantized ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finds all products with weights, in an order that depends on the module
// alone, and decides by the rules which of them stay.
//
//===----------------------------------------------------------------------===//

#include "WeightProduct.h"
#include "lutra/Analysis/TensorSizes.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::lutra;

/// Products with fewer weights than that stay: they are a small part of a
/// model, and of its time.
static constexpr int64_t kLeastWeights = 4096;

/// Why a product stays as it is; empty if it does not. Sorts its loops.
static std::string reasonToStay(WeightProduct &product,
                                const QuantizationRule *rule) {
  StringRef reason = sortLoops(product);
  if (!reason.empty())
    return reason.str();
  if (!rule)
    return "no rule";
  if (rule->formats.empty() && rule->bits == 0)
    return "'" + rule->text + "'";
  if (product.type().getNumElements() < kLeastWeights)
    return "fewer than " + std::to_string(kLeastWeights) + " weights";
  return "";
}

std::vector<QuantizationTask>
lutra::collectTasks(ModuleOp module, const QuantizationSpec &rules,
                    std::vector<QuantizedLayer> &layers,
                    SmallVectorImpl<WeightOp> &weights) {
  std::vector<QuantizationTask> tasks;
  module.walk([&](linalg::LinalgOp op) {
    std::optional<WeightProduct> product = matchWeightProduct(op);
    if (!product)
      return;
    SmallVector<StringRef> names = product->names();
    const QuantizationRule *rule = rules.find(names);
    QuantizedLayer &layer = layers.emplace_back();
    layer.weight = names.back().str();
    layer.nodes = llvm::join(ArrayRef(names).drop_back(), ", ");
    RankedTensorType type = product->type();
    layer.shape.assign(type.getShape().begin(), type.getShape().end());
    layer.bytes = type.getNumElements() * type.getElementTypeBitWidth() / 8;
    layer.reason = reasonToStay(*product, rule);
    weights.push_back(product->weight());
    if (!layer.reason.empty())
      return;
    OpBuilder b(op);
    FailureOr<SmallVector<OpFoldResult>> sizes =
        tensorSizes(b, op->getResult(0));
    if (failed(sizes) || (product->isConvolution() &&
                          failed(tensorSizes(b, product->x->get())))) {
      layer.reason = "a result of unknown size";
      return;
    }
    tasks.push_back(
        {std::move(*product), std::move(*sizes), rule, layers.size() - 1});
  });
  // Now that layers stay where they are.
  for (QuantizationTask &task : tasks)
    task.layer = &layers[task.number];
  return tasks;
}
