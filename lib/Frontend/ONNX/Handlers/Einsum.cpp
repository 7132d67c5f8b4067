//===- Einsum.cpp - Einsum ------------------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An equation names the dimensions of its operands, and the names are loops:
// two operands are one contraction, whatever is batched, transposed, broadcast
// or on a diagonal. More operands are contracted from left to right, and what
// only one operand knows of is summed first.
//
//===----------------------------------------------------------------------===//

#include "Contraction.h"
#include "Elementwise.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::lutra;

/// A letter, or -1, -2, ... for the last, the last but one, ... dimension of an
/// ellipsis.
using Label = int;
using Labels = SmallVector<Label>;

namespace {
struct Equation {
  SmallVector<StringRef> operands;
  std::optional<StringRef> output;
};

/// An operand and the names of its dimensions.
struct Factor {
  Tensor tensor;
  Labels labels;
};
} // namespace

//===----------------------------------------------------------------------===//
// Parsing
//===----------------------------------------------------------------------===//

/// Letters with one ellipsis at most. `text` has no spaces.
static bool isTerm(StringRef text) {
  auto [before, after] = text.split("...");
  return llvm::all_of(before, llvm::isAlpha) &&
         llvm::all_of(after, llvm::isAlpha);
}

/// The node's equation without spaces, which `text` holds.
static Support parseEquation(const Node &node, std::string &text,
                             Equation &equation) {
  StringRef given = node.stringAttr("equation", "");
  llvm::copy_if(given, std::back_inserter(text),
                [](char c) { return c != ' '; });
  auto [inputs, output] = StringRef(text).split("->");
  if (StringRef(text).contains("->"))
    equation.output = output;
  inputs.split(equation.operands, ',');
  if (!llvm::all_of(equation.operands, isTerm) || !isTerm(output))
    return Support::no("expected an equation of letters and ellipses, got '" +
                       given + "'");
  if (equation.operands.size() != node.numInputs())
    return Support::no("expected an equation of " + Twine(node.numInputs()) +
                       " terms, got '" + given + "'");
  return Support::yes();
}

static Support supportsEinsum(const Node &node) {
  std::string text;
  Equation equation;
  if (Support parsed = parseEquation(node, text, equation); !parsed)
    return parsed;
  return supportsTypes(node, Types::Number);
}

/// The labels of a term whose ellipsis stands for `hidden` dimensions.
static Labels labelsOf(StringRef term, int64_t hidden) {
  Labels labels;
  auto [before, after] = term.split("...");
  llvm::append_range(labels, before);
  if (term.contains("..."))
    for (int64_t i = hidden; i > 0; --i)
      labels.push_back(Label(-i));
  llvm::append_range(labels, after);
  return labels;
}

static int64_t countLetters(StringRef term) {
  return llvm::count_if(term, llvm::isAlpha);
}

static FailureOr<SmallVector<Factor>>
readFactors(const Node &node, Lowering &lowering, const Equation &equation) {
  SmallVector<Factor> factors;
  for (auto [term, tensor] : llvm::zip(equation.operands, node.inputs())) {
    int64_t hidden = tensor.rank() - countLetters(term);
    if (hidden < 0 || (hidden > 0 && !term.contains("...")))
      return node.error() << "expected an operand of the rank of '" << term
                          << "', got " << lowering.str(tensor.shape);
    factors.push_back({tensor, labelsOf(term, hidden)});
  }
  return factors;
}

