//===- WeightQuantizationTest.cpp - Quantized weights of an image ---------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Has the image quantize matrices that lie one way or the other, and quantizes
// each of their groups beside it.
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/Lutra.h"
#include "lib/Target/GroupQuantizer.h"
#include "lutra/Target/WeightError.h"
#include "mlir/IR/Builders.h"
#include "gtest/gtest.h"
#include <cmath>
#include <cstring>
#include <random>

using namespace mlir;
using namespace mlir::lutra;

namespace {

struct WeightQuantizationTest : testing::Test {
  WeightQuantizationTest() : b(&context) {
    context.loadDialect<LutraDialect>();
  }

  void fill(int64_t rows, int64_t columns) {
    n = rows;
    k = columns;
    weights.resize(n * k);
    std::normal_distribution<float> normal;
    for (float &weight : weights)
      weight = normal(random);
  }

  QuantizeAttr step(StringRef part, StringRef format, int64_t group,
                    DenseElementsAttr factors = {}, DictionaryAttr moments = {},
                    DenseElementsAttr rows = {}) {
    return QuantizeAttr::get(&context, part, format, group, kLeastSquares,
                             factors, moments, /*superBlock=*/0, rows);
  }

  DenseElementsAttr vector(ArrayRef<float> numbers) {
    auto type = RankedTensorType::get(int64_t(numbers.size()), b.getF32Type());
    return DenseElementsAttr::get(type, numbers);
  }

  /// A weight that the file has as [K, N], with more steps than its transpose.
  DictionaryAttr weight(ArrayRef<Attribute> more) {
    SmallVector<Attribute> steps = {TransposeAttr::get(&context, {1, 0})};
    llvm::append_range(steps, more);
    auto named = [&](StringRef name, Attribute value) {
      return b.getNamedAttr(name, value);
    };
    return b.getDictionaryAttr(
        {named("name", b.getStringAttr("fc")),
         named("source", b.getStringAttr("model.onnx")),
         named("offset", b.getI64IntegerAttr(0)),
         named("size", b.getI64IntegerAttr(4 * n * k)),
         named("storage",
               TypeAttr::get(RankedTensorType::get({k, n}, b.getF32Type()))),
         named("steps", b.getArrayAttr(steps))});
  }

  std::string file() {
    std::string bytes(4 * n * k, '\0');
    for (int64_t row = 0; row < n; ++row)
      for (int64_t column = 0; column < k; ++column)
        std::memcpy(&bytes[4 * (column * n + row)], &weights[row * k + column],
                    4);
    return bytes;
  }

  /// An image of two entries, of which the second begins at `second`.
  std::string write(Attribute first, RankedTensorType firstType, Attribute last,
                    RankedTensorType lastType, int64_t &second) {
    int64_t bytes =
        firstType.getNumElements() * firstType.getElementTypeBitWidth() / 8;
    second = llvm::alignTo(bytes, 64);
    auto entry = [&](int64_t at, Attribute weight, Type type) {
      return b.getDictionaryAttr({b.getNamedAttr("at", b.getI64IntegerAttr(at)),
                                  b.getNamedAttr("weight", weight),
                                  b.getNamedAttr("type", TypeAttr::get(type))});
    };
    OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
    (*module)->setAttr(attr::kImage,
                       b.getArrayAttr({entry(0, first, firstType),
                                       entry(second, last, lastType)}));
    std::string image, source = file();
    llvm::raw_string_ostream os(image);
    auto summary = writeImage(
        *module, [&](StringRef) -> llvm::Expected<StringRef> { return source; },
        os);
    error = summary ? "" : toString(summary.takeError());
    return image;
  }

  ArrayRef<float> groupOf(int64_t row, int64_t group, int64_t size) {
    int64_t at = group * size;
    return ArrayRef(weights).slice(row * k + at, std::min(size, k - at));
  }

