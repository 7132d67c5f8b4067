//===- WeightCodesTest.cpp - Low-bit codes against their definitions ------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Packs random codes bit by bit, has the image unpack, move and repack them,
// and looks each of them up where `CodePlanes.h` says that it lies.
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/CodePlanes.h"
#include "dialects/Lutra/Lutra.h"
#include "lutra/Target/WeightImage.h"
#include "mlir/IR/Builders.h"
#include "gtest/gtest.h"
#include <random>

using namespace mlir;
using namespace mlir::lutra;

namespace {

using Codes = std::vector<uint8_t>;

/// Codes as streams of bits, the lowest first, each of `rows` padded to a byte.
std::string packed(const Codes &codes, unsigned bits, int64_t rows = 1) {
  std::string bytes;
  int64_t perRow = codes.size() / rows;
  for (int64_t row = 0; row < rows; ++row) {
    std::string stream(llvm::divideCeil(perRow * bits, 8), '\0');
    for (int64_t bit = 0; bit < perRow * bits; ++bit)
      if (codes[row * perRow + bit / bits] >> bit % bits & 1)
        stream[bit / 8] |= 1 << bit % 8;
    bytes += stream;
  }
  return bytes;
}

/// Code (n, k) of codes that were packed to planes.
unsigned lookup(StringRef image, CodePlanes planes, int64_t chunks, int64_t n,
                int64_t k) {
  if (planes.rowsShareBytes) {
    int64_t perByte = 8 / planes.bits, lanes = planes.rows / 4,
            row = n % planes.rows, quarter = row / lanes,
            quad = n / planes.rows * chunks + k / 4,
            byte = quad * 4 * planes.rows / perByte +
                   quarter / perByte * planes.rows + row % lanes * 4 + k % 4;
    return uint8_t(image[byte]) >> quarter % perByte * planes.bits &
           ((1u << planes.bits) - 1);
  }
  int64_t panel = n / planes.rows, row = n % planes.rows, depth = planes.depth,
          quad = k / depth, half = planes.rows / 2,
          inVector = depth == 1 ? 2 * (row % half) + row / half
                                : depth * row + k % depth,
          chunk = quad / planes.quadsPerChunk();
  quad %= planes.quadsPerChunk();
  int64_t vector = (panel * chunks + chunk) * planes.vectorsPerChunk();
  unsigned code = 0;
  for (CodePlane plane : planes.planes()) {
    int64_t at = vector + quad / plane.codesPerByte();
    uint8_t byte = image[at * depth * planes.rows + inVector];
    unsigned field = quad % plane.codesPerByte() * plane.width;
    code |= (byte >> field & ((1u << plane.width) - 1)) << plane.shift;
    vector += planes.quadsPerChunk() / plane.codesPerByte();
  }
  return code;
}

struct WeightCodes : testing::Test {
  WeightCodes() : b(&context) { context.loadDialect<LutraDialect>(); }

  Codes randomCodes(int64_t count, unsigned bits) {
    Codes codes(count);
    for (uint8_t &code : codes)
      code = random() & ((1 << bits) - 1);
    return codes;
  }

  /// The image of one weight, without what follows it.
  std::string write(StringRef bytes, ArrayRef<Attribute> steps,
                    ArrayRef<int64_t> shape) {
    auto named = [&](StringRef name, Attribute value) {
      return b.getNamedAttr(name, value);
    };
    auto type = [&](ArrayRef<int64_t> shape) {
      return TypeAttr::get(RankedTensorType::get(shape, b.getI8Type()));
    };
    auto weight =
        b.getDictionaryAttr({named("name", b.getStringAttr("w")),
                             named("source", b.getStringAttr("model.onnx")),
                             named("offset", b.getI64IntegerAttr(0)),
                             named("size", b.getI64IntegerAttr(bytes.size())),
                             named("storage", type(int64_t(bytes.size()))),
                             named("steps", b.getArrayAttr(steps))});
    OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
    auto entry = b.getDictionaryAttr({named("at", b.getI64IntegerAttr(0)),
                                      named("weight", weight),
                                      named("type", type(shape))});
    (*module)->setAttr(attr::kImage, b.getArrayAttr({entry}));
    std::string image;
    llvm::raw_string_ostream os(image);
    auto summary = writeImage(
        *module, [&](StringRef) -> llvm::Expected<StringRef> { return bytes; },
        os);
    error = summary ? "" : toString(summary.takeError());
    return image;
  }

