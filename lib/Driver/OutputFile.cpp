//===- OutputFile.cpp - Files that appear whole or not at all -------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes a text under a temporary name and renames it.
//
//===----------------------------------------------------------------------===//

#include "OutputFile.h"

#include "llvm/Support/FileSystem.h"

using namespace llvm;

/// The stream's error, which it must not meet again in its destructor.
static std::error_code finish(raw_fd_ostream &os) {
  os.flush();
  std::error_code error = os.error();
  os.clear_error();
  return error;
}

/// Whether `path` is written as it is: what is no file, such as a device, must
/// not be replaced by one.
static bool isWrittenInPlace(StringRef path) {
  return sys::fs::exists(path) && !sys::fs::is_directory(path) &&
         !sys::fs::is_regular_file(path);
}

/// The file that takes the place of `path`.
static Expected<sys::fs::TempFile> createBeside(StringRef path) {
  if (sys::fs::is_directory(path))
    return createFileError(path,
                           std::make_error_code(std::errc::is_a_directory));
  auto mode = sys::fs::all_read | sys::fs::all_write;
  Expected<sys::fs::TempFile> file =
      sys::fs::TempFile::create(path + ".%%%%%%", mode);
  if (!file)
    return createFileError(path, file.takeError());
  return file;
}

Error mlir::lutra::checkWritable(StringRef path) {
  if (path == "-" || isWrittenInPlace(path))
    return Error::success();
  Expected<sys::fs::TempFile> file = createBeside(path);
  return file ? file->discard() : file.takeError();
}

Error mlir::lutra::writeFile(StringRef path,
                             function_ref<void(raw_ostream &)> write) {
  if (path == "-") {
    write(outs());
    if (std::error_code error = finish(outs()))
      return createFileError("standard output", error);
    return Error::success();
  }
  if (isWrittenInPlace(path)) {
    std::error_code error;
    raw_fd_ostream os(path, error);
    if (error)
      return createFileError(path, error);
    write(os);
    if ((error = finish(os)))
      return createFileError(path, error);
    return Error::success();
  }
  Expected<sys::fs::TempFile> file = createBeside(path);
  if (!file)
    return file.takeError();
  raw_fd_ostream os(file->FD, /*shouldClose=*/false);
  write(os);
  if (std::error_code error = finish(os)) {
    consumeError(file->discard());
    return createFileError(path, error);
  }
  if (Error error = file->keep(path))
    return createFileError(path, std::move(error));
  return Error::success();
}
