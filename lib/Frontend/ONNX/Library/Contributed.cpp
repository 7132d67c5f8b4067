//===- Contributed.cpp - Signatures of operators beyond ONNX --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Exporters write operators of ONNX Runtime's own domain, com.microsoft, which
// the ONNX library does not know. Those that a handler is written for have
// their inputs, outputs, attributes and result types here, in the library's
// terms, so that nothing else need tell them from ONNX's.
//
//===----------------------------------------------------------------------===//

#include "ContributedTypes.h"
#include "Library.h"

#include "onnx/defs/schema.h"

using namespace mlir::lutra::model;
using ::onnx::AttributeProto;
using ::onnx::InferenceContext;
using ::onnx::OpSchema;

namespace {

class Signature {
public:
  explicit Signature(const char *name, const char *domain = "com.microsoft")
      : schema(name, __FILE__, __LINE__) {
    schema.SetDomain(domain).SinceVersion(1);
    schema.TypeConstraint("T", OpSchema::all_tensor_types_ir4(), "");
  }

  Signature &input(const char *name) {
    return add(inputs++, name, OpSchema::Single, &OpSchema::Input);
  }
  Signature &optionalInputs(std::initializer_list<const char *> names) {
    for (const char *name : names)
      add(inputs++, name, OpSchema::Optional, &OpSchema::Input);
    return *this;
  }
  Signature &output(const char *name) {
    return add(outputs++, name, OpSchema::Single, &OpSchema::Output);
  }
  Signature &optionalOutputs(std::initializer_list<const char *> names) {
    for (const char *name : names)
      add(outputs++, name, OpSchema::Optional, &OpSchema::Output);
    return *this;
  }
  Signature &attributes(AttributeProto::AttributeType type, bool required,
                        std::initializer_list<const char *> names) {
    for (const char *name : names)
      schema.Attr(name, "", type, required);
    return *this;
  }
  OpSchema inferred(::onnx::InferenceFunction infer) {
    schema.TypeAndShapeInferenceFunction(std::move(infer));
    schema.Finalize();
    return schema;
  }

private:
  using AddFormal = OpSchema &(OpSchema::*)(int, OpSchema::FormalParameter);

  /// Types are the handlers' to check: every parameter has one of its own.
  Signature &add(int position, const char *name,
                 OpSchema::FormalParameterOption option, AddFormal formal) {
    (schema.*formal)(position,
                     OpSchema::FormalParameter(name, "", "T", option,
                                               /*is_homogeneous=*/false));
    return *this;
  }

  OpSchema schema;
  int inputs = 0, outputs = 0;
};

} // namespace

static OpSchema multiHeadAttention() {
  return Signature("MultiHeadAttention")
      .input("query")
      .optionalInputs({"key", "value", "bias", "key_padding_mask",
                       "attention_bias", "past_key", "past_value",
                       "past_sequence_length", "cache_indirection"})
      .output("output")
      .optionalOutputs({"present_key", "present_value", "qk"})
      .attributes(AttributeProto::INT, true, {"num_heads"})
      .attributes(AttributeProto::INT, false, {"unidirectional"})
      .attributes(AttributeProto::FLOAT, false, {"mask_filter_value", "scale"})
      .inferred(inferMultiHead);
}

static OpSchema groupQueryAttention() {
  return Signature("GroupQueryAttention")
      .input("query")
      .optionalInputs({"key", "value", "past_key", "past_value"})
      .input("seqlens_k")
      .input("total_sequence_length")
      .optionalInputs({"cos_cache", "sin_cache", "position_ids",
                       "attention_bias", "head_sink", "k_scale", "v_scale",
                       "q_norm_weight", "k_norm_weight"})
      .output("output")
      .optionalOutputs({"present_key", "present_value", "output_qk"})
      .attributes(AttributeProto::INT, true, {"num_heads", "kv_num_heads"})
      .attributes(AttributeProto::INT, false,
                  {"causal", "do_rotary", "kv_cache_bit_width",
                   "local_window_size", "qk_output", "rotary_interleaved",
                   "sliding_window_cache", "smooth_softmax"})
      .attributes(AttributeProto::FLOAT, false,
                  {"qk_norm_epsilon", "scale", "softcap"})
      .attributes(AttributeProto::STRING, false,
                  {"k_quant_type", "v_quant_type"})
      .inferred(inferGroupQuery);
}

static OpSchema rotaryEmbedding() {
  return Signature("RotaryEmbedding")
      .input("input")
      .input("position_ids")
      .input("cos_cache")
      .input("sin_cache")
      .output("output")
      .attributes(AttributeProto::INT, false,
                  {"interleaved", "is_packed_batching", "num_heads",
                   "rotary_embedding_dim"})
      .attributes(AttributeProto::FLOAT, false, {"scale"})
      .inferred(inferAsInput);
}

static OpSchema matMulNBits() {
  return Signature("MatMulNBits")
      .input("A")
      .input("B")
      .input("scales")
      .optionalInputs({"zero_points", "g_idx", "bias"})
      .output("Y")
      .attributes(AttributeProto::INT, true, {"K", "N", "block_size"})
      .attributes(AttributeProto::INT, false,
                  {"bits", "accuracy_level", "weight_prepacked"})
      .inferred(inferLowBit);
}

