//===- KernelReport.cpp - What each kernel computes -----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads kernels before they are tiled, when an operation's loops are still the
// whole iteration space. Sizes are over the kernel's own parameters, which each
// dispatch binds later: equal layers share a kernel and differ in sizes.
//
//===----------------------------------------------------------------------===//

#include "dialects/MPGemm/MPGemm.h"
#include "lutra/Analysis/Contraction.h"
#include "lutra/Analysis/ModelReport.h"
#include "lutra/Analysis/ProductCost.h"
#include "lutra/Analysis/SizeExpressions.h"
#include "lutra/Analysis/TargetFeatures.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::lutra;

/// Operations on floating point numbers that `op` stands for.
static int64_t flopsOf(Operation *op) {
  if (!isa<arith::ArithDialect, math::MathDialect>(op->getDialect()) ||
      op->getNumResults() != 1 || !isa<FloatType>(op->getResult(0).getType()) ||
      isa<arith::ConstantOp, arith::SelectOp, CastOpInterface>(op))
    return 0;
  return isa<math::FmaOp>(op) ? 2 : 1;
}

namespace mlir::lutra {
class KernelReader {
public:
  explicit KernelReader(func::FuncOp kernel)
      : kernel(kernel), sizes(kernel.getContext(), [this](auto... leaf) {
          return parameter(leaf...);
        }) {}

  ReportCollector::Template read();

private:
  AffineExpr parameter(BlockArgument argument, std::optional<unsigned> dim);
  SmallVector<AffineExpr> loopsOf(linalg::LinalgOp op);
  SmallVector<AffineExpr> loopsOf(mpgemm::ProductOpInterface op);
  AffineExpr flopsIn(Region &region);
  AffineExpr flopsIn(Operation *op);
  AffineExpr turns(LoopLikeOpInterface loop);
  Operation *findRoot();

  func::FuncOp kernel;
  SizeExpressions sizes;
  SmallVector<ReportCollector::Parameter> parameters;
};
} // namespace mlir::lutra

AffineExpr KernelReader::parameter(BlockArgument argument,
                                   std::optional<unsigned> dim) {
  if (argument.getOwner() != &kernel.getBody().front())
    return {};
  ReportCollector::Parameter wanted(argument.getArgNumber(), dim);
  auto it = llvm::find(parameters, wanted);
  unsigned position = it - parameters.begin();
  if (it == parameters.end())
    parameters.push_back(wanted);
  return getAffineSymbolExpr(position, kernel.getContext());
}

/// The size of each loop, from an operand that it alone indexes.
SmallVector<AffineExpr> KernelReader::loopsOf(linalg::LinalgOp op) {
  SmallVector<AffineExpr> loops(op.getNumLoops());
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<ShapedType>(operand.get().getType()))
      continue;
    AffineMap map = op.getMatchingIndexingMap(&operand);
    for (auto [position, expr] : llvm::enumerate(map.getResults()))
      if (auto loop = dyn_cast<AffineDimExpr>(expr))
        if (!loops[loop.getPosition()])
          loops[loop.getPosition()] = sizes.size(operand.get(), position);
  }
  return loops;
}

/// Rows, columns, groups, and codes of a group.
SmallVector<AffineExpr> KernelReader::loopsOf(mpgemm::ProductOpInterface op) {
  return {sizes.size(op.getX(), 0), sizes.size(op.getInit(), 1),
          sizes.size(op.getX(), 1), sizes.constant(op.getGroupSize())};
}

/// How often the body of a loop runs, where its bounds say so.
AffineExpr KernelReader::turns(LoopLikeOpInterface loop) {
  auto lower = loop.getLoopLowerBounds(), upper = loop.getLoopUpperBounds(),
       steps = loop.getLoopSteps();
  AffineExpr result = sizes.constant(1);
  if (!lower || !upper || !steps)
    return {};
  for (auto [from, to, by] : llvm::zip_equal(*lower, *upper, *steps)) {
    AffineExpr begin = sizes.value(from), end = sizes.value(to);
    auto step = dyn_cast_or_null<AffineConstantExpr>(sizes.value(by));
    if (!begin || !end || !step || step.getValue() < 1)
      return {};
    result = boundedProduct(result, (end - begin).ceilDiv(step));
  }
  return result;
}

