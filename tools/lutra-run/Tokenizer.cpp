//===- Tokenizer.cpp - Text to token ids and back -------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A text goes through: tokens found in it as they are, the normalizer on what
// lies between, tokens found in the normalized text, words, and byte-pair
// merges in each word. The rules come from a file that may hold anything, so
// that no step may take more than time and memory in proportion to the text.
//
//===----------------------------------------------------------------------===//

#include "Tokenizer.h"
#include "Failure.h"

#include <algorithm>
#include <queue>

using namespace lutra::run;

namespace {

constexpr size_t LongestText = size_t(1) << 26;

void checkLength(size_t length) {
  if (length > LongestText)
    throw Failure(Exit::Invalid, "tokenizer: expected a text of at most " +
                                     std::to_string(LongestText) +
                                     " bytes, got more");
}

/// The length of the UTF-8 character at `at`; 0 where there is none.
size_t characterLength(std::string_view text, size_t at) {
  auto byte = [&](size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u;
  };
  unsigned first = byte(0);
  if (first < 0x80)
    return at < text.size();
  size_t length = first < 0xc2   ? 0
                  : first < 0xe0 ? 2
                  : first < 0xf0 ? 3
                  : first < 0xf5 ? 4
                                 : 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80)
      return 0;
  // Overlong forms, surrogates, and what lies behind U+10FFFF.
  if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f) ||
      (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f))
    return 0;
  return length;
}

bool isUtf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    size_t length = characterLength(text, at);
    if (length == 0)
      return false;
    at += length;
  }
  return true;
}

std::string replaceAll(std::string_view text, std::string_view from,
                       std::string_view to) {
  std::string result;
  size_t begin = 0;
  for (size_t at; (at = text.find(from, begin)) != std::string_view::npos;
       begin = at + from.size()) {
    result += text.substr(begin, at - begin);
    result += to;
    checkLength(result.size());
  }
  result += text.substr(begin);
  checkLength(result.size());
  return result;
}

/// Calls `found(id)` and `between(text, at)` for all of a text in order.
template <typename Found, typename Between>
void splitAtTokens(std::string_view text, const TokenTable &table, Found found,
                   Between between) {
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    auto [length, id] = table.find(text, at);
    if (length == 0) {
      ++at;
      continue;
    }
    if (at > begin)
      between(text.substr(begin, at - begin), begin);
    found(id);
    begin = at += length;
  }
  if (begin < text.size())
    between(text.substr(begin), begin);
}

/// Merges neighbours of a word, the lowest rank first and of that the leftmost:
/// a list of symbols and a queue of what may be merged. An entry of the queue
/// may be old; it counts only where the pair is still what it was.
class Merger {
public:
  Merger(const TokenizerRules &rules, const std::vector<int32_t> &ids)
      : rules(rules) {
    int64_t count = static_cast<int64_t>(ids.size());
    for (int64_t i = 0; i < count; ++i)
      symbols.push_back({ids[i], i - 1, i + 1 < count ? i + 1 : -1});
    for (int64_t i = 0; i < count; ++i)
      offer(i);
  }

  void run(std::vector<int32_t> &ids) {
    while (!queue.empty()) {
      Entry entry = queue.top();
      queue.pop();
      const auto *merge = find(entry.at);
      if (merge && merge->id == entry.id)
        join(entry.at, merge->id);
    }
    for (int64_t at = symbols.empty() ? -1 : 0; at >= 0; at = symbols[at].next)
      ids.push_back(symbols[at].id);
  }

private:
  struct Symbol {
    int32_t id; // -1: joined to the one before.
    int64_t before, next;
  };
  struct Entry {
    int32_t rank, id;
    int64_t at;
    bool operator<(const Entry &other) const {
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };

  const TokenizerRules::Merge *find(int64_t at) const {
    if (at < 0 || symbols[at].id < 0 || symbols[at].next < 0)
      return nullptr;
    auto merge = rules.merges.find(
        mergeKey(symbols[at].id, symbols[symbols[at].next].id));
    return merge == rules.merges.end() ? nullptr : &merge->second;
  }

  void offer(int64_t at) {
    if (const auto *merge = find(at))
      queue.push({merge->rank, merge->id, at});
  }

  void join(int64_t at, int32_t id) {
    Symbol &left = symbols[at], &right = symbols[left.next];
    left.id = id;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0)
      symbols[left.next].before = at;
    offer(left.before);
    offer(at);
  }

  const TokenizerRules &rules;
  std::vector<Symbol> symbols;
  std::priority_queue<Entry> queue;
};

/// The byte of "<0x41>"; -1 for another text.
int byteOf(const std::string &text) {
  auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
  };
  if (text.size() != 6 || text.compare(0, 3, "<0x") || text[5] != '>' ||
      digit(text[3]) < 0 || digit(text[4]) < 0)
    return -1;
  return digit(text[3]) * 16 + digit(text[4]);
}

void joinBytes(std::vector<std::string> &texts) {
  std::vector<std::string> joined;
  std::string bytes;
  auto flush = [&] {
    if (isUtf8(bytes))
      joined.push_back(bytes);
    else
      joined.insert(joined.end(), bytes.size(), "\xef\xbf\xbd");
    bytes.clear();
  };
  for (std::string &text : texts) {
    int byte = byteOf(text);
    if (byte >= 0) {
      bytes += static_cast<char>(byte);
      continue;
    }
    flush();
    joined.push_back(std::move(text));
  }
  flush();
  texts = std::move(joined);
}

