//===- Transposes.cpp - Operands that lie along another loop --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where lanes lie along one loop and an operand along another, a tile of as
// many rows as lanes is read or written as the operand lies, and turned in
// registers: for each vector a load and a few shuffles, and not a load for each
// lane. What a reduction stores on its way is turned so, too, if it lies along
// the innermost reduction: after as many steps as there are lanes.
//
//===----------------------------------------------------------------------===//

#include "NestBuilder.h"

#include "lutra/Analysis/TargetFeatures.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::lutra;

/// Shuffles stay within so many bits as long as they can; so do those of x86.
static constexpr int64_t kBlockBits = 128;

/// The body is there once for each row of a tile, and of each of its tails.
static constexpr int64_t kMaxOperations = 12;

/// Whether a body is short enough to be written down for each row.
static bool isShort(Block &body) {
  int64_t operations = 0;
  return llvm::all_of(body.without_terminator(), [&](Operation &op) {
    return ++operations <= kMaxOperations &&
           !isa<math::MathDialect>(op.getDialect());
  });
}

/// Whether an operand lies along `loop`: element by element or, where lanes are
/// groups, group by group.
static bool liesAlong(linalg::GenericOp op, OpOperand &operand, unsigned loop,
                      const Plan &plan) {
  auto stride = [&](unsigned each) {
    return strideAlong(op, operand, each, plan.lanes);
  };
  return stride(loop) == plan.groupSize &&
         (!plan.group || stride(*plan.group) == 1);
}

std::optional<Plan> lutra::transposeAlong(linalg::GenericOp op, Plan plan,
                                          unsigned loop, TargetAttr target) {
  int64_t registers = vectorRegisters(target);
  plan.lanes = std::min(plan.lanes, registers / 2);
  if (op.getNumReductionLoops() != 0 || plan.lanes < 2 || loop == plan.loop ||
      loop == plan.group || !isShort(*op.getBlock()))
    return std::nullopt;
  for (OpOperand &operand : op->getOpOperands()) {
    auto type = dyn_cast<MemRefType>(operand.get().getType());
    if (!type || liesAlong(op, operand, plan.loop, plan) ||
        strideAlong(op, operand, plan.loop, plan.lanes) == 0 ||
        !liesAlong(op, operand, loop, plan) ||
        type.getElementType().isIndex() ||
        type.getElementTypeBitWidth() * plan.groupSize * plan.lanes >
            vectorBits(target))
      continue;
    plan.transposed.push_back(operand.getOperandNumber());
  }
  if (plan.transposed.empty())
    return std::nullopt;
  plan.row = loop;
  plan.rows = plan.lanes;
  llvm::erase(plan.outer, loop);
  return plan;
}

double lutra::transposeCost(const Plan &plan, int64_t rows) {
  int64_t useful =
      ShapedType::isDynamic(rows) ? plan.rows : std::min(rows, plan.rows);
  return (1.0 + llvm::Log2_64(plan.lanes)) * double(plan.rows) / double(useful);
}

/// The halves of two vectors, lane by lane from one and the other within each
/// block of `block` lanes.
static std::pair<Value, Value> zip(OpBuilder &b, Location loc, Value x, Value y,
                                   int64_t block) {
  int64_t lanes = cast<VectorType>(x.getType()).getNumElements();
  auto half = [&](int64_t first) -> Value {
    SmallVector<int64_t> from;
    for (int64_t lane = 0; lane < lanes; ++lane)
      from.push_back(lane / block * block + first + lane % block / 2 +
                     lane % 2 * lanes);
    return vector::ShuffleOp::create(b, loc, x, y, from);
  };
  return {half(0), half(block / 2)};
}

/// The blocks of two vectors that have even numbers, and those that have odd.
static std::pair<Value, Value> unzip(OpBuilder &b, Location loc, Value x,
                                     Value y, int64_t block) {
  int64_t lanes = cast<VectorType>(x.getType()).getNumElements();
  auto every = [&](int64_t first) -> Value {
    SmallVector<int64_t> from;
    for (int64_t at = first; at < 2 * lanes; at += 2 * block)
      for (int64_t lane = 0; lane < block; ++lane)
        from.push_back(at + lane);
    return vector::ShuffleOp::create(b, loc, x, y, from);
  };
  return {every(0), every(block)};
}

