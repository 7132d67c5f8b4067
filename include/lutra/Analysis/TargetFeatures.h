//===- TargetFeatures.h - What a target has ---------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What transformations ask of the machine they compile for. A null target is
// the least of machines.
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_ANALYSIS_TARGETFEATURES_H
#define LUTRA_ANALYSIS_TARGETFEATURES_H

#include "dialects/Lutra/Lutra.h"

namespace mlir::lutra {

/// The target that the module around `op`, or `op` itself, is compiled for;
/// null where it names none.
TargetAttr targetOf(Operation *op);

bool isAArch64(TargetAttr target);
bool isX86(TargetAttr target);
/// Whether the target is one of AMD's x86 cores since 2017.
bool isZen(TargetAttr target);

/// The width in bits of the target's vectors; 128 without a target.
int64_t vectorBits(TargetAttr target);

/// The number of the target's vector registers; 16 without a target.
int64_t vectorRegisters(TargetAttr target);

/// Whether the target's hardware fetches what is read in the order in which it
/// lies as early as it can, so that saying it again costs time. It does not on
/// x86 but for Zen up to the fourth (benchmarks/mpgemm.py --kind memory).
bool foreseesStreams(TargetAttr target);

/// How many bytes ahead of what is read the target is best told of it.
int64_t prefetchDistance(TargetAttr target);

/// Whether the target is an x86 one that multiplies unsigned with signed bytes
/// and adds four products to a sum of 32 bits in one instruction (VNNI).
bool hasVNNI(TargetAttr target);

/// Whether the target's vectors multiply pairs of bf16 more slowly than as many
/// f32: on Intel's cores, which have tiles for that, half as fast
/// (benchmarks/dot.c and fma.c).
bool hasSlowPairs(TargetAttr target);

/// Whether the target multiplies matrix tiles (AMX) of bytes, or of bf16,
/// beside vectors of 16 lanes.
bool hasByteTiles(TargetAttr target);
bool hasBF16Tiles(TargetAttr target);

} // namespace mlir::lutra

#endif // LUTRA_ANALYSIS_TARGETFEATURES_H
