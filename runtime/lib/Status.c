//===- Status.c - Errors with messages ------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct lutra_status {
  lutra_code code;
  const char *message;
};

// What is returned where no memory is left for an error; never freed.
static lutra_status outOfMemory = {LUTRA_OUT_OF_RESOURCES, "out of memory"};

lutra_status *lutraError(lutra_code code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (length < 0)
    return &outOfMemory;

  lutra_status *status = malloc(sizeof(*status) + (size_t)length + 1);
  if (!status)
    return &outOfMemory;
  char *message = (char *)(status + 1);
  va_start(args, format);
  vsnprintf(message, (size_t)length + 1, format, args);
  va_end(args);
  status->code = code;
  status->message = message;
  return status;
}

lutra_code lutra_status_code(const lutra_status *status) {
  return status ? status->code : LUTRA_OK;
}

const char *lutra_status_message(const lutra_status *status) {
  return status ? status->message : "ok";
}

void lutra_status_free(lutra_status *status) {
  if (status != &outOfMemory)
    free(status);
}

void lutraAppend(lutraText *text, const char *format, ...) {
  static const char cut[] = "...";
  size_t room = sizeof(text->text) - sizeof(cut);
  if (text->length >= room)
    return;
  va_list args;
  va_start(args, format);
  int length =
      vsnprintf(text->text + text->length, room - text->length, format, args);
  va_end(args);
  if (length < 0)
    return;
  text->length += (size_t)length;
  if (text->length >= room) {
    snprintf(text->text + room - 1, sizeof(cut), "%s", cut);
    text->length = room;
  }
}
