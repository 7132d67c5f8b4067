//===- Descriptor.c - Check a model descriptor ----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Everything that the rest of the runtime takes for granted about a descriptor.
//
//===----------------------------------------------------------------------===//

#include "Internal.h"

#include <string.h>

enum { MaxCount = 1 << 20, MaxRank = 64 };

static lutra_status *invalid(const char *origin, const char *what) {
  return lutraError(LUTRA_INVALID_ARTIFACT, "%s: invalid model descriptor: %s",
                    origin, what);
}

static lutra_status *checkVersion(const lutra_model_desc *desc,
                                  const char *origin) {
  if (desc->magic != LUTRA_MODEL_MAGIC)
    return lutraError(LUTRA_INVALID_ARTIFACT,
                      "%s: expected a Lutra model (magic 0x%08x), got 0x%08x",
                      origin, LUTRA_MODEL_MAGIC, desc->magic);
  if (desc->abi_version != LUTRA_ABI_VERSION)
    return lutraError(LUTRA_UNSUPPORTED,
                      "%s: compiled for Lutra ABI version %u, but this runtime "
                      "(%s) has ABI version %u; compile the model again with "
                      "this release, or use the runtime that it was made for",
                      origin, desc->abi_version, lutra_version(),
                      LUTRA_ABI_VERSION);
  return NULL;
}

static const char *findTensorFault(const lutra_tensor_desc *tensors,
                                   int32_t count, int32_t dimCount,
                                   bool input) {
  if (count < 0 || count > MaxCount || (count && !tensors))
    return "bad list of inputs or outputs";
  for (int32_t i = 0; i < count; ++i) {
    const lutra_tensor_desc *tensor = &tensors[i];
    if (!tensor->name)
      return "an input or output has no name";
    if (!lutra_dtype_size(tensor->dtype))
      return "an input or output has an unknown element type";
    if (tensor->rank < 0 || tensor->rank > MaxRank ||
        (tensor->rank && !tensor->shape))
      return "an input or output has a bad rank";
    for (int32_t axis = 0; axis < tensor->rank; ++axis)
      if (input && tensor->shape[axis] < -(int64_t)dimCount)
        return "an input's shape names a dimension that does not exist";
  }
  return NULL;
}

static bool isShapeOfState(const lutra_model_desc *desc,
                           const lutra_state_desc *state) {
  for (int32_t axis = 0; axis < state->rank; ++axis) {
    int64_t size = state->shape[axis];
    if (size < -(int64_t)desc->dim_count || -1 - size == desc->state_dim)
      return false;
  }
  return state->shape[state->axis] >= 0;
}

static const char *findStateFault(const lutra_model_desc *desc) {
  if (desc->state_count < 0 || desc->state_count > MaxCount ||
      (desc->state_count && !desc->states))
    return "bad list of states";
  if (desc->state_count
          ? desc->state_dim < 0 || desc->state_dim >= desc->dim_count
          : desc->state_dim != -1)
    return "the length of the states is no dimension";
  for (int32_t i = 0; i < desc->state_count; ++i) {
    const lutra_state_desc *state = &desc->states[i];
    if (!state->name)
      return "a state has no name";
    if (!lutra_dtype_size(state->dtype))
      return "a state has an unknown element type";
    if (state->rank < 1 || state->rank > MaxRank || !state->shape)
      return "a state has a bad rank";
    if (state->axis < 0 || state->axis >= state->rank)
      return "a state has a bad axis";
    if (!isShapeOfState(desc, state))
      return "a state has a bad shape";
  }
  return NULL;
}

// A dimension that neither an input nor the states' length gives would have no
// size in a run.
static bool occurs(const lutra_model_desc *desc, int32_t dim) {
  if (dim == desc->state_dim)
    return true;
  for (int32_t i = 0; i < desc->input_count; ++i)
    for (int32_t axis = 0; axis < desc->inputs[i].rank; ++axis)
      if (desc->inputs[i].shape[axis] == -1 - (int64_t)dim)
        return true;
  return false;
}

static const char *findDimFault(const lutra_model_desc *desc) {
  for (int32_t i = 0; i < desc->dim_count; ++i) {
    const lutra_dim_desc *dim = &desc->dims[i];
    if (!dim->name)
      return "a dimension has no name";
    if (dim->min < 0 || dim->max < dim->min || dim->multiple < 1)
      return "a dimension has a bad range";
    if (!occurs(desc, i))
      return "a dimension occurs in no input";
  }
  return NULL;
}

static const char *findFault(const lutra_model_desc *desc) {
  if (!desc->name || !desc->compiler || !desc->triple || !desc->cpu ||
      !desc->features)
    return "a name is missing";
  if (desc->dim_count < 0 || desc->dim_count > MaxCount ||
      (desc->dim_count && !desc->dims))
    return "bad list of dimensions";
  if (desc->dispatch_count < 0 || (desc->dispatch_count && !desc->dispatches))
    return "bad list of dispatches";
  if (!desc->plan || !desc->run)
    return "an entry point is missing";
  for (int32_t i = 0; i < desc->dispatch_count; ++i)
    if (!desc->dispatches[i].kernel || !desc->dispatches[i].nodes)
      return "a dispatch has no name";
  if (desc->weights_size && !desc->weights &&
      (!desc->weights_file || !*desc->weights_file ||
       strchr(desc->weights_file, '/')))
    return "expected the bare name of a weight file";
  const char *fault = findTensorFault(desc->inputs, desc->input_count,
                                      desc->dim_count, /*input=*/true);
  if (!fault)
    fault = findTensorFault(desc->outputs, desc->output_count, desc->dim_count,
                            /*input=*/false);
  if (!fault)
    fault = findStateFault(desc);
  return fault ? fault : findDimFault(desc);
}

lutra_status *lutraCheckDescriptor(const lutra_model_desc *desc,
                                   const char *origin) {
  lutra_status *status = checkVersion(desc, origin);
  if (status)
    return status;
  const char *fault = findFault(desc);
  if (fault)
    return invalid(origin, fault);
  return lutraCheckFeatures(desc->features, origin);
}

int64_t lutraOutputRanks(const lutra_model_desc *desc) {
  int64_t ranks = 0;
  for (int32_t i = 0; i < desc->output_count; ++i)
    ranks += desc->outputs[i].rank;
  return ranks;
}

int64_t lutraPlanned(const lutra_model_desc *desc) {
  return lutraOutputRanks(desc) + (desc->state_count > 0);
}
