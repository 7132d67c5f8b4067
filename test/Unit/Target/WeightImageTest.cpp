//===- WeightImageTest.cpp - Weight expressions against a plain reading ---===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Evaluates random lists of steps twice: as the image does, and step by step on
// whole tensors.
//
//===----------------------------------------------------------------------===//

#include "lutra/Target/WeightImage.h"

#include "dialects/Lutra/Lutra.h"
#include "mlir/IR/Builders.h"
#include "gtest/gtest.h"
#include <numeric>
#include <random>

using namespace mlir;
using namespace mlir::lutra;

namespace {

using Shape = SmallVector<int64_t>;

int64_t product(ArrayRef<int64_t> shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t(1),
                         std::multiplies<>());
}

Shape indexOf(ArrayRef<int64_t> shape, int64_t position) {
  Shape index(shape.size());
  for (size_t i = shape.size(); i-- > 0;) {
    index[i] = position % shape[i];
    position /= shape[i];
  }
  return index;
}

int64_t positionOf(ArrayRef<int64_t> shape, ArrayRef<int64_t> index) {
  int64_t position = 0;
  for (size_t i = 0; i < shape.size(); ++i)
    position = position * shape[i] + index[i];
  return position;
}

/// A tensor of numbers, transformed the slow way.
struct Naive {
  Shape shape;
  std::vector<int64_t> values;

  void transpose(ArrayRef<int64_t> permutation) {
    Naive old = *this;
    for (size_t i = 0; i < shape.size(); ++i)
      shape[i] = old.shape[permutation[i]];
    for (size_t p = 0; p < values.size(); ++p) {
      Shape index = indexOf(shape, p), from(shape.size());
      for (size_t i = 0; i < shape.size(); ++i)
        from[permutation[i]] = index[i];
      values[p] = old.values[positionOf(old.shape, from)];
    }
  }

  void reverse(int64_t dim) {
    Naive old = *this;
    for (size_t p = 0; p < values.size(); ++p) {
      Shape index = indexOf(shape, p);
      index[dim] = shape[dim] - 1 - index[dim];
      values[p] = old.values[positionOf(shape, index)];
    }
  }

  void pack(int64_t dim, int64_t tile, int64_t outer) {
    Naive old = *this;
    int64_t tiles = (shape[dim] + tile - 1) / tile;
    shape.erase(shape.begin() + dim);
    shape.insert(shape.begin() + outer, tiles);
    shape.push_back(tile);
    values.assign(product(shape), 0);
    for (size_t p = 0; p < values.size(); ++p) {
      Shape index = indexOf(shape, p);
      int64_t inside = index.pop_back_val(), tileIndex = index[outer];
      index.erase(index.begin() + outer);
      index.insert(index.begin() + dim, tileIndex * tile + inside);
      if (index[dim] < old.shape[dim])
        values[p] = old.values[positionOf(old.shape, index)];
    }
  }
};

struct Image : testing::Test {
  Image() : b(&context) {
    context.loadDialect<LutraDialect>();
    module = ModuleOp::create(UnknownLoc::get(&context));
  }

  DictionaryAttr weight(Type element, ArrayRef<int64_t> shape, StringRef data,
                        ArrayRef<Attribute> steps, StringRef encoding = "raw") {
    source.append(data.begin(), data.end());
    return b.getDictionaryAttr(
        {b.getNamedAttr("name", b.getStringAttr("w")),
         b.getNamedAttr("source", b.getStringAttr("model.onnx")),
         b.getNamedAttr("offset",
                        b.getI64IntegerAttr(source.size() - data.size())),
         b.getNamedAttr("size", b.getI64IntegerAttr(data.size())),
         b.getNamedAttr("encoding", b.getStringAttr(encoding)),
         b.getNamedAttr("storage",
                        TypeAttr::get(RankedTensorType::get(shape, element))),
         b.getNamedAttr("steps", b.getArrayAttr(steps))});
  }

