//===- Samples.cpp - A model on samples of its inputs ---------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Samples.h"
#include "Execution.h"
#include "Npy.h"

using namespace lutra::run;

namespace {

/// The samples of one file.
class Samples {
public:
  Samples(const lutra_model *model, const std::string &file)
      : info(*lutra_model_info(model)), file(file), arrays(readNpz(file)) {
    for (const auto &[name, array] : arrays) {
      int32_t index = 0;
      checkInFile(lutra_find_input(model, name.c_str(), &index));
    }
    for (int32_t i = 0; i < info.input_count; ++i)
      countIn(info.inputs[i]);
    if (count == 0)
      fail("expected at least one sample, got none");
  }

  int64_t size() const { return count.value_or(1); }

  /// The inputs of a sample; they live as long as this.
  std::vector<lutra_tensor> sample(int64_t number) {
    std::vector<lutra_tensor> views;
    for (int32_t i = 0; i < info.input_count; ++i) {
      Array &array = arrays.at(info.inputs[i].name);
      lutra_tensor view = array.view();
      if (hasSamples(info.inputs[i], array)) {
        --view.rank;
        ++view.shape;
        view.data = array.data() + number * (array.byteSize() / size());
      }
      views.push_back(view);
    }
    return views;
  }

  /// Throws a runtime's error that is about a sample.
  void checkInFile(lutra_status *status) {
    try {
      check(status);
    } catch (const Failure &failure) {
      throw Failure(failure.code, file + ": " + failure.what());
    }
  }

private:
  [[noreturn]] void fail(const std::string &what) {
    throw Failure(Exit::Invalid, file + ": " + what);
  }

  static bool hasSamples(const lutra_tensor_desc &input, const Array &array) {
    return static_cast<int64_t>(array.shape().size()) == input.rank + 1;
  }

  void countIn(const lutra_tensor_desc &input) {
    auto found = arrays.find(input.name);
    if (found == arrays.end())
      fail(std::string("expected an array for input '") + input.name + "'");
    if (!hasSamples(input, found->second))
      return;
    int64_t here = found->second.shape().front();
    if (count && *count != here)
      fail("expected " + std::to_string(*count) + " samples for input '" +
           input.name + "', got " + std::to_string(here));
    count = here;
  }

  const lutra_model_desc &info;
  const std::string &file;
  std::map<std::string, Array> arrays;
  std::optional<int64_t> count;
};

void runFile(const lutra_model *model, lutra_context *context,
             lutra_state *state, const std::string &file,
             const std::function<void(const std::vector<Array> &)> &take) {
  Samples samples(model, file);
  for (int64_t i = 0; i < samples.size(); ++i) {
    if (state)
      lutra_state_reset(state);
    std::vector<lutra_tensor> inputs = samples.sample(i);
    samples.checkInFile(lutra_bind_dims(model, state, inputs.data(),
                                        static_cast<int32_t>(inputs.size()),
                                        nullptr));
    std::vector<Array> outputs = makeOutputs(model, state, inputs);
    std::vector<lutra_tensor> results = viewAll(outputs);
    check(lutra_context_run(context, inputs.data(),
                            static_cast<int32_t>(inputs.size()), results.data(),
                            static_cast<int32_t>(results.size())));
    take(outputs);
  }
}

} // namespace

std::optional<Failure> lutra::run::runOnSamples(
    const std::string &artifact, const std::vector<std::string> &files,
    const std::function<void(const std::vector<Array> &)> &take) {
  try {
    lutra_model *loaded = nullptr;
    check(lutra_model_load(artifact.c_str(), nullptr, LUTRA_TRUST_WEIGHTS,
                           &loaded));
    Model model(loaded);
    Pool pool = makePool(0);
    State state = makeState(loaded);
    Context context =
        makeContext(loaded, lutra_pool_executor(pool.get()), state.get());
    for (const std::string &file : files)
      runFile(loaded, context.get(), state.get(), file, take);
  } catch (const Failure &failure) {
    return failure;
  } catch (const std::bad_alloc &) {
    return Failure(Exit::Internal, "out of memory");
  }
  return std::nullopt;
}
