//===- ReportDrawings.cpp - Tensors and the arena as pictures -------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Draws SVG by hand: lanes of tensors beside the dispatches, and the memory
// plan. Shapes that belong to one tensor share `data-t`, by which the page's
// script highlights them together.
//
//===----------------------------------------------------------------------===//

#include "ReportPage.h"

#include "lutra/Analysis/SizeExpressions.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::page;

std::string page::colorOf(unsigned kernel) {
  // The golden angle keeps neighbours apart, however many there are.
  return llvm::formatv("hsl({0}, 60%, 62%)", kernel * 137u % 360).str();
}

/// The colour of the kernel that writes a tensor.
static std::string writerColor(const ModelReport &report,
                               const TensorReport &tensor) {
  return tensor.writer ? colorOf(report.dispatches[*tensor.writer].kernel)
                       : "#999";
}

/// The last dispatch that needs a tensor.
static unsigned lastUse(const TensorReport &tensor) {
  unsigned last = tensor.writer.value_or(0);
  return tensor.readers.empty() ? last : std::max(last, tensor.readers.back());
}

std::string page::describe(const ModelReport &report,
                           const TensorReport &tensor) {
  return tensor.name + ": " +
         formatTensor(tensor.elementType, tensor.shape, printableDims(report)) +
         ", " + formatBytes(tensor.bytes);
}

void page::drawLanes(const ModelReport &report, unsigned rowHeight,
                     llvm::raw_ostream &os) {
  constexpr unsigned kLane = 10;
  auto x = [](unsigned lane) { return 8 + kLane * lane; };
  auto y = [&](unsigned row) { return rowHeight * row + rowHeight / 2; };
  // The last row of each lane that is taken.
  SmallVector<int64_t> lanes;
  std::string shapes;
  llvm::raw_string_ostream shape(shapes);
  for (auto [i, tensor] : llvm::enumerate(report.tensors)) {
    if (tensor.place == TensorReport::Weight ||
        (tensor.readers.empty() && !tensor.writer))
      continue;
    int64_t first = tensor.writer ? int64_t(*tensor.writer) : -1;
    auto *lane = llvm::find_if(lanes, [&](int64_t end) { return end < first; });
    unsigned number = lane - lanes.begin();
    if (lane == lanes.end())
      lanes.push_back(0);
    lanes[number] = lastUse(tensor);
    std::string color = writerColor(report, tensor);
    shape << llvm::formatv("<g data-t=\"{0}\"><title>{1}</title>"
                           "<line x1=\"{2}\" x2=\"{2}\" y1=\"{3}\" y2=\"{4}\" "
                           "stroke=\"{5}\"/>",
                           i, escaped(describe(report, tensor)), x(number),
                           first < 0 ? 0 : y(first), y(lastUse(tensor)), color);
    if (tensor.writer)
      shape << llvm::formatv(
          "<circle cx=\"{0}\" cy=\"{1}\" r=\"4\" fill=\"{2}\"/>", x(number),
          y(first), color);
    for (unsigned reader : tensor.readers)
      shape << llvm::formatv("<circle cx=\"{0}\" cy=\"{1}\" r=\"3\" "
                             "fill=\"#fff\" stroke=\"{2}\"/>",
                             x(number), y(reader), color);
    shape << "</g>\n";
  }
  os << llvm::formatv("<svg stroke-width=\"2\" width=\"{0}\" height=\"{1}\">\n",
                      x(lanes.size()), rowHeight * report.dispatches.size())
     << shapes << "</svg>\n";
}

//===----------------------------------------------------------------------===//
// The memory plan
//===----------------------------------------------------------------------===//

namespace {
/// The coordinates of the memory plan.
struct Plane {
  explicit Plane(const ModelReport &report)
      : steps(std::max<size_t>(1, report.dispatches.size())),
        step(std::clamp(1000.0 / steps, 4.0, 60.0)),
        arena(std::max<int64_t>(1, *report.arenaBytes)) {}

  double x(double dispatch) const { return kLeft + step * dispatch; }
  double y(double offset) const {
    return kTop + kHeight * (1 - offset / arena);
  }
  double width() const { return x(steps) + 20; }

  static constexpr double kLeft = 80, kTop = 10, kHeight = 320, kBottom = 30;
  size_t steps;
  double step;
  int64_t arena;
};
} // namespace

