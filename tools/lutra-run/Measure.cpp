//===- Measure.cpp - Time runs and kernels --------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Measure.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>

using namespace lutra::run;
using Clock = std::chrono::steady_clock;

static double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Four digits in the unit that a person would choose.
static std::string formatTime(double seconds) {
  char text[32];
  if (seconds < 1e-3)
    std::snprintf(text, sizeof(text), "%.4g us", seconds * 1e6);
  else if (seconds < 1)
    std::snprintf(text, sizeof(text), "%.4g ms", seconds * 1e3);
  else
    std::snprintf(text, sizeof(text), "%.4g s", seconds);
  return text;
}

std::string lutra::run::benchmark(Session &session, const Options &options) {
  for (int64_t i = 0; i < options.warmup; ++i)
    session.run();
  std::vector<double> times;
  for (int64_t i = 0; i < options.repeat; ++i) {
    auto start = Clock::now();
    session.run();
    times.push_back(secondsSince(start));
  }
  std::sort(times.begin(), times.end());
  size_t half = times.size() / 2;
  double median =
      times.size() % 2 ? times[half] : (times[half - 1] + times[half]) / 2;
  return "min " + formatTime(times.front()) + ", median " + formatTime(median) +
         ", max " + formatTime(times.back()) + " (" +
         std::to_string(options.repeat) + " runs after " +
         std::to_string(options.warmup) +
         ", threads: " + std::to_string(session.threads()) + ")\n";
}

namespace {

struct Kernel {
  std::string name;
  double seconds = 0;
  int64_t calls = 0;
  std::string nodes;
};

/// Adds up the time between a dispatch's begin and end.
class Profiler {
public:
  explicit Profiler(const lutra_model_desc &info)
      : spent(info.dispatch_count) {}

  static void trace(void *data, int64_t index, const lutra_dispatch_desc *,
                    int begin) {
    auto *self = static_cast<Profiler *>(data);
    if (begin) {
      self->start = Clock::now();
      return;
    }
    self->spent[index].first += secondsSince(self->start);
    ++self->spent[index].second;
  }

  /// By kernel: equal layers share one.
  std::vector<Kernel> collect(const lutra_model_desc &info) const {
    std::map<std::string, Kernel> byName;
    for (int32_t i = 0; i < info.dispatch_count; ++i) {
      Kernel &kernel = byName[info.dispatches[i].kernel];
      kernel.name = info.dispatches[i].kernel;
      kernel.seconds += spent[i].first;
      kernel.calls += spent[i].second;
      kernel.nodes += kernel.nodes.empty() ? "" : "; ";
      kernel.nodes += info.dispatches[i].nodes;
    }
    std::vector<Kernel> kernels;
    for (auto &entry : byName)
      kernels.push_back(std::move(entry.second));
    std::sort(kernels.begin(), kernels.end(),
              [](const Kernel &a, const Kernel &b) {
                return a.seconds != b.seconds ? a.seconds > b.seconds
                                              : a.name < b.name;
              });
    return kernels;
  }

private:
  std::vector<std::pair<double, int64_t>> spent; // Seconds and calls.
  Clock::time_point start;
};

} // namespace

static std::string formatRow(const Kernel &kernel, double total, int64_t runs,
                             int nameWidth) {
  const size_t nodesWidth = 60;
  std::string nodes = kernel.nodes;
  if (nodes.size() > nodesWidth)
    nodes = nodes.substr(0, nodesWidth - 3) + "...";
  char numbers[64];
  std::snprintf(numbers, sizeof(numbers), "%12s %6.1f%% %6lld  ",
                formatTime(kernel.seconds / runs).c_str(),
                total > 0 ? 100 * kernel.seconds / total : 0,
                static_cast<long long>(kernel.calls / runs));
  std::string name = kernel.name;
  name.resize(std::max<size_t>(name.size(), nameWidth), ' ');
  std::string row = name + numbers + nodes;
  return row.substr(0, row.find_last_not_of(' ') + 1) + "\n";
}

std::string lutra::run::profile(Session &session, const Options &options) {
  for (int64_t i = 0; i < options.warmup; ++i)
    session.run();
  Profiler profiler(session.info());
  lutra_context_trace(session.context(), Profiler::trace, &profiler);
  auto start = Clock::now();
  for (int64_t i = 0; i < options.repeat; ++i)
    session.run();
  double total = secondsSince(start);
  lutra_context_trace(session.context(), nullptr, nullptr);

  std::vector<Kernel> kernels = profiler.collect(session.info());
  Kernel rest{"outside of kernels", total, 0, ""};
  int width = static_cast<int>(rest.name.size());
  for (const Kernel &kernel : kernels) {
    rest.seconds -= kernel.seconds;
    width = std::max(width, static_cast<int>(kernel.name.size()));
  }
  std::string name = "kernel";
  name.resize(width, ' ');
  std::string text = name + "        time   share  calls  nodes\n";
  for (const Kernel &kernel : kernels)
    text += formatRow(kernel, total, options.repeat, width);
  return text + formatRow(rest, total, options.repeat, width);
}
