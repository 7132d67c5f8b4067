//===- Model.h - What a planned program says of its model -------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TARGET_CPU_MODEL_H
#define LUTRA_LIB_TARGET_CPU_MODEL_H

#include "dialects/Lutra/Lutra.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::lutra {

/// An argument of the planned @main, by its attribute lutra.role.
enum class Role { Context, Input, Output, State, Dim, Workspace, Weights };

struct TensorArg {
  StringRef name;
  int32_t dtype;       ///< lutra_dtype
  StringRef dtypeName; ///< "FLOAT"
  AffineMap shape;     ///< ()[dims] -> (sizes)
};

struct StateArg {
  TensorArg tensor;
  int64_t axis;
};

struct DimArg {
  StringRef name;
  int64_t min, max, multiple;
};

struct Dispatch {
  func::CallOp call;
  StringRef kernel, nodes;
};

/// The model's interface, read from a module after `plan`.
struct Model {
  func::FuncOp main, plan;
  SmallVector<Role> roles; ///< of each argument of `main`
  SmallVector<TensorArg> inputs, outputs;
  SmallVector<StateArg> states;
  int64_t stateDim = -1; ///< the dim that is the states' length
  SmallVector<DimArg> dims;
  SmallVector<Dispatch> dispatches;

  /// Reads a module, with an error where it is not as `plan` leaves it.
  static FailureOr<Model> read(ModuleOp module);
};

/// The module attribute that emit-model leaves for emitObject and emitHeader:
/// {name, inputs = ["x: FLOAT[batch, 8]"], outputs = [..]}.
inline constexpr StringLiteral kModelAttr = "lutra.model";

/// The symbols of an artifact.
std::string descriptorSymbol(StringRef name);
std::string weightsSymbol(StringRef name);

/// Adds the global `descriptorSymbol(name)`, which refers to `run` and `plan`,
/// functions of the module.
void emitDescriptor(ModuleOp module, const Model &model, StringRef name,
                    StringRef run, StringRef plan);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TARGET_CPU_MODEL_H
