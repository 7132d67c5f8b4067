//===- CascadeMemory.cpp - Footprint and traffic of a cascade -------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Follows from the passes over one rank: what lives from one pass to another is
// kept whole along it, everything else is there for a tile at a time.
//
//===----------------------------------------------------------------------===//

#include "CascadeMemory.h"

#include "dialects/Cascade/Parts.h"
#include "lutra/Analysis/SizeExpressions.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

AffineExpr CascadeMemory::constant(int64_t value) const {
  return getAffineConstantExpr(value, cascade->getContext());
}

CascadeMemory::CascadeMemory(CascadeOp cascade, const CascadeProgram &program,
                             ArrayRef<std::string> names,
                             const CascadeTile &tile)
    : cascade(cascade), program(program), names(names), options(tile),
      rows(cascade.getRanks().size()) {
  for (auto [i, extent] : llvm::enumerate(cascade.getStaticExtents()))
    extents.push_back(ShapedType::isDynamic(extent)
                          ? getAffineSymbolExpr(i, cascade.getContext())
                          : constant(extent));
  for (const CascadeProgram::Tensor &tensor : program.tensors)
    ranks.push_back(tensor.ranks);
  for (const Step &step : program.steps)
    for (const CascadeProgram::Read &read : step.reads)
      if (step.kind == Step::Compute && ranks[read.tensor].empty())
        for (const CascadeProgram::Index &index : read.indices)
          ranks[read.tensor].push_back(index.rank);
}

bool CascadeMemory::reduces(const Step &step) const {
  return step.kind == Step::Compute && llvm::is_contained(step.ranks, stream) &&
         !program.keeps(step, stream);
}

/// The rank with most passes, before or now; of several that one along which
/// most is reduced. False if nothing is reduced.
bool CascadeMemory::findStream(const CascadeReport &report) {
  SmallVector<unsigned> reductions(report.ranks.size());
  for (const Step &step : program.steps)
    for (unsigned rank : step.ranks)
      reductions[rank] += !program.keeps(step, rank);
  auto weight = [&](unsigned i) {
    const CascadeReport::Rank &rank = report.ranks[i];
    return std::pair(std::max<int64_t>(rank.passes, rank.before.value_or(0)),
                     reductions[i]);
  };
  bool found = false;
  for (unsigned i = 0; i < report.ranks.size(); ++i) {
    if (!report.ranks[i].isReduced || (found && weight(i) <= weight(stream)))
      continue;
    stream = i;
    found = true;
  }
  return found;
}

/// The ranks that all results have of the steps over the stream, or of those
/// that reduce it.
llvm::BitVector CascadeMemory::commonRanks(bool onlyReductions) const {
  llvm::BitVector common(extents.size(), true);
  for (const Step &step : program.steps) {
    if (step.kind != Step::Compute || !llvm::is_contained(step.ranks, stream) ||
        (onlyReductions && !reduces(step)))
      continue;
    llvm::BitVector kept(extents.size());
    for (unsigned rank : program.tensors[step.results.front()].ranks)
      kept.set(rank);
    common &= kept;
  }
  return common.reset(stream);
}

void CascadeMemory::findRows() {
  // What is computed for all rows alike, such as keys from what they are kept
  // as, has none of their ranks.
  rows = commonRanks(/*onlyReductions=*/false);
  if (rows.none())
    rows = commonRanks(/*onlyReductions=*/true);
  // Along the innermost row that a stream lacks, what was read is used again.
  for (unsigned rank : rows.set_bits())
    for (auto [i, tensor] : llvm::enumerate(program.tensors))
      if (!tensor.isComputed && llvm::is_contained(ranks[i], stream) &&
          !llvm::is_contained(ranks[i], rank))
        innermostRow = rank;
  if (!innermostRow && rows.any())
    innermostRow = rows.find_last();
  // A state is of a row and a part.
  for (auto [i, rank] :
       llvm::enumerate(cascade.getRanks().getAsValueRange<StringAttr>()))
    if (countsParts(cascade, rank)) {
      partsRank = i;
      rows.set(i);
    }
}

