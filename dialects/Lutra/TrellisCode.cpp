//===- TrellisCode.cpp - Numbers of windows of codes ----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/Lutra/TrellisCode.h"

using namespace mlir::lutra;

/// Made for normally distributed numbers: mixes at random, and the tables with
/// which the best paths through the trellis have the least squares, found in
/// turns, best of 30 beginnings.
static constexpr TrellisCode kCodes[] = {
    {46.97f,
     {13, 1, 5, 7, 8, 13, 3, 8, 8, 5, 14, 14, 10, 4, 13, 2},
     {5, 15, 4, 0, 12, 15, 11, 1, 8, 2, 6, 7, 10, 11, 13, 5},
     {-32, -94, -57, -57, -19, -27, -17, -20, 16, 18, 16, 5, 57, 94, 38, 54},
     {3, 5, -7, -19, 9, 23, 11, -8, 20, -2, -6, -10, -32, 12, 20, 2}},
    {43.33f,
     {5, 9, 10, 8, 7, 3, 5, 7, 0, 14, 11, 13, 4, 7, 15, 12},
     {11, 13, 14, 8, 14, 5, 10, 11, 10, 13, 8, 12, 5, 5, 14, 4},
     {-63, -95, -37, -44, -16, -2, -1, -20, 7, 14, 29, 31, 44, 52, 65, 95},
     {-16, 18, -21, -20, -7, 6, 12, 26, -16, -16, -31, -3, -2, 12, 3, -9}},
    {40.33f,
     {5, 9, 10, 8, 7, 3, 5, 7, 0, 14, 11, 13, 4, 7, 15, 12},
     {11, 13, 14, 8, 14, 5, 10, 11, 10, 13, 8, 12, 5, 5, 14, 4},
     {-96, -60, -38, -43, -19, 4, -5, -12, 0, 17, 27, 32, 40, 62, 51, 96},
     {-18, 15, -21, -14, -6, 5, 9, 23, -20, -13, -30, -7, -2, 10, 0, -10}}};

const TrellisCode *mlir::lutra::findTrellisCode(unsigned bits) {
  return bits < 2 || bits > 4 ? nullptr : &kCodes[bits - 2];
}
