//===- ModelReport.h - Kernels, dispatches and memory of a model -*- C++
//-*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a person wants to know about a compiled model, collected from the IR at
// the ends of the phases where it is still visible. Expressions are over the
// model's dimensions, in the order of `dims`, and live as long as the context.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_ANALYSIS_MODELREPORT_H
#define LUTRA_ANALYSIS_MODELREPORT_H

#include "dialects/Lutra/Lutra.h"
#include "lutra/Analysis/ProductCost.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"
#include <map>

namespace mlir::lutra {

/// A symbolic dimension, and the size that the report's numbers are for.
struct DimReport {
  std::string name;
  int64_t min, max, multiple;
  /// The other dimensions determine this one.
  bool isDetermined;
  int64_t size;
};

/// What one call of a kernel is about. A null expression is not known.
struct WorkReport {
  /// The sizes of the root operation's loops.
  SmallVector<AffineExpr> loops;
  /// The shape of each operand.
  SmallVector<SmallVector<AffineExpr>> shapes;
  /// Operations on floating point numbers; one for a function like exp.
  AffineExpr flops;
  /// All operands, once each.
  AffineExpr bytes;
};

struct KernelReport {
  std::string name;
  /// "contraction", "reduction", "map", "loop" or "copy".
  std::string kind;
  /// The operation whose loops `work` is about: "linalg.generic".
  std::string root;
  SmallVector<bool> isReduction;
  /// Where sums could be multiplied or looked up.
  std::optional<ProductCosts> costs;
  ScheduleAttr schedule;
  SmallVector<Type> operandTypes;
  /// The last operands; the others are inputs.
  unsigned outputs = 0;
  /// Of the first call, without what another call has otherwise.
  WorkReport work;
  SmallVector<unsigned> dispatches;
};

struct DispatchReport {
  unsigned kernel;
  std::string nodes;
  WorkReport work;
  /// Indices of tensors.
  SmallVector<unsigned> reads, writes;
};

/// A value that dispatches read and write.
struct TensorReport {
  enum Place { Input, Output, State, Weight, Arena };
  Place place;
  std::string name;
  Type elementType;
  SmallVector<AffineExpr> shape;
  /// At the sizes of `dims`; in the arena, or in the image of weights.
  std::optional<int64_t> offset, bytes;
  std::optional<unsigned> writer;
  SmallVector<unsigned> readers;
};

struct ModelReport {
  std::string model;
  TargetAttr target;
  std::vector<DimReport> dims;
  std::vector<KernelReport> kernels;
  std::vector<DispatchReport> dispatches;
  std::vector<TensorReport> tensors;
  int64_t weightBytes = 0;
  std::optional<int64_t> arenaBytes;

  std::vector<std::string> dimNames() const;
  std::vector<int64_t> dimSizes() const;
};

/// The dimensions of a host function, with `sizes` for those that it names, and
/// for others the smallest size that is allowed and not 0. The error is about
/// `sizes`.
llvm::Expected<std::vector<DimReport>>
reportDims(func::FuncOp host, const std::map<std::string, int64_t> &sizes);

/// Fills a ModelReport in two steps.
class ReportCollector {
public:
  /// Reads the kernels of a module after phase `form`.
  void collectKernels(ModuleOp module);
  /// Reads the host program after phase `plan`. The report's numbers are for
  /// `sizes`, as reportDims takes them, and the error is about those.
  llvm::Error collectPlan(ModuleOp module,
                          const std::map<std::string, int64_t> &sizes);

  ModelReport report;

private:
  /// A parameter of a kernel: an index operand, or a size of another.
  using Parameter = std::pair<unsigned, std::optional<unsigned>>;
  /// A kernel as `form` leaves it; its expressions are over its parameters.
  struct Template {
    KernelReport kernel;
    AffineExpr flops;
    SmallVector<Parameter> parameters;
  };
  friend class KernelReader;
  friend class PlanReader;

  llvm::StringMap<Template> templates;
};

} // namespace mlir::lutra

#endif // LUTRA_ANALYSIS_MODELREPORT_H
