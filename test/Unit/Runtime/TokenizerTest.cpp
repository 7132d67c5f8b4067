//===- TokenizerTest.cpp - Text to token ids and back -----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The ids are those that Hugging Face's `tokenizers` 0.23 gives for the same
// file.
//
//===----------------------------------------------------------------------===//

#include "Fake.h"
#include "TokenizerFixture.h"

using namespace lutra::run;
using namespace lutra::test;

namespace {

class TokenizerTest : public testing::Test {
protected:
  Ids encode(const std::string &prompt) { return text.parse().encode(prompt); }
  std::string decode(const Ids &ids) { return text.parse().decode(ids); }

  using Text = TokenizerText;
  /// What is said of a text whose `member` is `json`.
  static std::string errorWith(std::string Text::*member,
                               const std::string &json) {
    Text wrong;
    wrong.*member = json;
    return wrong.error();
  }

  TokenizerText text;
};

TEST_F(TokenizerTest, MergesByRankThenFromTheLeft) {
  EXPECT_EQ(encode("ab"), Ids({11}));
  EXPECT_EQ(encode("abc"), Ids({3, 9})); // "b c" comes before "a b".
  EXPECT_EQ(encode("abab b"), Ids({11, 7, 3, 5}));
  EXPECT_EQ(encode(""), Ids());
}

TEST_F(TokenizerTest, UnknownCharacters) {
  EXPECT_EQ(encode("aéb"), Ids({3, 4, 12, 13, 5}));
  EXPECT_EQ(encode("xyzb"), Ids({3, 0, 5}));
  text.model = R"("unk_token": "<unk>")";
  EXPECT_EQ(encode("axyb"), Ids({3, 4, 0, 0, 5}));
  text.model = R"("unk_token": null)";
  EXPECT_EQ(encode("axyb"), Ids({11})); // As if they were not there.
}

TEST_F(TokenizerTest, CharacterLevel) {
  text.merges = "[]";
  EXPECT_EQ(encode("ab c"), Ids({3, 4, 5, 3, 6}));
}

TEST_F(TokenizerTest, WordsThatAreTokens) {
  text.normalizer = "null";
  EXPECT_EQ(encode("▁a"), Ids({3, 4})); // No merge makes it.
  text.model = R"("ignore_merges": true)";
  EXPECT_EQ(encode("▁a"), Ids({8}));
}

TEST_F(TokenizerTest, SpecialTokensInText) {
  EXPECT_EQ(encode("<s>ab</s>"), Ids({1, 11, 2}));
  EXPECT_EQ(encode("<s"), Ids({3, 0}));
  text.addedTokens = R"([{"id": 20, "content": "<x", "normalized": false},
                         {"id": 21, "content": "<x>", "normalized": false},
                         {"id": 22, "content": "c a", "normalized": true}])";
  EXPECT_EQ(encode("<x<x>"), Ids({20, 21})); // The longest one.
  EXPECT_EQ(encode("c a"), Ids({22}));       // As normalized, too.
  EXPECT_EQ(decode({20, 21}), "<x<x>");
}

TEST_F(TokenizerTest, TextsBetweenTemplates) {
  text.postProcessor = R"({"type": "TemplateProcessing", "single": [
    {"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}},
    {"SpecialToken": {"id": "</s>"}}], "special_tokens": {
    "<s>": {"ids": [1]}, "</s>": {"ids": [2]}}})";
  EXPECT_EQ(encode("ab"), Ids({1, 11, 2}));
  EXPECT_EQ(encode(""), Ids({1, 2}));
}