static void drawAxes(const Plane &plane, llvm::raw_ostream &os) {
  double left = plane.x(0), right = plane.x(plane.steps), bottom = plane.y(0);
  for (unsigned quarter = 0; quarter <= 4; ++quarter) {
    double offset = plane.arena * (quarter / 4.0), y = plane.y(offset);
    os << llvm::formatv(
        "<line stroke=\"#ddd\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:F1}\" "
        "y2=\"{2:F1}\"/><text x=\"{3}\" y=\"{4:F1}\" "
        "text-anchor=\"end\">{5}</text>\n",
        left, right, y, left - 6, y + 4, formatBytes(int64_t(offset)));
  }
  // Numbers as close as they can be read, in steps of 1, 2 or 5.
  size_t stride = 1;
  for (unsigned i = 0; plane.step * stride < 40; ++i)
    stride = i % 3 == 1 ? stride / 2 * 5 : stride * 2;
  for (size_t i = 0; i < plane.steps; i += stride)
    os << llvm::formatv("<text x=\"{0:F1}\" y=\"{1}\">{2}</text>\n", plane.x(i),
                        bottom + 16, i);
}

static void drawTensor(const ModelReport &report, size_t number,
                       const Plane &plane, llvm::raw_ostream &os) {
  const TensorReport &tensor = report.tensors[number];
  double x = plane.x(*tensor.writer), end = plane.x(lastUse(tensor) + 1);
  double top = plane.y(*tensor.offset + *tensor.bytes);
  double height = plane.y(*tensor.offset) - top;
  const DispatchReport &writer = report.dispatches[*tensor.writer];
  std::string title = llvm::formatv(
      "{0} at {1}\nwritten by {2} {3} ({4})\nlast read by {5}",
      describe(report, tensor), *tensor.offset, *tensor.writer,
      report.kernels[writer.kernel].name, writer.nodes, lastUse(tensor));
  os << llvm::formatv("<g data-t=\"{0}\"><title>{1}</title><rect x=\"{2:F1}\" "
                      "y=\"{3:F1}\" width=\"{4:F1}\" height=\"{5:F1}\" "
                      "fill=\"{6}\" stroke=\"#fff\"/>",
                      number, escaped(title), x, top, end - x,
                      std::max(height, 0.5), colorOf(writer.kernel));
  std::string label = formatBytes(tensor.bytes);
  if (end - x > 7.0 * label.size() && height > 13)
    os << llvm::formatv("<text x=\"{0:F1}\" y=\"{1:F1}\">{2}</text>", x + 3,
                        top + height / 2 + 4, label);
  os << "</g>\n";
}

/// The most bytes of tensors that are needed at one time.
static int64_t peakBytes(const ModelReport &report) {
  std::vector<int64_t> change(report.dispatches.size() + 2);
  for (const TensorReport &tensor : report.tensors)
    if (tensor.place == TensorReport::Arena && tensor.writer && tensor.bytes) {
      change[*tensor.writer] += *tensor.bytes;
      change[lastUse(tensor) + 1] -= *tensor.bytes;
    }
  int64_t peak = 0, now = 0;
  for (int64_t step : change)
    peak = std::max(peak, now += step);
  return peak;
}

void page::drawMemory(const ModelReport &report, llvm::raw_ostream &os) {
  if (!report.arenaBytes) {
    os << "<p>The size of the arena is not known here.</p>\n";
    return;
  }
  os << "<p>The arena has " << formatBytes(report.arenaBytes) << "; at most "
     << formatBytes(peakBytes(report))
     << " of tensors are needed at one time. From left to right dispatches, "
        "from bottom to top places in the arena.</p>\n";
  Plane plane(report);
  os << llvm::formatv(
      "<div class=\"scroll\"><svg font-size=\"11\" width=\"{0:F0}\" "
      "height=\"{1}\">\n",
      plane.width(), plane.kTop + plane.kHeight + plane.kBottom);
  drawAxes(plane, os);
  for (auto [i, tensor] : llvm::enumerate(report.tensors))
    if (tensor.place == TensorReport::Arena && tensor.writer && tensor.offset &&
        tensor.bytes)
      drawTensor(report, i, plane, os);
  os << "</svg></div>\n";
}
