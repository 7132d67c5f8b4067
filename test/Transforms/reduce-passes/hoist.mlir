// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(reduce-passes))' | FileCheck %s

// The factor of a normalization leaves the product behind it; what is left of the
// map stays one. Two passes become one without an iteration.
// CHECK-LABEL: func.func @rms_gemm(
// CHECK: cascade.cascade
// CHECK-SAME: passes = {k = 2 : i64}, rewrites = ["A hoist rsqrt(sum[k] * 0.00390625 + 1e-05) out of sum[k]"]
// CHECK: math.rsqrt
// CHECK: %[[GAINED:.*]] = cascade.einsum [t, k] (%arg0[t, k], %arg1[k]) -> [t, k]
// CHECK: %[[Y:.*]] = cascade.einsum [t, n, k] (%[[GAINED]][t, k], %arg2[k, n]) reduce(add) -> [t, n]
// CHECK: cascade.einsum [t, n] (%[[Y]][t, n], %{{.*}}[t]) -> [t, n]
// CHECK-NOT: cascade.iterate
func.func @rms_gemm(%x: tensor<?x256xf32>, %g: tensor<256xf32>, %w: tensor<256x128xf32>, %t: index) -> tensor<?x128xf32> {
  %y = cascade.cascade reassoc ranks(t = %t, k = 256, n = 128) {
    %ss = cascade.einsum [t, k] (%x[t, k]) reduce(add) -> [t] {
    ^bb0(%a: f32):
      %r = arith.mulf %a, %a : f32
      cascade.yield %r : f32
    } : (tensor<?x256xf32>) -> tensor<?xf32>
    %r = cascade.einsum [t] (%ss[t]) -> [t] {
    ^bb0(%a: f32):
      %n = arith.constant 0.00390625 : f32
      %e = arith.constant 1.0e-5 : f32
      %b = arith.mulf %a, %n : f32
      %c = arith.addf %b, %e : f32
      %d = math.rsqrt %c : f32
      cascade.yield %d : f32
    } : (tensor<?xf32>) -> tensor<?xf32>
    %normed = cascade.einsum [t, k] (%x[t, k], %r[t]) -> [t, k] {
    ^bb0(%a: f32, %b: f32):
      %c = arith.mulf %a, %b : f32
      cascade.yield %c : f32
    } : (tensor<?x256xf32>, tensor<?xf32>) -> tensor<?x256xf32>
    %gained = cascade.einsum [t, k] (%normed[t, k], %g[k]) -> [t, k] {
    ^bb0(%a: f32, %b: f32):
      %c = arith.mulf %a, %b : f32
      cascade.yield %c : f32
    } : (tensor<?x256xf32>, tensor<256xf32>) -> tensor<?x256xf32>
    %o = cascade.einsum [t, n, k] (%gained[t, k], %w[k, n]) reduce(add) -> [t, n] {
    ^bb0(%a: f32, %b: f32):
      %c = arith.mulf %a, %b : f32
      cascade.yield %c : f32
    } : (tensor<?x256xf32>, tensor<256x128xf32>) -> tensor<?x128xf32>
    cascade.yield %o : tensor<?x128xf32>
  } : tensor<?x128xf32>
  return %y : tensor<?x128xf32>
}

