//===- Inputs.cpp - The inputs of a run -----------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Inputs.h"
#include "Failure.h"
#include "Npy.h"

#include <algorithm>
#include <charconv>
#include <optional>

using namespace lutra::run;

namespace {

/// The inputs in the making: what is given first, then what follows from it.
class InputMaker {
public:
  InputMaker(const lutra_model *model, const Options &options)
      : model(model), info(*lutra_model_info(model)), options(options),
        inputs(info.input_count), seeds(info.input_count),
        dims(info.dim_count) {}

  std::vector<Array> make() {
    readGiven();
    readDims();
    std::vector<Array> all;
    for (int32_t i = 0; i < info.input_count; ++i) {
      if (!inputs[i])
        inputs[i] = makeRandom(i);
      all.push_back(std::move(*inputs[i]));
    }
    return all;
  }

private:
  int32_t indexOf(const std::string &name) {
    int32_t index = 0;
    check(lutra_find_input(model, name.c_str(), &index));
    return index;
  }

  static uint64_t parseSeed(const std::string &name, const std::string &text) {
    uint64_t seed = 0;
    const char *end = text.data() + text.size();
    auto [stop, error] = std::from_chars(text.data(), end, seed);
    if (error != std::errc() || stop != end)
      throw Failure(Exit::CommandLine,
                    "--input=" + name +
                        ": expected rand:SEED, got 'rand:" + text + "'");
    return seed;
  }

  void readGiven() {
    if (!options.inputsFile.empty())
      for (auto &[name, array] : readNpz(options.inputsFile))
        inputs[indexOf(name)] = std::move(array);
    for (const auto &[name, text] : options.inputs) {
      int32_t index = indexOf(name);
      if (text.rfind("rand:", 0) == 0)
        seeds[index] = parseSeed(name, text.substr(5));
      else if (text.rfind('@', 0) == 0)
        inputs[index] = readNpy(text.substr(1));
      else
        inputs[index] = parseLiteral(text, "--input=" + name);
    }
  }

  void readDims() {
    for (const auto &[name, size] : options.dims)
      setDim(name, size);
    for (int32_t i = 0; i < info.input_count; ++i)
      if (inputs[i] && static_cast<int32_t>(inputs[i]->shape().size()) ==
                           info.inputs[i].rank)
        takeDims(i);
    for (int32_t i = 0; i < info.dim_count; ++i)
      if (!dims[i])
        dims[i] = i == info.state_dim ? 0 : smallest(info.dims[i]);
  }

  void setDim(const std::string &name, int64_t size) {
    std::string names;
    for (int32_t i = 0; i < info.dim_count; ++i) {
      if (name == info.dims[i].name) {
        if (i == info.state_dim && size != 0)
          throw Failure(Exit::Invalid, "dim '" + name +
                                           "': expected 0, the length of the "
                                           "state at first, got " +
                                           std::to_string(size));
        dims[i] = size;
        return;
      }
      names +=
          std::string(names.empty() ? "'" : ", '") + info.dims[i].name + "'";
    }
    throw Failure(Exit::Invalid, "no dim is named '" + name +
                                     "'; expected one of: " +
                                     (names.empty() ? "none" : names));
  }

  // A given input's sizes become the dims of the random ones. Where two given
  // inputs differ, the runtime says so; a --dim that differs is found here.
  void takeDims(int32_t input) {
    for (int32_t axis = 0; axis < info.inputs[input].rank; ++axis) {
      int64_t dim = -1 - info.inputs[input].shape[axis];
      if (dim < 0)
        continue;
      int64_t size = inputs[input]->shape()[axis];
      if (options.dims.count(info.dims[dim].name) && *dims[dim] != size)
        throw Failure(Exit::Invalid,
                      std::string("dim '") + info.dims[dim].name +
                          "': expected " + std::to_string(*dims[dim]) +
                          " as in --dim, got " + std::to_string(size) +
                          " in input '" + info.inputs[input].name + "'");
      dims[dim] = size;
    }
  }

  static int64_t smallest(const lutra_dim_desc &dim) {
    int64_t least = std::max<int64_t>(dim.min, 1);
    int64_t steps = least / dim.multiple + (least % dim.multiple != 0);
    int64_t size = 0;
    if (__builtin_mul_overflow(steps, dim.multiple, &size) || size > dim.max)
      return dim.min;
    return size;
  }

  Array makeRandom(int32_t index) {
    const lutra_tensor_desc &input = info.inputs[index];
    std::vector<int64_t> shape(input.shape, input.shape + input.rank);
    for (int64_t &size : shape)
      if (size < 0)
        size = *dims[-1 - size];
    checkRanges();
    Array array(static_cast<lutra_dtype>(input.dtype), shape);
    fillRandom(array, seeds[index].value_or(index));
    return array;
  }

  // A size out of range is better said by the runtime, before memory is taken
  // for it: no data is needed to ask.
  void checkRanges() {
    std::vector<int64_t> values;
    for (const std::optional<int64_t> &dim : dims)
      values.push_back(*dim);
    size_t bytes = 0;
    check(lutra_workspace_size(model, values.data(), 1, &bytes));
  }

  const lutra_model *model;
  const lutra_model_desc &info;
  const Options &options;
  std::vector<std::optional<Array>> inputs;
  std::vector<std::optional<uint64_t>> seeds;
  std::vector<std::optional<int64_t>> dims;
};

} // namespace

std::vector<Array> lutra::run::makeInputs(const lutra_model *model,
                                          const Options &options) {
  return InputMaker(model, options).make();
}
