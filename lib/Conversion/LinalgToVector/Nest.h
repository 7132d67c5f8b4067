//===- Nest.h - The loop nest of a structured operation ---------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How a structured operation becomes loops over vectors: the plan says which
// loop the lanes lie along and what a register tile spans, the body is cloned
// once per vector of the tile, and the nest puts loops around it.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_LINALGTOVECTOR_NEST_H
#define LUTRA_LIB_CONVERSION_LINALGTOVECTOR_NEST_H

#include "Lanes.h"
#include "dialects/Lutra/Lutra.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::lutra {

/// The shape of the nest. From the outside in: `outer` loops, lanes and rows of
/// the tile, `reductions`, the tile itself. Where `lanes` lie along a
/// reduction, that is the innermost reduction and is not in `reductions`.
struct Plan {
  unsigned loop;   ///< The loop that lanes lie along.
  int64_t lanes;   ///< Lanes of a vector.
  int64_t vectors; ///< Vectors of the tile along `loop`.
  std::optional<unsigned> row;
  int64_t rows = 1; ///< Rows of the tile along `row`.
  /// Where lanes lie along a reduction, a loop of the output beside `row`.
  std::optional<unsigned> column;
  int64_t columns = 1; ///< Columns of the tile along `column`.
  SmallVector<unsigned> outer;
  SmallVector<unsigned> reductions;
  /// For lanes along a reduction: what combines the partial results, per
  /// output; null for one that is stored on the way.
  SmallVector<Operation *> combiners;
  /// Outputs that have all loops of a reduction and are stored on the way.
  llvm::SmallBitVector streams;
  bool isContraction = false;
  /// Each lane of a sum is that of a group of `groupSize` products, which are
  /// multiplied at once; where groups are stored, each is at once.
  /// The groups are the innermost loop `group`, which then is no loop of the
  /// nest, or else consecutive steps of the innermost reduction.
  std::optional<unsigned> group;
  int64_t groupSize = 1;
  /// Whether groups are multiplied by matrix tiles, along the innermost
  /// reduction.
  bool hasMatrixTiles = false;
  /// Operands, by number, that lie along `row`: tiles of as many rows as lanes
  /// are transposed in registers. Then nothing is reduced.
  SmallVector<unsigned> transposed;
  /// How many bytes ahead of what is read of a stream, in the order in which it
  /// lies, hardware is told of it; 0 where it foresees that.
  int64_t fetchAhead = 0;

  bool reducesLanes() const { return !combiners.empty(); }
};

/// Chooses the nest that reads memory in the best order; nothing where only the
/// reference loops will do.
std::optional<Plan> planNest(linalg::GenericOp op, TargetAttr target,
                             ScheduleAttr schedule);

/// What `plan` becomes where operands that lie along `loop` are transposed;
/// nothing if there are none, or if it cannot be done.
std::optional<Plan> transposeAlong(linalg::GenericOp op, Plan plan,
                                   unsigned loop, TargetAttr target);

/// What a transposed vector costs, in vector loads from the nearest cache,
/// where `row` has `rows` iterations.
double transposeCost(const Plan &plan, int64_t rows);

/// How many elements the lanes of an operand are apart that lie along `loop`,
/// if that is known.
std::optional<int64_t> strideAlong(linalg::GenericOp op, OpOperand &operand,
                                   unsigned loop, int64_t lanes);

/// The extents of the loops that some operand's type tells, else kDynamic.
SmallVector<int64_t> staticExtents(linalg::GenericOp op);

/// Whether TileBody can work on lanes.
bool isVectorizable(Block &body);

/// The operation that combines the output `acc` with new values, if that is all
/// the body does with it.
Operation *findCombiner(BlockArgument acc, unsigned result);

/// Lets a combiner take elements in any order, as its reduction does.
void freeOrder(Operation *combiner);

/// Where a vector is in a register tile.
struct Place {
  int64_t row = 0, column = 0, vector = 0;
};

/// Clones the body for the tile's vectors. Values that are equal for several
/// rows or vectors are computed once.
class TileBody {
public:
  TileBody(linalg::GenericOp op, const Plan &plan);

  /// What the body yields for the vector at `place`. `loops` stands at the
  /// first lane of that vector; `outputs` are the current output values.
  SmallVector<Lanes> clone(const VectorBuilder &builder, Place place,
                           ArrayRef<Index> loops, ArrayRef<Lanes> outputs);

  /// What an input is in a row of the first vectors, instead of reading it.
  void set(unsigned input, int64_t row, Lanes value) {
    known[keyOf(op.getBlock()->getArgument(input), Place{row})] = value;
  }

  /// Forgets the values of the last step.
  void restart() { known.clear(); }

private:
  struct Dependence {
    bool row = false, column = false, vector = false;
  };
  using Key = std::tuple<Value, int64_t, int64_t, int64_t>;
  Dependence dependenceOf(Value value) const;
  Key keyOf(Value value, Place place) const;
  Lanes lookup(Value value, Place place) const;
  Lanes read(const VectorBuilder &builder, unsigned argument,
             ArrayRef<Index> loops) const;
  Lanes cloneOp(const VectorBuilder &builder, Operation &op,
                ArrayRef<Lanes> operands, ArrayRef<Index> loops) const;

  mutable linalg::GenericOp op;
  const Plan &plan;
  DenseMap<Value, Dependence> dependences;
  SmallPtrSet<Operation *, 2> combiners;
  DenseMap<Key, Lanes> known;
};

/// Builds the nest before `op`, which is left in place. `initial` has what all
/// of an output begins as, or null for what is in memory; only for reductions
/// of which lanes do not lie along one.
void emitNest(OpBuilder &b, linalg::GenericOp op, const Plan &plan,
              ArrayRef<Value> initial);

/// Whether matrix tiles can compute a product of groups by `plan`, and have
/// enough to do.
bool fillsMatrixTiles(linalg::GenericOp op, const Plan &plan,
                      TargetAttr target);

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_LINALGTOVECTOR_NEST_H
