//===- TopK.cpp - TopK ----------------------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Keeps a sorted list of the best k elements seen so far, in the result itself.
// An element that is no better than the last of them costs one comparison, and
// of n elements in random order only k * log(n / k) are better.
//
//===----------------------------------------------------------------------===//

#include "TopK.h"

#include "Elementwise.h"
#include "Loops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {
/// Emits the loops over the elements of one row. A row is what shares its
/// position in all dimensions but the axis.
class RowSorter {
public:
  RowSorter(ImplicitLocOpBuilder &b, const Tensor &x, int64_t axis,
            ValueRange row, Value k, bool largest)
      : b(b), x(x), axis(axis), row(row), k(k), largest(largest) {}

  /// Lists of values and indices after element `i`.
  SmallVector<Value> visit(Value i, ValueRange lists);

private:
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  SmallVector<Value> at(Value position) {
    SmallVector<Value> indices(row);
    indices.insert(indices.begin() + axis, position);
    return indices;
  }
  Value read(Value list, Value position) {
    return tensor::ExtractOp::create(b, list, at(position));
  }
  Value write(Value element, Value list, Value position) {
    return tensor::InsertOp::create(b, element, list, at(position));
  }
  Value isBetter(Value element, Value than);
  Value placeOf(Value element, Value list, Value filled);
  SmallVector<Value> insert(Value element, Value i, Value filled,
                            ValueRange lists);
  SmallVector<Value> loop(Value from, Value to, ValueRange inits,
                          function_ref<SmallVector<Value>(Value, ValueRange)>);

  ImplicitLocOpBuilder b;
  const Tensor &x;
  int64_t axis;
  ValueRange row;
  Value k;
  bool largest;
};
} // namespace

SmallVector<Value>
RowSorter::loop(Value from, Value to, ValueRange inits,
                function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(b, from, to, index(1), inits);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(loop.getBody());
  scf::YieldOp::create(b,
                       body(loop.getInductionVar(), loop.getRegionIterArgs()));
  return loop.getResults();
}

Value RowSorter::isBetter(Value element, Value than) {
  DType type = computeType(x.dtype);
  Scalars s(b, type);
  element = Lowering::castScalar(b, element, x.dtype, type);
  than = Lowering::castScalar(b, than, x.dtype, type);
  return largest ? s.gt(element, than) : s.lt(element, than);
}

/// How many of the first `filled` elements `element` is no better than. These
/// come first, so that equal elements stay in order.
Value RowSorter::placeOf(Value element, Value list, Value filled) {
  return loop(index(0), filled, index(0), [&](Value i, ValueRange count) {
    Value better = isBetter(element, read(list, i));
    Value more = arith::AddIOp::create(b, count[0], index(1));
    return SmallVector<Value>{
        arith::SelectOp::create(b, better, count[0], more)};
  })[0];
}

SmallVector<Value> RowSorter::insert(Value element, Value i, Value filled,
                                     ValueRange lists) {
  Value place = placeOf(element, lists[0], filled);
  Value last = arith::SubIOp::create(b, k, index(1));
  Value free = arith::MinUIOp::create(b, filled, last);
  Value moved = arith::SubIOp::create(b, free, place);
  SmallVector<Value> shifted =
      loop(index(0), moved, lists, [&](Value step, ValueRange lists) {
        Value to = arith::SubIOp::create(b, free, step);
        Value from = arith::SubIOp::create(b, to, index(1));
        SmallVector<Value> result;
        for (Value list : lists)
          result.push_back(write(read(list, from), list, to));
        return result;
      });
  Value number = arith::IndexCastOp::create(b, b.getI64Type(), i);
  return {write(element, shifted[0], place), write(number, shifted[1], place)};
}

