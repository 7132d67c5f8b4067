//===- Generate.cpp - Continue a text -------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Runs a language model with the inputs and outputs that exporters of such
// models agree on: the prompt in one run, then token by token, each appended to
// the model's state.
//
//===----------------------------------------------------------------------===//

#include "Generate.h"
#include "Failure.h"
#include "Npy.h"
#include "Sample.h"
#include "Session.h"
#include "TextStream.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <utility>

using namespace lutra::run;

namespace {

using Ids = std::vector<int32_t>;

[[noreturn]] void invalid(const std::string &message) {
  throw Failure(Exit::Invalid, message);
}

/// A model that says which token comes next.
class LanguageModel {
public:
  LanguageModel(const lutra_model *model, int64_t threads)
      : model(model), info(*lutra_model_info(model)) {
    checkSignature();
    lutra_pool *madePool = nullptr;
    check(lutra_pool_create(threads, &madePool));
    pool.reset(madePool);
    lutra_context *madeContext = nullptr;
    check(lutra_context_create(model, lutra_pool_executor(madePool),
                               &madeContext));
    context.reset(madeContext);
    lutra_state *madeState = nullptr;
    check(lutra_state_create(model, &madeState));
    state.reset(madeState);
    lutra_context_use_state(madeContext, madeState);
  }

  /// Appends tokens; returns the logits of what follows.
  std::vector<float> run(const Ids &tokens) {
    std::vector<Array> inputs;
    for (int32_t i = 0; i < info.input_count; ++i)
      inputs.push_back(makeInput(info.inputs[i].name, tokens));
    std::vector<lutra_tensor> inputViews = viewAll(inputs);
    std::vector<Array> outputs = makeOutputs(model, state.get(), inputViews);
    std::vector<lutra_tensor> outputViews = viewAll(outputs);
    check(lutra_context_run(context.get(), inputViews.data(), info.input_count,
                            outputViews.data(), info.output_count));
    return lastRow(outputs[logits]);
  }

  /// Refuses ids that the model does not know.
  void checkIds(const Ids &tokens) const {
    int64_t size = info.outputs[logits].shape[2];
    for (int32_t token : tokens)
      if (size >= 0 && token >= size)
        invalid("prompt: expected token ids below " + std::to_string(size) +
                ", the size of the model's vocabulary, got " +
                std::to_string(token));
  }

  bool isFull() const {
    return lutra_state_length(state.get()) >= lutra_state_capacity(state.get());
  }
  int64_t threads() const { return lutra_pool_executor(pool.get())->workers; }

private:
  static bool isAllowed(const char *name) {
    return !std::strcmp(name, "input_ids") ||
           !std::strcmp(name, "attention_mask") ||
           !std::strcmp(name, "position_ids");
  }

  void checkSignature() {
    if (!info.state_count)
      invalid(std::string("model '") + info.name +
              "' keeps no state; to generate text, compile it with --state");
    for (int32_t i = 0; i < info.input_count; ++i) {
      const lutra_tensor_desc &input = info.inputs[i];
      std::string name = std::string("input '") + input.name + "': ";
      if (!isAllowed(input.name))
        invalid(name + "expected input_ids, attention_mask and position_ids "
                       "alone of a model that generates text");
      if (input.dtype != LUTRA_INT64)
        invalid(name + "expected dtype int64, got " +
                lutra_dtype_name(input.dtype));
      if (input.rank != 2)
        invalid(name + "expected rank 2, got " + std::to_string(input.rank));
    }
    int32_t ids = 0;
    check(lutra_find_input(model, "input_ids", &ids));
    check(lutra_find_output(model, "logits", &logits));
    const lutra_tensor_desc &output = info.outputs[logits];
    if (output.rank != 3)
      invalid("output 'logits': expected rank 3, got " +
              std::to_string(output.rank));
    if (!isFloat(static_cast<lutra_dtype>(output.dtype)))
      invalid(std::string("output 'logits': expected floats, got ") +
              lutra_dtype_name(output.dtype));
  }

  Array makeInput(const std::string &name, const Ids &tokens) const {
    int64_t length = lutra_state_length(state.get());
    int64_t count = static_cast<int64_t>(tokens.size());
    int64_t size = name == "attention_mask" ? length + count : count;
    Array array(LUTRA_INT64, {1, size});
    auto *values = reinterpret_cast<int64_t *>(array.data());
    for (int64_t i = 0; i < size; ++i)
      values[i] = name == "input_ids"      ? tokens[i]
                  : name == "position_ids" ? length + i
                                           : 1;
    return array;
  }

  static std::vector<float> lastRow(const Array &array) {
    int64_t size = array.shape()[2], rows = array.shape()[1];
    if (array.shape()[0] != 1 || rows < 1 || size < 1)
      invalid("output 'logits': expected shape [1,sequence,vocabulary], got " +
              formatShape(array.shape()));
    std::vector<float> row(size);
    int64_t begin = (rows - 1) * size;
    for (int64_t i = 0; i < size; ++i)
      row[i] = static_cast<float>(array.get(begin + i));
    return row;
  }

  const lutra_model *model;
  const lutra_model_desc &info;
  int32_t logits = 0;
  Pool pool;
  State state;
  Context context;
};

/// Seconds since it was made or asked last.
class Clock {
public:
  double lap() {
    auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(last, now))
        .count();
  }

private:
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
};

/// Standard output, written to at once.
class Printer {
public:
  void print(const std::string &text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    if (std::fflush(stdout) != 0)
      throw Failure(Exit::InputOutput, "cannot write to standard output");
    if (!text.empty())
      inLine = text.back() != '\n';
  }
  void endLine() {
    if (inLine)
      print("\n");
  }

private:
  bool inLine = true;
};

std::string describeRate(size_t tokens, double seconds) {
  char text[96];
  std::snprintf(text, sizeof(text), "%zu tokens in %.3g s (%.4g tokens/s)",
                tokens, seconds,
                seconds > 0 ? static_cast<double>(tokens) / seconds : 0);
  return text;
}

} // namespace

void lutra::run::generate(const lutra_model *model, const Options &options) {
  const GenerateOptions &generate = options.generate;
  LanguageModel language(model, options.threads);
  Tokenizer tokenizer =
      parseTokenizer(readFile(generate.tokenizer), generate.tokenizer);
  Ids tokens = tokenizer.encode(*generate.prompt);
  if (tokens.empty())
    invalid("prompt: expected a token or more, got none");
  language.checkIds(tokens);
  Sampler sampler(generate);
  TextStream stream(tokenizer, tokens, generate.stops);
  Printer printer;

  int64_t count = 0, steps = 0;
  Clock clock;
  std::vector<float> logits = language.run(tokens);
  double promptSeconds = clock.lap();
  while (true) {
    int32_t token = sampler.choose(logits);
    if (tokenizer.isEnd(token))
      break;
    printer.print(stream.add(token));
    if (stream.stopped() || language.isFull() || ++count == generate.maxTokens)
      break;
    logits = language.run({token});
    ++steps;
  }
  double seconds = clock.lap();
  printer.print(stream.finish());
  printer.endLine();
  if (options.benchmark)
    printer.print("prompt: " + describeRate(tokens.size(), promptSeconds) +
                  ", then " + describeRate(steps, seconds) +
                  ", threads: " + std::to_string(language.threads()) + "\n");
}
