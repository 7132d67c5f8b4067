//===- Model.c - Load models and find their parts -------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Internal.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *lutra_version(void) { return LUTRA_VERSION; }
uint32_t lutra_abi_version(void) { return LUTRA_ABI_VERSION; }

// Cuts the last component off a path; "" and "x" become ".".
static void cutToDirectory(char *path) {
  char *slash = strrchr(path, '/');
  if (!slash)
    strcpy(path, ".");
  else
    *(slash == path ? slash + 1 : slash) = '\0';
}

static lutra_status *create(const lutra_model_desc *desc, const char *origin,
                            const char *dir, uint32_t flags,
                            lutra_model **model) {
  if (flags & ~(uint32_t)(LUTRA_VERIFY_WEIGHTS | LUTRA_TRUST_WEIGHTS))
    return lutraError(LUTRA_INVALID_ARGUMENT, "unknown flags 0x%x", flags);
  lutra_status *status = lutraCheckDescriptor(desc, origin);
  if (status)
    return status;
  lutra_model *made = calloc(1, sizeof(*made));
  if (!made)
    return lutraError(LUTRA_OUT_OF_RESOURCES, "out of memory");
  made->desc = desc;
  status = lutraLoadWeights(desc, dir, flags, &made->weights, &made->mapping);
  if (status) {
    free(made);
    return status;
  }
  *model = made;
  return NULL;
}

lutra_status *lutra_model_create(const lutra_model_desc *desc,
                                 const char *weights_dir, uint32_t flags,
                                 lutra_model **model) {
  if (!desc || !model)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "expected a descriptor and a place for the model");
  char program[PATH_MAX] = ".";
  if (!weights_dir) {
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    if (length > 0) {
      program[length] = '\0';
      cutToDirectory(program);
    }
    weights_dir = program;
  }
  return create(desc, "linked model", weights_dir, flags, model);
}

// Checks the symbol's size before the descriptor that it names is read, the
// version first: another version's descriptor may be smaller.
static lutra_status *checkSymbol(const char *path, const char *name,
                                 uint64_t size, const lutra_model_desc *desc) {
  size_t needed = offsetof(lutra_model_desc, name);
  if (desc && size >= needed && desc->magic == LUTRA_MODEL_MAGIC &&
      desc->abi_version == LUTRA_ABI_VERSION)
    needed = sizeof(*desc);
  if (desc && size >= needed)
    return NULL;
  return lutraError(LUTRA_INVALID_ARTIFACT,
                    "%s: expected symbol '%s' to have %zu bytes, got %" PRIu64,
                    path, name, needed, size);
}

// dlopen searches the library path for a name without a slash, so `path` has
// one.
static lutra_status *openLibrary(const char *path, const char *dir,
                                 uint32_t flags, lutra_model **model) {
  lutraMapping file;
  lutra_status *status = lutraMapFile(path, &file);
  if (status)
    return status;

  const char *name;
  uint64_t size = 0;
  void *library = NULL;
  status = lutraFindModelSymbol(path, file, &name, &size);
  if (!status) {
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
      status = lutraError(LUTRA_INVALID_ARTIFACT, "%s: cannot load: %s", path,
                          dlerror());
  }
  if (!status) {
    const lutra_model_desc *desc = dlsym(library, name);
    status = checkSymbol(path, name, size, desc);
    if (!status)
      status = create(desc, path, dir, flags, model);
  }
  if (!status)
    (*model)->library = library;
  else if (library)
    dlclose(library);
  lutraUnmap(&file);
  return status;
}

lutra_status *lutra_model_load(const char *path, const char *weights_dir,
                               uint32_t flags, lutra_model **model) {
  if (!path || !model)
    return lutraError(LUTRA_INVALID_ARGUMENT,
                      "expected a path and a place for the model");
  size_t length = strlen(path) + 3;
  char *full = malloc(length);
  char *dir = malloc(length);
  lutra_status *status = NULL;
  if (!full || !dir) {
    status = lutraError(LUTRA_OUT_OF_RESOURCES, "out of memory");
  } else {
    snprintf(full, length, "%s%s", strchr(path, '/') ? "" : "./", path);
    strcpy(dir, full);
    cutToDirectory(dir);
    status = openLibrary(full, weights_dir ? weights_dir : dir, flags, model);
  }
  free(full);
  free(dir);
  return status;
}

void lutra_model_destroy(lutra_model *model) {
  if (!model)
    return;
  lutraUnmap(&model->mapping);
  if (model->library)
    dlclose(model->library);
  free(model);
}

const lutra_model_desc *lutra_model_info(const lutra_model *model) {
  return model->desc;
}

static lutra_status *find(const lutra_tensor_desc *tensors, int32_t count,
                          const char *kind, const char *name, int32_t *index) {
  lutraText names = {0};
  for (int32_t i = 0; i < count; ++i) {
    if (name && !strcmp(tensors[i].name, name)) {
      *index = i;
      return NULL;
    }
    lutraAppend(&names, "%s'%s'", i ? ", " : "", tensors[i].name);
  }
  return lutraError(LUTRA_INVALID_ARGUMENT,
                    "no %s is named '%s'; expected one of: %s", kind,
                    name ? name : "(null)", count ? names.text : "none");
}

lutra_status *lutra_find_input(const lutra_model *model, const char *name,
                               int32_t *index) {
  return find(model->desc->inputs, model->desc->input_count, "input", name,
              index);
}

lutra_status *lutra_find_output(const lutra_model *model, const char *name,
                                int32_t *index) {
  return find(model->desc->outputs, model->desc->output_count, "output", name,
              index);
}