TEST_F(TokenizerTest, Words) {
  text.normalizer = "null";
  auto encodeWith = [&](const std::string &scheme, const std::string &prompt) {
    text.preTokenizer =
        R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": ")" +
        scheme + "\"}";
    return encode(prompt);
  };
  EXPECT_EQ(encodeWith("always", "ab<s>ab"), Ids({11, 1, 11}));
  EXPECT_EQ(encodeWith("first", "ab<s>ab"), Ids({11, 1, 7}));
  EXPECT_EQ(encodeWith("never", "ab  ab"), Ids({7, 3, 11}));
  EXPECT_EQ(encodeWith("always", " ab"), Ids({11}));
  // Nothing merges across words.
  text.merges = R"(["a ▁"])";
  text.vocab.replace(text.vocab.rfind('}'), 1, R"(, "a▁": 17})");
  EXPECT_EQ(encodeWith("never", "a b"), Ids({4, 3, 5}));
  text.preTokenizer = R"({"type": "Metaspace", "replacement": "▁",
                          "add_prefix_space": false, "split": false})";
  EXPECT_EQ(encode("a b"), Ids({17, 5}));
}

TEST_F(TokenizerTest, Decodes) {
  EXPECT_EQ(decode({1, 11, 3, 5, 2}), "ab b");
  EXPECT_EQ(decode({11, 12, 13}), "abé");
  EXPECT_EQ(decode({11, 12}), "ab\xef\xbf\xbd");
  EXPECT_EQ(decode({11, 12, 13, 12}), "ab\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(decode({-1, 99, 4}), "a"); // Ids that are no token.
  text.decoder = "null";
  EXPECT_EQ(decode({4, 5}), "a b");
  text.decoder = R"({"type": "Metaspace", "replacement": "▁"})";
  EXPECT_EQ(decode({11, 11}), "ab ab");
}

TEST_F(TokenizerTest, EndOfText) {
  Tokenizer tokenizer = text.parse();
  EXPECT_TRUE(tokenizer.isEnd(2));
  EXPECT_FALSE(tokenizer.isEnd(1));
  EXPECT_FALSE(tokenizer.isEnd(-1));
}

TEST_F(TokenizerTest, PromptIsUtf8) {
  for (const char *prompt :
       {"\xff", "a\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf0\x9f\x98"})
    EXPECT_THROW(encode(prompt), Failure) << prompt;
  EXPECT_EQ(encode("\xf4\x8f\xbf\xbf"), Ids({3, 0}));
}

TEST_F(TokenizerTest, LongPromptsAreNotQuadratic) {
  std::string prompt;
  for (int i = 0; i < 500000; ++i)
    prompt += "ab";
  EXPECT_EQ(encode(prompt).size(), 500000u);
}

TEST_F(TokenizerTest, NormalizersCannotMakeEndlessTexts) {
  std::string twice =
      R"({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"})";
  std::string all = twice;
  for (int i = 0; i < 60; ++i)
    all += ", " + twice;
  text.normalizer = R"({"type": "Sequence", "normalizers": [)" + all + "]}";
  EXPECT_THROW(encode("a"), Failure);
}

TEST_F(TokenizerTest, OtherFiles) {
  for (const char *file : {"", "[]", "3", "{", "\xff", "null"}) {
    try {
      parseTokenizer(file, "t.json");
      ADD_FAILURE() << file;
    } catch (const Failure &failure) {
      EXPECT_STREQ(failure.what(),
                   "t.json: expected a tokenizer.json, got another file");
    }
  }
  EXPECT_THROW(parseTokenizer(std::string(1 << 20, '['), "t.json"), Failure);
  EXPECT_THROW(parseTokenizer("{}", "t.json"), Failure);
}

