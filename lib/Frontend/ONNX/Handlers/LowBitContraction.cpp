//===- LowBitContraction.cpp - com.microsoft's MatMulNBits ----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The product with a matrix of codes of 1 to 8 bits that exporters of language
// models write. Blocks of a column's codes share a scale and a zero point;
// that is a group of mpgemm.matmul. Codes in the file stay as they are, with a
// step that reads them; those that are known only at run time are unpacked by
// arithmetic.
//
//===----------------------------------------------------------------------===//

#include "../SizeAlgebra.h"
#include "CodedMatrix.h"
#include "Contraction.h"
#include "Elementwise.h"
#include "PackedCodes.h"
#include "SizeCheck.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {
enum Input : unsigned { A, B, Scales, ZeroPoints, GroupIndex, Bias };

/// The numbers that a node's attributes give.
struct Blocks {
  int64_t n, k;
  /// Codes of a block, and blocks of a column.
  int64_t size, count;
  unsigned bits;

  int64_t padded() const { return size * count; }
  /// The bytes of `codes` codes.
  int64_t bytes(int64_t codes) const {
    return llvm::divideCeil(codes * bits, 8);
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

static constexpr DType kFloats[] = {DType::Float, DType::Float16,
                                    DType::BFloat16};

static std::optional<Blocks> checkAttributes(SizeCheck &check,
                                             const Node &node) {
  Blocks blocks;
  blocks.n = check.count("N", 0, 1, kMaxExtent);
  blocks.k = check.count("K", 0, 1, kMaxExtent);
  blocks.size = check.count("block_size", 0, 16, kMaxExtent);
  blocks.bits = check.count("bits", 4, 1, 8);
  check.count("accuracy_level", 0, 0, 4);
  if (!llvm::isPowerOf2_64(blocks.size))
    check.fail("expected a block_size that is a power of 2, got " +
               Twine(blocks.size));
  if (int64_t layout = node.intAttr("weight_prepacked", 0))
    check.fail("expected weight_prepacked 0, got " + Twine(layout) +
               ": layouts of one device not implemented");
  if (check.failed())
    return std::nullopt;
  blocks.count = llvm::divideCeil(blocks.k, blocks.size);
  return blocks;
}

/// Fails unless input i has `columns` elements for each column of the product,
/// as a matrix or in one dimension.
static void expectColumns(SizeCheck &check, const Node &node, unsigned i,
                          StringRef name, const Blocks &blocks,
                          int64_t columns) {
  if (knownRank(node.input(i)) == 1)
    check.expect(i, name, check.number(blocks.n * columns));
  else
    check.expect(i, name, {check.number(blocks.n), check.number(columns)});
}

static void checkInputs(SizeCheck &check, const Node &node,
                        const Blocks &blocks) {
  for (auto [i, name] : {std::pair(A, "A"), {B, "B"}, {Scales, "scales"}})
    if (!node.input(i))
      check.fail("expected " + Twine(name) + " (input " + Twine(i) +
                 "), got none");
  check.expectType(A, "A", kFloats);
  check.expectType(B, "B", DType::UInt8);
  check.expectType(Scales, "scales", kFloats);
  check.expectType(
      ZeroPoints, "zero_points",
      {DType::UInt8, DType::Float, DType::Float16, DType::BFloat16});
  check.expectType(GroupIndex, "g_idx", DType::Int32);
  check.expectType(Bias, "bias", node.input(A).dtype);
  check.expect(B, "B",
               {check.number(blocks.n), check.number(blocks.count),
                check.number(blocks.bytes(blocks.size))});
  expectColumns(check, node, Scales, "scales", blocks, blocks.count);
  if (DType type = node.input(ZeroPoints).dtype; type != DType::Undefined)
    expectColumns(check, node, ZeroPoints, "zero_points", blocks,
                  isFloat(type) ? blocks.count : blocks.bytes(blocks.count));
  Tensor index = node.input(GroupIndex);
  if (check.isKnown(GroupIndex) &&
      !(index.rank() == 1 && index.staticSize(0) == blocks.padded()))
    check.expect(GroupIndex, "g_idx", check.number(blocks.k));
  check.expect(Bias, "bias", check.number(blocks.n));
  check.expectLast(A, "A", blocks.k);
}

static std::optional<Blocks> checkNode(SizeCheck &check, const Node &node) {
  std::optional<Blocks> blocks = checkAttributes(check, node);
  if (blocks)
    checkInputs(check, node, *blocks);
  return blocks;
}

//===----------------------------------------------------------------------===//
// The matrix
//===----------------------------------------------------------------------===//

/// The zero point that all blocks share: that of each code without zero points,
/// or constants that are equal; nothing where they differ.
static std::optional<int64_t> sharedZero(const Node &node, Lowering &lowering,
                                         const Blocks &blocks) {
  Tensor zeros = node.input(ZeroPoints);
  if (!zeros)
    return int64_t(1) << (blocks.bits - 1);
  auto bytes = lowering.constantInts(zeros);
  if (!bytes || 8 % blocks.bits != 0 || !llvm::all_equal(*bytes))
    return std::nullopt;
  // A byte of equal codes is a multiple of that of ones.
  int64_t ones = 255 / ((1 << blocks.bits) - 1);
  if (bytes->front() % ones != 0)
    return std::nullopt;
  return bytes->front() / ones;
}

static FailureOr<CodedMatrix> matrixOf(const Node &node, Lowering &lowering,
                                       const Blocks &blocks) {
  FailureOr<Tensor> codes =
      unpackCodes(lowering, node.input(B), blocks.bits,
                  {blocks.n, blocks.count, blocks.size}, blocks.n);
  Shape perBlock = {lowering.constant(blocks.n),
                    lowering.constant(blocks.count)};
  FailureOr<Tensor> scales = lowering.reshape(node.input(Scales), perBlock);
  if (failed(codes) || failed(scales))
    return failure();
  CodedMatrix matrix = {*codes, blocks.bits, *scales, Tensor(), 0};
  if (auto zero = sharedZero(node, lowering, blocks)) {
    matrix.zero = *zero;
    return matrix;
  }
  Tensor given = node.input(ZeroPoints);
  FailureOr<Tensor> zeros =
      isFloat(given.dtype) ? lowering.reshape(given, perBlock)
                           : unpackCodes(lowering, given, blocks.bits,
                                         {blocks.n, blocks.count}, blocks.n);
  if (failed(zeros))
    return failure();
  matrix.zeros = *zeros;
  return matrix;
}

//===----------------------------------------------------------------------===//
// Blocks that g_idx names
//===----------------------------------------------------------------------===//

/// Whether blocks are of codes that follow each other.
static bool isInOrder(const Node &node, Lowering &lowering,
                      const Blocks &blocks) {
  if (!node.input(GroupIndex))
    return true;
  auto known = lowering.constantInts(node.input(GroupIndex));
  if (!known)
    return false;
  for (int64_t k = 0; k < blocks.k; ++k)
    if ((*known)[k] != k / blocks.size)
      return false;
  return true;
}

/// The matrix in f32, as [N, K]: each code may be of any group.
static FailureOr<Tensor> decode(const Node &node, Lowering &lowering,
                                const CodedMatrix &matrix,
                                const Blocks &blocks) {
  AffineExpr padded = lowering.constant(blocks.padded());
  Tensor index = node.input(GroupIndex);
  AffineExpr missing = canonicalSize(padded - index.shape[0]);
  index = lowering.pad(index, lowering.constant(0), missing,
                       lowering.scalarInt(DType::Int32, 0));
  Shape shape = {lowering.constant(blocks.n), padded};
  FailureOr<Tensor> codes = lowering.reshape(matrix.codes, shape);
  if (failed(codes))
    return failure();
  AffineExpr n, k;
  bindDims(lowering.context(), n, k);
  auto map = [&](ArrayRef<AffineExpr> loops) {
    return AffineMap::get(2, 0, loops, lowering.context());
  };
  return computeMapped(
      lowering, {*codes, index}, {map({n, k}), map(k)}, shape, DType::Float,
      [&](Scalars &s, ValueRange in) {
        Scalars f(s.b, DType::Float);
        Value column = linalg::IndexOp::create(s.b, 0);
        Value block = position(lowering, s.b, in[1], DType::Int32,
                               lowering.constant(blocks.count));
        auto ofBlock = [&](const Tensor &tensor) {
          Value element = tensor::ExtractOp::create(s.b, tensor.value,
                                                    ValueRange{column, block});
          return Lowering::castScalar(s.b, element, tensor.dtype, DType::Float);
        };
        Value zero = matrix.zeros ? ofBlock(matrix.zeros)
                                  : f.constant(double(matrix.zero));
        Value code =
            Lowering::castScalar(s.b, in[0], DType::UInt8, DType::Float);
        return f.mul(f.sub(code, zero), ofBlock(matrix.scales));
      });
}

static FailureOr<Tensor> decodedProduct(const Node &node, Lowering &lowering,
                                        const Tensor &rows,
                                        const CodedMatrix &matrix,
                                        const Blocks &blocks) {
  FailureOr<Tensor> decoded = decode(node, lowering, matrix, blocks);
  if (failed(decoded))
    return failure();
  AffineExpr m, n, k;
  bindDims(lowering.context(), m, n, k);
  auto map = [&](ArrayRef<AffineExpr> loops) {
    return AffineMap::get(3, 0, loops, lowering.context());
  };
  AffineMap maps[] = {map({m, k}), map({n, k}), map({m, n})};
  utils::IteratorType iterators[] = {utils::IteratorType::parallel,
                                     utils::IteratorType::parallel,
                                     utils::IteratorType::reduction};
  return sumOfProducts(lowering, rows, *decoded, DType::Float, maps, iterators,
                       {rows.shape[0], lowering.constant(blocks.n)});
}

static FailureOr<SmallVector<Tensor>> lowerMatMulNBits(const Node &node,
                                                       Lowering &lowering) {
  SizeCheck check(node, &lowering);
  std::optional<Blocks> blocks = checkNode(check, node);
  if (check.failed())
    return node.error() << check.result().reason();
  FailureOr<CodedMatrix> matrix = matrixOf(node, lowering, *blocks);
  Tensor a = node.input(A);
  FailureOr<Tensor> rows = paddedRows(lowering, a, blocks->padded());
  if (failed(matrix) || failed(rows))
    return failure();
  FailureOr<Tensor> product =
      isInOrder(node, lowering, *blocks)
          ? codedProduct(lowering, *rows, *matrix,
                         node.intAttr("accuracy_level", 0) == 4)
          : decodedProduct(node, lowering, *rows, *matrix, *blocks);
  if (failed(product))
    return failure();
  Shape shape = a.shape;
  shape.back() = lowering.constant(blocks->n);
  FailureOr<Tensor> y = lowering.reshape(*product, shape);
  if (failed(y))
    return failure();
  return one(addBias(lowering, *y, node.input(Bias), a.dtype));
}

void lutra::addLowBitContractionHandlers(Registry &registry) {
  registry.add({"com.microsoft",
                "MatMulNBits",
                {1},
                supportsChecked<checkNode>,
                lowerMatMulNBits,
                "weights that were packed for a device"});
}
