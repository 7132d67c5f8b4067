//===- CascadeProgram.h - A cascade as a list of steps ----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_LIB_ANALYSIS_CASCADEPROGRAM_H
#define LUTRA_LIB_ANALYSIS_CASCADEPROGRAM_H

#include "dialects/Cascade/Cascade.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::lutra {

/// The operations of a cascade in order, iterations unfolded, with ranks and
/// tensors as numbers. Ranks are numbered as the cascade lists them.
class CascadeProgram {
public:
  explicit CascadeProgram(cascade::CascadeOp cascade);

  /// A rank that a tensor is indexed by.
  struct Index {
    unsigned rank;
    /// The tensor is computed along this rank, and what is read of it is there
    /// when its coordinate is reached.
    bool isStreamed;
  };
  struct Read {
    unsigned tensor;
    SmallVector<Index, 4> indices;
    /// Combined with what is reduced, in whatever order.
    bool isInit = false;

    const Index *find(unsigned rank) const {
      const Index *index = llvm::find_if(
          indices, [&](const Index &index) { return index.rank == rank; });
      return index == indices.end() ? nullptr : index;
    }
  };
  struct Step {
    enum Kind {
      /// Goes over `ranks`.
      Compute,
      /// An iteration over `iterated` begins: the following steps, up to `end`,
      /// are its body, and `reads` are its streams.
      Begin,
      /// What is carried into a step of an iteration, or out of the last.
      Carry
    };
    Kind kind;
    Operation *op;
    /// The rank of the iteration that this step is in.
    std::optional<unsigned> iterated;
    SmallVector<unsigned, 4> ranks;
    SmallVector<Read, 4> reads;
    /// Tensors.
    SmallVector<unsigned, 2> results;
    unsigned end = 0;
  };
  struct Tensor {
    Value value;
    /// Along its dimensions; none for a tensor from outside.
    SmallVector<unsigned, 4> ranks;
    /// Not one from outside.
    bool isComputed = false;
    /// The step that begins the iteration in whose body it is.
    std::optional<unsigned> iteration;

    bool hasRank(unsigned rank) const {
      return llvm::is_contained(ranks, rank);
    }
  };

  std::optional<unsigned> findRank(StringRef name) const;

  /// Whether what `step` computes has the rank.
  bool keeps(const Step &step, unsigned rank) const {
    return llvm::any_of(step.results, [&](unsigned tensor) {
      return tensors[tensor].hasRank(rank);
    });
  }

  /// The steps of the iteration that step `begin` begins.
  ArrayRef<Step> bodyOf(unsigned begin) const {
    return ArrayRef(steps).slice(begin + 1, steps[begin].end - begin - 1);
  }

  /// A stream stands for its parts.
  std::vector<Tensor> tensors;
  std::vector<Step> steps;

private:
  unsigned numberOf(Value value);
  unsigned define(Value value);
  SmallVector<unsigned, 4> numbersOf(ArrayAttr names) const;
  Read read(Value value, AffineMap map, ArrayRef<unsigned> iter);
  Read readElement(tensor::ExtractOp element, cascade::EinsumOp op);
  Read readWhole(Value value);
  Step step(Step::Kind kind, Operation *op) const;
  void add(Operation *op);
  void addEinsum(cascade::EinsumOp op);
  void addIterate(cascade::IterateOp op);
  void addState(Operation *op, ValueRange operands, ValueRange results);
  void addMerge(cascade::MergeOp op);
  void addTopK(cascade::TopKOp op);
  void addCarry(Operation *op, Value result, ArrayRef<Value> sources);

  llvm::StringMap<unsigned> rankNumbers;
  llvm::DenseMap<Value, unsigned> tensorNumbers;
  /// The step that began the iteration that is being added.
  std::optional<unsigned> iteration;
  std::optional<unsigned> iterated;
};

} // namespace mlir::lutra

#endif // LUTRA_LIB_ANALYSIS_CASCADEPROGRAM_H