void CascadeMemory::setTiles() {
  for (auto [i, extent] : llvm::enumerate(extents)) {
    std::optional<int64_t> size;
    if (i == stream)
      size = options.stream;
    else if (rows.test(i))
      size = i == innermostRow ? options.rows : 1;
    auto whole = dyn_cast<AffineConstantExpr>(extent);
    bool isSmall = size && whole && whole.getValue() < *size;
    tiles.push_back(size && !isSmall ? constant(*size) : extent);
  }
}

AffineExpr CascadeMemory::elementBytes(unsigned tensor) const {
  Type element = getElementTypeOrSelf(program.tensors[tensor].value.getType());
  if (element.isIntOrFloat())
    return constant((element.getIntOrFloatBitWidth() + 7) / 8);
  return element.isIndex() ? constant(8) : AffineExpr();
}

/// The bytes of a tensor with these sizes of ranks.
AffineExpr CascadeMemory::bytes(unsigned tensor,
                                ArrayRef<AffineExpr> sizes) const {
  AffineExpr product = elementBytes(tensor);
  for (unsigned rank : ranks[tensor])
    product = boundedProduct(product, sizes[rank]);
  return product;
}

/// How many tiles read all of a tensor.
AffineExpr CascadeMemory::sweeps(unsigned tensor) const {
  AffineExpr product = constant(1);
  bool streams = llvm::is_contained(ranks[tensor], stream);
  for (unsigned rank : rows.set_bits())
    // Each part reads its own of the stream.
    if (!llvm::is_contained(ranks[tensor], rank) &&
        !(streams && rank == partsRank))
      product = boundedProduct(
          product, rank == innermostRow ? extents[rank].ceilDiv(options.rows)
                                        : extents[rank]);
  return product;
}

/// What step `i` carries along the stream, if it begins an iteration over it.
SmallVector<unsigned> CascadeMemory::carriedBy(unsigned i) const {
  SmallVector<unsigned> carried;
  const Step &step = program.steps[i];
  if (step.kind == Step::Begin && step.iterated == stream)
    for (const Step &inner : program.bodyOf(i))
      if (inner.kind == Step::Carry)
        carried.push_back(inner.results.front());
  return carried;
}

void CascadeMemory::addParts(CascadeReport &report,
                             const RankPasses &passes) const {
  using Part = CascadeReport::Part;
  llvm::DenseSet<Value> live;
  for (const TensorPasses &tensor : passes.tensors)
    if (tensor.isLive)
      live.insert(tensor.tensor);
  llvm::BitVector states(program.tensors.size());
  for (auto [i, step] : llvm::enumerate(program.steps)) {
    if (reduces(step) && step.iterated != stream)
      states.set(step.results.front());
    for (unsigned tensor : carriedBy(i))
      states.set(tensor);
  }
  SmallVector<AffineExpr> kept(tiles);
  kept[stream] = extents[stream];
  Part scratch{Part::Scratch, "", AffineExpr()};
  for (auto [i, tensor] : llvm::enumerate(program.tensors)) {
    bool streams = llvm::is_contained(ranks[i], stream);
    if (!isa<RankedTensorType>(tensor.value.getType()))
      continue;
    if (!tensor.isComputed) {
      report.parts.push_back(
          {streams ? Part::Stream : Part::Resident, names[i], bytes(i, tiles)});
    } else if (live.contains(tensor.value)) {
      report.parts.push_back({Part::Kept, names[i], bytes(i, kept)});
    } else if (states.test(i)) {
      report.parts.push_back({Part::State, names[i], bytes(i, tiles)});
    } else if (streams) {
      AffineExpr size = bytes(i, tiles);
      auto number = dyn_cast_or_null<AffineConstantExpr>(size),
           largest = dyn_cast_or_null<AffineConstantExpr>(scratch.bytes);
      if (scratch.tensor.empty() ||
          (number && largest && number.getValue() > largest.getValue()))
        scratch = {Part::Scratch, names[i], size};
    }
  }
  if (!scratch.tensor.empty())
    report.parts.push_back(scratch);
  report.footprint = constant(0);
  for (const Part &part : report.parts)
    report.footprint = boundedSum(report.footprint, part.bytes);
}

