// Every operation is printed as it is read.
// RUN: lutra-opt %s | lutra-opt | FileCheck %s
// RUN: lutra-opt %s --mlir-print-op-generic | lutra-opt | FileCheck %s

// CHECK-LABEL: func.func @node
func.func @node(%x: tensor<?x64xf32>, %w: tensor<10x64xf32>) -> tensor<?x10xf32> {
  // CHECK: %[[NONE:.*]] = onnx.absent
  %none = onnx.absent
  // CHECK: onnx.node "Gemm" version 13(%{{.*}}, %{{.*}}, %[[NONE]]) {transB = 1 : si64} : (tensor<?x64xf32>, tensor<10x64xf32>, none) -> tensor<?x10xf32>
  %y = onnx.node "Gemm" version 13 (%x, %w, %none) {transB = 1 : si64}
      : (tensor<?x64xf32>, tensor<10x64xf32>, none) -> tensor<?x10xf32>
  return %y : tensor<?x10xf32>
}

// CHECK-LABEL: func.func @domain_and_unused_result
func.func @domain_and_unused_result(%x: tensor<4xui8>) {
  // CHECK: onnx.node "com.microsoft.Thing" version 1(%{{.*}}) : (tensor<4xui8>) -> (tensor<4xui8>, none)
  %y:2 = onnx.node "com.microsoft.Thing" version 1 (%x) : (tensor<4xui8>) -> (tensor<4xui8>, none)
  return
}

// CHECK-LABEL: func.func @graphs
func.func @graphs(%c: tensor<i1>, %x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: onnx.node "If" version 19(%{{.*}}) {
  // CHECK:   onnx.yield %{{.*}} : tensor<4xf32>
  // CHECK: }, {
  // CHECK:   onnx.node "Neg"
  // CHECK:   onnx.yield
  // CHECK: } : (tensor<i1>) -> tensor<4xf32>
  %y = onnx.node "If" version 19 (%c) {
    onnx.yield %x : tensor<4xf32>
  }, {
    %n = onnx.node "Neg" version 19 (%x) : (tensor<4xf32>) -> tensor<4xf32>
    onnx.yield %n : tensor<4xf32>
  } : (tensor<i1>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// A node that nothing uses stays: only its handler knows whether it may go.
// CHECK-LABEL: func.func @unused
// CHECK: onnx.node "Relu"
func.func @unused(%x: tensor<4xf32>) {
  %y = onnx.node "Relu" version 14 (%x) : (tensor<4xf32>) -> tensor<4xf32>
  return
}
