// RUN: lutra-opt %s -canonicalize | FileCheck %s

// CHECK-DAG: #[[CAUSAL:.*]] = affine_set<(d0, d1) : (d0 - d1 >= 0)>
#causal = affine_set<(d0, d1) : (d0 - d1 >= 0)>
#all = affine_set<(d0, d1) : (0 == 0)>

// An input that is there twice, and one that the body does not read.
// CHECK-LABEL: func.func @inputs(
// CHECK: cascade.einsum [p, m] (%arg0[p, m], %arg0[m, p]) reduce(add) -> [p] {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32, %[[B:.*]]: f32):
// CHECK-NEXT: %[[S:.*]] = arith.mulf %[[A]], %[[A]]
// CHECK-NEXT: arith.subf %[[S]], %[[B]]
func.func @inputs(%x: tensor<4x4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
  %r = cascade.cascade ranks(p = 4, m = 4) {
    %s = cascade.einsum [p, m] (%x[p, m], %y[p], %x[p, m], %x[m, p]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32, %c: f32, %d: f32):
      %q = arith.mulf %a, %c : f32
      %t = arith.subf %q, %d : f32
      cascade.yield %t : f32
    } : (tensor<4x4xf32>, tensor<4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4xf32>
    cascade.yield %s : tensor<4xf32>
  } : tensor<4xf32>
  return %r : tensor<4xf32>
}

// A filter of all points beside another one, and one that is there twice.
// CHECK-LABEL: func.func @filters(
// CHECK: cascade.einsum [p, m] (%arg0[p, m]) reduce(max) -> [p]
// CHECK: cascade.einsum [p, m] (%arg0[p, m]) reduce(min) filters([#[[CAUSAL]]]) -> [p]
func.func @filters(%x: tensor<4x4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %r:2 = cascade.cascade ranks(p = 4, m = 4) {
    %s = cascade.einsum [p, m] (%x[p, m]) reduce(max) filters([#causal, #all]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x4xf32>) -> tensor<4xf32>
    %t = cascade.einsum [p, m] (%x[p, m]) reduce(min) filters([#causal, #causal]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x4xf32>) -> tensor<4xf32>
    cascade.yield %s, %t : tensor<4xf32>, tensor<4xf32>
  } : tensor<4xf32>, tensor<4xf32>
  return %r#0, %r#1 : tensor<4xf32>, tensor<4xf32>
}

// A reduction starts from the identity by itself, but not from 1.
// CHECK-LABEL: func.func @starts(
// CHECK: %[[ONE:.*]] = arith.constant 1.0
// CHECK: cascade.einsum [p] () -> [p] {
// CHECK-NEXT: cascade.yield %[[ONE]]
// CHECK: cascade.einsum [p, m] (%arg0[p, m]) reduce(add) -> [p]
// CHECK: cascade.einsum [p, m] (%arg0[p, m]) reduce(add) init(%{{.*}}) -> [p]
func.func @starts(%x: tensor<4x4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %r:2 = cascade.cascade ranks(p = 4, m = 4) {
    %zero = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<4xf32>
    %one = cascade.einsum [p] () -> [p] {
      %c = arith.constant 1.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<4xf32>
    %s = cascade.einsum [p, m] (%x[p, m]) reduce(add) init(%zero) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x4xf32>) -> tensor<4xf32>
    %t = cascade.einsum [p, m] (%x[p, m]) reduce(add) init(%one) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x4xf32>) -> tensor<4xf32>
    cascade.yield %s, %t : tensor<4xf32>, tensor<4xf32>
  } : tensor<4xf32>, tensor<4xf32>
  return %r#0, %r#1 : tensor<4xf32>, tensor<4xf32>
}

// The second result of the cascade, the state of the iteration that it alone
// needs, and what computes that; not the maximum, which the sum is under.
// CHECK-LABEL: func.func @results(
// CHECK: cascade.cascade ranks(p = 1, m = 8) attributes {passes = "kept"} {
// CHECK: %[[R:.*]]:2 = cascade.iterate "m" (%{{.*}} = %arg0[1]) carry({{.*}}) : (tensor<1x8xf32>), (tensor<1xf32>, tensor<1xf32>) {
// CHECK-NOT: reduce(min)
// CHECK: cascade.yield %{{.*}}, %{{.*}} : tensor<1xf32>, tensor<1xf32>
// CHECK: cascade.yield %[[R]]#1 : tensor<1xf32>
func.func @results(%x: tensor<1x8xf32>) -> tensor<1xf32> {
  %r:2 = cascade.cascade ranks(p = 1, m = 8) attributes {passes = "kept"} {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF7FFFFF : f32
      cascade.yield %c : f32
    } : () -> tensor<1xf32>
    %d, %least, %t = cascade.iterate "m" (%xp = %x[1]) carry(%dc = %d0, %lc = %d0, %tc = %d0) : (tensor<1x8xf32>), (tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) {
      %l = cascade.einsum [p, m] (%xp[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      %dn, %c = cascade.rebase %dc, %l exp max : tensor<1xf32>
      %ln = cascade.einsum [p, m] (%xp[p, m]) reduce(min) init(%lc) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?xf32>) -> tensor<1xf32>
      %tm = cascade.einsum [p] (%tc[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %p = arith.mulf %a, %b : f32
        cascade.yield %p : f32
      } : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
      %tn = cascade.einsum [p, m] (%xp[p, m], %dn[p]) reduce(add) init(%tm) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %z = arith.subf %a, %b : f32
        %e = math.exp %z : f32
        cascade.yield %e : f32
      } : (tensor<1x?xf32>, tensor<1xf32>) -> tensor<1xf32>
      cascade.yield %dn, %ln, %tn : tensor<1xf32>, tensor<1xf32>, tensor<1xf32>
    }
    cascade.yield %t, %least : tensor<1xf32>, tensor<1xf32>
  } : tensor<1xf32>, tensor<1xf32>
  return %r#0 : tensor<1xf32>
}

// What says how long a part is stays, whether it is read or not.
// CHECK-LABEL: func.func @parts(
// CHECK: cascade.einsum [p, m] (%{{.*}}[p, m]) reduce(add) init(%{{.*}}) -> [p] {
// CHECK-NEXT: ^bb0(%{{.*}}: f32):
// CHECK-NEXT: cascade.yield %{{cst.*}} : f32
func.func @parts(%x: tensor<1x8xf32>, %y: tensor<1xf32>) -> tensor<1xf32> {
  %r = cascade.cascade ranks(p = 1, m = 8) {
    %n0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<1xf32>
    %n = cascade.iterate "m" (%xp = %x[1]) carry(%nc = %n0) : (tensor<1x8xf32>), (tensor<1xf32>) {
      %s = cascade.einsum [p, m] (%y[p], %xp[p, m]) reduce(add) init(%nc) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %c = arith.constant 1.0 : f32
        cascade.yield %c : f32
      } : (tensor<1xf32>, tensor<1x?xf32>) -> tensor<1xf32>
      cascade.yield %s : tensor<1xf32>
    }
    cascade.yield %n : tensor<1xf32>
  } : tensor<1xf32>
  return %r : tensor<1xf32>
}
