//===- Inference.cpp - Seeds of types by the ONNX library -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs the library's type inference with data propagation, which evaluates
// shape arithmetic. The library propagates any tensor of rank 1, at one message
// per element; here only those that may be a shape.
//
//===----------------------------------------------------------------------===//

#include "Library.h"

#include "onnx/defs/schema.h"
#include "onnx/shape_inference/implementation.h"

using namespace mlir::lutra::model;
using ::onnx::DataPropagationContext;
using ::onnx::OpSchema;

/// Enough for a shape, or for the pads or the bounds of one.
static constexpr int64_t kMaxPropagated = 64;

static bool mayBeShape(DataPropagationContext &context, size_t input) {
  const ::onnx::TypeProto *type = context.getInputType(input);
  if (!type || !type->has_tensor_type() || !type->tensor_type().has_shape())
    return true;
  const auto &shape = type->tensor_type().shape();
  if (shape.dim_size() == 1 && shape.dim(0).dim_value() > kMaxPropagated)
    return false;
  const auto *data = context.getInputData(input);
  return !data || data->dim_size() <= kMaxPropagated;
}

namespace {

/// The library's schemas, with a guard before data propagation.
class GuardedSchemas : public ::onnx::ISchemaRegistry {
public:
  const OpSchema *GetSchema(const std::string &op, int version,
                            const std::string &domain) const override {
    const OpSchema *schema = findSchema(domain, op, version);
    if (!schema || !schema->has_data_propagation_function())
      return schema;
    std::unique_ptr<OpSchema> &guarded = copies[schema];
    if (!guarded) {
      guarded = std::make_unique<OpSchema>(*schema);
      guarded->PartialDataPropagationFunction(
          [propagate = schema->GetDataPropagationFunction()](
              DataPropagationContext &context) {
            for (size_t i = 0; i < context.getNumInputs(); ++i)
              if (!mayBeShape(context, i))
                return;
            propagate(context);
          });
    }
    return guarded.get();
  }

private:
  mutable std::unordered_map<const OpSchema *, std::unique_ptr<OpSchema>>
      copies;
};

} // namespace

void mlir::lutra::model::inferTypes(::onnx::ModelProto &model) {
  GuardedSchemas schemas;
  try {
    ::onnx::shape_inference::InferShapes(
        model, &schemas,
        ::onnx::ShapeInferenceOptions(/*check_type=*/false, /*strict_mode=*/0,
                                      /*data_prop=*/true));
  } catch (const std::exception &) {
    // What was inferred until then stays.
  }
}