void CascadeMemory::addTraffic(CascadeReport &report,
                               const RankPasses &passes) const {
  report.bytesDirect = report.bytesRecomputed = constant(0);
  llvm::DenseMap<Value, const TensorPasses *> reads;
  for (const TensorPasses &tensor : passes.tensors)
    reads[tensor.tensor] = &tensor;
  for (auto [i, tensor] : llvm::enumerate(program.tensors)) {
    const TensorPasses *read = reads.lookup(tensor.value);
    if (!read || tensor.isComputed)
      continue;
    CascadeReport::Traffic traffic{names[i], bytes(i, extents), sweeps(i),
                                   read->direct, read->recomputed};
    AffineExpr once = boundedProduct(traffic.bytes, traffic.sweeps);
    auto add = [&](AffineExpr &sum, unsigned times) {
      sum = boundedSum(sum, boundedProduct(once, constant(times)));
    };
    add(report.bytesDirect, traffic.direct);
    add(report.bytesRecomputed, traffic.recomputed);
    report.traffic.push_back(std::move(traffic));
  }
}

/// What `states`, which `steps` sum, are merged by.
CascadeReport::Merge CascadeMemory::mergeOf(ArrayRef<Step> steps,
                                            ArrayRef<unsigned> states) const {
  std::vector<std::string> references, monoids;
  auto addOnce = [](std::vector<std::string> &texts, std::string text) {
    if (!llvm::is_contained(texts, text))
      texts.push_back(std::move(text));
  };
  for (const Step &step : steps) {
    if (auto rebase = dyn_cast<RebaseOp>(step.op))
      addOnce(references, (stringifyMonoid(rebase.getMonoid()) + " " +
                           stringifyFamily(rebase.getFamily()) + " " +
                           stringifyPolicyKind(rebase.getPolicyKind()))
                              .str());
    else if (auto merge = dyn_cast<MergeOp>(step.op))
      addOnce(references, (stringifyMonoid(merge.getMonoid()) + " " +
                           stringifyFamily(merge.getFamily()))
                              .str());
    else if (auto einsum = dyn_cast<EinsumOp>(step.op))
      if (reduces(step))
        addOnce(monoids, stringifyMonoid(*einsum.getMonoid()).str());
  }
  CascadeReport::Merge merge{
      llvm::join(references.empty() ? monoids : references, ", "), constant(0),
      /*parts=*/""};
  SmallVector<AffineExpr> perRow(extents);
  for (unsigned rank : rows.set_bits())
    perRow[rank] = constant(1);
  for (unsigned state : states)
    merge.bytesPerRow = boundedSum(merge.bytesPerRow, bytes(state, perRow));
  return merge;
}

/// Whether an iteration carries squares of distances to the mean so far.
static bool carriesSquares(IterateOp op) {
  auto states = carriedStates(op);
  return states && llvm::any_of(*states, [](const CarriedState &state) {
           return state.about.has_value();
         });
}

/// An iteration has an algebra of states; where there is one pass without any,
/// what is reduced are the states.
void CascadeMemory::addMerges(CascadeReport &report) const {
  ArrayRef<Step> steps = program.steps;
  for (auto [i, step] : llvm::enumerate(steps))
    if (step.kind == Step::Begin && step.iterated == stream) {
      report.merges.push_back(mergeOf(program.bodyOf(i), carriedBy(i)));
      if (carriesSquares(cast<IterateOp>(step.op)))
        report.merges.back().algebra += ", squares about the mean";
    }
  if (!report.merges.empty() || report.ranks[stream].passes != 1)
    return;
  SmallVector<unsigned> states;
  for (const Step &step : steps)
    if (reduces(step))
      states.push_back(step.results.front());
  report.merges.push_back(mergeOf(steps, states));
}

void CascadeMemory::fill(CascadeReport &report, ArrayRef<RankPasses> passes) {
  if (!findStream(report))
    return;
  report.stream = stream;
  findRows();
  setTiles();
  for (auto [rank, tile] : llvm::zip_equal(report.ranks, tiles))
    rank.tile = tile;
  addParts(report, passes[stream]);
  addTraffic(report, passes[stream]);
  addMerges(report);
}
