//===- TextStreamTest.cpp - Text from tokens, as they come ------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TextStream.h"
#include "Fake.h"
#include "TokenizerFixture.h"

using namespace lutra::run;
using namespace lutra::test;

namespace {

class TextStreamTest : public testing::Test {
protected:
  /// The pieces in order, one for each token, and the rest.
  std::vector<std::string> stream(const Ids &before, const Ids &ids,
                                  std::vector<std::string> stops = {}) {
    TextStream stream(tokenizer, before, std::move(stops));
    std::vector<std::string> pieces;
    for (int32_t id : ids) {
      pieces.push_back(stream.add(id));
      if (stream.stopped())
        break;
    }
    pieces.push_back(stream.finish());
    return pieces;
  }
  using Pieces = std::vector<std::string>;

  Tokenizer tokenizer = TokenizerText().parse();
};

TEST_F(TextStreamTest, SpacesDependOnWhatIsBefore) {
  EXPECT_EQ(stream({}, {11, 11}), Pieces({"ab", " ab", ""}));
  EXPECT_EQ(stream({1, 4}, {11, 5}), Pieces({" ab", "b", ""}));
  // The first space is no text, but the second one is.
  EXPECT_EQ(stream({}, {3, 11, 3, 5}), Pieces({"", " ab", " ", "b", ""}));
  // A special token is no text.
  EXPECT_EQ(stream({4}, {2, 11}), Pieces({"", " ab", ""}));
  EXPECT_EQ(stream({1}, {1, 11}), Pieces({"", "ab", ""}));
}

TEST_F(TextStreamTest, CharactersOfManyTokens) {
  EXPECT_EQ(stream({4}, {14, 15, 16, 12, 13, 5}),
            Pieces({"", "", "漢", "", "é", "b", ""}));
  Ids many;
  std::string expected, got;
  for (int i = 0; i < 50; ++i) {
    many.insert(many.end(), {14, 15, 16});
    expected += "漢";
  }
  for (const std::string &piece : stream({}, many))
    got += piece;
  EXPECT_EQ(got, expected);
}

TEST_F(TextStreamTest, BytesThatNeverBecomeACharacter) {
  const std::string bad = "\xef\xbf\xbd";
  EXPECT_EQ(stream({4}, {12}), Pieces({"", bad}));
  EXPECT_EQ(stream({4}, {12, 5}), Pieces({"", bad + "b", ""}));
  EXPECT_EQ(stream({4}, {16, 16, 16, 16, 5}),
            Pieces({"", "", "", bad + bad + bad + bad, "b", ""}));
}

TEST_F(TextStreamTest, Stops) {
  EXPECT_EQ(stream({4}, {5, 6, 4, 5}, {"ca"}), Pieces({"b", "", "", ""}));
  EXPECT_EQ(stream({4}, {5, 6, 6, 4}, {"ca"}), Pieces({"b", "", "c", "", ""}));
  EXPECT_EQ(stream({4}, {5, 6}, {"ca"}), Pieces({"b", "", "c"}));
  // The first one in the text, of several.
  EXPECT_EQ(stream({4}, {4, 11, 5}, {"bb", " a"}), Pieces({"a", "", ""}));
}

} // namespace
