//===- CheckBuffers.c - Check the memory of a run -------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Internal.h"

#include <inttypes.h>

// Shapes have been checked: this cannot overflow.
static size_t byteSize(const lutra_tensor *tensor) {
  size_t bytes = lutra_dtype_size((int32_t)tensor->dtype);
  for (int32_t axis = 0; axis < tensor->rank; ++axis)
    if (tensor->shape[axis] == 0)
      return 0;
  for (int32_t axis = 0; axis < tensor->rank; ++axis)
    bytes *= (size_t)tensor->shape[axis];
  return bytes;
}

static lutra_status *checkData(const char *kind, const char *name,
                               const lutra_tensor *tensor, size_t bytes) {
  if (bytes == 0)
    return NULL;
  if (!tensor->data)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "%s '%s': expected %zu bytes of data, got null", kind,
                      name, bytes);
  size_t alignment = lutra_dtype_size((int32_t)tensor->dtype);
  if ((uintptr_t)tensor->data % alignment)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "%s '%s': expected data aligned to %zu bytes, got "
                      "address %p",
                      kind, name, alignment, tensor->data);
  return NULL;
}

static bool overlap(const void *a, size_t aBytes, const void *b,
                    size_t bBytes) {
  uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
  return aBytes && bBytes && (x <= y ? y - x < aBytes : x - y < bBytes);
}

// Checks memory that is written against each of `tensors`.
static lutra_status *
checkOverlap(const char *what, const char *name, const void *data, size_t bytes,
             const char *kind, const lutra_tensor_desc *descs,
             const lutra_tensor *tensors, const size_t *sizes, int32_t count) {
  for (int32_t i = 0; i < count; ++i)
    if (overlap(data, bytes, tensors[i].data, sizes[i]))
      return lutraError(LUTRA_INVALID_ARGUMENT,
                        "%s%s%s%s: expected memory of its own, got memory that "
                        "overlaps %s '%s'",
                        what, *name ? " '" : "", name, *name ? "'" : "", kind,
                        descs[i].name);
  return NULL;
}

static lutra_status *checkWorkspace(const lutra_model_desc *desc,
                                    const lutra_tensor *inputs,
                                    const lutra_tensor *outputs,
                                    const void *workspace, size_t bytes,
                                    int64_t needed, const size_t *sizes) {
  if (needed == 0)
    return NULL;
  if (!workspace)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "workspace: expected %" PRId64 " bytes, got null",
                      needed);
  if (bytes < (uint64_t)needed)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "workspace: expected at least %" PRId64 " bytes, got %zu",
                      needed, bytes);
  if ((uintptr_t)workspace % LUTRA_WORKSPACE_ALIGNMENT)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "workspace: expected memory aligned to %d bytes, got "
                      "address %p",
                      LUTRA_WORKSPACE_ALIGNMENT, workspace);
  lutra_status *status =
      checkOverlap("workspace", "", workspace, (size_t)needed, "input",
                   desc->inputs, inputs, sizes, desc->input_count);
  if (!status)
    status = checkOverlap("workspace", "", workspace, (size_t)needed, "output",
                          desc->outputs, outputs, sizes + desc->input_count,
                          desc->output_count);
  return status;
}

lutra_status *lutraCheckBuffers(const lutra_model_desc *desc,
                                const lutra_tensor *inputs,
                                const lutra_tensor *outputs,
                                const void *workspace, size_t workspaceBytes,
                                int64_t neededBytes, size_t *sizes) {
  lutra_status *status = NULL;
  size_t *outputSizes = sizes + desc->input_count;
  for (int32_t i = 0; !status && i < desc->input_count; ++i) {
    sizes[i] = byteSize(&inputs[i]);
    status = checkData("input", desc->inputs[i].name, &inputs[i], sizes[i]);
  }
  for (int32_t i = 0; !status && i < desc->output_count; ++i) {
    const lutra_tensor *output = &outputs[i];
    const char *name = desc->outputs[i].name;
    outputSizes[i] = byteSize(output);
    status = checkData("output", name, output, outputSizes[i]);
    if (!status)
      status =
          checkOverlap("output", name, output->data, outputSizes[i], "input",
                       desc->inputs, inputs, sizes, desc->input_count);
    if (!status)
      status = checkOverlap("output", name, output->data, outputSizes[i],
                            "output", desc->outputs, outputs, outputSizes, i);
  }
  if (status)
    return status;
  return checkWorkspace(desc, inputs, outputs, workspace, workspaceBytes,
                        neededBytes, sizes);
}
