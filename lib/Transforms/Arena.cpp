//===- Arena.cpp - Slots of the host program's tensors --------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Interval colouring in the order of first use. With sizes that are only known
// at entry an exact packing is out of reach; slots of equal keys lose nothing,
// and a model's layers are of few different sizes.
//
//===----------------------------------------------------------------------===//

#include "Arena.h"

#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {
struct Slot {
  int64_t freeAfter;
  int64_t fixed; ///< The largest fixed size, kDynamic where one is not.
  std::string key;
};
} // namespace

/// What it costs to put `buffer` into `slot`: nothing for an equal size, the
/// bytes by which either is larger, much where the sizes cannot be compared.
static int64_t cost(const Slot &slot, const Lifetime &buffer) {
  if (slot.key == buffer.key && slot.fixed == buffer.fixed)
    return 0;
  if (ShapedType::isDynamic(slot.fixed) || ShapedType::isDynamic(buffer.fixed))
    return INT64_MAX;
  return std::abs(slot.fixed - buffer.fixed);
}

SmallVector<unsigned> lutra::assignSlots(ArrayRef<Lifetime> buffers) {
  SmallVector<Slot> slots;
  SmallVector<unsigned> assignment;
  for (const Lifetime &buffer : buffers) {
    int64_t best = -1;
    for (auto [i, slot] : llvm::enumerate(slots))
      if (slot.freeAfter < buffer.first &&
          (best < 0 || cost(slot, buffer) < cost(slots[best], buffer)))
        best = i;
    if (best < 0) {
      best = slots.size();
      slots.push_back({buffer.last, buffer.fixed, buffer.key});
    } else {
      Slot &slot = slots[best];
      slot.freeAfter = buffer.last;
      if (cost(slot, buffer) == INT64_MAX)
        slot = {buffer.last, ShapedType::kDynamic, "mixed"};
      else
        slot.fixed = std::max(slot.fixed, buffer.fixed);
    }
    assignment.push_back(best);
  }
  return assignment;
}
