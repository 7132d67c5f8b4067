//===- Lanes.h - Indices and memory in lanes --------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the emission of vector loops knows about an index: that it is a multiple
// of something plus a constant (so that the divisions and remainders of packed
// layouts vanish), and how it differs from lane to lane (so that an access is
// seen to be uniform, contiguous or a gather).
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_LINALGTOVECTOR_LANES_H
#define LUTRA_LIB_CONVERSION_LINALGTOVECTOR_LANES_H

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::lutra {

/// The index base + offset. `base` is a multiple of `multiple`; without a base
/// the index is the constant `offset` and `multiple` is 0.
struct Index {
  Value base;
  int64_t multiple = 0;
  int64_t offset = 0;

  Index plus(int64_t more) const { return {base, multiple, offset + more}; }
  Value materialize(OpBuilder &b, Location loc) const;
};

/// The value of `expr` where the loops stand at `loops`.
Index evaluate(OpBuilder &b, Location loc, AffineExpr expr,
               ArrayRef<Index> loops);

/// By how much `expr` grows from lane to lane when `lanes` lanes lie along
/// `loop`; nothing if that is not the same for all lanes.
std::optional<int64_t> laneStride(AffineExpr expr, ArrayRef<Index> loops,
                                  unsigned loop, int64_t lanes);

/// One value per lane: a vector, or a scalar to which lane l adds l * stride.
struct Lanes {
  Value value;
  int64_t stride = 0;

  bool isVector() const { return isa<VectorType>(value.getType()); }
  bool isUniform() const { return !isVector() && stride == 0; }
};

/// Whether of the indices of an element only the last moves from lane to lane,
/// and by one element in memory.
bool isPlain(MemRefType type, ArrayRef<Lanes> indices);

/// One-dimensional views of memrefs, made before all that was built since
/// construction.
class FlatViews {
public:
  FlatViews(OpBuilder &b, Location loc)
      : block(b.getInsertionBlock()),
        previous(b.getInsertionPoint() == block->begin()
                     ? nullptr
                     : &*std::prev(b.getInsertionPoint())),
        loc(loc) {}

  struct View {
    Value memref;
    SmallVector<OpFoldResult> strides;
  };
  const View &of(OpBuilder &b, Value memref);

private:
  Block *block;
  Operation *previous;
  Location loc;
  llvm::MapVector<Value, View> views;
};

/// Builds operations on vectors of some width, of which `mask`, if there is
/// one, tells the lanes that exist.
struct VectorBuilder {
  OpBuilder &b;
  Location loc;
  FlatViews &flat;
  int64_t lanes;
  Value mask;
  /// Of the lanes, how many exist; where `mask` is.
  Value count;

  VectorType vectorOf(Type element) const {
    return VectorType::get({lanes}, element);
  }
  Value constant(Type element, int64_t value) const;
  /// The lanes as a vector.
  Value materialize(Lanes value) const;
  Lanes load(Value memref, ArrayRef<Lanes> indices) const;
  void store(Value value, Value memref, ArrayRef<Lanes> indices) const;
  /// Loads and stores for lanes of groups of `size` elements, which follow each
  /// other in memory from `indices` on.
  Value loadGroups(Value memref, ArrayRef<Lanes> indices, int64_t size) const;
  void storeGroups(Value value, Value memref, ArrayRef<Lanes> indices,
                   int64_t size) const;
  /// The same group, which begins at `indices`, in all lanes.
  Value broadcastGroup(Value memref, ArrayRef<Lanes> indices,
                       int64_t size) const;
  /// A flat view of the memref, and the lanes that follow `indices` in it.
  std::pair<Value, Lanes> consecutive(Value memref,
                                      ArrayRef<Lanes> indices) const;
  /// The indices of `memref` that `map` gives at `loops`, lanes along `loop`.
  SmallVector<Lanes> index(AffineMap map, ArrayRef<Index> loops,
                           unsigned loop) const;

private:
  struct Address;
  Address address(Value memref, ArrayRef<Lanes> indices) const;
  /// Where the first lane's element is in a view, but for indices that differ
  /// from lane to lane.
  Value firstElement(const FlatViews::View &view,
                     ArrayRef<Lanes> indices) const;
  /// Adds to a sum that begins as nothing.
  void accumulate(Value &sum, Value term) const;
  Value allLanes() const;
  /// Lanes of single elements that span groups, from their first element on.
  VectorBuilder elementsOf(int64_t size) const;
  Value evaluateLanes(AffineExpr expr, ArrayRef<Index> loops,
                      unsigned loop) const;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_LINALGTOVECTOR_LANES_H