  MLIRContext context;
  Builder b;
  std::mt19937 random{11};
  int64_t n = 0, k = 0;
  std::vector<float> weights;
  std::string error;
};

TEST_F(WeightQuantizationTest, FitsEachGroupAlone) {
  // More rows than a panel, ragged groups, and a row of one group.
  for (auto [rows, columns, size] : {std::array<int64_t, 3>{130, 70, 32},
                                     {3, 64, 16},
                                     {70, 33, 33},
                                     {1, 1, 1}})
    for (StringRef name : {"uint4", "int3", "nf4"}) {
      fill(rows, columns);
      int64_t groups = llvm::divideCeil(k, size), second = 0;
      StringRef part = name == "uint4" ? kZeros : kScales;
      Type type = name == "uint4" ? Type(b.getI8Type()) : b.getBF16Type();
      std::string image = write(
          weight(step(part, name, size)),
          RankedTensorType::get({n, groups}, type),
          weight(step(kCodes, name, size)),
          RankedTensorType::get({n, groups, size}, b.getI8Type()), second);
      ASSERT_EQ(error, "");
      GroupQuantizer quantizer(*findWeightFormat(name), /*leastSquares=*/true);
      for (int64_t row = 0; row < n; ++row)
        for (int64_t group = 0; group < groups; ++group) {
          ArrayRef<float> ofGroup = groupOf(row, group, size);
          GroupParameters expected = quantizer.fit(ofGroup);
          int64_t at = row * groups + group;
          if (part == kZeros) {
            ASSERT_EQ(uint8_t(image[at]), expected.zero);
          } else {
            uint32_t bits = 0;
            std::memcpy(reinterpret_cast<char *>(&bits) + 2, &image[2 * at], 2);
            float scale;
            std::memcpy(&scale, &bits, 4);
            ASSERT_EQ(scale, expected.scale);
          }
          std::vector<uint8_t> codes(size);
          quantizer.encode(ofGroup, expected, codes.data());
          for (int64_t i = 0; i < size; ++i)
            ASSERT_EQ(uint8_t(image[second + at * size + i]), codes[i])
                << name.str() << " row " << row << ", group " << group << ", "
                << i;
        }
    }
}

TEST_F(WeightQuantizationTest, MovesCodesAsAnyOthers) {
  fill(70, 40);
  Attribute codes = step(kCodes, "int4", 16);
  auto type = RankedTensorType::get({70, 3, 16}, b.getI8Type());
  int64_t second = 0;
  std::string image =
      write(weight(codes), type,
            weight({codes, TransposeAttr::get(&context, {2, 0, 1})}),
            RankedTensorType::get({16, 70, 3}, b.getI8Type()), second);
  ASSERT_EQ(error, "");
  for (int64_t row = 0; row < 70; ++row)
    for (int64_t group = 0; group < 3; ++group)
      for (int64_t i = 0; i < 16; ++i)
        ASSERT_EQ(image[(row * 3 + group) * 16 + i],
                  image[second + (i * 70 + row) * 3 + group]);
}

TEST_F(WeightQuantizationTest, QuantizesSomeRows) {
  // Neighbours and rows that lie more than a panel apart, of several panels.
  fill(700, 40);
  SmallVector<int64_t> rows = {0};
  while (rows.back() + 1 < 699)
    rows.push_back(rows.back() + (rows.size() % 90 == 0 ? 150 : 1));
  while (rows.back() > 699)
    rows.pop_back();
  int64_t some = rows.size(), second = 0;
  ASSERT_GT(some, 128);
  std::string image =
      write(weight(step(kCodes, "int4", 16)),
            RankedTensorType::get({700, 3, 16}, b.getI8Type()),
            weight(step(kCodes, "int4", 16, {}, {}, b.getI64TensorAttr(rows))),
            RankedTensorType::get({some, 3, 16}, b.getI8Type()), second);
  ASSERT_EQ(error, "");
  for (auto [i, row] : llvm::enumerate(rows))
    ASSERT_EQ(image.substr(second + i * 48, 48), image.substr(row * 48, 48))
        << row;
}

TEST_F(WeightQuantizationTest, NamesWhatIsNotFinite) {
  for (float wrong : {std::nanf(""), INFINITY}) {
    fill(5, 40);
    weights[2 * k + 33] = wrong;
    int64_t second = 0;
    write(weight(step(kCodes, "int4", 32)),
          RankedTensorType::get({5, 2, 32}, b.getI8Type()),
          weight(step(kScales, "int4", 32)),
          RankedTensorType::get({5, 2}, b.getBF16Type()), second);
    EXPECT_EQ(error, "weight 'fc': expected finite numbers to quantize, got " +
                         std::to_string(wrong) + " for input 33 of output 2");
  }
}

TEST_F(WeightQuantizationTest, MeasuresItsError) {
  fill(9, 50);
  std::string source = file();
  auto measured = measureQuantization(
      weight({step(kCodes, "int4", 32), ReshapeAttr::get(&context, {9, 64})}),
      UnknownLoc::get(&context),
      [&](StringRef) -> llvm::Expected<StringRef> { return source; });
  ASSERT_TRUE(bool(measured)) << toString(measured.takeError());
  GroupQuantizer quantizer(*findWeightFormat("int4"), /*leastSquares=*/true);
  double squares = 0, expected = 0;
  for (float number : weights)
    squares += double(number) * number;
  for (int64_t row = 0; row < n; ++row)
    for (int64_t group = 0; group < 2; ++group) {
      ArrayRef<float> ofGroup = groupOf(row, group, 32);
      expected += quantizer.squaredError(ofGroup, quantizer.fit(ofGroup));
    }
  EXPECT_NEAR(measured->squaredWeights, squares, 1e-9 * squares);
  EXPECT_NEAR(measured->squaredError, expected, 1e-5 * expected);
  EXPECT_NEAR(measured->relative(), std::sqrt(expected / squares), 1e-6);
}

} // namespace

