//===- NpzTest.cpp - Zip archives of arrays, right and hostile --*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Failure.h"
#include "Npy.h"
#include "gtest/gtest.h"

#include <random>
#include <zlib.h>

using namespace lutra::run;

namespace {

std::string number(uint32_t value, int width) {
  std::string bytes;
  for (int i = 0; i < width; ++i, value >>= 8)
    bytes += static_cast<char>(value & 0xff);
  return bytes;
}

std::string deflateAll(const std::string &data) {
  z_stream stream = {};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string packed(data.size() + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef *>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

/// Writes zip archives; each field of an entry can be a lie.
struct ZipWriter {
  struct Entry {
    std::string name, data;
    uint32_t method = 0;
    uint32_t flags = 0;
    int64_t crc = -1, size = -1; // -1: the truth.
  };

  void add(const Entry &entry) {
    std::string packed =
        entry.method == 8 ? deflateAll(entry.data) : entry.data;
    uint32_t crc = entry.crc >= 0 ? static_cast<uint32_t>(entry.crc)
                                  : crc32_z(0, (const Bytef *)entry.data.data(),
                                            entry.data.size());
    uint32_t size = entry.size >= 0 ? static_cast<uint32_t>(entry.size)
                                    : static_cast<uint32_t>(entry.data.size());
    std::string common =
        number(20, 2) + number(entry.flags, 2) + number(entry.method, 2) +
        number(0, 4) + number(crc, 4) +
        number(static_cast<uint32_t>(packed.size()), 4) + number(size, 4) +
        number(static_cast<uint32_t>(entry.name.size()), 2);
    directory += "PK\1\2" + number(20, 2) + common + number(0, 2 + 2 + 2) +
                 number(0, 2) + number(0, 4) +
                 number(static_cast<uint32_t>(body.size()), 4) + entry.name;
    body += "PK\3\4" + common + number(4, 2) + entry.name + "xtra" + packed;
    ++count;
  }

  std::string finish() const {
    return body + directory + "PK\5\6" + number(0, 4) + number(count, 2) +
           number(count, 2) +
           number(static_cast<uint32_t>(directory.size()), 4) +
           number(static_cast<uint32_t>(body.size()), 4) + number(0, 2);
  }

  std::string body, directory;
  uint32_t count = 0;
};

std::string someNpy() {
  Array array(LUTRA_INT32, {100});
  for (int64_t i = 0; i < 100; ++i)
    array.set(i, i);
  return formatNpy(array);
}

std::string errorOf(const std::string &bytes) {
  try {
    parseNpz(bytes, "a.npz");
    return "ok";
  } catch (const Failure &failure) {
    EXPECT_EQ(failure.code, Exit::Invalid);
    return failure.what();
  }
}

std::string errorOf(const ZipWriter::Entry &entry) {
  ZipWriter zip;
  zip.add(entry);
  return errorOf(zip.finish());
}

TEST(NpzTest, StoredAndDeflated) {
  ZipWriter zip;
  zip.add({"x.npy", someNpy(), 0});
  zip.add({"layers/0:y.npy", someNpy(), 8});
  auto arrays = parseNpz(zip.finish(), "a.npz");
  ASSERT_EQ(arrays.size(), 2u);
  EXPECT_EQ(arrays.at("x").get(99), 99);
  EXPECT_EQ(arrays.at("layers/0:y").get(7), 7);
}

TEST(NpzTest, EmptyArchive) { EXPECT_EQ(errorOf(ZipWriter().finish()), "ok"); }

TEST(NpzTest, Hostile) {
  const std::string bad = "a.npz: bad .npz file: ";
  EXPECT_EQ(errorOf(std::string()), bad + "not a zip archive");
  EXPECT_EQ(errorOf(std::string(1000, 'P')), bad + "not a zip archive");
  EXPECT_EQ(errorOf({"x.npy", someNpy(), 12}),
            bad + "'x.npy': expected a stored or deflated entry");
  EXPECT_EQ(errorOf({"x.npy", someNpy(), 0, 1}), bad + "'x.npy' is encrypted");
  EXPECT_EQ(errorOf({"x.npy", someNpy(), 0, 0, 1}),
            bad + "'x.npy' is damaged: its checksum differs");
  EXPECT_EQ(errorOf({"x.npy", someNpy(), 0, 0, -1, 5}),
            bad + "'x.npy': expected a stored or deflated entry");
  EXPECT_EQ(errorOf({"x.npy", someNpy(), 8, 0, -1, 5}),
            bad + "'x.npy' does not unpack to its size");
  EXPECT_EQ(errorOf({"x.npy", someNpy(), 8, 0, -1, 1000}),
            bad + "'x.npy' does not unpack to its size");
  EXPECT_EQ(errorOf({"x.npy", someNpy(), 8, 0, -1, 0x7fffffff}),
            bad + "'x.npy' cannot unpack to its size");
  EXPECT_EQ(errorOf({"x.npy", someNpy(), 8, 0, -1, 0xffffffff}),
            bad + "'x.npy': expected below 4 GiB; give this array as a .npy "
                  "file");
  EXPECT_EQ(errorOf({"x.npy", "no array", 0}),
            "a.npz: 'x.npy': expected a .npy file");
}

TEST(NpzTest, OneNameTwice) {
  ZipWriter zip;
  zip.add({"x.npy", someNpy(), 0});
  zip.add({"x", someNpy(), 0});
  EXPECT_EQ(errorOf(zip.finish()),
            "a.npz: bad .npz file: two arrays are named 'x'");
}

TEST(NpzTest, OverlappingEntries) {
  ZipWriter zip;
  zip.add({"x.npy", someNpy(), 0});
  std::string once = zip.directory;
  for (char c = 'a'; c < 'z'; ++c, ++zip.count) {
    std::string again = once;
    again[46] = c;
    zip.directory += again;
  }
  EXPECT_EQ(errorOf(zip.finish()), "a.npz: bad .npz file: its entries overlap");
}

TEST(NpzTest, EveryTruncationIsAnError) {
  ZipWriter zip;
  zip.add({"x.npy", someNpy(), 8});
  std::string bytes = zip.finish();
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_NE(errorOf(bytes.substr(0, size)), "ok") << size;
}

TEST(NpzTest, DamageNeverCrashes) {
  ZipWriter zip;
  zip.add({"x.npy", someNpy(), 8});
  zip.add({"y.npy", someNpy(), 0});
  const std::string good = zip.finish();
  std::mt19937 random(5);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = good;
    for (int i = 0; i <= round % 3; ++i)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    errorOf(bytes);
  }
}

} // namespace
