//===- Tensor.cpp - ONNX's element types ----------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One table gives each of ONNX's element types its name and, where the compiler
// computes in it, the type that memory holds it in.
//
//===----------------------------------------------------------------------===//

#include "lutra/Frontend/ONNX/Tensor.h"

#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {
enum class Kind {
  Unsupported,
  Bool,
  Signed,
  Unsigned,
  Float,
  NarrowSigned,
  NarrowUnsigned,
  NarrowFloat
};

struct DTypeRow {
  StringLiteral name;
  Kind kind = Kind::Unsupported;
  unsigned width = 0;
};
} // namespace

/// By TensorProto's number.
static constexpr DTypeRow kRows[] = {
    {"UNDEFINED"},
    {"FLOAT", Kind::Float, 32},
    {"UINT8", Kind::Unsigned, 8},
    {"INT8", Kind::Signed, 8},
    {"UINT16", Kind::Unsigned, 16},
    {"INT16", Kind::Signed, 16},
    {"INT32", Kind::Signed, 32},
    {"INT64", Kind::Signed, 64},
    {"STRING"},
    {"BOOL", Kind::Bool, 8},
    {"FLOAT16", Kind::Float, 16},
    {"DOUBLE", Kind::Float, 64},
    {"UINT32", Kind::Unsigned, 32},
    {"UINT64", Kind::Unsigned, 64},
    {"COMPLEX64"},
    {"COMPLEX128"},
    {"BFLOAT16", Kind::Float, 16},
    {"FLOAT8E4M3FN", Kind::NarrowFloat, 8},
    {"FLOAT8E4M3FNUZ", Kind::NarrowFloat, 8},
    {"FLOAT8E5M2", Kind::NarrowFloat, 8},
    {"FLOAT8E5M2FNUZ", Kind::NarrowFloat, 8},
    {"UINT4", Kind::NarrowUnsigned, 4},
    {"INT4", Kind::NarrowSigned, 4},
    {"FLOAT4E2M1", Kind::NarrowFloat, 4},
    {"FLOAT8E8M0", Kind::NarrowFloat, 8},
    {"UINT2", Kind::NarrowUnsigned, 2},
    {"INT2", Kind::NarrowSigned, 2},
};

static const DTypeRow &row(DType type) {
  auto index = static_cast<size_t>(type);
  return index < std::size(kRows) ? kRows[index] : kRows[0];
}

bool lutra::isFloat(DType type) { return row(type).kind == Kind::Float; }

bool lutra::isUnsigned(DType type) {
  return row(type).kind == Kind::Unsigned || row(type).kind == Kind::Bool;
}

bool lutra::isSigned(DType type) { return row(type).kind == Kind::Signed; }

bool lutra::isInteger(DType type) {
  return row(type).kind == Kind::Signed || row(type).kind == Kind::Unsigned;
}

bool lutra::isSupported(DType type) {
  return row(type).kind != Kind::Unsupported && !isNarrow(type);
}

bool lutra::isNarrow(DType type) {
  Kind kind = row(type).kind;
  return kind == Kind::NarrowSigned || kind == Kind::NarrowUnsigned ||
         kind == Kind::NarrowFloat;
}

bool lutra::isNarrowFloat(DType type) {
  return row(type).kind == Kind::NarrowFloat;
}

StringRef lutra::dtypeName(DType type) { return row(type).name; }

DType lutra::parseDType(StringRef name) {
  for (size_t i = 0; i < std::size(kRows); ++i)
    if (kRows[i].name == name)
      return static_cast<DType>(i);
  return DType::Undefined;
}

static Type floatType(MLIRContext *context, DType type) {
  switch (type) {
  case DType::Float16:
    return Float16Type::get(context);
  case DType::BFloat16:
    return BFloat16Type::get(context);
  case DType::Double:
    return Float64Type::get(context);
  case DType::Float8E4M3FN:
    return Float8E4M3FNType::get(context);
  case DType::Float8E4M3FNUZ:
    return Float8E4M3FNUZType::get(context);
  case DType::Float8E5M2:
    return Float8E5M2Type::get(context);
  case DType::Float8E5M2FNUZ:
    return Float8E5M2FNUZType::get(context);
  case DType::Float4E2M1:
    return Float4E2M1FNType::get(context);
  case DType::Float8E8M0:
    return Float8E8M0FNUType::get(context);
  default:
    return Float32Type::get(context);
  }
}

Type lutra::storageType(MLIRContext *context, DType type) {
  if (row(type).kind == Kind::Unsupported)
    return {};
  if (isFloat(type))
    return floatType(context, type);
  return IntegerType::get(context, std::max(8u, row(type).width));
}

Type lutra::importType(MLIRContext *context, DType type) {
  switch (row(type).kind) {
  case Kind::Unsupported:
    return {};
  case Kind::Bool:
    return IntegerType::get(context, 1);
  case Kind::Unsigned:
  case Kind::NarrowUnsigned:
    return IntegerType::get(context, row(type).width, IntegerType::Unsigned);
  case Kind::NarrowSigned:
    return IntegerType::get(context, row(type).width);
  case Kind::NarrowFloat:
    return floatType(context, type);
  default:
    return storageType(context, type);
  }
}

DType lutra::dtypeOf(Type importElementType) {
  if (auto integer = dyn_cast<IntegerType>(importElementType)) {
    if (integer.isSigned())
      importElementType =
          IntegerType::get(integer.getContext(), integer.getWidth());
  }
  for (size_t i = 0; i < std::size(kRows); ++i) {
    auto type = static_cast<DType>(i);
    if (row(type).kind != Kind::Unsupported && importElementType &&
        lutra::importType(importElementType.getContext(), type) ==
            importElementType)
      return type;
  }
  return DType::Undefined;
}