AffineExpr KernelReader::flopsIn(Region &region) {
  AffineExpr sum = sizes.constant(0);
  for (Operation &op : region.getOps())
    sum = boundedSum(sum, flopsIn(&op));
  return sum;
}

AffineExpr KernelReader::flopsIn(Operation *op) {
  if (auto product = dyn_cast<mpgemm::ProductOpInterface>(op))
    return boundedProduct(loopsOf(product), sizes.constant(2));
  AffineExpr sum = sizes.constant(flopsOf(op));
  for (Region &region : op->getRegions())
    sum = boundedSum(sum, flopsIn(region));
  if (op->getNumRegions() == 0 || sum == sizes.constant(0))
    return sum;
  if (auto structured = dyn_cast<linalg::LinalgOp>(op))
    return boundedProduct(loopsOf(structured), sum);
  if (auto loop = dyn_cast<LoopLikeOpInterface>(op))
    return boundedProduct(sum, turns(loop));
  return {};
}

/// The operation that a kernel is about: a contraction, else a reduction, else
/// the last that computes, else the last.
Operation *KernelReader::findRoot() {
  auto products = kernel.getOps<mpgemm::ProductOpInterface>();
  if (!products.empty())
    return *products.begin();
  linalg::LinalgOp contraction, reduction, last;
  kernel.walk([&](linalg::LinalgOp op) {
    if (!contraction && matchContraction(op))
      contraction = op;
    if (!reduction && op.getNumReductionLoops() > 0)
      reduction = op;
    if (!last || !isa<linalg::FillOp>(op))
      last = op;
  });
  if (contraction || reduction)
    return contraction ? contraction : reduction;
  if (last && !isa<linalg::FillOp>(last))
    return last;
  Operation *ret = kernel.getBody().front().getTerminator();
  Operation *op = ret->getPrevNode();
  return op ? op : ret;
}

static StringRef kindOf(Operation *root) {
  if (isa<mpgemm::ProductOpInterface>(root))
    return "contraction";
  if (root->getParentOfType<LoopLikeOpInterface>())
    return "loop";
  auto op = dyn_cast<linalg::LinalgOp>(root);
  if (!op)
    return isa<LoopLikeOpInterface>(root) ? "loop" : "copy";
  if (matchContraction(op))
    return "contraction";
  return op.getNumReductionLoops() > 0 ? "reduction" : "map";
}

ReportCollector::Template KernelReader::read() {
  ReportCollector::Template result;
  KernelReport &report = result.kernel;
  report.name = kernel.getSymName().str();
  report.outputs = kernel.getNumResults();
  Operation *root = findRoot();
  report.kind = kindOf(root).str();
  report.root = root->getName().getStringRef().str();
  if (auto op = dyn_cast<linalg::LinalgOp>(root)) {
    report.work.loops = loopsOf(op);
    for (utils::IteratorType kind : op.getIteratorTypesArray())
      report.isReduction.push_back(kind == utils::IteratorType::reduction);
  } else if (auto product = dyn_cast<mpgemm::ProductOpInterface>(root)) {
    if (product.hasTables())
      report.root += " tables";
    else if (areFloatTilesFaster(product, targetOf(kernel)))
      report.root += " bf16";
    report.costs = costsOfChoice(product, targetOf(kernel));
    report.work.loops = loopsOf(product);
    report.isReduction = {false, false, true, true};
  }
  result.flops = flopsIn(kernel.getBody());
  result.parameters = parameters;
  return result;
}

void ReportCollector::collectKernels(ModuleOp module) {
  for (auto func : module.getOps<func::FuncOp>())
    if (func->hasAttr(attr::kKernel) && !func.isExternal())
      templates[func.getSymName()] = KernelReader(func).read();
}
