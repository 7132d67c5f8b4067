//===- Artifact.h - The files that a compilation leaves ---------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TARGET_ARTIFACT_H
#define LUTRA_TARGET_ARTIFACT_H

#include "lutra/Target/WeightImage.h"
#include <functional>
#include <string>

namespace mlir::lutra {

enum class ArtifactKind { SharedLibrary, Object, Assembly, LLVMIR };

struct ArtifactOptions {
  ArtifactKind kind = ArtifactKind::SharedLibrary;
  /// The artifact's path. Weights go to the same path with the extension
  /// .weights.
  std::string output;
  /// Where to write the C header; nowhere if empty.
  std::string header;
  /// The linker to use instead of the one that findLinker finds.
  std::string linker;
  unsigned optLevel = 3;
  /// Puts the weights into the artifact (.so and .o only).
  bool embedWeights = false;
  /// Called with what is being made ("weights", "code", "link") and how much of
  /// it there is, 0 to 1.
  std::function<void(StringRef part, double done)> progress;
};

/// Writes the artifact of a module that buildTargetPipeline made: phase
/// `object`. Each file is written under another name and then renamed, so that
/// an error leaves none of them. Assembly and LLVM IR come without weights.
llvm::Error writeArtifact(ModuleOp module, const ArtifactOptions &options,
                          OpenSource open);

} // namespace mlir::lutra

#endif // LUTRA_TARGET_ARTIFACT_H
