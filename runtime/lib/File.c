//===- File.c - Files mapped read only ------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static lutra_status *mapOpenFile(const char *path, int file,
                                 lutraMapping *mapping) {
  struct stat info;
  if (fstat(file, &info) != 0)
    return lutraError(LUTRA_IO, "%s: %s", path, strerror(errno));
  if (!S_ISREG(info.st_mode))
    return lutraError(LUTRA_IO, "%s: expected a regular file", path);
  mapping->size = (size_t)info.st_size;
  if (mapping->size == 0)
    return NULL; // mmap refuses a length of 0.
  void *data = mmap(NULL, mapping->size, PROT_READ, MAP_PRIVATE, file, 0);
  if (data == MAP_FAILED)
    return lutraError(LUTRA_IO, "%s: cannot map %zu bytes: %s", path,
                      mapping->size, strerror(errno));
  mapping->data = data;
  return NULL;
}

lutra_status *lutraMapFile(const char *path, lutraMapping *mapping) {
  *mapping = (lutraMapping){0};
  // Without O_NONBLOCK, opening a FIFO would wait for a writer.
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0)
    return lutraError(LUTRA_IO, "%s: %s", path, strerror(errno));
  lutra_status *status = mapOpenFile(path, file, mapping);
  close(file);
  return status;
}

void lutraUnmap(lutraMapping *mapping) {
  if (mapping->data)
    munmap((void *)mapping->data, mapping->size);
  *mapping = (lutraMapping){0};
}
