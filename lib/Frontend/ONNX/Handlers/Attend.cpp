//===- Attend.cpp - The one form of attention -----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Emits one linalg.generic per step, each the most literal form of it: later
// passes fuse the elementwise ones and derive how often the keys are read. All
// that is between the products is computed in f32, or f64.
//
//===----------------------------------------------------------------------===//

#include "Attend.h"

#include "Contraction.h"
#include "Reduction.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lutra;

AffineExpr Attend::sizeOf(Rank rank) const {
  for (const Ranked *operand : {&query, &key, &value})
    for (auto [size, walked] : llvm::zip(operand->tensor.shape, operand->ranks))
      if (walked == rank)
        return size;
  return {};
}

SmallVector<Rank> lutra::withoutGroup(ArrayRef<Rank> ranks, bool grouped) {
  return llvm::to_vector(llvm::make_filter_range(
      ranks, [&](Rank rank) { return grouped || rank != Rank::Group; }));
}

namespace {

/// What an elementwise step computes, in the computeType of its result.
/// Operands come in those of theirs; `s` is of the first one's.
using StepBody =
    llvm::function_ref<Value(Scalars &s, ValueRange in, ArrayRef<Rank> loops)>;

class Emitter {
public:
  Emitter(Lowering &lowering, const Attend &form)
      : lowering(lowering), form(form),
        rows(withoutGroup({Rank::Batch, Rank::Head, Rank::Group, Rank::Query},
                          form.grouped())),
        masked(!form.biases.empty() || form.filter.any()) {
    all = rows;
    all.push_back(Rank::Key);
  }

  Attended emit(std::optional<Scores> wanted);
  /// Whether there are no scores.
  bool isEmpty() const;
  Attended emitNothing();

private:
  AffineMap mapOf(const Ranked &operand, ArrayRef<Rank> loops) const;
  Shape shapeOf(ArrayRef<Rank> ranks) const;
  /// The products of two tensors, summed over `summed`, in `layout`.
  Ranked product(const Ranked &lhs, const Ranked &rhs, ArrayRef<Rank> loops,
                 Rank summed, ArrayRef<Rank> layout, DType type);
  /// One value from those of the operands, for each index of `loops`.
  Ranked each(ArrayRef<Ranked> operands, ArrayRef<Rank> loops, DType type,
              StepBody body);
  Ranked reduce(const Ranked &x, Monoid monoid);

  Ranked scaled(const Ranked &x);
  Ranked capped(const Ranked &x);
  Ranked biased(const Ranked &x, const Ranked &bias);
  Ranked filtered(const Ranked &x);
  Ranked rounded(const Ranked &x);
  Ranked softmax(const Ranked &x);
  Ranked reference(const Ranked &x);
  bool hasSink() const { return form.sink || form.zeroSink; }
  Ranked withSink(const Ranked &x, const Ranked &y, StepBody body);
  Tensor inType(const Ranked &x);

  Lowering &lowering;
  const Attend &form;
  SmallVector<Rank> rows, all;
  /// Whether a row may be without a key.
  bool masked;
};

} // namespace

AffineMap Emitter::mapOf(const Ranked &operand, ArrayRef<Rank> loops) const {
  SmallVector<AffineExpr> exprs;
  for (Rank rank : operand.ranks) {
    auto *at = llvm::find(loops, rank);
    exprs.push_back(at == loops.end()
                        ? lowering.constant(0)
                        : lowering.b.getAffineDimExpr(at - loops.begin()));
  }
  return AffineMap::get(loops.size(), 0, exprs, lowering.context());
}

Shape Emitter::shapeOf(ArrayRef<Rank> ranks) const {
  return llvm::map_to_vector(ranks,
                             [&](Rank rank) { return form.sizeOf(rank); });
}

Ranked Emitter::product(const Ranked &lhs, const Ranked &rhs,
                        ArrayRef<Rank> kept, Rank summed, ArrayRef<Rank> layout,
                        DType type) {
  SmallVector<Rank> loops(kept);
  loops.push_back(summed);
  Ranked result{Tensor(), SmallVector<Rank>(layout)};
  AffineMap maps[] = {mapOf(lhs, loops), mapOf(rhs, loops),
                      mapOf(result, loops)};
  SmallVector<utils::IteratorType> iterators(kept.size(),
                                             utils::IteratorType::parallel);
  iterators.push_back(utils::IteratorType::reduction);
  result.tensor = sumOfProducts(lowering, lhs.tensor, rhs.tensor, type, maps,
                                iterators, shapeOf(layout));
  return result;
}

