//===- TextStream.cpp - Text from tokens, as they come --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a token means depends on its neighbours: the first word of a text has no
// space before it, and a character may be several tokens. So the new tokens are
// decoded behind the last that gave text, and the text of those is cut off.
// These begin where a character does.
//
//===----------------------------------------------------------------------===//

#include "TextStream.h"

#include <algorithm>

using namespace lutra::run;

// A character has at most four bytes, and thus tokens.
static constexpr size_t LongestCharacter = 4;

// Tokens without text, as a text's first space is with some decoders, may be
// what makes the next token not the first. So many of them are enough.
static constexpr size_t LongestContext = 16;

static bool endsIncomplete(const std::string &text) {
  static const std::string replacement = "\xef\xbf\xbd";
  return text.size() >= replacement.size() &&
         text.compare(text.size() - replacement.size(), replacement.size(),
                      replacement) == 0;
}

TextStream::TextStream(const Tokenizer &tokenizer,
                       const std::vector<int32_t> &before,
                       std::vector<std::string> stops)
    : tokenizer(tokenizer), stops(std::move(stops)), window(before),
      done(before.size()) {}

std::string TextStream::add(int32_t id) {
  if (tokenizer.isSpecial(id))
    return "";
  window.push_back(id);
  waiting += decodeNew(/*last=*/false);
  return release(/*last=*/false);
}

std::string TextStream::finish() {
  waiting += decodeNew(/*last=*/true);
  return release(/*last=*/true);
}

std::string TextStream::decodeNew(bool last) {
  std::string old = tokenizer.decode({window.begin(), window.begin() + done});
  std::string all = tokenizer.decode(window);
  if (!last && endsIncomplete(all) && window.size() - done < LongestCharacter)
    return "";
  std::string text =
      all.compare(0, old.size(), old) == 0
          ? all.substr(old.size())
          : tokenizer.decode({window.begin() + done, window.end()});
  if (!text.empty() || done > LongestContext)
    window.erase(window.begin(), window.begin() + done);
  done = window.size();
  return text;
}

std::string TextStream::release(bool last) {
  size_t end = waiting.size();
  for (const std::string &stop : stops) {
    size_t found = waiting.find(stop);
    isStopped |= found != std::string::npos;
    end = std::min(end, found);
  }
  if (isStopped) {
    waiting.resize(end);
    last = true;
  }
  // The longest end of the text that may be the beginning of a stop.
  for (const std::string &stop : stops)
    for (size_t held = std::min(stop.size() - 1, waiting.size());
         !last && held > 0; --held)
      if (waiting.compare(waiting.size() - held, held, stop, 0, held) == 0) {
        end = std::min(end, waiting.size() - held);
        break;
      }
  std::string text = waiting.substr(0, end);
  waiting.erase(0, end);
  return text;
}