  void add(int64_t at, DictionaryAttr weight, Type element,
           ArrayRef<int64_t> shape) {
    entries.push_back(b.getDictionaryAttr(
        {b.getNamedAttr("at", b.getI64IntegerAttr(at)),
         b.getNamedAttr("weight", weight),
         b.getNamedAttr(
             "type", TypeAttr::get(RankedTensorType::get(shape, element)))}));
    (*module)->setAttr(attr::kImage, b.getArrayAttr(entries));
  }

  std::string write() {
    std::string bytes;
    llvm::raw_string_ostream os(bytes);
    auto summary = writeImage(
        *module, [&](StringRef) -> llvm::Expected<StringRef> { return source; },
        os);
    if (!summary) {
      error = toString(summary.takeError());
      return "";
    }
    EXPECT_EQ(summary->size, bytes.size());
    EXPECT_EQ(cantFail(imageSize(*module)), bytes.size());
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint8_t byte : bytes)
      hash = (hash ^ byte) * 0x100000001b3u;
    EXPECT_EQ(summary->hash, hash);
    return bytes;
  }

  MLIRContext context;
  Builder b;
  OwningOpRef<ModuleOp> module;
  SmallVector<Attribute> entries;
  std::string source = "padding!", error;
};

/// Random factors of `count` as a shape.
Shape randomShape(int64_t count, std::mt19937 &random) {
  Shape shape;
  while (count > 1 && shape.size() < 4) {
    SmallVector<int64_t> divisors;
    for (int64_t d = 1; d <= count; ++d)
      if (count % d == 0)
        divisors.push_back(d);
    shape.push_back(divisors[random() % divisors.size()]);
    count /= shape.back();
  }
  shape.push_back(count);
  return shape;
}

TEST_F(Image, RandomSteps) {
  std::mt19937 random(3);
  for (int round = 0; round < 3000; ++round) {
    entries.clear();
    source.resize(8);
    Naive naive;
    for (unsigned rank = random() % 5; rank > 0; --rank)
      naive.shape.push_back(1 + random() % 7);
    naive.values.resize(product(naive.shape));
    std::iota(naive.values.begin(), naive.values.end(), 1);
    unsigned width = 16 << (random() % 3);
    std::string data;
    for (int64_t value : naive.values)
      data.append(reinterpret_cast<char *>(&value), width / 8);
    Shape storage = naive.shape;
    SmallVector<Attribute> steps;
    for (unsigned n = random() % 7; n > 0; --n) {
      int64_t rank = naive.shape.size(), dim;
      switch (random() % 4) {
      case 0: {
        Shape permutation(rank);
        std::iota(permutation.begin(), permutation.end(), 0);
        std::shuffle(permutation.begin(), permutation.end(), random);
        naive.transpose(permutation);
        steps.push_back(TransposeAttr::get(&context, permutation));
        break;
      }
      case 1:
        naive.shape = randomShape(naive.values.size(), random);
        steps.push_back(ReshapeAttr::get(&context, naive.shape));
        break;
      case 2:
        if (rank == 0)
          break;
        dim = random() % rank;
        naive.reverse(dim);
        steps.push_back(ReverseAttr::get(&context, dim));
        break;
      case 3:
        if (rank == 0 || rank > 6)
          break;
        dim = random() % rank;
        int64_t outer = random() % rank, tile = 1 + random() % 5;
        naive.pack(dim, tile, outer);
        steps.push_back(PackAttr::get(&context, dim, tile, outer));
        break;
      }
    }
    Type type = b.getIntegerType(width);
    add(0, weight(type, storage, data, steps), type, naive.shape);
    std::string bytes = write();
    ASSERT_EQ(error, "");
    ASSERT_EQ(bytes.size(), llvm::alignTo(naive.values.size() * width / 8, 64));
    for (size_t i = 0; i < naive.values.size(); ++i) {
      int64_t got = 0;
      memcpy(&got, bytes.data() + i * width / 8, width / 8);
      ASSERT_EQ(got, naive.values[i]) << "round " << round << " element " << i;
    }
  }
}

