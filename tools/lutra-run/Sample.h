//===- Sample.h - Choose the next token -------------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TOOLS_LUTRA_RUN_SAMPLE_H
#define LUTRA_TOOLS_LUTRA_RUN_SAMPLE_H

#include "Options.h"

#include <random>
#include <vector>

namespace lutra::run {

/// Chooses tokens by their logits; the same logits and seed give the same
/// tokens on every machine.
class Sampler {
public:
  explicit Sampler(const GenerateOptions &options)
      : temperature(options.temperature), topK(options.topK),
        random(options.seed) {}

  /// The place of the chosen logit. NaN is never chosen; throws
  /// Failure(Invalid) where there is nothing else.
  int32_t choose(const std::vector<float> &logits);

private:
  int32_t draw(const std::vector<float> &logits, int32_t best);

  double temperature;
  int64_t topK;
  std::mt19937_64 random;
};

} // namespace lutra::run

#endif // LUTRA_TOOLS_LUTRA_RUN_SAMPLE_H
