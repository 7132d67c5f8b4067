//===- GateActivation.cpp - Activations of recurrent nets -----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A table of the functions, with the parameters that each takes and their
// defaults. Parameters come from two lists, in the order of the functions that
// take one.
//
//===----------------------------------------------------------------------===//

#include "GateActivation.h"

using namespace mlir;
using namespace mlir::lutra;

static Value relu(Scalars &s, Value x, double, double) {
  return s.max(x, s.constant(0));
}

static Value tanh(Scalars &s, Value x, double, double) { return s.tanh(x); }

static Value sigmoid(Scalars &s, Value x, double, double) {
  return s.sigmoid(x);
}

static Value affine(Scalars &s, Value x, double alpha, double beta) {
  return s.add(s.mul(s.constant(alpha), x), s.constant(beta));
}

static Value leakyRelu(Scalars &s, Value x, double alpha, double) {
  return s.leakyRelu(x, s.constant(alpha));
}

static Value thresholdedRelu(Scalars &s, Value x, double alpha, double) {
  return s.select(s.ge(x, s.constant(alpha)), x, s.constant(0));
}

static Value scaledTanh(Scalars &s, Value x, double alpha, double beta) {
  return s.mul(s.constant(alpha), s.tanh(s.mul(s.constant(beta), x)));
}

static Value hardSigmoid(Scalars &s, Value x, double alpha, double beta) {
  return s.hardSigmoid(x, s.constant(alpha), s.constant(beta));
}

static Value elu(Scalars &s, Value x, double alpha, double) {
  return s.elu(x, s.constant(alpha));
}

static Value softsign(Scalars &s, Value x, double, double) {
  return s.softsign(x);
}

static Value softplus(Scalars &s, Value x, double, double) {
  return s.softplus(x);
}

namespace {
struct Row {
  StringLiteral name;
  GateActivation::Function function;
  /// Defaults of the parameters that the function takes.
  std::optional<double> alpha, beta;
};
} // namespace

static const Row *findRow(StringRef name) {
  static const Row rows[] = {
      {"Relu", relu, {}, {}},
      {"Tanh", tanh, {}, {}},
      {"Sigmoid", sigmoid, {}, {}},
      {"Affine", affine, 1, 0},
      {"LeakyRelu", leakyRelu, 0.01f, {}},
      {"ThresholdedRelu", thresholdedRelu, 1, {}},
      {"ScaledTanh", scaledTanh, 1, 1},
      {"HardSigmoid", hardSigmoid, 0.2f, 0.5},
      {"Elu", elu, 1, {}},
      {"Softsign", softsign, {}, {}},
      {"Softplus", softplus, {}, {}},
  };
  for (const Row &row : rows)
    if (row.name.equals_insensitive(name))
      return &row;
  return nullptr;
}

/// The next number of a list, else the default.
static double take(std::optional<double> otherwise, ArrayRef<float> &list) {
  if (!otherwise || list.empty())
    return otherwise.value_or(0);
  double value = list.front();
  list = list.drop_front();
  return value;
}

GateActivations lutra::gateActivations(const Node &node, int64_t directions,
                                       ArrayRef<StringRef> otherwise,
                                       Support &refusal) {
  SmallVector<StringRef> names;
  if (auto list = dyn_cast_or_null<ArrayAttr>(node.attr("activations")))
    for (Attribute name : list)
      if (auto text = dyn_cast<StringAttr>(name))
        names.push_back(text.getValue());
  if (names.empty())
    for (int64_t i = 0; i < directions; ++i)
      llvm::append_range(names, otherwise);
  size_t expected = directions * otherwise.size();
  if (names.size() != expected) {
    refusal = Support::no("expected " + Twine(expected) + " activations, got " +
                          Twine(names.size()));
    return {};
  }
  auto numbers = [&](StringRef name) {
    auto list = dyn_cast_or_null<DenseF32ArrayAttr>(node.attr(name));
    return list ? list.asArrayRef() : ArrayRef<float>();
  };
  ArrayRef<float> alphas = numbers("activation_alpha");
  ArrayRef<float> betas = numbers("activation_beta");
  GateActivations result;
  for (StringRef name : names) {
    const Row *row = findRow(name);
    if (!row) {
      refusal = Support::no("unknown activation '" + name + "'");
      return {};
    }
    double alpha = take(row->alpha, alphas), beta = take(row->beta, betas);
    result.push_back({row->function, alpha, beta});
  }
  return result;
}
