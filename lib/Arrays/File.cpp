//===- File.cpp - Read and write whole files ------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Failure.h"
#include "Npy.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

using namespace lutra::run;

[[noreturn]] static void fail(const std::string &path) {
  throw Failure(Exit::InputOutput, path + ": " +
                                       (errno ? std::strerror(errno)
                                              : "cannot be read or written"));
}

std::string lutra::run::readFile(const std::string &path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    throw Failure(Exit::InputOutput, path + ": expected a file, got a folder");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file)
    fail(path);
  std::string bytes;
  char chunk[1 << 16];
  while (file.read(chunk, sizeof(chunk)), file.gcount() > 0)
    bytes.append(chunk, static_cast<size_t>(file.gcount()));
  if (file.bad())
    fail(path);
  return bytes;
}

void lutra::run::writeFile(const std::string &path, std::string_view bytes) {
  errno = 0;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file)
    fail(path);
}
