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

#include "ActivationScale.h"
#include "AllocateBits.h"
#include "ChannelFactors.h"
#include "QuantizedParts.h"
#include "WeightProduct.h"
#include "dialects/MPGemm/MPGemm.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/FormatVariadic.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_QUANTIZECONTRACTIONS
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

using Task = QuantizationTask;

/// Groups are halved as long as they have more weights than that.
static constexpr int64_t kLeastGroup = 16;
/// Channels are rounded twice from this part of the largest input on, as in
/// ARCQuant.
static constexpr double kResidualPart = 0.125;
/// What bits choose between.
static constexpr StringLiteral kAutoFormats[] = {"int2", "int3", "int4", "int5",
                                                 "int6", "int7", "int8"};

/// The moments of a product's inputs as a weight: of any two, which a file has,
/// or the squares.
static DictionaryAttr momentsOf(const ChannelStatistics &statistics,
                                bool isMatrix, MLIRContext *context) {
  Builder b(context);
  int64_t k = statistics.squares.size();
  auto type = RankedTensorType::get(k, b.getF32Type());
  SmallVector<NamedAttribute> attributes = {
      b.getNamedAttr("name", b.getStringAttr("moments"))};
  auto set = [&](StringRef name, Attribute value) {
    attributes.push_back(b.getNamedAttr(name, value));
  };
  if (isMatrix) {
    type = type.clone({k, k});
    set("source", b.getStringAttr(statistics.moments));
    set("size", b.getI64IntegerAttr(k * k * sizeof(float)));
  } else {
    set("value", DenseElementsAttr::get(type, ArrayRef(statistics.squares)));
  }
  set("storage", TypeAttr::get(type));
  return b.getDictionaryAttr(attributes);
}

static DenseElementsAttr factorsOf(ArrayRef<float> factors,
                                   MLIRContext *context) {
  auto type =
      RankedTensorType::get(int64_t(factors.size()), Float32Type::get(context));
  return DenseElementsAttr::get(type, factors);
}

namespace {
struct QuantizeContractions
    : lutra::impl::QuantizeContractionsBase<QuantizeContractions> {
  using QuantizeContractionsBase::QuantizeContractionsBase;
  QuantizeContractions(QuantizationSpec rules, Calibration calibration,
                       WeightMeasures measures,
                       std::vector<QuantizedLayer> &layers)
      : rules(std::move(rules)), calibration(std::move(calibration)),
        measures(std::move(measures)), layers(&layers) {}
  QuantizeContractions(const QuantizeContractions &other)
      : QuantizeContractionsBase(other), rules(other.rules),
        calibration(other.calibration), measures(other.measures),
        layers(other.layers) {}

  LogicalResult initialize(MLIRContext *context) override {
    return rules.initialize(spec, context);
  }

  void runOnOperation() override {
    std::vector<QuantizedLayer> found;
    SmallVector<WeightOp> weights;
    std::vector<Task> tasks =
        collectTasks(getOperation(), rules, found, weights);
    for (Task &task : tasks)
      if (failed(useStatistics(task)) ||
          (!task.rule->formats.empty() && failed(chooseGroup(task))))
        return signalPassFailure();
    if (failed(chooseBits(tasks)))
      return signalPassFailure();
    for (Task &task : tasks) {
      if (llvm::none_of(task.layer->parts,
                        std::mem_fn(&QuantizedPart::integers)))
        task.layer->activation.reset();
      if (failed(quantizeProduct(task.product, *task.layer, task.sizes)))
        return signalPassFailure();
    }
    for (auto [layer, weight] : llvm::zip_equal(found, weights))
      layer.isKept = !weight->use_empty();
    if (layers)
      *layers = std::move(found);
  }

  LogicalResult chooseParts(Task &task);
  LogicalResult useStatistics(Task &task);
  FailureOr<double> costOf(Task &task, const ChannelStatistics &statistics,
                           const ColumnSizes &weights, ArrayRef<float> factors);
  LogicalResult chooseFactors(Task &task, const ChannelStatistics &statistics);
  FailureOr<double> errorOf(const QuantizedLayer &layer);
  LogicalResult chooseGroup(Task &task);
  LogicalResult chooseBits(MutableArrayRef<Task> tasks);
  LogicalResult chooseBits(const QuantizationRule &rule,
                           ArrayRef<Task *> tasks);

  QuantizationSpec rules;
  Calibration calibration;
  WeightMeasures measures;
  std::vector<QuantizedLayer> *layers = nullptr;
};
} // namespace

