//===- Options.h - lutra-run's command line ---------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TOOLS_LUTRA_RUN_OPTIONS_H
#define LUTRA_TOOLS_LUTRA_RUN_OPTIONS_H

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lutra::run {

/// How a text is continued.
struct GenerateOptions {
  std::optional<std::string> prompt;
  std::string tokenizer; // A tokenizer.json.
  int64_t maxTokens = INT64_MAX;
  double temperature = 0; // 0: always the likeliest token.
  int64_t topK = 0;       // 0: of all tokens.
  uint64_t seed = 0;
  std::vector<std::string> stops;
};

struct Options {
  std::string artifact;
  std::map<std::string, std::string> inputs; // By name: "@a.npy", "rand:1"...
  std::string inputsFile;                    // .npz, or empty.
  std::map<std::string, int64_t> dims;
  std::map<std::string, std::string> expected; // By name: a .npy file.
  std::string expectedFile;                    // .npz, or empty.
  std::string against;                         // An artifact, or empty.
  std::map<std::string, std::string> outputs;  // By name: a .npy file.
  std::string dumpDir;
  std::optional<std::string> weightsDir;
  double rtol = 1e-5;
  double atol = 1e-5;
  int64_t threads = 0; // As many as there are usable CPUs.
  int64_t warmup = 3;
  int64_t repeat = 20;
  GenerateOptions generate;
  bool benchmark = false;
  bool profile = false;
  std::string traceFile; // .json, or empty.
  bool info = false;
  bool verifyWeights = false;
  bool help = false;
  bool version = false;
};

/// Throws Failure(CommandLine).
Options parseOptions(int argc, const char *const *argv);

const char *helpText();

} // namespace lutra::run

#endif // LUTRA_TOOLS_LUTRA_RUN_OPTIONS_H