SmallVector<Value> RowSorter::visit(Value i, ValueRange lists) {
  Value element = read(x.value, i);
  Value filled = arith::MinUIOp::create(b, i, k);
  Value last = arith::SubIOp::create(b, k, index(1));
  // Before it is filled the last place holds something of no meaning.
  Value hasRoom = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, i, k);
  Value wanted =
      arith::OrIOp::create(b, hasRoom, isBetter(element, read(lists[0], last)));
  auto branch = scf::IfOp::create(b, lists.getTypes(), wanted,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(branch.thenBlock());
  scf::YieldOp::create(b, insert(element, i, filled, lists));
  b.setInsertionPointToEnd(branch.elseBlock());
  scf::YieldOp::create(b, lists);
  return branch.getResults();
}

std::pair<Tensor, Tensor> lutra::topK(Lowering &lowering, const Tensor &x,
                                      int64_t axis, AffineExpr k,
                                      bool largest) {
  Shape shape = x.shape, loops = x.shape;
  shape[axis] = k;
  Value inits[] = {lowering.empty(shape, x.dtype),
                   lowering.empty(shape, DType::Int64)};
  SmallVector<Value> lists(inits, inits + 2);
  if (k != lowering.constant(0)) {
    // Rows outside, the elements of a row inside.
    loops.erase(loops.begin() + axis);
    loops.push_back(x.shape[axis]);
    Value count = lowering.sizeValue(k);
    lists = loopInOrder(
        lowering, loops, inits,
        [&](ImplicitLocOpBuilder &b, ValueRange index, ValueRange lists) {
          return RowSorter(b, x, axis, index.drop_back(), count, largest)
              .visit(index.back(), lists);
        });
  }
  return {lowering.tensor(lists[0], shape, x.dtype),
          lowering.tensor(lists[1], shape, DType::Int64)};
}

static Support supportsTopK(const Node &node) {
  if (node.sinceVersion >= 10 && node.numInputs() != 2)
    return Support::no("expected 2 inputs, got " + Twine(node.numInputs()));
  if (node.sinceVersion < 10 && node.intAttr("k", -1) < 0)
    return Support::no("expected k of 0 or more");
  DType type = node.input(0).dtype;
  if (type != DType::Undefined && !accepts(Types::Number, type))
    return Support::no("expected numbers, got " + dtypeName(type));
  return node.sinceVersion < 10 ? Support::yes()
                                : supportsKnown(node, 1, "k", true);
}

/// The number of elements to find: an attribute, an input, or what the declared
/// shape of the result says.
static FailureOr<AffineExpr> countOfTop(const Node &node, Lowering &lowering,
                                        int64_t axis) {
  if (node.sinceVersion < 10)
    return lowering.constant(node.intAttr("k", 0));
  if (auto ints = knownInts(lowering, node.input(1)); ints && ints->size() == 1)
    return ints->front();
  std::optional<Shape> declared = declaredShape(node);
  if (declared && int64_t(declared->size()) > axis)
    return (*declared)[axis];
  FailureOr<SmallVector<AffineExpr>> ints = requireInts(node, lowering, 1, "k");
  if (failed(ints))
    return failure();
  return node.error() << "expected one k, got " << ints->size();
}

static FailureOr<SmallVector<Tensor>> lowerTopK(const Node &node,
                                                Lowering &lowering) {
  if (Support support = supportsTopK(node); !support)
    return node.error() << support.reason();
  Tensor x = node.input(0);
  auto axis = normalizeAxis(node, node.intAttr("axis", -1), x.rank());
  if (failed(axis))
    return failure();
  FailureOr<AffineExpr> k = countOfTop(node, lowering, *axis);
  if (failed(k))
    return failure();
  AffineExpr size = x.shape[*axis];
  // The last place is read for every element.
  bool isNone = *k == lowering.constant(0);
  if (!(isNone || lowering.requireNonNegative(*k - 1)) ||
      !lowering.requireNonNegative(size - *k))
    return node.error() << "expected k in [0, " << sizeText(lowering, size)
                        << "], got " << sizeText(lowering, *k);
  auto [values, indices] =
      topK(lowering, x, *axis, *k, node.intAttr("largest", 1));
  return SmallVector<Tensor>{values, indices};
}

void lutra::addTopKHandlers(Registry &r) {
  r.add({"",
         "TopK",
         {1, 10, 11, 24},
         supportsTopK,
         lowerTopK,
         "k must be constant or computed from shapes"});
}
