//===- MicroKernel.cpp - Register tiles of a product with codes -----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// For each group: start the sums, decode and multiply quad after quad, and add
// the sums, scaled, to the results. A group has whole chunks of codes, or a
// chunk whole groups. Zero points of integers are where sums start (Sums.cpp);
// those of floats are subtracted from codes.
//
//===----------------------------------------------------------------------===//

#include "MicroKernel.h"

#include "lutra/Analysis/TargetFeatures.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::lutra;

/// Quads that are multiplied without a branch.
static constexpr int64_t kUnrolledQuads = 8;
/// Rows of x that are so few that memory is what they wait for.
static constexpr int64_t kMostStreamedRows = 2;
/// Sums that are independent of each other hide the latency of a dot product.
/// Behind few of these a machine looks ahead to those of the next group.
static constexpr int64_t kIndependentSums = 8, kSumsOfShortGroup = 4;

MicroKernel::MicroKernel(OpBuilder &b, mpgemm::MatmulOp op, TargetAttr target,
                         Value table)
    : IndexBuilder(b, op.getLoc()), op(op), target(target),
      planes(op.getPlanes()), unit(unitOf(op)), lanes(lanesOf(target, planes)),
      parts(planes.depth * planes.rows / (4 * lanes)),
      vectors(planes.rows / lanes), registers(vectorRegisters(target)),
      groups(op.getCodeGroups()), quads(op.getGroupSize() / planes.depth),
      looksUp(op.hasTables()),
      quadsAtOnce(looksUp ? planes.quadsPerChunk() / 2 : 1),
      dot(createDot(b, op, lanes, target, table)),
      groupSums(b, op, lanes, vectors, dot->offset()) {
  mpgemm::FormatInterface format = op.getFormat();
  if (NumberDecoder::isNeeded(format) && !looksUp && !dot->takesCodes())
    decoder.emplace(b, op, lanes);
  if (MatrixDot::supports(op, lanes, target))
    matrixDot.emplace(b, op, parts);
  if (nestsFields() && startsWithZeros())
    groupSums.nestFields();
}

int64_t MicroKernel::maxRows() const {
  // Sums and results, the codes of a quad, and what it takes to decode them.
  // Look-ups are so many that results may well wait in memory, and so they may
  // behind as many products where registers hold results of few rows.
  constexpr int64_t kManyQuads = 16;
  int64_t each = parts * dot->sums();
  bool mayWait = looksUp || (planes.rowsShareBytes && quads >= kManyQuads);
  if (!isSingleFlush() && !mayWait)
    each += vectors;
  int64_t others = looksUp ? 2 * parts + 6 : parts + 2 + planes.rowsOfByte(),
          most = (registers - others) / each;
  most = std::clamp<int64_t>(most, 1, 8);
  return matrixDot && most > 1 ? most - most % 2 : most;
}

//===----------------------------------------------------------------------===//
// One group
//===----------------------------------------------------------------------===//

/// Those for sums, where results take theirs.
int64_t MicroKernel::freeRegisters() const {
  return registers - parts - 3 - (isSingleFlush() ? 0 : numResults());
}

/// Whether the codes of each field of a byte are multiplied where they lie,
/// into sums of their own, which are shifted when the group is done: as long as
/// registers hold these, and they fit 32 bits.
bool MicroKernel::keepsFields() const {
  int64_t fields = planes.quadsPerChunk();
  return dot->sumType().isInteger() && !looksUp && !decoder &&
         matrixSize() == 1 && planes.planes().size() == 1 && fields > 1 &&
         dot->maxCode() == 255 && fields * numSums() <= freeRegisters() &&
         mpgemm::fitsAccumulator(8, llvm::divideCeil(4 * quads, fields));
}

/// Whether the codes of a field are multiplied together with those of the
/// fields below, which belong to other columns: so the highest field needs no
/// mask. Sums differ by those of one field. They wrap around, and what is left
/// does not: 8 bits are as many as a field begins with and has.
bool MicroKernel::nestsFields() {
  return planes.rowsShareBytes && op.isInteger() && !looksUp && !decoder &&
         !matrixDot && dot->maxCode() == 255 && dot->sums() == 1 &&
         dot->sumType().isInteger(32) && mpgemm::fitsAccumulator(8, 4 * quads);
}

/// Whether hardware does not foresee what is read: on some machines only codes
/// of which a line takes long, and planes, which are not read in the order in
/// which they lie. (benchmarks/mpgemm.py --kind memory: on Zen 4, at 3 bits
/// twice as fast, and at 4 and 8 bits a tenth slower; on Sapphire Rapids, 1.3
/// and 1.2 times as fast at 4 and 8 bits.)
bool MicroKernel::prefetches() const {
  return rows <= kMostStreamedRows &&
         (!foreseesStreams(target) || planes.bits <= 2 ||
          planes.planes().size() > 1);
}

