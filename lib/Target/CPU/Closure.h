//===- Closure.h - Values that travel to a task -----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_TARGET_CPU_CLOSURE_H
#define LUTRA_LIB_TARGET_CPU_CLOSURE_H

#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Value.h"

namespace mlir::lutra {

/// The values that a task needs from the function that it was cut out of. They
/// are stored into one struct on the caller's stack and read again where the
/// task begins. Of a buffer only what its type does not say is stored;
/// constants are not stored but made again, so that the task knows as much as
/// its origin did.
class Closure {
public:
  Closure(const LLVMTypeConverter &converter) : converter(converter) {}

  /// Adds a value. Fails for a type that a struct cannot hold.
  LogicalResult capture(Value value);

  /// Stores the values into a new struct, allocated at `entry`, where they are
  /// known at `builder`; returns its address.
  Value pack(OpBuilder &builder, Location loc, Block *entry);

  /// Reads the values back from `address` and maps the originals to them.
  void unpack(OpBuilder &builder, Location loc, Value address,
              IRMapping &mapping);

private:
  /// The struct's type, once the fields are known.
  LLVM::LLVMStructType structType(MLIRContext *context) const;

  const LLVMTypeConverter &converter;
  SmallVector<Value> values;
  SmallVector<Operation *> constants;
  SmallVector<Type> fields;
};

/// `value` as a value of `type` until conversions meet: an unrealized cast, or
/// itself.
Value castTo(OpBuilder &builder, Location loc, Type type, Value value);

} // namespace mlir::lutra

#endif // LUTRA_LIB_TARGET_CPU_CLOSURE_H
