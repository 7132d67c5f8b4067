//===- Options.cpp - lutra-run's command line -----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Options.h"
#include "Failure.h"

#include <charconv>
#include <cmath>
#include <string_view>

using namespace lutra::run;

namespace {

[[noreturn]] void fail(const std::string &message) {
  throw Failure(Exit::CommandLine, message + "; see lutra-run --help");
}

/// One `--name` or `--name=value` and what it does.
struct Option {
  const char *name;
  bool hasValue;
  void (*apply)(Options &, const std::string &value);
};

// "NAME=TEXT" and "NAME:TEXT"
std::pair<std::string, std::string>
splitName(const std::string &option, const std::string &value, char separator) {
  size_t at = value.find(separator);
  if (at == 0 || at == std::string::npos)
    fail(option + ": expected NAME" + separator + "..., got '" + value + "'");
  return {value.substr(0, at), value.substr(at + 1)};
}

template <typename T>
void insert(std::map<std::string, T> &map, const std::string &option,
            const std::string &name, T value) {
  if (!map.emplace(name, std::move(value)).second)
    fail(option + " is given twice for '" + name + "'");
}

// "@file"
std::string fileOf(const std::string &option, const std::string &value) {
  if (value.size() < 2 || value.front() != '@')
    fail(option + ": expected @FILE, got '" + value + "'");
  return value.substr(1);
}

int64_t parseInteger(const std::string &option, const std::string &value,
                     int64_t min) {
  int64_t number = 0;
  const char *end = value.data() + value.size();
  auto [stop, error] = std::from_chars(value.data(), end, number);
  if (error != std::errc() || stop != end || number < min)
    fail(option + ": expected a number of " + std::to_string(min) +
         " or more, got '" + value + "'");
  return number;
}

double parseDecimal(const std::string &option, const std::string &value,
                    const char *what) {
  char *stop = nullptr;
  double number = std::strtod(value.c_str(), &stop);
  if (value.empty() || *stop || !(number >= 0) || std::isinf(number))
    fail(option + ": expected a " + what + " of 0 or more, got '" + value +
         "'");
  return number;
}

void setExpected(Options &options, const std::string &value) {
  bool isArchive = value.find("=@") == std::string::npos;
  if (isArchive && (value.empty() || value == "@"))
    fail("--expect: expected NAME=@FILE.npy or FILE.npz");
  if (isArchive) {
    options.expectedFile = value.front() == '@' ? value.substr(1) : value;
    return;
  }
  auto [name, file] = splitName("--expect", value, '=');
  insert(options.expected, "--expect", name, fileOf("--expect", file));
}

void setOutput(Options &options, const std::string &value) {
  auto [name, file] = splitName("--output", value, '=');
  insert(options.outputs, "--output", name, fileOf("--output", file));
}

void setInput(Options &options, const std::string &value) {
  auto [name, text] = splitName("--input", value, '=');
  insert(options.inputs, "--input", name, text);
}

void setDim(Options &options, const std::string &value) {
  auto [name, size] = splitName("--dim", value, ':');
  insert(options.dims, "--dim", name, parseInteger("--dim", size, 0));
}

void addStop(Options &options, const std::string &value) {
  if (value.empty())
    fail("--stop: expected a text");
  options.generate.stops.push_back(value);
}

constexpr Option table[] = {
    {"--input", true, setInput},
    {"--inputs", true,
     [](Options &o, auto &v) { o.inputsFile = fileOf("--inputs", v); }},
    {"--dim", true, setDim},
    {"--output", true, setOutput},
    {"--dump-outputs", true,
     [](Options &o, auto &v) {
       if (v.empty())
         fail("--dump-outputs: expected a folder");
       o.dumpDir = v;
     }},
    {"--expect", true, setExpected},
    {"--against", true,
     [](Options &o, auto &v) {
       if (v.empty())
         fail("--against: expected an artifact");
       o.against = v;
     }},
    {"--rtol", true,
     [](Options &o, auto &v) {
       o.rtol = parseDecimal("--rtol", v, "tolerance");
     }},
    {"--atol", true,
     [](Options &o, auto &v) {
       o.atol = parseDecimal("--atol", v, "tolerance");
     }},
    {"--generate", true, [](Options &o, auto &v) { o.generate.prompt = v; }},
    {"--tokenizer", true,
     [](Options &o, auto &v) { o.generate.tokenizer = v; }},
    {"--max-tokens", true,
     [](Options &o, auto &v) {
       o.generate.maxTokens = parseInteger("--max-tokens", v, 1);
     }},
    {"--temperature", true,
     [](Options &o, auto &v) {
       o.generate.temperature = parseDecimal("--temperature", v, "number");
     }},
    {"--top-k", true,
     [](Options &o, auto &v) {
       o.generate.topK = parseInteger("--top-k", v, 1);
     }},
    {"--seed", true,
     [](Options &o, auto &v) {
       o.generate.seed = static_cast<uint64_t>(parseInteger("--seed", v, 0));
     }},
    {"--stop", true, addStop},
    {"--benchmark", false, [](Options &o, auto &) { o.benchmark = true; }},
    {"--warmup", true,
     [](Options &o, auto &v) { o.warmup = parseInteger("--warmup", v, 0); }},
    {"--repeat", true,
     [](Options &o, auto &v) { o.repeat = parseInteger("--repeat", v, 1); }},
    {"--profile", false, [](Options &o, auto &) { o.profile = true; }},
    {"--trace", true,
     [](Options &o, auto &v) {
       if (v.empty())
         fail("--trace: expected a file");
       o.traceFile = v;
     }},
    {"--info", false, [](Options &o, auto &) { o.info = true; }},
    {"--threads", true,
     [](Options &o, auto &v) { o.threads = parseInteger("--threads", v, 1); }},
    {"--weights-dir", true, [](Options &o, auto &v) { o.weightsDir = v; }},
    {"--verify-weights", false,
     [](Options &o, auto &) { o.verifyWeights = true; }},
    {"--help", false, [](Options &o, auto &) { o.help = true; }},
    {"--version", false, [](Options &o, auto &) { o.version = true; }},
};

const Option &find(std::string_view name) {
  for (const Option &option : table)
    if (name == option.name)
      return option;
  fail("unknown option '" + std::string(name) + "'");
}

// Options that only make sense together, or apart.
void checkGenerate(const Options &options) {
  const GenerateOptions &generate = options.generate;
  if (!generate.prompt) {
    if (!generate.tokenizer.empty() || !generate.stops.empty())
      fail("--tokenizer and --stop need --generate=PROMPT");
    return;
  }
  if (generate.tokenizer.empty())
    fail("--generate needs --tokenizer=tokenizer.json");
  if (generate.temperature == 0 && generate.topK)
    fail("--top-k needs a --temperature above 0");
  if (!options.inputs.empty() || !options.inputsFile.empty() ||
      !options.dims.empty())
    fail("--generate makes all inputs itself");
  if (!options.outputs.empty() || !options.dumpDir.empty() ||
      !options.expected.empty() || !options.expectedFile.empty() ||
      !options.against.empty() || options.profile)
    fail("--generate writes text alone");
}

} // namespace

