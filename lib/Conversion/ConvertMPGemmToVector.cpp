//===- ConvertMPGemmToVector.cpp - Products with codes to vectors ---------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Goes over a product on buffers by register tiles: for each tile of columns,
// whose codes then are in a cache, over the rows of x, as many at a time as
// registers allow, and the rest by powers of two. Of many rows, those that fill
// tiles are multiplied with codes that are decoded once for all of them: bytes
// by matrix tiles, where the machine has such, and floats. Matrix tiles of bf16
// go over a product in an order of their own.
//
//===----------------------------------------------------------------------===//

#include "Frame.h"
#include "MPGemmToVector/FloatTileKernel.h"
#include "MPGemmToVector/MicroKernel.h"
#include "MPGemmToVector/PanelKernel.h"
#include "MPGemmToVector/TileKernel.h"
#include "dialects/Lut/Lut.h"
#include "lutra/Analysis/TargetFeatures.h"
#include "lutra/Conversion/Passes.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_CONVERTMPGEMMTOVECTOR
#include "lutra/Conversion/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// The values of a codebook in memory; null for other formats.
static Value makeTable(OpBuilder &b, mpgemm::MatmulOp op) {
  auto codebook = dyn_cast<mpgemm::CodebookAttr>(op.getFormat());
  if (!codebook)
    return nullptr;
  constexpr int64_t kLanes = 16;
  Location loc = op.getLoc();
  SmallVector<float> values(codebook.getValues().asArrayRef());
  values.resize(llvm::alignTo(values.size(), kLanes), 0);
  auto type = MemRefType::get({int64_t(values.size())}, b.getF32Type());
  Value table = allocateOnFrame(b, op, type);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointAfterValue(table);
  auto vector = VectorType::get({kLanes}, b.getF32Type());
  for (size_t at = 0; at < values.size(); at += kLanes) {
    auto part =
        DenseElementsAttr::get(vector, ArrayRef(values).slice(at, kLanes));
    vector::StoreOp::create(
        b, loc, arith::ConstantOp::create(b, loc, part), table,
        ValueRange{arith::ConstantIndexOp::create(b, loc, at)});
  }
  return table;
}

namespace {
/// Goes over the rows of one tile of columns.
class Rows {
public:
  Rows(OpBuilder &b, MicroKernel &kernel, Location loc, Value tile)
      : b(b), kernel(kernel), loc(loc), tile(tile) {}

  void emit(int64_t begin, int64_t end) {
    int64_t step = kernel.maxRows(), whole = end - (end - begin) % step;
    if (whole - begin > step)
      emitLoop(index(begin), index(whole), step);
    else if (whole - begin == step)
      kernel.emit(index(begin), step, tile);
    for (int64_t row = whole, size; row < end; row += size) {
      size = llvm::bit_floor(uint64_t(end - row));
      kernel.emit(index(row), size, tile);
    }
  }

  void emit(Value begin, Value end) {
    int64_t step = kernel.maxRows();
    Value count = arith::SubIOp::create(b, loc, end, begin);
    Value rest = arith::RemUIOp::create(b, loc, count, index(step));
    Value row = arith::SubIOp::create(b, loc, end, rest);
    emitLoop(begin, row, step);
    for (int64_t size = llvm::bit_floor(uint64_t(step - 1)); size > 0;
         size /= 2) {
      Value left = arith::SubIOp::create(b, loc, end, row);
      Value isThere = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::uge,
                                            left, index(size));
      auto piece = scf::IfOp::create(b, loc, isThere, /*withElse=*/false);
      {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPoint(piece.thenYield());
        kernel.emit(row, size, tile);
      }
      Value next = arith::AddIOp::create(b, loc, row, index(size));
      row = arith::SelectOp::create(b, loc, isThere, next, row);
    }
  }

private:
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, loc, value);
  }
  void emitLoop(Value begin, Value end, int64_t step) {
    auto loop = scf::ForOp::create(b, loc, begin, end, index(step));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    kernel.emit(loop.getInductionVar(), step, tile);
  }

  OpBuilder &b;
  MicroKernel &kernel;
  Location loc;
  Value tile;
};

struct ConvertMPGemmToVector
    : lutra::impl::ConvertMPGemmToVectorBase<ConvertMPGemmToVector> {
  using ConvertMPGemmToVectorBase::ConvertMPGemmToVectorBase;

  void runOnOperation() override {
    TargetAttr target = targetOf(getOperation());
    SmallVector<mpgemm::MatmulOp> ops;
    getOperation().walk([&](mpgemm::MatmulOp op) { ops.push_back(op); });
    for (mpgemm::MatmulOp op : ops) {
      if (!op.getLayoutAttr() || op->getNumResults() != 0) {
        op.emitOpError("expected buffers and a layout");
        return signalPassFailure();
      }
      convert(op, target);
      op.erase();
    }
  }

  /// Computes rows by matrix tiles of bf16, if they are many. Returns the tiles
  /// of columns that are left: none, or all of them.
  static Value emitFloatTiles(OpBuilder &b, mpgemm::MatmulOp op,
                              FloatTileKernel kernel, Value rows, Value tiles) {
    Location loc = op.getLoc();
    Value done = kernel.emit(rows, tiles),
          isDone = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, done,
                                         rows),
          none = arith::ConstantIndexOp::create(b, loc, 0);
    return arith::SelectOp::create(b, loc, isDone, none, tiles);
  }

  void convert(mpgemm::MatmulOp op, TargetAttr target) {
    OpBuilder b(op);
    Location loc = op.getLoc();
    Value table = makeTable(b, op),
          first = arith::ConstantIndexOp::create(b, loc, 0),
          step = arith::ConstantIndexOp::create(b, loc, 1),
          tiles = memref::DimOp::create(b, loc, op.getCodes(), first),
          all = b.createOrFold<memref::DimOp>(loc, op.getX(), first);
    int64_t count = op.getXType().getDimSize(0);
    bool isKnown = !ShapedType::isDynamic(count),
         hasFloatTiles = FloatTileKernel::supports(op, target);
    if (hasFloatTiles)
      tiles = emitFloatTiles(b, op, {b, op, target, table}, all, tiles);
    if (hasFloatTiles && isKnown)
      return;
    MicroKernel kernel(b, op, target, table);
    std::optional<TileKernel> tileKernel;
    std::optional<PanelKernel> panelKernel;
    // Beside tiles of bf16 few rows are left to vectors: tiles of bytes have
    // other shapes, and LLVM gives each of their registers one in a function.
    if (!hasFloatTiles && TileKernel::supports(op, target))
      tileKernel.emplace(b, op);
    else if (PanelKernel::supports(op))
      panelKernel.emplace(b, op, target, table);
    // How many of the first rows of a tile of columns are done for many rows.
    auto emitMany = [&](auto count, Value tile, auto none) {
      return tileKernel    ? tileKernel->emit(count, tile)
             : panelKernel ? panelKernel->emit(count, tile)
                           : none;
    };
    auto loop = scf::ForOp::create(b, loc, first, tiles, step);
    b.setInsertionPointToStart(loop.getBody());
    Value tile = loop.getInductionVar();
    Rows rows(b, kernel, loc, tile);
    isKnown ? rows.emit(emitMany(count, tile, int64_t(0)), count)
            : rows.emit(emitMany(all, tile, first), all);
  }
};
} // namespace
