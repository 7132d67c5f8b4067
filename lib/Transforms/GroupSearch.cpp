//===- GroupSearch.cpp - The groups of a function -------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What has several passes comes first, since it needs the products; then what
// is computed again so that such a group can be done in one pass; then
// products.
//
//===----------------------------------------------------------------------===//

#include "GroupSearch.h"

#include "Recomputation.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {
/// Finds the groups of a function, which have no operation in common.
class Search {
public:
  explicit Search(func::FuncOp func) : func(func) {}
  SmallVector<FoundGroup> run();

private:
  SmallVector<linalg::GenericOp> seeds() {
    return llvm::filter_to_vector(
        func.getOps<linalg::GenericOp>(), [&](linalg::GenericOp op) {
          return op.getNumReductionLoops() != 0 && !taken.contains(op);
        });
  }
  void take(CascadeGroup group, StringRef rewrite = "",
            StringRef refusal = "") {
    for (linalg::GenericOp member : group.members)
      taken.insert(member);
    groups.push_back({std::move(group), rewrite.str(), refusal.str()});
  }

  func::FuncOp func;
  llvm::DenseSet<Operation *> taken;
  SmallVector<FoundGroup> groups;
};
} // namespace

SmallVector<FoundGroup> Search::run() {
  auto isTaken = [&](Operation *op) { return taken.contains(op); };
  for (linalg::GenericOp op : seeds()) {
    std::optional<CascadeGroup> group;
    if (!isTaken(op))
      group = findCascadeGroup(op, isTaken);
    if (!group)
      continue;
    std::string refusal;
    SmallVector<CascadeGroup> others =
        recomputeForOthers(*group, isTaken, refusal);
    take(std::move(*group), "", refusal);
    for (CascadeGroup &other : others)
      take(std::move(other), "D compute again for sum[m] what is along p");
  }
  for (linalg::GenericOp op : seeds()) {
    std::optional<CascadeGroup> group;
    if (!isTaken(op))
      group = findProductGroup(op, isTaken);
    if (group)
      take(std::move(*group));
  }
  return std::move(groups);
}

SmallVector<FoundGroup> lutra::findGroups(func::FuncOp func) {
  return Search(func).run();
}
