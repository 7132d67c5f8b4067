//===- Npy.cpp - NumPy's array files --------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Npy.h"
#include "Failure.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <set>

using namespace lutra::run;

namespace {

struct TypeCode {
  const char *code; // NumPy's, without the byte order.
  lutra_dtype dtype;
};

const TypeCode typeCodes[] = {
    {"f4", LUTRA_FLOAT32}, {"f8", LUTRA_FLOAT64}, {"f2", LUTRA_FLOAT16},
    {"i1", LUTRA_INT8},    {"i2", LUTRA_INT16},   {"i4", LUTRA_INT32},
    {"i8", LUTRA_INT64},   {"u1", LUTRA_UINT8},   {"u2", LUTRA_UINT16},
    {"u4", LUTRA_UINT32},  {"u8", LUTRA_UINT64},  {"b1", LUTRA_BOOL},
    {"V2", LUTRA_BFLOAT16}};

const std::string_view magic("\x93NUMPY", 6);

struct Header {
  lutra_dtype dtype = LUTRA_FLOAT32;
  bool bigEndian = false;
  bool fortran = false;
  std::vector<int64_t> shape;
};

/// The header is a Python dict of three known keys:
/// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderParser {
public:
  HeaderParser(std::string_view text, const std::string &origin)
      : rest(text), origin(origin) {}

