//===- ReportPage.cpp - A compiled model as a page to look at -------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes one file of HTML that loads nothing: what the model is, its dispatches
// in order, its kernels, its memory, and how long compilation took. Everything
// that comes from the model's file goes through escaped().
//
//===----------------------------------------------------------------------===//

#include "ReportPage.h"

#include "lutra/Analysis/SizeExpressions.h"
#include "lutra/Frontend/ONNX/Import.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::page;

static constexpr unsigned kRowHeight = 22;

static void escape(char c, std::string &result) {
  switch (c) {
  case '&':
    result += "&amp;";
    break;
  case '<':
    result += "&lt;";
    break;
  case '>':
    result += "&gt;";
    break;
  case '"':
    result += "&quot;";
    break;
  case '\'':
    result += "&#39;";
    break;
  default:
    result += c;
  }
}

std::string page::escaped(StringRef text) {
  std::string result;
  SmallVector<StringRef> lines;
  text.split(lines, '\n');
  for (StringRef line : lines) {
    result += result.empty() ? "" : "\n";
    for (char c : printable(line))
      escape(c, result);
  }
  return result;
}

/// Three digits and a unit, each `base` times the one before.
static std::string scaled(double number, double base,
                          ArrayRef<const char *> units) {
  while (number >= base && units.size() > 1) {
    number /= base;
    units = units.drop_front();
  }
  unsigned digits = number >= 100 || number == int64_t(number) ? 0
                    : number >= 10                             ? 1
                                                               : 2;
  char text[32];
  std::snprintf(text, sizeof(text), "%.*f %s", int(digits), number, units[0]);
  return StringRef(text).rtrim().str();
}

std::string page::formatBytes(std::optional<int64_t> bytes) {
  return bytes ? scaled(*bytes, 1024, {"B", "KiB", "MiB", "GiB", "TiB", "PiB"})
               : "-";
}

std::string page::formatCount(std::optional<int64_t> count) {
  return count ? scaled(*count, 1000, {"", "k", "M", "G", "T", "P"}) : "-";
}

std::string page::formatSeconds(double seconds) {
  return scaled(seconds * 1e6, 1000, {"us", "ms", "s"});
}

namespace {
class Page {
public:
  Page(const ModelReport &report, const PhaseTimes &times,
       ArrayRef<double> seconds, llvm::raw_ostream &os)
      : report(report), times(times), seconds(seconds),
        dims(printableDims(report)), sizes(report.dimSizes()), os(os) {
    for (double time : seconds) {
      total += time;
      longest = std::max(longest, time);
    }
  }

  void print();

private:
  void fact(StringRef name, StringRef value) {
    os << "<tr><th>" << name << "</th><td>" << escaped(value) << "</td></tr>\n";
  }
  std::string chip(unsigned kernel) {
    return "<i class=\"chip\" style=\"background:" + colorOf(kernel) +
           "\"></i>" + escaped(report.kernels[kernel].name);
  }
  void printFacts();
  void printDispatches();
  void printDispatch(unsigned number);
  void printKernels();
  void printPhases();

  const ModelReport &report;
  const PhaseTimes &times;
  /// Of each dispatch, or empty.
  ArrayRef<double> seconds;
  double total = 0, longest = 0;
  std::vector<std::string> dims;
  std::vector<int64_t> sizes;
  llvm::raw_ostream &os;
};
} // namespace

static std::string bar(double share, double width) {
  return llvm::formatv("<i class=\"bar\" style=\"width:{0:F1}px\"></i>",
                       share * width)
      .str();
}

void Page::printFacts() {
  os << "<table>\n";
  if (report.target) {
    fact("Target",
         (report.target.getTriple() + ", " + report.target.getCpu()).str());
    fact("Features", report.target.getFeatures());
  }
  for (const DimReport &dim : report.dims) {
    std::string text = dim.name + " from " + std::to_string(dim.min);
    if (dim.max != INT64_MAX)
      text += " to " + std::to_string(dim.max);
    if (dim.multiple != 1)
      text += ", a multiple of " + std::to_string(dim.multiple);
    fact("Dimension", text + "; here " + std::to_string(dim.size));
  }
  fact("Program", formatCounts(report));
  fact("Weights", formatBytes(report.weightBytes));
  fact("Arena", formatBytes(report.arenaBytes));
  if (!seconds.empty())
    fact("Run", formatSeconds(total) + " in kernels");
  os << "</table>\n";
}

