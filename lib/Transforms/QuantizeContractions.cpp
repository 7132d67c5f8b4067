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
#include "WeightProduct.h"
#include "dialects/Lutra/WeightSteps.h"
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

/// Blocks of equally many of `groups`, as far as that goes, and as many blocks
/// as if they had `most` each; 0 for none.
static int64_t evenBlock(int64_t groups, int64_t most) {
  return most == 0 || groups == 0
             ? 0
             : llvm::divideCeil(groups, llvm::divideCeil(groups, most));
}

/// Says in the task's layer that it becomes codes of `format`.
static void describe(Task &task, const WeightFormat &format, int64_t group) {
  QuantizedLayer &layer = *task.layer;
  WeightProduct &product = task.product;
  int64_t rows = product.weights(product.n),
          columns = product.weights(product.k);
  layer.format = &format;
  layer.group = format.groupOf(group, columns);
  layer.integers = task.rule->integers &&
                   mpgemm::fitsAccumulator(format.numberBits(), layer.group);
  MLIRContext *context = product.op.getContext();
  int64_t ofRow = numGroups(layer.step(context, kCodes), columns),
          groups = rows * ofRow;
  layer.superBlock = evenBlock(ofRow * format.planes(),
                               task.rule->superBlock * format.planes() /
                                   std::max<int64_t>(1, group));
  QuantizeAttr step = layer.step(context, kCodes);
  bool isByte = layer.superBlock > 0 || format.scale != WeightScale::BF16;
  int64_t ofGroup =
      (isByte ? 1 : 2) * format.planes() + (format.hasZeros() ? 1 : 0);
  layer.quantizedBytes =
      llvm::divideCeil(groups * format.codesOf(layer.group) * format.bits, 8) +
      groups * ofGroup + format.codebookSize();
  int64_t floats = step.numKept();
  if (layer.integers && layer.activation && layer.activation->zero != 0)
    ++floats;
  layer.quantizedBytes +=
      rows * (2 * step.numSuperScales(ofRow * format.planes()) +
              floats * sizeof(float));
  SmallVector<Attribute> steps(product.weight().getSteps().getValue());
  llvm::append_range(steps, product.matrixSteps());
  steps.push_back(step);
  NamedAttrList attributes(product.weight()->getAttrDictionary());
  attributes.set("steps", ArrayAttr::get(context, steps));
  layer.codes = attributes.getDictionary(context);
}

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
          (task.rule->format && failed(chooseGroup(task))))
        return signalPassFailure();
    if (failed(chooseBits(tasks)))
      return signalPassFailure();
    for (Task &task : tasks) {
      if (!task.layer->integers)
        task.layer->activation.reset();
      if (failed(quantizeProduct(task.product, *task.layer, task.sizes)))
        return signalPassFailure();
    }
    for (auto [layer, weight] : llvm::zip_equal(found, weights))
      layer.isKept = !weight->use_empty();
    if (layers)
      *layers = std::move(found);
  }

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
  // Where bits are still open, 4 stand for them.
  describe(task, rule.format ? *rule.format : *findWeightFormat("int4"),
           rule.group);
  FailureOr<double> error = errorOf(layer);
  if (failed(error))
    return failure();
  if (!layer.integers)
    return *error * *error;
  double ofInputs =
      rule.isStatic ? roundingError(chooseActivationScale(statistics, factors,
                                                          rule.leastSquares),
                                    statistics, weights, factors)
                    : roundingError(statistics, weights, factors, layer.group);
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
    describe(task, weightFormats().front(), 0);
    llvm::Expected<ColumnSizes> measured = measures.columns(layer.codes);
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

/// Puts what samples say about a product's inputs into its layer.
LogicalResult QuantizeContractions::useStatistics(Task &task) {
  const QuantizationRule &rule = *task.rule;
  QuantizedLayer &layer = *task.layer;
  layer.method = rule.leastSquares ? kLeastSquares : kNearest;
  auto found = calibration.find(task.number);
  if (found == calibration.end()) {
    if (rule.needsSamples())
      task.product.op.emitWarning()
          << "has inputs of which samples tell nothing, as '" << rule.text
          << "' needs";
    return success();
  }
  const ChannelStatistics &statistics = found->second;
  if (task.product.isConvolution()) {
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
  layer.moments = momentsOf(statistics, /*isMatrix=*/false, &getContext());
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
  llvm::Expected<double> error = measures.error(layer.codes);
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

std::unique_ptr<Pass> lutra::createQuantizeContractions(
    QuantizationSpec spec, Calibration calibration, WeightMeasures measures,
    std::vector<QuantizedLayer> &layers) {
  return std::make_unique<QuantizeContractions>(
      std::move(spec), std::move(calibration), std::move(measures), layers);
}
