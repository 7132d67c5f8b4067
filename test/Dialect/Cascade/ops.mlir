// RUN: lutra-opt %s | lutra-opt | FileCheck %s

// Softmax as it is defined: three passes over m.
// CHECK-LABEL: func.func @softmax
func.func @softmax(%x: tensor<?x128xf32>, %n: index) -> tensor<?x128xf32> {
  // CHECK: cascade.cascade reassoc ranks(p = %{{.*}}, m = 128) {
  %y = cascade.cascade reassoc ranks(p = %n, m = 128) {
    // CHECK: %[[MAX:.*]] = cascade.einsum [p, m] (%{{.*}}[p, m]) reduce(max) -> [p] {
    %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    // CHECK: cascade.einsum [p, m] (%{{.*}}[p, m], %[[MAX]][p]) -> [p, m] {
    %exp = cascade.einsum [p, m] (%x[p, m], %max[p]) -> [p, m] {
    ^bb0(%e: f32, %d: f32):
      %s = arith.subf %e, %d : f32
      %r = math.exp %s : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>, tensor<?xf32>) -> tensor<?x128xf32>
    %sum = cascade.einsum [p, m] (%exp[p, m]) reduce(add) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    %o = cascade.einsum [p, m] (%exp[p, m], %sum[p]) -> [p, m] {
    ^bb0(%e: f32, %d: f32):
      %r = arith.divf %e, %d : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>, tensor<?xf32>) -> tensor<?x128xf32>
    // CHECK: cascade.yield %{{.*}} : tensor<?x128xf32>
    cascade.yield %o : tensor<?x128xf32>
  } : tensor<?x128xf32>
  return %y : tensor<?x128xf32>
}

// A filter, a mask, an init, a divided rank and a guarded quotient.
// CHECK-LABEL: func.func @filtered
func.func @filtered(%q: tensor<8x?x64xf32>, %k: tensor<2x?x64xf32>, %mask: tensor<?x?xi8>, %p: index, %m: index, %off: index) -> tensor<8x?xf32> {
  %y = cascade.cascade reassoc ranks(h = 8, p = %p, m = %m, e = 64) {
    // CHECK: cascade.einsum [h, p, m, e] (%{{.*}}[h, p, e], %{{.*}}[h floordiv 4, m, e]) reduce(add) -> [h, p, m]
    %s = cascade.einsum [h, p, m, e] (%q[h, p, e], %k[h floordiv 4, m, e]) reduce(add) -> [h, p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<8x?x64xf32>, tensor<2x?x64xf32>) -> tensor<8x?x?xf32>
    %zero = cascade.einsum [h, p] () -> [h, p] {
      %z = arith.constant 0.0 : f32
      cascade.yield %z : f32
    } : () -> tensor<8x?xf32>
    // CHECK: reduce(add) filters([#{{.*}}][%{{.*}}]) mask(%{{.*}}[p, m]) init(%{{.*}}) -> [h, p]
    %sum = cascade.einsum [h, p, m] (%s[h, p, m]) reduce(add)
        filters([affine_set<(d0, d1, d2)[s0] : (d1 + s0 - d2 >= 0)>][%off]) mask(%mask[p, m]) init(%zero) -> [h, p] {
    ^bb0(%a: f32):
      // CHECK: cascade.index "m"
      %i = cascade.index "m"
      cascade.yield %a : f32
    } : (tensor<8x?x?xf32>, tensor<?x?xi8>) -> tensor<8x?xf32>
    %o = cascade.einsum [h, p] (%sum[h, p]) -> [h, p] {
    ^bb0(%a: f32):
      // CHECK: cascade.divide %{{.*}}, %{{.*}} empty(0.000000e+00) : f32
      %r = cascade.divide %a, %a empty(0.0) : f32
      cascade.yield %r : f32
    } : (tensor<8x?xf32>) -> tensor<8x?xf32>
    cascade.yield %o : tensor<8x?xf32>
  } : tensor<8x?xf32>
  return %y : tensor<8x?xf32>
}

// One pass: the sum is moved to each new maximum.
// CHECK-LABEL: func.func @iterated
func.func @iterated(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade reassoc ranks(p = %n, m = 128) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    // CHECK: cascade.iterate "m" (%[[PART:.*]] = %{{.*}}[1]) carry(%[[D:.*]] = %{{.*}}, %[[S:.*]] = %{{.*}}) : (tensor<?x128xf32>), (tensor<?xf32>, tensor<?xf32>) {
    %r:2 = cascade.iterate "m" (%part = %x[1]) carry(%d = %d0, %s = %s0) : (tensor<?x128xf32>), (tensor<?xf32>, tensor<?xf32>) {
      %l = cascade.einsum [p, m] (%part[p, m]) reduce(max) -> [p] {
      ^bb0(%e: f32):
        cascade.yield %e : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      // CHECK: cascade.rebase %[[D]], %{{.*}} exp max : tensor<?xf32>
      %d1, %c = cascade.rebase %d, %l exp max : tensor<?xf32>
      %moved = cascade.einsum [p] (%s[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
      // CHECK: reduce(add) init(%{{.*}}) -> [p]
      %s1 = cascade.einsum [p, m] (%part[p, m], %d1[p]) reduce(add) init(%moved) -> [p] {
      ^bb0(%e: f32, %b: f32):
        %t = arith.subf %e, %b : f32
        %u = math.exp %t : f32
        cascade.yield %u : f32
      } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?xf32>
      cascade.yield %d1, %s1 : tensor<?xf32>, tensor<?xf32>
    }
    %o = cascade.einsum [p] (%r#0[p], %r#1[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %t = math.log %b : f32
      %u = arith.addf %a, %t : f32
      cascade.yield %u : f32
    } : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
    cascade.yield %o : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// When a state moves, and states that were summed apart.
// CHECK-LABEL: func.func @states
func.func @states(%d: tensor<3x4xf32>, %s: tensor<3x4x8xf32>, %r: tensor<4xf32>, %l: tensor<4xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4xf32>) {
  %y:3 = cascade.cascade reassoc ranks(m = 4, f = 8) {
    // CHECK: cascade.rebase %{{.*}}, %{{.*}} exp2 max policy<lazy, 8.000000e+00 : f32> : tensor<4xf32>
    %a, %c = cascade.rebase %r, %l exp2 max policy<lazy, 8.0 : f32> : tensor<4xf32>
    // CHECK: cascade.rebase %{{.*}}, %{{.*}} ratio add policy<final> : tensor<4xf32>
    %b, %e = cascade.rebase %r, %l ratio add policy<final> : tensor<4xf32>
    // CHECK: cascade.merge %{{.*}} : tensor<3x4xf32> sums(%{{.*}}) exp max : (tensor<3x4x8xf32>) -> (tensor<4xf32>, tensor<4x8xf32>)
    %m:2 = cascade.merge %d : tensor<3x4xf32> sums(%s) exp max : (tensor<3x4x8xf32>) -> (tensor<4xf32>, tensor<4x8xf32>)
    // CHECK: cascade.merge sums(%{{.*}}) exp max : (tensor<3x4x8xf32>) -> tensor<4x8xf32>
    %n = cascade.merge sums(%s) exp max : (tensor<3x4x8xf32>) -> tensor<4x8xf32>
    cascade.yield %m#1, %n, %a : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4xf32>
  } : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4xf32>
  return %y#0, %y#1, %y#2 : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4xf32>
}