int64_t MicroKernel::chains() const {
  if (keepsFields())
    return planes.quadsPerChunk();
  // As many as registers hold, and steps of a group share them evenly.
  int64_t chains = 1,
          steps = quads / (quadsAtOnce * matrixSize()) * dot->steps(),
          wanted = steps <= kUnrolledQuads && groups > 1 ? kSumsOfShortGroup
                                                         : kIndependentSums;
  while (2 * chains * numSums() <= std::min(wanted, freeRegisters()) &&
         steps % (2 * chains) == 0)
    chains *= 2;
  return chains;
}

/// Makes bytes of the codes of `quad` of a chunk, once for all steps, where
/// they are not multiplied as they are.
void MicroKernel::decodeQuad(CodesOfChunk &codes, int64_t quad) {
  decoded.clear();
  int64_t each = history.size() / parts;
  for (int64_t part = 0; decoder && part < parts; ++part)
    decoded.push_back(decoder->decode(
        codes, quad, part, MutableArrayRef(history).slice(part * each, each)));
}

/// What is multiplied or looked up of `quad` of a chunk.
Value MicroKernel::operandOf(CodesOfChunk &codes, int64_t quad, int64_t part,
                             unsigned step) {
  Value zero = op.isInteger() ? Value() : groupSums.zero(part);
  if (looksUp)
    return dot->codes(codes.key(quad / quadsAtOnce, part), step, zero);
  if (keepsFields() || nestsFields())
    return dot->codes(codes.quadInPlace(quad, part), step, zero);
  if (decoder)
    return dot->codes(decoded[part], step, zero);
  return dot->codesOfQuad(codes, quad, part, step, zero);
}

/// Where the numbers or tables of x lie for `quad` of a chunk of a group.
SmallVector<Value> MicroKernel::placeOf(int64_t row, Value group,
                                        Value chunkOfGroup, int64_t quad) {
  int64_t perChunk = unit.quads;
  group = groupOfX(b, op, group);
  if (!looksUp)
    return {rowIndex[row], group,
            plus(times(chunkOfGroup, 4 * perChunk), 4 * quad)};
  return {rowIndex[row], group,
          plus(times(chunkOfGroup, perChunk / quadsAtOnce), quad / quadsAtOnce),
          constant(0)};
}

/// Adds to sums [rows, parts, ..] the products of `operands` [parts] with what
/// x has at `place` of each row.
void MicroKernel::multiplyRows(ArrayRef<Value> operands, unsigned step,
                               function_ref<SmallVector<Value>(int64_t)> place,
                               MutableArrayRef<Value> sums) {
  int64_t each = dot->sums();
  for (int64_t row = 0; row < rows; ++row) {
    Value factor = dot->factor(op.getX(), place(row), step);
    for (int64_t part = 0; part < parts; ++part)
      dot->addTo(sums.slice((row * parts + part) * each, each), operands[part],
                 factor);
  }
}

/// Multiplies `count` quads, from quad `first` of chunk `chunk` on, with those
/// of x from the beginning of chunk `chunkOfGroup` of the group on.
void MicroKernel::emitQuads(Value chunk, int64_t first, int64_t count,
                            Value group, Value chunkOfGroup,
                            MutableArrayRef<Value> sums) {
  int64_t perChunk = unit.quads, quadsOfChunk = unit.quads / unit.chunks,
          chains = sums.size() / numSums();
  std::optional<CodesOfChunk> codes;
  Values before;
  for (int64_t quad = 0, next = 0; quad < count; quad += quadsAtOnce) {
    int64_t inChunk = (first + quad) % perChunk;
    if (!codes || inChunk == 0)
      codes.emplace(b, loc, planes, lanes, op.getCodes(), tile,
                    times(plus(chunk, (first + quad) / perChunk), unit.chunks));
    if (inChunk % quadsOfChunk == 0 && prefetches())
      codes->prefetch(prefetchDistance(target), inChunk / quadsOfChunk);
    decodeQuad(*codes, inChunk);
    for (unsigned step = 0; step < dot->steps(); ++step) {
      Values operands;
      for (int64_t part = 0; part < parts; ++part)
        operands.push_back(operandOf(*codes, inChunk, part, step));
      if (matrixSize() == 2 && quad % 2 == 0) {
        before = operands;
        continue;
      }
      int64_t number = keepsFields() ? inChunk : next++ % chains;
      MutableArrayRef<Value> chain = sums.slice(number * numSums(), numSums());
      auto place = [&](int64_t row) {
        return placeOf(row, group, chunkOfGroup, quad + 1 - matrixSize());
      };
      if (matrixSize() == 2)
        matrixDot->multiply(before, operands, place, chain);
      else
        multiplyRows(operands, step, place, chain);
    }
  }
}

