//===- Session.h - A loaded model with its inputs and outputs ---*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TOOLS_LUTRA_RUN_SESSION_H
#define LUTRA_TOOLS_LUTRA_RUN_SESSION_H

#include "Execution.h"
#include "Options.h"

namespace lutra::run {

/// Throws Failure.
Model loadModel(const Options &options);

/// Everything that runs need, made once; a state is empty before each run.
/// `model` must outlive it.
class Session {
public:
  /// Makes the inputs and allocates the outputs. Throws Failure.
  Session(const lutra_model *model, const Options &options);

  /// Throws Failure.
  void run() { run(owned.get()); }
  /// In a context that makeContext made.
  void run(lutra_context *context);
  /// Another context, whose runs `executor` serves. Throws Failure.
  Context makeContext(lutra_executor *executor) const;

  const lutra_model_desc &info() const { return *lutra_model_info(model); }
  const std::vector<Array> &outputs() const { return results; }
  /// The output of this name. Throws Failure(Invalid).
  const Array &output(const std::string &name) const;
  lutra_context *context() { return owned.get(); }
  lutra_executor *executor() { return lutra_pool_executor(pool.get()); }
  int64_t threads() const { return workers; }

private:
  const lutra_model *model;
  std::vector<Array> arguments, results;
  std::vector<lutra_tensor> argumentViews, resultViews;
  int64_t workers = 1;
  Pool pool;
  State state;
  Context owned;
};

} // namespace lutra::run

#endif // LUTRA_TOOLS_LUTRA_RUN_SESSION_H
