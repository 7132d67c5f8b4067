//===- Terms.cpp - The scalars of a cascade as expressions ----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Bodies of Einsums are read into one graph over the ranks of the cascade, in
// which equal scalars are one object. Since ranks are names, what a map
// computes can stand for an element of its result without any renaming, and
// "the maximum of this very value" is a comparison of pointers.
//
//===----------------------------------------------------------------------===//

#include "Terms.h"

#include "dialects/Cascade/Gather.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

/// Beyond these, an Einsum is left as it is, and what is inlined an element.
static constexpr unsigned kMaxBody = 256;
static constexpr unsigned kMaxDepth = 192;
static constexpr unsigned kMaxTerms = 1 << 17;

void Term::Profile(llvm::FoldingSetNodeID &id) const {
  id.AddPointer(source.getAsOpaquePointer());
  id.AddPointer(map.getAsOpaquePointer());
  id.AddPointer(name ? name->getAsOpaquePointer() : nullptr);
  id.AddPointer(attributes.getAsOpaquePointer());
  id.AddPointer(type.getAsOpaquePointer());
  for (const Term *operand : operands)
    id.AddPointer(operand);
}

Terms::Terms(CascadeOp cascade) : cascade(cascade) {
  // In this order what an Einsum reads is inlined before it, so that no chain
  // of maps is followed at once.
  for (EinsumOp op : cascade.getBlock()->getOps<EinsumOp>())
    inlined(element(op, toCascade(op, op.getResultMap())));
}

const Term *Terms::unique(Term &&term) {
  llvm::FoldingSetNodeID id;
  term.Profile(id);
  void *at;
  if (Term *known = set.FindNodeOrInsertPos(id, at))
    return known;
  for (const Term *operand : term.operands)
    term.depth = std::max(term.depth, operand->depth + 1);
  set.InsertNode(&storage.emplace_back(std::move(term)), at);
  return &storage.back();
}

const Term *Terms::element(Value source, AffineMap map) {
  Term term;
  term.source = source;
  term.map = map;
  term.type = getElementTypeOrSelf(source.getType());
  return unique(std::move(term));
}

const Term *Terms::operation(OperationName name, DictionaryAttr attributes,
                             ArrayRef<const Term *> operands, Type type) {
  Term term;
  term.name = name;
  term.attributes = attributes;
  term.operands.assign(operands.begin(), operands.end());
  term.type = type;
  return unique(std::move(term));
}

const Term *Terms::constant(TypedAttr value) {
  MLIRContext *context = cascade.getContext();
  return operation(
      OperationName(arith::ConstantOp::getOperationName(), context),
      DictionaryAttr::get(
          context, NamedAttribute(StringAttr::get(context, "value"), value)),
      {}, value.getType());
}

AffineMap Terms::toCascade(EinsumOp op, AffineMap map) {
  SmallVector<AffineExpr> ranks;
  for (StringRef rank : op.getIter().getAsValueRange<StringAttr>())
    ranks.push_back(
        getAffineDimExpr(*cascade.findRank(rank), cascade.getContext()));
  return map.replaceDimsAndSymbols(ranks, {}, cascade.getRanks().size(), 0);
}

const Term *Terms::point(EinsumOp op) {
  auto [it, isNew] = points.try_emplace(op, nullptr);
  if (!isNew)
    return it->second;
  const Term *point = computePoint(op);
  points[op] = point;
  return point;
}

const Term *Terms::computePoint(EinsumOp op) {
  Block *body = op.getBlock();
  // What is gathered is an element, wherever it comes from.
  if (storage.size() > kMaxTerms || gathers(op) ||
      !llvm::hasNItemsOrLess(body->getOperations(), kMaxBody))
    return nullptr;
  llvm::DenseMap<Value, const Term *> values;
  for (auto [i, argument] : llvm::enumerate(body->getArguments()))
    values[argument] =
        element(op.getInputs()[i], toCascade(op, op.getInputMap(i)));
  auto lookup = [&](Value value) {
    const Term *&term = values[value];
    TypedAttr attribute;
    if (!term && matchPattern(value, m_Constant(&attribute)))
      term = constant(attribute);
    else if (!term)
      term = element(value, AffineMap::get(cascade.getRanks().size(), 0, {},
                                           op.getContext()));
    return term;
  };
  for (Operation &inner : body->without_terminator()) {
    if (inner.getNumResults() != 1)
      return nullptr;
    SmallVector<const Term *> operands;
    for (Value operand : inner.getOperands())
      operands.push_back(lookup(operand));
    values[inner.getResult(0)] =
        operation(inner.getName(), inner.getAttrDictionary(), operands,
                  inner.getResult(0).getType());
  }
  return lookup(op.getEinsumPoint());
}

EinsumOp Terms::einsum(const Term *term) {
  auto op =
      term->isElement() ? term->source.getDefiningOp<EinsumOp>() : EinsumOp();
  if (!op || op->getParentOp() != cascade ||
      toCascade(op, op.getResultMap()) != term->map)
    return nullptr;
  return op;
}

EinsumOp Terms::producer(const Term *term) {
  EinsumOp op = einsum(term);
  return op && !op.hasReduction() ? op : EinsumOp();
}

const Term *Terms::inlined(const Term *term) {
  auto it = inlinings.find(term);
  if (it != inlinings.end())
    return it->second;
  const Term *result = term;
  if (EinsumOp map = producer(term)) {
    const Term *value = point(map);
    if (value && value->depth < kMaxDepth)
      value = inlined(value);
    if (value && value->depth < kMaxDepth)
      result = value;
  } else if (!term->isElement() && !term->operands.empty()) {
    SmallVector<const Term *> operands;
    for (const Term *operand : term->operands)
      operands.push_back(inlined(operand));
    if (storage.size() <= kMaxTerms)
      result = operation(*term->name, term->attributes, operands, term->type);
  }
  return inlinings[term] = result;
}
