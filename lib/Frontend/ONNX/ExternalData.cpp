//===- ExternalData.cpp - Where external data may be ----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A model names files to read, and a model is not to be trusted: neither a
// path, nor a symbolic link, nor a hard link may lead out of its folder.
//
//===----------------------------------------------------------------------===//

#include "ExternalData.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace mlir::lutra;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

static llvm::Error refuse(StringRef location, const llvm::Twine &why) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(),
                                 "external data '" + location + "': " + why);
}

/// True where `location` stays in its folder as far as its text says.
static bool isRelativeBelow(StringRef location) {
  if (location.empty() || path::is_absolute(location) ||
      location.contains('\0') || location.contains('\\'))
    return false;
  for (StringRef part :
       llvm::make_range(path::begin(location), path::end(location)))
    if (part == "..")
      return false;
  return true;
}

llvm::Expected<ExternalFile>
mlir::lutra::openExternalData(StringRef model, StringRef location,
                              WeightSources &sources) {
  if (!isRelativeBelow(location))
    return refuse(location, "expected a path within the model's folder");
  StringRef folder = path::parent_path(model);
  SmallString<128> file(folder);
  path::append(file, location);
  SmallString<128> realFolder, realFile;
  if (std::error_code error =
          fs::real_path(folder.empty() ? StringRef(".") : folder, realFolder))
    return refuse(location, error.message());
  if (std::error_code error = fs::real_path(file, realFile))
    return refuse(location, error.message());
  StringRef rest = realFile;
  if (!rest.consume_front(realFolder) ||
      !(rest.starts_with("/") || realFolder.ends_with("/")))
    return refuse(location, "expected a file within the model's folder, got a "
                            "link that leaves it");
  fs::file_status status;
  if (std::error_code error = fs::status(realFile, status))
    return refuse(location, error.message());
  if (!fs::is_regular_file(status))
    return refuse(location, "expected a regular file");
  if (status.getLinkCount() > 1)
    return refuse(location, "expected a file without further hard links");
  auto bytes = sources.open(file);
  if (!bytes)
    return bytes.takeError();
  return ExternalFile{std::string(file), *bytes};
}
