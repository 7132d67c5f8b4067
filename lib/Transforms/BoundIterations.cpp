//===- BoundIterations.cpp - Where an iteration changes anything ----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Masks reach a cascade as values: -inf where a key must not be seen. Whether a
// point is masked is often a matter of its coordinates alone, as in causal and
// windowed attention. Here the values of an iteration are followed in pieces
// that coordinates tell apart: -inf leaves a maximum alone, and exp(-inf)
// leaves a sum. The pieces that change what is carried become the filters of
// the iteration, whose empty parts are then never gone over.
//
// The least finite number in place of -inf does the same in rows that have an
// ordinary number, too: exp of the difference is 0. A row without one is the
// mean of its points, so that all of it has to be gone over. Of each row one
// point is looked at, a witness: where that is not known to be ordinary, the
// row is one more filter.
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Cascade.h"
#include "lutra/Analysis/LinearBound.h"
#include "lutra/Analysis/Pieces.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_BOUNDITERATIONS
#include "lutra/Transforms/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;
using Kind = Content::Kind;

/// More filters than masks need; each costs time where a tile begins.
static constexpr unsigned kMaxFilters = 8;
/// More points than are worth a try as witnesses.
static constexpr unsigned kMaxWitnesses = 8;

namespace {
/// Finds the filters of one iteration.
class FilterFinder {
public:
  explicit FilterFinder(IterateOp op)
      : op(op), cascade(op->getParentOfType<CascadeOp>()), reader(cascade),
        rank(*cascade.findRank(op.getRank())) {}

  /// The regions outside of which nothing that is carried changes; none where
  /// that may be anywhere.
  SmallVector<Points> run();
  ArrayRef<Value> getSymbols() const { return reader.getSymbols(); }

private:
  Pieces inputOf(EinsumOp einsum, unsigned number);
  void read(EinsumOp einsum);
  void addReduction(EinsumOp einsum, const Pieces &point);
  bool isReference(RebaseOp rebase);
  bool isMoved(EinsumOp sum, Value reference);
  SmallVector<AffineExpr> witnesses();
  SmallVector<Points> rowsWithout(AffineExpr witness);
  bool addRowsWithoutWitness();
  bool implies(const Points &points, AffineExpr other);
  std::optional<Points> unite(const Points &x, const Points &y);
  bool mergeTwo(SmallVector<Points> &filters);
  AffineExpr at(unsigned rank) {
    return getAffineDimExpr(rank, op.getContext());
  }

  IterateOp op;
  CascadeOp cascade;
  PieceReader reader;
  unsigned rank;
  DenseMap<Value, Pieces> results;
  /// Where what is carried changes, and where a maximum is not known to be of
  /// an ordinary number.
  SmallVector<Points> changing, unsure;
  /// Whether that holds only of rows that have an ordinary number.
  bool needsWitness = false;
};
} // namespace

/// Whether what is updated is a maximum over the rank so far.
bool FilterFinder::isReference(RebaseOp rebase) {
  auto local = rebase.getLocal().getDefiningOp<EinsumOp>();
  return rebase.getMonoid() == Monoid::Max &&
         rebase.getFamily() != Family::Ratio &&
         (rebase.getPolicyKind() == PolicyKind::Online ||
          rebase.getPolicyKind() == PolicyKind::Lazy) &&
         local && local->getParentOp() == op && local.reduces(op.getRank()) &&
         local.getMonoid() == Monoid::Max;
}

/// Whether a sum begins with what was carried of it, moved to `reference`.
bool FilterFinder::isMoved(EinsumOp sum, Value reference) {
  auto moved =
      sum.getInit() ? sum.getInit().getDefiningOp<EinsumOp>() : EinsumOp();
  if (!moved || moved.hasReduction() || moved->getParentOp() != op)
    return false;
  auto product = moved.getEinsumPoint().getDefiningOp<arith::MulFOp>();
  if (!product)
    return false;
  Value correction = cast<RebaseOp>(reference.getDefiningOp()).getCorrection();
  return llvm::any_of(product->getOperands(), [&](Value factor) {
    auto argument = dyn_cast<BlockArgument>(factor);
    return argument && argument.getOwner() == moved.getBlock() &&
           moved.getInputs()[argument.getArgNumber()] == correction;
  });
}

/// What is known of an input. Pieces are of ranks by name, and an input may be
/// read under other names than it was written.
Pieces FilterFinder::inputOf(EinsumOp einsum, unsigned number) {
  Value input = einsum.getInputs()[number];
  auto it = results.find(input);
  if (it == results.end())
    return {ValuePiece()};
  auto ranks = ranksOf(input);
  AffineMap read = einsum.getInputMap(number);
  if (!ranks || ranks->size() != read.getNumResults())
    return {ValuePiece()};
  for (auto [name, expr] : llvm::zip(*ranks, read.getResults())) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    if (!dim || einsum.getRankName(dim.getPosition()) != name)
      return {ValuePiece()};
  }
  return it->second;
}

