//===- KernelReports.cpp - The kernels of a model as text and JSON --------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Prints what lib/Analysis collected. Names come from the model's file and are
// made printable here.
//
//===----------------------------------------------------------------------===//

#include "ModelReports.h"

#include "lutra/Analysis/SizeExpressions.h"
#include "lutra/Frontend/ONNX/Import.h"
#include "mlir/Support/DebugStringHelper.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace mlir::lutra;

std::string lutra::formatCounts(const ModelReport &report) {
  auto counted = [](size_t number, StringRef one, StringRef many) {
    return std::to_string(number) + " " + (number == 1 ? one : many).str();
  };
  return counted(report.kernels.size(), "kernel", "kernels") + ", " +
         counted(report.dispatches.size(), "dispatch", "dispatches");
}

std::vector<std::string> lutra::printableDims(const ModelReport &report) {
  std::vector<std::string> names = report.dimNames();
  for (std::string &name : names)
    name = printable(name);
  return names;
}

std::string lutra::formatTensor(Type elementType, ArrayRef<AffineExpr> shape,
                                ArrayRef<std::string> dims) {
  std::string text = debugString(elementType) + "[";
  llvm::interleave(
      shape, [&](AffineExpr size) { text += formula(size, dims); },
      [&] { text += ","; });
  return text + "]";
}

std::string lutra::formatLoops(const KernelReport &kernel,
                               ArrayRef<std::string> dims) {
  std::string text[2];
  for (auto [size, isReduction] :
       llvm::zip_equal(kernel.work.loops, kernel.isReduction)) {
    std::string &part = text[isReduction];
    part += (part.empty() ? "" : " x ") + formula(size, dims);
  }
  if (text[1].empty())
    return text[0];
  return text[0] + (text[0].empty() ? "" : ", ") + "reduce " + text[1];
}

std::string lutra::formatSchedule(ScheduleAttr schedule) {
  std::string text;
  auto add = [&](StringRef name, ArrayRef<int64_t> sizes) {
    if (!sizes.empty())
      text +=
          (name + " [" +
           llvm::join(llvm::map_range(
                          sizes, [](int64_t s) { return std::to_string(s); }),
                      ", ") +
           "], ")
              .str();
  };
  add("distribute", schedule.getDistribute());
  add("tile", schedule.getTile());
  add("order", schedule.getOrder());
  if (int64_t depth = schedule.getDepth())
    text += "depth " + std::to_string(depth) + ", ";
  return text + "vector " + std::to_string(schedule.getVector());
}

std::string lutra::formatOperands(const KernelReport &kernel,
                                  ArrayRef<std::string> dims) {
  std::string text;
  size_t inputs = kernel.operandTypes.size() - kernel.outputs;
  for (size_t i = 0; i < kernel.operandTypes.size(); ++i) {
    if (i == inputs)
      text += i ? " -> " : "-> ";
    else if (i)
      text += ", ";
    text += formatTensor(kernel.operandTypes[i], kernel.work.shapes[i], dims);
  }
  return text;
}

/// "2*batch flop, 8*batch bytes", without what is not known.
static std::string formatWork(const WorkReport &work,
                              ArrayRef<std::string> dims) {
  std::string text;
  if (work.flops)
    text += formula(work.flops, dims) + " flop";
  if (work.bytes)
    text += (text.empty() ? "" : ", ") + formula(work.bytes, dims) + " bytes";
  return text;
}

static std::string formatCosts(const ProductCosts &costs) {
  auto text = [](double cost) { return llvm::formatv("{0:f1}", cost).str(); };
  return "multiplied " + text(costs.multiply) +
         (costs.lookUp ? ", looked up " + text(*costs.lookUp) : "");
}

void lutra::printKernels(const ModelReport &report, llvm::raw_ostream &os) {
  std::vector<std::string> dims = printableDims(report);
  os << formatCounts(report) << "\n";
  auto line = [&](StringRef name, StringRef text) {
    if (!text.empty())
      os << "    " << llvm::left_justify(name, 10) << text << "\n";
  };
  for (const KernelReport &kernel : report.kernels) {
    size_t calls = kernel.dispatches.size();
    os << "\n"
       << kernel.name << ": " << calls << (calls == 1 ? " call" : " calls")
       << "\n";
    std::string nodes =
        printable(report.dispatches[kernel.dispatches.front()].nodes);
    if (calls > 1)
      nodes += " and those of " + std::to_string(calls - 1) + " more";
    line("nodes", nodes);
    std::string loops = formatLoops(kernel, dims);
    line("computes", kernel.kind + " (" + kernel.root + ")" +
                         (loops.empty() ? "" : ": " + loops));
    if (kernel.costs)
      line("costs", formatCosts(*kernel.costs));
    if (kernel.schedule)
      line("schedule", formatSchedule(kernel.schedule));
    line("operands", formatOperands(kernel, dims));
    line("per call", formatWork(kernel.work, dims));
  }
}

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

namespace {
class JSONPrinter {
public:
  JSONPrinter(const ModelReport &report, llvm::raw_ostream &os)
      : report(report), dims(printableDims(report)), json(os, 1) {}

