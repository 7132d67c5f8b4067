//===- DequantizedWeight.cpp - Constants dequantized when written ---------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DequantizedWeight.h"

#include "dialects/Lutra/Lutra.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::lutra;

/// The attributes of a constant as a weight that is unpacked and, where it
/// `mayBeCast`, cast at most, or null.
static DictionaryAttr plainWeight(const Node &node, const Tensor &tensor,
                                  bool mayBeCast = false) {
  if (auto weight = tensor.value.getDefiningOp<WeightOp>()) {
    ArrayRef<Attribute> steps = weight.getSteps().getValue();
    if (mayBeCast && !steps.empty() && isa<CastAttr>(steps.back()))
      steps = steps.drop_back();
    bool isPlain =
        steps.empty() || (steps.size() == 1 && isa<UnpackAttr>(steps[0]));
    return isPlain ? weight->getAttrDictionary() : DictionaryAttr();
  }
  DenseElementsAttr elements;
  if (!matchPattern(tensor.value, m_Constant(&elements)))
    return {};
  Builder b(node.op.getContext());
  return b.getDictionaryAttr(
      {b.getNamedAttr("name", b.getStringAttr(node.op.getNodeName())),
       b.getNamedAttr("storage", TypeAttr::get(elements.getType())),
       b.getNamedAttr("value", elements)});
}

Tensor lutra::dequantizedWeight(const Node &node, Lowering &lowering,
                                const Tensor &scale, DType to) {
  const Tensor &x = node.input(0), &zero = node.input(2);
  ImplicitLocOpBuilder &b = lowering.b;
  auto one = DenseElementsAttr::get(RankedTensorType::get({}, b.getF32Type()),
                                    ArrayRef<float>{1});
  DictionaryAttr weight = plainWeight(node, x),
                 zeros = zero ? plainWeight(node, zero) : DictionaryAttr(),
                 scales =
                     scale
                         ? plainWeight(node, scale, /*mayBeCast=*/true)
                         : b.getDictionaryAttr(
                               {b.getNamedAttr("name", b.getStringAttr("one")),
                                b.getNamedAttr("storage",
                                               TypeAttr::get(one.getType())),
                                b.getNamedAttr("value", one)});
  int64_t block = node.intAttr("block_size", 0), axis = node.intAttr("axis", 1);
  axis = axis < 0 ? axis + x.rank() : axis;
  // Parameters of one element pay no heed to these.
  if (axis < 0 || axis >= x.rank())
    axis = block = 0;
  if (!weight || !scales || (zero && !zeros) ||
      (block && x.staticSize(axis) % block != 0))
    return {};
  auto step = DequantizeAttr::get(
      b.getContext(), importType(b.getContext(), x.dtype),
      storageType(b.getContext(), to), axis, block, scales, zeros);
  NamedAttrList attrs(weight);
  SmallVector<Attribute> steps;
  if (auto unpack = weight.getAs<ArrayAttr>("steps"))
    llvm::append_range(steps, unpack);
  steps.push_back(step);
  attrs.set("steps", b.getArrayAttr(steps));
  Value value = WeightOp::create(b, lowering.type(x.shape, to), ValueRange(),
                                 attrs.getAttrs());
  return lowering.tensor(value, x.shape, to);
}