/// Turns as many vectors as they have lanes: first blocks of rows, within the
/// blocks of lanes, and then the blocks.
static Values transpose(OpBuilder &b, Location loc, Values rows) {
  auto type = cast<VectorType>(rows.front().getType());
  int64_t lanes = type.getNumElements(),
          block = std::min(lanes, kBlockBits / type.getElementTypeBitWidth()),
          blocks = lanes / block;
  for (int64_t stage = block; stage > 1; stage /= 2) {
    Values next;
    for (int64_t first = 0; first < lanes; first += block)
      for (int64_t i = first; i < first + block / 2; ++i) {
        auto [low, high] = zip(b, loc, rows[i], rows[i + block / 2], block);
        next.append({low, high});
      }
    rows = std::move(next);
  }
  for (int64_t stage = blocks; stage > 1; stage /= 2) {
    Values next(rows);
    for (int64_t i = 0; i < blocks / 2; ++i)
      for (int64_t lane = 0; lane < block; ++lane)
        std::tie(next[i * block + lane],
                 next[(i + blocks / 2) * block + lane]) =
            unzip(b, loc, rows[2 * i * block + lane],
                  rows[(2 * i + 1) * block + lane], block);
    rows = std::move(next);
  }
  return rows;
}

/// Of the steps of `piece` from where `loop` stands, how many exist.
OpFoldResult Nest::stepsOf(const Piece &piece, unsigned loop) {
  if (!piece.isMasked)
    return b.getIndexAttr(piece.lanes);
  return subtract(b, loc, extents[loop], position[loop].materialize(b, loc));
}

/// The most steps of a tile that may exist.
int64_t Nest::boundOf(OpFoldResult steps) const {
  return getConstantIntValue(steps).value_or(plan.lanes);
}

/// The vectors of a tile that begin at step number `step` of `steps`: `size` of
/// the lanes exist, or none where there is no such step.
VectorBuilder Nest::builderFor(OpFoldResult size, int64_t step,
                               OpFoldResult steps) {
  VectorBuilder builder{b, loc, flat, plan.lanes, Value(), Value()};
  bool mayLack = step > 0 && !getConstantIntValue(steps);
  if (!mayLack && getConstantIntValue(size) == plan.lanes)
    return builder;
  builder.count = getValueOrCreateConstantIndexOp(b, loc, size);
  if (mayLack)
    builder.count = arith::SelectOp::create(
        b, loc,
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                              arith::ConstantIndexOp::create(b, loc, step),
                              cast<Value>(steps)),
        builder.count, arith::ConstantIndexOp::create(b, loc, 0));
  builder.mask = vector::CreateMaskOp::create(
      b, loc, builder.vectorOf(b.getI1Type()), builder.count);
  return builder;
}

/// Row number `row` of a tile, or the last one where there are not so many.
SmallVector<Index> Nest::atRow(int64_t row, OpFoldResult rows) {
  SmallVector<Index> loops = at(row, 0);
  if (row == 0 || getConstantIntValue(rows))
    return loops;
  Index &index = loops[*plan.row];
  Value last = arith::SubIOp::create(b, loc, cast<Value>(extents[*plan.row]),
                                     arith::ConstantIndexOp::create(b, loc, 1));
  index = {arith::MinUIOp::create(b, loc, index.materialize(b, loc), last), 1,
           0};
  return loops;
}

static Values recast(OpBuilder &b, Location loc, ValueRange vectors,
                     VectorType type) {
  return llvm::map_to_vector(vectors, [&](Value vector) -> Value {
    if (vector.getType() == type)
      return vector;
    return vector::BitCastOp::create(b, loc, type, vector);
  });
}