  void print();

private:
  void text(StringRef name, StringRef value) {
    json.attribute(name, llvm::json::fixUTF8(value));
  }
  /// A number where it is one, else a formula, null where it is not known.
  llvm::json::Value size(AffineExpr expr) {
    if (auto constant = dyn_cast_or_null<AffineConstantExpr>(expr))
      return constant.getValue();
    return expr ? llvm::json::Value(llvm::json::fixUTF8(formula(expr, dims)))
                : llvm::json::Value(nullptr);
  }
  llvm::json::Value number(std::optional<int64_t> value) {
    return value ? llvm::json::Value(*value) : llvm::json::Value(nullptr);
  }
  template <typename Range>
  void list(StringRef name, const Range &values) {
    json.attributeArray(name, [&] {
      for (const auto &value : values)
        json.value(llvm::json::Value(value));
    });
  }
  void shape(ArrayRef<AffineExpr> sizes) {
    json.attributeArray("shape", [&] {
      for (AffineExpr expr : sizes)
        json.value(size(expr));
    });
  }
  void printTarget();
  void printDim(const DimReport &dim);
  void printKernel(const KernelReport &kernel);
  void printDispatch(const DispatchReport &dispatch);
  void printTensor(const TensorReport &tensor);

  const ModelReport &report;
  std::vector<std::string> dims;
  llvm::json::OStream json;
};
} // namespace

void JSONPrinter::printTarget() {
  json.attributeObject("target", [&] {
    text("triple", report.target.getTriple());
    text("cpu", report.target.getCpu());
    text("features", report.target.getFeatures());
  });
}

void JSONPrinter::printDim(const DimReport &dim) {
  json.object([&] {
    text("name", printable(dim.name));
    json.attribute("min", dim.min);
    json.attribute("max", dim.max == INT64_MAX ? llvm::json::Value(nullptr)
                                               : llvm::json::Value(dim.max));
    json.attribute("multiple", dim.multiple);
    json.attribute("size", dim.size);
  });
}

void JSONPrinter::printKernel(const KernelReport &kernel) {
  json.object([&] {
    text("name", kernel.name);
    list("dispatches", kernel.dispatches);
    text("kind", kernel.kind);
    text("operation", kernel.root);
    json.attributeArray("loops", [&] {
      for (auto [expr, isReduction] :
           llvm::zip_equal(kernel.work.loops, kernel.isReduction)) {
        llvm::json::Value value = size(expr);
        StringRef kind = isReduction ? "reduction" : "parallel";
        json.object([&] {
          json.attribute("size", value);
          json.attribute("kind", kind);
        });
      }
    });
    if (kernel.costs)
      json.attributeObject("costs", [&] {
        json.attribute("multiplied", kernel.costs->multiply);
        json.attribute("looked_up",
                       kernel.costs->lookUp
                           ? llvm::json::Value(*kernel.costs->lookUp)
                           : llvm::json::Value(nullptr));
      });
    if (kernel.schedule)
      json.attributeObject("schedule", [&] {
        list("distribute", kernel.schedule.getDistribute());
        list("tile", kernel.schedule.getTile());
        list("order", kernel.schedule.getOrder());
        json.attribute("vector", kernel.schedule.getVector());
      });
    json.attributeArray("operands", [&] {
      for (auto [i, type] : llvm::enumerate(kernel.operandTypes))
        json.object([&, i = i, type = type] {
          bool isOutput = i + kernel.outputs >= kernel.operandTypes.size();
          json.attribute("role", isOutput ? "output" : "input");
          json.attribute("type", debugString(type));
          shape(kernel.work.shapes[i]);
        });
    });
    json.attribute("flops", size(kernel.work.flops));
    json.attribute("bytes", size(kernel.work.bytes));
  });
}

void JSONPrinter::printDispatch(const DispatchReport &dispatch) {
  std::vector<int64_t> sizes = report.dimSizes();
  json.object([&] {
    text("kernel", report.kernels[dispatch.kernel].name);
    text("nodes", printable(dispatch.nodes));
    json.attribute("flops", number(evaluate(dispatch.work.flops, sizes)));
    json.attribute("bytes", number(evaluate(dispatch.work.bytes, sizes)));
    list("reads", dispatch.reads);
    list("writes", dispatch.writes);
  });
}

void JSONPrinter::printTensor(const TensorReport &tensor) {
  static constexpr StringLiteral kPlaces[] = {"input", "output", "state",
                                              "weight", "arena"};
  json.object([&] {
    text("name", printable(tensor.name));
    text("place", kPlaces[tensor.place]);
    json.attribute("type", debugString(tensor.elementType));
    shape(tensor.shape);
    json.attribute("offset", number(tensor.offset));
    json.attribute("bytes", number(tensor.bytes));
    json.attribute("writer", number(tensor.writer));
    list("readers", tensor.readers);
  });
}

void JSONPrinter::print() {
  json.object([&] {
    text("model", report.model);
    if (report.target)
      printTarget();
    json.attribute("weight_bytes", report.weightBytes);
    json.attribute("arena_bytes", number(report.arenaBytes));
    auto all = [&](StringRef name, const auto &values, auto print) {
      json.attributeArray(name, [&] {
        for (const auto &value : values)
          (this->*print)(value);
      });
    };
    all("dims", report.dims, &JSONPrinter::printDim);
    all("kernels", report.kernels, &JSONPrinter::printKernel);
    all("dispatches", report.dispatches, &JSONPrinter::printDispatch);
    all("tensors", report.tensors, &JSONPrinter::printTensor);
  });
}

void lutra::printReportAsJSON(const ModelReport &report,
                              llvm::raw_ostream &os) {
  JSONPrinter(report, os).print();
  os << "\n";
}
