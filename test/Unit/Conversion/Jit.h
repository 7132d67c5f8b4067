//===- Jit.h - Compile and run kernels in a test ----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Compiles MLIR text through the passes under test and upstream's lowering, and
// calls its functions with memref descriptors made at run time.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TEST_UNIT_CONVERSION_JIT_H
#define LUTRA_TEST_UNIT_CONVERSION_JIT_H

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace lutra_test {

/// A memref argument: a base pointer and one size and stride per dimension.
struct Buffer {
  void *data;
  int64_t offset;
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;
};

/// What code is made for: this machine, or the least of its architecture, which
/// on x86-64 has no FMA.
enum class Machine { Host, Baseline };

class Jit {
public:
  /// Compiles `text`; `pipeline` names the passes under test. Dies with a
  /// message where that fails.
  Jit(const std::string &text, const std::string &pipeline,
      Machine machine = Machine::Host);
  ~Jit();
  void call(const std::string &name, const std::vector<Buffer> &arguments);

private:
  struct Impl;
  std::unique_ptr<Impl> impl;
};

} // namespace lutra_test

#endif // LUTRA_TEST_UNIT_CONVERSION_JIT_H
