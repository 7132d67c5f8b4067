//===- CascadeMemory.h - Footprint and traffic of a cascade -----*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_ANALYSIS_CASCADEMEMORY_H
#define LUTRA_LIB_ANALYSIS_CASCADEMEMORY_H

#include "CascadeProgram.h"
#include "lutra/Analysis/CascadeReport.h"
#include "lutra/Analysis/PassCount.h"
#include "llvm/ADT/BitVector.h"

namespace mlir::lutra {

/// What a cascade keeps and reads where it is computed tile by tile, without
/// any other cleverness.
class CascadeMemory {
public:
  CascadeMemory(cascade::CascadeOp cascade, const CascadeProgram &program,
                ArrayRef<std::string> names, const CascadeTile &tile);

  /// Fills in what `report` says of memory, from the passes over each rank.
  void fill(CascadeReport &report, ArrayRef<RankPasses> passes);

private:
  using Step = CascadeProgram::Step;

  bool findStream(const CascadeReport &report);
  llvm::BitVector commonRanks(bool onlyReductions) const;
  void findRows();
  void setTiles();
  bool reduces(const Step &step) const;
  AffineExpr elementBytes(unsigned tensor) const;
  AffineExpr bytes(unsigned tensor, ArrayRef<AffineExpr> sizes) const;
  AffineExpr sweeps(unsigned tensor) const;
  SmallVector<unsigned> carriedBy(unsigned i) const;

  void addParts(CascadeReport &report, const RankPasses &passes) const;
  void addTraffic(CascadeReport &report, const RankPasses &passes) const;
  void addMerges(CascadeReport &report) const;
  CascadeReport::Merge mergeOf(ArrayRef<Step> steps,
                               ArrayRef<unsigned> states) const;
  AffineExpr constant(int64_t value) const;

  cascade::CascadeOp cascade;
  const CascadeProgram &program;
  ArrayRef<std::string> names;
  CascadeTile options;
  unsigned stream = 0;
  /// The ranks that every state over the stream has.
  llvm::BitVector rows;
  std::optional<unsigned> innermostRow;
  /// The rank that counts parts of the stream, if they are computed apart.
  std::optional<unsigned> partsRank;
  /// Of each rank, whole and in a tile.
  SmallVector<AffineExpr> extents, tiles;
  /// The ranks that each tensor has, or is first read by.
  std::vector<SmallVector<unsigned, 4>> ranks;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_ANALYSIS_CASCADEMEMORY_H