// One pass as it is: a sum of its own is carried, and the products that it adds
// up are those of a part.
// CHECK-LABEL: func.func @sigmoid(
// CHECK: cascade.cascade reassoc ranks(p = 8, m = %{{.*}}, e = 64, f = 32) attributes {rewrites = ["C go over m in parts: nothing along it is kept"]} {
// CHECK: cascade.iterate "m" (%[[V:.*]] = %arg2[0], %[[K:.*]] = %arg1[0]) carry(%[[SUM:.*]] = %{{.*}})
// CHECK: cascade.einsum [p, m, e] (%arg0[p, e], %[[K]][m, e]) reduce(add) -> [p, m]
// CHECK: arith.divf
// CHECK: cascade.einsum [p, f, m] (%{{.*}}[p, m], %[[V]][m, f]) reduce(add) init(%[[SUM]]) -> [p, f]
// CHECK-NOT: cascade.rebase
func.func @sigmoid(%q: tensor<8x64xf32>, %k: tensor<?x64xf32>, %v: tensor<?x32xf32>, %m: index) -> tensor<8x32xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = %m, e = 64, f = 32) {
    %qk = cascade.einsum [p, m, e] (%q[p, e], %k[m, e]) reduce(add) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<8x64xf32>, tensor<?x64xf32>) -> tensor<8x?xf32>
    %w = cascade.einsum [p, m] (%qk[p, m]) -> [p, m] {
    ^bb0(%a: f32):
      %one = arith.constant 1.0 : f32
      %n = arith.negf %a : f32
      %e = math.exp %n : f32
      %d = arith.addf %one, %e : f32
      %r = arith.divf %one, %d : f32
      cascade.yield %r : f32
    } : (tensor<8x?xf32>) -> tensor<8x?xf32>
    %av = cascade.einsum [p, f, m] (%w[p, m], %v[m, f]) reduce(add) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<8x?xf32>, tensor<?x32xf32>) -> tensor<8x32xf32>
    cascade.yield %av : tensor<8x32xf32>
  } : tensor<8x32xf32>
  return %y : tensor<8x32xf32>
}

// A rounded quotient is no product.
// CHECK-LABEL: func.func @quantized(
// CHECK: cascade.cascade
// CHECK-SAME: passes = {k = 2 : i64}, refusals = ["round(x0 / max[k]) mixes a streamed and a final value: 2 passes over k"]}
// CHECK-NOT: cascade.iterate
func.func @quantized(%x: tensor<?x256xf32>, %w: tensor<256x128xf32>, %t: index) -> tensor<?x128xf32> {
  %y = cascade.cascade reassoc ranks(t = %t, k = 256, n = 128) {
    %am = cascade.einsum [t, k] (%x[t, k]) reduce(max) -> [t] {
    ^bb0(%a: f32):
      %r = math.absf %a : f32
      cascade.yield %r : f32
    } : (tensor<?x256xf32>) -> tensor<?xf32>
    %xq = cascade.einsum [t, k] (%x[t, k], %am[t]) -> [t, k] {
    ^bb0(%a: f32, %b: f32):
      %c = arith.divf %a, %b : f32
      %d = math.roundeven %c : f32
      cascade.yield %d : f32
    } : (tensor<?x256xf32>, tensor<?xf32>) -> tensor<?x256xf32>
    %o = cascade.einsum [t, n, k] (%xq[t, k], %w[k, n]) reduce(add) -> [t, n] {
    ^bb0(%a: f32, %b: f32):
      %c = arith.mulf %a, %b : f32
      cascade.yield %c : f32
    } : (tensor<?x256xf32>, tensor<256x128xf32>) -> tensor<?x128xf32>
    cascade.yield %o : tensor<?x128xf32>
  } : tensor<?x128xf32>
  return %y : tensor<?x128xf32>
}

