//===- QuantizeContractions.cpp - Products with quantized weights ---------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finds the products with weights, decides by the rules what each becomes, and
// rewrites them. Where a rule leaves something open, sizes of groups or bits,
// the weights' errors decide, for which the driver reads them.
//
//===----------------------------------------------------------------------===//

#include "AllocateBits.h"
#include "WeightProduct.h"
#include "dialects/MPGemm/MPGemm.h"
#include "lutra/Analysis/TensorSizes.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_QUANTIZECONTRACTIONS
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// Products with fewer weights than that stay: they are a small part of a
/// model, and of its time.
static constexpr int64_t kLeastWeights = 4096;
/// Groups are halved as long as they have more weights than that.
static constexpr int64_t kLeastGroup = 16;
/// What bits choose between.
static constexpr StringLiteral kAutoFormats[] = {"int2", "int3", "int4", "int5",
                                                 "int6", "int7", "int8"};

namespace {
/// A product that is to be quantized.
struct Task {
  WeightProduct product;
  SmallVector<OpFoldResult> sizes;
  const QuantizationRule *rule;
  QuantizedLayer *layer;
};
} // namespace

/// Why a product stays as it is; empty if it does not. Sorts its loops.
static std::string reasonToStay(WeightProduct &product,
                                const QuantizationRule *rule) {
  StringRef reason = sortLoops(product);
  if (!reason.empty())
    return reason.str();
  if (!rule)
    return "no rule";
  if (!rule->format && rule->bits == 0)
    return "'" + rule->text + "'";
  if (product.type().getNumElements() < kLeastWeights)
    return "fewer than " + std::to_string(kLeastWeights) + " weights";
  return "";
}

/// Says in the task's layer that it becomes codes of `format`.
static void describe(Task &task, const WeightFormat &format, int64_t group) {
  QuantizedLayer &layer = *task.layer;
  WeightProduct &product = task.product;
  int64_t rows = product.weights(product.n),
          columns = product.weights(product.k);
  layer.format = &format;
  layer.group = group == 0 ? columns : std::min(group, columns);
  layer.integers =
      task.rule->integers && mpgemm::fitsAccumulator(format.bits, layer.group);
  layer.leastSquares = task.rule->leastSquares;
  int64_t groups = rows * llvm::divideCeil(columns, layer.group),
          ofGroup = 2 + (format.hasZeros() ? 1 : 0);
  layer.quantizedBytes =
      llvm::divideCeil(groups * layer.group * format.bits, 8) +
      groups * ofGroup;
  MLIRContext *context = product.op.getContext();
  SmallVector<Attribute> steps(product.weight().getSteps().getValue());
  llvm::append_range(steps, product.matrixSteps());
  steps.push_back(layer.step(context, kCodes));
  NamedAttrList attributes(product.weight()->getAttrDictionary());
  attributes.set("steps", ArrayAttr::get(context, steps));
  layer.codes = attributes.getDictionary(context);
}

namespace {
struct QuantizeContractions
    : lutra::impl::QuantizeContractionsBase<QuantizeContractions> {
  using QuantizeContractionsBase::QuantizeContractionsBase;
  QuantizeContractions(QuantizationSpec rules, MeasureWeight measure,
                       std::vector<QuantizedLayer> &layers)
      : rules(std::move(rules)), measure(std::move(measure)), layers(&layers) {}
  QuantizeContractions(const QuantizeContractions &other)
      : QuantizeContractionsBase(other), rules(other.rules),
        measure(other.measure), layers(other.layers) {}

  LogicalResult initialize(MLIRContext *context) override {
    if (!rules.rules.empty())
      return success();
    auto parsed = QuantizationSpec::parse(spec);
    if (!parsed)
      return emitError(UnknownLoc::get(context))
             << llvm::toString(parsed.takeError());
    rules = std::move(*parsed);
    return success();
  }

  void runOnOperation() override {
    std::vector<QuantizedLayer> found;
    SmallVector<WeightOp> weights;
    std::vector<Task> tasks = collect(found, weights);
    for (Task &task : tasks)
      if (task.rule->format && failed(chooseGroup(task)))
        return signalPassFailure();
    if (failed(chooseBits(tasks)))
      return signalPassFailure();
    for (Task &task : tasks)
      if (failed(quantizeProduct(task.product, *task.layer, task.sizes)))
        return signalPassFailure();
    for (auto [layer, weight] : llvm::zip_equal(found, weights))
      layer.isKept = !weight->use_empty();
    if (layers)
      *layers = std::move(found);
  }

  std::vector<Task> collect(std::vector<QuantizedLayer> &found,
                            SmallVectorImpl<WeightOp> &weights);
  FailureOr<double> errorOf(const QuantizedLayer &layer);
  LogicalResult chooseGroup(Task &task);
  LogicalResult chooseBits(MutableArrayRef<Task> tasks);
  LogicalResult chooseBits(const QuantizationRule &rule,
                           ArrayRef<Task *> tasks);

  QuantizationSpec rules;
  MeasureWeight measure;
  std::vector<QuantizedLayer> *layers = nullptr;
};
} // namespace

