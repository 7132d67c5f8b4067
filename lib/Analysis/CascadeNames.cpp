//===- CascadeNames.cpp - Names of tensors in a cascade -------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finds what a person calls the tensors that a report is about.
//
//===----------------------------------------------------------------------===//

#include "CascadeNames.h"

#include "dialects/Lutra/Lutra.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace mlir::lutra;
using namespace mlir::lutra::cascade;

/// How many nodes a name lists.
static constexpr unsigned kMaxNodes = 3;

std::string lutra::readable(StringRef text) {
  std::string result = llvm::json::fixUTF8(text);
  for (char &c : result)
    if (llvm::isASCII(c) && !llvm::isPrint(c))
      c = '?';
  return result;
}

std::string lutra::nodesOf(Location loc) {
  llvm::SetVector<StringAttr> names;
  loc->walk([&](Location part) {
    if (auto name = dyn_cast<NameLoc>(part))
      names.insert(name.getName());
    return WalkResult::advance();
  });
  std::string text;
  for (StringAttr name :
       llvm::ArrayRef(names.getArrayRef())
           .take_front(std::min<size_t>(kMaxNodes, names.size())))
    text += (text.empty() ? "" : ", ") + readable(name.getValue());
  if (names.size() > kMaxNodes)
    text += " and " + std::to_string(names.size() - kMaxNodes) + " more";
  return text;
}

/// What the model calls `value`; empty if nothing.
static std::string modelName(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    if (auto func = dyn_cast_or_null<FunctionOpInterface>(
            argument.getOwner()->getParentOp()))
      if (auto name = func.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                        attr::kName))
        return readable(name.getValue());
  return nodesOf(value.getLoc());
}

/// The second result of an operation that is about the first.
static bool isCorrection(Value value) {
  auto rebase = value.getDefiningOp<RebaseOp>();
  return rebase && value == rebase.getCorrection();
}

/// What computes `value`, in a word.
static StringRef kindOf(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto einsum = dyn_cast_or_null<EinsumOp>(op))
    return einsum.getMonoid() ? stringifyMonoid(*einsum.getMonoid()) : "map";
  if (isa_and_nonnull<RebaseOp>(op))
    return isCorrection(value) ? "correction" : "reference";
  if (auto choice = dyn_cast_or_null<TopKOp>(op))
    return value == choice.getValues() ? "values" : "indices";
  return isa_and_nonnull<MergeOp>(op) ? "merged" : "input";
}

/// What an iteration's argument or result becomes with each step; null for
/// others.
static Value carriedAs(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    auto iterate =
        dyn_cast_or_null<IterateOp>(argument.getOwner()->getParentOp());
    return iterate ? iterate.getBlock()->getTerminator()->getOperand(
                         argument.getArgNumber() - iterate.getStreams().size())
                   : Value();
  }
  auto iterate = value.getDefiningOp<IterateOp>();
  return iterate ? iterate.getBlock()->getTerminator()->getOperand(
                       cast<OpResult>(value).getResultNumber())
                 : Value();
}

std::vector<std::string> lutra::tensorNames(const CascadeProgram &program) {
  std::vector<std::string> names;
  llvm::StringMap<unsigned> uses, repeated;
  for (const CascadeProgram::Tensor &tensor : program.tensors) {
    names.push_back(modelName(tensor.value));
    if (!carriedAs(tensor.value) && !isCorrection(tensor.value))
      ++uses[names.back()];
  }
  unsigned numInputs = 0, numComputed = 0;
  llvm::DenseMap<Value, unsigned> numbers;
  for (auto [i, tensor] : llvm::enumerate(program.tensors)) {
    std::string &name = names[i];
    numbers[tensor.value] = i;
    if (carriedAs(tensor.value))
      continue;
    if (name.empty()) {
      name = tensor.isComputed ? "t" + std::to_string(numComputed++)
                               : "in" + std::to_string(numInputs++);
    } else if (uses[name] > 1 || isCorrection(tensor.value)) {
      name += "." + kindOf(tensor.value).str();
      if (unsigned others = repeated[name]++)
        name += "." + std::to_string(others + 1);
    }
  }
  for (auto [i, tensor] : llvm::enumerate(program.tensors))
    if (Value next = carriedAs(tensor.value)) {
      // What is carried on unchanged is what it was.
      auto it = numbers.find(next);
      if (it != numbers.end() && it->second != i)
        names[i] = names[it->second];
    }
  return names;
}
