//===- CodebookContraction.cpp - com.microsoft's MatMulBnb4 ---------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The product with a matrix of bitsandbytes' codes of 4 bits, FP4 or NF4.
// Blocks are of the matrix [N, K] in one row, so that one may go on in the next
// row; groups of mpgemm.matmul then are the largest that no block's end is
// within. The first code of a byte is in its high half, unlike anywhere else.
//
//===----------------------------------------------------------------------===//

#include "CodedMatrix.h"
#include "Elementwise.h"
#include "SizeCheck.h"
#include "dialects/Lutra/WeightFormats.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <numeric>

using namespace mlir;
using namespace mlir::lutra;

/// In the order of codes.
static constexpr float kFP4[] = {0,
                                 0.005208333333f,
                                 0.66666667f,
                                 1,
                                 0.33333333f,
                                 0.5f,
                                 0.16666667f,
                                 0.25f,
                                 -0.0f,
                                 -0.005208333333f,
                                 -0.66666667f,
                                 -1,
                                 -0.33333333f,
                                 -0.5f,
                                 -0.16666667f,
                                 -0.25f};

namespace {
enum Input : unsigned { A, B, AbsMax };
enum QuantType : int64_t { FP4, NF4 };

/// The numbers that a node's attributes give.
struct Blocks {
  int64_t n, k;
  /// Codes of a block.
  int64_t size;

  int64_t codes() const { return n * k; }
  int64_t bytes() const { return llvm::divideCeil(codes(), 2); }
  /// Codes of a group, which no end of a row or a block is within.
  int64_t group() const { return std::gcd(k, size); }
  int64_t groups() const { return k / group(); }
};
} // namespace

static constexpr DType kFloats[] = {DType::Float, DType::Float16,
                                    DType::BFloat16};

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

static std::optional<Blocks> checkNode(SizeCheck &check, const Node &node) {
  Blocks blocks;
  blocks.n = check.count("N", 0, 1, kMaxExtent);
  blocks.k = check.count("K", 0, 1, kMaxExtent);
  blocks.size = check.count("block_size", 0, 16, kMaxExtent);
  if (!llvm::isPowerOf2_64(blocks.size))
    check.fail("expected a block_size that is a power of 2, got " +
               Twine(blocks.size));
  check.count("quant_type", -1, FP4, NF4);
  if (int64_t trans = node.intAttr("transB", 1); trans != 1)
    check.fail("expected transB 1, got " + Twine(trans));
  for (auto [i, name] : {std::pair(A, "A"), {B, "B"}, {AbsMax, "absmax"}})
    if (!node.input(i))
      check.fail("expected " + Twine(name) + " (input " + Twine(i) +
                 "), got none");
  if (check.failed())
    return std::nullopt;
  check.expectType(A, "A", kFloats);
  check.expectType(B, "B", DType::UInt8);
  check.expectType(AbsMax, "absmax", kFloats);
  check.expect(B, "B", check.number(blocks.bytes()));
  check.expect(AbsMax, "absmax",
               check.number(llvm::divideCeil(blocks.codes(), blocks.size)));
  check.expectLast(A, "A", blocks.k);
  return blocks;
}

//===----------------------------------------------------------------------===//
// The matrix
//===----------------------------------------------------------------------===//

/// Codes from bytes that are known at run time, or that end within a byte.
static Tensor unpackAtRunTime(Lowering &lowering, const Tensor &bytes,
                              const Blocks &blocks,
                              ArrayRef<AffineExpr> shape) {
  SmallVector<utils::IteratorType> parallel(3, utils::IteratorType::parallel);
  return lowering.generic(
      {}, lowering.b.getMultiDimIdentityMap(3), parallel,
      lowering.empty(shape, DType::UInt8), shape, DType::UInt8,
      [&](ImplicitLocOpBuilder &b, ValueRange) -> Value {
        Scalars index(b, DType::Int64), i(b, DType::Int32);
        auto loop = [&](unsigned d) -> Value {
          return arith::IndexCastOp::create(b, index.type(),
                                            linalg::IndexOp::create(b, d));
        };
        Value row = index.add(
            index.mul(loop(0), index.constantInt(blocks.groups())), loop(1));
        Value code = index.add(
            index.mul(row, index.constantInt(blocks.group())), loop(2));
        Value at = arith::ShRUIOp::create(b, code, index.constantInt(1));
        at = arith::IndexCastOp::create(b, b.getIndexType(), at);
        Value byte = tensor::ExtractOp::create(b, bytes.value, at);
        byte = Lowering::castScalar(b, byte, DType::UInt8, DType::Int32);
        Value high = arith::ShRUIOp::create(b, byte, i.constantInt(4));
        Value low = arith::AndIOp::create(b, byte, i.constantInt(15));
        Value odd = arith::TruncIOp::create(b, b.getI1Type(), code);
        return Lowering::castScalar(b, i.select(odd, low, high), DType::Int32,
                                    DType::UInt8);
      });
}