// As exporters guard: the maximum against -inf, the quotient against 0.
// CHECK-LABEL: func.func @guarded(
// CHECK: cascade.cascade
// CHECK-SAME: rewrites = ["A hoist 1 / sum[m] out of sum[m]", "B rebase {{[{]}}max[m]; sum[m], sum[m]} family=exp2 policy=online, corr in [0, 1]"]
// CHECK: cascade.rebase %{{.*}}, %{{.*}} exp2 max
// CHECK: cascade.yield
// CHECK: cascade.divide %{{.*}}, %{{.*}} empty(0.000000e+00)
func.func @guarded(%s: tensor<4x128xf32>, %v: tensor<128x32xf32>) -> tensor<4x32xf32> {
  %y = cascade.cascade reassoc ranks(p = 4, m = 128, f = 32) {
    %gm = cascade.einsum [p, m] (%s[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x128xf32>) -> tensor<4xf32>
    %sn = cascade.einsum [p, m] (%s[p, m], %gm[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %z = arith.constant 0.0 : f32
      %inf = arith.constant 0xFF800000 : f32
      %c = arith.cmpf oeq, %b, %inf : f32
      %g = arith.select %c, %z, %b : f32
      %r = arith.subf %a, %g : f32
      %e = math.exp2 %r : f32
      cascade.yield %e : f32
    } : (tensor<4x128xf32>, tensor<4xf32>) -> tensor<4x128xf32>
    %sd = cascade.einsum [p, m] (%sn[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x128xf32>) -> tensor<4xf32>
    %none = cascade.einsum [p] (%sd[p]) -> [p] {
    ^bb0(%a: f32):
      %z = arith.constant 0.0 : f32
      %c = arith.cmpf oeq, %a, %z : f32
      cascade.yield %c : i1
    } : (tensor<4xf32>) -> tensor<4xi1>
    %quotient = cascade.einsum [p, m] (%sn[p, m], %sd[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.divf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<4x128xf32>, tensor<4xf32>) -> tensor<4x128xf32>
    %w = cascade.einsum [p, m] (%none[p], %quotient[p, m]) -> [p, m] {
    ^bb0(%c: i1, %b: f32):
      %z = arith.constant 0.0 : f32
      %r = arith.select %c, %z, %b : f32
      cascade.yield %r : f32
    } : (tensor<4xi1>, tensor<4x128xf32>) -> tensor<4x128xf32>
    %av = cascade.einsum [p, f, m] (%w[p, m], %v[m, f]) reduce(add) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<4x128xf32>, tensor<128x32xf32>) -> tensor<4x32xf32>
    cascade.yield %av : tensor<4x32xf32>
  } : tensor<4x32xf32>
  return %y : tensor<4x32xf32>
}

// Half precision has no room for a sum without its divisor.
// CHECK-LABEL: func.func @narrow(
// CHECK: cascade.cascade
// CHECK-SAME: refusals = ["A hoist 1 / sum[m] out of sum[m]: the sum may leave the range of f16", "sum[m] keeps 1 / sum[m]: 2 passes over m"]
func.func @narrow(%x: tensor<16x128xf16>) -> tensor<16xf16> {
  %y = cascade.cascade reassoc ranks(p = 16, m = 128) {
    %s = cascade.einsum [p, m] (%x[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f16):
      cascade.yield %a : f16
    } : (tensor<16x128xf16>) -> tensor<16xf16>
    %q = cascade.einsum [p, m] (%x[p, m], %s[p]) reduce(add) -> [p] {
    ^bb0(%a: f16, %b: f16):
      %t = arith.mulf %a, %a : f16
      %r = arith.divf %t, %b : f16
      cascade.yield %r : f16
    } : (tensor<16x128xf16>, tensor<16xf16>) -> tensor<16xf16>
    cascade.yield %q : tensor<16xf16>
  } : tensor<16xf16>
  return %y : tensor<16xf16>
}

// A summand leaves a maximum as a factor leaves a sum.
// CHECK-LABEL: func.func @sum_of_maximum(
// CHECK: cascade.cascade
// CHECK-SAME: passes = {m = 2 : i64}, rewrites = ["A hoist sum[m] out of max[m]"]
// CHECK: %[[MAX:.*]] = cascade.einsum [p, m] (%arg1[p, m]) reduce(max) -> [p]
// CHECK: cascade.einsum [p] (%[[MAX]][p], %{{.*}}[p]) -> [p]
// CHECK-NEXT: ^bb0
// CHECK-NEXT: arith.subf
func.func @sum_of_maximum(%x: tensor<8x128xf32>, %z: tensor<8x128xf32>) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 128) {
    %s = cascade.einsum [p, m] (%x[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x128xf32>) -> tensor<8xf32>
    %max = cascade.einsum [p, m] (%z[p, m], %s[p]) reduce(max) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.subf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<8x128xf32>, tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %max : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}

// A condition of whole rows leaves the sum with the divisor; what guards a quotient
// against NaN guards its divisor.
// CHECK-LABEL: func.func @cleared(
// CHECK: cascade.cascade
// CHECK-SAME: rewrites = ["A hoist 1 / sum[m] out of sum[m]", "B rebase {{[{]}}max[m]; sum[m], sum[m]} family=exp policy=online, corr in [0, 1]"]
// CHECK: cascade.iterate
// CHECK-NOT: arith.select
// CHECK: cascade.yield
// CHECK: arith.cmpf uno, %[[D:.*]], %[[D]]
// CHECK: cascade.divide %{{.*}}, %[[D]] empty(0.000000e+00)
// CHECK: arith.select
// CHECK: arith.select
func.func @cleared(%s: tensor<4x128xf32>, %v: tensor<128x32xf32>, %none: tensor<4xi1>) -> tensor<4x32xf32> {
  %y = cascade.cascade reassoc ranks(p = 4, m = 128, f = 32) {
    %gm = cascade.einsum [p, m] (%s[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x128xf32>) -> tensor<4xf32>
    %sn = cascade.einsum [p, m] (%s[p, m], %gm[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.subf %a, %b : f32
      %e = math.exp %r : f32
      cascade.yield %e : f32
    } : (tensor<4x128xf32>, tensor<4xf32>) -> tensor<4x128xf32>
    %sd = cascade.einsum [p, m] (%sn[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x128xf32>) -> tensor<4xf32>
    %quotient = cascade.einsum [p, m] (%sn[p, m], %sd[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.divf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<4x128xf32>, tensor<4xf32>) -> tensor<4x128xf32>
    %isnan = cascade.einsum [p, m] (%quotient[p, m]) -> [p, m] {
    ^bb0(%a: f32):
      %c = arith.cmpf uno, %a, %a : f32
      %i = arith.extui %c : i1 to i8
      cascade.yield %i : i8
    } : (tensor<4x128xf32>) -> tensor<4x128xi8>
    %w = cascade.einsum [p, m] (%isnan[p, m], %quotient[p, m], %none[p]) -> [p, m] {
    ^bb0(%i: i8, %b: f32, %n: i1):
      %zero = arith.constant 0 : i8
      %z = arith.constant 0.0 : f32
      %c = arith.cmpi ne, %i, %zero : i8
      %r = arith.select %c, %z, %b : f32
      %t = arith.select %n, %z, %r : f32
      cascade.yield %t : f32
    } : (tensor<4x128xi8>, tensor<4x128xf32>, tensor<4xi1>) -> tensor<4x128xf32>
    %av = cascade.einsum [p, f, m] (%w[p, m], %v[m, f]) reduce(add) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<4x128xf32>, tensor<128x32xf32>) -> tensor<4x32xf32>
    cascade.yield %av : tensor<4x32xf32>
  } : tensor<4x32xf32>
  return %y : tensor<4x32xf32>
}

// What scales rows to their maximum keeps squares in range, as a sum would not.
// CHECK-LABEL: func.func @scaled_squares(
// CHECK: cascade.cascade
// CHECK-SAME: passes = {m = 2 : i64}, refusals = ["A hoist 1 / max[m] / max[m] out of sum[m]: x0 * x0 is unbounded"
// CHECK-NOT: rewrites
// CHECK-NOT: cascade.iterate
func.func @scaled_squares(%x: tensor<8x128xf32>) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 128) {
    %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      %r = math.absf %a : f32
      cascade.yield %r : f32
    } : (tensor<8x128xf32>) -> tensor<8xf32>
    %sum = cascade.einsum [p, m] (%x[p, m], %max[p]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %q = arith.divf %a, %b : f32
      %r = arith.mulf %q, %q : f32
      cascade.yield %r : f32
    } : (tensor<8x128xf32>, tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %sum : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}

// What is in range by itself needs no scale.
// CHECK-LABEL: func.func @scaled_and_capped(
// CHECK: cascade.cascade
// CHECK-SAME: rewrites = ["A hoist 1 / max[m] out of sum[m]"
func.func @scaled_and_capped(%x: tensor<8x128xf32>) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 128) {
    %cap = cascade.einsum [p, m] (%x[p, m]) -> [p, m] {
    ^bb0(%a: f32):
      %r = math.tanh %a : f32
      cascade.yield %r : f32
    } : (tensor<8x128xf32>) -> tensor<8x128xf32>
    %max = cascade.einsum [p, m] (%cap[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x128xf32>) -> tensor<8xf32>
    %sum = cascade.einsum [p, m] (%cap[p, m], %max[p]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %q = arith.divf %a, %b : f32
      cascade.yield %q : f32
    } : (tensor<8x128xf32>, tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %sum : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}
