//===- EncodeCascades.cpp - Layouts inside of cascades --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Vectors lie along the innermost rank of the rows: then a maximum or a sum of
// each row is a maximum or a sum of vectors, and the keys and values that are
// streamed are read an element at a time, broadcast, from where they lie. So
// what a cascade computes for itself has that rank innermost, and what it reads
// from outside and has that rank is copied so: a bias or a mask part by part,
// and all else once. The results keep their layout.
//
//===----------------------------------------------------------------------===//

#include "CascadePrecision.h"
#include "MoveLast.h"
#include "dialects/Cascade/Cascade.h"
#include "dialects/Cascade/Parts.h"
#include "dialects/Lutra/Lutra.h"
#include "lutra/Analysis/Contraction.h"
#include "lutra/Conversion/CascadeToLinalg.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_ENCODECASCADES
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// Whether the cascade goes over some rank part by part.
static bool isIterated(CascadeOp op) {
  return !op.getBlock()->getOps<IterateOp>().empty();
}

/// Whether vectors that lie along `rank` read an element of what is streamed
/// for all lanes: the operands of products lack the rank, and are streamed.
static bool sharesStreams(IterateOp iterate, StringRef rank) {
  bool shares = false;
  for (auto reader : iterate.getBlock()->getOps<EinsumOp>())
    for (auto [i, input] : llvm::enumerate(reader.getInputs()))
      shares |= isStreamed(iterate, input) &&
                !reader.goesAlong(reader.getInputMap(i), rank);
  return shares && !iterate.streamsAlong(rank);
}

/// Whether a tensor that the cascade computes is read by the position of its
/// dimensions: merged, or gone over part by part.
static bool hasFixedLayouts(CascadeOp op) {
  for (Operation &each : *op.getBlock()) {
    auto iterate = dyn_cast<IterateOp>(each);
    if (isa<MergeOp>(each) ||
        (iterate && !iterate.getBlock()->getOps<MergeOp>().empty()))
      return true;
    if (iterate && llvm::any_of(iterate.getStreams(), [&](Value stream) {
          return op.getBody().isAncestor(stream.getParentRegion());
        }))
      return true;
  }
  return false;
}

/// The rank that vectors are to lie along, if one has enough coordinates. Else
/// they lie along what each row has many of.
static std::optional<StringRef> laneRank(CascadeOp op, TargetAttr target) {
  if (hasFixedLayouts(op))
    return std::nullopt;
  IterateOp iterate = *op.getBlock()->getOps<IterateOp>().begin();
  SmallVector<StringRef> rows = rowRanks(op);
  bool byTiles = hasBF16Tiles(target) &&
                 streams(iterate, BFloat16Type::get(op.getContext()));
  for (StringRef rank : llvm::reverse(rows)) {
    int64_t extent = op.getStaticExtent(rank);
    if ((ShapedType::isDynamic(extent) ||
         extent > mostFewRows(target, byTiles)) &&
        sharesStreams(iterate, rank) && !countsParts(op, rank))
      return rank;
  }
  return std::nullopt;
}

/// Where vectors are to lie along a rank of unknown extent, a version of the
/// cascade for one coordinate of it, in which they lie elsewhere: that of a
/// step of generation. The two become branches.
static CascadeOp versionOfOneRow(CascadeOp op, TargetAttr target) {
  std::optional<StringRef> lane = laneRank(op, target);
  if (!lane || !ShapedType::isDynamic(op.getStaticExtent(*lane)))
    return nullptr;
  Location loc = op.getLoc();
  IRRewriter b(op);
  unsigned rank = *op.findRank(*lane);
  SmallVector<OpFoldResult> sizes = op.getMixedExtents(),
                            offsets(sizes.size(), b.getIndexAttr(0));
  Value isOne = arith::CmpIOp::create(
      b, loc, arith::CmpIPredicate::eq, cast<Value>(sizes[rank]),
      arith::ConstantIndexOp::create(b, loc, 1));
  auto branch = scf::IfOp::create(b, loc, op.getResultTypes(), isOne,
                                  /*withElseRegion=*/true);
  b.replaceAllUsesWith(op.getResults(), branch.getResults());
  b.setInsertionPointToEnd(branch.elseBlock());
  auto yield = scf::YieldOp::create(b, loc, op.getResults());
  b.setInsertionPointToEnd(branch.thenBlock());
  sizes[rank] = b.getIndexAttr(1);
  auto tiled = op.getTiledImplementation(b, offsets, sizes);
  if (failed(tiled)) {
    b.replaceAllUsesWith(branch.getResults(), op.getResults());
    b.eraseOp(branch);
    return nullptr;
  }
  SmallVector<Value> results;
  for (auto [value, result] :
       llvm::zip_equal(tiled->tiledValues, op.getResults()))
    results.push_back(tensor::CastOp::create(b, loc, result.getType(), value));
  scf::YieldOp::create(b, loc, results);
  b.moveOpBefore(op, yield);
  return cast<CascadeOp>(tiled->tiledOps.front());
}

