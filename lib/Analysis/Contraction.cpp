//===- Contraction.cpp - Multiply-accumulate operations -------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Matches acc + a * b in the body of a structured operation and sorts its loops
// into those of the register tile, the reductions and the rest.
//
//===----------------------------------------------------------------------===//

#include "lutra/Analysis/Contraction.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::lutra;

/// The block argument that `value` is, or is a widening cast of.
static BlockArgument stripExtension(Value value) {
  Operation *op = value.getDefiningOp();
  if (isa_and_nonnull<arith::ExtFOp, arith::ExtSIOp, arith::ExtUIOp>(op))
    value = op->getOperand(0);
  return dyn_cast<BlockArgument>(value);
}

/// Whether the body yields acc + a * b, with the factors in either order.
static bool isMultiplyAdd(linalg::LinalgOp op) {
  Block *body = op.getBlock();
  BlockArgument acc = body->getArgument(2);
  Operation *add = body->getTerminator()->getOperand(0).getDefiningOp();
  if (!isa_and_nonnull<arith::AddFOp, arith::AddIOp>(add) || !acc.hasOneUse())
    return false;
  unsigned side = add->getOperand(0) == acc ? 1 : 0;
  if (add->getOperand(1 - side) != acc)
    return false;
  Operation *mul = add->getOperand(side).getDefiningOp();
  if (!isa_and_nonnull<arith::MulFOp, arith::MulIOp>(mul))
    return false;
  BlockArgument x = stripExtension(mul->getOperand(0));
  BlockArgument y = stripExtension(mul->getOperand(1));
  return x && y && x.getOwner() == body && y.getOwner() == body &&
         x.getArgNumber() + y.getArgNumber() == 1;
}

/// The parallel loop that the last result of the output's map runs along.
static std::optional<unsigned> innermostLoop(linalg::LinalgOp op,
                                             AffineMap output) {
  for (AffineExpr result : llvm::reverse(output.getResults()))
    for (unsigned loop : llvm::reverse(llvm::seq(output.getNumDims())))
      if (result.isFunctionOfDim(loop))
        return op.getIteratorTypesArray()[loop] == utils::IteratorType::parallel
                   ? std::optional(loop)
                   : std::nullopt;
  return std::nullopt;
}

/// Whether `map` indexes its innermost dimension by `loop`.
static bool isInnermost(AffineMap map, unsigned loop) {
  return map.getNumResults() && map.getResults().back().isFunctionOfDim(loop);
}

std::optional<Contraction> lutra::matchContraction(linalg::LinalgOp op) {
  if (op.getNumDpsInputs() != 2 || op.getNumDpsInits() != 1 ||
      op.getNumReductionLoops() == 0 || !isMultiplyAdd(op))
    return std::nullopt;
  OpOperand *inputs[] = {op.getDpsInputOperand(0), op.getDpsInputOperand(1)};
  AffineMap maps[] = {op.getMatchingIndexingMap(inputs[0]),
                      op.getMatchingIndexingMap(inputs[1])};
  std::optional<unsigned> n =
      innermostLoop(op, op.getMatchingIndexingMap(op.getDpsInitOperand(0)));
  if (!n)
    return std::nullopt;

  bool has[] = {maps[0].isFunctionOfDim(*n), maps[1].isFunctionOfDim(*n)};
  if (!has[0] && !has[1])
    return std::nullopt;
  bool swap =
      has[0] &&
      (!has[1] || (isInnermost(maps[0], *n) && !isInnermost(maps[1], *n)));
  Contraction result;
  result.n = *n;
  result.a = inputs[swap ? 1 : 0];
  result.b = inputs[swap ? 0 : 1];
  AffineMap a = maps[swap ? 1 : 0], b = maps[swap ? 0 : 1];
  auto isUnit = [&](unsigned loop) {
    auto dim = a.getResultPosition(getAffineDimExpr(loop, op.getContext()));
    return dim &&
           cast<ShapedType>(result.a->get().getType()).getDimSize(*dim) == 1;
  };
  for (auto [loop, kind] : llvm::enumerate(op.getIteratorTypesArray())) {
    if (kind == utils::IteratorType::reduction)
      result.reductions.push_back(loop);
    else if (loop != *n && a.isFunctionOfDim(loop) &&
             !b.isFunctionOfDim(loop) && (!result.m || !isUnit(loop)))
      result.m = loop;
  }
  for (auto [loop, kind] : llvm::enumerate(op.getIteratorTypesArray()))
    if (kind == utils::IteratorType::parallel && loop != *n &&
        result.m != unsigned(loop))
      result.batch.push_back(loop);
  return result;
}

