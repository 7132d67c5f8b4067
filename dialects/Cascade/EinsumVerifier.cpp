//===- EinsumVerifier.cpp - What an Einsum may be -------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Checks maps, extents, reduction, filters and body of an Einsum, each with a
// message that names the rank it is about.
//
//===----------------------------------------------------------------------===//

#include "dialects/Cascade/Cascade.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::lutra::cascade;

//===----------------------------------------------------------------------===//
// Maps
//===----------------------------------------------------------------------===//

/// Whether `expr` is a quotient or remainder by something other than a positive
/// number, or a product of no number; such a part of it, or null.
static AffineExpr findNonAffine(AffineExpr expr) {
  AffineExpr found;
  expr.walk([&](AffineExpr part) {
    auto binary = dyn_cast<AffineBinaryOpExpr>(part);
    if (found || !binary || part.getKind() == AffineExprKind::Add)
      return;
    auto factor = dyn_cast<AffineConstantExpr>(binary.getRHS());
    if (!factor ||
        (part.getKind() != AffineExprKind::Mul && factor.getValue() <= 0))
      found = part;
  });
  return found;
}

/// The name of the first rank in `expr`.
static StringRef firstRank(EinsumOp op, AffineExpr expr) {
  for (unsigned rank = 0; rank < op.getNumRanks(); ++rank)
    if (expr.isFunctionOfDim(rank))
      return op.getRankName(rank);
  return "";
}

/// The iteration over parts of `rank` around `op`, if there is one.
static IterateOp iterationOver(Operation *op, StringRef rank) {
  auto iterate = dyn_cast<IterateOp>(op->getParentOp());
  return iterate && iterate.getRank() == rank ? iterate : IterateOp();
}

static InFlightDiagnostic emitExtentError(EinsumOp op, unsigned dim,
                                          const Twine &what) {
  return op.emitOpError("expects dimension ") << dim << " of " << what << " ";
}

/// Checks that dimension `i` of a tensor is as long as its rank.
static LogicalResult verifyExtent(EinsumOp op, const Twine &what,
                                  RankedTensorType type, unsigned i,
                                  StringRef rank) {
  int64_t size = type.getDimSize(i);
  if (iterationOver(op, rank)) {
    if (!ShapedType::isDynamic(size))
      return emitExtentError(op, i, what)
             << "to be dynamic, as a part of rank '" << rank << "', got "
             << size;
    return success();
  }
  int64_t extent = op->getParentOfType<CascadeOp>().getStaticExtent(rank);
  if (!ShapedType::isDynamic(extent) && !ShapedType::isDynamic(size) &&
      size != extent)
    return emitExtentError(op, i, what)
           << "to have the extent " << extent << " of rank '" << rank
           << "', got " << size;
  return success();
}

/// Checks that a tensor or a scalar has an index for each of its dimensions.
static LogicalResult verifyMap(EinsumOp op, const Twine &what, Type type,
                               AffineMap map) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor && !type.isIntOrIndexOrFloat())
    return op.emitOpError("expects ")
           << what << " to be a ranked tensor or a scalar, got " << type;
  int64_t numIndices = tensor ? tensor.getRank() : 0;
  if (map.getNumDims() != op.getNumRanks() || map.getNumSymbols() != 0 ||
      map.getNumResults() != numIndices)
    return op.emitOpError("expects ")
           << numIndices << " indices over " << op.getNumRanks()
           << " ranks for " << what << ", got " << AffineMapAttr::get(map);
  for (auto [i, expr] : llvm::enumerate(map.getResults())) {
    if (AffineExpr part = findNonAffine(expr))
      return op.emitOpError("expects index ")
             << i << " of " << what << " to be affine in rank '"
             << firstRank(op, part) << "', got " << AffineMapAttr::get(map);
    auto dim = dyn_cast<AffineDimExpr>(expr);
    if (dim && failed(verifyExtent(op, what, tensor, i,
                                   op.getRankName(dim.getPosition()))))
      return failure();
  }
  return success();
}

/// Inside of an iteration only parts, and what is computed from them, have the
/// rank that it goes over.
static LogicalResult verifyPart(EinsumOp op, const Twine &what, Value value,
                                AffineMap map) {
  if (value.getParentBlock() == op->getBlock())
    return success();
  for (unsigned rank = 0; rank < op.getNumRanks(); ++rank)
    if (iterationOver(op, op.getRankName(rank)) && map.isFunctionOfDim(rank))
      return op.emitOpError("expects ")
             << what << " to be a part of a stream, since it has rank '"
             << op.getRankName(rank) << "', which is gone over part by part";
  return success();
}

