//===- WeightSources.cpp - The files behind weights -----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Maps each file once, without copying it. A model in ONNX text has no bytes to
// refer to, so its source is the binary model that it parses to.
//
//===----------------------------------------------------------------------===//

#include "ONNXLibrary.h"
#include "lutra/Frontend/ONNX/Import.h"
#include "llvm/Support/FileSystem.h"

using namespace mlir;
using namespace mlir::lutra;
using llvm::MemoryBuffer;

static llvm::Error sourceError(StringRef name, const llvm::Twine &what) {
  return llvm::createStringError(std::make_error_code(std::errc::io_error),
                                 name + ": " + what);
}

static llvm::Expected<std::unique_ptr<MemoryBuffer>> mapFile(StringRef name) {
  llvm::sys::fs::file_status status;
  if (std::error_code error = llvm::sys::fs::status(name, status))
    return sourceError(name, "cannot open: " + error.message());
  // A pipe or a device has no end that one may wait for.
  if (!llvm::sys::fs::is_regular_file(status))
    return sourceError(name, "expected a regular file");
  auto buffer = MemoryBuffer::getFile(name, /*IsText=*/false,
                                      /*RequiresNullTerminator=*/false);
  if (!buffer)
    return sourceError(name, "cannot read: " + buffer.getError().message());
  return std::move(*buffer);
}

static llvm::Expected<std::unique_ptr<MemoryBuffer>>
parse(StringRef name, const MemoryBuffer &text) {
  StringRef bytes = text.getBuffer();
  auto binary = model::parseText({bytes.data(), bytes.size()});
  if (!binary)
    return sourceError(name, binary.error);
  return MemoryBuffer::getMemBufferCopy(binary.value, name);
}

void WeightSources::provide(StringRef name,
                            std::unique_ptr<MemoryBuffer> buffer) {
  files[name.str()] = std::move(buffer);
}

llvm::Expected<StringRef> WeightSources::open(StringRef name) {
  if (auto found = buffers.find(name.str()); found != buffers.end())
    return found->second->getBuffer();
  std::unique_ptr<MemoryBuffer> buffer;
  if (auto provided = files.find(name.str()); provided != files.end()) {
    buffer = std::move(provided->second);
    files.erase(provided);
  } else {
    auto mapped = mapFile(name);
    if (!mapped)
      return mapped.takeError();
    buffer = std::move(*mapped);
  }
  if (name.ends_with(".onnxtxt")) {
    auto binary = parse(name, *buffer);
    if (!binary)
      return binary.takeError();
    buffer = std::move(*binary);
  }
  return buffers.emplace(name.str(), std::move(buffer))
      .first->second->getBuffer();
}
