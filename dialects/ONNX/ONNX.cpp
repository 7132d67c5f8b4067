//===- ONNX.cpp - The imported graph --------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/ONNX/ONNX.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::onnx;

#include "dialects/ONNX/ONNXDialect.cpp.inc"

#define GET_OP_CLASSES
#include "dialects/ONNX/ONNXOps.cpp.inc"

void ONNXDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/ONNX/ONNXOps.cpp.inc"
      >();
}

StringRef NodeOp::getDomain() {
  StringRef kind = getKind();
  size_t dot = kind.rfind('.');
  return dot == StringRef::npos ? StringRef() : kind.take_front(dot);
}

StringRef NodeOp::getOpType() {
  StringRef kind = getKind();
  size_t dot = kind.rfind('.');
  return dot == StringRef::npos ? kind : kind.drop_front(dot + 1);
}

StringRef NodeOp::getNodeName() {
  if (auto name = getLoc()->findInstanceOf<NameLoc>())
    return name.getName().getValue();
  return {};
}
