//===- Link.cpp - ld.lld as a child process -------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finds and runs ld.lld. Artifacts name no library: the few libc functions that
// code generation may call (memcpy and its like) are found when the artifact is
// loaded.
//
//===----------------------------------------------------------------------===//

#include "lutra/Target/Link.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include <cstdlib>

using namespace mlir;
using namespace mlir::lutra;

/// With a code, since what fails here are files and not the compiler.
static llvm::Error error(const Twine &message) {
  return llvm::createStringError(std::make_error_code(std::errc::io_error),
                                 message);
}

llvm::Expected<std::string> lutra::findLinker(StringRef requested) {
  if (const char *name = std::getenv("LUTRA_LLD");
      requested.empty() && name && *name)
    requested = name;
  if (!requested.empty()) {
    if (auto path = llvm::sys::findProgramByName(requested))
      return *path;
    return error("cannot run the linker '" + requested + "'");
  }
  for (StringRef name : {"/usr/lib/llvm-22/bin/ld.lld", "ld.lld-22", "ld.lld"})
    if (auto path = llvm::sys::findProgramByName(name))
      return *path;
  return error("cannot find ld.lld; install lld 22, or name it in LUTRA_LLD");
}

llvm::Error lutra::link(StringRef linker, LinkKind kind,
                        ArrayRef<std::string> objects, StringRef output) {
  SmallVector<StringRef> args = {linker};
  if (kind == LinkKind::Relocatable)
    args.append({"-r"});
  else
    args.append({"-shared", "--build-id=none", "--hash-style=gnu", "-z",
                 "relro", "-z", "now", "-z", "noexecstack"});
  args.append({"-o", output});
  for (StringRef object : objects)
    args.push_back(object);

  SmallString<128> log;
  if (std::error_code code =
          llvm::sys::fs::createTemporaryFile("lutra-link", "log", log))
    return error("cannot create a temporary file: " + code.message());
  llvm::FileRemover removeLog(log);
  std::optional<StringRef> redirects[] = {StringRef(""), log.str(), log.str()};
  std::string message;
  int status = llvm::sys::ExecuteAndWait(linker, args, std::nullopt, redirects,
                                         0, 0, &message);
  if (status == 0)
    return llvm::Error::success();
  if (auto buffer = llvm::MemoryBuffer::getFile(log))
    message += (*buffer)->getBuffer().trim();
  return error(
      linker + " failed: " +
      (message.empty() ? "exit status " + Twine(status) : Twine(message)));
}
