//===- NpyTest.cpp - Array files, right and hostile -------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Npy.h"
#include "Failure.h"
#include "gtest/gtest.h"

#include <cstring>
#include <random>

using namespace lutra::run;

namespace {

std::string npy(const std::string &header, const std::string &data,
                char version = 1) {
  std::string bytes("\x93NUMPY", 6);
  bytes += {version, 0, static_cast<char>(header.size() & 0xff),
            static_cast<char>(header.size() >> 8)};
  if (version > 1)
    bytes += {0, 0};
  return bytes + header + data;
}

std::string header(const std::string &descr, const std::string &shape,
                   const char *fortran = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran +
         ", 'shape': " + shape + ", }";
}

std::string errorOf(const std::string &bytes) {
  try {
    parseNpy(bytes, "a.npy");
    return "ok";
  } catch (const Failure &failure) {
    EXPECT_EQ(failure.code, Exit::Invalid);
    return failure.what();
  }
}

TEST(NpyTest, EveryDtypeGoesRound) {
  for (lutra_dtype dtype :
       {LUTRA_FLOAT32, LUTRA_UINT8, LUTRA_INT8, LUTRA_UINT16, LUTRA_INT16,
        LUTRA_INT32, LUTRA_INT64, LUTRA_BOOL, LUTRA_FLOAT16, LUTRA_FLOAT64,
        LUTRA_UINT32, LUTRA_UINT64, LUTRA_BFLOAT16}) {
    Array array(dtype, {2, 3});
    for (int64_t i = 0; i < 6; ++i)
      array.set(i, dtype == LUTRA_BOOL ? i % 2 : i);
    Array back = parseNpy(formatNpy(array), "a.npy");
    EXPECT_EQ(back.dtype(), dtype);
    EXPECT_EQ(back.shape(), array.shape());
    EXPECT_EQ(std::memcmp(back.data(), array.data(), array.byteSize()), 0);
  }
}

TEST(NpyTest, ScalarsAndEmptyArraysGoRound) {
  for (const std::vector<int64_t> &shape :
       {std::vector<int64_t>{}, {0}, {5}, {3, 0, 2}}) {
    std::string bytes = formatNpy(Array(LUTRA_INT64, shape));
    EXPECT_EQ((bytes.find('\n') + 1) % 64, 0u);
    EXPECT_EQ(parseNpy(bytes, "a.npy").shape(), shape);
  }
}

TEST(NpyTest, FortranOrder) {
  Array array =
      parseNpy(npy(header("|u1", "(2, 3)", "True"), "\1\4\2\5\3\6"), "a.npy");
  for (int64_t i = 0; i < 6; ++i)
    EXPECT_EQ(array.get(i), i + 1);
}

TEST(NpyTest, BigEndian) {
  EXPECT_EQ(parseNpy(npy(header(">i2", "(1,)"), "\1\2"), "a.npy").get(0), 258);
}

TEST(NpyTest, LaterVersions) {
  EXPECT_EQ(parseNpy(npy(header("|i1", "()"), "\7", 2), "a.npy").get(0), 7);
  EXPECT_EQ(parseNpy(npy(header("|i1", "()"), "\7", 3), "a.npy").get(0), 7);
  EXPECT_EQ(errorOf(npy(header("|i1", "()"), "\7", 4)),
            "a.npy: expected .npy format 1 to 3, got 4");
}

TEST(NpyTest, Hostile) {
  EXPECT_EQ(errorOf(""), "a.npy: expected a .npy file");
  EXPECT_EQ(errorOf("\x93NUMPY\1"), "a.npy: expected a .npy file");
  EXPECT_EQ(errorOf(npy(header("<f4", "(2,)"), "1234567")),
            "a.npy: expected 8 bytes of data for shape [2], got 7");
  EXPECT_EQ(errorOf(npy(header("<f4", "(4611686018427387904, 4)"), "")),
            "a.npy: expected fewer than 2^63 bytes of data for shape "
            "[4611686018427387904,4], got 0");
  EXPECT_EQ(errorOf(npy(header("<f4", "(0, 4611686018427387904, 4)"), "x")),
            "a.npy: expected 0 bytes of data for shape "
            "[0,4611686018427387904,4], got 1");
  EXPECT_EQ(errorOf(npy(header("<f4", "(-1,)"), "")),
            "a.npy: bad .npy file: bad shape in the header");
  EXPECT_EQ(errorOf(npy(header("<f4", "(99999999999999999999,)"), "")),
            "a.npy: bad .npy file: bad shape in the header");
  EXPECT_EQ(errorOf(npy(header("<f4", "(1 2)"), "")),
            "a.npy: bad .npy file: expected ')' in the header");
  EXPECT_EQ(errorOf(npy(header("|O", "()"), "")),
            "a.npy: bad .npy file: no tensor has the element type '|O'");
  EXPECT_EQ(errorOf(npy("{'descr': [('a', '<f4')], }", "")),
            "a.npy: bad .npy file: expected a quoted word in the header; "
            "arrays of structures are not tensors");
  EXPECT_EQ(errorOf(npy("{'descr': '<f4", "")),
            "a.npy: bad .npy file: a quote in the header does not end");
  EXPECT_EQ(errorOf(npy("{'shape': (), 'descr': '<f4'}", "1234")),
            "a.npy: bad .npy file: the header lacks descr, fortran_order or "
            "shape");
  EXPECT_EQ(errorOf(npy("{'evil': 1}", "")),
            "a.npy: bad .npy file: unknown key in the header");
  EXPECT_EQ(errorOf(npy(header("<f4", "(1,), 'shape': (2,)"), "12345678")),
            "a.npy: bad .npy file: expected one shape in the header, got two");
  EXPECT_EQ(errorOf(npy(header("<f4", "(), 'descr': '<f4'"), "1234")),
            "a.npy: bad .npy file: expected one descr in the header, got two");
  EXPECT_EQ(errorOf(npy(header("<f4", "()", "Maybe"), "1234")),
            "a.npy: bad .npy file: expected True or False in the header");
  EXPECT_EQ(errorOf(npy(header("|b1", "(2,)"), "\1\2")),
            "a.npy: expected bools of 0 or 1");
  EXPECT_EQ(errorOf(npy("", "")),
            "a.npy: bad .npy file: expected '{' in the header");
}

TEST(NpyTest, EveryTruncationIsAnError) {
  std::string bytes = formatNpy(Array(LUTRA_FLOAT32, {3, 2}));
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_NE(errorOf(bytes.substr(0, size)), "ok") << size;
}

TEST(NpyTest, DamageNeverCrashes) {
  const std::string good = formatNpy(Array(LUTRA_INT16, {3, 2}));
  std::mt19937 random(3);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = good;
    for (int i = 0; i <= round % 3; ++i)
      bytes[random() % 80] = static_cast<char>(random());
    errorOf(bytes);
  }
}

TEST(NpyTest, FilesThatAreNotThere) {
  try {
    readNpy("/nowhere/a.npy");
    FAIL();
  } catch (const Failure &failure) {
    EXPECT_EQ(failure.code, Exit::InputOutput);
    EXPECT_STREQ(failure.what(), "/nowhere/a.npy: No such file or directory");
  }
  try {
    writeNpy("/nowhere/a.npy", Array(LUTRA_FLOAT32, {1}));
    FAIL();
  } catch (const Failure &failure) {
    EXPECT_EQ(failure.code, Exit::InputOutput);
    EXPECT_STREQ(failure.what(), "/nowhere/a.npy: No such file or directory");
  }
}

} // namespace
