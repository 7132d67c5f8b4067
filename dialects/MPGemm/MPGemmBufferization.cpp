//===- MPGemmBufferization.cpp - Products with codes on buffers -----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/MPGemm/MPGemm.h"

#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"

using namespace mlir;
using namespace mlir::bufferization;
using namespace mlir::lutra;

namespace {
/// The result is written over what was there.
struct MatmulModel
    : DstBufferizableOpInterfaceExternalModel<MatmulModel, mpgemm::MatmulOp> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand,
                              const AnalysisState &) const {
    return &operand != &cast<mpgemm::MatmulOp>(op).getInitMutable();
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options,
                          BufferizationState &state) const {
    auto matmul = cast<mpgemm::MatmulOp>(op);
    SmallVector<Value> buffers;
    for (Value operand : op->getOperands()) {
      FailureOr<Value> buffer = getBuffer(rewriter, operand, options, state);
      if (failed(buffer))
        return failure();
      buffers.push_back(*buffer);
    }
    OperationState copy(op->getLoc(), op->getName(), buffers, TypeRange(),
                        op->getAttrs());
    rewriter.setInsertionPoint(op);
    auto onBuffers = cast<mpgemm::MatmulOp>(rewriter.create(copy));
    onBuffers.getProperties() = matmul.getProperties();
    replaceOpWithBufferizedValues(rewriter, op, onBuffers.getInit());
    return success();
  }
};
} // namespace

void mpgemm::registerBufferizationModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, MPGemmDialect *) {
    MatmulOp::attachInterface<MatmulModel>(*context);
  });
}