/// The squared error of a product's outputs with these factors, relative to
/// outputs, as if inputs were uncorrelated.
FailureOr<double>
QuantizeContractions::costOf(Task &task, const ChannelStatistics &statistics,
                             const ColumnSizes &weights,
                             ArrayRef<float> factors) {
  const QuantizationRule &rule = *task.rule;
  QuantizedLayer &layer = *task.layer;
  layer.factors = factorsOf(factors, &getContext());
  describe(task);
  FailureOr<double> error = errorOf(layer);
  if (failed(error))
    return failure();
  const QuantizedPart &part = layer.parts.front();
  if (!part.integers)
    return *error * *error;
  double ofInputs =
      rule.isStatic ? roundingError(chooseActivationScale(statistics, factors,
                                                          rule.leastSquares),
                                    statistics, weights, factors)
                    : roundingError(statistics, weights, factors, part.group);
  return *error * *error + ofInputs;
}

/// Takes out channels that are to stay, lets some be rounded twice and smooths
/// others where that helps, and chooses the scale of the inputs that come of
/// it.
LogicalResult
QuantizeContractions::chooseFactors(Task &task,
                                    const ChannelStatistics &statistics) {
  const QuantizationRule &rule = *task.rule;
  QuantizedLayer &layer = *task.layer;
  ArrayRef<float> largest = statistics.largest;
  std::vector<float> factors(largest.size(), 1);
  bool isNeeded =
      rule.outliers > 0 &&
      markOutliers(factors, largest, rule.outliers, largest.size(), 0);
  ColumnSizes weights;
  if (rule.smooth > 0 || rule.residuals > 0) {
    QuantizedPart any = partOf(task, weightFormats().front(), {}, 0);
    llvm::Expected<ColumnSizes> measured = measures.columns(any.codes);
    if (!measured)
      return getOperation().emitError(llvm::toString(measured.takeError()));
    weights = std::move(*measured);
  }
  auto tryFactors = [&](const std::vector<float> &tried) -> LogicalResult {
    FailureOr<double> before = costOf(task, statistics, weights, factors),
                      after = costOf(task, statistics, weights, tried);
    if (failed(before) || failed(after))
      return failure();
    if (*after < *before) {
      factors = tried;
      isNeeded = true;
    }
    return success();
  };
  if (rule.residuals > 0) {
    std::vector<float> marked = factors;
    double threshold = kResidualPart * *llvm::max_element(largest);
    if (markOutliers(marked, largest, threshold, rule.residuals, -1) &&
        failed(tryFactors(marked)))
      return failure();
  }
  if (rule.smooth > 0) {
    std::vector<float> smoothed =
        smoothingFactors(largest, weights.largest, rule.smooth);
    for (auto [factor, kept] : llvm::zip_equal(smoothed, factors))
      factor *= kept;
    if (failed(tryFactors(smoothed)))
      return failure();
  }
  layer.factors =
      isNeeded ? factorsOf(factors, &getContext()) : DenseElementsAttr();
  if (rule.isStatic)
    layer.activation =
        chooseActivationScale(statistics, factors, rule.leastSquares);
  return success();
}