Ranked Emitter::each(ArrayRef<Ranked> operands, ArrayRef<Rank> loops,
                     DType type, StepBody body) {
  SmallVector<Tensor> tensors;
  SmallVector<AffineMap> maps;
  for (const Ranked &operand : operands) {
    tensors.push_back(operand.tensor);
    maps.push_back(mapOf(operand, loops));
  }
  Shape shape = shapeOf(loops);
  maps.push_back(lowering.b.getMultiDimIdentityMap(loops.size()));
  SmallVector<utils::IteratorType> iterators(loops.size(),
                                             utils::IteratorType::parallel);
  Tensor result = lowering.generic(
      tensors, maps, iterators, lowering.empty(shape, type), shape, type,
      [&](ImplicitLocOpBuilder &b, ValueRange scalars) {
        SmallVector<Value> in;
        for (auto [scalar, tensor] : llvm::zip(scalars, tensors))
          in.push_back(Lowering::castScalar(b, scalar, tensor.dtype,
                                            computeType(tensor.dtype)));
        Scalars s(b, computeType(tensors.front().dtype));
        return Lowering::castScalar(b, body(s, in, loops), computeType(type),
                                    type);
      });
  return {result, SmallVector<Rank>(loops)};
}

Ranked Emitter::reduce(const Ranked &x, Monoid monoid) {
  return {accumulate(lowering, x.tensor, x.tensor.rank() - 1, monoid,
                     x.tensor.dtype),
          rows};
}

//===----------------------------------------------------------------------===//
// Steps on the scores
//===----------------------------------------------------------------------===//

/// 1 / sqrt(size).
static Value inverseRoot(Lowering &lowering, Scalars &s, AffineExpr size) {
  if (auto known = dyn_cast<AffineConstantExpr>(size))
    return s.constant(known.getValue() > 0 ? 1 / std::sqrt(known.getValue())
                                           : 1);
  return s.div(s.constant(1), s.sqrt(sizeScalar(lowering, s, size)));
}

Ranked Emitter::scaled(const Ranked &x) {
  if (form.scale == 1.0)
    return x;
  return each(
      x, all, x.tensor.dtype, [&](Scalars &s, ValueRange in, ArrayRef<Rank>) {
        Value scale = form.scale
                          ? s.constant(*form.scale)
                          : inverseRoot(lowering, s, form.sizeOf(Rank::Depth));
        return s.mul(in[0], scale);
      });
}

Ranked Emitter::capped(const Ranked &x) {
  if (form.softcap == 0)
    return x;
  return each(x, all, x.tensor.dtype,
              [&](Scalars &s, ValueRange in, ArrayRef<Rank>) {
                Value small = s.mul(in[0], s.constant(1 / form.softcap));
                return s.mul(s.tanh(small), s.constant(form.softcap));
              });
}

Ranked Emitter::biased(const Ranked &x, const Ranked &bias) {
  return each({x, bias}, all, x.tensor.dtype,
              [&](Scalars &s, ValueRange in, ArrayRef<Rank>) {
                Value added = Lowering::castScalar(
                    s.b, in[1], computeType(bias.tensor.dtype), s.dtype);
                return s.add(in[0], added);
              });
}

Ranked Emitter::filtered(const Ranked &x) {
  if (!form.filter.any())
    return x;
  SmallVector<Ranked> operands = {x};
  llvm::append_range(operands, operandsOf(form.filter));
  return each(operands, all, x.tensor.dtype,
              [&](Scalars &s, ValueRange in, ArrayRef<Rank> loops) {
                Value seen =
                    sees(lowering, s.b, form.filter, loops, in.drop_front());
                return s.select(seen, in[0], s.constant(-INFINITY));
              });
}

