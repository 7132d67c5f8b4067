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

std::vector<lutra_tensor>
lutra::run::viewAll(const std::vector<Array> &arrays) {
  std::vector<lutra_tensor> views;
  for (const Array &array : arrays)
    views.push_back(array.view());
  return views;
}

std::vector<Array>
lutra::run::makeOutputs(const lutra_model *model, const lutra_state *state,
                        const std::vector<lutra_tensor> &inputs) {
  const lutra_model_desc &info = *lutra_model_info(model);
  std::vector<int64_t> dims(info.dim_count);
  check(lutra_bind_dims(model, state, inputs.data(),
                        static_cast<int32_t>(inputs.size()), dims.data()));
  size_t ranks = 0;
  for (int32_t i = 0; i < info.output_count; ++i)
    ranks += info.outputs[i].rank;
  std::vector<int64_t> shapes(ranks);
  check(lutra_output_shapes(model, dims.data(), shapes.data()));
  std::vector<Array> outputs;
  auto shape = shapes.cbegin();
  for (int32_t i = 0; i < info.output_count; ++i) {
    const lutra_tensor_desc &output = info.outputs[i];
    outputs.emplace_back(static_cast<lutra_dtype>(output.dtype),
                         std::vector<int64_t>(shape, shape + output.rank));
    shape += output.rank;
  }
  return outputs;
}

Session::Session(const lutra_model *model, const Options &options)
    : model(model), arguments(makeInputs(model, options)) {
  if (info().state_count) {
    lutra_state *made = nullptr;
    check(lutra_state_create(model, &made));
    state.reset(made);
  }
  argumentViews = viewAll(arguments);
  results = makeOutputs(model, state.get(), argumentViews);
  resultViews = viewAll(results);

  lutra_pool *made = nullptr;
  check(lutra_pool_create(options.threads, &made));
  pool.reset(made);
  workers = lutra_pool_executor(made)->workers;
  owned = makeContext(lutra_pool_executor(made));
}

std::unique_ptr<lutra_context, Destroy>
Session::makeContext(lutra_executor *executor) const {
  lutra_context *context = nullptr;
  check(lutra_context_create(model, executor, &context));
  lutra_context_use_state(context, state.get());
  return std::unique_ptr<lutra_context, Destroy>(context);
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
