//===- Npy.h - NumPy's array files ------------------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Files may come from anywhere: every length in them is checked before use.
// All functions throw Failure, whose message starts with the file's name:
// Invalid for a malformed file, InputOutput where it cannot be read or written.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_ARRAYS_NPY_H
#define LUTRA_LIB_ARRAYS_NPY_H

#include "Array.h"

#include <map>
#include <string>
#include <string_view>

namespace lutra::run {

/// Reads one .npy, format version 1 to 3, in either byte order and either
/// memory order. A two-byte void type ("<V2") is bfloat16, as ml_dtypes writes
/// it.
Array parseNpy(std::string_view bytes, const std::string &origin);
Array readNpy(const std::string &path);

/// Format version 1, little endian, row-major.
std::string formatNpy(const Array &array);
void writeNpy(const std::string &path, const Array &array);

/// Reads each .npy of a .npz: a zip archive of stored or deflated entries.
std::map<std::string, Array> parseNpz(std::string_view bytes,
                                      const std::string &origin);
std::map<std::string, Array> readNpz(const std::string &path);

/// Files as they are.
std::string readFile(const std::string &path);
void writeFile(const std::string &path, std::string_view bytes);

} // namespace lutra::run

#endif // LUTRA_LIB_ARRAYS_NPY_H
