//===- Pipeline.cpp - The passes of each phase ----------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One builder per phase. The order of the passes in a phase, and why it is
// that, is written here and nowhere else.
//
//===----------------------------------------------------------------------===//

#include "lutra/Driver/Pipeline.h"

#include "lutra/Conversion/Passes.h"
#include "lutra/Frontend/ONNX/Passes.h"
#include "lutra/Schedule/Passes.h"
#include "lutra/Target/CPU.h"
#include "lutra/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace mlir::lutra;

static void simplify(OpPassManager &pm) {
  pm.addNestedPass<func::FuncOp>(createCanonicalizerPass());
  pm.addNestedPass<func::FuncOp>(createCSEPass());
}

static void buildTensor(OpPassManager &pm, const PipelineOptions &options) {
  pm.addPass(createConvertONNXToTensor(*options.sources));
  // Handlers emit sizes and casts freely and leave the sharing to CSE. Weights
  // that shape arithmetic read are dead from here on.
  simplify(pm);
  // While concatenations still stand as they were written.
  pm.addNestedPass<func::FuncOp>(createMaterializeState());
}

static void buildQuantize(OpPassManager &pm, const PipelineOptions &options) {
  // What may be quantized is first made alike.
  simplify(pm);
  if (!options.activations.empty()) {
    OverrideActivationsOptions activations;
    activations.spec = options.activations.str();
    pm.addNestedPass<func::FuncOp>(createOverrideActivations(activations));
    // Products of the same x round it once.
    simplify(pm);
  }
  if (options.quantize.rules.empty())
    return;
  pm.addPass(createQuantizeContractions(options.quantize, options.calibration,
                                        options.measures, *options.layers));
  // Equal factors are quantized once.
  simplify(pm);
}

static void buildCascade(OpPassManager &pm, const PipelineOptions &options) {
  pm.addNestedPass<func::FuncOp>(createSplitColumns());
  pm.addNestedPass<func::FuncOp>(createFoldMovement());
  simplify(pm);
  // Before cascades, which would compute all of it.
  pm.addNestedPass<func::FuncOp>(createGatherBeforeMaps());
  // While products are operations of their own.
  pm.addNestedPass<func::FuncOp>(createReassociateContractions());
  simplify(pm);
  pm.addNestedPass<func::FuncOp>(createRaiseCascades());
  simplify(pm);
  ReducePassesOptions passes;
  passes.lazy = options.references.lazy;
  passes.fixed = options.references.fixed;
  pm.addNestedPass<func::FuncOp>(createReducePasses(passes));
  simplify(pm);
  pm.addNestedPass<func::FuncOp>(createBoundIterations());
  // Parts keep the filters that were found for the whole.
  pm.addNestedPass<func::FuncOp>(createSplitIterations());
  simplify(pm);
}

static void buildEncode(OpPassManager &pm, const PipelineOptions &options) {
  // After the passes were counted and reported on, as the source has them.
  pm.addNestedPass<func::FuncOp>(createSimplifyCascades());
  // What becomes structured operations again is encoded as such.
  pm.addNestedPass<func::FuncOp>(createLowerResidentCascades());
  pm.addNestedPass<func::FuncOp>(createTransposeStreams());
  // Before contractions, since only a weight is packed for nothing.
  pm.addNestedPass<func::FuncOp>(createExternalizeConstants());
  // Before contractions, which take a state as it lies.
  pm.addNestedPass<func::FuncOp>(createEncodeStates());
  EncodeMPGemmOptions products;
  products.lookups = options.lookups.str();
  pm.addPass(createEncodeMPGemm(products));
  // Before contractions, which some of these become.
  pm.addNestedPass<func::FuncOp>(createConvertMPGemmToLinalg());
  pm.addNestedPass<func::FuncOp>(createConvertLutToLinalg());
  // The numbers of codebooks.
  pm.addNestedPass<func::FuncOp>(createExternalizeConstants());
  pm.addPass(createEncodeContractions());
  // Copies into a layout that two contractions share are one copy.
  simplify(pm);
}

