//===- TokenizerFile.cpp - Read a tokenizer.json --------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reads Hugging Face's format for byte-pair encoding over characters. What it
// can say beyond that is refused by name: a tokenizer that is almost right
// makes a model talk nonsense.
//
//===----------------------------------------------------------------------===//

#include "Failure.h"
#include "Tokenizer.h"

#include <nlohmann/json.hpp>

using namespace lutra::run;

namespace {

using Json = nlohmann::json;

constexpr size_t LongestToken = 256;
constexpr int DeepestNesting = 8;

/// A value with its place in the file, for errors.
class Field {
public:
  Field(const Json &json, std::string place)
      : json(&json), place(std::move(place)) {}

  [[noreturn]] void refuse(const std::string &what) const {
    throw Failure(Exit::Invalid, place + ": " + what);
  }

  /// A member of an object; null where it is missing.
  Field operator[](const std::string &key) const {
    static const Json null;
    auto member = object().find(key);
    return {member == json->end() ? null : *member,
            place.empty() ? key : place + "." + key};
  }
  bool isNull() const { return json->is_null(); }
  bool isText() const { return json->is_string(); }
  const Json &object() const { return expect(json->is_object(), "an object"); }
  std::vector<Field> list() const {
    expect(json->is_array(), "an array");
    std::vector<Field> fields;
    for (size_t i = 0; i < json->size(); ++i)
      fields.emplace_back((*json)[i], place + "[" + std::to_string(i) + "]");
    return fields;
  }
  const std::string &text() const {
    return expect(json->is_string(), "a string").get_ref<const std::string &>();
  }
  const std::string &textNotEmpty() const {
    return expect(!text().empty(), "a string that is not empty")
        .get_ref<const std::string &>();
  }
  bool boolean(bool otherwise) const {
    if (isNull())
      return otherwise;
    return expect(json->is_boolean(), "true or false").get<bool>();
  }
  int32_t number() const {
    bool fits =
        json->is_number_unsigned() && json->get<uint64_t>() <= INT32_MAX;
    return expect(fits, "an integer of 0 to 2147483647").get<int32_t>();
  }
  /// Refuses a setting that says something; "" and 0 say nothing.
  void expectUnset() const {
    if (!isNull() && *json != "" && *json != 0 && *json != false)
      refuse("is not supported");
  }

private:
  const Json &expect(bool right, const std::string &what) const {
    if (!right)
      refuse("expected " + what + ", got " +
             (json->is_number() || json->is_string()
                  ? json->dump().substr(0, LongestToken)
                  : json->type_name()));
    return *json;
  }

  const Json *json;
  std::string place;
};

class Reader {
public:
  explicit Reader(Field file) : file(std::move(file)) {}

  TokenizerRules read() {
    readModel(file["model"]);
    readSteps(file["normalizer"], "normalizers", rules.normalizer,
              readNormalizer);
    readSteps(file["decoder"], "decoders", rules.decoder, readDecoder);
    rules.joinWithSpaces = file["decoder"].isNull();
    if (!file["added_tokens"].isNull())
      for (const Field &token : file["added_tokens"].list())
        readAddedToken(token);
    if (!file["pre_tokenizer"].isNull())
      readWords(file["pre_tokenizer"]);
    if (!file["post_processor"].isNull())
      readTemplate(file["post_processor"]);
    return std::move(rules);
  }

private:
  void readModel(const Field &model) {
    Field type = model["type"];
    if (!type.isNull() && type.text() != "BPE")
      type.refuse("expected 'BPE', got '" + type.text() + "'");
    for (const char *name :
         {"dropout", "continuing_subword_prefix", "end_of_word_suffix"})
      model[name].expectUnset();
    readVocabulary(model["vocab"]);
    int32_t rank = 0;
    for (const Field &merge : model["merges"].list())
      readMerge(merge, rank++);
    rules.fuseUnknown = model["fuse_unk"].boolean(false);
    rules.ignoreMerges = model["ignore_merges"].boolean(false);
    if (!model["unk_token"].isNull())
      rules.unknown = idOf(model["unk_token"].text(), model["unk_token"]);
    if (model["byte_fallback"].boolean(false))
      findBytes();
  }

