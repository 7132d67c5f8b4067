//===- Trace.cpp - Runs as events on a time line --------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Dispatches come from the runtime's trace, tasks from an executor around the
// session's own. A worker writes only its own list, so that nobody waits.
//
//===----------------------------------------------------------------------===//

#include "Trace.h"
#include "Failure.h"

#include <chrono>
#include <cstdio>

using namespace lutra::run;

namespace {

using Clock = std::chrono::steady_clock;

struct Span {
  Clock::time_point begin, end;
};

struct DispatchSpan : Span {
  int64_t dispatch;
};

struct TaskSpan : Span {
  int64_t dispatch, first, last;
};

class Tracer {
public:
  Tracer(const lutra_model_desc &info, lutra_executor *inner)
      : info(info), inner(inner), tasks(inner->workers) {
    executor.tracer = this;
    executor.base.parallel_for = parallelFor;
    executor.base.workers = inner->workers;
  }

  lutra_executor *wrapped() { return &executor.base; }
  static void trace(void *data, int64_t index, const lutra_dispatch_desc *,
                    int begin);
  /// Notes a run that has ended.
  void addRun(Clock::time_point begin) {
    runs.push_back({begin, Clock::now()});
  }
  /// Forgets what was noted, but not the room that it took.
  void clear();
  std::string print() const;

private:
  /// What parallel_for is called with, which knows the tracer.
  struct Executor {
    lutra_executor base;
    Tracer *tracer;
  };
  struct Loop {
    Tracer *tracer;
    lutra_task_fn fn;
    void *task;
    int64_t dispatch;
  };

  static void parallelFor(lutra_executor *self, int64_t count, lutra_task_fn fn,
                          void *task);
  static void runTask(void *data, int64_t begin, int64_t end, int64_t worker);
  void printSpan(const Span &span, int64_t track, std::string &text) const;

  const lutra_model_desc &info;
  lutra_executor *inner;
  Executor executor{};
  /// The dispatch that runs.
  int64_t current = 0;
  std::vector<Span> runs;
  std::vector<DispatchSpan> dispatches;
  std::vector<std::vector<TaskSpan>> tasks; // By worker.
};

} // namespace

void Tracer::trace(void *data, int64_t index, const lutra_dispatch_desc *,
                   int begin) {
  auto *self = static_cast<Tracer *>(data);
  Clock::time_point now = Clock::now();
  if (begin) {
    self->current = index;
    self->dispatches.push_back({{now, now}, index});
  } else {
    self->dispatches.back().end = now;
  }
}

void Tracer::parallelFor(lutra_executor *self, int64_t count, lutra_task_fn fn,
                         void *task) {
  Tracer *tracer = reinterpret_cast<Executor *>(self)->tracer;
  Loop loop{tracer, fn, task, tracer->current};
  tracer->inner->parallel_for(tracer->inner, count, runTask, &loop);
}

void Tracer::runTask(void *data, int64_t begin, int64_t end, int64_t worker) {
  auto *loop = static_cast<Loop *>(data);
  Clock::time_point start = Clock::now();
  loop->fn(loop->task, begin, end, worker);
  loop->tracer->tasks[worker].push_back(
      {{start, Clock::now()}, loop->dispatch, begin, end});
}

void Tracer::clear() {
  runs.clear();
  dispatches.clear();
  for (auto &list : tasks)
    list.clear();
}

// The length of the UTF-8 character that begins at `at`, or 0.
static size_t characterAt(const std::string &text, size_t at) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char first = byte(at);
  size_t length = first < 0x80   ? 1
                  : first < 0xc2 ? 0
                  : first < 0xe0 ? 2
                  : first < 0xf0 ? 3
                  : first < 0xf5 ? 4
                                 : 0;
  if (at + length > text.size())
    return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(at + i) & 0xc0) != 0x80)
      return 0;
  // Neither longer than needed, nor half of a pair, nor beyond Unicode.
  unsigned char second = length > 1 ? byte(at + 1) : 0;
  bool isWrong =
      (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
      (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f);
  return isWrong ? 0 : length;
}

// A string of JSON. Names of nodes come from the model's file.
static std::string quoted(const std::string &text) {
  std::string result = "\"";
  for (size_t i = 0; i < text.size();) {
    size_t length = characterAt(text, i);
    unsigned char c = static_cast<unsigned char>(text[i]);
    if (c == '"' || c == '\\')
      result += '\\';
    result += length == 0 || c < 0x20 ? "?" : text.substr(i, length);
    i += length ? length : 1;
  }
  return result + "\"";
}

// "ts", "dur", "pid" and "tid" of an event, which stays open.
void Tracer::printSpan(const Span &span, int64_t track,
                       std::string &text) const {
  std::chrono::duration<double, std::micro> at = span.begin - runs[0].begin,
                                            length = span.end - span.begin;
  char numbers[96];
  std::snprintf(numbers, sizeof(numbers),
                "\"ph\":\"X\",\"ts\":%.3f,\"dur\":%.3f,\"pid\":1,\"tid\":%lld",
                at.count(), length.count(), static_cast<long long>(track));
  text += numbers;
}

static std::string nameTrack(const std::string &what, int64_t track,
                             const std::string &name) {
  return "{\"ph\":\"M\",\"name\":\"" + what +
         "\",\"pid\":1,\"tid\":" + std::to_string(track) +
         ",\"args\":{\"name\":" + quoted(name) + "}}";
}

// The calling thread is worker 0 of its loops, so that its tasks lie within
// their dispatch.
std::string Tracer::print() const {
  std::string text = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n" +
                     nameTrack("process_name", 0, info.name);
  for (size_t worker = 0; worker < tasks.size(); ++worker)
    text += ",\n" + nameTrack("thread_name", worker,
                              worker ? "worker " + std::to_string(worker)
                                     : "calling thread");
  for (size_t i = 0; i < runs.size(); ++i) {
    text += ",\n{\"name\":\"run " + std::to_string(i) + "\",\"cat\":\"run\",";
    printSpan(runs[i], 0, text);
    text += "}";
  }
  auto kernel = [&](int64_t dispatch) {
    return quoted(info.dispatches[dispatch].kernel);
  };
  for (const DispatchSpan &span : dispatches) {
    text += ",\n{\"name\":" + kernel(span.dispatch) + ",\"cat\":\"dispatch\",";
    printSpan(span, 0, text);
    text += ",\"args\":{\"dispatch\":" + std::to_string(span.dispatch) +
            ",\"nodes\":" + quoted(info.dispatches[span.dispatch].nodes) + "}}";
  }
  for (size_t worker = 0; worker < tasks.size(); ++worker)
    for (const TaskSpan &span : tasks[worker]) {
      text += ",\n{\"name\":" + kernel(span.dispatch) + ",\"cat\":\"task\",";
      printSpan(span, worker, text);
      text += ",\"args\":{\"dispatch\":" + std::to_string(span.dispatch) +
              ",\"begin\":" + std::to_string(span.first) +
              ",\"end\":" + std::to_string(span.last) + "}}";
    }
  return text + "\n]}\n";
}

std::string lutra::run::traceRuns(Session &session, const Options &options) {
  Tracer tracer(session.info(), session.executor());
  Context context = session.makeContext(tracer.wrapped());
  lutra_context_trace(context.get(), Tracer::trace, &tracer);
  for (int64_t i = -options.warmup; i < options.repeat; ++i) {
    if (i == 0)
      tracer.clear();
    auto begin = Clock::now();
    session.run(context.get());
    tracer.addRun(begin);
  }
  return tracer.print();
}
