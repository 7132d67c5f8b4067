//===- lutra/runtime.h - Run compiled models --------------------*- C -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The one header that a program includes to run what lutra-compile wrote:
//
//   lutra_model *model;
//   lutra_context *context;
//   lutra_status *status = lutra_model_load("digits.so", NULL, 0, &model);
//   ...
//   status = lutra_context_create(model, NULL, &context);
//   status = lutra_context_run(context, inputs, 1, outputs, 1);
//
// Rules that hold everywhere:
// * A function that can fail returns a lutra_status: NULL for success, else an
//   error that the caller frees. Where it fails it has written no result and
//   has run nothing.
// * The caller owns all memory that it passes in and keeps it alive for the
//   call. Sizes are in bytes unless an element count is said. Shapes are in
//   elements, outermost dimension first; tensors are dense and row-major.
// * A model is immutable: any number of threads may query and run one at once.
//   Pools may be shared. A context is for one thread at a time.
// * An artifact is native code and is trusted as such, like any library that
//   a program loads. Files are checked against damage and mistakes, not malice.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_RUNTIME_H
#define LUTRA_RUNTIME_H

#include "lutra/abi.h"

#include <stddef.h>
#include <stdint.h>

#define LUTRA_API __attribute__((visibility("default")))
#define LUTRA_CHECKED __attribute__((visibility("default"), warn_unused_result))

