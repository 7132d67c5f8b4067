//===- CascadeSchedule.cpp - Tiles of a cascade ---------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A task is a tile of rows: of the ranks that all states have. The innermost of
// them is the one that vectors lie along, and its tile is one register tile of
// the contractions wide, or as many as leave what the tile keeps at hand (its
// rows of each contraction, over which all parts go) in the first-level cache.
// Where it is shorter, coordinates of other ranks that go over the same join
// it. A part of the iterated rank is as long as its intermediate results stay
// there too.
//
//===----------------------------------------------------------------------===//

#include "CascadeSchedule.h"

#include "dialects/Cascade/Gather.h"
#include "dialects/Cascade/Parts.h"
#include "lutra/Analysis/Contraction.h"
#include "lutra/Conversion/CascadeToLinalg.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/bit.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// Coordinates of an iterated rank in a part, if the cache has room for them.
static constexpr int64_t kMaxPart = 128;

/// The same where matrix tiles multiply many rows: sums leave them once a part,
/// and the rest of the work is from the second-level cache. For fewer it is
/// mostly what is copied into pairs, from the first.
static constexpr int64_t kMaxPartOfTiles = 192, kManyRowsOfTiles = 48;

/// Shorter parts are mostly what is done for each of them.
static constexpr int64_t kMinPart = 16, kMinPartOfTiles = 64;

/// Steps of a matrix tile of bf16, which parts are a multiple of.
static constexpr int64_t kStepsOfTile = 32;

/// Longer parts at hand are slower, though the cache would have room for them.
static constexpr int64_t kMaxPartAtHand = 96;

/// Tiles of rows for which a stream is read again from the second-level cache;
/// fewer mostly wait for it to come there.
static constexpr int64_t kLeastTilesAtHand = 4;

/// The most bytes that a row has of what stays at hand: of the ranks that a
/// contraction reduces beside the iterated one, the longest static extent.
static int64_t bytesAtHand(CascadeOp op) {
  int64_t bytes = 1;
  op.walk([&](EinsumOp einsum) {
    auto iterate = einsum->getParentOfType<IterateOp>();
    if (!iterate || !einsum.hasReduction())
      return;
    unsigned bits = 8;
    for (Type type : einsum.getInputs().getTypes())
      bits = std::max(bits, getElementTypeOrSelf(type).getIntOrFloatBitWidth());
    for (unsigned rank = 0; rank < einsum.getNumRanks(); ++rank) {
      int64_t extent = op.getStaticExtent(einsum.getRankName(rank));
      if (einsum.isReduced(rank) &&
          einsum.getRankName(rank) != iterate.getRank() &&
          !ShapedType::isDynamic(extent))
        bytes = std::max(bytes, extent * bits / 8);
    }
  });
  return bytes;
}

/// How much of other ranks a step computes for each coordinate of its own, for
/// all rows alike: what it widens.
static int64_t widthOfShared(CascadeOp op, IterateOp iterate,
                             ArrayRef<StringRef> rows) {
  int64_t width = 0;
  for (auto einsum : iterate.getBlock()->getOps<EinsumOp>()) {
    SmallVector<StringRef> ranks = *ranksOf(einsum.getResult());
    bool isSummed = llvm::any_of(einsum->getUsers(), [](Operation *user) {
      auto reader = dyn_cast<EinsumOp>(user);
      return reader && reader.hasReduction();
    });
    if (!isSummed || rows.empty() || llvm::is_contained(ranks, rows.back()) ||
        !llvm::is_contained(ranks, iterate.getRank()))
      continue;
    int64_t elements = 1;
    for (StringRef rank : ranks)
      if (int64_t extent = op.getStaticExtent(rank);
          rank != iterate.getRank() && !llvm::is_contained(rows, rank) &&
          !ShapedType::isDynamic(extent))
        elements *= extent;
    width += elements;
  }
  return width;
}

