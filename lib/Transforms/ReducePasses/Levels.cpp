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

Levels::Levels(CascadeOp cascade, StringRef rank)
    : rank(rank), position(*cascade.findRank(rank)),
      count(PassCount(cascade).count(rank)) {
  for (EinsumOp op : cascade.getBlock()->getOps<EinsumOp>()) {
    unsigned level = of(op);
    if (llvm::is_contained(*ranksOf(op.getResult()), rank)) {
      streamed[op.getResult()] = level;
      continue;
    }
    // What is summed may have to be added to something else in the end.
    for (Value operand : op->getOperands())
      level =
          std::max({level, final.lookup(operand), streamed.lookup(operand)});
    final[op.getResult()] = level;
  }
}

/// Whether a map reads point by point along a rank.
static bool readsPlainly(AffineMap map, unsigned dim) {
  return llvm::count_if(
             map.getResults(),
             [&](AffineExpr expr) { return expr.isFunctionOfDim(dim); }) == 1 &&
         llvm::is_contained(map.getResults(),
                            getAffineDimExpr(dim, map.getContext()));
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
