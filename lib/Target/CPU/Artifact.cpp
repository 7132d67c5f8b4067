//===- Artifact.cpp - The files that a compilation leaves -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes the weight image, then the object, whose descriptor names the image's
// hash, then links. All files appear under their names at the end.
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

/// A file under construction. It takes the name `path` at the end, or goes
/// where that is empty.
struct File {
  StringRef name() const { return temporary.TmpName; }

  llvm::sys::fs::TempFile temporary;
  std::string path, near;
};

/// Passes bytes on and tells how many hundredths of `total` they are.
class CountingStream : public llvm::raw_ostream {
public:
  CountingStream(llvm::raw_ostream &os, uint64_t total,
                 function_ref<void(double)> tell)
      : os(os), total(total), tell(tell) {
    SetUnbuffered();
  }

private:
  void write_impl(const char *data, size_t size) override {
    os.write(data, size);
    bytes += size;
    if (bytes / double(total) < told + 0.01)
      return;
    told = bytes / double(total);
    tell(told);
  }
  uint64_t current_pos() const override { return bytes; }

  llvm::raw_ostream &os;
  uint64_t bytes = 0, total;
  double told = 0;
  function_ref<void(double)> tell;
};

/// The files of an artifact: all of them, or none.
class Outputs {
public:
  ~Outputs() {
    for (File &file : files)
      llvm::consumeError(file.temporary.discard());
  }

  /// Creates the file that commit() renames to `path`.
  llvm::Expected<File *> create(StringRef path) { return create(path, path); }
  /// Creates a file beside `near` for the time being.
  llvm::Expected<File *> createScratch(StringRef near) {
    return create("", near);
  }

  llvm::Error commit();

private:
  llvm::Expected<File *> create(StringRef path, StringRef near);

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
  llvm::Error writeObject(File &file);
  llvm::Error writeLinked(const File &artifact);
  llvm::Error writeHeader();

  void tell(StringRef part, double done = 0) {
    if (options.progress)
      options.progress(part, done);
  }
  bool isBinary() const {
    return options.kind == ArtifactKind::SharedLibrary ||
           options.kind == ArtifactKind::Object;
  }

  ModuleOp module;
  const ArtifactOptions &options;
  OpenSource open;
  Outputs outputs;
  ObjectOptions object;
  /// The object of the embedded weights, if any.
  File *weightsObject = nullptr;
};

} // namespace

llvm::Expected<File *> Outputs::create(StringRef path, StringRef near) {
  // Renaming would find this out when all the work is done, or put a file in
  // the place of a device.
  if (llvm::sys::fs::is_directory(near))
    return llvm::createFileError(
        near, std::make_error_code(std::errc::is_a_directory));
  if (llvm::sys::fs::exists(near) && !llvm::sys::fs::is_regular_file(near))
    return llvm::createFileError(
        near, llvm::createStringError("expected a regular file as output"));
  auto file = llvm::sys::fs::TempFile::create(near + ".%%%%%%%%.tmp");
  if (!file)
    return llvm::createFileError(near, file.takeError());
  files.push_back({std::move(*file), path.str(), near.str()});
  return &files.back();
}

llvm::Error Outputs::commit() {
  SmallVector<StringRef> done;
  for (File &file : files) {
    if (file.path.empty())
      continue;
    if (llvm::Error failed = file.temporary.keep(file.path)) {
      for (StringRef path : done)
        llvm::sys::fs::remove(path);
      return llvm::createFileError(file.path, std::move(failed));
    }
    done.push_back(file.path);
  }
  return llvm::Error::success();
}

/// Lets `write` fill a file.
static llvm::Error
fill(File &file, function_ref<llvm::Error(llvm::raw_pwrite_stream &)> write) {
  llvm::raw_fd_ostream os(file.temporary.FD, /*shouldClose=*/false);
  llvm::Error failed = write(os);
  os.flush();
  if (!os.has_error())
    return failed;
  std::error_code code = os.error();
  os.clear_error();
  llvm::consumeError(std::move(failed));
  return llvm::createFileError(file.near, code);
}

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
  tell("weights");
  if (!isBinary())
    return keep(writeImage(module, open, llvm::nulls()));
  auto file = options.embedWeights ? outputs.createScratch(options.output)
                                   : outputs.create(path);
  if (!file)
    return file.takeError();
  if (options.embedWeights)
    weightsObject = *file;
  return fill(**file, [&](llvm::raw_pwrite_stream &os) {
    if (options.embedWeights)
      return keep(writeWeightsObject(module, open, os));
    auto more = [&](double done) { tell("weights", done); };
    CountingStream counting(os, *size, more);
    return keep(writeImage(module, open, counting));
  });
}

llvm::Error Writer::writeObject(File &file) {
  tell("code");
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
  return fill(file, [&](llvm::raw_pwrite_stream &os) {
    return emitObject(module, object, os);
  });
}

/// The object and the embedded weights, if any, as one file.
llvm::Error Writer::writeLinked(const File &artifact) {
  auto linker = findLinker(options.linker);
  if (!linker)
    return linker.takeError();
  auto code = outputs.createScratch(options.output);
  if (!code)
    return code.takeError();
  if (llvm::Error failed = writeObject(**code))
    return failed;
  SmallVector<std::string> objects = {(*code)->name().str()};
  if (weightsObject)
    objects.push_back(weightsObject->name().str());
  LinkKind kind = options.kind == ArtifactKind::SharedLibrary
                      ? LinkKind::Shared
                      : LinkKind::Relocatable;
  tell("link");
  return link(*linker, kind, objects, artifact.name());
}

llvm::Error Writer::writeHeader() {
  auto text = emitHeader(module);
  if (!text)
    return text.takeError();
  auto file = outputs.create(options.header);
  if (!file)
    return file.takeError();
  return fill(**file, [&](llvm::raw_pwrite_stream &os) {
    os << *text;
    return llvm::Error::success();
  });
}

llvm::Error Writer::run() {
  // Whether there is a place for the artifact is known before gigabytes of
  // weights have been written.
  auto artifact = outputs.create(options.output);
  if (!artifact)
    return artifact.takeError();
  if (!options.header.empty())
    if (llvm::Error failed = writeHeader())
      return failed;
  if (llvm::Error failed = writeWeights())
    return failed;
  bool links = options.kind == ArtifactKind::SharedLibrary || weightsObject;
  if (llvm::Error failed =
          links ? writeLinked(**artifact) : writeObject(**artifact))
    return failed;
  return outputs.commit();
}

llvm::Error lutra::writeArtifact(ModuleOp module,
                                 const ArtifactOptions &options,
                                 OpenSource open) {
  return Writer(module, options, open).run();
}