TEST_F(WeightQuantizationTest, ScalesColumnsAndKeepsOthers) {
  // More rows than a panel.
  fill(70, 40);
  std::vector<float> factors(k, 1), scaled(k);
  factors[3] = factors[39] = 0;
  factors[7] = 2;
  DenseElementsAttr attribute = vector(factors);
  int64_t second = 0;
  std::string image =
      write(weight(step(kCodes, "int4", 20, attribute)),
            RankedTensorType::get({n, 2, 20}, b.getI8Type()),
            weight(step(kRest, "int4", 20, attribute)),
            RankedTensorType::get({n, 2}, b.getF32Type()), second);
  ASSERT_EQ(error, "");
  GroupQuantizer quantizer(*findWeightFormat("int4"), /*leastSquares=*/true);
  for (int64_t row = 0; row < n; ++row) {
    for (int64_t i = 0; i < k; ++i)
      scaled[i] = weights[row * k + i] * factors[i];
    for (int64_t group = 0; group < 2; ++group) {
      ArrayRef<float> ofGroup = ArrayRef(scaled).slice(group * 20, 20);
      std::vector<uint8_t> codes(20);
      quantizer.encode(ofGroup, quantizer.fit(ofGroup), codes.data());
      for (int64_t i = 0; i < 20; ++i)
        ASSERT_EQ(uint8_t(image[row * k + group * 20 + i]), codes[i]);
    }
    float rest[2];
    std::memcpy(rest, &image[second + row * sizeof(rest)], sizeof(rest));
    ASSERT_EQ(rest[0], weights[row * k + 3]);
    ASSERT_EQ(rest[1], weights[row * k + 39]);
  }
}

TEST_F(WeightQuantizationTest, AddsUpRows) {
  // More rows than a panel; columns that stay count as what their codes are.
  fill(70, 40);
  std::vector<float> factors(k, 1);
  factors[3] = 0;
  DenseElementsAttr attribute = vector(factors);
  int64_t second = 0;
  std::string image = write(weight(step(kCodes, "int4", 20, attribute)),
                            RankedTensorType::get({n, 2, 20}, b.getI8Type()),
                            weight(step(kSums, "int4", 20, attribute)),
                            RankedTensorType::get({n}, b.getF32Type()), second);
  ASSERT_EQ(error, "");
  GroupQuantizer quantizer(*findWeightFormat("int4"), /*leastSquares=*/true);
  for (int64_t row = 0; row < n; ++row) {
    double expected = 0;
    for (int64_t group = 0; group < 2; ++group) {
      std::vector<float> numbers = groupOf(row, group, 20).vec();
      if (group == 0)
        numbers[3] = 0;
      GroupParameters fitted = quantizer.fit(numbers);
      for (int64_t i = 0; i < 20; ++i)
        expected += quantizer.decode(image[row * k + group * 20 + i], fitted);
    }
    float sum;
    std::memcpy(&sum, &image[second + row * sizeof(sum)], sizeof(sum));
    ASSERT_FLOAT_EQ(sum, expected);
  }
}