void Page::printDispatch(unsigned number) {
  const DispatchReport &dispatch = report.dispatches[number];
  std::string touched, shapes;
  for (ArrayRef<unsigned> list :
       {ArrayRef(dispatch.reads), ArrayRef(dispatch.writes)})
    for (unsigned tensor : list)
      touched += (touched.empty() ? "" : " ") + std::to_string(tensor);
  for (unsigned tensor : dispatch.writes)
    shapes += (shapes.empty() ? "" : ", ") +
              formatTensor(report.tensors[tensor].elementType,
                           report.tensors[tensor].shape, dims);
  std::string reads;
  for (unsigned tensor : dispatch.reads)
    reads += "\n  " + describe(report, report.tensors[tensor]);
  auto cell = [&](StringRef kind, StringRef html) {
    os << "<span" << kind << ">" << html << "</span>";
  };
  os << "<div class=\"row\" data-t=\"" << touched << "\" title=\""
     << escaped(dispatch.nodes + "\nreads" + reads) << "\">";
  cell("", std::to_string(number));
  cell("", chip(dispatch.kernel));
  cell("", escaped(dispatch.nodes));
  cell("", escaped(shapes));
  cell(" class=\"number\"", formatCount(evaluate(dispatch.work.flops, sizes)));
  cell(" class=\"number\"", formatBytes(evaluate(dispatch.work.bytes, sizes)));
  if (!seconds.empty())
    cell("", bar(longest > 0 ? seconds[number] / longest : 0, 110) + " " +
                 formatSeconds(seconds[number]));
  os << "</div>\n";
}

void Page::printDispatches() {
  os << "<h2>Dispatches</h2>\n"
        "<p>One run, from top to bottom. A line is a tensor: a full dot writes "
        "it, a ring reads it.</p>\n<div class=\"dispatches\">\n"
        "<div><div class=\"row head\"></div>\n";
  drawLanes(report, kRowHeight, os);
  os << "</div>\n<div class=\"rows\"><div class=\"row head\"><span>#</span>"
        "<span>kernel</span><span>nodes</span><span>writes</span>"
        "<span class=\"number\">flop</span><span class=\"number\">bytes</span>"
     << (seconds.empty() ? "" : "<span>time</span>") << "</div>\n";
  for (unsigned i = 0; i < report.dispatches.size(); ++i)
    printDispatch(i);
  os << "</div></div>\n";
}

void Page::printKernels() {
  os << "<h2>Kernels</h2>\n<div class=\"scroll\"><table>\n"
        "<tr><th>kernel</th><th class=\"number\">calls</th>"
     << (seconds.empty() ? "" : "<th class=\"number\">time</th><th></th>")
     << "<th>computes</th><th>operands</th><th>per call</th>"
        "<th>schedule</th></tr>\n";
  auto cell = [&](const std::string &text) {
    os << "<td><code>" << escaped(text) << "</code></td>";
  };
  for (auto [i, kernel] : llvm::enumerate(report.kernels)) {
    os << "<tr><td class=\"name\">" << chip(i) << "</td><td class=\"number\">"
       << kernel.dispatches.size() << "</td>";
    if (!seconds.empty()) {
      double time = 0;
      for (unsigned dispatch : kernel.dispatches)
        time += seconds[dispatch];
      os << "<td class=\"number\">" << formatSeconds(time) << "</td><td>"
         << bar(total > 0 ? time / total : 0, 100) << "</td>";
    }
    cell(kernel.kind + " " + formatLoops(kernel, dims));
    cell(formatOperands(kernel, dims));
    cell(formula(kernel.work.flops, dims) + " flop, " +
         formula(kernel.work.bytes, dims) + " bytes");
    cell(kernel.schedule ? formatSchedule(kernel.schedule) : "");
    os << "</tr>\n";
  }
  os << "</table></div>\n";
}

void Page::printPhases() {
  double all = 0, most = 0;
  for (auto [phase, time] : times) {
    all += time;
    most = std::max(most, time);
  }
  os << "<h2>Compilation: " << formatSeconds(all) << "</h2>\n<table>\n";
  for (auto [phase, time] : times)
    os << "<tr><th>" << phaseName(phase) << "</th><td class=\"number\">"
       << formatSeconds(time) << "</td><td>"
       << bar(most > 0 ? time / most : 0, 300) << "</td></tr>\n";
  os << "</table>\n";
}

void Page::print() {
  std::string title = escaped(report.model);
  os << "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta "
        "charset=\"utf-8\">\n<title>"
     << title << " - Lutra</title>\n<style>" << kStyle
     << "</style>\n</head>\n<body>\n<h1>" << title << "</h1>\n";
  printFacts();
  printDispatches();
  os << "<h2>Memory</h2>\n";
  drawMemory(report, os);
  printKernels();
  printPhases();
  os << "<script>" << kScript << "</script>\n</body>\n</html>\n";
}

void lutra::printPage(const ModelReport &report, const PhaseTimes &times,
                      ArrayRef<double> seconds, llvm::raw_ostream &os) {
  Page(report, times, seconds, os).print();
}
