//===- TokenizerFixture.h - Tokenizers for tests ----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_UNITTESTS_RUNTIME_TOKENIZERFIXTURE_H
#define LUTRA_UNITTESTS_RUNTIME_TOKENIZERFIXTURE_H

#include "Failure.h"
#include "Tokenizer.h"

namespace lutra::test {

using Ids = std::vector<int32_t>;

/// Members of a tokenizer.json, each as JSON text.
struct TokenizerText {
  std::string vocab = R"({"<unk>": 0, "<s>": 1, "</s>": 2, "▁": 3, "a": 4,
    "b": 5, "c": 6, "ab": 7, "▁a": 8, "abc": 9, "bc": 10, "▁ab": 11,
    "<0xC3>": 12, "<0xA9>": 13, "<0xE6>": 14, "<0xBC>": 15, "<0xA2>": 16})";
  std::string merges = R"(["b c", "a b", "▁ ab", ["a", "bc"]])";
  std::string model = R"("unk_token": "<unk>", "fuse_unk": true,
    "byte_fallback": true)";
  std::string type = "BPE";
  std::string addedTokens = R"([
    {"id": 1, "content": "<s>", "special": true, "normalized": false},
    {"id": 2, "content": "</s>", "special": true, "normalized": false}])";
  std::string normalizer = R"({"type": "Sequence", "normalizers": [
    {"type": "Prepend", "prepend": "▁"},
    {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]})";
  std::string preTokenizer = "null";
  std::string postProcessor = "null";
  std::string decoder = R"({"type": "Sequence", "decoders": [
    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
    {"type": "ByteFallback"}, {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})";

  std::string json() const {
    return R"({"model": {"type": ")" + type + R"(", )" + model +
           R"(, "vocab": )" + vocab + R"(, "merges": )" + merges +
           R"(}, "added_tokens": )" + addedTokens + R"(, "normalizer": )" +
           normalizer + R"(, "pre_tokenizer": )" + preTokenizer +
           R"(, "post_processor": )" + postProcessor + R"(, "decoder": )" +
           decoder + "}";
  }
  run::Tokenizer parse() const {
    return run::parseTokenizer(json(), "tokenizer.json");
  }
  /// The error of parsing, without the file's name.
  std::string error() const {
    try {
      parse();
    } catch (const run::Failure &failure) {
      EXPECT_EQ(failure.code, run::Exit::Invalid);
      return std::string(failure.what()).substr(sizeof("tokenizer.json:"));
    }
    return "none";
  }
};

} // namespace lutra::test

#endif // LUTRA_UNITTESTS_RUNTIME_TOKENIZERFIXTURE_H
