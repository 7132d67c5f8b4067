//===- CascadeProgram.cpp - A cascade as a list of steps ------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Numbers the ranks and tensors of a cascade, so that analyses run over lists
// and never over uses or names.
//
//===----------------------------------------------------------------------===//

#include "CascadeProgram.h"

#include "dialects/Cascade/Gather.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

CascadeProgram::CascadeProgram(CascadeOp cascade) {
  for (auto [i, name] :
       llvm::enumerate(cascade.getRanks().getAsValueRange<StringAttr>()))
    rankNumbers[name] = i;
  for (Operation &op : cascade.getBlock()->without_terminator())
    add(&op);
}

std::optional<unsigned> CascadeProgram::findRank(StringRef name) const {
  auto it = rankNumbers.find(name);
  return it == rankNumbers.end() ? std::nullopt : std::optional(it->second);
}

/// The number of a tensor; a new one is from outside.
unsigned CascadeProgram::numberOf(Value value) {
  auto [it, isNew] = tensorNumbers.try_emplace(value, tensors.size());
  if (isNew)
    tensors.push_back({value, {}, false, std::nullopt});
  return it->second;
}

unsigned CascadeProgram::define(Value value) {
  unsigned number = numberOf(value);
  Tensor &tensor = tensors[number];
  tensor.isComputed = true;
  tensor.iteration = iteration;
  if (auto ranks = ranksOf(value))
    for (StringRef rank : *ranks)
      tensor.ranks.push_back(rankNumbers.lookup(rank));
  return number;
}

SmallVector<unsigned, 4> CascadeProgram::numbersOf(ArrayAttr names) const {
  SmallVector<unsigned, 4> numbers;
  for (StringRef name : names.getAsValueRange<StringAttr>())
    numbers.push_back(rankNumbers.lookup(name));
  return numbers;
}

/// Whether index `expr` has only seen coordinates of `dim` up to its own, but
/// for a fixed number of them.
static bool isStreamed(AffineExpr expr, unsigned dim) {
  if (!expr.isFunctionOfDim(dim))
    return false;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return true;
  AffineExpr lhs = binary.getLHS(), rhs = binary.getRHS();
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return lhs.isFunctionOfDim(dim)
               ? isStreamed(lhs, dim) && !rhs.isFunctionOfDim(dim)
               : isStreamed(rhs, dim);
  case AffineExprKind::FloorDiv:
  case AffineExprKind::CeilDiv:
  case AffineExprKind::Mod:
    return isStreamed(lhs, dim);
  default:
    return false;
  }
}

CascadeProgram::Read CascadeProgram::read(Value value, AffineMap map,
                                          ArrayRef<unsigned> iter) {
  Read read{numberOf(value), {}, false};
  ArrayRef<unsigned> own = tensors[read.tensor].ranks;
  for (auto [dim, expr] : llvm::enumerate(map.getResults()))
    for (auto [position, rank] : llvm::enumerate(iter)) {
      if (!expr.isFunctionOfDim(position))
        continue;
      bool streams =
          dim < own.size() && own[dim] == rank && isStreamed(expr, position);
      if (const Index *known = read.find(rank))
        const_cast<Index *>(known)->isStreamed |= streams;
      else
        read.indices.push_back({rank, streams});
    }
  return read;
}

/// Along the ranks that the indices depend on, of which data says how.
CascadeProgram::Read CascadeProgram::readElement(tensor::ExtractOp element,
                                                 EinsumOp op) {
  Read read{numberOf(element.getTensor()), {}, false};
  for (StringRef name : ranksOfElement(element, op))
    read.indices.push_back({rankNumbers.lookup(name), false});
  return read;
}

/// Along each of its own ranks.
CascadeProgram::Read CascadeProgram::readWhole(Value value) {
  Read read{numberOf(value), {}, false};
  for (unsigned rank : tensors[read.tensor].ranks)
    read.indices.push_back({rank, true});
  return read;
}

CascadeProgram::Step CascadeProgram::step(Step::Kind kind,
                                          Operation *op) const {
  Step step;
  step.kind = kind;
  step.op = op;
  step.iterated = iterated;
  return step;
}

