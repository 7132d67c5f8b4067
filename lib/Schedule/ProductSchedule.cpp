//===- ProductSchedule.cpp - Tiles of a product with codes ----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProductSchedule.h"

#include "Tasks.h"
#include "dialects/MPGemm/MPGemm.h"
#include "lutra/Analysis/Contraction.h"
#include "lutra/Analysis/ProductCost.h"

using namespace mlir;
using namespace mlir::lutra;

/// Rows and columns of a task, for a product with codes: rows that stay in the
/// second-level cache while the codes pass by, and columns for enough tasks.
static constexpr int64_t kMaxProductRows = 96, kMaxProductColumns = 256;
/// Rows for which matrix tiles decode codes once.
static constexpr int64_t kRowsOfTiles = 128;

/// The most rows of a task. Tables are many times as large as the numbers that
/// they are made of.
static int64_t mostProductRows(mpgemm::MatmulOp op, int64_t depth,
                               TargetAttr target) {
  if (op.hasTables()) {
    int64_t ofRow = 1;
    for (int64_t size : op.getXType().getShape().drop_front())
      ofRow *= std::max<int64_t>(1, size);
    return std::clamp<int64_t>(target.getL2() / 2 / ofRow, 1, kMaxProductRows);
  }
  if (!op.isInteger() || !hasByteTiles(target))
    return kMaxProductRows;
  // Rows of a panel of codes, and no more, stay in the cache.
  if (areFloatTilesFaster(op, target))
    return 2 * kRowsOfTiles;
  int64_t blocks = target.getL2() / 2 / (depth * kRowsOfTiles);
  return kRowsOfTiles * std::clamp<int64_t>(blocks, 1, 2);
}

/// The columns, of `n`, of a task that has no fewer than `known` rows.
static int64_t productColumns(int64_t n, int64_t known, int64_t depth) {
  int64_t least =
      llvm::divideCeil(kMinTaskWork, std::max<int64_t>(1, known * depth));
  int64_t columns = std::max<int64_t>(llvm::divideCeil(n, kMinTasks), least);
  return std::min(columns, std::max(least, kMaxProductColumns));
}

static ScheduleAttr productSchedule(mpgemm::MatmulOp op, TargetAttr target) {
  ArrayRef<int64_t> x = op.getXType().getShape();
  int64_t m = x[0], n = op.getInitType().getDimSize(1),
          rows = op.getLayoutAttr().getRows();
  int64_t depth = std::max<int64_t>(1, x[1] * op.getGroupSize());
  int64_t most = mostProductRows(op, depth, target);
  int64_t blockM = ShapedType::isDynamic(m) ? most : std::min(m, most);
  int64_t known = ShapedType::isDynamic(m) ? 1 : blockM;
  int64_t columns = productColumns(n, known, depth);
  int64_t distribute[] = {blockM, int64_t(llvm::alignTo(columns, rows))};
  return ScheduleAttr::get(op.getContext(), distribute, {}, {},
                           std::max<int64_t>(1, target.getVectorBits() / 32));
}

/// One block of rows, of which there may be few, by some columns. What is a
/// contraction then has register tiles of its own.
static ScheduleAttr gatherSchedule(mpgemm::GatherMatmulOp op,
                                   TargetAttr target) {
  int64_t n = op.getInitType().getDimSize(1),
          rows = op.getLayoutAttr().getRows();
  int64_t depth =
      std::max<int64_t>(1, op.getXType().getDimSize(1) * op.getGroupSize());
  int64_t columns = productColumns(n, /*known=*/1, depth);
  SmallVector<int64_t> distribute = {1, int64_t(llvm::alignTo(columns, rows))},
                       tile, order;
  if (!op.getFormatAttr()) {
    RegisterTile sums = registerTile(target, op.getInitType().getElementType(),
                                     ShapedType::kDynamic, n);
    tile = {sums.m, rows, 0, 0};
    order = {1, 0};
  }
  return ScheduleAttr::get(op.getContext(), distribute, tile, order,
                           std::max<int64_t>(1, target.getVectorBits() / 32));
}

ScheduleAttr lutra::selectProductSchedule(func::FuncOp func,
                                          TargetAttr target) {
  for (Operation &op : func.getBody().front())
    if (auto product = dyn_cast<mpgemm::MatmulOp>(op))
      return productSchedule(product, target);
    else if (auto gather = dyn_cast<mpgemm::GatherMatmulOp>(op))
      return gatherSchedule(gather, target);
  return nullptr;
}
