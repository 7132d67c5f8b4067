//===- Execution.h - A model and what it runs on ----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_ARRAYS_EXECUTION_H
#define LUTRA_LIB_ARRAYS_EXECUTION_H

#include "Array.h"

namespace lutra::run {

struct Destroy {
  void operator()(lutra_model *model) const { lutra_model_destroy(model); }
  void operator()(lutra_pool *pool) const { lutra_pool_destroy(pool); }
  void operator()(lutra_state *state) const { lutra_state_destroy(state); }
  void operator()(lutra_context *c) const { lutra_context_destroy(c); }
};

using Model = std::unique_ptr<lutra_model, Destroy>;
using State = std::unique_ptr<lutra_state, Destroy>;
using Pool = std::unique_ptr<lutra_pool, Destroy>;
using Context = std::unique_ptr<lutra_context, Destroy>;

/// A state of length 0; null for a model that keeps none. Throws Failure.
State makeState(const lutra_model *model);
/// Threads, or as many as there are CPUs for 0. Throws Failure.
Pool makePool(int64_t threads);
/// Throws Failure.
Context makeContext(const lutra_model *model, lutra_executor *executor,
                    lutra_state *state);

std::vector<lutra_tensor> viewAll(const std::vector<Array> &arrays);

/// Outputs as large as a run with these inputs makes them; `state` as in
/// lutra_run. Throws Failure.
std::vector<Array> makeOutputs(const lutra_model *model,
                               const lutra_state *state,
                               const std::vector<lutra_tensor> &inputs);

} // namespace lutra::run

#endif // LUTRA_LIB_ARRAYS_EXECUTION_H
