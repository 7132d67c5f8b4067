//===- Levels.cpp - In which pass a value is there ------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A reduction over a rank is final when the pass in which it is computed has
// ended; what reads it and goes over the rank again belongs to the next pass.
//
//===----------------------------------------------------------------------===//

#include "Levels.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

Levels::Levels(CascadeOp cascade, StringRef rank,
               const llvm::DenseSet<Operation *> &early)
    : cascade(cascade), rank(rank), position(*cascade.findRank(rank)) {
  for (EinsumOp op : cascade.getBlock()->getOps<EinsumOp>()) {
    std::optional<unsigned> dim = findRank(op);
    unsigned level = early.contains(op) ? 1 : levelOf(op);
    if (dim) {
      levels[op] = level;
      passes = std::max(passes, level);
    }
    if (dim && !op.isReduced(*dim))
      streamed[op.getResult()] = level;
    else
      final[op.getResult()] = level;
    // What is summed may have to be added to something else in the end.
    if (Value init = op.getInit())
      final[op.getResult()] =
          std::max(final[op.getResult()], final.lookup(init));
  }
}

std::optional<unsigned> Levels::findRank(EinsumOp op) const {
  for (unsigned i = 0; i < op.getNumRanks(); ++i)
    if (op.getRankName(i) == rank)
      return i;
  return std::nullopt;
}

/// Where a map reads along a rank: not at all, point by point, or otherwise.
static bool readsPlainly(AffineMap map, unsigned dim) {
  return llvm::count_if(
             map.getResults(),
             [&](AffineExpr expr) { return expr.isFunctionOfDim(dim); }) == 1 &&
         llvm::is_contained(map.getResults(),
                            getAffineDimExpr(dim, map.getContext()));
}

unsigned Levels::levelOf(EinsumOp op) const {
  std::optional<unsigned> dim = findRank(op);
  unsigned level = dim ? 1 : 0;
  auto read = [&](Value tensor, AffineMap map) {
    auto stream = streamed.find(tensor);
    if (stream != streamed.end() && dim && readsPlainly(map, *dim)) {
      level = std::max(level, stream->second);
      return;
    }
    unsigned ready =
        stream != streamed.end() ? stream->second : final.lookup(tensor);
    level = std::max(level, dim && ready > 0 ? ready + 1 : ready);
  };
  for (auto [i, input] : llvm::enumerate(op.getInputs()))
    read(input, op.getInputMap(i));
  if (op.getMask())
    read(op.getMask(), op.getMaskMap());
  return level;
}

Levels::Facts Levels::elementFacts(const Term *term) {
  Facts facts;
  facts.carries = term->map.isFunctionOfDim(position);
  auto stream = streamed.find(term->source);
  if (stream != streamed.end() && facts.carries &&
      readsPlainly(term->map, position))
    facts.waits = stream->second > 1;
  else
    facts.waits = stream != streamed.end() || final.lookup(term->source) > 0;
  return facts;
}

Levels::Facts Levels::facts(const Term *term) {
  auto it = known.find(term);
  if (it != known.end())
    return it->second;
  Facts result;
  if (term->isElement()) {
    result = elementFacts(term);
  } else if (term->isa<IndexOp>()) {
    result.carries =
        cast<StringAttr>(term->attributes.get("rank")).getValue() == rank;
  } else {
    for (const Term *operand : term->operands) {
      Facts inner = facts(operand);
      result.carries |= inner.carries;
      result.waits |= inner.waits;
    }
  }
  return known[term] = result;
}

bool Levels::carries(const Term *term) { return facts(term).carries; }

bool Levels::waits(const Term *term) { return facts(term).waits; }
