//===- SizeCheck.h - Types and sizes of a node's inputs ---------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_FRONTEND_ONNX_HANDLERS_SIZECHECK_H
#define LUTRA_LIB_FRONTEND_ONNX_HANDLERS_SIZECHECK_H

#include "lutra/Frontend/ONNX/Registry.h"

namespace mlir::lutra {

/// Finds the first of a node's sizes that is not as it should be. Without a
/// Lowering, when `supports` is asked, only what is known is compared.
class SizeCheck {
public:
  explicit SizeCheck(const Node &node, Lowering *lowering = nullptr)
      : node(node), lowering(lowering) {}

  bool failed() const { return !answer; }
  /// Whether what is not known to hold fails.
  bool isDemanding() const { return lowering; }
  Support result() const { return answer; }

  bool equal(AffineExpr a, AffineExpr b);
  /// Whether a is never below b, for which the range of a dimension may become
  /// narrower.
  bool isAtLeast(AffineExpr a, AffineExpr b);
  /// Whether input i is there and its rank is known.
  bool isKnown(unsigned i) const;
  /// Fails unless input i is absent, or of unknown rank, or of this shape.
  void expect(unsigned i, StringRef name, ArrayRef<AffineExpr> shape);
  void expectRank(unsigned i, StringRef name, ArrayRef<int64_t> ranks);
  /// Fails unless input i, where it is there, is of one of these types.
  void expectType(unsigned i, StringRef name, ArrayRef<DType> types);
  /// Fails unless those of `inputs` that are there have input i's type.
  void expectTypeOf(unsigned i,
                    ArrayRef<std::pair<unsigned, StringRef>> inputs);
  /// Fails unless input i is of rank 1 or more and its last dimension is
  /// `size`.
  void expectLast(unsigned i, StringRef name, int64_t size);
  /// Inputs i and i + 1 are both there or both absent.
  void expectBoth(unsigned i, StringRef first, StringRef second);
  /// An attribute that counts something, or `otherwise`; fails where that is
  /// not in [least, most].
  int64_t count(StringRef name, int64_t otherwise, int64_t least, int64_t most);
  void fail(const Twine &reason);

  AffineExpr number(int64_t value) const;
  std::string text(ArrayRef<AffineExpr> shape) const;

private:
  const Node &node;
  Lowering *lowering;
  Support answer = Support::yes();
};

/// Whether a node passes a check, as far as is known before it is lowered.
template <auto checkNode>
Support supportsChecked(const Node &node) {
  SizeCheck check(node);
  checkNode(check, node);
  return check.result();
}

} // namespace mlir::lutra

#endif // LUTRA_LIB_FRONTEND_ONNX_HANDLERS_SIZECHECK_H
