//===- Tokenizer.h - Text to token ids and back -----------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TOOLS_LUTRA_RUN_TOKENIZER_H
#define LUTRA_TOOLS_LUTRA_RUN_TOKENIZER_H

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace lutra::run {

/// One step of a normalizer or a decoder. Which members count is the kind's.
struct TextStep {
  enum Kind { Prepend, Replace, ByteFallback, Fuse, Strip, Metaspace };
  Kind kind;
  std::string from, to;        // Replace; Prepend, Strip, Metaspace: `from`.
  int64_t start = 0, stop = 0; // Strip: at most this many at each end.
  bool dropsFirst = false;     // Metaspace: none before the first word.
};

/// Words that begin with a mark in place of a space.
struct WordRule {
  enum Prefix { Never, First, Always };
  std::string mark;
  Prefix prefix = Always; // Which texts get a mark that had no space.
  bool split = true;
};

/// Tokens that are found in a text as they are, the longest first.
class TokenTable {
public:
  void add(const std::string &text, int32_t id);
  /// The length of the longest token at `at`, and its id; a length of 0 for
  /// none.
  std::pair<size_t, int32_t> find(std::string_view text, size_t at) const;

private:
  struct Node {
    std::map<char, size_t> next;
    int32_t id = -1; // No token ends here.
  };
  std::vector<Node> nodes = std::vector<Node>(1);
};

/// What a tokenizer.json says. Ids are 0 or more, and each has one text.
struct TokenizerRules {
  std::unordered_map<std::string, int32_t> vocabulary;
  std::unordered_map<int32_t, std::string> texts; // Added tokens as well.
  struct Merge {
    int32_t rank, id;
  };
  std::unordered_map<uint64_t, Merge> merges; // By mergeKey.
  std::optional<int32_t> unknown;
  bool fuseUnknown = false;
  bool ignoreMerges = false;                     // For a word that is a token.
  std::optional<std::array<int32_t, 256>> bytes; // -1: no such token.
  TokenTable added, addedNormalized;
  std::set<int32_t> special; // Not part of a decoded text.
  std::set<int32_t> ends;    // A text ends with one of these.
  std::vector<TextStep> normalizer, decoder;
  bool joinWithSpaces = false;
  std::optional<WordRule> words;
  std::vector<int32_t> before, after; // Around every text.
};

inline uint64_t mergeKey(int32_t left, int32_t right) {
  return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
}

/// Byte-pair encoding over characters, as Hugging Face's tokenizers do it.
class Tokenizer {
public:
  explicit Tokenizer(TokenizerRules rules);

  /// The ids of a text. Throws Failure(Invalid) where it is not UTF-8.
  std::vector<int32_t> encode(std::string_view text) const;

  /// The text of ids, without special tokens. Bytes that are no UTF-8 are
  /// U+FFFD each.
  std::string decode(const std::vector<int32_t> &ids) const;

  /// Whether this token is no part of a decoded text.
  bool isSpecial(int32_t id) const { return rules.special.count(id); }

  /// Whether a text ends with this token.
  bool isEnd(int32_t id) const { return rules.ends.count(id); }

private:
  void encodeFragment(std::string_view text, bool first,
                      std::vector<int32_t> &ids) const;
  void encodeWords(std::string text, bool first,
                   std::vector<int32_t> &ids) const;
  void encodeWord(std::string_view word, std::vector<int32_t> &ids) const;
  std::vector<int32_t> splitCharacters(std::string_view word) const;

  TokenizerRules rules;
};

/// Applies a normalizer. Throws Failure(Invalid) where the text gets too long.
std::string normalize(std::string text, const std::vector<TextStep> &steps);

/// Reads a Hugging Face tokenizer.json. Throws Failure(Invalid) that starts
/// with `origin` and names what is malformed or not supported.
Tokenizer parseTokenizer(std::string_view json, const std::string &origin);

} // namespace lutra::run

#endif // LUTRA_TOOLS_LUTRA_RUN_TOKENIZER_H