/// Indices 0, step, .. below `count`, whose bodies hand on what they carry, and
/// what the decoder knows beside it.
MicroKernel::Values
MicroKernel::loopOver(int64_t count, int64_t step, Values carried,
                      function_ref<Values(Value, Values)> body) {
  size_t size = carried.size();
  auto split = [&](ValueRange all) {
    history.assign(all.begin() + size, all.end());
    return Values(all.take_front(size));
  };
  llvm::append_range(carried, history);
  auto loop = scf::ForOp::create(
      b, loc, constant(0), constant(count), constant(step), carried,
      [&](OpBuilder &, Location, Value i, ValueRange all) {
        Values next = body(i, split(all));
        llvm::append_range(next, history);
        scf::YieldOp::create(b, loc, next);
      });
  return split(loop.getResults());
}

/// `chunks` chunks of a group that has whole ones, from `begin` on.
MicroKernel::Values MicroKernel::emitChunks(Value group, Value begin,
                                            int64_t chunks, Values sums) {
  int64_t perChunk = unit.quads, unroll = chunks;
  if (chunks * perChunk > kUnrolledQuads)
    for (unroll = std::max<int64_t>(1, kUnrolledQuads / perChunk);
         chunks % unroll != 0 || unroll * perChunk % matrixSize() != 0;)
      --unroll;
  Value first = add(times(group, quads / perChunk), begin);
  auto emitSome = [&](Value chunk, MutableArrayRef<Value> sums) {
    emitQuads(add(first, chunk), 0, unroll * perChunk, group, add(begin, chunk),
              sums);
  };
  if (unroll == chunks) {
    emitSome(constant(0), sums);
    return sums;
  }
  return loopOver(chunks, unroll, sums, [&](Value chunk, Values next) {
    emitSome(chunk, next);
    return next;
  });
}

/// Sums [chains, rows, parts, ..] to which so much is added.
MicroKernel::Values MicroKernel::startSums(int64_t adds) {
  Type element = dot->sumType();
  auto type =
      VectorType::get({32 * lanes / element.getIntOrFloatBitWidth()}, element);
  Value none = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
  Values sums(chains() * numSums(), none);
  if (Values start = dot->start(adds); !start.empty())
    for (int64_t at = 0; at < numSums(); ++at)
      sums[at] = start[at % start.size()];
  if (startsWithZeros())
    for (int64_t row = 0; row < rows; ++row)
      for (auto [part, start] : llvm::enumerate(groupSums.start(rowIndex[row])))
        sums[row * parts + part] = start;
  if (matrixSize() == 2)
    matrixDot->start(MutableArrayRef(sums).take_front(numSums()));
  return sums;
}

/// The sum of what the chains of register `at` have, of `sums` [chains, ..].
Value MicroKernel::joinChains(ArrayRef<Value> sums, int64_t at) {
  Value total = sums[at];
  int64_t width = keepsFields() ? planes.bits : 0;
  for (int64_t chain = 1; chain * numSums() < int64_t(sums.size()); ++chain) {
    Value sum = sums[chain * numSums() + at];
    if (width != 0) {
      auto type = cast<VectorType>(sum.getType());
      auto by =
          DenseElementsAttr::get(type, b.getI32IntegerAttr(chain * width));
      sum = arith::ShRSIOp::create(b, loc, sum,
                                   arith::ConstantOp::create(b, loc, by));
    }
    total = op.isInteger()
                ? arith::AddIOp::create(b, loc, total, sum).getResult()
                : arith::AddFOp::create(b, loc, total, sum).getResult();
  }
  return total;
}

/// Takes the sums of the fields below, which were multiplied with the same, out
/// of those of each field, [parts].
void MicroKernel::splitFields(MutableArrayRef<Value> sums) {
  int64_t ofQuarter = planes.quarter() / lanes;
  for (int64_t part = parts - 1; part >= 0; --part) {
    int64_t number = part / ofQuarter % planes.rowsOfByte();
    if (number == 0)
      continue;
    Value field =
        arith::SubIOp::create(b, loc, sums[part], sums[part - ofQuarter]);
    auto by = DenseElementsAttr::get(cast<VectorType>(field.getType()),
                                     b.getI32IntegerAttr(number * planes.bits));
    sums[part] = arith::ShRSIOp::create(b, loc, field,
                                        arith::ConstantOp::create(b, loc, by));
  }
}