  void readVocabulary(const Field &vocabulary) {
    for (const auto &[text, id] : vocabulary.object().items()) {
      Field field = vocabulary[text];
      addText(text, field.number(), field);
      rules.vocabulary.emplace(text, field.number());
    }
    if (rules.vocabulary.empty())
      vocabulary.refuse("expected a token or more, got none");
  }

  void addText(const std::string &text, int32_t id, const Field &field) {
    auto [place, isNew] = rules.texts.emplace(id, text);
    if (!isNew && place->second != text)
      field.refuse("expected an id of its own, got " + std::to_string(id) +
                   ", which is that of '" + place->second + "'");
  }

  int32_t idOf(const std::string &text, const Field &field) const {
    auto found = rules.vocabulary.find(text);
    if (found == rules.vocabulary.end())
      field.refuse("expected tokens of the vocabulary, got '" + text + "'");
    return found->second;
  }

  // "a b" or ["a", "b"]
  void readMerge(const Field &field, int32_t rank) {
    std::string left, right;
    if (field.isText()) {
      size_t space = field.text().find(' ');
      if (space == std::string::npos)
        field.refuse("expected two tokens, got '" + field.text() + "'");
      left = field.text().substr(0, space);
      right = field.text().substr(space + 1);
    } else {
      std::vector<Field> pair = field.list();
      if (pair.size() != 2)
        field.refuse("expected two tokens, got " + std::to_string(pair.size()));
      left = pair[0].text();
      right = pair[1].text();
    }
    rules.merges.insert_or_assign(
        mergeKey(idOf(left, field), idOf(right, field)),
        TokenizerRules::Merge{rank, idOf(left + right, field)});
  }

  void findBytes() {
    rules.bytes.emplace().fill(-1);
    for (int byte = 0; byte < 256; ++byte) {
      char text[8];
      std::snprintf(text, sizeof(text), "<0x%02X>", byte);
      auto token = rules.vocabulary.find(text);
      if (token != rules.vocabulary.end())
        (*rules.bytes)[byte] = token->second;
    }
  }

  void readAddedToken(const Field &token) {
    const std::string &text = token["content"].textNotEmpty();
    if (text.size() > LongestToken)
      token["content"].refuse("expected at most " +
                              std::to_string(LongestToken) + " bytes, got " +
                              std::to_string(text.size()));
    for (const char *name : {"single_word", "lstrip", "rstrip"})
      token[name].expectUnset();
    int32_t id = token["id"].number();
    auto known = rules.vocabulary.find(text);
    if (known != rules.vocabulary.end() && known->second != id)
      token["id"].refuse("expected " + std::to_string(known->second) +
                         " as in the vocabulary, got " + std::to_string(id));
    addText(text, id, token["id"]);

    bool isSpecial = token["special"].boolean(false);
    std::string normalized = normalize(text, rules.normalizer);
    if (!token["normalized"].boolean(!isSpecial))
      rules.added.add(text, id);
    else if (!normalized.empty()) {
      rules.addedNormalized.add(normalized, id);
      rules.texts[id] = normalized;
    }
    if (isSpecial)
      rules.special.insert(id);
    // The file does not say which token ends a text; these names do.
    static const std::set<std::string> ends = {
        "</s>",          "<eos>",      "[EOS]",
        "<|endoftext|>", "<|end|>",    "<|end_of_text|>",
        "<|eot_id|>",    "<|im_end|>", "<end_of_turn>"};
    if (ends.count(text))
      rules.ends.insert(id);
  }

  using ReadStep = TextStep (*)(const Field &step, const std::string &type);

  static void readSteps(const Field &field, const char *members,
                        std::vector<TextStep> &steps, ReadStep readStep,
                        int depth = 0) {
    if (field.isNull())
      return;
    std::string type = field["type"].text();
    if (type != "Sequence") {
      steps.push_back(readStep(field, type));
      return;
    }
    if (depth == DeepestNesting)
      field.refuse("expected sequences nested less deeply");
    for (const Field &member : field[members].list())
      readSteps(member, members, steps, readStep, depth + 1);
  }