/// Chooses what outputs have which of the rule's formats. Of two, those that
/// lose most by the first have the second; what is nearest tells them apart as
/// well as what is best, in less time.
LogicalResult QuantizeContractions::chooseParts(Task &task) {
  const QuantizationRule &rule = *task.rule;
  QuantizedLayer &layer = *task.layer;
  // Where bits are still open, 4 stand for them.
  layer.parts = {
      {rule.formats.empty() ? findWeightFormat("int4") : rule.formats.front()}};
  if (rule.formats.size() < 2)
    return success();
  int64_t outputs = task.product.weights(task.product.n),
          wide = outputsOf(rule.share, outputs);
  if (outputs == 1) {
    layer.parts.front().format = rule.formats[wide];
    return success();
  }
  if (!measures.rows)
    return getOperation().emitError("expected a rule that needs no weights");
  StringRef method = std::exchange(layer.method, kNearest);
  const WeightFormat &narrow = *rule.formats.front();
  auto errors = measures.rows(
      partOf(task, narrow, /*rows=*/{}, rule.groupOf(narrow)).codes);
  layer.method = method;
  if (!errors)
    return getOperation().emitError(llvm::toString(errors.takeError()));
  auto [few, many] = splitRows(*errors, wide, &getContext());
  layer.parts = {{&narrow, few}, {rule.formats.back(), many}};
  return success();
}

/// Puts what samples say about a product's inputs into its layer.
LogicalResult QuantizeContractions::useStatistics(Task &task) {
  const QuantizationRule &rule = *task.rule;
  QuantizedLayer &layer = *task.layer;
  layer.method = rule.leastSquares ? kLeastSquares : kNearest;
  auto found = calibration.find(task.number);
  bool isConvolution = task.product.isConvolution();
  if (found != calibration.end() && !isConvolution)
    layer.moments = momentsOf(found->second, /*isMatrix=*/false, &getContext());
  if (failed(chooseParts(task)))
    return failure();
  if (found == calibration.end()) {
    if (rule.needsSamples())
      task.product.op.emitWarning()
          << "has inputs of which samples tell nothing, as '" << rule.text
          << "' needs";
    return success();
  }
  const ChannelStatistics &statistics = found->second;
  if (isConvolution) {
    std::vector<float> ones(statistics.largest.size(), 1);
    layer.activation =
        chooseActivationScale(statistics, ones, rule.leastSquares);
    if (rule.needsChannels())
      task.product.op.emitWarning()
          << "is a convolution, of which samples choose no more than a scale, "
             "got '"
          << rule.text << "'";
    return success();
  }
  // Not by the matrix, whose errors take longer.
  if (failed(chooseFactors(task, statistics)))
    return failure();
  if (!rule.compensates)
    return success();
  if (statistics.moments.empty()) {
    task.product.op.emitWarning()
        << "has " << statistics.squares.size()
        << " input channels, too many for gptq; mse is used instead";
    return success();
  }
  layer.method = kCompensated;
  layer.moments = momentsOf(statistics, /*isMatrix=*/true, &getContext());
  return success();
}

FailureOr<double> QuantizeContractions::errorOf(const QuantizedLayer &layer) {
  if (!measures.error)
    return getOperation().emitError("expected a rule that needs no weights");
  llvm::Expected<double> error = measures.error(layer.parts);
  if (!error)
    return getOperation().emitError(llvm::toString(error.takeError()));
  return *error;
}

/// Halves groups, as FineQuant (Kim et al., 2023) does, while the error is
/// above what the rule allows.
LogicalResult QuantizeContractions::chooseGroup(Task &task) {
  describe(task);
  auto largest = [&] {
    auto groups =
        llvm::map_range(task.layer->parts, std::mem_fn(&QuantizedPart::group));
    return *llvm::max_element(groups);
  };
  while (task.rule->mostError > 0 && largest() > kLeastGroup) {
    FailureOr<double> error = errorOf(*task.layer);
    if (failed(error))
      return failure();
    if (*error <= task.rule->mostError)
      break;
    describe(task, std::max(kLeastGroup, largest() / 2));
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
      describe(*task, *findWeightFormat(name));
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
    describe(*task, *findWeightFormat(kAutoFormats[format]));
  return success();
}

std::unique_ptr<Pass> lutra::createQuantizeContractions(
    QuantizationSpec spec, Calibration calibration, WeightMeasures measures,
    std::vector<QuantizedLayer> &layers) {
  return std::make_unique<QuantizeContractions>(
      std::move(spec), std::move(calibration), std::move(measures), layers);
}
