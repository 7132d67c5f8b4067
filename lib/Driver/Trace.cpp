//===- Trace.cpp - What happened when -------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Records phases and passes and prints them for chrome://tracing and Perfetto.
// Functions are compiled side by side, so that each thread has a track.
//
//===----------------------------------------------------------------------===//

#include "Trace.h"

#include "mlir/IR/SymbolTable.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace mlir::lutra;

Trace::Track &Trace::track() {
  auto [it, isNew] = tracks.try_emplace(std::this_thread::get_id());
  if (isNew)
    it->second.number = tracks.size() - 1;
  return it->second;
}

void Trace::begin(StringRef name, StringRef category, StringRef subject) {
  std::lock_guard<std::mutex> lock(mutex);
  Track &own = track();
  own.open.push_back(spans.size());
  spans.push_back(
      {name.str(), category.str(), subject.str(), own.number, now()});
}

void Trace::end() {
  std::lock_guard<std::mutex> lock(mutex);
  Span &span = spans[track().open.pop_back_val()];
  span.duration = now() - span.begin;
}

void Trace::print(StringRef process, llvm::raw_ostream &os) const {
  llvm::json::OStream json(os);
  auto event = [&](StringRef phase, StringRef name, unsigned track,
                   function_ref<void()> rest) {
    os << "\n";
    json.object([&] {
      json.attribute("ph", phase);
      json.attribute("name", llvm::json::fixUTF8(name));
      json.attribute("pid", 1);
      json.attribute("tid", track);
      rest();
    });
  };
  auto time = [&](StringRef name, int64_t nanoseconds) {
    json.attributeBegin(name);
    json.rawValue(llvm::formatv("{0:F3}", nanoseconds / 1e3).str());
    json.attributeEnd();
  };
  auto describe = [&](StringRef what, StringRef name, unsigned track) {
    event("M", what, track, [&] {
      json.attributeObject(
          "args", [&] { json.attribute("name", llvm::json::fixUTF8(name)); });
    });
  };
  json.object([&] {
    json.attribute("displayTimeUnit", "ms");
    json.attributeArray("traceEvents", [&] {
      describe("process_name", process, 0);
      for (unsigned i = 0; i < tracks.size(); ++i)
        describe("thread_name", i ? "worker " + std::to_string(i) : "main", i);
      for (const Span &span : spans)
        if (span.duration >= 0)
          event("X", span.name, span.track, [&] {
            json.attribute("cat", span.category);
            // Microseconds, by the format.
            time("ts", span.begin);
            time("dur", span.duration);
            if (!span.subject.empty())
              json.attributeObject("args", [&] {
                json.attribute("on", llvm::json::fixUTF8(span.subject));
              });
          });
    });
  });
  os << "\n";
}

namespace {
class PassTrace : public PassInstrumentation {
public:
  explicit PassTrace(Trace &trace) : trace(trace) {}

  void runBeforePass(Pass *pass, Operation *op) override {
    // What runs passes on each function is a pass without a name.
    StringRef name = pass->getArgument();
    auto symbol =
        op->getAttrOfType<StringAttr>(SymbolTable::getSymbolAttrName());
    trace.begin(name.empty() ? "for each function" : name, "pass",
                symbol ? symbol.getValue() : "");
  }
  void runAfterPass(Pass *, Operation *) override { trace.end(); }
  void runAfterPassFailed(Pass *, Operation *) override { trace.end(); }

private:
  Trace &trace;
};
} // namespace

std::unique_ptr<PassInstrumentation> lutra::tracePasses(Trace &trace) {
  return std::make_unique<PassTrace>(trace);
}
