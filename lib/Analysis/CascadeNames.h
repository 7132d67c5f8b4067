//===- CascadeNames.h - Names of tensors in a cascade -----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_ANALYSIS_CASCADENAMES_H
#define LUTRA_LIB_ANALYSIS_CASCADENAMES_H

#include "CascadeProgram.h"

namespace mlir::lutra {

/// `text` without bytes that are no character to be seen.
std::string readable(StringRef text);

/// The nodes of the model that `loc` names: "/attn/Softmax, /attn/MatMul";
/// empty if none.
std::string nodesOf(Location loc);

/// A name for each tensor, by its number: that of the model's input or of the
/// node where there is one, with what computes it where a node has several;
/// else `in0`, `in1`, ... for what is read and `t0`, `t1`, ... for what is
/// computed. What is carried has the name of what it becomes.
std::vector<std::string> tensorNames(const CascadeProgram &program);

} // namespace mlir::lutra

#endif // LUTRA_LIB_ANALYSIS_CASCADENAMES_H
