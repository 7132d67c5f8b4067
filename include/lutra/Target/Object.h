//===- Object.h - From the LLVM dialect to an object file -------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TARGET_OBJECT_H
#define LUTRA_TARGET_OBJECT_H

#include "lutra/Target/WeightImage.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"
#include <string>

namespace mlir::lutra {

enum class ObjectKind { Object, Assembly, LLVMIR };

struct ObjectOptions {
  ObjectKind kind = ObjectKind::Object;
  /// 0 to 3.
  unsigned optLevel = 3;
  /// What the descriptor says about the weight image.
  ImageSummary image;
  /// The bare name of the file that holds the image; empty where it is embedded
  /// as the symbol `lutra_weights_<name>` of another object (EmbeddedWeights.h)
  /// or where there is none.
  std::string weightsFile;
};

/// Emits a module that buildTargetPipeline made, in process. Equal modules and
/// options give equal bytes.
llvm::Error emitObject(ModuleOp module, const ObjectOptions &options,
                       llvm::raw_pwrite_stream &os);

/// The C header that declares the model's descriptor.
llvm::Expected<std::string> emitHeader(ModuleOp module);

/// The model's name, as buildTargetPipeline was given it.
llvm::Expected<StringRef> modelName(ModuleOp module);

} // namespace mlir::lutra

#endif // LUTRA_TARGET_OBJECT_H