#ifdef __cplusplus
extern "C" {
#endif

//===----------------------------------------------------------------------===//
// Version
//===----------------------------------------------------------------------===//

/// The version of this runtime, "0.1.0".
LUTRA_API const char *lutra_version(void);

/// The ABI version of the artifacts that this runtime runs (LUTRA_ABI_VERSION
/// when it was built).
LUTRA_API uint32_t lutra_abi_version(void);

//===----------------------------------------------------------------------===//
// Status
//===----------------------------------------------------------------------===//

typedef enum lutra_code {
  LUTRA_OK = 0,
  LUTRA_INVALID_ARGUMENT = 1, /* a tensor, dim, name or buffer is wrong */
  LUTRA_INVALID_ARTIFACT = 2, /* a damaged file, or no Lutra artifact */
  LUTRA_UNSUPPORTED = 3,      /* another ABI version, machine or CPU */
  LUTRA_IO = 4,               /* a file cannot be opened or read */
  LUTRA_OUT_OF_RESOURCES = 5  /* no memory, or no thread can be made */
} lutra_code;

/// An error; NULL is success.
typedef struct lutra_status lutra_status;

/// LUTRA_OK for NULL.
LUTRA_API lutra_code lutra_status_code(const lutra_status *status);

/// One sentence, lower case, no period: what was expected and what was got.
/// "ok" for NULL. Lives as long as the status.
LUTRA_API const char *lutra_status_message(const lutra_status *status);

/// Frees an error; NULL is allowed.
LUTRA_API void lutra_status_free(lutra_status *status);

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

/// A view of the caller's memory: dense, row-major, aligned to its element
/// size. `data` may be NULL where a size is 0; of an input it is only read.
/// `shape` has `rank` entries and may be NULL where rank is 0.
typedef struct lutra_tensor {
  void *data;
  lutra_dtype dtype;
  int32_t rank;
  const int64_t *shape;
} lutra_tensor;

/// Bytes per element, or 0 for a value that is no lutra_dtype.
LUTRA_API size_t lutra_dtype_size(int32_t dtype);

/// "float32"; "unknown" for a value that is no lutra_dtype.
LUTRA_API const char *lutra_dtype_name(int32_t dtype);

//===----------------------------------------------------------------------===//
// Executors and the thread pool
//===----------------------------------------------------------------------===//

/// The number of CPUs that this thread may run on (its affinity mask), >= 1.
LUTRA_API int64_t lutra_usable_cpus(void);

/// Persistent threads that run parallel loops. Any number of models and threads
/// may share one pool: while one loop has it, a loop that another thread (or a
/// task of the first) starts runs on its own calling thread.
typedef struct lutra_pool lutra_pool;

/// Makes a pool of `workers` workers; 0 means lutra_usable_cpus(). The calling
/// thread of each loop is worker 0, so workers - 1 threads are made.
LUTRA_CHECKED lutra_status *lutra_pool_create(int64_t workers,
                                              lutra_pool **pool);

/// Ends the threads. No loop may be running. NULL is allowed.
LUTRA_API void lutra_pool_destroy(lutra_pool *pool);

/// The pool as an executor. It lives as long as the pool. A caller with its own
/// threads passes its own lutra_executor instead of this one.
LUTRA_API lutra_executor *lutra_pool_executor(lutra_pool *pool);

//===----------------------------------------------------------------------===//
// Models
//===----------------------------------------------------------------------===//

typedef struct lutra_model lutra_model;

enum {
  /// Reads the whole weight image at load and compares its hash. Without
  /// either flag this is done for weight files below 64 MiB; the size of a
  /// weight file is always checked.
  LUTRA_VERIFY_WEIGHTS = 1,
  /// Never compares the hash, so that loading reads no weights.
  LUTRA_TRUST_WEIGHTS = 2
};

/// Loads a compiled shared object. `weights_dir` is where its weight file is,
/// NULL for the directory of `path`. `flags` are those above. Fails with
/// LUTRA_IO, LUTRA_INVALID_ARTIFACT, or LUTRA_UNSUPPORTED where the ABI
/// version, the machine or a CPU feature does not match.
///
/// The weight file is mapped, read only: it must not be changed or truncated
/// while the model lives.
LUTRA_CHECKED lutra_status *lutra_model_load(const char *path,
                                             const char *weights_dir,
                                             uint32_t flags,
                                             lutra_model **model);

/// Makes a model from a descriptor that is linked into the program (`.o` and
/// `.h`). A NULL `weights_dir` is the directory of the program's executable.
/// `desc` must outlive the model. Otherwise as lutra_model_load.
LUTRA_CHECKED lutra_status *lutra_model_create(const lutra_model_desc *desc,
                                               const char *weights_dir,
                                               uint32_t flags,
                                               lutra_model **model);

/// Unmaps the weights and unloads the shared object. No run may be active and
/// no context may be left. NULL is allowed.
LUTRA_API void lutra_model_destroy(lutra_model *model);

/// What the model is: name, inputs, outputs, dims, dispatches, target, weights;
/// abi.h documents each field. The descriptor has been checked and lives as
/// long as the model.
LUTRA_API const lutra_model_desc *lutra_model_info(const lutra_model *model);

/// Finds an input or output by name; an unknown name is LUTRA_INVALID_ARGUMENT
/// and its message lists the names that there are.
LUTRA_CHECKED lutra_status *lutra_find_input(const lutra_model *model,
                                             const char *name, int32_t *index);
LUTRA_CHECKED lutra_status *lutra_find_output(const lutra_model *model,
                                              const char *name, int32_t *index);

//===----------------------------------------------------------------------===//
// State
//===----------------------------------------------------------------------===//

/// What a model compiled with `--state` keeps between runs, as the key-value
/// caches of a language model: tensors of one length, to which each run appends
/// in place. Any number of states of one model may exist; a state is for one
/// run at a time.
typedef struct lutra_state lutra_state;

/// Makes a state of length 0. `model` must outlive it; a model that keeps none
/// is LUTRA_INVALID_ARGUMENT. Memory is taken by the first run, which also
/// settles the sizes of all other dimensions (the batch).
LUTRA_CHECKED lutra_status *lutra_state_create(const lutra_model *model,
                                               lutra_state **state);

/// NULL is allowed.
LUTRA_API void lutra_state_destroy(lutra_state *state);

/// How many indices along the states' axis are in use.
LUTRA_API int64_t lutra_state_length(const lutra_state *state);

/// How many there is room for.
LUTRA_API int64_t lutra_state_capacity(const lutra_state *state);

/// Begins anew: length 0, and the next run may have another batch.
LUTRA_API void lutra_state_reset(lutra_state *state);

/// Forgets what lies behind the first `length`, at most the present length.
LUTRA_CHECKED lutra_status *lutra_state_truncate(lutra_state *state,
                                                 int64_t length);

/// Copies what is in use, so that two continuations can begin at one prefix.
LUTRA_CHECKED lutra_status *lutra_state_fork(const lutra_state *state,
                                             lutra_state **copy);

//===----------------------------------------------------------------------===//
// Sizes, asked before a run
//===----------------------------------------------------------------------===//

/// Checks the dtypes and shapes of all inputs, in the model's order, and writes
/// the size of each symbolic dimension to `dims` (dim_count entries, may be
/// NULL). The tensors' data is not looked at. The length comes from `state`,
/// which is NULL for a model that keeps none.
LUTRA_CHECKED lutra_status *lutra_bind_dims(const lutra_model *model,
                                            const lutra_state *state,
                                            const lutra_tensor *inputs,
                                            int32_t input_count, int64_t *dims);

/// Writes the sizes of all outputs for these dims (dim_count entries), one
/// output after the other: as many entries as the outputs' ranks add up to.
LUTRA_CHECKED lutra_status *lutra_output_shapes(const lutra_model *model,
                                                const int64_t *dims,
                                                int64_t *shapes);

/// The bytes of workspace that a run with these dims and an executor of this
/// many workers (1: no executor) needs.
LUTRA_CHECKED lutra_status *lutra_workspace_size(const lutra_model *model,
                                                 const int64_t *dims,
                                                 int64_t workers,
                                                 size_t *bytes);

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

/// Called on the thread that runs the model before (`begin` = 1) and after
/// (`begin` = 0) each dispatch. `index` is the place in
/// lutra_model_desc.dispatches of `dispatch`, which names the kernel and the
/// ONNX nodes that it came from.
typedef void (*lutra_trace_fn)(void *data, int64_t index,
                               const lutra_dispatch_desc *dispatch, int begin);

typedef struct lutra_trace {
  lutra_trace_fn fn;
  void *data;
} lutra_trace;

/// Alignment of a workspace, in bytes.
#define LUTRA_WORKSPACE_ALIGNMENT 64

/// Runs the model once. Inputs and outputs come in the model's order; outputs
/// are preallocated with the shapes that lutra_output_shapes says and overlap
/// neither each other nor an input. `executor` may be NULL: the calling thread
/// does everything. `workspace` is aligned to LUTRA_WORKSPACE_ALIGNMENT and has
/// at least the bytes that lutra_workspace_size says for executor->workers; it
/// may be NULL where that is 0. `trace` may be NULL. `state` is NULL for a
/// model that keeps none; else the run appends to it.
///
/// All arguments are checked first; a wrong one is LUTRA_INVALID_ARGUMENT.
/// Reentrant: concurrent runs of one model need only their own outputs, states
/// and workspaces. Allocates nothing, except for a model of more than 128
/// inputs, outputs and dims, and for a state's first run.
LUTRA_CHECKED lutra_status *
lutra_run(const lutra_model *model, lutra_executor *executor,
          lutra_state *state, const lutra_tensor *inputs, int32_t input_count,
          const lutra_tensor *outputs, int32_t output_count, void *workspace,
          size_t workspace_bytes, const lutra_trace *trace);

/// A model, an executor and a workspace that grows as runs need it, for callers
/// who do not manage one. One thread at a time; make one for each thread.
typedef struct lutra_context lutra_context;

/// `model` and `executor` (may be NULL) must outlive the context.
LUTRA_CHECKED lutra_status *lutra_context_create(const lutra_model *model,
                                                 lutra_executor *executor,
                                                 lutra_context **context);

/// Frees the workspace. NULL is allowed.
LUTRA_API void lutra_context_destroy(lutra_context *context);

/// Makes all later runs append to `state`, which the caller owns.
LUTRA_API void lutra_context_use_state(lutra_context *context,
                                       lutra_state *state);

/// Traces all later runs; a NULL `fn` ends it.
LUTRA_API void lutra_context_trace(lutra_context *context, lutra_trace_fn fn,
                                   void *data);

/// lutra_run with the context's workspace, grown where it is too small.
LUTRA_CHECKED lutra_status *lutra_context_run(lutra_context *context,
                                              const lutra_tensor *inputs,
                                              int32_t input_count,
                                              const lutra_tensor *outputs,
                                              int32_t output_count);

#ifdef __cplusplus
}
#endif

#endif /* LUTRA_RUNTIME_H */
