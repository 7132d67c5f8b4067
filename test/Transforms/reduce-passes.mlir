// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(reduce-passes))' | FileCheck %s

// Three passes over m become one.
// CHECK-LABEL: func.func @three_passes(
// CHECK-SAME: %[[Q:[a-z0-9]*]]: tensor<?x64xf32>, %[[K:[a-z0-9]*]]: tensor<?x64xf32>, %[[V:[a-z0-9]*]]: tensor<?x32xf32>
// CHECK: cascade.cascade reassoc
// CHECK-SAME: passes = {m = 3 : i64}
// CHECK-SAME: refusals = ["A hoist exp(-max[m]) out of sum[m]: exp(sum[e] * 0.125) is unbounded"]
// CHECK-SAME: rewrites = ["A hoist 1 / sum[m] out of sum[m]", "B rebase {max[m]; sum[m], sum[m]} family=exp policy=online, corr in [0, 1]"]
// CHECK: %[[RM0:.*]] = cascade.einsum [p] () -> [p]
// CHECK-NEXT: arith.constant -3.40282347E+38 : f32
// CHECK: %[[RD0:.*]] = cascade.einsum [p] () -> [p]
// CHECK-NEXT: arith.constant 0.000000e+00 : f32
// CHECK: %[[RNV0:.*]] = cascade.einsum [p, f] () -> [p, f]
// CHECK-NEXT: arith.constant 0.000000e+00 : f32
// CHECK: %[[R:.*]]:3 = cascade.iterate "m" (%[[BK:.*]] = %[[K]][0], %[[BV:.*]] = %[[V]][0]) carry(%[[RM:.*]] = %[[RM0]], %[[RD:.*]] = %[[RD0]], %[[RNV:.*]] = %[[RNV0]])
// CHECK: %[[BQK:.*]] = cascade.einsum [p, m, e] (%[[Q]][p, e], %[[BK]][m, e]) reduce(add) -> [p, m]
// CHECK: %[[S:.*]] = cascade.einsum [p, m] (%[[BQK]][p, m]) -> [p, m]
// CHECK: %[[LM:.*]] = cascade.einsum [p, m] (%[[S]][p, m]) reduce(max) -> [p]
// CHECK: %[[RM1:.*]], %[[PRM:.*]] = cascade.rebase %[[RM]], %[[LM]] exp max : tensor<?xf32>
// CHECK: %[[D:.*]] = cascade.einsum [p, m] (%[[S]][p, m], %[[RM1]][p]) -> [p, m]
// CHECK: arith.subf
// CHECK: %[[SLN:.*]] = cascade.einsum [p, m] (%[[D]][p, m]) -> [p, m]
// CHECK: math.exp
// CHECK: %[[SPD:.*]] = cascade.einsum [p] (%[[RD]][p], %[[PRM]][p]) -> [p]
// CHECK: arith.mulf
// CHECK: %[[RD1:.*]] = cascade.einsum [p, m] (%[[SLN]][p, m]) reduce(add) init(%[[SPD]]) -> [p]
// CHECK: %[[SPNV:.*]] = cascade.einsum [p, f] (%[[RNV]][p, f], %[[PRM]][p]) -> [p, f]
// CHECK: arith.mulf
// CHECK: %[[RNV1:.*]] = cascade.einsum [p, f, m] (%[[SLN]][p, m], %[[BV]][m, f]) reduce(add) init(%[[SPNV]]) -> [p, f]
// CHECK: arith.mulf
// CHECK: cascade.yield %[[RM1]], %[[RD1]], %[[RNV1]]
// CHECK: %[[AV:.*]] = cascade.einsum [p, f] (%[[R]]#2[p, f], %[[R]]#1[p]) -> [p, f]
// CHECK: cascade.divide %{{.*}}, %{{.*}} empty(0.000000e+00)
// CHECK: cascade.yield %[[AV]]
func.func @three_passes(%q: tensor<?x64xf32>, %k: tensor<?x64xf32>, %v: tensor<?x32xf32>, %p: index, %m: index) -> tensor<?x32xf32> {
  %y = cascade.cascade reassoc ranks(p = %p, m = %m, e = 64, f = 32) {
    %qk = cascade.einsum [p, m, e] (%q[p, e], %k[m, e]) reduce(add) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x?xf32>
    %scaled = cascade.einsum [p, m] (%qk[p, m]) -> [p, m] {
    ^bb0(%a: f32):
      %c = arith.constant 0.125 : f32
      %r = arith.mulf %a, %c : f32
      cascade.yield %r : f32
    } : (tensor<?x?xf32>) -> tensor<?x?xf32>
    %gm = cascade.einsum [p, m] (%scaled[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x?xf32>) -> tensor<?xf32>
    %diff = cascade.einsum [p, m] (%scaled[p, m], %gm[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.subf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?x?xf32>
    %sn = cascade.einsum [p, m] (%diff[p, m]) -> [p, m] {
    ^bb0(%a: f32):
      %r = math.exp %a : f32
      cascade.yield %r : f32
    } : (tensor<?x?xf32>) -> tensor<?x?xf32>
    %sd = cascade.einsum [p, m] (%sn[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x?xf32>) -> tensor<?xf32>
    %w = cascade.einsum [p, m] (%sn[p, m], %sd[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.divf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?x?xf32>
    %av = cascade.einsum [p, f, m] (%w[p, m], %v[m, f]) reduce(add) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x?xf32>, tensor<?x32xf32>) -> tensor<?x32xf32>
    cascade.yield %av : tensor<?x32xf32>
  } : tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}