  static TextStep readReplace(const Field &step) {
    Field pattern = step["pattern"];
    if (pattern["String"].isNull())
      pattern.refuse("expected a String; a Regex is not supported");
    return {TextStep::Replace, pattern["String"].textNotEmpty(),
            step["content"].text()};
  }

  static TextStep readNormalizer(const Field &step, const std::string &type) {
    if (type == "Prepend")
      return {TextStep::Prepend, step["prepend"].text(), ""};
    if (type == "Replace")
      return readReplace(step);
    step.refuse("the normalizer '" + type + "' is not supported");
  }

  static TextStep readDecoder(const Field &step, const std::string &type) {
    if (type == "Replace")
      return readReplace(step);
    if (type == "ByteFallback")
      return {TextStep::ByteFallback, "", ""};
    if (type == "Fuse")
      return {TextStep::Fuse, "", ""};
    if (type == "Strip")
      return {TextStep::Strip, step["content"].textNotEmpty(), "",
              step["start"].number(), step["stop"].number()};
    if (type == "Metaspace") {
      WordRule rule = readMetaspace(step);
      return {TextStep::Metaspace,           rule.mark, "", 0, 0,
              rule.prefix != WordRule::Never};
    }
    step.refuse("the decoder '" + type + "' is not supported");
  }

  static WordRule readMetaspace(const Field &field) {
    WordRule rule;
    rule.mark = field["replacement"].textNotEmpty();
    rule.split = field["split"].boolean(true);
    // Older files have add_prefix_space in place of prepend_scheme.
    Field scheme = field["prepend_scheme"];
    if (scheme.isNull())
      rule.prefix = field["add_prefix_space"].boolean(true) ? WordRule::Always
                                                            : WordRule::Never;
    else if (scheme.text() == "always")
      rule.prefix = WordRule::Always;
    else if (scheme.text() == "first")
      rule.prefix = WordRule::First;
    else if (scheme.text() == "never")
      rule.prefix = WordRule::Never;
    else
      scheme.refuse("expected always, first or never, got '" + scheme.text() +
                    "'");
    return rule;
  }

  void readWords(const Field &field) {
    if (field["type"].text() != "Metaspace")
      field.refuse("the pre-tokenizer '" + field["type"].text() +
                   "' is not supported");
    rules.words = readMetaspace(field);
  }

  // What is put around a single text.
  void readTemplate(const Field &field) {
    if (field["type"].text() != "TemplateProcessing")
      field.refuse("the post-processor '" + field["type"].text() +
                   "' is not supported");
    bool afterText = false;
    for (const Field &piece : field["single"].list()) {
      Field special = piece["SpecialToken"];
      if (!special.isNull()) {
        Field token = field["special_tokens"][special["id"].text()];
        for (const Field &id : token["ids"].list()) {
          if (!rules.texts.count(id.number()))
            id.refuse("expected the id of a token, got " +
                      std::to_string(id.number()));
          (afterText ? rules.after : rules.before).push_back(id.number());
        }
        continue;
      }
      if (afterText || piece["Sequence"]["id"].text() != "A")
        piece.refuse("expected a special token, or once the text 'A'");
      afterText = true;
    }
    if (!afterText)
      field["single"].refuse("expected the text 'A' in it");
  }

  Field file;
  TokenizerRules rules;
};

} // namespace

Tokenizer lutra::run::parseTokenizer(std::string_view json,
                                     const std::string &origin) {
  Json file;
  try {
    file = Json::parse(json);
  } catch (const Json::exception &) {
    file = Json(Json::value_t::discarded);
  }
  if (!file.is_object())
    throw Failure(Exit::Invalid,
                  origin + ": expected a tokenizer.json, got another file");
  try {
    return Tokenizer(Reader(Field(file, "")).read());
  } catch (const Failure &failure) {
    throw Failure(failure.code, origin + ": " + failure.what());
  }
}