  Header parse() {
    expect('{');
    std::set<std::string_view> seen;
    while (!accept('}')) {
      std::string_view key = string();
      expect(':');
      if (!seen.insert(key).second)
        fail("expected one " + std::string(key) + " in the header, got two");
      if (key == "descr")
        parseDescr();
      else if (key == "fortran_order")
        header.fortran = boolean();
      else if (key == "shape")
        parseShape();
      else
        fail("unknown key in the header");
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (seen.size() != 3)
      fail("the header lacks descr, fortran_order or shape");
    return std::move(header);
  }

private:
  [[noreturn]] void fail(const std::string &what) {
    throw Failure(Exit::Invalid, origin + ": bad .npy file: " + what);
  }

  bool accept(char c) {
    rest.remove_prefix(std::min(rest.find_first_not_of(" \n"), rest.size()));
    if (rest.empty() || rest.front() != c)
      return false;
    rest.remove_prefix(1);
    return true;
  }

  void expect(char c) {
    if (!accept(c))
      fail(std::string("expected '") + c + "' in the header");
  }

  std::string_view string() {
    char quote = accept('"') ? '"' : '\'';
    if (quote == '\'' && !accept('\''))
      fail("expected a quoted word in the header; arrays of structures are "
           "not tensors");
    size_t end = rest.find(quote);
    if (end == std::string_view::npos)
      fail("a quote in the header does not end");
    std::string_view word = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    return word;
  }

  bool boolean() {
    for (bool value : {false, true}) {
      std::string_view word = value ? "True" : "False";
      accept(' ');
      if (rest.substr(0, word.size()) == word) {
        rest.remove_prefix(word.size());
        return value;
      }
    }
    fail("expected True or False in the header");
  }

  void parseDescr() {
    std::string_view descr = string();
    header.bigEndian = !descr.empty() && descr.front() == '>';
    for (const TypeCode &type : typeCodes) {
      if (descr.size() == 3 && descr.substr(1) == type.code &&
          std::strchr("<>|=", descr.front())) {
        header.dtype = type.dtype;
        return;
      }
    }
    fail("no tensor has the element type '" + std::string(descr) + "'");
  }

  void parseShape() {
    expect('(');
    while (!accept(')')) {
      accept(' ');
      int64_t size = 0;
      auto [end, error] =
          std::from_chars(rest.data(), rest.data() + rest.size(), size);
      if (error != std::errc() || size < 0 || header.shape.size() == 64)
        fail("bad shape in the header");
      header.shape.push_back(size);
      rest.remove_prefix(end - rest.data());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
  }

  std::string_view rest;
  const std::string &origin;
  Header header;
};

// Cuts the header off `bytes`, which are left at the data.
std::string_view takeHeader(std::string_view &bytes,
                            const std::string &origin) {
  if (bytes.size() < 10 || bytes.substr(0, magic.size()) != magic)
    throw Failure(Exit::Invalid, origin + ": expected a .npy file");
  int version = static_cast<unsigned char>(bytes[6]);
  if (version < 1 || version > 3)
    throw Failure(Exit::Invalid, origin +
                                     ": expected .npy format 1 to 3, got " +
                                     std::to_string(version));
  size_t lengthBytes = version == 1 ? 2 : 4, length = 0;
  bytes.remove_prefix(8);
  for (size_t i = 0; i < lengthBytes && i < bytes.size(); ++i)
    length |= static_cast<size_t>(static_cast<unsigned char>(bytes[i]))
              << (8 * i);
  if (bytes.size() < lengthBytes || bytes.size() - lengthBytes < length)
    throw Failure(Exit::Invalid, origin + ": truncated .npy file");
  std::string_view header = bytes.substr(lengthBytes, length);
  bytes.remove_prefix(lengthBytes + length);
  return header;
}

// The bytes that elements of this shape need, or -1 where that is too many.
int64_t neededBytes(const Header &header) {
  int64_t bytes = static_cast<int64_t>(lutra_dtype_size(header.dtype));
  if (std::count(header.shape.begin(), header.shape.end(), 0))
    return 0;
  for (int64_t size : header.shape)
    if (__builtin_mul_overflow(bytes, size, &bytes))
      return -1;
  return bytes;
}

// Column-major to row-major: the element's place in the file is that of the
// reversed index in the reversed shape.
void reorder(const Header &header, Array &array, const unsigned char *from) {
  size_t size = lutra_dtype_size(header.dtype);
  for (int64_t i = 0; i < array.count(); ++i) {
    std::vector<int64_t> index = unravel(i, header.shape);
    int64_t place = 0;
    for (size_t axis = index.size(); axis-- > 0;)
      place = place * header.shape[axis] + index[axis];
    std::memcpy(array.data() + i * size, from + place * size, size);
  }
}

} // namespace

Array lutra::run::parseNpy(std::string_view bytes, const std::string &origin) {
  std::string_view text = takeHeader(bytes, origin);
  Header header = HeaderParser(text, origin).parse();
  int64_t needed = neededBytes(header);
  // Before any memory is taken: the file must be as large as it says.
  if (needed < 0 || static_cast<uint64_t>(needed) != bytes.size())
    throw Failure(
        Exit::Invalid,
        origin + ": expected " +
            (needed < 0 ? "fewer than 2^63" : std::to_string(needed)) +
            " bytes of data for shape " + formatShape(header.shape) + ", got " +
            std::to_string(bytes.size()));
  Array array(header.dtype, header.shape);
  const auto *from = reinterpret_cast<const unsigned char *>(bytes.data());
  if (header.fortran && header.shape.size() > 1)
    reorder(header, array, from);
  else if (!bytes.empty())
    std::memcpy(array.data(), from, bytes.size());
  size_t size = lutra_dtype_size(header.dtype);
  if (header.bigEndian)
    for (int64_t i = 0; i < array.count(); ++i)
      std::reverse(array.data() + i * size, array.data() + (i + 1) * size);
  if (header.dtype == LUTRA_BOOL &&
      std::any_of(array.data(), array.data() + array.count(),
                  [](unsigned char value) { return value > 1; }))
    throw Failure(Exit::Invalid, origin + ": expected bools of 0 or 1");
  return array;
}

Array lutra::run::readNpy(const std::string &path) {
  return parseNpy(readFile(path), path);
}

std::string lutra::run::formatNpy(const Array &array) {
  const TypeCode *type =
      std::find_if(std::begin(typeCodes), std::end(typeCodes),
                   [&](const TypeCode &t) { return t.dtype == array.dtype(); });
  char order = lutra_dtype_size(array.dtype()) == 1 ? '|' : '<';
  std::string header = std::string("{'descr': '") + order + type->code +
                       "', 'fortran_order': False, 'shape': (";
  for (int64_t size : array.shape())
    header += std::to_string(size) + ",";
  header += "), }";
  // The data starts at a multiple of 64 bytes.
  header.append(63 - (header.size() + 10) % 64, ' ');
  header += '\n';
  std::string bytes(magic);
  bytes += {1, 0, static_cast<char>(header.size() & 0xff),
            static_cast<char>(header.size() >> 8)};
  bytes += header;
  bytes.append(reinterpret_cast<const char *>(array.data()), array.byteSize());
  return bytes;
}

void lutra::run::writeNpy(const std::string &path, const Array &array) {
  writeFile(path, formatNpy(array));
}
