//===- ImportState.cpp - Inputs that are kept between runs ----------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finds the inputs and outputs that --state names, and the axis along which an
// output is its input with more appended. Whether it is that, the pass that
// rewrites them checks (lib/Transforms/MaterializeState.cpp).
//
//===----------------------------------------------------------------------===//

#include "Importer.h"
#include "llvm/ADT/StringExtras.h"
#include <set>

using namespace mlir;
using namespace mlir::lutra;

/// What '*' stands for in `pattern` where it matches `name`; the empty text
/// where there is no '*' and both are the same.
static std::optional<StringRef> matchPattern(StringRef pattern,
                                             StringRef name) {
  if (!pattern.contains('*'))
    return pattern == name ? std::optional(StringRef()) : std::nullopt;
  auto [prefix, suffix] = pattern.split('*');
  if (name.size() < prefix.size() + suffix.size() ||
      !name.consume_front(prefix) || !name.consume_back(suffix))
    return std::nullopt;
  return name;
}

static std::string fillPattern(StringRef pattern, StringRef text) {
  if (!pattern.contains('*'))
    return pattern.str();
  auto [prefix, suffix] = pattern.split('*');
  return (prefix + text + suffix).str();
}

/// The names of the symbolic sizes of a value; an empty text for a fixed one.
static SmallVector<StringRef> dimNames(const model::Graph &graph,
                                       StringRef value) {
  SmallVector<StringRef> names;
  auto found = graph.types.find(value.str());
  if (found != graph.types.end() && found->second.shape)
    for (const model::Dim &dim : *found->second.shape)
      names.push_back(dim.size ? StringRef() : StringRef(dim.name));
  return names;
}

/// The symbolic dimension of `past` that differs in `present` and, if that does
/// not say, that no input but states has.
std::optional<unsigned> Importer::findAxis(const model::Graph &graph,
                                           StringRef past, StringRef present) {
  SmallVector<StringRef> before = dimNames(graph, past);
  SmallVector<StringRef> after = dimNames(graph, present);
  std::set<StringRef> others;
  for (const std::string &input : graph.inputs)
    if (!states.contains(input) && input != past)
      for (StringRef name : dimNames(graph, input))
        others.insert(name);
  SmallVector<unsigned> grown, own;
  for (auto [i, name] : llvm::enumerate(before)) {
    if (name.empty())
      continue;
    if (after.size() == before.size() && after[i] != name)
      grown.push_back(i);
    if (!others.count(name))
      own.push_back(i);
  }
  if (grown.size() == 1)
    return grown.front();
  if (own.size() == 1)
    return own.front();
  return std::nullopt;
}

LogicalResult Importer::addState(const model::Graph &graph, StringRef past,
                                 StringRef present, int64_t capacity) {
  if (!llvm::is_contained(graph.outputs, present))
    return error("state '" + past + "': no output is called '" + present +
                 "'; the outputs are " + llvm::join(graph.outputs, ", "));
  std::optional<unsigned> axis = findAxis(graph, past, present);
  if (!axis)
    return error("state '" + past +
                 "': expected one symbolic dimension along which '" + present +
                 "' is longer");
  std::string name = dimNames(graph, past)[*axis].str();
  if (!states.try_emplace(past, State{present.str(), name, *axis, capacity})
           .second)
    return error("state '" + past + "' is given twice");
  for (const auto &entry : states)
    if (entry.first() != past && entry.second.present == present)
      return error("state '" + past + "': output '" + present +
                   "' is that of state '" + entry.first() + "' already");
  return success();
}

/// Gives the length its range: from nothing to what the smallest state holds.
LogicalResult Importer::readLength(ImportOptions &options) {
  DimRange range{0, INT64_MAX, 1};
  for (const auto &entry : states) {
    range.max = std::min(range.max, entry.second.capacity);
    if (options.dims.count(entry.second.lengthName))
      return error("dimension '" + entry.second.lengthName +
                   "' is the length of state '" + entry.first() +
                   "', whose range is 0..max");
  }
  options.dims[length] = range;
  return success();
}

LogicalResult Importer::readStates(const model::Model &model,
                                   ImportOptions &options) {
  const model::Graph &graph = model.graph;
  for (const StateOption &option : options.states) {
    bool isFound = false;
    for (const std::string &input : graph.inputs) {
      std::optional<StringRef> text = matchPattern(option.past, input);
      if (!text)
        continue;
      isFound = true;
      if (failed(addState(graph, input, fillPattern(option.present, *text),
                          option.capacity)))
        return failure();
    }
    if (!isFound)
      return error("state '" + option.past +
                   "': no input is called that; the inputs are " +
                   llvm::join(graph.inputs, ", "));
  }
  if (states.empty())
    return success();
  // The first in the model's order, so that the result does not depend on that
  // of a hash table.
  for (const std::string &name : model.dims)
    if (length.empty() && llvm::any_of(states, [&](const auto &entry) {
          return entry.second.lengthName == name;
        }))
      length = name;
  return readLength(options);
}