/// The length of a part, `part` at most, so that it has whole blocks of what is
/// gathered along the rank, or blocks have whole parts.
static int64_t fitToBlocks(IterateOp iterate, ArrayRef<StringRef> rows,
                           int64_t part) {
  int64_t whole = part;
  auto isSingle = [&](StringRef rank) {
    return llvm::is_contained(rows.drop_back(), rank);
  };
  for (auto einsum : iterate.getBlock()->getOps<EinsumOp>()) {
    auto blocks = rows.empty()
                      ? std::nullopt
                      : matchBlocks(einsum, iterate.getRank(), isSingle);
    if (!blocks)
      continue;
    if (blocks->length <= part)
      part -= part % blocks->length;
    while (blocks->length > part && blocks->length % part != 0)
      --part;
  }
  // Of blocks of no such length, copies are made.
  return part < kMinPart ? whole : part;
}

/// The bytes that a coordinate of the iterated rank has in the longest of the
/// streams.
static int64_t bytesOfStreams(CascadeOp op, IterateOp iterate,
                              ArrayRef<StringRef> rows) {
  int64_t most = 0;
  for (auto einsum : iterate.getBlock()->getOps<EinsumOp>())
    for (auto [i, input] : llvm::enumerate(einsum.getInputs())) {
      if (!isStreamed(iterate, input))
        continue;
      int64_t bits =
          cast<RankedTensorType>(input.getType()).getElementTypeBitWidth();
      for (auto rank : op.getRanks().getAsValueRange<StringAttr>())
        if (int64_t extent = op.getStaticExtent(rank);
            einsum.goesAlong(einsum.getInputMap(i), rank) &&
            rank != iterate.getRank() && !llvm::is_contained(rows, rank) &&
            !ShapedType::isDynamic(extent))
          bits *= extent;
      most = std::max(most, bits / 8);
    }
  return most;
}

/// Whether all coordinates of a rank read the same of what is streamed, so that
/// a tile does well to have several. Parts, whose number is a rank, do not.
static bool isShared(CascadeOp op, StringRef rank) {
  auto iterations = op.getBlock()->getOps<IterateOp>();
  return !iterations.empty() && !countsParts(op, rank) &&
         llvm::none_of(iterations, [&](IterateOp iterate) {
           return iterate.streamsAlong(rank);
         });
}

/// The longest tile of a rank, up to `most` and, if tiles shall be whole, one
/// that divides the extent.
static int64_t tileOf(int64_t extent, int64_t most, bool isWhole) {
  if (ShapedType::isDynamic(extent))
    return isWhole ? 1 : most;
  int64_t tile = std::clamp<int64_t>(extent, 1, most);
  while (isWhole && extent % tile != 0)
    --tile;
  return tile;
}

/// The length of a part that is gone over in one go: one that is somewhat
/// longer is better than two, if it is all gone over in any case.
static int64_t joinParts(CascadeOp op, IterateOp iterate, int64_t part) {
  int64_t extent = op.getStaticExtent(iterate.getRank());
  return !ShapedType::isDynamic(extent) && extent <= part + part / 2 &&
                 !iterate.getFilters()
             ? std::max(part, extent)
             : part;
}

/// Whether matrix tiles multiply what an iteration streams.
static bool mayHaveTiles(CascadeOp op, IterateOp iterate, TargetAttr target) {
  return hasBF16Tiles(target) &&
         streams(iterate, BFloat16Type::get(op.getContext()));
}