static Tensor codesOf(const Node &node, Lowering &lowering,
                      const Blocks &blocks) {
  int64_t sizes[] = {blocks.n, blocks.groups(), blocks.group()};
  Shape shape = llvm::map_to_vector(
      sizes, [&](int64_t size) { return lowering.constant(size); });
  WeightOp weight;
  if (blocks.codes() % 2 == 0)
    weight = storedBytes(lowering, node.input(B));
  if (!weight)
    return unpackAtRunTime(lowering, node.input(B), blocks, shape);
  ImplicitLocOpBuilder &b = lowering.b;
  MLIRContext *context = b.getContext();
  Attribute steps[] = {UnpackAttr::get(context, 4, /*flip=*/false,
                                       {blocks.bytes(), 2}, /*rows=*/1),
                       ReverseAttr::get(context, 1),
                       ReshapeAttr::get(context, sizes)};
  auto copy = cast<WeightOp>(b.clone(*weight));
  copy.setStepsAttr(b.getArrayAttr(steps));
  copy.getResult().setType(lowering.type(shape, DType::UInt8));
  return lowering.tensor(copy.getResult(), shape, DType::UInt8);
}

/// The scale of each group: blocks' own, or repeated for the groups of a block.
static FailureOr<Tensor> scalesOf(const Node &node, Lowering &lowering,
                                  const Blocks &blocks) {
  Tensor absmax = node.input(AbsMax);
  Shape shape = {lowering.constant(blocks.n),
                 lowering.constant(blocks.groups())};
  int64_t groups = blocks.size / blocks.group();
  if (groups == 1)
    return lowering.reshape(absmax, shape);
  AffineExpr n, group;
  bindDims(lowering.context(), n, group);
  AffineExpr block = (n * blocks.groups() + group).floorDiv(groups);
  return computeMapped(lowering, absmax, AffineMap::get(2, 0, block), shape,
                       absmax.dtype,
                       [](Scalars &, ValueRange in) { return in[0]; });
}

static FailureOr<SmallVector<Tensor>> lowerMatMulBnb4(const Node &node,
                                                      Lowering &lowering) {
  SizeCheck check(node, &lowering);
  std::optional<Blocks> blocks = checkNode(check, node);
  if (check.failed())
    return node.error() << check.result().reason();
  FailureOr<Tensor> scales = scalesOf(node, lowering, *blocks);
  Tensor a = node.input(A);
  FailureOr<Tensor> rows = paddedRows(lowering, a, blocks->k);
  if (failed(scales) || failed(rows))
    return failure();
  CodedMatrix matrix = {codesOf(node, lowering, *blocks), 4, *scales, Tensor(),
                        0};
  bool isNF4 = node.intAttr("quant_type", FP4) == NF4;
  matrix.numbers = isNF4 ? findWeightFormat("nf4")->values : ArrayRef(kFP4);
  FailureOr<Tensor> product =
      codedProduct(lowering, *rows, matrix, /*integers=*/false);
  if (failed(product))
    return failure();
  Shape shape = a.shape;
  shape.back() = lowering.constant(blocks->n);
  FailureOr<Tensor> y = lowering.reshape(*product, shape);
  if (failed(y))
    return failure();
  return one(lowering.cast(*y, a.dtype));
}

void lutra::addCodebookContractionHandlers(Registry &registry) {
  registry.add({"com.microsoft",
                "MatMulBnb4",
                {1},
                supportsChecked<checkNode>,
                lowerMatMulBnb4,
                "a matrix [K, N] (transB 0)"});
}