namespace {
class Encoding {
public:
  Encoding(CascadeOp op, StringRef lane, TargetAttr target)
      : op(op), lane(lane), target(target) {}
  void run();

private:
  bool isLong(ArrayRef<StringRef> ranks);
  void findStates(IterateOp iterate);
  std::optional<unsigned> laneDim(Value value);
  void separateResults();
  void copyInputs(IterateOp iterate);
  void readCopy(EinsumOp reader, unsigned operand, unsigned dim);
  Value copyOf(EinsumOp reader, unsigned operand, unsigned dim);
  void setType(Value value);

  CascadeOp op;
  StringRef lane;
  TargetAttr target;
  /// What an iteration carries, and what becomes that.
  DenseSet<Value> states;
  DenseMap<Value, unsigned> moved;
  /// Copies of tensors, by how and over which ranks they are read.
  DenseMap<std::tuple<Value, AffineMap, Attribute>, Value> copies;
};
} // namespace

/// Whether vectors lie better along the innermost rank of a tensor than along
/// few rows: a sum of products that has a vector of it for each row, so that
/// the streamed factor is read in the order in which it lies.
bool Encoding::isLong(ArrayRef<StringRef> ranks) {
  int64_t rows = op.getStaticExtent(lane),
          extent = op.getStaticExtent(ranks.back());
  int64_t lanes = vectorBits(target) / 32;
  return !ShapedType::isDynamic(rows) && rows <= lanes &&
         !ShapedType::isDynamic(extent) && extent >= lanes;
}

/// Finds the tensors that become what an iteration carries.
void Encoding::findStates(IterateOp iterate) {
  for (Value init : iterate.getInits())
    states.insert(init);
  for (Value carried : iterate.getCarried())
    states.insert(carried);
  for (Value result : iterate.getResults())
    states.insert(result);
  for (Value next : iterate.getBlock()->getTerminator()->getOperands())
    while (next && states.insert(next).second)
      if (auto einsum = next.getDefiningOp<EinsumOp>())
        next = einsum.getInit();
}

/// The dimension of a tensor of the cascade that has to become innermost.
std::optional<unsigned> Encoding::laneDim(Value value) {
  auto ranks = ranksOf(value);
  if (!ranks || (states.contains(value) && isLong(*ranks)))
    return std::nullopt;
  for (auto [i, rank] : llvm::enumerate(*ranks))
    if (rank == lane && i + 1 != ranks->size())
      return i;
  return std::nullopt;
}

/// Makes each result an Einsum that nothing else reads.
void Encoding::separateResults() {
  Operation *yield = op.getBlock()->getTerminator();
  OpBuilder b(yield);
  for (OpOperand &operand : yield->getOpOperands()) {
    Value value = operand.get();
    if (value.getDefiningOp<EinsumOp>() && value.hasOneUse())
      continue;
    SmallVector<Attribute> iter;
    auto ranks = ranksOf(value);
    for (StringRef rank : *ranks)
      iter.push_back(b.getStringAttr(rank));
    AffineMap same = b.getMultiDimIdentityMap(iter.size());
    operand.set(copyEinsum(b, value.getLoc(), value, iter, same, same,
                           cast<RankedTensorType>(value.getType())));
  }
}

/// Whether an operand's dimensions are ranks, each once, or read at a constant.
static bool isPlain(AffineMap map) {
  llvm::SmallDenseSet<AffineExpr> seen;
  return llvm::all_of(map.getResults(), [&](AffineExpr expr) {
    return isa<AffineConstantExpr>(expr) ||
           (isa<AffineDimExpr>(expr) && seen.insert(expr).second);
  });
}

/// A copy of an operand of `reader`, without dimensions that are read at a
/// constant and with dimension `dim` innermost: of a part of a stream in each
/// step, of all else before the iteration.
Value Encoding::copyOf(EinsumOp reader, unsigned operand, unsigned dim) {
  OpBuilder b(reader->getParentOp());
  Value tensor = reader->getOperand(operand);
  if (llvm::is_contained(reader->getBlock()->getArguments(), tensor))
    b.setInsertionPointToStart(reader->getBlock());
  auto type = cast<RankedTensorType>(tensor.getType());
  SmallVector<Attribute> iter;
  SmallVector<AffineExpr> read, written;
  SmallVector<int64_t> shape;
  for (auto [i, expr] : llvm::enumerate(reader.getMap(operand).getResults())) {
    auto rank = dyn_cast<AffineDimExpr>(expr);
    if (!rank) {
      read.push_back(expr);
      continue;
    }
    read.push_back(b.getAffineDimExpr(iter.size()));
    if (i != dim) {
      written.push_back(read.back());
      shape.push_back(type.getDimSize(i));
    }
    iter.push_back(reader.getIter()[rank.getPosition()]);
  }
  written.push_back(read[dim]);
  shape.push_back(type.getDimSize(dim));
  auto map = [&](ArrayRef<AffineExpr> results) {
    return AffineMap::get(iter.size(), 0, results, b.getContext());
  };
  Value &copy = copies[{tensor, map(read), b.getArrayAttr(iter)}];
  if (!copy)
    copy = copyEinsum(b, reader.getLoc(), tensor, iter, map(read), map(written),
                      RankedTensorType::get(shape, type.getElementType()));
  return copy;
}

