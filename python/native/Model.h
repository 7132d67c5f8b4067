//===- Model.h - The runtime's handles --------------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Owners of what lutra/runtime.h makes. Nothing here touches Python, so that
// all may be called without its lock.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_PYTHON_NATIVE_MODEL_H
#define LUTRA_PYTHON_NATIVE_MODEL_H

#include "lutra/runtime.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdlib>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace lutra::python {

struct RunError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Throws an error as RunError.
void check(lutra_status *status);

struct Free {
  void operator()(void *data) const { std::free(data); }
};
/// Begins with a cache line, so that no vector that a kernel stores lies in
/// two; what malloc gives begins with 16 bytes.
using Memory = std::unique_ptr<void, Free>;

using ModelPtr = std::shared_ptr<lutra_model>;

/// A runtime's state, which keeps its model alive. Calls from several threads
/// at once take turns: the runtime's is for one at a time.
class State {
public:
  explicit State(ModelPtr model, lutra_state *state)
      : model(std::move(model)), state(state) {}
  State(const State &) = delete;
  ~State() { lutra_state_destroy(state); }

  int64_t length() {
    std::lock_guard<std::mutex> lock(mutex);
    return lutra_state_length(state);
  }
  int64_t capacity() const { return lutra_state_capacity(state); }
  void reset() {
    std::lock_guard<std::mutex> lock(mutex);
    lutra_state_reset(state);
  }
  void truncate(int64_t length) {
    std::lock_guard<std::mutex> lock(mutex);
    check(lutra_state_truncate(state, length));
  }
  std::unique_ptr<State> fork() {
    std::lock_guard<std::mutex> lock(mutex);
    lutra_state *copy = nullptr;
    check(lutra_state_fork(state, &copy));
    return std::make_unique<State>(model, copy);
  }

  /// Holds a state (or none) for one thread.
  class Use {
  public:
    explicit Use(State *state) : state(state) {
      if (state)
        state->mutex.lock();
    }
    Use(const Use &) = delete;
    ~Use() {
      if (state)
        state->mutex.unlock();
    }
    lutra_state *get() const { return state ? state->state : nullptr; }

  private:
    State *state;
  };

private:
  ModelPtr model;
  lutra_state *state;
  std::mutex mutex;
};

/// A loaded artifact with its threads. Calls from several threads at once each
/// take a context of their own, which goes back for the next.
class Model {
public:
  Model(const std::string &path, int64_t workers);
  Model(const Model &) = delete;
  ~Model() { release(); }

  const lutra_model_desc &info() const {
    return *lutra_model_info(model.get());
  }

  std::unique_ptr<State> makeState() const;

  /// The outputs of one run.
  struct Outputs {
    llvm::SmallVector<Memory, 4> data;
    /// One after the other.
    llvm::SmallVector<int64_t, 16> shapes;
  };

  /// Appends to `state`, which is null for a model that keeps none.
  Outputs run(llvm::ArrayRef<lutra_tensor> inputs, State *state);

private:
  lutra_context *takeContext();
  void giveContext(lutra_context *context);
  void release();

  lutra_pool *pool = nullptr;
  ModelPtr model;
  std::mutex mutex;
  std::vector<lutra_context *> contexts;
};

} // namespace lutra::python

#endif // LUTRA_PYTHON_NATIVE_MODEL_H
