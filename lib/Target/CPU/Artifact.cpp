//===- Artifact.cpp - The files that a compilation leaves -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes the weight image first, since the descriptor names its hash, then the
// object, then links. All files appear under their names at the end.
//
//===----------------------------------------------------------------------===//

#include "lutra/Target/Artifact.h"

#include "lutra/Target/EmbeddedWeights.h"
#include "lutra/Target/Link.h"
#include "lutra/Target/Object.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <list>

using namespace mlir;
using namespace mlir::lutra;

namespace {

/// Files under construction. What is not kept is deleted.
class Outputs {
public:
  ~Outputs() {
    for (File &file : files)
      llvm::consumeError(file.temporary.discard());
  }

  /// Creates a file that commit() will rename to `path`; none where `path` is
  /// empty, which makes it a scratch file beside `near`.
  llvm::Expected<std::string> create(StringRef path, StringRef near) {
    SmallString<128> model(path.empty() ? near : path);
    model += ".%%%%%%%%.tmp";
    auto file = llvm::sys::fs::TempFile::create(model);
    if (!file)
      return llvm::createFileError(path.empty() ? near : path,
                                   file.takeError());
    files.push_back({std::move(*file), path.str()});
    return files.back().temporary.TmpName;
  }

  /// Creates a file and lets `write` fill it.
  llvm::Expected<std::string>
  write(StringRef path, StringRef near,
        function_ref<llvm::Error(llvm::raw_pwrite_stream &)> write) {
    auto name = create(path, near);
    if (!name)
      return name.takeError();
    llvm::raw_fd_ostream os(files.back().temporary.FD, /*shouldClose=*/false);
    llvm::Error failed = write(os);
    os.flush();
    if (os.has_error()) {
      std::error_code code = os.error();
      os.clear_error();
      llvm::consumeError(std::move(failed));
      return llvm::createFileError(*name, code);
    }
    if (failed)
      return std::move(failed);
    return *name;
  }

  llvm::Error commit() {
    while (!files.empty()) {
      File file = std::move(files.front());
      files.pop_front();
      llvm::Error failed = file.path.empty() ? file.temporary.discard()
                                             : file.temporary.keep(file.path);
      if (failed)
        return llvm::createFileError(file.path, std::move(failed));
    }
    return llvm::Error::success();
  }

private:
  struct File {
    llvm::sys::fs::TempFile temporary;
    std::string path;
  };
  std::list<File> files;
};

std::string withExtension(StringRef path, StringRef extension) {
  SmallString<128> result(path);
  llvm::sys::path::replace_extension(result, extension);
  return result.str().str();
}

class Writer {
public:
  Writer(ModuleOp module, const ArtifactOptions &options, OpenSource open)
      : module(module), options(options), open(open) {}

  llvm::Error run();

private:
  llvm::Error writeWeights();
  llvm::Error writeHeader();
  llvm::Error writeLinked();
  llvm::Expected<std::string> writeObject(StringRef path);

  bool isBinary() const {
    return options.kind == ArtifactKind::SharedLibrary ||
           options.kind == ArtifactKind::Object;
  }

  ModuleOp module;
  const ArtifactOptions &options;
  OpenSource open;
  Outputs outputs;
  ObjectOptions object;
  std::string weightsObject;
};

} // namespace

llvm::Error Writer::writeWeights() {
  auto size = imageSize(module);
  if (!size)
    return size.takeError();
  if (*size == 0)
    return llvm::Error::success();
  std::string path = withExtension(options.output, ".weights");
  if (!options.embedWeights)
    object.weightsFile = llvm::sys::path::filename(path).str();
  auto keep = [&](llvm::Expected<ImageSummary> summary) -> llvm::Error {
    if (!summary)
      return summary.takeError();
    object.image = *summary;
    return llvm::Error::success();
  };
  if (!isBinary())
    return keep(writeImage(module, open, llvm::nulls()));
  auto written = outputs.write(
      options.embedWeights ? "" : path, path, [&](llvm::raw_pwrite_stream &os) {
        return keep(options.embedWeights ? writeWeightsObject(module, open, os)
                                         : writeImage(module, open, os));
      });
  if (!written)
    return written.takeError();
  if (options.embedWeights)
    weightsObject = *written;
  return llvm::Error::success();
}

llvm::Expected<std::string> Writer::writeObject(StringRef path) {
  object.optLevel = options.optLevel;
  switch (options.kind) {
  case ArtifactKind::SharedLibrary:
  case ArtifactKind::Object:
    object.kind = ObjectKind::Object;
    break;
  case ArtifactKind::Assembly:
    object.kind = ObjectKind::Assembly;
    break;
  case ArtifactKind::LLVMIR:
    object.kind = ObjectKind::LLVMIR;
    break;
  }
  return outputs.write(path, options.output, [&](llvm::raw_pwrite_stream &os) {
    return emitObject(module, object, os);
  });
}

/// The object and the embedded weights, if any, as one file.
llvm::Error Writer::writeLinked() {
  auto linker = findLinker(options.linker);
  if (!linker)
    return linker.takeError();
  auto code = writeObject("");
  if (!code)
    return code.takeError();
  auto linked = outputs.create(options.output, options.output);
  if (!linked)
    return linked.takeError();
  SmallVector<std::string> objects = {*code};
  if (!weightsObject.empty())
    objects.push_back(weightsObject);
  LinkKind kind = options.kind == ArtifactKind::SharedLibrary
                      ? LinkKind::Shared
                      : LinkKind::Relocatable;
  return link(*linker, kind, objects, *linked);
}

llvm::Error Writer::writeHeader() {
  auto text = emitHeader(module);
  if (!text)
    return text.takeError();
  return outputs
      .write(withExtension(options.output, ".h"), options.output,
             [&](llvm::raw_pwrite_stream &os) {
               os << *text;
               return llvm::Error::success();
             })
      .takeError();
}

llvm::Error Writer::run() {
  if (llvm::Error failed = writeWeights())
    return failed;
  bool links = options.kind == ArtifactKind::SharedLibrary ||
               (options.kind == ArtifactKind::Object && !weightsObject.empty());
  if (llvm::Error failed =
          links ? writeLinked() : writeObject(options.output).takeError())
    return failed;
  if (options.header)
    if (llvm::Error failed = writeHeader())
      return failed;
  return outputs.commit();
}

llvm::Error lutra::writeArtifact(ModuleOp module,
                                 const ArtifactOptions &options,
                                 OpenSource open) {
  return Writer(module, options, open).run();
}
