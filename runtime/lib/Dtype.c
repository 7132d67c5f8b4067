//===- Dtype.c - Element types --------------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Internal.h"

typedef struct {
  const char *name;
  size_t size;
} Dtype;

static const Dtype dtypes[] = {
    [LUTRA_FLOAT32] = {"float32", 4},   [LUTRA_UINT8] = {"uint8", 1},
    [LUTRA_INT8] = {"int8", 1},         [LUTRA_UINT16] = {"uint16", 2},
    [LUTRA_INT16] = {"int16", 2},       [LUTRA_INT32] = {"int32", 4},
    [LUTRA_INT64] = {"int64", 8},       [LUTRA_BOOL] = {"bool", 1},
    [LUTRA_FLOAT16] = {"float16", 2},   [LUTRA_FLOAT64] = {"float64", 8},
    [LUTRA_UINT32] = {"uint32", 4},     [LUTRA_UINT64] = {"uint64", 8},
    [LUTRA_BFLOAT16] = {"bfloat16", 2},
};

static const Dtype *find(int32_t dtype) {
  static const Dtype unknown = {"unknown", 0};
  if (dtype < 0 || (size_t)dtype >= sizeof(dtypes) / sizeof(*dtypes) ||
      !dtypes[dtype].name)
    return &unknown;
  return &dtypes[dtype];
}

size_t lutra_dtype_size(int32_t dtype) { return find(dtype)->size; }
const char *lutra_dtype_name(int32_t dtype) { return find(dtype)->name; }