/// The vectors of an operand, lanes or groups along `plan.loop`, for each row.
Values Nest::loadTransposed(OpOperand &operand, OpFoldResult lanes,
                            OpFoldResult rows) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  Value memref = operand.get();
  Values vectors;
  for (int64_t lane = 0; lane < boundOf(lanes); ++lane) {
    VectorBuilder builder = builderFor(rows, lane, lanes);
    SmallVector<Lanes> index = builder.index(map, at(0, lane), *plan.row);
    vectors.push_back(plan.group
                          ? builder.loadGroups(memref, index, plan.groupSize)
                          : builder.materialize(builder.load(memref, index)));
  }
  auto type = cast<VectorType>(vectors.front().getType());
  Type word = b.getIntegerType(type.getElementTypeBitWidth() * plan.groupSize);
  auto words = VectorType::get({plan.lanes}, word);
  vectors = recast(b, loc, vectors, words);
  vectors.resize(plan.lanes,
                 arith::ConstantOp::create(b, loc, b.getZeroAttr(words)));
  return recast(b, loc, transpose(b, loc, vectors), type);
}

void Nest::storeTransposed(Values vectors, OpOperand &output,
                           OpFoldResult lanes, OpFoldResult rows) {
  auto type = cast<VectorType>(vectors.front().getType());
  auto words = VectorType::get({plan.lanes},
                               b.getIntegerType(type.getElementTypeBitWidth()));
  vectors = recast(b, loc, vectors, words);
  vectors.resize(plan.lanes,
                 arith::ConstantOp::create(b, loc, b.getZeroAttr(words)));
  vectors = recast(b, loc, transpose(b, loc, vectors), type);
  AffineMap map = op.getMatchingIndexingMap(&output);
  for (int64_t lane = 0; lane < boundOf(lanes); ++lane) {
    VectorBuilder builder = builderFor(rows, lane, lanes);
    builder.store(vectors[lane], output.get(),
                  builder.index(map, at(0, lane), *plan.row));
  }
}

/// The elements of the groups of a vector, one vector for each place in a
/// group.
static Values elementsOf(OpBuilder &b, Location loc, Value vector,
                         int64_t groupSize) {
  if (groupSize == 1)
    return {vector};
  auto both = vector::DeinterleaveOp::create(b, loc, vector);
  return {both.getRes1(), both.getRes2()};
}

/// Clones the body for a tile of `lanes` by `rows`, all of which is read before
/// anything is stored.
void Nest::emitTransposedTile(OpFoldResult lanes, OpFoldResult rows) {
  unsigned inputs = op.getNumDpsInputs();
  std::map<unsigned, Values> turned;
  if (plan.group)
    position[*plan.group] = Index();
  for (unsigned number : plan.transposed)
    if (op.payloadUsesValueFromOperand(&op->getOpOperand(number)))
      turned[number] = loadTransposed(op->getOpOperand(number), lanes, rows);
  // By output and row, the elements of a group.
  SmallVector<SmallVector<Values>> results(op.getNumDpsInits(),
                                           SmallVector<Values>(boundOf(rows)));
  for (int64_t element = 0; element < plan.groupSize; ++element) {
    if (plan.group)
      position[*plan.group] = Index{Value(), 0, element};
    body.restart();
    for (int64_t row = 0; row < boundOf(rows); ++row) {
      VectorBuilder builder = builderFor(lanes, row, rows);
      SmallVector<Index> loops = atRow(row, rows);
      SmallVector<Lanes> current(op.getNumDpsInits());
      for (auto &[number, vectors] : turned) {
        Value value = elementsOf(b, loc, vectors[row], plan.groupSize)[element];
        if (number < inputs)
          body.set(number, row, {value});
        else
          current[number - inputs] = {value};
      }
      for (auto [i, output] : llvm::enumerate(op.getDpsInitsMutable()))
        if (!current[i].value && op.payloadUsesValueFromOperand(&output))
          current[i] = builder.load(
              output.get(), builder.index(op.getMatchingIndexingMap(&output),
                                          loops, plan.loop));
      auto yielded = body.clone(builder, {row}, loops, current);
      for (auto [i, value] : llvm::enumerate(yielded))
        results[i][row].push_back(builder.materialize(value));
    }
  }
  if (plan.group)
    position[*plan.group] = Index();
  for (auto [i, output] : llvm::enumerate(op.getDpsInitsMutable()))
    if (llvm::is_contained(plan.transposed, output.getOperandNumber()))
      storeTransposed(llvm::map_to_vector(
                          results[i], [](Values &row) { return row.front(); }),
                      output, lanes, rows);
    else
      storeRows(results[i], output, lanes, rows);
}