/// Makes a reader read the copy of an operand whose dimension `dim` is the lane
/// rank.
void Encoding::readCopy(EinsumOp reader, unsigned operand, unsigned dim) {
  SmallVector<AffineMap> maps(
      reader.getMaps().getAsValueRange<AffineMapAttr>());
  SmallVector<AffineExpr> results;
  for (auto [i, expr] : llvm::enumerate(maps[operand].getResults()))
    if (i != dim && isa<AffineDimExpr>(expr))
      results.push_back(expr);
  results.push_back(maps[operand].getResult(dim));
  reader->setOperand(operand, copyOf(reader, operand, dim));
  maps[operand] =
      AffineMap::get(reader.getNumRanks(), maps[operand].getNumSymbols(),
                     results, reader.getContext());
  reader.setMapsAttr(OpBuilder(reader).getAffineMapArrayAttr(maps));
}

/// Copies what is read from outside, so that the lane rank is innermost.
void Encoding::copyInputs(IterateOp iterate) {
  auto isOutside = [&](Value value) {
    return llvm::is_contained(iterate.getParts(), value) ||
           !op.getBody().isAncestor(value.getParentRegion());
  };
  SmallVector<EinsumOp> readers(iterate.getBlock()->getOps<EinsumOp>());
  for (EinsumOp reader : readers)
    for (unsigned i = 0, e = reader.getInputs().size() + bool(reader.getMask());
         i < e; ++i) {
      Value input = reader->getOperand(i);
      AffineMap map = reader.getMap(i);
      if (!isOutside(input) || !isa<RankedTensorType>(input.getType()) ||
          !isPlain(map))
        continue;
      for (unsigned dim = 0; dim + 1 < map.getNumResults(); ++dim) {
        auto rank = dyn_cast<AffineDimExpr>(map.getResult(dim));
        if (rank && reader.getRankName(rank.getPosition()) == lane) {
          readCopy(reader, i, dim);
          break;
        }
      }
    }
}

void Encoding::setType(Value value) {
  auto it = moved.find(value);
  if (it == moved.end())
    return;
  auto type = cast<RankedTensorType>(value.getType());
  value.setType(RankedTensorType::get(moveLast(type.getShape(), it->second),
                                      type.getElementType()));
}

void Encoding::run() {
  separateResults();
  for (auto iterate : op.getBlock()->getOps<IterateOp>()) {
    DenseSet<Operation *> dots = narrowFactors(iterate, target);
    approximateExponentials(iterate, dots);
    widenFactors(iterate, dots);
    copyInputs(iterate);
    findStates(iterate);
  }
  // What moves is found before anything does, since ranks are told by maps.
  SmallVector<Value> values;
  op.getBody().walk([&](Operation *inner) {
    if (isa<EinsumOp, RebaseOp, IterateOp, MergeOp>(inner))
      llvm::append_range(values, inner->getResults());
    if (auto iterate = dyn_cast<IterateOp>(inner))
      llvm::append_range(values, iterate.getCarried());
  });
  Operation *yield = op.getBlock()->getTerminator();
  for (Value value : values)
    if (!llvm::is_contained(yield->getOperands(), value))
      if (std::optional<unsigned> dim = laneDim(value))
        moved[value] = *dim;
  op.walk([&](EinsumOp einsum) {
    SmallVector<AffineMap> maps(
        einsum.getMaps().getAsValueRange<AffineMapAttr>());
    for (auto [i, input] : llvm::enumerate(einsum.getInputs()))
      if (auto it = moved.find(input); it != moved.end())
        maps[i] = moveLast(maps[i], it->second);
    if (auto it = moved.find(einsum.getMask()); it != moved.end()) {
      AffineMap &map = maps[einsum.getInputs().size()];
      map = moveLast(map, it->second);
    }
    if (auto it = moved.find(einsum.getResult()); it != moved.end())
      maps.back() = moveLast(maps.back(), it->second);
    einsum.setMapsAttr(OpBuilder(einsum).getAffineMapArrayAttr(maps));
  });
  for (Value value : values)
    setType(value);
}

namespace {
struct EncodeCascades : lutra::impl::EncodeCascadesBase<EncodeCascades> {
  using EncodeCascadesBase::EncodeCascadesBase;

  void runOnOperation() override {
    target = targetOf(getOperation());
    SmallVector<CascadeOp> cascades;
    getOperation().walk([&](CascadeOp op) {
      if (isIterated(op))
        cascades.push_back(op);
    });
    for (CascadeOp op : cascades) {
      if (CascadeOp one = versionOfOneRow(op, target))
        encode(one);
      encode(op);
    }
  }

  void encode(CascadeOp op) {
    if (std::optional<StringRef> lane = laneRank(op, target))
      Encoding(op, *lane, target).run();
    else
      for (auto iterate : op.getBlock()->getOps<IterateOp>())
        approximateExponentials(iterate, narrowFactors(iterate, target));
    if (op.getReassoc())
      dropRoundings(op);
  }

  TargetAttr target;
};
} // namespace
