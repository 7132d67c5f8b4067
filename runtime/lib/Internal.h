//===- Internal.h - What the runtime's files share ----------------*- C -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_RUNTIME_INTERNAL_H
#define LUTRA_RUNTIME_INTERNAL_H

#include "lutra/runtime.h"

#include <stdbool.h>

/// A new error with a formatted message. Never NULL.
lutra_status *lutraError(lutra_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/// A text buffer for messages; what does not fit is cut and ends in "...".
typedef struct {
  char text[512];
  size_t length;
} lutraText;

void lutraAppend(lutraText *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/// A file mapped read only; `data` is NULL for an empty file.
typedef struct {
  const unsigned char *data;
  size_t size;
} lutraMapping;

/// Maps a regular file. Errors name `path`.
lutra_status *lutraMapFile(const char *path, lutraMapping *mapping);
void lutraUnmap(lutraMapping *mapping);

/// Reads the name and size of the one dynamic symbol that starts with
/// `lutra_model_` from an ELF file of this machine, after checking that no
/// part of the file that the dynamic linker maps is missing. `name` points
/// into `file`.
lutra_status *lutraFindModelSymbol(const char *path, lutraMapping file,
                                   const char **name, uint64_t *size);

/// Checks the magic, the ABI version, the CPU features and every field of a
/// descriptor. `origin` names it in errors.
lutra_status *lutraCheckDescriptor(const lutra_model_desc *desc,
                                   const char *origin);

/// Checks that this CPU has each of a comma separated list of features.
lutra_status *lutraCheckFeatures(const char *features, const char *origin);

/// Finds the weight image, embedded or in `dir`, and checks it. `mapping` is
/// what the caller unmaps at the end.
lutra_status *lutraLoadWeights(const lutra_model_desc *desc, const char *dir,
                               uint32_t flags, const void **weights,
                               lutraMapping *mapping);

struct lutra_model {
  const lutra_model_desc *desc;
  const void *weights;
  lutraMapping mapping;
  void *library; /* from dlopen, or NULL */
};

struct lutra_state {
  const lutra_model *model;
  int64_t length;
  bool allocated; // `buffers` are as large as `dims` say.
  bool settled;   // Runs must have the sizes in `dims`.
  int64_t *dims;  // One for each of the model's; -1 where it shapes no state.
  void **buffers;
};

/// Checks that `state` (may be NULL) is one for runs of this model.
lutra_status *lutraCheckState(const lutra_model *model,
                              const lutra_state *state);

/// How many indices all states have room for.
int64_t lutraStateCapacity(const lutra_model_desc *desc);

/// The size of a state's buffer; false where it is 2^63 or more.
bool lutraStateBytes(const lutra_state_desc *desc, const int64_t *dims,
                     int64_t *bytes);

/// Allocates the buffers where this is the first run of the state, whose dims
/// have been checked.
lutra_status *lutraSettleState(lutra_state *state, const int64_t *dims);

/// How many sizes the outputs have.
int64_t lutraOutputRanks(const lutra_model_desc *desc);

/// How many values `plan` writes: these sizes, and a length with states.
int64_t lutraPlanned(const lutra_model_desc *desc);

/// Checks the state, and dtypes and shapes of the inputs, and writes the dims.
lutra_status *lutraBindDims(const lutra_model *model, const lutra_state *state,
                            const lutra_tensor *inputs, int32_t count,
                            int64_t *dims);

/// Asks `plan` and checks its answer, which fits in `shapes`.
lutra_status *lutraPlan(const lutra_model_desc *desc, const int64_t *dims,
                        int64_t workers, int64_t *bytes, int64_t *shapes);

/// Checks dtypes and shapes of the outputs against the plan's `shapes`.
lutra_status *lutraCheckOutputs(const lutra_model_desc *desc,
                                const lutra_tensor *outputs, int32_t count,
                                const int64_t *shapes);

/// Checks the data pointers of tensors that have passed the checks above, the
/// workspace, and that nothing that is written overlaps anything else. `sizes`
/// is room for the bytes of each input and output: all are compared with all.
lutra_status *lutraCheckBuffers(const lutra_model_desc *desc,
                                const lutra_tensor *inputs,
                                const lutra_tensor *outputs,
                                const void *workspace, size_t workspaceBytes,
                                int64_t neededBytes, size_t *sizes);

/// The memory of a run. What `grows` is allocated by the runtime.
typedef struct {
  void *data;
  size_t bytes;
  bool grows;
} lutraWorkspace;

/// Makes a workspace that grows have at least `bytes`.
lutra_status *lutraGrow(lutraWorkspace *workspace, size_t bytes);

/// lutra_run in `workspace`.
lutra_status *lutraRun(const lutra_model *model, lutra_executor *executor,
                       lutra_state *state, const lutra_tensor *inputs,
                       int32_t inputCount, const lutra_tensor *outputs,
                       int32_t outputCount, lutraWorkspace *workspace,
                       const lutra_trace *trace);

#endif /* LUTRA_RUNTIME_INTERNAL_H */