  void expectPlanes(StringRef image, CodePlanes planes, int64_t n, int64_t k,
                    function_ref<unsigned(int64_t, int64_t)> code) {
    ASSERT_EQ(error, "");
    int64_t chunks = planes.chunks(k),
            panels = llvm::divideCeil(n, planes.rows),
            padded = chunks * planes.quadsPerChunk() * planes.depth;
    ASSERT_EQ(image.size(),
              llvm::alignTo(panels * chunks * planes.vectorsPerChunk() *
                                planes.vectorBytes(),
                            64));
    for (int64_t i = 0; i < panels * planes.rows; ++i)
      for (int64_t j = 0; j < padded; ++j)
        ASSERT_EQ(lookup(image, planes, chunks, i, j),
                  i < n && j < k ? code(i, j) : 0)
            << planes.bits << " bits, " << planes.rows << " rows, code " << i
            << ", " << j << " of " << n << ", " << k;
  }

  SmallVector<int64_t> planesShape(CodePlanes planes, int64_t n, int64_t k) {
    return {int64_t(llvm::divideCeil(n, planes.rows)), planes.chunks(k),
            planes.vectorsPerChunk(), planes.vectorBytes()};
  }

  Attribute packing(CodePlanes planes) {
    return PlanesAttr::get(&context, planes.bits, planes.rows, planes.depth,
                           planes.rowsShareBytes);
  }