void CascadeProgram::addEinsum(EinsumOp op) {
  Step next = step(Step::Compute, op);
  next.ranks = numbersOf(op.getIter());
  for (auto [i, input] : llvm::enumerate(op.getInputs()))
    next.reads.push_back(read(input, op.getInputMap(i), next.ranks));
  if (op.getMask())
    next.reads.push_back(read(op.getMask(), op.getMaskMap(), next.ranks));
  for (auto element : op.getBlock()->getOps<tensor::ExtractOp>())
    next.reads.push_back(readElement(element, op));
  if (op.getInit()) {
    next.reads.push_back(read(op.getInit(), op.getResultMap(), next.ranks));
    next.reads.back().isInit = true;
  }
  next.results.push_back(define(op.getResult()));
  steps.push_back(std::move(next));
}

/// Goes over `operands` as a whole.
void CascadeProgram::addState(Operation *op, ValueRange operands,
                              ValueRange results) {
  Step next = step(Step::Compute, op);
  for (Value operand : operands) {
    next.reads.push_back(readWhole(operand));
    for (const Index &index : next.reads.back().indices)
      if (!llvm::is_contained(next.ranks, index.rank))
        next.ranks.push_back(index.rank);
  }
  for (Value result : results)
    next.results.push_back(define(result));
  steps.push_back(std::move(next));
}

/// Each state is merged with its reference alone. That merging is associative
/// makes it one pass.
void CascadeProgram::addMerge(MergeOp op) {
  for (auto [operand, result] :
       llvm::zip_equal(op.getOperands(), op.getResults())) {
    SmallVector<Value, 2> reads{operand};
    if (op.getReference() && op.getReference() != operand)
      reads.push_back(op.getReference());
    addState(op, reads, result);
  }
}

/// All of the rank is gone over before anything is chosen, as in a reduction.
void CascadeProgram::addTopK(TopKOp op) {
  Step next = step(Step::Compute, op);
  next.ranks = numbersOf(op.getRanks());
  AffineMap identity =
      AffineMap::getMultiDimIdentityMap(next.ranks.size(), op.getContext());
  next.reads.push_back(read(op.getInput(), identity, next.ranks));
  next.ranks.push_back(rankNumbers.lookup(op.getAs()));
  for (Value result : op.getResults())
    next.results.push_back(define(result));
  steps.push_back(std::move(next));
}

void CascadeProgram::addCarry(Operation *op, Value result,
                              ArrayRef<Value> sources) {
  Step next = step(Step::Carry, op);
  for (Value source : sources)
    next.reads.push_back(readWhole(source));
  next.results.push_back(define(result));
  steps.push_back(std::move(next));
}

void CascadeProgram::addIterate(IterateOp op) {
  iteration = steps.size();
  iterated = rankNumbers.lookup(op.getRank());
  Step begin = step(Step::Begin, op);
  for (auto [stream, part, dim] :
       llvm::zip_equal(op.getStreams(), op.getParts(), op.getDims())) {
    unsigned number = numberOf(stream);
    tensorNumbers[part] = number;
    ArrayRef<unsigned> own = tensors[number].ranks;
    bool streams = size_t(dim) < own.size() && own[dim] == *iterated;
    begin.reads.push_back({number, {{*iterated, streams}}, false});
  }
  unsigned first = steps.size();
  steps.push_back(std::move(begin));
  for (auto [init, carried] : llvm::zip_equal(op.getInits(), op.getCarried()))
    addCarry(op, carried, {init});
  for (Operation &inner : op.getBlock()->without_terminator())
    add(&inner);
  steps[first].end = steps.size();
  // The results stand behind the body, but are of its pass.
  iteration.reset();
  ValueRange yielded = op.getBlock()->getTerminator()->getOperands();
  for (auto [result, next, carried] :
       llvm::zip_equal(op.getResults(), yielded, op.getCarried()))
    addCarry(op, result, {next, carried});
  iterated.reset();
}

void CascadeProgram::add(Operation *op) {
  if (auto einsum = dyn_cast<EinsumOp>(op))
    addEinsum(einsum);
  else if (auto iterate = dyn_cast<IterateOp>(op))
    addIterate(iterate);
  else if (auto merge = dyn_cast<MergeOp>(op))
    addMerge(merge);
  else if (auto choice = dyn_cast<TopKOp>(op))
    addTopK(choice);
  else
    addState(op, op->getOperands(), op->getResults());
}
