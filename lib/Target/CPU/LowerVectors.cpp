//===- LowerVectors.cpp - Vector operations that convert one by one -------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Applies the lowering patterns of the vector dialect that leave operations
// with an LLVM counterpart.
//
//===----------------------------------------------------------------------===//

#include "lutra/Target/Passes.h"

#include "mlir/Conversion/VectorToSCF/VectorToSCF.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/Vector/Transforms/LoweringPatterns.h"
#include "mlir/Dialect/Vector/Transforms/VectorRewritePatterns.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::lutra {
#define GEN_PASS_DEF_LOWERVECTORS
#include "lutra/Target/Passes.h.inc"
} // namespace mlir::lutra

using namespace mlir;
using namespace mlir::lutra;

/// Masks are computed with 32-bit lanes, twice as fast as with 64 bits; a bound
/// beyond the vector's size must not wrap there.
static void clampMasks(func::FuncOp function) {
  function.walk([](vector::CreateMaskOp mask) {
    OpBuilder b(mask);
    for (auto [operand, size] :
         llvm::zip_equal(mask->getOpOperands(), mask.getType().getShape())) {
      Value limit = arith::ConstantIndexOp::create(b, mask.getLoc(), size);
      operand.set(
          b.createOrFold<arith::MinSIOp>(mask.getLoc(), operand.get(), limit));
    }
  });
}

/// Copies between buffers that are not both dense element by element; LLVM
/// makes vectors of the innermost loop. (The upstream lowering calls a function
/// of MLIR's own runtime.)
static void expandCopy(memref::CopyOp copy) {
  OpBuilder b(copy);
  Location loc = copy.getLoc();
  Value source = copy.getSource(), target = copy.getTarget();
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  SmallVector<Value> indices;
  for (int64_t i = 0; i < cast<MemRefType>(source.getType()).getRank(); ++i) {
    Value size = memref::DimOp::create(b, loc, source, i);
    auto loop = scf::ForOp::create(b, loc, zero, size, one);
    indices.push_back(loop.getInductionVar());
    b.setInsertionPointToStart(loop.getBody());
  }
  Value element = memref::LoadOp::create(b, loc, source, indices);
  memref::StoreOp::create(b, loc, element, target, indices);
  copy.erase();
}

static bool isDense(Value buffer) {
  auto type = dyn_cast<MemRefType>(buffer.getType());
  return type && type.getLayout().isIdentity();
}

static void expandCopies(func::FuncOp function) {
  SmallVector<memref::CopyOp> copies;
  function.walk([&](memref::CopyOp copy) {
    if (!isDense(copy.getSource()) || !isDense(copy.getTarget()))
      copies.push_back(copy);
  });
  llvm::for_each(copies, expandCopy);
}

static void populate(RewritePatternSet &patterns) {
  using namespace vector;
  populateVectorToVectorCanonicalizationPatterns(patterns);
  populateVectorMultiReductionLoweringPatterns(
      patterns, VectorMultiReductionLowering::InnerReduction);
  populateVectorContractLoweringPatterns(patterns,
                                         VectorContractLowering::OuterProduct);
  populateVectorOuterProductLoweringPatterns(patterns);
  populateVectorBitCastLoweringPatterns(patterns);
  populateVectorBroadcastLoweringPatterns(patterns);
  populateVectorMaskOpLoweringPatterns(patterns);
  populateVectorShapeCastLoweringPatterns(patterns);
  populateVectorInterleaveLoweringPatterns(patterns);
  populateVectorTransposeLoweringPatterns(patterns,
                                          VectorTransposeLowering::Shuffle1D);
  populateVectorTransferPermutationMapLoweringPatterns(patterns);
  populateVectorTransferLoweringPatterns(patterns, /*maxTransferRank=*/1);
  populateVectorMaskLoweringPatternsForSideEffectingOps(patterns);
  populateVectorMaskMaterializationPatterns(patterns,
                                            /*force32BitVectorIndices=*/true);
  populateVectorInsertExtractStridedSliceTransforms(patterns);
  populateVectorStepLoweringPatterns(patterns);
  populateVectorRankReducingFMAPattern(patterns);
  populateVectorGatherLoweringPatterns(patterns);
  populateVectorFromElementsUnrollPatterns(patterns);
  populateVectorToElementsUnrollPatterns(patterns);
}

namespace {

struct LowerVectors : lutra::impl::LowerVectorsBase<LowerVectors> {
  void runOnOperation() override {
    clampMasks(getOperation());
    expandCopies(getOperation());
    {
      RewritePatternSet patterns(&getContext());
      VectorTransferToSCFOptions options;
      options.enableFullUnroll();
      populateVectorToSCFConversionPatterns(patterns, options);
      if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
        return signalPassFailure();
    }
    RewritePatternSet patterns(&getContext());
    populate(patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
  }
};

} // namespace