void Nest::storeRows(ArrayRef<Values> vectors, OpOperand &output,
                     OpFoldResult lanes, OpFoldResult rows) {
  AffineMap map = op.getMatchingIndexingMap(&output);
  for (auto [row, elements] : llvm::enumerate(vectors)) {
    VectorBuilder builder = builderFor(lanes, row, rows);
    SmallVector<Lanes> index = builder.index(map, atRow(row, rows), plan.loop);
    if (plan.group)
      builder.storeGroups(
          vector::InterleaveOp::create(b, loc, elements[0], elements[1]),
          output.get(), index, plan.groupSize);
    else
      builder.store(elements.front(), output.get(), index);
  }
}

/// Whether an output is a stream that is stored after some steps.
bool Nest::isTurned(unsigned output, const Piece &piece) {
  if (!isStream(output) || plan.reductions.empty() || plan.group ||
      plan.groupSize > 1 || piece.isMasked || piece.lanes < 4)
    return false;
  OpOperand &operand = *op.getDpsInitOperand(output);
  auto type = cast<MemRefType>(operand.get().getType());
  unsigned steps = plan.reductions.back();
  std::optional<int64_t> extent = getConstantIntValue(extents[steps]);
  return llvm::isPowerOf2_64(piece.lanes) &&
         isa<FloatType>(type.getElementType()) &&
         !liesAlong(op, operand, plan.loop, plan) &&
         liesAlong(op, operand, steps, plan) && extent &&
         *extent >= piece.lanes;
}

/// The reductions of a tile, of which the innermost takes as many steps at once
/// as there are lanes, where there are so many.
Values Nest::emitTurnedSteps(int64_t rows, const Piece &piece, ValueRange sums,
                             function_ref<Values(ValueRange)> step) {
  ArrayRef<unsigned> loops = plan.reductions;
  unsigned loop = loops.back();
  return emitReductions(loops.drop_back(), sums, [&](ValueRange outer) {
    return coverLoop(
        b, loc, extents[loop], piecesOfRows(extents[loop], piece.lanes), outer,
        [&](const Piece &steps, Index index, ValueRange inner) {
          bool isWhole = steps.vectors == piece.lanes;
          for (unsigned i = 0; isWhole && i < op.getNumDpsInits(); ++i)
            if (isTurned(i, piece))
              turned[i].clear();
          Values next(inner);
          for (int64_t i = 0; i < steps.vectors; ++i) {
            position[loop] = index.plus(i);
            next = step(next);
          }
          position[loop] = index;
          storeTurned(rows, piece);
          return next;
        });
  });
}

/// Stores what the steps of a tile gave, vectors along these.
void Nest::storeTurned(int64_t rows, const Piece &piece) {
  VectorBuilder builder{b, loc, flat, piece.lanes, Value(), Value()};
  for (auto &[number, vectors] : turned) {
    AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(number));
    auto type = cast<VectorType>(vectors.front().getType());
    auto words = VectorType::get(
        {piece.lanes}, b.getIntegerType(type.getElementTypeBitWidth()));
    int64_t each = rows * piece.vectors;
    for (int64_t at = 0; at < each; ++at) {
      Values steps;
      for (int64_t step = 0; step < piece.lanes; ++step)
        steps.push_back(vectors[step * each + at]);
      steps =
          recast(b, loc, transpose(b, loc, recast(b, loc, steps, words)), type);
      int64_t first = at % piece.vectors * piece.lanes;
      for (auto [lane, vector] : llvm::enumerate(steps))
        builder.store(vector, output(number),
                      builder.index(map,
                                    this->at(at / piece.vectors, first + lane),
                                    plan.reductions.back()));
    }
  }
  turned.clear();
}

void Nest::emitTransposes() {
  auto cover = [&](unsigned loop, function_ref<void(OpFoldResult)> inside) {
    coverLoop(b, loc, extents[loop],
              piecesOfLanes(extents[loop], plan.lanes, 1, /*keepLanes=*/true),
              {}, [&](const Piece &piece, Index index, ValueRange) {
                position[loop] = index;
                inside(stepsOf(piece, loop));
                return Values();
              });
  };
  cover(plan.loop, [&](OpFoldResult lanes) {
    cover(*plan.row,
          [&](OpFoldResult rows) { emitTransposedTile(lanes, rows); });
  });
}