TEST_F(WeightQuantizationTest, RepeatsColumns) {
  // Zeros among the others, and twice behind them.
  fill(70, 40);
  std::vector<float> factors(k, 1);
  factors[3] = factors[39] = -1;
  int64_t second = 0;
  std::string image =
      write(weight(step(kCodes, "int4", 20, vector(factors))),
            RankedTensorType::get({n, 4, 20}, b.getI8Type()),
            weight(step(kScales, "int4", 20, vector(factors))),
            RankedTensorType::get({n, 4}, b.getBF16Type()), second);
  ASSERT_EQ(error, "");
  GroupQuantizer quantizer(*findWeightFormat("int4"), /*leastSquares=*/true);
  for (int64_t row = 0; row < n; ++row) {
    std::vector<float> groups[] = {
        groupOf(row, 0, 20).vec(),
        groupOf(row, 1, 20).vec(),
        {weights[row * k + 3], weights[row * k + 39]}};
    groups[0][3] = groups[1][19] = 0;
    for (int64_t group = 0; group < 4; ++group) {
      ArrayRef<float> ofGroup = groups[std::min<int64_t>(group, 2)];
      std::vector<uint8_t> codes(20);
      quantizer.encode(ofGroup, quantizer.fit(ofGroup), codes.data());
      for (int64_t i = 0; i < 20; ++i)
        ASSERT_EQ(uint8_t(image[(row * 4 + group) * 20 + i]), codes[i]);
    }
    // Both copies have one scale.
    ASSERT_EQ(image.substr(second + row * 8 + 4, 2),
              image.substr(second + row * 8 + 6, 2));
  }
}

TEST_F(WeightQuantizationTest, MeasuresTheErrorOfOutputs) {
  fill(9, 50);
  std::string source = file();
  std::vector<float> squares(k);
  for (int64_t i = 0; i < k; ++i)
    squares[i] = 1 + i * i;
  DictionaryAttr moments = b.getDictionaryAttr(
      {b.getNamedAttr("name", b.getStringAttr("m")),
       b.getNamedAttr("storage", TypeAttr::get(vector(squares).getType())),
       b.getNamedAttr("value", vector(squares))});
  auto errorOf = [&](DictionaryAttr known) {
    auto measured = measureQuantization(
        weight({step(kCodes, "int3", 50, {}, known)}),
        UnknownLoc::get(&context),
        [&](StringRef) -> llvm::Expected<StringRef> { return source; });
    EXPECT_TRUE(bool(measured)) << toString(measured.takeError());
    return measured ? *measured : QuantizationError();
  };
  double outputs = 0, blind = 0;
  GroupQuantizer quantizer(*findWeightFormat("int3"), /*leastSquares=*/true);
  for (int64_t row = 0; row < n; ++row) {
    ArrayRef<float> ofGroup = groupOf(row, 0, k);
    GroupParameters parameters = quantizer.fit(ofGroup);
    std::vector<uint8_t> codes(k);
    quantizer.encode(ofGroup, parameters, codes.data());
    for (int64_t i = 0; i < k; ++i) {
      double wrong = ofGroup[i] - quantizer.decode(codes[i], parameters);
      blind += squares[i] * wrong * wrong;
      outputs += double(squares[i]) * ofGroup[i] * ofGroup[i];
    }
  }
  QuantizationError known = errorOf(moments);
  EXPECT_NEAR(known.squaredWeights, outputs, 1e-5 * outputs);
  // Scales that are chosen for it.
  EXPECT_LT(known.squaredError, 0.97 * blind);
}