static LogicalResult verifyRead(EinsumOp op, const Twine &what, Value value,
                                AffineMap map) {
  return failure(failed(verifyMap(op, what, value.getType(), map)) ||
                 failed(verifyPart(op, what, value, map)));
}

static LogicalResult verifyMaps(EinsumOp op) {
  unsigned numMaps = op.getInputs().size() + (op.getMask() ? 1 : 0) + 1;
  if (op.getMaps().size() != numMaps)
    return op.emitOpError("expects ")
           << numMaps << " maps, got " << op.getMaps().size();
  for (auto [i, input] : llvm::enumerate(op.getInputs()))
    if (failed(verifyRead(op, "input " + Twine(i), input, op.getInputMap(i))))
      return failure();
  if (Value mask = op.getMask()) {
    if (!getElementTypeOrSelf(mask.getType()).isSignlessInteger())
      return op.emitOpError("expects a mask of integers, got ")
             << mask.getType();
    if (failed(verifyRead(op, "the mask", mask, op.getMaskMap())))
      return failure();
  }
  if (op.getInit() && op.getInit().getType() != op.getType())
    return op.emitOpError("expects an init of type ")
           << op.getType() << ", got " << op.getInit().getType();
  return verifyMap(op, "the result", op.getType(), op.getResultMap());
}

//===----------------------------------------------------------------------===//
// Ranks
//===----------------------------------------------------------------------===//

static LogicalResult verifyRanks(EinsumOp op) {
  auto cascade = op->getParentOfType<CascadeOp>();
  llvm::StringSet<> seen;
  for (unsigned rank = 0; rank < op.getNumRanks(); ++rank) {
    StringRef name = op.getRankName(rank);
    if (!cascade.findRank(name))
      return op.emitOpError("expects a rank of the cascade, got '")
             << name << "'";
    if (!seen.insert(name).second)
      return op.emitOpError("expects rank '") << name << "' once";
  }
  return success();
}

/// The result has ranks, each once.
static LogicalResult verifyResult(EinsumOp op) {
  llvm::SmallBitVector seen(op.getNumRanks());
  for (AffineExpr expr : op.getResultMap().getResults()) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    if (!dim)
      return op.emitOpError("expects a result that is indexed by ranks, got ")
             << AffineMapAttr::get(op.getResultMap());
    if (seen.test(dim.getPosition()))
      return op.emitOpError("expects rank '")
             << op.getRankName(dim.getPosition()) << "' once in the result";
    seen.set(dim.getPosition());
  }
  return success();
}

/// How long a part is no rank of the cascade says.
static LogicalResult verifyPartIsRead(EinsumOp op, unsigned rank) {
  StringRef name = op.getRankName(rank);
  if (iterationOver(op, name) &&
      llvm::none_of(op.getMaps().getAsValueRange<AffineMapAttr>(),
                    [&](AffineMap map) { return map.isFunctionOfDim(rank); }))
    return op.emitOpError("expects an operand with rank '") << name << "'";
  return success();
}

//===----------------------------------------------------------------------===//
// Reduction and filters
//===----------------------------------------------------------------------===//

static LogicalResult verifyReduction(EinsumOp op) {
  Type element = getElementTypeOrSelf(op.getType());
  std::optional<Monoid> monoid = op.getMonoid();
  if (!monoid && (op.isFiltered() || op.getInit()))
    return op.emitOpError("expects a reduction where there is a filter, a mask "
                          "or an init");
  if (monoid && !isMonoidOver(*monoid, element))
    return op.emitOpError("expects '")
           << stringifyMonoid(*monoid)
           << "' over a type that it is defined for, got " << element;
  for (unsigned rank = 0; rank < op.getNumRanks(); ++rank) {
    if (failed(verifyPartIsRead(op, rank)))
      return failure();
    if (!op.isReduced(rank))
      continue;
    if (!monoid)
      return op.emitOpError("expects rank '")
             << op.getRankName(rank) << "' in the result, or a reduction";
    if (!op.getInit() && !identityOf(*monoid, element))
      return op.emitOpError("expects an init, since '")
             << stringifyMonoid(*monoid) << "' over rank '"
             << op.getRankName(rank) << "' has no identity in " << element;
  }
  return success();
}

