//===- CascadeReport.cpp - The cascades of a model ------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Puts together what analyses find and what passes wrote down on a cascade.
//
//===----------------------------------------------------------------------===//

#include "lutra/Analysis/CascadeReport.h"

#include "CascadeMemory.h"
#include "CascadeNames.h"
#include "dialects/Cascade/Parts.h"
#include "dialects/Lutra/Lutra.h"
#include "lutra/Analysis/PassCount.h"
#include "lutra/Analysis/SizeExpressions.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// A size in terms of the model's dimensions, as text.
static std::string extentOf(OpFoldResult extent) {
  if (auto number = dyn_cast<Attribute>(extent))
    return std::to_string(cast<IntegerAttr>(number).getInt());
  auto value = cast<Value>(extent);
  if (auto dim = value.getDefiningOp<DimOp>())
    return readable(dim.getName());
  auto apply = value.getDefiningOp<affine::AffineApplyOp>();
  if (!apply)
    return "?";
  AffineMap map = apply.getAffineMap();
  std::vector<std::string> names;
  SmallVector<AffineExpr> symbols;
  for (Value operand : apply.getMapOperands()) {
    auto dim = operand.getDefiningOp<DimOp>();
    if (!dim)
      return "?";
    symbols.push_back(getAffineSymbolExpr(names.size(), dim.getContext()));
    names.push_back(readable(dim.getName()));
  }
  AffineExpr expr = map.getResult(0).replaceDimsAndSymbols(
      ArrayRef(symbols).take_front(map.getNumDims()),
      ArrayRef(symbols).drop_front(map.getNumDims()));
  return formula(boundedSum(expr, getAffineConstantExpr(0, apply.getContext())),
                 names);
}

static std::vector<std::string> textsOf(Operation *op, StringRef attribute) {
  std::vector<std::string> texts;
  if (auto list = op->getAttrOfType<ArrayAttr>(attribute))
    for (Attribute text : list)
      if (auto string = dyn_cast<StringAttr>(text))
        texts.push_back(readable(string.getValue()));
  return texts;
}

static std::optional<int64_t> passesBefore(CascadeOp cascade, StringRef rank) {
  auto before = cascade->getAttrOfType<DictionaryAttr>("passes");
  auto number = before ? before.getAs<IntegerAttr>(rank) : IntegerAttr();
  return number && number.getType().isSignlessInteger(64)
             ? std::optional(number.getInt())
             : std::nullopt;
}

/// Which ranks something is reduced along or iterated over.
static llvm::BitVector reducedRanks(const CascadeProgram &program,
                                    unsigned numRanks) {
  llvm::BitVector reduced(numRanks);
  for (const CascadeProgram::Step &step : program.steps)
    if (step.kind == CascadeProgram::Step::Begin)
      reduced.set(*step.iterated);
    else
      for (unsigned rank : step.ranks)
        if (!program.keeps(step, rank))
          reduced.set(rank);
  return reduced;
}

CascadeReport lutra::reportCascade(CascadeOp cascade, unsigned number,
                                   const CascadeTile &tile) {
  CascadeReport report;
  report.name = nodesOf(cascade.getLoc());
  if (report.name.empty())
    report.name = "cascade" + std::to_string(number);
  if (auto func = cascade->getParentOfType<FunctionOpInterface>())
    report.function = readable(func.getName());
  report.rewrites = textsOf(cascade, "rewrites");
  report.refusals = textsOf(cascade, "refusals");

  CascadeProgram program(cascade);
  PassCount counts(cascade);
  std::vector<std::string> names = tensorNames(program);
  llvm::DenseMap<Value, unsigned> numbers;
  for (auto [i, tensor] : llvm::enumerate(program.tensors))
    numbers[tensor.value] = i;
  llvm::BitVector reduced = reducedRanks(program, cascade.getRanks().size());
  std::vector<RankPasses> passes;
  for (auto [i, rank, extent] :
       llvm::enumerate(cascade.getRanks().getAsValueRange<StringAttr>(),
                       cascade.getMixedExtents())) {
    passes.push_back(counts.count(rank));
    passes.back().levels = llvm::DenseMap<Operation *, unsigned>();
    report.ranks.push_back({readable(rank), extentOf(extent), reduced.test(i),
                            passesBefore(cascade, rank), passes.back().passes,
                            AffineExpr()});
    // What is carried has one name, before and after.
    llvm::StringSet<> seen;
    for (const TensorPasses &tensor : passes.back().tensors) {
      const std::string &name = names[numbers.lookup(tensor.tensor)];
      if (seen.insert(name).second)
        report.reads.push_back({unsigned(i), name, tensor.direct,
                                tensor.recomputed, tensor.isLive});
    }
  }
  CascadeMemory(cascade, program, names, tile).fill(report, passes);
  for (const CascadeReport::Rank &rank : report.ranks)
    if (countsParts(cascade, rank.name))
      for (CascadeReport::Merge &merge : report.merges)
        merge.parts = rank.extent;
  return report;
}

std::vector<CascadeReport> lutra::reportCascades(Operation *root,
                                                 const CascadeTile &tile) {
  std::vector<CascadeReport> reports;
  root->walk([&](CascadeOp cascade) {
    reports.push_back(reportCascade(cascade, reports.size(), tile));
  });
  return reports;
}
