//===- Compare.h - Outputs against expected arrays --------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TOOLS_LUTRA_RUN_COMPARE_H
#define LUTRA_TOOLS_LUTRA_RUN_COMPARE_H

#include "Array.h"

namespace lutra::run {

struct Comparison {
  bool matches;
  std::string text; // One line for a person.
};

/// An element matches where |got - expected| <= atol + rtol * |expected|, or
/// both are NaN, or both are the same infinity. Integers and bools are compared
/// by the same rule. The text names the element with the largest error.
Comparison compare(const Array &expected, const Array &got, double rtol,
                   double atol);

/// How far `got` is from `expected`, as a line for a person: the largest error,
/// the root of the mean squared error relative to that of `expected`, how many
/// expected elements are not finite, since these tell nothing, and in how many
/// rows the largest element is at the same place.
std::string deviation(const Array &expected, const Array &got);

} // namespace lutra::run

#endif // LUTRA_TOOLS_LUTRA_RUN_COMPARE_H
