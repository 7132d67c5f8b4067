// RUN: lutra-opt %s -split-input-file -transform-interpreter -canonicalize -cse -verify-diagnostics | FileCheck %s

// A tile along the iterated rank yields what is carried, of the points of the tile;
// the merge, and what follows it, is a cascade of its own.
// CHECK-DAG: #[[PART:.*]] = affine_set<(d0, d1, d2)[s0, s1] : (d1 - s0 >= 0, -d1 + s0 + s1 - 1 >= 0)>
// CHECK-LABEL: func.func @parts(
// CHECK: %[[LOWEST:.*]] = arith.constant -3.40282347E+38 : f32
// CHECK: %[[REFERENCES:.*]] = linalg.fill ins(%[[LOWEST]] : f32) {{.*}} -> tensor<8x4xf32>
// CHECK: %[[PARTS:.*]]:3 = scf.forall (%[[S:.*]]) in (8) shared_outs(%[[OUT:.*]] = %[[REFERENCES]], {{.*}}) -> (tensor<8x4xf32>, tensor<8x4xf32>, tensor<8x4x32xf32>)
// CHECK-DAG: %[[FROM:.*]] = affine.apply #{{.*}}(%[[S]])[%arg3]
// CHECK: %[[TILE:.*]]:3 = cascade.cascade reassoc ranks(p = 4, m = %arg3, e = 64, f = 32, s = 1)
// CHECK: cascade.einsum [p, m, e] (%arg0[p, e], %{{.*}}[m, e]) reduce(add) -> [p, m]
// CHECK: cascade.einsum [p, m, s] (%{{.*}}[p, m]) reduce(max) filters([#[[PART]]][%[[FROM]], %{{.*}}]) -> [s, p]
// CHECK: tensor.parallel_insert_slice %[[TILE]]#0 into %[[OUT]][%[[S]], 0] [1, 4] [1, 1]
// CHECK: cascade.cascade reassoc ranks(s = 8, p = 4, f = 32) {
// CHECK: %[[D:.*]] = cascade.einsum [s, p] (%[[PARTS]]#0[s, p]) -> [s, p]
// CHECK: %[[M:.*]]:3 = cascade.merge %[[D]] : tensor<8x4xf32> sums({{.*}}) exp max
// CHECK: cascade.einsum [p, f] (%[[M]]#2[p, f], %[[M]]#1[p]) -> [p, f]
func.func @parts(%q: tensor<4x64xf32>, %k: tensor<?x64xf32>, %v: tensor<?x32xf32>, %m: index) -> tensor<4x32xf32> {
  %y = cascade.cascade reassoc ranks(p = 4, m = %m, e = 64, f = 32) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF7FFFFF : f32
      cascade.yield %c : f32
    } : () -> tensor<4xf32>
    %t0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<4xf32>
    %o0 = cascade.einsum [p, f] () -> [p, f] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<4x32xf32>
    %d, %t, %o = cascade.iterate "m" (%kp = %k[0], %vp = %v[0]) carry(%dc = %d0, %tc = %t0, %oc = %o0) : (tensor<?x64xf32>, tensor<?x32xf32>), (tensor<4xf32>, tensor<4xf32>, tensor<4x32xf32>) {
      %s = cascade.einsum [p, m, e] (%q[p, e], %kp[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<4x64xf32>, tensor<?x64xf32>) -> tensor<4x?xf32>
      %l = cascade.einsum [p, m] (%s[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<4x?xf32>) -> tensor<4xf32>
      %dn, %c = cascade.rebase %dc, %l exp max : tensor<4xf32>
      %w = cascade.einsum [p, m] (%s[p, m], %dn[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %x = arith.subf %a, %b : f32
        %r = math.exp %x : f32
        cascade.yield %r : f32
      } : (tensor<4x?xf32>, tensor<4xf32>) -> tensor<4x?xf32>
      %tm = cascade.einsum [p] (%tc[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
      %tn = cascade.einsum [p, m] (%w[p, m]) reduce(add) init(%tm) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<4x?xf32>) -> tensor<4xf32>
      %om = cascade.einsum [p, f] (%oc[p, f], %c[p]) -> [p, f] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<4x32xf32>, tensor<4xf32>) -> tensor<4x32xf32>
      %on = cascade.einsum [p, f, m] (%w[p, m], %vp[m, f]) reduce(add) init(%om) -> [p, f] {
      ^bb0(%a: f32, %b: f32):
        %r = arith.mulf %a, %b : f32
        cascade.yield %r : f32
      } : (tensor<4x?xf32>, tensor<?x32xf32>) -> tensor<4x32xf32>
      cascade.yield %dn, %tn, %on : tensor<4xf32>, tensor<4xf32>, tensor<4x32xf32>
    }
    %y = cascade.einsum [p, f] (%o[p, f], %t[p]) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.divf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<4x32xf32>, tensor<4xf32>) -> tensor<4x32xf32>
    cascade.yield %y : tensor<4x32xf32>
  } : tensor<4x32xf32>
  return %y : tensor<4x32xf32>
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %op = transform.structured.match ops{["cascade.cascade"]} in %root : (!transform.any_op) -> !transform.any_op
    %fill:3, %split, %merge, %loop = transform.structured.tile_reduction_using_forall %op reduction_dims = [1] by num_threads = [0, 8] : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op, !transform.any_op, !transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

// Squares about what is not final, and do not move with it, are no state that could
// be merged.
func.func @squares(%x: tensor<4x?xf32>, %m: index) -> tensor<4xf32> {
  %y = cascade.cascade reassoc ranks(p = 4, m = %m) {
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<4xf32>
    %s, %q = cascade.iterate "m" (%xp = %x[1]) carry(%sc = %s0, %qc = %s0) : (tensor<4x?xf32>), (tensor<4xf32>, tensor<4xf32>) {
      %sn = cascade.einsum [p, m] (%xp[p, m]) reduce(add) init(%sc) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<4x?xf32>) -> tensor<4xf32>
      %qn = cascade.einsum [p, m] (%xp[p, m], %sc[p]) reduce(add) init(%qc) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %d = arith.subf %a, %b : f32
        %r = arith.mulf %d, %d : f32
        cascade.yield %r : f32
      } : (tensor<4x?xf32>, tensor<4xf32>) -> tensor<4xf32>
      cascade.yield %sn, %qn : tensor<4xf32>, tensor<4xf32>
    }
    %r = cascade.einsum [p] (%s[p], %q[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    cascade.yield %r : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %op = transform.structured.match ops{["cascade.cascade"]} in %root : (!transform.any_op) -> !transform.any_op
    // expected-error @below {{could not tile reduction}}
    %fill:2, %split, %merge, %loop = transform.structured.tile_reduction_using_forall %op reduction_dims = [1] by num_threads = [0, 8] : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op, !transform.any_op, !transform.any_op)
    transform.yield
  }
}