/// The scores as they are in softmaxType, in a type to compute in.
Ranked Emitter::rounded(const Ranked &x) {
  DType to = form.softmaxType, from = x.tensor.dtype;
  if (to == DType::Undefined || to == from || to == form.type)
    return x;
  return each(x, all, computeType(to),
              [&](Scalars &s, ValueRange in, ArrayRef<Rank>) {
                Value narrow = Lowering::castScalar(s.b, in[0], from, to);
                return Lowering::castScalar(s.b, narrow, to, computeType(to));
              });
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

/// A step on the statistics of rows that needs the sink's score.
Ranked Emitter::withSink(const Ranked &x, const Ranked &y, StepBody body) {
  SmallVector<Ranked> operands = {x, y};
  if (form.sink)
    operands.push_back(form.sink);
  return each(operands, rows, x.tensor.dtype,
              [&](Scalars &s, ValueRange in, ArrayRef<Rank> loops) {
                Value sink =
                    form.sink
                        ? Lowering::castScalar(
                              s.b, in[2], computeType(form.sink.tensor.dtype),
                              s.dtype)
                        : s.constant(0);
                return body(s, {in[0], in[1], sink}, loops);
              });
}

/// What is taken from the scores of a row before exp: their maximum, or zero
/// where it is that of no score.
Ranked Emitter::reference(const Ranked &x) {
  Ranked max = reduce(x, Monoid::Max);
  if (hasSink())
    max = withSink(max, max, [](Scalars &s, ValueRange in, ArrayRef<Rank>) {
      return s.max(in[0], in[2]);
    });
  if (!masked)
    return max;
  return each(max, rows, max.tensor.dtype,
              [](Scalars &s, ValueRange in, ArrayRef<Rank>) {
                Value none = s.eq(in[0], s.constant(-INFINITY));
                return s.select(none, s.constant(0), in[0]);
              });
}

Ranked Emitter::softmax(const Ranked &x) {
  Ranked max = reference(x);
  Ranked power = each({x, max}, all, x.tensor.dtype,
                      [](Scalars &s, ValueRange in, ArrayRef<Rank>) {
                        return s.exp(s.sub(in[0], in[1]));
                      });
  Ranked sum = reduce(power, Monoid::Sum);
  if (hasSink())
    sum = withSink(sum, max, [](Scalars &s, ValueRange in, ArrayRef<Rank>) {
      return s.add(in[0], s.exp(s.sub(in[2], in[1])));
    });
  DType type = computeType(form.type);
  return each(
      {power, sum}, all, type, [&](Scalars &s, ValueRange in, ArrayRef<Rank>) {
        Value share = s.div(in[0], in[1]);
        if (masked)
          share = s.select(s.eq(in[1], s.constant(0)), s.constant(0), share);
        return Lowering::castScalar(s.b, share, s.dtype, type);
      });
}

//===----------------------------------------------------------------------===//
// The whole
//===----------------------------------------------------------------------===//

Tensor Emitter::inType(const Ranked &x) {
  if (x.tensor.dtype == form.type)
    return x.tensor;
  return each(x, x.ranks, form.type,
              [&](Scalars &s, ValueRange in, ArrayRef<Rank>) {
                return Lowering::castScalar(s.b, in[0], s.dtype,
                                            computeType(form.type));
              })
      .tensor;
}

Attended Emitter::emit(std::optional<Scores> wanted) {
  DType type = computeType(form.type);
  Attended attended;
  auto reached = [&](Scores stage, const Ranked &x) {
    if (wanted == stage)
      attended.scores = inType(x);
    return x;
  };
  Ranked x = product(form.query, form.key, all, Rank::Depth, all, type);
  x = reached(Scores::Scaled, scaled(x));
  x = reached(Scores::Capped, capped(x));
  for (const Ranked &bias : form.biases)
    x = biased(x, bias);
  x = reached(Scores::Masked, filtered(x));
  x = reached(Scores::Softmax, softmax(rounded(x)));
  SmallVector<Rank> kept = rows;
  kept.push_back(Rank::Width);
  attended.result =
      inType(product(x, form.value, kept, Rank::Key, form.layout, type));
  return attended;
}

bool Emitter::isEmpty() const {
  return llvm::any_of(shapeOf(all), [](AffineExpr size) {
    auto known = dyn_cast<AffineConstantExpr>(size);
    return known && known.getValue() == 0;
  });
}

/// Where there is no score at all, results are zero, if there are some.
Attended Emitter::emitNothing() {
  auto zeros = [&](ArrayRef<Rank> ranks) {
    Shape shape = shapeOf(ranks);
    Value zero = lowering.scalar(form.type, 0);
    return lowering.tensor(lowering.filled(shape, form.type, zero), shape,
                           form.type);
  };
  return {zeros(form.layout), zeros(all)};
}

Attended lutra::attend(Lowering &lowering, const Attend &form,
                       std::optional<Scores> wanted) {
  Emitter emitter(lowering, form);
  return emitter.isEmpty() ? emitter.emitNothing() : emitter.emit(wanted);
}
