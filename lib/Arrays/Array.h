//===- Array.h - Tensors that own their memory ------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_ARRAYS_ARRAY_H
#define LUTRA_LIB_ARRAYS_ARRAY_H

#include "lutra/runtime.h"

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace lutra::run {

/// The widest number: holds every value of every element type. (On x86-64 and
/// AArch64 its significand has 64 bits or more.)
using Number = long double;

/// A dense row-major tensor in zeroed memory of its own, 64-byte aligned.
class Array {
public:
  Array() : Array(LUTRA_FLOAT32, {0}) {}

  /// Throws Failure where the sizes are negative or need too much memory.
  Array(lutra_dtype dtype, std::vector<int64_t> shape);

  lutra_dtype dtype() const { return type; }
  const std::vector<int64_t> &shape() const { return sizes; }
  int64_t count() const { return elements; }
  size_t byteSize() const { return elements * lutra_dtype_size(type); }
  unsigned char *data() { return memory.get(); }
  const unsigned char *data() const { return memory.get(); }

  Number get(int64_t index) const;
  /// Rounds to the element type; out-of-range integers are the caller's error.
  void set(int64_t index, Number value);

  /// A view for the runtime; lives as long as the array is not moved.
  lutra_tensor view() const;

private:
  struct Free {
    void operator()(unsigned char *memory) const { std::free(memory); }
  };
  lutra_dtype type;
  std::vector<int64_t> sizes;
  int64_t elements = 1;
  std::unique_ptr<unsigned char, Free> memory;
};

/// "[2,3]"
std::string formatShape(const std::vector<int64_t> &shape);

/// The index of an element in each dimension, from its place in memory.
std::vector<int64_t> unravel(int64_t index, const std::vector<int64_t> &shape);

bool isFloat(lutra_dtype dtype);

} // namespace lutra::run

#endif // LUTRA_LIB_ARRAYS_ARRAY_H