/// The length of parts of which a tile of `columns` columns, no more than a
/// register tile has, keeps all in the first-level cache, one stream with it:
/// sums and shares, which matrix tiles pass on through memory. It reads the
/// streams twice as often as a tile twice as wide, so these must come from the
/// second-level cache, and most of them not for the first time.
static std::optional<int64_t> partAtHand(CascadeOp op, ArrayRef<StringRef> rows,
                                         int64_t columns, TargetAttr target) {
  auto iterations = op.getBlock()->getOps<IterateOp>();
  if (!llvm::hasSingleElement(iterations) || rows.empty())
    return std::nullopt;
  IterateOp iterate = *iterations.begin();
  int64_t extent = op.getStaticExtent(iterate.getRank()),
          row = bytesOfStreams(op, iterate, rows),
          all = op.getStaticExtent(rows.back());
  if (!mayHaveTiles(op, iterate, target) || ShapedType::isDynamic(extent) ||
      extent <= kMaxPartOfTiles ||
      joinParts(op, iterate, kMaxPartOfTiles) > kMaxPartOfTiles ||
      extent * row > target.getL2() / 4 ||
      (!ShapedType::isDynamic(all) && all < kLeastTilesAtHand * columns))
    return std::nullopt;
  // Of a column: sums in f32 and shares in bf16 of each coordinate, and a
  // factor in bf16 and sums in f32 that are as many as a coordinate of a stream
  // has.
  int64_t most =
      llvm::alignDown(std::clamp<int64_t>((target.getL1() - 3 * columns * row) /
                                              (6 * columns + row),
                                          0, kMaxPartAtHand),
                      kStepsOfTile);
  if (most < kMinPartOfTiles)
    return std::nullopt;
  // Of few parts, rather all are shorter than one is short.
  if (!iterate.getFilters() && extent < 8 * most)
    for (int64_t part = most; part >= kMinPartOfTiles; part -= kStepsOfTile)
      if (extent % part == 0)
        return part;
  return most;
}

/// The length of a part of which `columns` columns are computed.
static int64_t partOfColumns(CascadeOp op, IterateOp iterate,
                             ArrayRef<StringRef> rows, int64_t columns,
                             TargetAttr target) {
  bool hasTiles = mayHaveTiles(op, iterate, target);
  bool isFew = columns <= mostFewRows(target, hasTiles);
  int64_t part =
      hasTiles && !isFew
          ? std::clamp<int64_t>(target.getL2() / 16 / (4 * columns), kMinPart,
                                columns < kManyRowsOfTiles ? kMaxPart
                                                           : kMaxPartOfTiles)
          : std::clamp<int64_t>(target.getL1() / 2 / (4 * columns), kMinPart,
                                kMaxPart);
  // Few rows do little with what they stream, which must not be fetched for
  // each of them, and use what is widened for them once, right behind.
  if (isFew) {
    int64_t bytes = std::max({int64_t(1), bytesOfStreams(op, iterate, rows),
                              4 * widthOfShared(op, iterate, rows)});
    part = std::clamp<int64_t>(
        llvm::bit_floor<uint64_t>(target.getL1() / 2 / bytes), kMinPart, part);
  }
  return joinParts(op, iterate, part);
}

ScheduleAttr lutra::selectCascadeSchedule(CascadeOp op, TargetAttr target) {
  SmallVector<int64_t> distribute(op.getRanks().size(), 0), tile(distribute);
  int64_t lanes = std::max<int64_t>(1, target.getVectorBits() / 32);
  SmallVector<StringRef> rows = rowRanks(op);
  for (StringRef rank : rows)
    distribute[*op.findRank(rank)] = 1;
  // As many columns as a register tile has, and more where they are short.
  int64_t unit = 2 * lanes, bytes = bytesAtHand(op);
  std::optional<int64_t> atHand = partAtHand(op, rows, unit, target);
  int64_t most =
      atHand
          ? unit
          : unit * std::clamp<int64_t>(target.getL1() / 2 / unit / bytes, 1, 2);
  int64_t columns = 1;
  for (StringRef rank : llvm::reverse(rows)) {
    if (rank != rows.back() && !isShared(op, rank))
      continue;
    int64_t size = tileOf(op.getStaticExtent(rank), most / columns,
                          /*isWhole=*/rank != rows.back());
    distribute[*op.findRank(rank)] = size;
    columns *= size;
  }
  for (auto iterate : op.getBlock()->getOps<IterateOp>()) {
    int64_t part =
        atHand ? *atHand : partOfColumns(op, iterate, rows, columns, target);
    tile[*op.findRank(iterate.getRank())] = fitToBlocks(iterate, rows, part);
  }
  return ScheduleAttr::get(op.getContext(), distribute, tile, {}, lanes);
}
