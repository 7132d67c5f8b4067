//===- CascadeReport.h - The cascades of a model ----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a person wants to know about a cascade: how often it goes over each
// rank, what was done about it, and what memory and traffic follow. Expressions
// have the cascade's ranks for symbols, in their order; null is unknown.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_ANALYSIS_CASCADEREPORT_H
#define LUTRA_ANALYSIS_CASCADEREPORT_H

#include "dialects/Cascade/Cascade.h"
#include "mlir/IR/AffineExpr.h"
#include "llvm/Support/raw_ostream.h"

namespace mlir::lutra {

/// How much of a cascade is computed at once, for numbers about memory: that
/// many points of the innermost rank of rows, one of each other, and that many
/// of the rank that is gone over.
struct CascadeTile {
  int64_t rows = 64, stream = 128;
};

struct CascadeReport {
  struct Rank {
    std::string name;
    /// A number or a formula over the model's dimensions, "?" if not known.
    std::string extent;
    /// Whether anything is reduced along it.
    bool isReduced = false;
    /// The passes before the cascade was rewritten, where that is written down.
    std::optional<int64_t> before;
    unsigned passes = 0;
    /// How many points of it are in a tile.
    AffineExpr tile;
  };
  /// How often a tensor is read along a rank; see TensorPasses.
  struct Read {
    unsigned rank;
    std::string tensor;
    unsigned direct, recomputed;
    bool isLive;
  };
  /// What is in memory while a tile is computed.
  struct Part {
    enum Role {
      /// Whole along the rank, from one pass to another.
      Kept,
      /// What is reduced along the rank, or carried along it.
      State,
      /// Computed and read within a pass: the largest such.
      Scratch,
      /// Read along the rank.
      Stream,
      /// Read, and not along the rank.
      Resident
    };
    Role role;
    std::string tensor;
    AffineExpr bytes;
  };
  /// What is read from memory along the rank, over all tiles.
  struct Traffic {
    std::string tensor;
    /// Of the tensor, and how many tiles read it as a whole.
    AffineExpr bytes, sweeps;
    unsigned direct, recomputed;
  };
  /// How what was computed over parts of the rank becomes one.
  struct Merge {
    /// "max exp", "add", "add, squares about the mean".
    std::string algebra;
    AffineExpr bytesPerRow;
    /// How many parts are computed apart: as an extent is written, empty where
    /// none are.
    std::string parts;
  };

  std::string name, function;
  std::vector<Rank> ranks;
  std::vector<Read> reads;
  std::vector<std::string> rewrites, refusals;

  /// The rank with most passes, which the following is about.
  std::optional<unsigned> stream;
  std::vector<Part> parts;
  AffineExpr footprint;
  std::vector<Traffic> traffic;
  AffineExpr bytesDirect, bytesRecomputed;
  std::vector<Merge> merges;
};

/// What `cascade` is. Names are made printable. `number` names one without a
/// location.
CascadeReport reportCascade(cascade::CascadeOp cascade, unsigned number,
                            const CascadeTile &tile = {});

/// Those of all cascades in `root`, in order.
std::vector<CascadeReport> reportCascades(Operation *root,
                                          const CascadeTile &tile = {});

/// A paragraph.
void printCascade(const CascadeReport &report, llvm::raw_ostream &os);
/// "2 cascades" and a paragraph for each.
void printCascades(ArrayRef<CascadeReport> reports, llvm::raw_ostream &os);
/// docs/GettingStarted.md names the fields.
void printCascadesAsJSON(StringRef model, ArrayRef<CascadeReport> reports,
                         llvm::raw_ostream &os);

} // namespace mlir::lutra

#endif // LUTRA_ANALYSIS_CASCADEREPORT_H