static OpSchema matMulBnb4() {
  return Signature("MatMulBnb4")
      .input("A")
      .input("B")
      .input("absmax")
      .output("Y")
      .attributes(AttributeProto::INT, true,
                  {"K", "N", "block_size", "quant_type"})
      .attributes(AttributeProto::INT, false, {"training_mode", "transB"})
      .inferred(inferLowBit);
}

static OpSchema dynamicQuantizeMatMul() {
  return Signature("DynamicQuantizeMatMul")
      .input("A")
      .input("B")
      .input("b_scale")
      .optionalInputs({"b_zero_point", "bias"})
      .output("Y")
      .inferred(
          [](InferenceContext &context) { inferScaledProduct(context, 2); });
}

static OpSchema matMulIntegerToFloat() {
  return Signature("MatMulIntegerToFloat")
      .input("A")
      .input("B")
      .input("a_scale")
      .input("b_scale")
      .optionalInputs({"a_zero_point", "b_zero_point", "bias"})
      .output("Y")
      .inferred(
          [](InferenceContext &context) { inferScaledProduct(context, 3); });
}

static OpSchema gatherBlockQuantized() {
  return Signature("GatherBlockQuantized")
      .input("data")
      .input("indices")
      .input("scales")
      .optionalInputs({"zero_points"})
      .output("output")
      .attributes(AttributeProto::INT, false,
                  {"bits", "block_size", "gather_axis", "quantize_axis"})
      .inferred(inferQuantizedGather);
}

static Signature &expertAttributes(Signature &signature) {
  return signature
      .attributes(AttributeProto::INT, false,
                  {"k", "normalize_routing_weights", "swiglu_fusion",
                   "use_sparse_mixer"})
      .attributes(AttributeProto::FLOAT, false,
                  {"activation_alpha", "activation_beta", "swiglu_limit"})
      .attributes(AttributeProto::STRING, false, {"activation_type"});
}

static OpSchema mixtureOfExperts() {
  Signature signature("MoE");
  signature.input("input")
      .input("router_probs")
      .input("fc1_experts_weights")
      .optionalInputs({"fc1_experts_bias"})
      .input("fc2_experts_weights")
      .optionalInputs(
          {"fc2_experts_bias", "fc3_experts_weights", "fc3_experts_bias"})
      .output("output");
  return expertAttributes(signature).inferred(inferAsInput);
}

static OpSchema quantizedMixtureOfExperts() {
  Signature signature("QMoE");
  signature.input("input")
      .input("router_probs")
      .input("fc1_experts_weights")
      .optionalInputs({"fc1_scales", "fc1_experts_bias"})
      .input("fc2_experts_weights")
      .optionalInputs({"fc2_scales", "fc2_experts_bias", "fc3_experts_weights",
                       "fc3_scales", "fc3_experts_bias", "fc1_zero_points",
                       "fc2_zero_points", "fc3_zero_points", "router_weights",
                       "fc1_global_scale", "fc2_global_scale", "fc1_act_scale",
                       "fc2_act_scale", "fc1_act_block_scale",
                       "fc2_act_block_scale"})
      .output("output")
      .attributes(AttributeProto::INT, false,
                  {"accuracy_level", "block_size", "expert_weight_bits",
                   "weights_prepacked"})
      .attributes(AttributeProto::STRING, false, {"quant_type"});
  return expertAttributes(signature).inferred(inferAsInput);
}

static OpSchema skipNormalization(const char *name,
                                  std::initializer_list<const char *> biases) {
  return Signature(name)
      .input("input")
      .input("skip")
      .input("gamma")
      .optionalInputs(biases)
      .output("output")
      .optionalOutputs({"mean", "inv_std_var", "input_skip_bias_sum"})
      .attributes(AttributeProto::FLOAT, false, {"epsilon"})
      .inferred(inferNormalized);
}

/// Exporters write it in ONNX's own domain, which does not have it.
static OpSchema simplifiedNormalization() {
  return Signature("SimplifiedLayerNormalization", "")
      .input("X")
      .input("scale")
      .output("Y")
      .optionalOutputs({"inv_std_var"})
      .attributes(AttributeProto::INT, false, {"axis", "stash_type"})
      .attributes(AttributeProto::FLOAT, false, {"epsilon"})
      .inferred(inferNormalized);
}

const OpSchema *mlir::lutra::model::contributedSchema(const std::string &domain,
                                                      const std::string &op) {
  static const OpSchema schemas[] = {
      multiHeadAttention(),
      groupQueryAttention(),
      rotaryEmbedding(),
      matMulNBits(),
      matMulBnb4(),
      gatherBlockQuantized(),
      dynamicQuantizeMatMul(),
      matMulIntegerToFloat(),
      mixtureOfExperts(),
      quantizedMixtureOfExperts(),
      simplifiedNormalization(),
      skipNormalization("SkipLayerNormalization", {"beta", "bias"}),
      skipNormalization("SkipSimplifiedLayerNormalization", {"bias"})};
  for (const OpSchema &schema : schemas)
    if (schema.domain() == domain && schema.Name() == op)
      return &schema;
  return nullptr;
}
