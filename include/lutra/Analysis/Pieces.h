//===- Pieces.h - What coordinates say of the points of an Einsum *- C++ -*-==//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_ANALYSIS_PIECES_H
#define LUTRA_ANALYSIS_PIECES_H

#include "dialects/Cascade/Cascade.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/APFloat.h"

namespace mlir::lutra {

/// What is known of a value at some points.
struct Content {
  enum class Kind {
    /// Nothing.
    Any,
    /// The integer or truth value `integer`, over ranks and symbols.
    Integer,
    /// The floating-point number `number`.
    Number,
    /// What data made, far from the largest number of its type.
    Ordinary,
    /// That with about the least finite number of its type added: below all
    /// ordinary ones by so much that exp of the difference is 0.
    Least,
    /// The tensor `reference`, a maximum so far.
    Reference,
    /// A least number less `reference`.
    Below,
    /// exp of that, which is 0 once `reference` is ordinary.
    Gone,
  };
  Kind kind = Kind::Any;
  AffineExpr integer = {};
  std::optional<APFloat> number = {};
  Value reference = {};

  Content() = default;
  Content(Kind kind, Value reference = {}) : kind(kind), reference(reference) {}
  explicit Content(AffineExpr integer)
      : kind(Kind::Integer), integer(integer) {}
  explicit Content(const APFloat &number)
      : kind(Kind::Number), number(number) {}

  bool operator==(const Content &other) const;
  bool isZero() const { return number && number->isZero(); }
  bool isLowest() const {
    return number && number->isInfinity() && number->isNegative();
  }
  /// Whether it is a least number, or a constant that is as low.
  bool isLeast() const;
  bool isOrdinary() const;
};

/// The points of the ranks of a cascade where all of these are >= 0.
using Points = SmallVector<AffineExpr>;

struct ValuePiece {
  Points where;
  Content what;
};

/// At each point a value is what one of the pieces says that the point lies in.
using Pieces = SmallVector<ValuePiece>;

/// Reads the bodies of the Einsums of one cascade. The expressions of pieces
/// have its ranks as dimensions.
class PieceReader {
public:
  explicit PieceReader(cascade::CascadeOp cascade);

  /// What the body of `op` gives, where its inputs are `inputs`.
  Pieces read(cascade::EinsumOp op, ArrayRef<Pieces> inputs);
  /// What is known of a value in the body that was read last.
  const Pieces &lookup(Value value);
  /// An index from outside of the cascade, over symbols.
  AffineExpr integerOf(Value index);

  /// Takes away the points where `constraint` < 0. False if it is seen that
  /// none are left.
  bool narrow(Points &points, AffineExpr constraint);
  /// These points, and perhaps more, as those where linear expressions are >=
  /// 0.
  Points linear(const Points &points);
  /// Whether the cascade has none of these points, whatever the sizes.
  bool isEmpty(const Points &points);

  AffineExpr simplify(AffineExpr expr);
  AffineExpr extentOf(unsigned rank);
  /// What the symbols of the expressions stand for.
  ArrayRef<Value> getSymbols() const { return symbols; }
  unsigned getNumRanks() const { return upper.size(); }

private:
  Content outer(Value value, unsigned depth);
  AffineExpr symbolFor(Value value);
  Pieces evaluate(Operation &op);
  Pieces select(arith::SelectOp op);
  Pieces connect(Operation &op);
  Pieces combine(Operation &op);
  void add(Pieces &pieces, Points where, const ValuePiece &piece);
  bool canHold(AffineExpr constraint);

  cascade::CascadeOp cascade;
  DenseMap<Value, Pieces> values;
  SmallVector<Value> symbols;
  /// The last coordinate of each rank, where it is known.
  SmallVector<std::optional<int64_t>> upper;
};

} // namespace mlir::lutra

#endif // LUTRA_ANALYSIS_PIECES_H
