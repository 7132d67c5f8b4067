//===- ContributedTypes.h - Result types beyond ONNX ------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_LIBRARY_CONTRIBUTEDTYPES_H
#define LUTRA_LIB_FRONTEND_ONNX_LIBRARY_CONTRIBUTEDTYPES_H

#include <cstddef>

namespace onnx {
struct InferenceContext;
} // namespace onnx

/// What the results of operators that the ONNX library does not know are, in
/// its own terms: element types, and as much of shapes as can be told.
namespace mlir::lutra::model {

/// The result of attention has the width of the values, and there are caches.
void inferMultiHead(::onnx::InferenceContext &context);

/// The same, but the width is that of the queries, unless these are packed.
void inferGroupQuery(::onnx::InferenceContext &context);

/// The result is A but for its last dimension, which is N.
void inferLowBit(::onnx::InferenceContext &context);

/// The result is as the input.
void inferAsInput(::onnx::InferenceContext &context);

/// The result has the type of a scale; the shapes are those of a product.
void inferScaledProduct(::onnx::InferenceContext &context, size_t scale);

/// The result is rows of the data, unpacked, in the scales' type.
void inferQuantizedGather(::onnx::InferenceContext &context);

/// The first result, and the sum behind the statistics, are as the first input;
/// statistics are in f32.
void inferNormalized(::onnx::InferenceContext &context);

} // namespace mlir::lutra::model

#endif // LUTRA_LIB_FRONTEND_ONNX_LIBRARY_CONTRIBUTEDTYPES_H
