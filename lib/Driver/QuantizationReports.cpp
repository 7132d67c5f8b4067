//===- QuantizationReports.cpp - Quantized weights as text and JSON -------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Prints what became of each product with a weight, and what all take.
//
//===----------------------------------------------------------------------===//

#include "ModelReports.h"

#include "lutra/Frontend/ONNX/Import.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {
/// Bytes of the weights of all products, as they were and as they are.
struct Total {
  size_t quantized = 0;
  int64_t before = 0, after = 0;
};
} // namespace

/// The bytes that a product's weight takes now.
static int64_t bytesOf(const QuantizedLayer &layer) {
  return layer.quantizedBytes +
         (!layer.parts.empty() && !layer.isKept ? 0 : layer.bytes);
}

static Total totalOf(ArrayRef<QuantizedLayer> layers) {
  Total total;
  for (const QuantizedLayer &layer : layers) {
    total.quantized += !layer.parts.empty();
    total.before += layer.bytes;
    total.after += bytesOf(layer);
  }
  return total;
}

/// Bits of a quantized weight with its share of scales and zero points.
static double bitsPerWeight(const QuantizedLayer &layer) {
  int64_t weights = 1;
  for (int64_t size : layer.shape)
    weights *= size;
  return 8.0 * layer.quantizedBytes / weights;
}

/// Weights whose scales share a super-scale; 0 where there are none.
static int64_t superBlockOf(const QuantizedPart &part) {
  return part.superBlock * part.group / part.format->planes();
}

/// How many input channels stay f32.
static int64_t channelsKept(const QuantizedLayer &layer) {
  return layer.factors ? llvm::count(layer.factors.getValues<float>(), 0) : 0;
}

/// How many input channels are rounded twice.
static int64_t channelsTwice(const QuantizedLayer &layer) {
  if (!layer.factors)
    return 0;
  return llvm::count_if(layer.factors.getValues<float>(),
                        [](float factor) { return factor < 0; });
}

/// How many outputs a part has, of some that are not all.
static int64_t outputsOf(const QuantizedPart &part) {
  return part.rows.getNumElements();
}

static void printPart(const QuantizedPart &part, llvm::raw_ostream &os) {
  os << part.format->name << ", groups of " << part.group;
  if (part.superBlock > 0)
    os << ", super-blocks of " << superBlockOf(part);
  if (part.rows)
    os << ", of " << outputsOf(part) << " outputs";
}

void lutra::printQuantization(ArrayRef<QuantizedLayer> layers,
                              ArrayRef<double> errors, llvm::raw_ostream &os) {
  Total total = totalOf(layers);
  os << total.quantized << " of " << layers.size()
     << " products quantized, weights of " << total.before << " bytes become "
     << total.after << "\n";
  for (auto [layer, error] : llvm::zip_equal(layers, errors)) {
    os << "\n"
       << printable(layer.nodes) << ": " << printable(layer.weight) << " [";
    llvm::interleaveComma(layer.shape, os);
    os << "]\n    ";
    if (layer.parts.empty()) {
      os << "stays: " << printable(layer.reason) << "\n";
      continue;
    }
    llvm::interleave(
        layer.parts, [&](const QuantizedPart &part) { printPart(part, os); },
        [&] { os << " and "; });
    if (layer.activation)
      os << llvm::format(", activations a8s of scale %.3g and zero point %d",
                         layer.activation->scale, layer.activation->zero);
    else if (layer.parts.back().integers)
      os << ", activations of 8 bits";
    if (int64_t kept = channelsKept(layer))
      os << ", " << kept << " input channels stay f32";
    if (int64_t twice = channelsTwice(layer))
      os << ", " << twice << " input channels rounded twice";
    os << llvm::format(", %.2f bits per weight, error %s%.3g %%",
                       bitsPerWeight(layer), layer.moments ? "of outputs " : "",
                       100 * error)
       << "\n    " << layer.bytes << " bytes become " << layer.quantizedBytes
       << (layer.isKept ? ", and something else reads them as they were" : "")
       << "\n";
  }
}

/// The names of the formats of all parts: "int4", "trellis2+trellis3".
static std::string formatOf(const QuantizedLayer &layer) {
  return llvm::join(llvm::map_range(layer.parts,
                                    [](const QuantizedPart &part) {
                                      return part.format->name.str();
                                    }),
                    "+");
}

static void printPart(const QuantizedPart &part, llvm::json::OStream &json) {
  json.attribute("group", part.group);
  json.attribute("super_block", superBlockOf(part));
  json.attribute("activations", part.integers ? "i8" : "f32");
}

static void printLayer(const QuantizedLayer &layer, double error,
                       llvm::json::OStream &json) {
  json.object([&] {
    json.attribute("nodes", llvm::json::fixUTF8(layer.nodes));
    json.attribute("weight", llvm::json::fixUTF8(layer.weight));
    json.attribute("shape", llvm::json::Array(layer.shape));
    json.attribute("bytes", layer.bytes);
    if (layer.parts.empty()) {
      json.attribute("reason", llvm::json::fixUTF8(layer.reason));
      return;
    }
    json.attribute("format", formatOf(layer));
    if (layer.parts.size() == 1)
      printPart(layer.parts.front(), json);
    else
      json.attributeArray("parts", [&] {
        for (const QuantizedPart &part : layer.parts)
          json.object([&] {
            json.attribute("format", part.format->name);
            json.attribute("outputs", outputsOf(part));
            printPart(part, json);
          });
      });
    if (layer.activation) {
      json.attribute("activation_scale", layer.activation->scale);
      json.attribute("activation_zero", layer.activation->zero);
    }
    json.attribute("bits_per_weight", bitsPerWeight(layer));
    json.attribute("method", layer.method);
    json.attribute("channels_kept", channelsKept(layer));
    json.attribute("channels_twice", channelsTwice(layer));
    json.attribute("relative_error", error);
    json.attribute("error_of", layer.moments ? "outputs" : "weights");
    json.attribute("quantized_bytes", layer.quantizedBytes);
    json.attribute("kept", layer.isKept);
  });
}

void lutra::printQuantizationAsJSON(StringRef model,
                                    ArrayRef<QuantizedLayer> layers,
                                    ArrayRef<double> errors,
                                    llvm::raw_ostream &os) {
  Total total = totalOf(layers);
  llvm::json::OStream json(os, 2);
  json.object([&] {
    json.attribute("model", llvm::json::fixUTF8(model));
    json.attribute("bytes_before", total.before);
    json.attribute("bytes_after", total.after);
    json.attributeArray("products", [&] {
      for (auto [layer, error] : llvm::zip_equal(layers, errors))
        printLayer(layer, error, json);
    });
  });
  os << "\n";
}
