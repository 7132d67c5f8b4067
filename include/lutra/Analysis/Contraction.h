//===- Contraction.h - Multiply-accumulate operations ----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Recognizes products that are summed (matrix products, convolutions, ...) and
// names the loops that a register tile spans: `n` runs along vectors of `b`,
// `m` along scalars of `a`, so that each vector of `b` serves all rows.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_ANALYSIS_CONTRACTION_H
#define LUTRA_ANALYSIS_CONTRACTION_H

#include "lutra/Analysis/TargetFeatures.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::lutra {

struct Contraction {
  /// A loop along `a` only, of more than one step if there is one; absent in a
  /// matrix-vector product or a depthwise convolution.
  std::optional<unsigned> m;
  /// The innermost parallel loop of the output; indexes `b`.
  unsigned n;
  SmallVector<unsigned> reductions;
  /// The other parallel loops, in order.
  SmallVector<unsigned> batch;
  OpOperand *a;
  OpOperand *b;
};

/// Matches an operation of two inputs and one output that yields `acc + a * b`,
/// where `a` and `b` may be extended first, with at least one reduction loop.
/// The map of `b` may index by `n` in any way: callers that load vectors of `b`
/// check that.
std::optional<Contraction> matchContraction(linalg::LinalgOp op);

/// The tile that `loop` is split by in an operand of a packed layout: c where
/// `map` has `loop mod c`.
std::optional<int64_t> packedTile(AffineMap map, unsigned loop);

/// How many neighbours along a reduction one instruction of the target
/// multiplies and adds to a sum of type `sum`; 1 where it has none for
/// `factor`.
int64_t dotGroup(TargetAttr target, Type factor, Type sum);

/// The reduction loop, of extent dotGroup(), whose neighbours lie side by side
/// in both factors, those of `b` for each position along n: what one such
/// instruction does.
std::optional<unsigned>
dotLoop(linalg::LinalgOp op, const Contraction &contraction, TargetAttr target);

/// On a contraction: its columns are to be copied in panels of register tiles.
inline constexpr StringLiteral kPanelsAttr = "lutra.panels";

/// Copies of factors lie on the stack: larger ones, in elements, are not made.
inline constexpr int64_t kMaxCopy = 1 << 16;

/// How a contraction goes over its reduction in blocks: where its columns'
/// factor lies as somebody else wants it, or caches do not hold all of a panel.
enum class Blocks {
  None,
  /// Few rows: some rows of the columns' factor at once, as they lie.
  Rows,
  /// Columns are copied where they are read, into panels of register tiles.
  Panels,
  /// Columns lie in panels of register tiles, each of which many rows read.
  Packed
};
Blocks blocksOf(linalg::LinalgOp op, const Contraction &contraction,
                TargetAttr target);

struct RegisterTile {
  int64_t m, n;
};

/// The tile of the output that is kept in registers during the reduction.
/// `type` is the type of the sums; a static extent may be ShapedType::kDynamic.
/// `n` is a power of two; `target` may be null.
RegisterTile registerTile(TargetAttr target, Type type, int64_t staticM,
                          int64_t staticN);

/// The most rows of a register tile of sums that `registerTile` does not size.
inline constexpr int64_t kRowsOfSums = 4;

/// Words of a row of a matrix tile, quads of bytes or pairs of bf16, which
/// divide `words`: the most, up to 16.
int64_t wordsOfTile(int64_t words);
/// Fewer are multiplied faster by vectors.
inline constexpr int64_t kLeastWordsOfTile = 8;

/// The most rows of a product that are few: vectors along them do less than
/// vectors along what each row has many of, or matrix tiles less where a
/// product is multiplied by such.
int64_t mostFewRows(TargetAttr target, bool byTiles = false);

} // namespace mlir::lutra

#endif // LUTRA_ANALYSIS_CONTRACTION_H