/// The labels of the result. Without an arrow these are the ellipsis and, in
/// alphabetical order, the letters that occur once.
static FailureOr<Labels> outputLabels(const Node &node,
                                      const Equation &equation,
                                      ArrayRef<Factor> factors) {
  int64_t hidden = 0;
  SmallVector<unsigned> counts(256, 0);
  for (const Factor &factor : factors)
    for (Label label : factor.labels) {
      if (label < 0)
        hidden = std::max<int64_t>(hidden, -label);
      else
        ++counts[label];
    }
  Labels labels;
  if (equation.output) {
    labels = labelsOf(*equation.output, hidden);
  } else {
    for (int64_t i = hidden; i > 0; --i)
      labels.push_back(Label(-i));
    for (Label letter = 0; letter < 256; ++letter)
      if (counts[letter] == 1)
        labels.push_back(letter);
  }
  for (auto [i, label] : llvm::enumerate(labels))
    if ((label >= 0 && counts[label] == 0) ||
        llvm::is_contained(ArrayRef(labels).take_front(i), label))
      return node.error() << "expected each name of the result once and in an "
                             "operand, got '"
                          << node.stringAttr("equation", "") << "'";
  return labels;
}

//===----------------------------------------------------------------------===//
// Contraction
//===----------------------------------------------------------------------===//

namespace {
/// The loops of one step: a label each, those of the result first.
class Loops {
public:
  Loops(Lowering &lowering, ArrayRef<Label> kept)
      : lowering(lowering), labels(kept.begin(), kept.end()),
        sizes(kept.size()), numKept(kept.size()) {}

  /// Takes sizes from an operand; false where they contradict each other.
  bool add(const Factor &factor);
  AffineMap mapOf(const Factor &factor) const;
  AffineMap resultMap() const;
  Shape resultShape() const {
    return Shape(sizes.begin(), sizes.begin() + numKept);
  }
  SmallVector<utils::IteratorType> iterators() const;
  bool reduces() const { return labels.size() > numKept; }

private:
  bool isOne(AffineExpr size) const { return size == lowering.constant(1); }

  Lowering &lowering;
  llvm::SetVector<Label> labels;
  SmallVector<AffineExpr> sizes;
  size_t numKept;
};
} // namespace

bool Loops::add(const Factor &factor) {
  for (auto [label, size] : llvm::zip(factor.labels, factor.tensor.shape)) {
    labels.insert(label);
    sizes.resize(labels.size());
    AffineExpr &known = sizes[llvm::find(labels, label) - labels.begin()];
    if (!known || isOne(known))
      known = size;
    else if (!isOne(size) && size != known)
      return false;
  }
  return true;
}

AffineMap Loops::mapOf(const Factor &factor) const {
  SmallVector<AffineExpr> exprs;
  for (auto [label, size] : llvm::zip(factor.labels, factor.tensor.shape)) {
    unsigned loop = llvm::find(labels, label) - labels.begin();
    bool repeated = isOne(size) && !isOne(sizes[loop]);
    exprs.push_back(repeated ? lowering.constant(0)
                             : lowering.b.getAffineDimExpr(loop));
  }
  return AffineMap::get(labels.size(), 0, exprs, lowering.context());
}

AffineMap Loops::resultMap() const {
  SmallVector<AffineExpr> exprs;
  for (size_t i = 0; i < numKept; ++i)
    exprs.push_back(lowering.b.getAffineDimExpr(i));
  return AffineMap::get(labels.size(), 0, exprs, lowering.context());
}

SmallVector<utils::IteratorType> Loops::iterators() const {
  SmallVector<utils::IteratorType> kinds(labels.size(),
                                         utils::IteratorType::reduction);
  std::fill_n(kinds.begin(), numKept, utils::IteratorType::parallel);
  return kinds;
}

