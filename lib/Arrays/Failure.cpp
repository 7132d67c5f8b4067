//===- Failure.cpp - Runtime errors as exit codes -------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Failure.h"

using namespace lutra::run;

static Exit exitOf(lutra_code code) {
  switch (code) {
  case LUTRA_OK:
    return Exit::Ok;
  case LUTRA_INVALID_ARGUMENT:
  case LUTRA_INVALID_ARTIFACT:
  case LUTRA_UNSUPPORTED:
    return Exit::Invalid;
  case LUTRA_IO:
    return Exit::InputOutput;
  case LUTRA_OUT_OF_RESOURCES:
    break;
  }
  return Exit::Internal;
}

void lutra::run::check(lutra_status *status) {
  if (!status)
    return;
  Failure failure(exitOf(lutra_status_code(status)),
                  lutra_status_message(status));
  lutra_status_free(status);
  throw failure;
}
