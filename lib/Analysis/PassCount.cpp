//===- PassCount.cpp - How often a cascade goes over its ranks ------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One sweep over the steps of a cascade per rank. A tensor along the rank has
// the level of the pass that it is computed in; any other has that of the pass
// behind which it is final, 0 before the first. Who goes over the rank and
// needs a final value is in the pass behind it.
//
//===----------------------------------------------------------------------===//

#include "lutra/Analysis/PassCount.h"

#include "CascadeProgram.h"
#include "llvm/ADT/bit.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

namespace {
/// The sweep for one rank.
class Sweep {
public:
  Sweep(const CascadeProgram &program, unsigned rank)
      : program(program), rank(rank), tensors(program.tensors.size()) {}

  RankPasses run();

private:
  using Step = CascadeProgram::Step;
  using Read = CascadeProgram::Read;

  /// A set of passes; the last bit stands for all from there on.
  using Passes = uint64_t;
  struct State {
    unsigned level = 0;
    Passes direct = 0, recomputed = 0;
    unsigned lastRead = 0;
  };

  void begin(size_t i);
  void compute(const Step &step);
  void finish(const Step &step, unsigned level);
  unsigned needs(const Read &read) const;
  unsigned maxLevel(const Step &step) const;
  void collectRecomputed();
  void collectTensors();

  static Passes bit(unsigned level) {
    return Passes(1) << (std::min(level, kMaxCountedPasses) - 1);
  }

  const CascadeProgram &program;
  unsigned rank;
  std::vector<State> tensors;
  /// The pass of the iteration over the rank that the steps are in.
  unsigned current = 0;
  RankPasses result;
};
} // namespace

/// The first pass in which what is read along the rank, or at no place of it,
/// is there.
unsigned Sweep::needs(const Read &read) const {
  const CascadeProgram::Index *index = read.find(rank);
  unsigned level = tensors[read.tensor].level;
  return index && index->isStreamed ? level : level + 1;
}

unsigned Sweep::maxLevel(const Step &step) const {
  unsigned level = 0;
  for (const Read &read : step.reads)
    level = std::max(level, tensors[read.tensor].level);
  return level;
}

/// Enters what `step` reads and computes in the pass `level`.
void Sweep::finish(const Step &step, unsigned level) {
  result.levels[step.op] = level;
  result.passes = std::max(result.passes, level);
  for (const Read &read : step.reads) {
    if (!read.find(rank))
      continue;
    State &tensor = tensors[read.tensor];
    tensor.direct |= bit(level);
    tensor.lastRead = std::max(tensor.lastRead, level);
  }
}

/// An iteration over the rank is one pass, behind all that its body needs.
void Sweep::begin(size_t i) {
  const Step &step = program.steps[i];
  unsigned level = 1;
  for (const Read &stream : step.reads)
    level = std::max(level, needs(stream));
  for (const Step &inner : program.bodyOf(i))
    for (const Read &read : inner.reads)
      if (program.tensors[read.tensor].iteration != i && !read.find(rank))
        level = std::max(level, needs(read));
  current = level;
  finish(step, level);
}

void Sweep::compute(const Step &step) {
  if (step.iterated == rank) {
    finish(step, current);
    for (unsigned tensor : step.results)
      tensors[tensor].level = current;
    return;
  }
  unsigned level = maxLevel(step);
  if (llvm::is_contained(step.ranks, rank)) {
    unsigned pass = 1;
    for (const Read &read : step.reads)
      if (!read.isInit || read.find(rank))
        pass = std::max(pass, needs(read));
    finish(step, pass);
    level = pass;
    for (const Read &read : step.reads)
      if (read.isInit)
        level = std::max(level, tensors[read.tensor].level);
  }
  for (unsigned tensor : step.results)
    tensors[tensor].level = level;
}

/// Hands the passes that would compute a tensor again to what it is computed
/// from, last tensor first.
void Sweep::collectRecomputed() {
  for (State &tensor : tensors)
    tensor.recomputed = tensor.direct;
  for (const Step &step : llvm::reverse(program.steps))
    for (unsigned number : step.results)
      if (program.tensors[number].hasRank(rank))
        for (const Read &read : step.reads)
          if (read.find(rank))
            tensors[read.tensor].recomputed |= tensors[number].recomputed;
}

void Sweep::collectTensors() {
  for (auto [tensor, state] : llvm::zip_equal(program.tensors, tensors)) {
    if (!state.direct)
      continue;
    TensorPasses passes;
    passes.tensor = tensor.value;
    passes.direct = llvm::popcount(state.direct);
    passes.recomputed = llvm::popcount(state.recomputed);
    passes.isLive = tensor.isComputed && tensor.hasRank(rank) &&
                    state.lastRead > state.level;
    result.tensors.push_back(passes);
  }
}

RankPasses Sweep::run() {
  for (auto [i, step] : llvm::enumerate(program.steps)) {
    if (step.kind == Step::Compute) {
      compute(step);
    } else if (step.kind == Step::Carry) {
      unsigned level = step.iterated == rank ? current : maxLevel(step);
      tensors[step.results.front()].level = level;
    } else if (step.iterated == rank) {
      begin(i);
    }
  }
  collectRecomputed();
  collectTensors();
  return std::move(result);
}

PassCount::PassCount(CascadeOp cascade)
    : program(std::make_unique<CascadeProgram>(cascade)) {}
PassCount::~PassCount() = default;

RankPasses PassCount::count(StringRef rank) const {
  std::optional<unsigned> number = program->findRank(rank);
  return number ? Sweep(*program, *number).run() : RankPasses();
}

DictionaryAttr lutra::passCounts(CascadeOp cascade) {
  PassCount counts(cascade);
  Builder b(cascade.getContext());
  SmallVector<NamedAttribute> passes;
  for (StringRef rank : cascade.getRanks().getAsValueRange<StringAttr>())
    passes.push_back(
        b.getNamedAttr(rank, b.getI64IntegerAttr(counts.count(rank).passes)));
  return b.getDictionaryAttr(passes);
}
