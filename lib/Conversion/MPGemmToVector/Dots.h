//===- Dots.h - Products of codes and numbers on a machine ------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_DOTS_H
#define LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_DOTS_H

#include "Codes.h"
#include "dialects/Lutra/Lutra.h"
#include "dialects/MPGemm/MPGemm.h"

namespace mlir::lutra {

/// How a machine adds the products of codes and numbers of x to sums, in
/// registers of `lanes` lanes of 32 bits, each of which has codes of its own:
/// of quads of codes and four numbers, or of keys and tables. It takes one or
/// more steps, which have an operand made of codes and one made of x; each
/// operand serves several sums.
class Dot {
public:
  Dot(OpBuilder &b, Location loc, int64_t lanes)
      : b(b), loc(loc), lanes(lanes) {}
  virtual ~Dot() = default;

  /// The element type of sums, i32 or f32, or i16 if they are widened.
  virtual Type sumType() const { return b.getI32Type(); }
  virtual unsigned steps() const { return 1; }
  /// Whether it looks codes up itself, where these stand for bytes.
  virtual bool takesCodes() const { return false; }
  /// The largest unsigned byte that it multiplies rightly.
  virtual unsigned maxCode() const { return 255; }
  /// What it subtracts from codes of integers, to be made up for in sums.
  virtual int64_t offset() const { return 0; }
  /// The registers of sums for one of codes.
  virtual int64_t sums() const { return 1; }
  /// What these are before anything is added, if that is not 0, for `adds`
  /// additions to each.
  virtual SmallVector<Value> start(int64_t adds) { return {}; }
  /// The most additions after which sums are still right.
  virtual int64_t mostAdds() const { return ShapedType::kDynamic; }
  /// Sums, of `lanes` lanes and 32 bits, in the order of columns.
  virtual SmallVector<Value> widened(ArrayRef<Value> sums) {
    return llvm::to_vector(sums);
  }
  /// The operand of a step from bytes, of which lane i has four from 4 * i on.
  /// `zero` is what is subtracted from codes, a vector of i32 or f32 or null.
  /// Dots of integers take codes as they are.
  virtual Value codes(Value bytes, unsigned step, Value zero) = 0;
  /// The same from quad `quad` of a chunk, of register `part` of each vector.
  virtual Value codesOfQuad(CodesOfChunk &chunk, int64_t quad, int64_t part,
                            unsigned step, Value zero) {
    return codes(chunk.quad(quad, part), step, zero);
  }
  /// The operand of a step from the four numbers, or the table, of `x` at
  /// `index`.
  virtual Value factor(Value x, ValueRange index, unsigned step) = 0;
  virtual Value add(Value sum, Value codes, Value factor) = 0;
  /// Adds to all registers of sums for one of codes.
  virtual void addTo(MutableArrayRef<Value> sums, Value codes, Value factor) {
    sums.front() = add(sums.front(), codes, factor);
  }

protected:
  VectorType vectorOf(Type element) const;
  VectorType bytesType() const;
  Value splat(Type element, int64_t value) const;
  /// Four bytes of `x`, the same in all lanes.
  Value broadcastQuad(Value x, ValueRange index) const;
  /// Byte `j` of each lane, unsigned, in i32.
  Value byteOfLanes(Value bytes, unsigned j) const;
  /// Number `step` of `x` from `index` on.
  Value numberAt(Value x, ValueRange index, unsigned step) const;
  Value callIntrinsic(Type result, StringRef name,
                      ArrayRef<Value> arguments) const;

  OpBuilder &b;
  Location loc;
  int64_t lanes;
};

/// The fastest way that `target` has for x and the format of `op`, or one that
/// any machine has. `table` is a buffer of f32 with the values of a codebook.
std::unique_ptr<Dot> createDot(OpBuilder &b, mpgemm::MatmulOp op, int64_t lanes,
                               TargetAttr target, Value table);

/// That for x of floats (FloatDots.cpp).
std::unique_ptr<Dot> createFloatDot(OpBuilder &b, mpgemm::MatmulOp op,
                                    int64_t lanes, TargetAttr target,
                                    Value table);

/// That for tables (Lookups.cpp).
std::unique_ptr<Dot> createLookups(OpBuilder &b, mpgemm::MatmulOp op,
                                   int64_t lanes, TargetAttr target);

/// The intrinsic that adds the products of unsigned and signed bytes to each
/// lane of a sum; empty where `target` has none.
StringRef unsignedDotName(int64_t lanes, TargetAttr target);

/// The x86 intrinsic that multiplies pairs of 16-bit integers and adds the two
/// products in each lane; empty where `target`, on x86, has none.
StringRef wordDotName(int64_t lanes, TargetAttr target);

} // namespace mlir::lutra

#endif // LUTRA_LIB_CONVERSION_MPGEMMTOVECTOR_DOTS_H