std::optional<int64_t> lutra::packedTile(AffineMap map, unsigned loop) {
  for (AffineExpr expr : map.getResults()) {
    auto mod = dyn_cast<AffineBinaryOpExpr>(expr);
    if (!mod || mod.getKind() != AffineExprKind::Mod)
      continue;
    auto dim = dyn_cast<AffineDimExpr>(mod.getLHS());
    auto tile = dyn_cast<AffineConstantExpr>(mod.getRHS());
    if (dim && tile && dim.getPosition() == loop)
      return tile.getValue();
  }
  return std::nullopt;
}

int64_t lutra::wordsOfTile(int64_t words) {
  int64_t size = std::min<int64_t>(words, 16);
  while (words % size != 0)
    --size;
  return size;
}

int64_t lutra::mostFewRows(TargetAttr target, bool byTiles) {
  // An element is multiplied with a vector of rows by one instruction. Vectors
  // along the elements need one for each row and vector, and some to reduce the
  // lanes; at half the lanes of rows it comes to the same.
  // A tile multiplies half of its lanes in less time than either takes.
  int64_t lanes = vectorBits(target) / 32;
  return byTiles ? lanes * 3 / 8 : lanes / 2;
}

int64_t lutra::dotGroup(TargetAttr target, Type factor, Type sum) {
  if (!target || !factor.isBF16() || !sum.isF32())
    return 1;
  bool hasDot = isAArch64(target) ? target.hasFeature("bf16")
                                  : target.hasFeature("avx512bf16") &&
                                        target.hasFeature("avx512vl");
  return hasDot ? 2 : 1;
}

/// Whether neighbours along `loop` are neighbours in the innermost dimension.
static bool isConsecutive(AffineMap map, unsigned loop) {
  if (map.getNumResults() == 0)
    return false;
  for (AffineExpr expr : map.getResults().drop_back())
    if (expr.isFunctionOfDim(loop))
      return false;
  AffineExpr d = getAffineDimExpr(loop, map.getContext());
  AffineExpr rest = map.getResults().back() - d;
  return !simplifyAffineExpr(rest, map.getNumDims(), 0).isFunctionOfDim(loop);
}

/// Whether `expr` is `loop`, or the position in a tile of it.
static bool isPosition(AffineExpr expr, unsigned loop) {
  auto mod = dyn_cast<AffineBinaryOpExpr>(expr);
  if (mod && mod.getKind() == AffineExprKind::Mod &&
      isa<AffineConstantExpr>(mod.getRHS()))
    expr = mod.getLHS();
  return expr == getAffineDimExpr(loop, expr.getContext());
}

std::optional<unsigned> lutra::dotLoop(linalg::LinalgOp op,
                                       const Contraction &contraction,
                                       TargetAttr target) {
  auto element = [](OpOperand *operand) {
    return getElementTypeOrSelf(operand->get().getType());
  };
  if (element(contraction.a) != element(contraction.b))
    return std::nullopt;
  int64_t group = dotGroup(target, element(contraction.a),
                           element(op.getDpsInitOperand(0)));
  AffineMap b = op.getMatchingIndexingMap(contraction.b);
  auto type = cast<ShapedType>(contraction.b->get().getType());
  unsigned loop = contraction.reductions.back();
  AffineMap a = op.getMatchingIndexingMap(contraction.a);
  if (group < 2 || b.getNumResults() < 2 || a.isFunctionOfDim(contraction.n) ||
      type.getShape().back() != group ||
      b.getResults().back() != getAffineDimExpr(loop, b.getContext()) ||
      !isPosition(b.getResult(b.getNumResults() - 2), contraction.n) ||
      !isConsecutive(b, loop) || !isConsecutive(a, loop))
    return std::nullopt;
  return loop;
}

/// How many panels a second-level cache has room for, at least, where each is
/// read from end to end.
static constexpr int64_t kPanelsOfCache = 8;

