//===- Weights.c - The weight image, embedded or mapped -------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VerifyBelow = 64 << 20, Alignment = 64 };

static uint64_t fnv1a(const unsigned char *data, uint64_t size) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (uint64_t i = 0; i < size; ++i)
    hash = (hash ^ data[i]) * 0x100000001b3u;
  return hash;
}

static lutra_status *checkHash(const lutra_model_desc *desc,
                               const void *weights, const char *origin) {
  uint64_t hash = fnv1a(weights, desc->weights_size);
  if (hash == desc->weights_hash)
    return NULL;
  return lutraError(LUTRA_INVALID_ARTIFACT,
                    "%s: expected weights of model '%s' with hash %016" PRIx64
                    ", got %016" PRIx64
                    "; the file is damaged or of another compilation",
                    origin, desc->name, desc->weights_hash, hash);
}

static lutra_status *checkFile(const lutra_model_desc *desc, uint32_t flags,
                               const char *path, lutraMapping file) {
  if (file.size != desc->weights_size)
    return lutraError(LUTRA_INVALID_ARTIFACT,
                      "%s: expected %" PRIu64
                      " bytes of weights of model '%s', got %zu",
                      path, desc->weights_size, desc->name, file.size);
  if ((flags & LUTRA_VERIFY_WEIGHTS) ||
      (!(flags & LUTRA_TRUST_WEIGHTS) && file.size < VerifyBelow))
    return checkHash(desc, file.data, path);
  return NULL;
}

lutra_status *lutraLoadWeights(const lutra_model_desc *desc, const char *dir,
                               uint32_t flags, const void **weights,
                               lutraMapping *mapping) {
  *mapping = (lutraMapping){0};
  *weights = desc->weights;
  if (desc->weights_size == 0)
    return NULL;
  if (desc->weights) {
    if ((uintptr_t)desc->weights % Alignment)
      return lutraError(LUTRA_INVALID_ARTIFACT,
                        "model '%s': expected embedded weights aligned to %d "
                        "bytes, got address %p",
                        desc->name, Alignment, desc->weights);
    return flags & LUTRA_VERIFY_WEIGHTS
               ? checkHash(desc, desc->weights, "embedded weights")
               : NULL;
  }

  size_t length = strlen(dir) + strlen(desc->weights_file) + 2;
  char *path = malloc(length);
  if (!path)
    return lutraError(LUTRA_OUT_OF_RESOURCES, "out of memory");
  snprintf(path, length, "%s/%s", dir, desc->weights_file);
  lutra_status *status = lutraMapFile(path, mapping);
  if (!status) {
    status = checkFile(desc, flags, path, *mapping);
    if (status)
      lutraUnmap(mapping);
  }
  *weights = mapping->data;
  free(path);
  return status;
}