static LogicalResult verifyFilters(EinsumOp op) {
  if (!op.getFilters())
    return op.getSymbols().empty() ? success()
                                   : op.emitOpError("expects no symbols "
                                                    "without filters");
  for (IntegerSet set : op.getFilters()->getAsValueRange<IntegerSetAttr>()) {
    if (set.getNumDims() != op.getNumRanks() ||
        set.getNumSymbols() != op.getSymbols().size())
      return op.emitOpError("expects filters over ")
             << op.getNumRanks() << " ranks and " << op.getSymbols().size()
             << " symbols, got " << IntegerSetAttr::get(set);
    for (AffineExpr constraint : set.getConstraints())
      if (AffineExpr part = findNonAffine(constraint))
        return op.emitOpError("expects filters that are affine in rank '")
               << firstRank(op, part) << "', got " << IntegerSetAttr::get(set);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Body
//===----------------------------------------------------------------------===//

/// Whether `op` computes scalars from the arguments of the body. Constants may
/// stand anywhere, as folding puts them, and what is gathered outside.
static LogicalResult verifyScalar(EinsumOp op, Operation &inner) {
  if (!isMemoryEffectFree(&inner) || inner.getNumRegions() != 0)
    return op.emitOpError("expects a body without side effects, got ")
           << inner.getName();
  Region &cascade = op->getParentOfType<CascadeOp>().getBody();
  for (Value operand : inner.getOperands())
    if (isa<ShapedType>(operand.getType()) &&
        operand.getParentBlock() != op.getBlock() &&
        !matchPattern(operand, m_Constant()) &&
        (!isa<tensor::ExtractOp>(inner) ||
         cascade.isAncestor(operand.getParentRegion())))
      return op.emitOpError("expects each tensor that the body reads to be an "
                            "input, or an element of it to be extracted where "
                            "it is from outside of the cascade, got one of "
                            "type ")
             << operand.getType();
  return success();
}

static LogicalResult verifyBody(EinsumOp op) {
  Block *body = op.getBlock();
  if (body->getNumArguments() != op.getInputs().size())
    return op.emitOpError("expects ")
           << op.getInputs().size() << " arguments of the body, got "
           << body->getNumArguments();
  for (auto [i, argument] : llvm::enumerate(body->getArguments())) {
    Type element = getElementTypeOrSelf(op.getInputs()[i].getType());
    if (argument.getType() != element)
      return op.emitOpError("expects argument ")
             << i << " of the body to be " << element << ", got "
             << argument.getType();
  }
  auto yield = dyn_cast<YieldOp>(body->back());
  Type element = getElementTypeOrSelf(op.getType());
  if (!yield || yield.getNumOperands() != 1 ||
      yield.getOperand(0).getType() != element)
    return op.emitOpError("expects the body to yield one ") << element;
  for (Operation &inner : body->without_terminator())
    if (failed(verifyScalar(op, inner)))
      return failure();
  return success();
}

/// A sum whose points may all be absent is 0.
static LogicalResult verifyDivisions(EinsumOp op) {
  for (auto [input, argument] :
       llvm::zip(op.getInputs(), op.getBlock()->getArguments())) {
    auto sum = input.getDefiningOp<EinsumOp>();
    if (!sum || !isBefore(input, op) || !sum.isFiltered() ||
        sum.getMonoid() != Monoid::Add || sum.getInit())
      continue;
    auto ranks = llvm::seq(sum.getNumRanks());
    auto reduced = llvm::find_if(
        ranks, [&](unsigned rank) { return sum.isReduced(rank); });
    bool divides = llvm::any_of(argument.getUses(), [](OpOperand &use) {
      return isa<arith::DivFOp>(use.getOwner()) && use.getOperandNumber() == 1;
    });
    if (divides && reduced != ranks.end())
      return op.emitOpError("expects cascade.divide by the sum over rank '")
             << sum.getRankName(*reduced)
             << "', all of whose points may be absent";
  }
  return success();
}

LogicalResult EinsumOp::verifyRegions() {
  if (!(*this)->getParentOfType<CascadeOp>())
    return emitOpError("expects a cascade around it");
  return failure(failed(verifyRanks(*this)) || failed(verifyMaps(*this)) ||
                 failed(verifyResult(*this)) ||
                 failed(verifyReduction(*this)) ||
                 failed(verifyFilters(*this)) || failed(verifyBody(*this)) ||
                 failed(verifyDivisions(*this)));
}