  MLIRContext context;
  Builder b;
  std::mt19937 random{5};
  std::string error;
};

TEST_F(WeightCodes, UnpacksRowsAndFlips) {
  for (unsigned bits = 1; bits <= 8; ++bits)
    for (int64_t rows : {1, 3})
      for (bool flip : {false, true}) {
        Codes codes = randomCodes(3 * 37, bits);
        std::string image = write(
            packed(codes, bits, rows),
            {UnpackAttr::get(&context, bits, flip, {3, 37}, rows)}, {3, 37});
        ASSERT_EQ(error, "");
        for (size_t i = 0; i < codes.size(); ++i)
          ASSERT_EQ(uint8_t(image[i]), codes[i] ^ (flip ? 1 << (bits - 1) : 0))
              << bits << " bits, code " << i;
      }
}

TEST_F(WeightCodes, PacksPlanesWithTails) {
  struct {
    int64_t n, groups, block, rows, depth = 4;
    bool rowsShareBytes = false;
  } shapes[] = {{16, 2, 32, 16},
                {1, 1, 1, 8},
                {5, 3, 16, 4},
                {33, 1, 100, 16},
                {7, 9, 7, 1},
                {3, 3, 2111, 2},
                {2, 0, 16, 8},
                {16, 2, 32, 16, 1},
                {1, 1, 1, 8, 1},
                {33, 1, 100, 16, 1},
                {16, 2, 32, 16, 4, true},
                {1, 1, 1, 8, 4, true},
                {33, 9, 7, 16, 4, true},
                {130, 1, 4100, 64, 4, true}};
  for (unsigned bits = 1; bits <= 8; ++bits)
    for (auto [n, groups, block, rows, depth, rowsShareBytes] : shapes) {
      int64_t k = groups * block;
      CodePlanes planes{bits, rows, depth, rowsShareBytes};
      if (!planes.isValid())
        continue;
      Codes codes = randomCodes(n * k, bits);
      std::string image =
          write(packed(codes, bits),
                {UnpackAttr::get(&context, bits, false, {n, groups, block}, 1),
                 ReshapeAttr::get(&context, {n, k}), packing(planes)},
                planesShape(planes, n, k));
      expectPlanes(image, planes, n, k,
                   [&](int64_t i, int64_t j) { return codes[i * k + j]; });
    }
}

/// Codes [K, N] of two's complement, turned; and groups that are padded with
/// zeros, which stay zeros where codes are flipped.
TEST_F(WeightCodes, MovesCodesBeforePacking) {
  constexpr int64_t kRows = 4, kN = 11, kGroups = 3, kSize = 6, kPadded = 8;
  for (unsigned bits = 1; bits <= 8; ++bits) {
    unsigned top = 1 << (bits - 1);
    CodePlanes planes{bits, kRows};
    Codes codes = randomCodes(kGroups * kSize * kN, bits);
    auto code = [&](int64_t n, int64_t k) { return codes[k * kN + n] ^ top; };
    int64_t k = kGroups * kSize;
    std::string image =
        write(packed(codes, bits),
              {UnpackAttr::get(&context, bits, true, {kGroups, kSize, kN}, 1),
               TransposeAttr::get(&context, {2, 0, 1}),
               ReshapeAttr::get(&context, {kN, k}), packing(planes)},
              planesShape(planes, kN, k));
    expectPlanes(image, planes, kN, k, code);

    k = kGroups * kPadded;
    image =
        write(packed(codes, bits),
              {UnpackAttr::get(&context, bits, true, {kGroups, kSize, kN}, 1),
               TransposeAttr::get(&context, {2, 0, 1}),
               PackAttr::get(&context, 2, kPadded, 2),
               ReshapeAttr::get(&context, {kN, k}), packing(planes)},
              planesShape(planes, kN, k));
    expectPlanes(image, planes, kN, k, [&](int64_t i, int64_t j) -> unsigned {
      int64_t group = j / kPadded, at = j % kPadded;
      return at < kSize ? code(i, group * kSize + at) : 0;
    });
  }
}

TEST_F(WeightCodes, PacksReversedAndRegroupedRows) {
  // A reshape that no strided view expresses.
  constexpr int64_t kRows = 3, kN = 10, kK = 21;
  for (unsigned bits : {3u, 4u}) {
    CodePlanes planes{bits, kRows};
    Codes codes = randomCodes(kN * kK, bits);
    std::string image =
        write(packed(codes, bits),
              {UnpackAttr::get(&context, bits, false, {kK, kN}, 1),
               TransposeAttr::get(&context, {1, 0}),
               ReshapeAttr::get(&context, {kK, kN}),
               ReverseAttr::get(&context, 0), packing(planes)},
              planesShape(planes, kK, kN));
    expectPlanes(image, planes, kK, kN, [&](int64_t i, int64_t j) {
      int64_t at = (kK - 1 - i) * kN + j;
      return codes[at % kK * kN + at / kK];
    });
  }
}

TEST_F(WeightCodes, Errors) {
  auto unpack = [&](unsigned bits, ArrayRef<int64_t> shape, int64_t rows = 1) {
    return UnpackAttr::get(&context, bits, false, shape, rows);
  };
  auto planes = [&](unsigned bits, int64_t rows, int64_t depth = 4) {
    return packing({bits, rows, depth});
  };
  struct {
    SmallVector<Attribute> steps;
    StringRef message;
  } cases[] = {
      {{unpack(0, {4})}, "expects codes of 1 to 8 bits"},
      {{unpack(9, {4})}, "expects codes of 1 to 8 bits"},
      {{unpack(UINT_MAX, {4})}, "expects codes of 1 to 8 bits"},
      {{unpack(4, {9})}, "expects a shape whose codes take 4 bytes"},
      {{unpack(4, {6})}, "expects a shape whose codes take 4 bytes"},
      {{unpack(4, {-8, -1})}, "expects a shape whose codes take 4 bytes"},
      {{unpack(4, {INT64_MAX, 2})}, "expects a shape whose codes take 4 bytes"},
      {{unpack(8, {INT64_MAX})}, "expects a shape whose codes take 4 bytes"},
      {{unpack(4, {8}, 0)}, "expects a shape whose codes take 4 bytes"},
      {{unpack(4, {8}, 3)}, "expects a shape whose codes take 4 bytes"},
      {{ReshapeAttr::get(&context, {2, 2}), unpack(8, {4})},
       "expects as its first step"},
      {{unpack(4, {8}), planes(4, 16)}, "expects codes in bytes of rank 2"},
      {{unpack(4, {2, 4}), planes(0, 16)}, "expects codes of 1 to 8 bits"},
      {{unpack(4, {2, 4}), planes(4, 0)}, "expects 1 to 1024 rows"},
      {{unpack(4, {2, 4}), planes(4, INT64_MAX)}, "expects 1 to 1024 rows"},
      {{unpack(4, {2, 4}), planes(4, 16, 2)}, "expects a depth of 4"},
      {{unpack(4, {2, 4}), planes(4, 15, 1)}, "expects a depth of 4"},
      {{unpack(4, {2, 4}), planes(4, 2), planes(4, 2)},
       "expects as its last step"},
      {{unpack(4, {2, 4}), PackAttr::get(&context, 1, INT64_MAX, 1)},
       "expected a size in range"}};
  for (auto &[steps, message] : cases) {
    write("abcd", steps, {4});
    EXPECT_TRUE(StringRef(error).contains(message)) << error;
  }
}

} // namespace
