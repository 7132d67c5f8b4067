// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(lower-resident-cascades))' | FileCheck %s

// What goes over nothing part by part becomes structured operations again.
// CHECK-LABEL: func.func @passes(
// CHECK-NOT: cascade
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]}
// CHECK: arith.maximumf
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]}
// CHECK: arith.subf
// CHECK-NOT: cascade
func.func @passes(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %y = cascade.cascade ranks(p = 4, m = 8) {
    %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x8xf32>) -> tensor<4xf32>
    %d = cascade.einsum [p, m] (%x[p, m], %max[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.subf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<4x8xf32>, tensor<4xf32>) -> tensor<4x8xf32>
    cascade.yield %d : tensor<4x8xf32>
  } : tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}