TEST_F(Image, LargeTransposeCrossesBlocks) {
  // More elements than a block holds, neither size a multiple of a tile.
  constexpr int64_t kRows = 1531, kColumns = 2069;
  std::vector<uint16_t> data(kRows * kColumns);
  std::iota(data.begin(), data.end(), 0);
  StringRef bytes(reinterpret_cast<char *>(data.data()), data.size() * 2);
  add(0,
      weight(b.getIntegerType(16), {kRows, kColumns}, bytes,
             {TransposeAttr::get(&context, {1, 0})}),
      b.getIntegerType(16), {kColumns, kRows});
  std::string image = write();
  ASSERT_EQ(error, "");
  for (int64_t i = 0; i < kColumns; ++i)
    for (int64_t j = 0; j < kRows; ++j) {
      uint16_t got;
      memcpy(&got, image.data() + (i * kRows + j) * 2, 2);
      ASSERT_EQ(got, data[j * kColumns + i]) << i << ' ' << j;
    }
}

TEST_F(Image, VarintsBoolsAndSeveralWeights) {
  // 1, 300, -1
  std::string varints("\x01\xac\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
  Type i32 = b.getIntegerType(32), i8 = b.getIntegerType(8);
  add(0, weight(i32, {3}, varints, {}, "varint"), i32, {3});
  Type i1 = b.getIntegerType(1);
  add(64, weight(i1, {3}, StringRef("\0\2\1", 3), {}), i8, {3});
  std::string image = write();
  ASSERT_EQ(error, "");
  ASSERT_EQ(image.size(), 128u);
  int32_t numbers[3];
  memcpy(numbers, image.data(), sizeof(numbers));
  EXPECT_EQ(numbers[0], 1);
  EXPECT_EQ(numbers[1], 300);
  EXPECT_EQ(numbers[2], -1);
  EXPECT_EQ(image.substr(12, 55), std::string(55, '\0').replace(53, 2, "\1\1"));
}

/// A scale per block of two columns and one zero point, transposed and packed.
TEST_F(Image, DequantizesWhatMoves) {
  Type f32 = b.getF32Type(), u8 = b.getIntegerType(8, /*isSigned=*/false);
  auto inlined = [&](RankedTensorType type, DenseElementsAttr value) {
    return b.getDictionaryAttr({b.getNamedAttr("name", b.getStringAttr("p")),
                                b.getNamedAttr("storage", TypeAttr::get(type)),
                                b.getNamedAttr("value", value)});
  };
  auto scaleType = RankedTensorType::get({3, 2}, f32);
  float scales[] = {1, 2, 0.5, 4, 0.25, 8};
  auto scale = inlined(
      scaleType, DenseElementsAttr::get(scaleType, ArrayRef<float>(scales)));
  auto zeroType = RankedTensorType::get({}, b.getI8Type());
  auto zero =
      inlined(zeroType, DenseElementsAttr::get(zeroType, ArrayRef<int8_t>{7}));
  Attribute steps[] = {
      DequantizeAttr::get(&context, u8, f32, /*axis=*/1, /*block=*/2, scale,
                          zero),
      TransposeAttr::get(&context, {1, 0}),
      PackAttr::get(&context, /*dim=*/1, /*tile=*/2, /*outer=*/0)};
  std::string bytes("\0\1\2\3\4\5\6\7\10\11\12\377", 12);
  add(0, weight(u8, {3, 4}, bytes, steps), f32, {2, 4, 2});
  std::string image = write();
  ASSERT_EQ(error, "");
  ASSERT_EQ(image.size(), 64u);
  for (int64_t row = 0; row < 4; ++row)
    for (int64_t column = 0; column < 4; ++column) {
      float expected = 0, actual;
      if (row < 3)
        expected = (float(uint8_t(bytes[row * 4 + column])) - 7) *
                   scales[row * 2 + column / 2];
      int64_t place = (row / 2 * 4 + column) * 2 + row % 2;
      memcpy(&actual, image.data() + place * sizeof(float), sizeof(float));
      EXPECT_EQ(actual, expected) << row << ", " << column;
    }
}

/// Codes of 4 bits, whose zero points are packed as well.
TEST_F(Image, DequantizesWhatIsUnpacked) {
  Type f32 = b.getF32Type(), u8 = b.getIntegerType(8, /*isSigned=*/false);
  auto inlined = [&](DenseElementsAttr value, ArrayRef<Attribute> steps) {
    return b.getDictionaryAttr(
        {b.getNamedAttr("name", b.getStringAttr("p")),
         b.getNamedAttr("storage", TypeAttr::get(value.getType())),
         b.getNamedAttr("steps", b.getArrayAttr(steps)),
         b.getNamedAttr("value", value)});
  };
  auto unpack = [&](ArrayRef<int64_t> shape) {
    return UnpackAttr::get(&context, 4, /*flip=*/true, shape, /*rows=*/1);
  };
  float scales[] = {1, 2, 0.5};
  auto scale = inlined(DenseElementsAttr::get(RankedTensorType::get(3, f32),
                                              ArrayRef<float>(scales)),
                       {});
  // -1, 2 and 0, as codes 7, 10 and 8.
  auto zero =
      inlined(DenseElementsAttr::get(RankedTensorType::get(2, b.getI8Type()),
                                     ArrayRef<int8_t>{0x2f, 0}),
              unpack(3));
  Attribute steps[] = {unpack({2, 3}),
                       DequantizeAttr::get(&context, u8, f32, /*axis=*/1,
                                           /*block=*/0, scale, zero),
                       TransposeAttr::get(&context, {1, 0})};
  add(0, weight(u8, {3}, "\x21\xf3\x87", steps), f32, {3, 2});
  std::string image = write();
  ASSERT_EQ(error, "");
  // The numbers are 1, 2, 3, -1, 7 and -8.
  float expected[] = {2, 0, 0, 10, 1.5, -4}, actual[6];
  memcpy(actual, image.data(), sizeof(actual));
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(actual[i], expected[i]) << i;
}

TEST_F(Image, Errors) {
  Type i32 = b.getIntegerType(32);
  auto expect = [&](DictionaryAttr weight, ArrayRef<int64_t> shape,
                    StringRef message) {
    entries.clear();
    add(0, weight, i32, shape);
    EXPECT_EQ(write(), "");
    EXPECT_EQ(error, message);
  };
  auto beyond = weight(i32, {2}, "12345678", {});
  source.resize(12);
  expect(beyond, {2},
         "weight 'w': expected bytes 8 to 16 of 'model.onnx', which has 12");
  source.resize(8);
  expect(weight(i32, {2}, "1234", {}), {2},
         "weight 'w': expected 8 bytes, got 4");
  expect(weight(i32, {2}, "\x01\x80", {}, "varint"), {2},
         "weight 'w': expected 2 packed varints in 2 bytes");
  expect(weight(i32, {1}, "1234", {PackAttr::get(&context, 0, INT64_MAX, 0)}),
         {1, INT64_MAX},
         "weight 'w': expected a size in range, got "
         "tensor<1x9223372036854775807xi32>");
  expect(weight(i32, {1}, "1234", {TransposeAttr::get(&context, {1})}), {1},
         "weight 'w': expects a permutation of 1 dimensions, got "
         "#lutra.transpose<[1]>");
  expect(weight(i32, {1}, "1234", {}), {2},
         "weight 'w': expected tensor<2xi32> after its steps, got "
         "tensor<1xi32>");
  entries.clear();
  add(4096, weight(i32, {1}, "1234", {}), i32, {1});
  EXPECT_EQ(write(), "");
  EXPECT_EQ(error, "expected a weight at 0 of the image, got 4096");
}

} // namespace