TEST_F(TokenizerTest, RefusesByName) {
  EXPECT_EQ(errorWith(&Text::type, "Unigram"),
            "model.type: expected 'BPE', got 'Unigram'");
  EXPECT_EQ(errorWith(&Text::preTokenizer, R"({"type": "ByteLevel"})"),
            "pre_tokenizer: the pre-tokenizer 'ByteLevel' is not supported");
  EXPECT_EQ(errorWith(&Text::normalizer, R"({"type": "NFC"})"),
            "normalizer: the normalizer 'NFC' is not supported");
  EXPECT_EQ(errorWith(&Text::decoder, R"({"type": "ByteLevel"})"),
            "decoder: the decoder 'ByteLevel' is not supported");
  EXPECT_EQ(errorWith(&Text::postProcessor, R"({"type": "ByteLevel"})"),
            "post_processor: the post-processor 'ByteLevel' is not supported");
  EXPECT_EQ(errorWith(&Text::normalizer,
                      R"({"type": "Replace", "pattern": {"Regex": " +"}})"),
            "normalizer.pattern: expected a String; a Regex is not supported");
  EXPECT_EQ(errorWith(&Text::model, R"("continuing_subword_prefix": "##")"),
            "model.continuing_subword_prefix: is not supported");
  EXPECT_EQ(errorWith(&Text::model, R"("dropout": 0.0)"), "none");
  EXPECT_EQ(errorWith(&Text::addedTokens,
                      R"([{"id": 30, "content": "x", "lstrip": true}])"),
            "added_tokens[0].lstrip: is not supported");
}

TEST_F(TokenizerTest, MalformedParts) {
  EXPECT_EQ(errorWith(&Text::vocab, "[]"),
            "model.vocab: expected an object, got array");
  EXPECT_EQ(errorWith(&Text::vocab, "{}"),
            "model.vocab: expected a token or more, got none");
  for (const char *id :
       {"-1", "1.5", "2147483648", "1e30", "18446744073709551616", "\"7\""})
    EXPECT_EQ(
        errorWith(&Text::vocab, std::string(R"({"a": )") + id + "}")
            .find("model.vocab.a: expected an integer of 0 to 2147483647"),
        0u)
        << id;
  EXPECT_EQ(errorWith(&Text::vocab, R"({"a": 2147483647, "b": 2147483647})"),
            "model.vocab.b: expected an id of its own, got 2147483647, which "
            "is that of 'a'");
  EXPECT_EQ(errorWith(&Text::merges, R"(["a"])"),
            "model.merges[0]: expected two tokens, got 'a'");
  EXPECT_EQ(errorWith(&Text::merges, R"([["a", "b", "c"]])"),
            "model.merges[0]: expected two tokens, got 3");
  EXPECT_EQ(errorWith(&Text::merges, R"(["a b", "a zz"])"),
            "model.merges[1]: expected tokens of the vocabulary, got 'zz'");
  EXPECT_EQ(errorWith(&Text::merges, R"(["c a"])"),
            "model.merges[0]: expected tokens of the vocabulary, got 'ca'");
  EXPECT_EQ(errorWith(&Text::model, R"("unk_token": "<?>")"),
            "model.unk_token: expected tokens of the vocabulary, got '<?>'");
  EXPECT_EQ(errorWith(&Text::addedTokens, R"([{"id": 5, "content": "new"}])"),
            "added_tokens[0].id: expected an id of its own, got 5, which is "
            "that of 'b'");
  EXPECT_EQ(errorWith(&Text::addedTokens, R"([{"id": 5, "content": "a"}])"),
            "added_tokens[0].id: expected 4 as in the vocabulary, got 5");
  EXPECT_EQ(errorWith(&Text::addedTokens, R"([{"id": 50, "content": ""}])"),
            "added_tokens[0].content: expected a string that is not empty, got "
            "\"\"");
  EXPECT_EQ(errorWith(&Text::decoder,
                      R"({"type": "Replace", "pattern": {"String": ""}})"),
            "decoder.pattern.String: expected a string that is not empty, got "
            "\"\"");
  EXPECT_EQ(errorWith(&Text::postProcessor,
                      R"({"type": "TemplateProcessing", "single": [
                        {"SpecialToken": {"id": "x"}}],
                        "special_tokens": {"x": {"ids": [77]}}})"),
            "post_processor.special_tokens.x.ids[0]: expected the id of a "
            "token, got 77");
  std::string nested = R"({"type": "Fuse"})";
  for (int i = 0; i < 1000; ++i)
    nested = R"({"type": "Sequence", "decoders": [)" + nested + "]}";
  EXPECT_NE(errorWith(&Text::decoder, nested)
                .find("expected sequences nested less deeply"),
            std::string::npos);
}

} // namespace