/// Notes where `einsum`, which reduces the rank, changes what it begins with.
void FilterFinder::addReduction(EinsumOp einsum, const Pieces &point) {
  Monoid monoid = *einsum.getMonoid();
  for (const auto &[where, what] : point) {
    bool isNeutral = monoid == Monoid::Max   ? what.isLowest()
                     : monoid == Monoid::Add ? what.isZero()
                                             : false;
    bool isNeutralInTheEnd = monoid == Monoid::Max
                                 ? what.isLeast()
                                 : monoid == Monoid::Add &&
                                       what.kind == Kind::Gone &&
                                       isMoved(einsum, what.reference);
    needsWitness |= isNeutralInTheEnd;
    if (!isNeutral && !isNeutralInTheEnd)
      changing.push_back(where);
    if (monoid == Monoid::Max && (!what.isOrdinary() || einsum.isFiltered()))
      unsure.push_back(where);
  }
}

void FilterFinder::read(EinsumOp einsum) {
  SmallVector<Pieces> inputs;
  for (unsigned i = 0; i < einsum.getInputs().size(); ++i)
    inputs.push_back(inputOf(einsum, i));
  Pieces point = reader.read(einsum, inputs);
  if (einsum.reduces(op.getRank()))
    return addReduction(einsum, point);
  if (!einsum.hasReduction()) {
    if (!einsum.isFiltered())
      results[einsum.getResult()] = point;
    return;
  }
  // Sums of products are what scores are: data of an ordinary size.
  bool isData = llvm::all_of(point, [](const ValuePiece &piece) {
    return piece.what.kind == Kind::Any || piece.what.kind == Kind::Ordinary;
  });
  if (isData && einsum.getMonoid() == Monoid::Add &&
      isa_and_nonnull<arith::MulFOp>(einsum.getEinsumPoint().getDefiningOp()))
    results[einsum.getResult()] = {{{}, Kind::Ordinary}};
}

/// Points of a row that may be ordinary ones: its ends, and where a filter
/// begins or ends in it.
SmallVector<AffineExpr> FilterFinder::witnesses() {
  SmallVector<AffineExpr> found = {getAffineConstantExpr(0, op.getContext()),
                                   reader.extentOf(rank) - 1};
  for (const Points &points : changing)
    for (AffineExpr constraint : points) {
      auto factors = linearBound(constraint, reader.getNumRanks(),
                                 reader.getSymbols().size());
      if (!factors || std::abs((*factors)[rank]) != 1 ||
          found.size() == kMaxWitnesses)
        continue;
      // sign * m + rest = 0
      AffineExpr rest = constraint.replace(
          at(rank), getAffineConstantExpr(0, op.getContext()));
      AffineExpr point = (*factors)[rank] < 0 ? rest : -rest;
      if (!llvm::is_contained(found, point))
        found.push_back(point);
    }
  return found;
}

/// The rows in which the point `witness` is not known to be ordinary.
SmallVector<Points> FilterFinder::rowsWithout(AffineExpr witness) {
  SmallVector<Points> rows = {{-witness - 1},
                              {witness - reader.extentOf(rank)}};
  for (const Points &points : unsure) {
    rows.emplace_back();
    for (AffineExpr constraint : points)
      rows.back().push_back(constraint.replace(at(rank), witness));
  }
  SmallVector<Points> left;
  for (const Points &points : rows) {
    Points narrowed;
    bool isPossible = llvm::all_of(points, [&](AffineExpr constraint) {
      return reader.narrow(narrowed, constraint);
    });
    // Rows without any point need no witness.
    Points atLeastOne = narrowed;
    atLeastOne.push_back(reader.extentOf(rank) - 1);
    if (isPossible && !reader.isEmpty(atLeastOne) &&
        !llvm::is_contained(left, narrowed))
      left.push_back(narrowed);
  }
  return left;
}

/// Adds the rows that have to be gone over whole, for the witness that leaves
/// the fewest. False if these are all, whatever the witness.
bool FilterFinder::addRowsWithoutWitness() {
  std::optional<SmallVector<Points>> best;
  for (AffineExpr witness : witnesses()) {
    SmallVector<Points> rows = rowsWithout(witness);
    if (llvm::any_of(rows, [](const Points &row) { return row.empty(); }))
      continue;
    if (!best || rows.size() < best->size())
      best = rows;
  }
  if (best)
    changing.append(*best);
  return best.has_value();
}

