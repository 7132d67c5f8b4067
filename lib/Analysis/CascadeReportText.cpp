//===- CascadeReportText.cpp - Cascades as text and JSON ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Prints what is known about cascades, for people and for programs.
//
//===----------------------------------------------------------------------===//

#include "lutra/Analysis/CascadeReport.h"

#include "lutra/Analysis/PassCount.h"
#include "lutra/Analysis/SizeExpressions.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace mlir::lutra;

static constexpr StringLiteral kRoles[] = {"kept", "state", "scratch", "stream",
                                           "resident"};

/// The number of passes that read a tensor, as far as they are counted.
static std::string count(unsigned passes) {
  return std::to_string(passes) +
         (passes < kMaxCountedPasses ? "" : " or more");
}

static std::vector<std::string> rankNames(const CascadeReport &report) {
  std::vector<std::string> names;
  for (const CascadeReport::Rank &rank : report.ranks)
    names.push_back(rank.name);
  return names;
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

namespace {
class TextPrinter {
public:
  TextPrinter(const CascadeReport &report, llvm::raw_ostream &os)
      : report(report), names(rankNames(report)), os(os) {}

  void print();

private:
  void line(StringRef name, StringRef text) {
    if (!text.empty())
      os << "\n    " << llvm::left_justify(name, 11) << text;
  }
  std::string size(AffineExpr expr) const { return formula(expr, names); }
  std::string passes() const;
  std::string reads(unsigned rank) const;
  void printMemory();
  std::string parts(CascadeReport::Part::Role role) const;

  const CascadeReport &report;
  std::vector<std::string> names;
  llvm::raw_ostream &os;
};
} // namespace

std::string TextPrinter::passes() const {
  std::vector<std::string> texts;
  for (const CascadeReport::Rank &rank : report.ranks) {
    std::string text = rank.name + " ";
    if (rank.before && *rank.before != rank.passes)
      text += std::to_string(*rank.before) + " -> ";
    texts.push_back(text + std::to_string(rank.passes));
  }
  return llvm::join(texts, ", ");
}

std::string TextPrinter::reads(unsigned rank) const {
  std::vector<std::string> texts;
  for (const CascadeReport::Read &read : report.reads) {
    if (read.rank != rank)
      continue;
    std::string text = read.tensor + " " + count(read.direct);
    if (read.recomputed != read.direct)
      text += " (" + count(read.recomputed) + " if recomputed)";
    texts.push_back(text + (read.isLive ? " kept" : ""));
  }
  return llvm::join(texts, ", ");
}

std::string TextPrinter::parts(CascadeReport::Part::Role role) const {
  std::string text;
  for (const CascadeReport::Part &part : report.parts)
    if (part.role == role)
      text += (text.empty() ? "" : ", ") + part.tensor + " " + size(part.bytes);
  return text;
}

void TextPrinter::printMemory() {
  std::string tile;
  for (const CascadeReport::Rank &rank : report.ranks)
    tile += (tile.empty() ? "" : ", ") + rank.name + " " + size(rank.tile);
  line("tile", tile);
  line("footprint", size(report.footprint) + " bytes");
  using Part = CascadeReport::Part;
  for (auto role :
       {Part::Kept, Part::State, Part::Scratch, Part::Stream, Part::Resident}) {
    std::string text = parts(role);
    if (!text.empty())
      line("", kRoles[role].str() + ": " + text);
  }
  if (report.traffic.empty())
    return;
  std::string bytes = size(report.bytesDirect) + " bytes",
              recomputed = size(report.bytesRecomputed);
  if (report.bytesDirect != report.bytesRecomputed)
    bytes += ", " + recomputed + " if recomputed";
  line("traffic", bytes);
  for (const CascadeReport::Traffic &traffic : report.traffic)
    line("", traffic.tensor + ": " + size(traffic.bytes) + " x " +
                 size(traffic.sweeps) + " tiles x " +
                 std::to_string(traffic.direct));
}

void TextPrinter::print() {
  os << "cascade " << report.name;
  if (!report.function.empty())
    os << " in @" << report.function;
  std::string ranks;
  for (const CascadeReport::Rank &rank : report.ranks)
    ranks += (ranks.empty() ? "" : ", ") + rank.name + " = " + rank.extent;
  line("ranks", ranks);
  line("passes", passes());
  for (auto [i, rank] : llvm::enumerate(report.ranks))
    if (rank.isReduced)
      line("over " + rank.name, reads(i));
  for (StringRef text : report.rewrites)
    line("rewrite", text);
  for (StringRef text : report.refusals)
    line("refusal", text);
  if (report.stream)
    printMemory();
  for (const CascadeReport::Merge &merge : report.merges)
    line("merge", merge.algebra + ": " + size(merge.bytesPerRow) +
                      " bytes a row" +
                      (merge.parts.empty() ? "" : ", used for " + merge.parts) +
                      (merge.parts.empty()  ? ""
                       : merge.parts == "1" ? " part"
                                            : " parts"));
}

void lutra::printCascade(const CascadeReport &report, llvm::raw_ostream &os) {
  TextPrinter(report, os).print();
}

void lutra::printCascades(ArrayRef<CascadeReport> reports,
                          llvm::raw_ostream &os) {
  os << reports.size() << (reports.size() == 1 ? " cascade" : " cascades")
     << "\n";
  for (const CascadeReport &report : reports) {
    os << "\n";
    printCascade(report, os);
    os << "\n";
  }
}

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

namespace {
class JSONPrinter {
public:
  JSONPrinter(const CascadeReport &report, llvm::json::OStream &json)
      : report(report), names(rankNames(report)), json(json) {}

  void print();

private:
  /// A number where it is one, else a formula, null where it is not known.
  void size(StringRef name, AffineExpr expr) {
    if (auto constant = dyn_cast_or_null<AffineConstantExpr>(expr))
      json.attribute(name, constant.getValue());
    else if (expr)
      json.attribute(name, formula(expr, names));
    else
      json.attribute(name, nullptr);
  }
  template <typename Range, typename Print>
  void list(StringRef name, const Range &values, Print print) {
    json.attributeArray(name, [&] {
      for (const auto &value : values)
        json.object([&] { print(value); });
    });
  }
  void texts(StringRef name, ArrayRef<std::string> values) {
    json.attributeArray(name, [&] {
      for (const std::string &value : values)
        json.value(value);
    });
  }
  void printRank(const CascadeReport::Rank &rank);
  void printMemory();

  const CascadeReport &report;
  std::vector<std::string> names;
  llvm::json::OStream &json;
};
} // namespace

void JSONPrinter::printRank(const CascadeReport::Rank &rank) {
  json.attribute("name", rank.name);
  json.attribute("extent", rank.extent);
  json.attribute("reduced", rank.isReduced);
  json.attribute("passes", rank.passes);
  json.attribute("before", rank.before ? llvm::json::Value(*rank.before)
                                       : llvm::json::Value(nullptr));
  if (report.stream)
    size("tile", rank.tile);
}

void JSONPrinter::printMemory() {
  json.attribute("stream", names[*report.stream]);
  json.attributeObject("footprint", [&] {
    size("bytes", report.footprint);
    list("parts", report.parts, [&](const CascadeReport::Part &part) {
      json.attribute("role", kRoles[part.role]);
      json.attribute("tensor", part.tensor);
      size("bytes", part.bytes);
    });
  });
  json.attributeObject("traffic", [&] {
    size("bytes", report.bytesDirect);
    size("recomputed", report.bytesRecomputed);
    list("tensors", report.traffic, [&](const CascadeReport::Traffic &traffic) {
      json.attribute("tensor", traffic.tensor);
      size("bytes", traffic.bytes);
      size("tiles", traffic.sweeps);
      json.attribute("direct", traffic.direct);
      json.attribute("recomputed", traffic.recomputed);
    });
  });
  list("merges", report.merges, [&](const CascadeReport::Merge &merge) {
    json.attribute("algebra", merge.algebra);
    size("bytes_per_row", merge.bytesPerRow);
    json.attribute("parts", merge.parts.empty()
                                ? llvm::json::Value(nullptr)
                                : llvm::json::Value(merge.parts));
  });
}

void JSONPrinter::print() {
  json.attribute("name", report.name);
  json.attribute("function", report.function);
  list("ranks", report.ranks,
       [&](const CascadeReport::Rank &rank) { printRank(rank); });
  list("reads", report.reads, [&](const CascadeReport::Read &read) {
    json.attribute("rank", names[read.rank]);
    json.attribute("tensor", read.tensor);
    json.attribute("direct", read.direct);
    json.attribute("recomputed", read.recomputed);
    json.attribute("kept", read.isLive);
  });
  texts("rewrites", report.rewrites);
  texts("refusals", report.refusals);
  if (report.stream)
    printMemory();
}

void lutra::printCascadesAsJSON(StringRef model,
                                ArrayRef<CascadeReport> reports,
                                llvm::raw_ostream &os) {
  llvm::json::OStream json(os, 1);
  json.object([&] {
    json.attribute("model", llvm::json::fixUTF8(model));
    json.attributeArray("cascades", [&] {
      for (const CascadeReport &report : reports)
        json.object([&] { JSONPrinter(report, json).print(); });
    });
  });
  os << "\n";
}
