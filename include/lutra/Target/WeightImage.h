//===- WeightImage.h - The bytes that kernels read as weights ---*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TARGET_WEIGHTIMAGE_H
#define LUTRA_TARGET_WEIGHTIMAGE_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

namespace mlir::lutra {

/// Gives the bytes of a weight source by name (WeightSources::open). They must
/// stay where they are while an image is written.
using OpenSource = function_ref<llvm::Expected<StringRef>(StringRef source)>;

/// A weight of the model that cannot become what was asked for.
class InvalidWeight : public llvm::ErrorInfo<InvalidWeight> {
public:
  explicit InvalidWeight(std::string message) : text(std::move(message)) {}
  void log(llvm::raw_ostream &os) const override { os << text; }
  std::error_code convertToErrorCode() const override {
    return llvm::inconvertibleErrorCode();
  }

  static char ID;

private:
  std::string text;
};

/// The whole image's size in bytes and its FNV-1a-64 hash.
struct ImageSummary {
  uint64_t size = 0;
  uint64_t hash = 0;
};

/// The size of the image that `lutra.image` of `module` describes: 0 without
/// the attribute, an error where it is malformed.
llvm::Expected<uint64_t> imageSize(ModuleOp module);

/// Evaluates the weight expressions of `lutra.image`, one after the other and
/// in blocks, into `os`, so that memory stays small however large the image is.
/// Writing to llvm::nulls() computes the summary alone.
llvm::Expected<ImageSummary> writeImage(ModuleOp module, OpenSource open,
                                        llvm::raw_ostream &os);

} // namespace mlir::lutra

#endif // LUTRA_TARGET_WEIGHTIMAGE_H