static void buildForm(OpPassManager &pm) {
  // So that fusion finds products and what follows beside each other.
  pm.addNestedPass<func::FuncOp>(createSinkTransposes());
  simplify(pm);
  // Fusion across operations happens before outlining, since afterwards every
  // kernel boundary is a trip through memory.
  pm.addNestedPass<func::FuncOp>(createFuseElementwise());
  simplify(pm);
  // Last, since what reads a part of a concatenation may do without the rest.
  pm.addNestedPass<func::FuncOp>(createShareConcatenations());
  pm.addPass(createFormDispatches());
  // Two kernels are compared as they stand, so each takes its simplest form
  // first.
  simplify(pm);
  pm.addPass(createDeduplicateKernels());
}

static void buildTile(OpPassManager &pm) {
  // Of kernels, since it concerns only what is inside of them, and so that one
  // can have several versions.
  pm.addNestedPass<func::FuncOp>(createEncodeCascades());
  simplify(pm);
  // The choice is written down as an attribute before it is applied, so that a
  // dump or a user can change it.
  pm.addPass(createSelectSchedule());
  pm.addNestedPass<func::FuncOp>(createApplySchedule());
  pm.addNestedPass<func::FuncOp>(createDistributeCopies());
  // So that types tell the sizes of whole blocks.
  simplify(pm);
  pm.addNestedPass<func::FuncOp>(createPackDotOperands());
  simplify(pm);
  // When the second reader has its layout.
  pm.addNestedPass<func::FuncOp>(createFuseReductions());
}

static void buildKernel(OpPassManager &pm) {
  // Vectors are formed on buffers: what is stored is then explicit, and a
  // masked tail is a store and no longer a value to be merged.
  pm.addPass(createBufferizeKernels());
  // Two views of one tile become one, and then its copy onto itself goes.
  simplify(pm);
  pm.addNestedPass<func::FuncOp>(createCanonicalizerPass());
  pm.addNestedPass<func::FuncOp>(createConvertMPGemmToVector());
  pm.addNestedPass<func::FuncOp>(createConvertLinalgToVector());
  simplify(pm);
  // After vectorization, so that polynomials are emitted once, for vectors.
  pm.addNestedPass<func::FuncOp>(createExpandMath());
  simplify(pm);
}

static void buildPlan(OpPassManager &pm) {
  pm.addPass(createPlanMemory());
  simplify(pm);
}

void lutra::buildPhase(OpPassManager &pm, Phase phase,
                       const PipelineOptions &options) {
  switch (phase) {
  case Phase::Import:
    break;
  case Phase::Tensor:
    buildTensor(pm, options);
    break;
  case Phase::Quantize:
    buildQuantize(pm, options);
    break;
  case Phase::Cascade:
    buildCascade(pm, options);
    break;
  case Phase::Encode:
    buildEncode(pm, options);
    break;
  case Phase::Form:
    buildForm(pm);
    break;
  case Phase::Tile:
    buildTile(pm);
    break;
  case Phase::Kernel:
    buildKernel(pm);
    break;
  case Phase::Plan:
    buildPlan(pm);
    break;
  case Phase::Target:
    buildTargetPipeline(pm, options.modelName);
    break;
  case Phase::Object:
    return;
  }
  verifyPhase(pm, phase);
}

void lutra::buildObservation(OpPassManager &pm,
                             const QuantizationSpec &quantize,
                             ArrayRef<size_t> matrices,
                             std::vector<ObservedFactor> &factors) {
  // As in buildQuantize, since products are known by their place.
  simplify(pm);
  pm.addPass(createObserveContractions(quantize, matrices, factors));
  simplify(pm);
}

void lutra::verifyPhase(OpPassManager &pm, Phase phase) {
  VerifyPhaseOptions contract;
  contract.phase = phaseName(phase).str();
  pm.addPass(createVerifyPhase(contract));
}

void lutra::verifyDump(OpPassManager &pm, Phase phase) {
  verifyPhase(pm, phase);
  VerifyDumpOptions dump;
  dump.phase = phaseName(phase).str();
  pm.addPass(createVerifyDump(dump));
}