std::string strip(const std::string &text, const TextStep &step) {
  std::string_view rest = text;
  const std::string &mark = step.from;
  for (int64_t i = 0; i < step.start && rest.substr(0, mark.size()) == mark;
       ++i)
    rest.remove_prefix(mark.size());
  for (int64_t i = 0; i < step.stop && rest.size() >= mark.size() &&
                      rest.substr(rest.size() - mark.size()) == mark;
       ++i)
    rest.remove_suffix(mark.size());
  return std::string(rest);
}

void decodeStep(std::vector<std::string> &texts, const TextStep &step) {
  if (step.kind == TextStep::ByteFallback)
    return joinBytes(texts);
  if (step.kind == TextStep::Fuse) {
    std::string all;
    for (const std::string &text : texts)
      all += text;
    texts = {all};
    return;
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    if (step.kind == TextStep::Strip)
      texts[i] = strip(texts[i], step);
    else if (step.kind == TextStep::Metaspace)
      texts[i] =
          replaceAll(texts[i], step.from, i == 0 && step.dropsFirst ? "" : " ");
    else
      texts[i] = replaceAll(texts[i], step.from, step.to);
  }
}

} // namespace

void TokenTable::add(const std::string &text, int32_t id) {
  size_t node = 0;
  for (char c : text) {
    auto [next, made] = nodes[node].next.try_emplace(c, nodes.size());
    node = next->second;
    if (made)
      nodes.emplace_back();
  }
  nodes[node].id = id;
}

std::pair<size_t, int32_t> TokenTable::find(std::string_view text,
                                            size_t at) const {
  std::pair<size_t, int32_t> longest = {0, -1};
  size_t node = 0;
  for (size_t end = at; end < text.size();) {
    auto next = nodes[node].next.find(text[end++]);
    if (next == nodes[node].next.end())
      break;
    node = next->second;
    if (nodes[node].id >= 0)
      longest = {end - at, nodes[node].id};
  }
  return longest;
}

std::string lutra::run::normalize(std::string text,
                                  const std::vector<TextStep> &steps) {
  for (const TextStep &step : steps) {
    if (step.kind == TextStep::Replace)
      text = replaceAll(text, step.from, step.to);
    else if (!text.empty())
      text = step.from + text;
    checkLength(text.size());
  }
  return text;
}

Tokenizer::Tokenizer(TokenizerRules rules) : rules(std::move(rules)) {}

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  checkLength(text.size());
  if (!isUtf8(text))
    throw Failure(Exit::Invalid, "prompt: expected UTF-8, got other bytes");
  std::vector<int32_t> ids = rules.before;
  splitAtTokens(
      text, rules.added, [&](int32_t id) { ids.push_back(id); },
      [&](std::string_view part, size_t at) {
        encodeFragment(part, at == 0, ids);
      });
  ids.insert(ids.end(), rules.after.begin(), rules.after.end());
  return ids;
}

void Tokenizer::encodeFragment(std::string_view text, bool first,
                               std::vector<int32_t> &ids) const {
  std::string normalized = normalize(std::string(text), rules.normalizer);
  splitAtTokens(
      normalized, rules.addedNormalized, [&](int32_t id) { ids.push_back(id); },
      [&](std::string_view part, size_t at) {
        encodeWords(std::string(part), first && at == 0, ids);
      });
}

void Tokenizer::encodeWords(std::string text, bool first,
                            std::vector<int32_t> &ids) const {
  if (!rules.words)
    return encodeWord(text, ids);
  const WordRule &words = *rules.words;
  text = replaceAll(text, " ", words.mark);
  if ((words.prefix == WordRule::Always ||
       (words.prefix == WordRule::First && first)) &&
      text.compare(0, words.mark.size(), words.mark) != 0)
    text = words.mark + text;
  if (!words.split)
    return encodeWord(text, ids);
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find(words.mark, begin + 1), text.size());
    encodeWord(std::string_view(text).substr(begin, end - begin), ids);
    begin = end;
  }
}

void Tokenizer::encodeWord(std::string_view word,
                           std::vector<int32_t> &ids) const {
  if (rules.ignoreMerges) {
    auto whole = rules.vocabulary.find(std::string(word));
    if (whole != rules.vocabulary.end()) {
      ids.push_back(whole->second);
      return;
    }
  }
  Merger(rules, splitCharacters(word)).run(ids);
}

std::vector<int32_t> Tokenizer::splitCharacters(std::string_view word) const {
  std::vector<int32_t> ids;
  bool afterUnknown = false;
  for (size_t at = 0; at < word.size();) {
    std::string character(word.substr(at, characterLength(word, at)));
    at += character.size();
    auto token = rules.vocabulary.find(character);
    bool known = token != rules.vocabulary.end();
    if (known) {
      ids.push_back(token->second);
    } else if (rules.bytes &&
               std::all_of(character.begin(), character.end(), [&](char c) {
                 return (*rules.bytes)[static_cast<unsigned char>(c)] >= 0;
               })) {
      known = true;
      for (char c : character)
        ids.push_back((*rules.bytes)[static_cast<unsigned char>(c)]);
    } else if (rules.unknown && !(afterUnknown && rules.fuseUnknown)) {
      ids.push_back(*rules.unknown);
    }
    afterUnknown = !known;
  }
  return ids;
}

std::string Tokenizer::decode(const std::vector<int32_t> &ids) const {
  std::vector<std::string> texts;
  for (int32_t id : ids) {
    auto text = rules.texts.find(id);
    if (text != rules.texts.end() && !rules.special.count(id))
      texts.push_back(text->second);
  }
  for (const TextStep &step : rules.decoder)
    decodeStep(texts, step);
  std::string all;
  for (size_t i = 0; i < texts.size(); ++i)
    all += (i && rules.joinWithSpaces ? " " : "") + texts[i];
  return all;
}