/// Whether packed columns of a product are so deep that a panel of them leaves
/// the second-level cache little room for the rows that read it.
static bool arePanelsDeep(linalg::LinalgOp op, const Contraction &contraction,
                          int64_t columns, TargetAttr target) {
  AffineMap a = op.getMatchingIndexingMap(contraction.a);
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  Type factor = getElementTypeOrSelf(contraction.b->get()),
       sum = getElementTypeOrSelf(op.getDpsInitOperand(0)->get());
  int64_t depth = ranges[contraction.reductions[0]], group = 1;
  if (contraction.reductions.size() == 2) {
    group = ranges[contraction.reductions[1]];
    if (group != dotGroup(target, factor, sum))
      return false;
  }
  if (!contraction.m || contraction.reductions.size() > 2 ||
      ShapedType::isDynamic(depth) || a.isFunctionOfDim(contraction.n))
    return false;
  int64_t rows = ranges[*contraction.m],
          tile = registerTile(target, sum, rows, columns).m;
  int64_t bytes = group * columns * factor.getIntOrFloatBitWidth() / 8;
  return (ShapedType::isDynamic(rows) || rows > tile) &&
         depth >= target.getL2() / kPanelsOfCache / bytes;
}

Blocks lutra::blocksOf(linalg::LinalgOp op, const Contraction &contraction,
                       TargetAttr target) {
  AffineMap a = op.getMatchingIndexingMap(contraction.a),
            b = op.getMatchingIndexingMap(contraction.b);
  if (std::optional<int64_t> columns = packedTile(b, contraction.n))
    return arePanelsDeep(op, contraction, *columns, target) ? Blocks::Packed
                                                            : Blocks::None;
  if (contraction.reductions.size() != 1 || !b.isProjectedPermutation() ||
      !b.isFunctionOfDim(contraction.n) || a.isFunctionOfDim(contraction.n))
    return Blocks::None;
  AffineExpr n = getAffineDimExpr(contraction.n, op.getContext()),
             step =
                 getAffineDimExpr(contraction.reductions[0], op.getContext());
  if (!a.getResultPosition(step) || !b.getResultPosition(step))
    return Blocks::None;
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  int64_t rows = contraction.m ? ranges[*contraction.m] : 1,
          columns = ranges[contraction.n];
  Type sum = getElementTypeOrSelf(op.getDpsInitOperand(0)->get().getType());
  Type factor = getElementTypeOrSelf(contraction.b->get().getType());
  bool hasGroups = dotGroup(target, factor, sum) > 1;
  RegisterTile tile = registerTile(target, sum, rows, columns);
  auto isAtMost = [](int64_t size, int64_t most) {
    return !ShapedType::isDynamic(size) && size <= most;
  };
  // Copying takes as long as multiplying some rows.
  int64_t few = kRowsOfSums;
  bool areAlongRows = b.getResults().back() == n;
  if (areAlongRows)
    few =
        hasGroups ? mostFewRows(target, hasBF16Tiles(target)) : 4 * tile.m - 1;
  if (isAtMost(rows, few))
    return areAlongRows ? Blocks::Rows : Blocks::None;
  if (hasGroups)
    return a.isProjectedPermutation() ? Blocks::Panels : Blocks::None;
  // Tiles of short rows read all of them in the order in which they lie.
  return areAlongRows && isAtMost(columns, 4 * tile.n) ? Blocks::None
                                                       : Blocks::Panels;
}

RegisterTile lutra::registerTile(TargetAttr target, Type type, int64_t staticM,
                                 int64_t staticN) {
  // The sums, the vectors of a row of `b` and one element of `a` must fit; two
  // vectors per row give enough independent sums to hide the latency of FMA.
  int64_t bits = vectorBits(target);
  bool manyRegisters = vectorRegisters(target) >= 32;
  int64_t lanes =
      std::max<int64_t>(1, bits / std::max(8u, type.getIntOrFloatBitWidth()));
  int64_t m = manyRegisters ? (bits >= 256 ? 12 : 8) : (bits >= 256 ? 6 : 4);
  int64_t n = 2 * lanes;
  if (!ShapedType::isDynamic(staticM) && staticM > 0) {
    m = std::min(m, staticM);
    // Of a few tiles, rather all have some rows less than one has few.
    for (int64_t rows = m; 3 * rows >= 2 * m && staticM < 8 * m; --rows)
      if (staticM % rows == 0) {
        m = rows;
        break;
      }
    // Few rows: more vectors, for enough independent sums, and to read as much
    // of a row of `b` at once as the sums leave registers for.
    if (m <= (manyRegisters ? 4 : 2))
      n = lanes * std::min<int64_t>(
                      8, llvm::bit_floor<uint64_t>(
                             (vectorRegisters(target) - 1 - m) / (m + 1)));
  }
  if (!ShapedType::isDynamic(staticN) && staticN > 0)
    n = std::min<int64_t>(n, llvm::PowerOf2Ceil(staticN));
  return {m, n};
}
