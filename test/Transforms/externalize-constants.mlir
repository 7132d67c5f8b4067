// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(externalize-constants))' | FileCheck %s

// CHECK-LABEL: func @vector
// CHECK: lutra.weight "bias" value dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32> storage tensor<2xf32> : tensor<2xf32>
func.func @vector() -> tensor<2xf32> {
  %c = arith.constant dense<[1.0, 2.0]> : tensor<2xf32> loc("bias")
  return %c : tensor<2xf32>
}

// A splat is read as a scalar, and a scalar is no tensor.
// CHECK-LABEL: func @kept
// CHECK: arith.constant dense<0.000000e+00>
// CHECK: arith.constant 3
// CHECK-NOT: lutra.weight
func.func @kept() -> (tensor<8xf32>, i64) {
  %c = arith.constant dense<0.0> : tensor<8xf32>
  %i = arith.constant 3 : i64
  return %c, %i : tensor<8xf32>, i64
}
