//===- TextStream.h - Text from tokens, as they come ------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TOOLS_LUTRA_RUN_TEXTSTREAM_H
#define LUTRA_TOOLS_LUTRA_RUN_TEXTSTREAM_H

#include "Tokenizer.h"

namespace lutra::run {

/// Turns tokens into text, one at a time. What may still become something else
/// waits: the bytes of a character that is not complete, and the beginning of a
/// text at which to stop.
class TextStream {
public:
  /// Continues after the tokens `before`. `tokenizer` must outlive it.
  TextStream(const Tokenizer &tokenizer, const std::vector<int32_t> &before,
             std::vector<std::string> stops);

  /// The text that is certain after one more token.
  std::string add(int32_t id);

  /// What waited.
  std::string finish();

  /// Whether a stop was found; all text before it has been returned.
  bool stopped() const { return isStopped; }

private:
  std::string decodeNew(bool last);
  std::string release(bool last);

  const Tokenizer &tokenizer;
  std::vector<std::string> stops;
  std::vector<int32_t> window; // Tokens with text, then those yet without.
  size_t done;                 // How many have their text.
  std::string waiting;
  bool isStopped = false;
};

} // namespace lutra::run

#endif // LUTRA_TOOLS_LUTRA_RUN_TEXTSTREAM_H
