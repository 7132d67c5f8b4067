//===- Execution.cpp - A model and what it runs on ------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Execution.h"
#include "Failure.h"

using namespace lutra::run;

State lutra::run::makeState(const lutra_model *model) {
  lutra_state *state = nullptr;
  if (lutra_model_info(model)->state_count)
    check(lutra_state_create(model, &state));
  return State(state);
}

Pool lutra::run::makePool(int64_t threads) {
  lutra_pool *pool = nullptr;
  check(lutra_pool_create(threads, &pool));
  return Pool(pool);
}

Context lutra::run::makeContext(const lutra_model *model,
                                lutra_executor *executor, lutra_state *state) {
  lutra_context *context = nullptr;
  check(lutra_context_create(model, executor, &context));
  lutra_context_use_state(context, state);
  return Context(context);
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
