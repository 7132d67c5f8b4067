//===- OptionsTest.cpp - lutra-run's command line ---------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Options.h"
#include "Failure.h"
#include "gtest/gtest.h"

#include <vector>

using namespace lutra::run;

namespace {

Options parse(std::vector<const char *> arguments) {
  arguments.insert(arguments.begin(), "lutra-run");
  return parseOptions(static_cast<int>(arguments.size()), arguments.data());
}

std::string errorOf(const std::vector<const char *> &arguments) {
  try {
    parse(arguments);
    return "ok";
  } catch (const Failure &failure) {
    EXPECT_EQ(failure.code, Exit::CommandLine);
    return failure.what();
  }
}

TEST(OptionsTest, Parses) {
  Options options = parse(
      {"a.so", "--input=x=@a.npy", "--input=y:0=rand:3", "--inputs=@all.npz",
       "--dim=batch:33", "--output=s=@s.npy", "--dump-outputs=out",
       "--expect=s=@e.npy", "--expect=all.npz", "--rtol=0.5", "--atol=0",
       "--benchmark", "--warmup=0", "--repeat=7", "--profile", "--threads=2",
       "--weights-dir=w", "--verify-weights"});
  EXPECT_EQ(options.artifact, "a.so");
  EXPECT_EQ(options.inputs.at("x"), "@a.npy");
  EXPECT_EQ(options.inputs.at("y:0"), "rand:3");
  EXPECT_EQ(options.inputsFile, "all.npz");
  EXPECT_EQ(options.dims.at("batch"), 33);
  EXPECT_EQ(options.outputs.at("s"), "s.npy");
  EXPECT_EQ(options.dumpDir, "out");
  EXPECT_EQ(options.expected.at("s"), "e.npy");
  EXPECT_EQ(options.expectedFile, "all.npz");
  EXPECT_EQ(options.rtol, 0.5);
  EXPECT_EQ(options.atol, 0);
  EXPECT_EQ(options.warmup, 0);
  EXPECT_EQ(options.repeat, 7);
  EXPECT_EQ(options.threads, 2);
  EXPECT_EQ(options.weightsDir, "w");
  EXPECT_TRUE(options.benchmark && options.profile && options.verifyWeights);
  EXPECT_EQ(parse({"a.so", "--expect=@b.npz"}).expectedFile, "b.npz");
}

TEST(OptionsTest, Refuses) {
  const std::string help = "; see lutra-run --help";
  EXPECT_EQ(errorOf({}),
            "expected an artifact (a .so made by lutra-compile)" + help);
  EXPECT_EQ(errorOf({"a", "b"}), "expected one artifact, got also 'b'" + help);
  EXPECT_EQ(errorOf({"--frobnicate"}), "unknown option '--frobnicate'" + help);
  EXPECT_EQ(errorOf({"-h"}), "unknown option '-h'" + help);
  EXPECT_EQ(errorOf({"a", "--info=1"}), "--info takes no value" + help);
  EXPECT_EQ(errorOf({"a", "--dim"}), "--dim needs a value: =..." + help);
  EXPECT_EQ(errorOf({"a", "--dim=batch"}),
            "--dim: expected NAME:..., got 'batch'" + help);
  EXPECT_EQ(errorOf({"a", "--dim=b:x"}),
            "--dim: expected a number of 0 or more, got 'x'" + help);
  EXPECT_EQ(errorOf({"a", "--dim=b:1", "--dim=b:2"}),
            "--dim is given twice for 'b'" + help);
  EXPECT_EQ(errorOf({"a", "--repeat=0"}),
            "--repeat: expected a number of 1 or more, got '0'" + help);
  EXPECT_EQ(errorOf({"a", "--threads=99999999999999999999"}),
            "--threads: expected a number of 1 or more, got "
            "'99999999999999999999'" +
                help);
  EXPECT_EQ(errorOf({"a", "--input=x"}),
            "--input: expected NAME=..., got 'x'" + help);
  EXPECT_EQ(errorOf({"a", "--inputs=a.npz"}),
            "--inputs: expected @FILE, got 'a.npz'" + help);
  EXPECT_EQ(errorOf({"a", "--expect="}),
            "--expect: expected NAME=@FILE.npy or FILE.npz" + help);
  EXPECT_EQ(errorOf({"a", "--rtol=-1"}),
            "--rtol: expected a tolerance of 0 or more, got '-1'" + help);
  EXPECT_EQ(errorOf({"a", "--atol=nan"}),
            "--atol: expected a tolerance of 0 or more, got 'nan'" + help);
}

TEST(OptionsTest, Generate) {
  Options options = parse({"m.so", "--generate=1 + 1 =", "--tokenizer=t.json",
                           "--max-tokens=5", "--temperature=0.5", "--top-k=9",
                           "--seed=3", "--stop=.", "--stop=a=b"});
  EXPECT_EQ(options.generate.prompt, "1 + 1 =");
  EXPECT_EQ(options.generate.tokenizer, "t.json");
  EXPECT_EQ(options.generate.maxTokens, 5);
  EXPECT_EQ(options.generate.temperature, 0.5);
  EXPECT_EQ(options.generate.topK, 9);
  EXPECT_EQ(options.generate.seed, 3u);
  EXPECT_EQ(options.generate.stops, std::vector<std::string>({".", "a=b"}));

  const std::string help = "; see lutra-run --help";
  EXPECT_EQ(errorOf({"a", "--generate=x"}),
            "--generate needs --tokenizer=tokenizer.json" + help);
  EXPECT_EQ(errorOf({"a", "--tokenizer=x"}),
            "--tokenizer and --stop need --generate=PROMPT" + help);
  EXPECT_EQ(errorOf({"a", "--stop="}), "--stop: expected a text" + help);
  EXPECT_EQ(errorOf({"a", "--temperature=-1"}),
            "--temperature: expected a number of 0 or more, got '-1'" + help);
  EXPECT_EQ(errorOf({"a", "--generate=x", "--tokenizer=t", "--top-k=2"}),
            "--top-k needs a --temperature above 0" + help);
  for (const char *option : {"--input=x=f32=1", "--inputs=@x.npz", "--dim=b:1"})
    EXPECT_EQ(errorOf({"a", "--generate=x", "--tokenizer=t", option}),
              "--generate makes all inputs itself" + help);
  for (const char *option :
       {"--output=y=@y.npy", "--dump-outputs=d", "--expect=y=@y.npy",
        "--expect=y.npz", "--profile"})
    EXPECT_EQ(errorOf({"a", "--generate=x", "--tokenizer=t", option}),
              "--generate writes text alone" + help);
}

TEST(OptionsTest, HelpNeedsNoArtifact) {
  EXPECT_TRUE(parse({"--help"}).help);
  EXPECT_TRUE(parse({"--version"}).version);
}

} // namespace
