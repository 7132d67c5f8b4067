//===- QuantizedGather.cpp - com.microsoft's GatherBlockQuantized ---------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rows of a table of codes, as numbers: the embedding of a quantized language
// model. The table stays packed, as the file has it, and only the codes that
// indices name are read. A negative index counts from the end; one that is
// outside of the table gives zeros.
//
//===----------------------------------------------------------------------===//

#include "../SizeAlgebra.h"
#include "CodedMatrix.h"
#include "Elementwise.h"
#include "SizeCheck.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {
enum Input : unsigned { Data, Indices, Scales, ZeroPoints };

/// A node's attributes, for the table as it is unpacked.
struct Table {
  unsigned bits;
  int64_t block, gatherAxis, quantizeAxis;
  /// Of codes; not known before the data's is.
  Shape shape;

  /// The shape of scales, and of zero points that are not packed.
  Shape perBlock() const {
    Shape blocks = shape;
    AffineExpr &size = blocks[quantizeAxis];
    size = canonicalSize(size.ceilDiv(block));
    return blocks;
  }
};

/// Codes in consecutive bytes, `bits` each, the lowest first.
struct Stream {
  Tensor bytes;
  unsigned bits;
};
} // namespace

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

/// Whether bytes hold codes along the last dimension.
static bool isPacked(const Node &node) {
  return node.input(Data).dtype == DType::UInt8;
}

/// An axis of the data, counted from the front.
static int64_t checkAxis(SizeCheck &check, const Node &node, StringRef name,
                         int64_t otherwise, int64_t rank) {
  int64_t axis = check.count(name, otherwise, -rank, rank - 1);
  return axis < 0 ? axis + rank : axis;
}

static void checkTypes(SizeCheck &check, const Node &node) {
  for (auto [i, name] :
       {std::pair(Data, "data"), {Indices, "indices"}, {Scales, "scales"}})
    if (!node.input(i))
      check.fail("expected " + Twine(name) + " (input " + Twine(i) +
                 "), got none");
  check.expectType(Data, "data", {DType::UInt8, DType::Int4, DType::UInt4});
  check.expectType(Indices, "indices", {DType::Int32, DType::Int64});
  check.expectType(Scales, "scales",
                   {DType::Float, DType::Float16, DType::BFloat16});
  if (DType type = node.input(Data).dtype; type != DType::Undefined)
    check.expectType(ZeroPoints, "zero_points", type);
}

static void checkPacked(SizeCheck &check, Table &table) {
  if (table.gatherAxis != 0)
    check.fail("expected gather_axis 0 for data of type UINT8, got " +
               Twine(table.gatherAxis));
  int64_t last = table.shape.size() - 1;
  if (table.quantizeAxis != last || last == 0)
    check.fail("expected quantize_axis to be the last of 2 or more for data of "
               "type UINT8, got " +
               Twine(table.quantizeAxis) + " of " + Twine(last + 1));
  table.shape.back() = canonicalSize(table.shape.back() * (8 / table.bits));
}