/// The sums of a row, of 32 bits, [vectors].
MicroKernel::Values MicroKernel::sumsOfRow(ArrayRef<Value> sums, int64_t row) {
  Values result;
  for (int64_t part = 0; part < parts; ++part) {
    auto joined = [&](int64_t row, int64_t i) {
      return joinChains(sums, (row * parts + part) * dot->sums() + i);
    };
    if (matrixSize() == 2) {
      int64_t first = row - row % 2;
      result.push_back(
          matrixDot->finish(joined(first, 0), joined(first + 1, 0), row));
      continue;
    }
    Values registers;
    for (int64_t i = 0; i < dot->sums(); ++i)
      registers.push_back(joined(row, i));
    llvm::append_range(result, dot->widened(registers));
  }
  if (nestsFields())
    splitFields(result);
  if (!startsWithZeros())
    for (auto [vector, start] : llvm::enumerate(groupSums.start(rowIndex[row])))
      result[vector] = arith::AddIOp::create(b, loc, result[vector], start);
  return result;
}

/// Adds the sums of a group, scaled, to the results.
void MicroKernel::flush(ArrayRef<Value> sums, MutableArrayRef<Value> results) {
  if (!op.isUnscaled())
    groupSums.loadScales();
  for (int64_t row = 0; row < rows; ++row) {
    MutableArrayRef<Value> ofRow = results.slice(row * vectors, vectors);
    if (op.isUnscaled())
      llvm::copy(sumsOfRow(sums, row), ofRow.begin());
    else
      groupSums.add(rowIndex[row], sumsOfRow(sums, row), ofRow);
  }
}

/// Chunks after which sums are flushed.
int64_t MicroKernel::chunksOfBlock() const {
  int64_t perChunk = unit.quads, chunks = quads / perChunk,
          most = dot->mostAdds();
  if (ShapedType::isDynamic(most))
    return chunks;
  return std::clamp<int64_t>(most * quadsAtOnce / perChunk, 1, chunks);
}

MicroKernel::Values MicroKernel::emitBlock(Value group, Value first,
                                           int64_t chunks, ValueRange results) {
  Values next(results);
  int64_t adds = chunks * unit.quads / quadsAtOnce;
  flush(emitChunks(group, first, chunks, startSums(adds)), next);
  return next;
}

//===----------------------------------------------------------------------===//
// All groups
//===----------------------------------------------------------------------===//

/// A group that has whole chunks. Zero points count once, in the last block.
MicroKernel::Values MicroKernel::emitGroup(Value group, ValueRange results) {
  int64_t chunks = quads / unit.quads, each = chunksOfBlock(),
          before = (chunks - 1) / each;
  Values next(results);
  if (before > 0) {
    groupSums.enter(tile, group, /*countsZeros=*/false);
    next = loopOver(before * each, each, next, [&](Value first, Values next) {
      return emitBlock(group, first, each, next);
    });
  }
  groupSums.enter(tile, group);
  return emitBlock(group, constant(before * each), chunks - before * each,
                   next);
}

MicroKernel::Values MicroKernel::emitGroups() {
  auto type = VectorType::get({lanes}, op.getInitType().getElementType());
  Value none = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
  Values results(numResults(), none);
  int64_t perChunk = unit.quads;
  if (groups == 1 && quads % perChunk == 0)
    return emitGroup(constant(0), results);
  if (quads % perChunk == 0)
    return loopOver(groups, 1, results, [&](Value group, Values carried) {
      return emitGroup(group, carried);
    });
  // A chunk has whole groups, and the last one maybe fewer.
  int64_t perGroup = quads, ofChunk = perChunk / perGroup;
  auto emitChunk = [&](Value chunk, int64_t count, ValueRange carried) {
    Values next(carried);
    for (int64_t i = 0; i < count; ++i) {
      Value group = plus(times(chunk, ofChunk), i);
      groupSums.enter(tile, group);
      Values sums = startSums(perGroup / quadsAtOnce);
      emitQuads(chunk, i * perGroup, perGroup, group, constant(0), sums);
      flush(sums, next);
    }
    return next;
  };
  if (groups >= ofChunk)
    results = loopOver(groups / ofChunk, 1, results,
                       [&](Value chunk, Values carried) {
                         return emitChunk(chunk, ofChunk, carried);
                       });
  if (groups % ofChunk != 0)
    results = emitChunk(constant(groups / ofChunk), groups % ofChunk, results);
  return results;
}

void MicroKernel::emit(Value row, int64_t count, Value column) {
  tile = column;
  rows = count;
  rowIndex.clear();
  for (int64_t i = 0; i < rows; ++i)
    rowIndex.push_back(plus(row, i));
  history.clear();
  for (int64_t part = 0; decoder && part < parts; ++part)
    llvm::append_range(history, decoder->start());
  Values results = emitGroups();
  ResultColumns columns(b, op, lanes, vectors, tile);
  for (int64_t i = 0; i < rows; ++i)
    columns.store(rowIndex[i], ArrayRef(results).slice(i * vectors, vectors));
}
