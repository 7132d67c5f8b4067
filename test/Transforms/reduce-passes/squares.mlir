// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(reduce-passes))' | FileCheck %s

// The squares about a mean: with the number of points and their sum they move from
// the mean of the parts before to that with this part, and in the end to what the
// cascade subtracts.
// CHECK-LABEL: func.func @variance(
// CHECK: cascade.cascade
// CHECK-SAME: passes = {m = 2 : i64}, rewrites = ["B rebase {{[{]}}sum[m]; count, squares of x0} family=powers to the mean so far"]
// CHECK: %[[R:.*]]:3 = cascade.iterate "m" (%[[X:.*]] = %arg0[1]) carry(%[[S:.*]] = %{{.*}}, %[[N:.*]] = %{{.*}}, %[[Q:.*]] = %{{.*}})
// CHECK: %[[L:.*]] = cascade.einsum [p, m] (%[[X]][p, m]) reduce(add) -> [p]
// CHECK: %[[BEFORE:.*]] = cascade.einsum [p] (%[[S]][p], %[[N]][p]) -> [p]
// CHECK: cascade.divide %{{.*}}, %{{.*}} empty(0.000000e+00)
// CHECK: %[[C:.*]] = cascade.einsum [p, m] (%[[X]][p, m]) reduce(add) -> [p]
// CHECK: arith.constant 1.000000e+00
// CHECK: %[[AFTER:.*]] = cascade.einsum [p] (%[[S]][p], %[[L]][p], %[[N]][p], %[[C]][p]) -> [p]
// CHECK: %[[MOVED:.*]] = cascade.einsum [p] (%[[Q]][p], %[[N]][p], %[[BEFORE]][p], %[[AFTER]][p]) -> [p]
// CHECK: %[[Q1:.*]] = cascade.einsum [p, m] (%[[X]][p, m], %[[AFTER]][p]) reduce(add) init(%[[MOVED]]) -> [p]
// What the squares read of before is updated behind them.
// CHECK: %[[N1:.*]] = cascade.einsum [p] (%[[N]][p], %[[C]][p]) -> [p]
// CHECK: %[[S1:.*]] = cascade.einsum [p] (%[[S]][p], %[[L]][p]) -> [p]
// CHECK: cascade.yield %[[S1]], %[[N1]], %[[Q1]]
// CHECK: cascade.einsum [p] (%[[R]]#2[p], %[[R]]#1[p], %{{.*}}[p], %{{.*}}[p]) -> [p]
func.func @variance(%x: tensor<8x128xf32>) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 128) {
    %s = cascade.einsum [p, m] (%x[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x128xf32>) -> tensor<8xf32>
    %mean = cascade.einsum [p] (%s[p]) -> [p] {
    ^bb0(%a: f32):
      %n = arith.constant 128.0 : f32
      %r = arith.divf %a, %n : f32
      cascade.yield %r : f32
    } : (tensor<8xf32>) -> tensor<8xf32>
    %d = cascade.einsum [p, m] (%x[p, m], %mean[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.subf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<8x128xf32>, tensor<8xf32>) -> tensor<8x128xf32>
    %q = cascade.einsum [p, m] (%d[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      %r = arith.mulf %a, %a : f32
      cascade.yield %r : f32
    } : (tensor<8x128xf32>) -> tensor<8xf32>
    %o = cascade.einsum [p] (%q[p]) -> [p] {
    ^bb0(%a: f32):
      %n = arith.constant 128.0 : f32
      %r = arith.divf %a, %n : f32
      cascade.yield %r : f32
    } : (tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %o : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}
