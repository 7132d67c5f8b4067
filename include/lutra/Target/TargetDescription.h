//===- TargetDescription.h - What a machine can do --------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TARGET_TARGETDESCRIPTION_H
#define LUTRA_TARGET_TARGETDESCRIPTION_H

#include "dialects/Lutra/Lutra.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <string>

namespace llvm {
class TargetMachine;
} // namespace llvm

namespace mlir::lutra {

/// What a user says about a target: --mtriple, --mcpu, --mattr.
struct TargetOptions {
  /// Empty for the host's.
  std::string triple;
  /// "native", or any name LLVM knows: "x86-64-v3", "znver4", "cortex-a76".
  std::string cpu = "native";
  /// LLVM features on top of the CPU's: "+avx512bf16,-avx512vnni".
  std::string features;
};

/// Describes a machine. In the attribute, `features` names every feature that
/// matters to the generated code ("+avx,+avx2,..."), also those which `cpu`
/// implies, so that a pass asks the attribute alone (TargetAttr::hasFeature).
llvm::Expected<TargetAttr> describeTarget(MLIRContext *context,
                                          const TargetOptions &options);

/// The features above the triple's baseline, comma separated, with the names of
/// __builtin_cpu_supports ("avx2,fma"): what the runtime checks at load.
std::string requiredFeatures(TargetAttr target);

/// The code generator for a target; `level` is 0 to 3.
llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
createTargetMachine(TargetAttr target, unsigned level);

} // namespace mlir::lutra

#endif // LUTRA_TARGET_TARGETDESCRIPTION_H