Options lutra::run::parseOptions(int argc, const char *const *argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    std::string_view argument = argv[i];
    if (argument.substr(0, 2) != "--") {
      if (argument.size() > 1 && argument.front() == '-')
        fail("unknown option '" + std::string(argument) + "'");
      if (!options.artifact.empty() || argument.empty())
        fail("expected one artifact, got also '" + std::string(argument) + "'");
      options.artifact = argument;
      continue;
    }
    size_t equals = argument.find('=');
    bool hasValue = equals != std::string_view::npos;
    const Option &option = find(argument.substr(0, equals));
    if (option.hasValue != hasValue)
      fail(std::string(option.name) +
           (hasValue ? " takes no value" : " needs a value: =..."));
    option.apply(options,
                 std::string(hasValue ? argument.substr(equals + 1) : ""));
  }
  if (options.artifact.empty() && !options.help && !options.version)
    fail("expected an artifact (a .so made by lutra-compile)");
  checkGenerate(options);
  return options;
}

const char *lutra::run::helpText() {
  return R"(Run, compare, measure and inspect a compiled model.

  lutra-run ARTIFACT.so [options]

Inputs (those not given are random, the same in every run)
  --input=NAME=@FILE.npy      from a file
  --input=NAME=2x3xf32=1,2,.. from the command line: all values, or one for all;
                              f16 bf16 f32 f64 i8 i16 i32 i64 u8 u16 u32 u64 i1
  --input=NAME=rand:SEED      random: floats in [-1,1), bytes in their range,
                              wider integers in 0..7, bools
  --inputs=@FILE.npz          all arrays of a file, by name
  --dim=NAME:SIZE             size of a dimension in random inputs (default: the
                              smallest that is allowed and not 0)

Outputs (printed, where nothing else is asked)
  --output=NAME=@FILE.npy     write one output
  --dump-outputs=DIR          write each output to DIR/NAME.npy
  --expect=NAME=@FILE.npy     compare one output; exit code 5 on a mismatch
  --expect=FILE.npz           compare all outputs in a file
  --rtol=X --atol=X           |got - expected| <= atol + rtol * |expected|
                              (default 1e-5 each); NaN equals NaN
  --against=OTHER.so          how far the outputs are from those of another
                              artifact, such as the same model unquantized

Text (of a language model compiled with --state)
  --generate=PROMPT           continue a text, token by token
  --tokenizer=tokenizer.json  Hugging Face's file (BPE over characters)
  --max-tokens=N              default: until the model ends or its state is full
  --temperature=T --top-k=K --seed=S
                              draw tokens, of the K likeliest (default: always
                              the likeliest); the same seed draws the same
  --stop=TEXT                 end before this text; may be given again

Measuring
  --benchmark                 min, median and max time of a run; with
                              --generate tokens per second
  --profile                   time by kernel, with the ONNX nodes
  --trace=FILE.json           every dispatch and task of the runs, for
                              chrome://tracing or ui.perfetto.dev
  --warmup=N --repeat=N       runs before and while measuring (default 3, 20)
  --threads=N                 default: all usable CPUs

Other
  --info                      what the artifact is; runs nothing
  --weights-dir=DIR           where the weight file is (default: beside ARTIFACT)
  --verify-weights            check the hash of a weight file of any size
  --help, --version

Exit codes: 0 ok, 1 internal error, 2 bad command line, 3 invalid artifact or
input, 4 file cannot be read or written, 5 an output is not as expected
)";
}