/// All products with weights, and those of them that are to be quantized.
std::vector<Task>
QuantizeContractions::collect(std::vector<QuantizedLayer> &found,
                              SmallVectorImpl<WeightOp> &weights) {
  std::vector<Task> tasks;
  std::vector<size_t> places;
  getOperation().walk([&](linalg::LinalgOp op) {
    std::optional<WeightProduct> product = matchWeightProduct(op);
    if (!product)
      return;
    SmallVector<StringRef> names = product->names();
    const QuantizationRule *rule = rules.find(names);
    QuantizedLayer &layer = found.emplace_back();
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
    tasks.push_back({std::move(*product), std::move(*sizes), rule, nullptr});
    places.push_back(found.size() - 1);
  });
  // Now that layers stay where they are.
  for (auto [task, place] : llvm::zip_equal(tasks, places))
    task.layer = &found[place];
  return tasks;
}

FailureOr<double> QuantizeContractions::errorOf(const QuantizedLayer &layer) {
  if (!measure)
    return getOperation().emitError("expected a rule that needs no weights");
  llvm::Expected<double> error = measure(layer.codes);
  if (!error)
    return getOperation().emitError(llvm::toString(error.takeError()));
  return *error;
}

/// Halves groups, as FineQuant (Kim et al., 2023) does, while the error is
/// above what the rule allows.
LogicalResult QuantizeContractions::chooseGroup(Task &task) {
  describe(task, *task.rule->format, task.rule->group);
  while (task.rule->mostError > 0 && task.layer->group > kLeastGroup) {
    FailureOr<double> error = errorOf(*task.layer);
    if (failed(error))
      return failure();
    if (*error <= task.rule->mostError)
      break;
    describe(task, *task.rule->format,
             std::max(kLeastGroup, task.layer->group / 2));
  }
  return success();
}

LogicalResult QuantizeContractions::chooseBits(MutableArrayRef<Task> tasks) {
  llvm::MapVector<const QuantizationRule *, SmallVector<Task *>> byRule;
  for (Task &task : tasks)
    if (task.rule->bits > 0)
      byRule[task.rule].push_back(&task);
  for (auto &[rule, ofRule] : byRule)
    if (failed(chooseBits(*rule, ofRule)))
      return failure();
  return success();
}

/// Chooses formats such that the errors of the products, of which each counts
/// the same, are least within the rule's bits.
LogicalResult QuantizeContractions::chooseBits(const QuantizationRule &rule,
                                               ArrayRef<Task *> tasks) {
  std::vector<SmallVector<BitChoice>> choices;
  int64_t weights = 0, least = 0;
  for (Task *task : tasks) {
    choices.emplace_back();
    for (StringRef name : kAutoFormats) {
      describe(*task, *findWeightFormat(name), rule.group);
      FailureOr<double> error = errorOf(*task->layer);
      if (failed(error))
        return failure();
      choices.back().push_back(
          {8 * task->layer->quantizedBytes, *error * *error});
    }
    weights += task->product.type().getNumElements();
    least += choices.back().front().bits;
  }
  auto chosen = allocateBits(choices, int64_t(rule.bits * weights));
  if (!chosen)
    return getOperation().emitError("expected at least ")
           << llvm::formatv("{0:F2}", double(least) / weights).str()
           << " bits per weight, got '" << rule.text << "'";
  for (auto [task, format] : llvm::zip_equal(tasks, *chosen))
    describe(*task, *findWeightFormat(kAutoFormats[format]), rule.group);
  return success();
}

std::unique_ptr<Pass>
lutra::createQuantizeContractions(QuantizationSpec spec, MeasureWeight measure,
                                  std::vector<QuantizedLayer> &layers) {
  return std::make_unique<QuantizeContractions>(std::move(spec),
                                                std::move(measure), layers);
}
