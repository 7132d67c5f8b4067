//===- lutra/abi.h - Contract between an artifact and the runtime -*- C -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the compiler emits and the runtime reads. An artifact exports exactly
// one symbol, `lutra_model_<name>`, a constant of type lutra_model_desc. An
// embedding program never needs this header; it uses runtime.h.
//
// Every struct here is laid out by the compiler in
// lib/Target/CPU/EmitModelDescriptor.cpp. Any change of layout or meaning
// raises LUTRA_ABI_VERSION.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_ABI_H
#define LUTRA_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LUTRA_ABI_VERSION 2u
#define LUTRA_MODEL_MAGIC 0x4152544cu /* "LTRA" */

/// Element types. The numbers are those of ONNX's TensorProto.DataType.
/// A bool is one byte, 0 or 1.
typedef enum lutra_dtype {
  LUTRA_FLOAT32 = 1,
  LUTRA_UINT8 = 2,
  LUTRA_INT8 = 3,
  LUTRA_UINT16 = 4,
  LUTRA_INT16 = 5,
  LUTRA_INT32 = 6,
  LUTRA_INT64 = 7,
  LUTRA_BOOL = 9,
  LUTRA_FLOAT16 = 10,
  LUTRA_FLOAT64 = 11,
  LUTRA_UINT32 = 12,
  LUTRA_UINT64 = 13,
  LUTRA_BFLOAT16 = 16
} lutra_dtype;

/// One symbolic dimension. Bounds are inclusive; `max` is INT64_MAX where the
/// model gives none; a size must be a multiple of `multiple` (1: any).
typedef struct lutra_dim_desc {
  const char *name;
  int64_t min;
  int64_t max;
  int64_t multiple;
} lutra_dim_desc;

/// One input or output. In `shape`, a value >= 0 is a constant size. For an
/// input, a value -1-i is the size of the symbolic dimension dims[i]; for an
/// output a negative value says that the size comes from `plan`.
typedef struct lutra_tensor_desc {
  const char *name;
  int32_t dtype;
  int32_t rank;
  const int64_t *shape;
} lutra_tensor_desc;

/// A tensor that the caller keeps between runs, as a key-value cache, in place
/// of an input and an output of the model. Runs append to it along `axis`: a
/// buffer is dense and row-major, as large as `shape` says, and of the
/// dimension `axis` the first `length` indices are in use. In `shape` a value
/// >= 0 is a constant size, at `axis` the capacity; a value -1-i is the size of
/// dims[i].
typedef struct lutra_state_desc {
  const char *name; /* of the input whose place it takes */
  int32_t dtype;
  int32_t rank;
  const int64_t *shape;
  int64_t axis;
} lutra_state_desc;

/// A task over the half-open range [begin, end) run as worker `worker`,
/// 0 <= worker < workers; no two concurrent calls share a worker number.
typedef void (*lutra_task_fn)(void *task, int64_t begin, int64_t end,
                              int64_t worker);

/// What runs tasks. `parallel_for` splits [0, count) into ranges, calls `fn`
/// for each and returns when all are done. The compiler reads `parallel_for`
/// at offset 0.
typedef struct lutra_executor {
  void (*parallel_for)(struct lutra_executor *self, int64_t count,
                       lutra_task_fn fn, void *task);
  int64_t workers;
} lutra_executor;

/// Called before (`begin` = 1) and after (`begin` = 0) each dispatch, on the
/// calling thread. `dispatch` indexes lutra_model_desc.dispatches.
typedef void (*lutra_dispatch_hook)(void *data, int64_t dispatch,
                                    int64_t begin);

/// The arguments of one run. All sizes have been checked by the runtime;
/// `inputs` and `outputs` are dense row-major buffers, aligned to their element
/// type; `workspace` is 64-byte aligned and at least as large as `plan` said;
/// `weights` is 64-byte aligned.
typedef struct lutra_call {
  lutra_executor *executor;  /* offset 0 */
  const void *const *inputs; /* offset 8 */
  void *const *outputs;      /* offset 16 */
  const int64_t *dims;       /* offset 24: the value of each dims[i] */
  void *workspace;           /* offset 32 */
  const void *weights;       /* offset 40 */
  lutra_dispatch_hook hook;  /* offset 48: may be null */
  void *hook_data;           /* offset 56 */
  void *const *states;       /* offset 64: read, and appended to in place */
} lutra_call;

/// One dispatch of the host program in order: the kernel that it calls and the
/// ONNX nodes it came from ("Conv_0, Relu_1").
typedef struct lutra_dispatch_desc {
  const char *kernel;
  const char *nodes;
} lutra_dispatch_desc;

typedef struct lutra_model_desc {
  uint32_t magic;       /* LUTRA_MODEL_MAGIC */
  uint32_t abi_version; /* LUTRA_ABI_VERSION of the compiler */
  const char *name;
  const char *compiler; /* "lutra 0.1.0 (LLVM 22.1.8)" */
  const char *triple;
  const char *cpu;
  /* Comma separated CPU features that the code needs ("avx2,avx512f,fma"). The
     runtime refuses to load where this CPU lacks one. */
  const char *features;
  int32_t input_count;
  int32_t output_count;
  int32_t dim_count;
  int32_t dispatch_count;
  const lutra_tensor_desc *inputs;
  const lutra_tensor_desc *outputs;
  const lutra_dim_desc *dims;
  const lutra_dispatch_desc *dispatches;
  /* A model that keeps state: all states have one length, the value of
     dims[state_dim]. Without: a count of 0 and a dim of -1. */
  int32_t state_count;
  int32_t state_dim;
  const lutra_state_desc *states;
  /* The weight image: `weights` when embedded, else the file `weights_file`
     (a bare file name) beside the artifact. Size and FNV-1a-64 hash are of the
     whole image; a model without weights has weights_size 0. */
  uint64_t weights_size;
  uint64_t weights_hash;
  const char *weights_file;
  const void *weights;
  /* Bytes of workspace for these dims and this many workers, and the sizes of
     all outputs, one after the other, rank by rank; then, where there are
     states, the length that a run brings them to. The bytes are -2 - i where
     dims[i] is not the size that other dims determine. Pure. */
  void (*plan)(const int64_t *dims, int64_t workers, int64_t *workspace_bytes,
               int64_t *output_shapes);
  /* Runs the model. Reentrant: writes only outputs, states and workspace. */
  void (*run)(const lutra_call *call);
} lutra_model_desc;

#ifdef __cplusplus
}
#endif

#endif /* LUTRA_ABI_H */
