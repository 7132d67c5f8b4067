//===- Npz.cpp - Zip archives of arrays -----------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Failure.h"
#include "Npy.h"

#include <array>
#ifdef LUTRA_HAS_ZLIB
#include <zlib.h>
#endif

using namespace lutra::run;

namespace {

enum : uint32_t {
  LocalSignature = 0x04034b50,
  EntrySignature = 0x02014b50,
  EndSignature = 0x06054b50
};
enum : size_t { LocalSize = 30, EntrySize = 46, EndSize = 22 };
enum : uint16_t { Stored = 0, Deflated = 8 };

/// Reads little-endian numbers and ranges; outside of the file is an error.
class Zip {
public:
  Zip(std::string_view bytes, const std::string &origin)
      : bytes(bytes), origin(origin) {}

  [[noreturn]] void fail(const std::string &what) const {
    throw Failure(Exit::Invalid, origin + ": bad .npz file: " + what);
  }

  std::string_view range(uint64_t offset, uint64_t size) const {
    if (offset > bytes.size() || size > bytes.size() - offset)
      fail("truncated");
    return bytes.substr(offset, size);
  }

  uint32_t number(uint64_t offset, int width) const {
    std::string_view digits = range(offset, width);
    uint32_t value = 0;
    for (int i = width; i-- > 0;)
      value = value << 8 | static_cast<unsigned char>(digits[i]);
    return value;
  }

  /// The end record is last, but for a comment of up to 64 KiB.
  uint64_t findEnd() const {
    for (size_t back = EndSize; back <= bytes.size() && back < EndSize + 65536;
         ++back)
      if (number(bytes.size() - back, 4) == EndSignature)
        return bytes.size() - back;
    fail("not a zip archive");
  }

private:
  std::string_view bytes;
  const std::string &origin;
};

struct Entry {
  std::string name;
  uint32_t method, crc, packedSize, size, offset;
};

Entry readEntry(const Zip &zip, uint64_t at, uint64_t &next) {
  if (zip.number(at, 4) != EntrySignature)
    zip.fail("bad directory");
  uint64_t nameSize = zip.number(at + 28, 2);
  next = at + EntrySize + nameSize + zip.number(at + 30, 2) +
         zip.number(at + 32, 2);
  Entry entry{std::string(zip.range(at + EntrySize, nameSize)),
              zip.number(at + 10, 2),
              zip.number(at + 16, 4),
              zip.number(at + 20, 4),
              zip.number(at + 24, 4),
              zip.number(at + 42, 4)};
  if (zip.number(at + 8, 2) & 1)
    zip.fail("'" + entry.name + "' is encrypted");
  if (entry.size == UINT32_MAX || entry.packedSize == UINT32_MAX ||
      entry.offset == UINT32_MAX)
    zip.fail("'" + entry.name +
             "': expected below 4 GiB; give this array as a .npy file");
  return entry;
}

#ifdef LUTRA_HAS_ZLIB
std::string inflateAll(const Zip &zip, const Entry &entry,
                       std::string_view packed) {
  // Deflate shrinks to no less than 1/1032: a larger size is a lie, and
  // believing it would take the memory first.
  if (entry.size / 1032 > packed.size())
    zip.fail("'" + entry.name + "' cannot unpack to its size");
  std::string data(entry.size, '\0');
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
    throw Failure(Exit::Internal, "cannot start zlib");
  stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef *>(data.data());
  stream.avail_out = entry.size;
  int result = inflate(&stream, Z_FINISH);
  bool complete = result == Z_STREAM_END && stream.avail_out == 0;
  inflateEnd(&stream);
  if (!complete)
    zip.fail("'" + entry.name + "' does not unpack to its size");
  return data;
}

uint32_t checksum(std::string_view data) {
  return crc32_z(0, reinterpret_cast<const Bytef *>(data.data()), data.size());
}
#else
std::string inflateAll(const Zip &zip, const Entry &entry, std::string_view) {
  zip.fail("'" + entry.name +
           "' is compressed, which takes zlib, and this program was built "
           "without; write it with numpy.savez");
}

/// The CRC-32 of zip archives.
uint32_t checksum(std::string_view data) {
  static const auto table = [] {
    std::array<uint32_t, 256> remainders;
    for (uint32_t byte = 0; byte < remainders.size(); ++byte) {
      uint32_t rest = byte;
      for (int bit = 0; bit < 8; ++bit)
        rest = rest >> 1 ^ (rest & 1 ? 0xedb88320u : 0);
      remainders[byte] = rest;
    }
    return remainders;
  }();
  uint32_t crc = UINT32_MAX;
  for (unsigned char byte : data)
    crc = table[(crc ^ byte) & 0xff] ^ crc >> 8;
  return ~crc;
}
#endif

std::string unpack(const Zip &zip, const Entry &entry) {
  if (zip.number(entry.offset, 4) != LocalSignature)
    zip.fail("'" + entry.name + "' is not where the directory says");
  // The local header may have other extra fields than the directory.
  uint64_t start = uint64_t(entry.offset) + LocalSize +
                   zip.number(uint64_t(entry.offset) + 26, 2) +
                   zip.number(uint64_t(entry.offset) + 28, 2);
  std::string_view packed = zip.range(start, entry.packedSize);
  std::string data;
  if (entry.method == Deflated)
    data = inflateAll(zip, entry, packed);
  else if (entry.method == Stored && entry.size == entry.packedSize)
    data = packed;
  else
    zip.fail("'" + entry.name + "': expected a stored or deflated entry");
  if (checksum(data) != entry.crc)
    zip.fail("'" + entry.name + "' is damaged: its checksum differs");
  return data;
}

} // namespace

std::map<std::string, Array> lutra::run::parseNpz(std::string_view bytes,
                                                  const std::string &origin) {
  Zip zip(bytes, origin);
  uint64_t end = zip.findEnd();
  uint32_t count = zip.number(end + 10, 2);
  uint64_t at = zip.number(end + 16, 4);
  uint64_t packed = 0;
  std::map<std::string, Array> arrays;
  for (uint32_t i = 0; i < count; ++i) {
    Entry entry = readEntry(zip, at, at);
    // Entries that share bytes could unpack a small file to any size.
    packed += entry.packedSize;
    if (packed > bytes.size())
      zip.fail("its entries overlap");
    std::string data = unpack(zip, entry);
    std::string name = entry.name;
    if (name.size() > 4 && name.compare(name.size() - 4, 4, ".npy") == 0)
      name.resize(name.size() - 4);
    Array array = parseNpy(data, origin + ": '" + entry.name + "'");
    if (!arrays.emplace(name, std::move(array)).second)
      zip.fail("two arrays are named '" + name + "'");
  }
  return arrays;
}

std::map<std::string, Array> lutra::run::readNpz(const std::string &path) {
  return parseNpz(readFile(path), path);
}