/// Whether `other` >= 0 is seen to follow from one constraint of `points`.
bool FilterFinder::implies(const Points &points, AffineExpr other) {
  return llvm::any_of(points, [&](AffineExpr constraint) {
    auto margin =
        dyn_cast<AffineConstantExpr>(reader.simplify(other - constraint));
    return margin && margin.getValue() >= 0;
  });
}

/// The union of two filters, if one filter is just that: one lies in the other,
/// or they are what is on both sides of a bound, and the same otherwise.
std::optional<Points> FilterFinder::unite(const Points &x, const Points &y) {
  auto isInside = [&](const Points &inner, const Points &outer) {
    return llvm::all_of(outer, [&](AffineExpr constraint) {
      return implies(inner, constraint);
    });
  };
  if (isInside(x, y))
    return y;
  if (isInside(y, x))
    return x;
  for (AffineExpr xBound : x)
    for (AffineExpr yBound : y) {
      auto overlap =
          dyn_cast<AffineConstantExpr>(reader.simplify(xBound + yBound));
      if (!overlap || overlap.getValue() < -1)
        continue;
      Points xRest(x), yRest(y);
      llvm::erase(xRest, xBound);
      llvm::erase(yRest, yBound);
      if (!isInside(x, yRest) || !isInside(y, xRest))
        continue;
      for (AffineExpr constraint : yRest)
        if (!implies(xRest, constraint))
          xRest.push_back(constraint);
      return xRest;
    }
  return std::nullopt;
}

/// Makes two of the filters one, if there are two such.
bool FilterFinder::mergeTwo(SmallVector<Points> &filters) {
  for (unsigned i = 0; i < filters.size(); ++i)
    for (unsigned j = i + 1; j < filters.size(); ++j)
      if (std::optional<Points> both = unite(filters[i], filters[j])) {
        filters[i] = *both;
        filters.erase(filters.begin() + j);
        return true;
      }
  return false;
}

SmallVector<Points> FilterFinder::run() {
  for (Operation &inner : op.getBlock()->without_terminator()) {
    if (auto einsum = dyn_cast<EinsumOp>(inner))
      read(einsum);
    else if (auto rebase = dyn_cast<RebaseOp>(inner);
             rebase && isReference(rebase))
      results[rebase.getUpdated()] = {
          {{}, {Kind::Reference, rebase.getUpdated()}}};
  }
  if (needsWitness && !addRowsWithoutWitness())
    return {};
  SmallVector<Points> filters;
  for (const Points &points : changing)
    if (!reader.isEmpty(points))
      filters.push_back(reader.linear(points));
  while (mergeTwo(filters))
    ;
  bool isAnywhere = llvm::any_of(
      filters, [](const Points &points) { return points.empty(); });
  return isAnywhere || filters.size() > kMaxFilters ? SmallVector<Points>()
                                                    : filters;
}

static void bound(IterateOp op) {
  if (op.getFilters())
    return;
  FilterFinder finder(op);
  SmallVector<Points> filters = finder.run();
  if (filters.empty())
    return;
  // Only some of the symbols that were met are left in the filters.
  MLIRContext *context = op.getContext();
  SmallVector<Value> symbols;
  SmallVector<AffineExpr> renamed(finder.getSymbols().size(),
                                  getAffineConstantExpr(0, context));
  for (auto [i, symbol] : llvm::enumerate(finder.getSymbols())) {
    auto isUsed = [i = i](AffineExpr constraint) {
      return constraint.isFunctionOfSymbol(i);
    };
    if (llvm::none_of(filters, [&](const Points &points) {
          return llvm::any_of(points, isUsed);
        }))
      continue;
    renamed[i] = getAffineSymbolExpr(symbols.size(), context);
    symbols.push_back(symbol);
  }
  unsigned numRanks = op->getParentOfType<CascadeOp>().getRanks().size();
  SmallVector<Attribute> sets;
  for (const Points &points : filters) {
    auto set = IntegerSet::get(numRanks, renamed.size(), points,
                               SmallVector<bool>(points.size(), false));
    sets.push_back(IntegerSetAttr::get(
        set.replaceDimsAndSymbols({}, renamed, numRanks, symbols.size())));
  }
  op.setFiltersAttr(ArrayAttr::get(context, sets));
  op.getSymbolsMutable().assign(symbols);
}

namespace {
struct BoundIterations : lutra::impl::BoundIterationsBase<BoundIterations> {
  using BoundIterationsBase::BoundIterationsBase;

  void runOnOperation() override {
    getOperation().walk([](IterateOp op) { bound(op); });
  }
};
} // namespace