/// The sum of the factors' product over all labels that are not kept. There are
/// one or two factors.
static FailureOr<Factor> contract(const Node &node, Lowering &lowering,
                                  ArrayRef<Factor> factors,
                                  ArrayRef<Label> kept) {
  Loops loops(lowering, kept);
  SmallVector<Tensor> operands;
  for (const Factor &factor : factors) {
    if (!loops.add(factor))
      return node.error() << "expected equal sizes under equal names in '"
                          << node.stringAttr("equation", "") << "', got "
                          << lowering.str(factor.tensor.shape);
    operands.push_back(factor.tensor);
  }
  SmallVector<AffineMap> maps;
  for (const Factor &factor : factors)
    maps.push_back(loops.mapOf(factor));
  DType dtype = operands[0].dtype;
  Factor result{Tensor(), Labels(kept.begin(), kept.end())};
  if (!loops.reduces()) {
    result.tensor =
        computeMapped(lowering, operands, maps, loops.resultShape(), dtype,
                      [](Scalars &s, ValueRange in) {
                        return in.size() == 1 ? in[0] : s.mul(in[0], in[1]);
                      });
    return result;
  }
  maps.push_back(loops.resultMap());
  Tensor sum;
  if (factors.size() == 2) {
    sum = sumOfProducts(lowering, operands[0], operands[1],
                        accumulatorType(dtype), maps, loops.iterators(),
                        loops.resultShape());
  } else {
    DType type = accumulatorType(dtype);
    Value zero =
        lowering.filled(loops.resultShape(), type, lowering.scalarInt(type, 0));
    sum = lowering.generic(
        operands, maps, loops.iterators(), zero, loops.resultShape(), type,
        [&](ImplicitLocOpBuilder &b, ValueRange in) {
          return addScalars(b, in[1], toAccumulator(b, in[0], dtype));
        });
  }
  FailureOr<Tensor> rounded = addBias(lowering, sum, Tensor(), dtype);
  if (failed(rounded))
    return failure();
  result.tensor = *rounded;
  return result;
}

/// The labels of `of` that the result or one of `others` has, too, in the
/// result's order first.
static Labels neededLabels(ArrayRef<Factor> of, ArrayRef<Factor> others,
                           ArrayRef<Label> output) {
  llvm::SetVector<Label> present;
  for (const Factor &factor : of)
    present.insert_range(factor.labels);
  Labels needed;
  for (Label label : output)
    if (present.contains(label))
      needed.push_back(label);
  for (Label label : present)
    if (!llvm::is_contained(needed, label) &&
        llvm::any_of(others, [&](const Factor &other) {
          return llvm::is_contained(other.labels, label);
        }))
      needed.push_back(label);
  return needed;
}

/// Sums what only this factor knows of, and takes diagonals.
static LogicalResult reduceAlone(const Node &node, Lowering &lowering,
                                 SmallVectorImpl<Factor> &factors, size_t i,
                                 ArrayRef<Label> output) {
  SmallVector<Factor> others(factors.begin(), factors.end());
  others.erase(others.begin() + i);
  Labels needed = neededLabels(factors[i], others, output);
  if (factors.size() > 1 && needed.size() == factors[i].labels.size())
    return success();
  if (factors.size() == 1 && needed == factors[i].labels)
    return success();
  FailureOr<Factor> reduced = contract(node, lowering, factors[i], needed);
  if (failed(reduced))
    return failure();
  factors[i] = *reduced;
  return success();
}

static FailureOr<SmallVector<Tensor>> lowerEinsum(const Node &node,
                                                  Lowering &lowering) {
  std::string text;
  Equation equation;
  if (Support parsed = parseEquation(node, text, equation); !parsed)
    return node.error() << parsed.reason();
  if (Support types = supportsTypes(node, Types::Number); !types)
    return node.error() << types.reason();
  auto factors = readFactors(node, lowering, equation);
  if (failed(factors))
    return failure();
  FailureOr<Labels> output = outputLabels(node, equation, *factors);
  if (failed(output))
    return failure();
  for (size_t i = 0; i < factors->size(); ++i)
    if (failed(reduceAlone(node, lowering, *factors, i, *output)))
      return failure();
  while (factors->size() > 1) {
    ArrayRef<Factor> pair = ArrayRef(*factors).take_front(2);
    Labels needed =
        neededLabels(pair, ArrayRef(*factors).drop_front(2), *output);
    FailureOr<Factor> product = contract(node, lowering, pair, needed);
    if (failed(product))
      return failure();
    factors->erase(factors->begin());
    factors->front() = *product;
  }
  Tensor result = factors->front().tensor;
  result.ints.reset();
  return SmallVector<Tensor>{result};
}

void lutra::addEinsumHandlers(Registry &r) {
  r.add({"", "Einsum", {12, 28}, supportsEinsum, lowerEinsum});
}