static Table checkNode(SizeCheck &check, const Node &node) {
  Table table;
  checkTypes(check, node);
  table.bits = check.count("bits", 4, 2, 8);
  if (!llvm::isPowerOf2_32(table.bits) ||
      (node.input(Data) && isNarrow(node.input(Data).dtype) && table.bits != 4))
    check.fail("expected bits 4, or for data of type UINT8 2, 4 or 8, got " +
               Twine(table.bits));
  table.block = check.count("block_size", 128, 16, kMaxExtent);
  if (!llvm::isPowerOf2_64(table.block))
    check.fail("expected a block_size that is a power of 2, got " +
               Twine(table.block));
  if (check.failed() || !check.isKnown(Data))
    return table;
  table.shape = node.input(Data).shape;
  int64_t rank = table.shape.size();
  if (rank == 0)
    check.fail("expected data of rank 1 or more, got rank 0");
  table.gatherAxis = checkAxis(check, node, "gather_axis", 0, rank);
  table.quantizeAxis = checkAxis(check, node, "quantize_axis", 1, rank);
  if (!check.failed() && isPacked(node))
    checkPacked(check, table);
  if (check.failed())
    return table;
  Shape blocks = table.perBlock();
  check.expect(Scales, "scales", blocks);
  if (isPacked(node))
    blocks.back() = canonicalSize(blocks.back().ceilDiv(8 / table.bits));
  check.expect(ZeroPoints, "zero_points", blocks);
  return table;
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

/// The table as bytes in one dimension. What the file holds of 4 bits is read
/// as it is there; else there is one code in a byte.
static FailureOr<Stream> streamOf(const Node &node, Lowering &lowering,
                                  const Table &table) {
  Tensor data = node.input(Data);
  Stream stream = {data, isPacked(node) ? table.bits : 8};
  auto weight = data.value.getDefiningOp<WeightOp>();
  if (!isPacked(node) && weight && weight.getSteps().size() == 1)
    if (auto unpack = dyn_cast<UnpackAttr>(weight.getSteps()[0])) {
      auto copy = cast<WeightOp>(lowering.b.clone(*weight));
      auto storage = cast<RankedTensorType>(weight.getStorage());
      copy.setStepsAttr(lowering.b.getArrayAttr({}));
      Shape shape = {lowering.constant(storage.getNumElements())};
      copy.getResult().setType(lowering.type(shape, DType::UInt8));
      return Stream{lowering.tensor(copy.getResult(), shape, DType::UInt8),
                    unpack.getBits()};
    }
  stream.bytes.dtype = DType::UInt8;
  FailureOr<Tensor> flat =
      lowering.reshape(stream.bytes, lowering.product(stream.bytes.shape));
  if (failed(flat))
    return failure();
  stream.bytes = *flat;
  return stream;
}

/// Code `position` of a stream that begins at `at` without its last index, as
/// it is stored.
static Value readCode(const Scalars &i, const Tensor &bytes, unsigned bits,
                      SmallVector<Value> at, Value position) {
  Scalars index(i.b, DType::Int64);
  int64_t perByte = 8 / bits;
  Value byte = arith::ShRUIOp::create(
      i.b, position, index.constantInt(llvm::Log2_64(perByte)));
  at.push_back(arith::IndexCastOp::create(i.b, i.b.getIndexType(), byte));
  Value read = tensor::ExtractOp::create(i.b, bytes.value, at);
  read = Lowering::castScalar(i.b, read, DType::UInt8, DType::Int32);
  Value first = index.mul(
      arith::AndIOp::create(i.b, position, index.constantInt(perByte - 1)),
      index.constantInt(bits));
  Value shift = arith::TruncIOp::create(i.b, i.type(), first);
  return arith::AndIOp::create(i.b, arith::ShRUIOp::create(i.b, read, shift),
                               i.constantInt((1 << bits) - 1));
}

//===----------------------------------------------------------------------===//
// The elements
//===----------------------------------------------------------------------===//

namespace {
/// Emits what gives an element of the result from where it is in the table.
class Decoder {
public:
  Decoder(const Node &node, Lowering &lowering, const Table &table,
          const Stream &stream)
      : node(node), lowering(lowering), table(table), stream(stream) {}

  /// (code - zero) * scale in f32.
  Value decode(Scalars &s, ArrayRef<Value> at) const {
    Scalars i(s.b, DType::Int32), f(s.b, DType::Float);
    Value code = codeAt(i, at);
    SmallVector<Value> block(at);
    Value &quantized = block[table.quantizeAxis];
    Scalars index(s.b, DType::Int64);
    Value shift = index.constantInt(llvm::Log2_64(table.block));
    quantized =
        toIndex(s.b, arith::ShRUIOp::create(s.b, toInt(s.b, quantized), shift));
    Value number = i.sub(code, zeroAt(i, block));
    const Tensor &scales = node.input(Scales);
    Value scale = tensor::ExtractOp::create(s.b, scales.value, block);
    return f.mul(Lowering::castScalar(s.b, number, DType::Int32, DType::Float),
                 Lowering::castScalar(s.b, scale, scales.dtype, DType::Float));
  }

private:
  static Value toInt(ImplicitLocOpBuilder &b, Value index) {
    return arith::IndexCastOp::create(b, b.getI64Type(), index);
  }
  static Value toIndex(ImplicitLocOpBuilder &b, Value number) {
    return arith::IndexCastOp::create(b, b.getIndexType(), number);
  }

  Value codeAt(const Scalars &i, ArrayRef<Value> at) const {
    Scalars index(i.b, DType::Int64);
    Value flat = index.constantInt(0);
    for (auto [size, here] : llvm::zip_equal(table.shape, at))
      flat = index.add(index.mul(flat, sizeScalar(lowering, index, size)),
                       toInt(i.b, here));
    Value code = readCode(i, stream.bytes, stream.bits, {}, flat);
    // In the file signed codes are two's complement.
    if (node.input(Data).dtype == DType::Int4 && stream.bits == 4)
      code = arith::XOrIOp::create(i.b, code, i.constantInt(8));
    return code;
  }

  /// The zero point of a block, as codes are: signed ones are 8 more.
  Value zeroAt(const Scalars &i, ArrayRef<Value> block) const {
    const Tensor &zeros = node.input(ZeroPoints);
    if (!zeros)
      return i.constantInt(
          node.input(Data).dtype == DType::UInt4 ? 0 : 1 << (table.bits - 1));
    if (isPacked(node))
      return readCode(i, zeros, table.bits,
                      SmallVector<Value>(block.drop_back()),
                      toInt(i.b, block.back()));
    Value zero = tensor::ExtractOp::create(i.b, zeros.value, block);
    return Lowering::castScalar(i.b, zero, DType::UInt8, DType::Int32);
  }

  const Node &node;
  Lowering &lowering;
  const Table &table;
  const Stream &stream;
};
} // namespace

/// Whether an index is outside of a dimension.
static Value isOutside(Lowering &lowering, ImplicitLocOpBuilder &b, Value index,
                       DType dtype, AffineExpr size) {
  Scalars s(b, DType::Int64);
  Value wide = Lowering::castScalar(b, index, dtype, DType::Int64);
  Value count = sizeScalar(lowering, s, size);
  return arith::OrIOp::create(b, s.ge(wide, count), s.lt(wide, s.neg(count)));
}

static Tensor gather(const Node &node, Lowering &lowering, const Table &table,
                     const Stream &stream) {
  Tensor indices = node.input(Indices);
  int64_t axis = table.gatherAxis, behind = axis + indices.rank();
  Shape shape(table.shape.begin(), table.shape.begin() + axis);
  shape.append(indices.shape.begin(), indices.shape.end());
  shape.append(table.shape.begin() + axis + 1, table.shape.end());
  SmallVector<AffineExpr> loops;
  for (int64_t i = axis; i < behind; ++i)
    loops.push_back(lowering.b.getAffineDimExpr(i));
  auto map = AffineMap::get(shape.size(), 0, loops, lowering.context());
  Decoder decoder(node, lowering, table, stream);
  return computeMapped(
      lowering, indices, map, shape, node.input(Scales).dtype,
      [&](Scalars &s, ValueRange in) {
        SmallVector<Value> at;
        for (int64_t d = 0, rank = table.shape.size(); d < rank; ++d)
          at.push_back(d == axis
                           ? position(lowering, s.b, in[0], indices.dtype,
                                      table.shape[d])
                           : Value(linalg::IndexOp::create(
                                 s.b, d < axis ? d : behind + d - axis - 1)));
        Scalars f(s.b, DType::Float);
        Value outside =
            isOutside(lowering, s.b, in[0], indices.dtype, table.shape[axis]);
        return f.select(outside, f.constant(0), decoder.decode(s, at));
      });
}

static FailureOr<SmallVector<Tensor>>
lowerGatherBlockQuantized(const Node &node, Lowering &lowering) {
  SizeCheck check(node, &lowering);
  Table table = checkNode(check, node);
  if (check.failed())
    return node.error() << check.result().reason();
  if (failed(requirePosition(node, lowering, table.shape[table.gatherAxis])))
    return failure();
  FailureOr<Stream> stream = streamOf(node, lowering, table);
  if (failed(stream))
    return failure();
  return one(gather(node, lowering, table, *stream));
}

void lutra::addQuantizedGatherHandlers(Registry &registry) {
  registry.add({"com.microsoft",
                "GatherBlockQuantized",
                {1},
                supportsChecked<checkNode>,
                lowerGatherBlockQuantized,
                "data of FP4 and FP8",
                /*takesNarrow=*/true});
}
