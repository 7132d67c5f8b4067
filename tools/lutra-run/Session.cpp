//===- Session.cpp - A loaded model with its inputs and outputs -----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Session.h"
#include "Failure.h"
#include "Inputs.h"

using namespace lutra::run;

Model lutra::run::loadModel(const Options &options) {
  lutra_model *model = nullptr;
  check(lutra_model_load(
      options.artifact.c_str(),
      options.weightsDir ? options.weightsDir->c_str() : nullptr,
      options.verifyWeights ? LUTRA_VERIFY_WEIGHTS : 0, &model));
  return Model(model);
}

Session::Session(const lutra_model *model, const Options &options)
    : model(model), arguments(makeInputs(model, options)) {
  state = makeState(model);
  argumentViews = viewAll(arguments);
  results = makeOutputs(model, state.get(), argumentViews);
  resultViews = viewAll(results);

  pool = makePool(options.threads);
  workers = executor()->workers;
  owned = makeContext(executor());
}

Context Session::makeContext(lutra_executor *executor) const {
  return run::makeContext(model, executor, state.get());
}

void Session::run(lutra_context *context) {
  if (state)
    lutra_state_reset(state.get());
  check(lutra_context_run(context, argumentViews.data(), info().input_count,
                          resultViews.data(), info().output_count));
}

const Array &Session::output(const std::string &name) const {
  int32_t index = 0;
  check(lutra_find_output(model, name.c_str(), &index));
  return results[index];
}
