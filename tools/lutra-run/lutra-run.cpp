//===- lutra-run.cpp - Run, compare, measure and inspect a model ----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Compare.h"
#include "Failure.h"
#include "Generate.h"
#include "Measure.h"
#include "Npy.h"
#include "Options.h"
#include "Print.h"
#include "Session.h"
#include "Trace.h"

#include <cctype>
#include <cstdio>
#include <filesystem>
#include <new>
#include <set>

using namespace lutra::run;

static void print(const std::string &text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

// ONNX names may hold any character; file names may not.
static std::string fileName(const std::string &name) {
  std::string safe = name;
  for (char &c : safe)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '-')
      c = '_';
  return safe + ".npy";
}

static void writeOutputs(const Session &session, const Options &options) {
  for (const auto &[name, file] : options.outputs)
    writeNpy(file, session.output(name));
  if (options.dumpDir.empty())
    return;
  std::error_code error;
  std::filesystem::create_directories(options.dumpDir, error);
  if (error)
    throw Failure(Exit::InputOutput, options.dumpDir + ": " + error.message());
  std::set<std::string> taken;
  for (int32_t i = 0; i < session.info().output_count; ++i) {
    std::string file = fileName(session.info().outputs[i].name);
    if (!taken.insert(file).second) // Two names may become the same file.
      file = std::to_string(i) + "_" + file;
    writeNpy(options.dumpDir + "/" + file, session.outputs()[i]);
  }
}

// Returns whether all expected outputs match.
static bool compareOutputs(const Session &session, const Options &options) {
  std::map<std::string, Array> expected;
  if (!options.expectedFile.empty())
    expected = readNpz(options.expectedFile);
  for (const auto &[name, file] : options.expected)
    expected.insert_or_assign(name, readNpy(file));
  bool matches = true;
  for (const auto &[name, array] : expected) {
    Comparison result =
        compare(array, session.output(name), options.rtol, options.atol);
    print("output '" + name + "': " + result.text + "\n");
    matches &= result.matches;
  }
  return matches;
}

/// Says how far the outputs are from those of another artifact on the same
/// inputs.
static void compareArtifacts(const Session &session, const Options &options) {
  Options others = options;
  others.artifact = options.against;
  Model model = loadModel(others);
  Session other(model.get(), others);
  other.run();
  for (int32_t i = 0; i < session.info().output_count; ++i) {
    std::string name = session.info().outputs[i].name;
    print("output '" + name +
          "': " + deviation(other.output(name), session.outputs()[i]) + "\n");
  }
}

static Exit run(const Options &options) {
  Model model = loadModel(options);
  if (options.info) {
    print(formatInfo(*lutra_model_info(model.get())));
    return Exit::Ok;
  }
  if (options.generate.prompt) {
    generate(model.get(), options);
    return Exit::Ok;
  }
  Session session(model.get(), options);
  session.run();
  bool compared = !options.expected.empty() || !options.expectedFile.empty() ||
                  !options.against.empty();
  writeOutputs(session, options);
  bool matches = compareOutputs(session, options);
  if (!options.against.empty())
    compareArtifacts(session, options);
  if (options.benchmark)
    print(benchmark(session, options));
  if (options.profile)
    print(profile(session, options));
  if (!options.traceFile.empty())
    writeFile(options.traceFile, traceRuns(session, options));
  if (!compared && options.outputs.empty() && options.dumpDir.empty() &&
      !options.benchmark && !options.profile && options.traceFile.empty())
    for (int32_t i = 0; i < session.info().output_count; ++i)
      print(std::string(session.info().outputs[i].name) + ": " +
            formatArray(session.outputs()[i]) + "\n");
  return matches ? Exit::Ok : Exit::Mismatch;
}

static Exit fail(Exit code, const char *message) {
  std::fflush(stdout);
  std::fprintf(stderr, "lutra-run: error: %s\n", message);
  return code;
}

static Exit guardedMain(int argc, char **argv) {
  try {
    Options options = parseOptions(argc, argv);
    if (options.help)
      print(helpText());
    else if (options.version)
      print(std::string("lutra-run ") + lutra_version() + " (ABI version " +
            std::to_string(lutra_abi_version()) + ")\n");
    else
      return run(options);
    return Exit::Ok;
  } catch (const Failure &failure) {
    return fail(failure.code, failure.what());
  } catch (const std::bad_alloc &) {
    return fail(Exit::Internal, "out of memory");
  } catch (const std::exception &error) {
    return fail(Exit::Internal, error.what());
  }
}

int main(int argc, char **argv) {
  Exit code = guardedMain(argc, argv);
  // A full disk or a closed pipe shows only here.
  if (std::fflush(stdout) != 0 && code == Exit::Ok)
    code = fail(Exit::InputOutput, "cannot write to standard output");
  return static_cast<int>(code);
}
