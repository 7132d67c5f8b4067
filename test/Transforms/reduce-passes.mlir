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

// One pass as it is, and no state.
// CHECK-LABEL: func.func @sigmoid(
// CHECK: cascade.cascade reassoc ranks(p = 8, m = %{{.*}}, e = 64, f = 32) {
// CHECK-NOT: cascade.iterate
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

// The reference is read behind the iteration too.
// CHECK-LABEL: func.func @log_sum(
// CHECK: cascade.cascade
// CHECK-SAME: passes = {m = 2 : i64}, refusals = ["A hoist exp(-max[m]) out of sum[m]: exp(x0) is unbounded"], rewrites = ["B rebase {{[{]}}max[m]; sum[m]} family=exp policy=online, corr in [0, 1]"]
// CHECK: %[[R:.*]]:2 = cascade.iterate "m"
// CHECK: cascade.rebase
// CHECK: cascade.einsum [p] (%[[R]]#0[p], %[[R]]#1[p]) -> [p]
// CHECK: math.log
func.func @log_sum(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade reassoc ranks(p = %n, m = 128) {
    %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    %sum = cascade.einsum [p, m] (%x[p, m], %max[p]) reduce(add) -> [p] {
    ^bb0(%e: f32, %d: f32):
      %s = arith.subf %e, %d : f32
      %r = math.exp %s : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>, tensor<?xf32>) -> tensor<?xf32>
    %o = cascade.einsum [p] (%max[p], %sum[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %l = math.log %b : f32
      %r = arith.addf %a, %l : f32
      cascade.yield %r : f32
    } : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
    cascade.yield %o : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

#causal = affine_set<(p, m)[s] : (p + s - m >= 0)>
#causal3 = affine_set<(p, f, m)[s] : (p + s - m >= 0)>
// What is filtered stays so, part by part; a guarded reference is the reference.
// CHECK-LABEL: func.func @filtered(
// CHECK: cascade.cascade
// CHECK-SAME: passes = {m = 3 : i64}
// CHECK: cascade.iterate "m" (%[[S:.*]] = %arg0[1], %[[V:.*]] = %arg1[0])
// CHECK: %[[LM:.*]] = cascade.einsum [p, m] (%[[S]][p, m]) reduce(max) filters([#{{.*}}][%arg4]) -> [p]
// CHECK: %[[RM:.*]], %{{.*}} = cascade.rebase %{{.*}}, %[[LM]] exp max
// CHECK: cascade.einsum [p, m] (%[[S]][p, m], %[[RM]][p]) -> [p, m]
// CHECK: reduce(add) filters([#{{.*}}][%arg4]) init(%{{.*}}) -> [p]
// CHECK: reduce(add) filters([#{{.*}}][%arg4]) init(%{{.*}}) -> [p, f]
// CHECK-NOT: arith.select
// CHECK: cascade.divide %{{.*}}, %{{.*}} empty(0.000000e+00)
func.func @filtered(%s: tensor<?x?xf32>, %v: tensor<?x32xf32>, %p: index, %m: index, %off: index) -> tensor<?x32xf32> {
  %y = cascade.cascade reassoc ranks(p = %p, m = %m, f = 32) {
    %gm = cascade.einsum [p, m] (%s[p, m]) reduce(max) filters([#causal][%off]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x?xf32>) -> tensor<?xf32>
    %isnone = cascade.einsum [p] (%gm[p]) -> [p] {
    ^bb0(%a: f32):
      %inf = arith.constant 0xFF800000 : f32
      %c = arith.cmpf oeq, %a, %inf : f32
      cascade.yield %c : i1
    } : (tensor<?xf32>) -> tensor<?xi1>
    %ref = cascade.einsum [p] (%isnone[p], %gm[p]) -> [p] {
    ^bb0(%c: i1, %a: f32):
      %z = arith.constant 0.0 : f32
      %r = arith.select %c, %z, %a : f32
      cascade.yield %r : f32
    } : (tensor<?xi1>, tensor<?xf32>) -> tensor<?xf32>
    %sn = cascade.einsum [p, m] (%s[p, m], %ref[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.subf %a, %b : f32
      %e = math.exp %r : f32
      cascade.yield %e : f32
    } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?x?xf32>
    %sd = cascade.einsum [p, m] (%sn[p, m]) reduce(add) filters([#causal][%off]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x?xf32>) -> tensor<?xf32>
    %w = cascade.einsum [p, m] (%sn[p, m], %sd[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = cascade.divide %a, %b empty(0.0) : f32
      cascade.yield %r : f32
    } : (tensor<?x?xf32>, tensor<?xf32>) -> tensor<?x?xf32>
    %av = cascade.einsum [p, f, m] (%w[p, m], %v[m, f]) reduce(add) filters([#causal3][%off]) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x?xf32>, tensor<?x32xf32>) -> tensor<?x32xf32>
    cascade.yield %av : tensor<?x32xf32>
  } : tensor<?x32xf32>
  return %y : tensor<?x32xf32>
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

// A sum over queries goes along the keys: its points wait for the last pass.
// CHECK-LABEL: func.func @columns(
// CHECK: cascade.cascade
// CHECK-SAME: passes = {m = 3 : i64}, rewrites = ["rows of m stay in cache: final"]
// CHECK-NOT: cascade.iterate
func.func @columns(%s: tensor<16x128xf32>) -> tensor<128xf32> {
  %y = cascade.cascade reassoc ranks(p = 16, m = 128) {
    %gm = cascade.einsum [p, m] (%s[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<16x128xf32>) -> tensor<16xf32>
    %sn = cascade.einsum [p, m] (%s[p, m], %gm[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.subf %a, %b : f32
      %e = math.exp %r : f32
      cascade.yield %e : f32
    } : (tensor<16x128xf32>, tensor<16xf32>) -> tensor<16x128xf32>
    %sd = cascade.einsum [p, m] (%sn[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<16x128xf32>) -> tensor<16xf32>
    %h = cascade.einsum [m, p] (%sn[p, m], %sd[p]) reduce(add) -> [m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.divf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<16x128xf32>, tensor<16xf32>) -> tensor<128xf32>
    cascade.yield %h : tensor<128xf32>
  } : tensor<128xf32>
  return %y : tensor<128xf32>
}

// So do the rows of a normalization.
// CHECK-LABEL: func.func @rows(
// CHECK: cascade.cascade
// CHECK-SAME: passes = {m = 3 : i64}, rewrites = ["rows of m stay in cache: final"]
// CHECK-NOT: cascade.iterate
func.func @rows(%x: tensor<?x128xf32>, %n: index) -> tensor<?x128xf32> {
  %y = cascade.cascade reassoc ranks(p = %n, m = 128) {
    %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%e: f32):
      cascade.yield %e : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
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
    cascade.yield %o : tensor<?x128xf32>
  } : tensor<?x128xf32>
  return %y : tensor<?x128xf32>
}

// The second reference waits for the first: only the first pass is saved.
// CHECK-LABEL: func.func @two_references(
// CHECK: cascade.cascade
// CHECK-SAME: passes = {m = 4 : i64}
// CHECK-SAME: "abs(x1 * sum[m]) mixes a streamed and a final value: 3 passes over m"
// CHECK-SAME: "exp(x1 - max[m]) is under max[m], which is no maximum of the same pass: 3 passes over m"
func.func @two_references(%x: tensor<16x128xf32>, %z: tensor<16x128xf32>) -> tensor<16xf32> {
  %y = cascade.cascade reassoc ranks(p = 16, m = 128) {
    %d = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<16x128xf32>) -> tensor<16xf32>
    %s = cascade.einsum [p, m] (%x[p, m], %d[p]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.subf %a, %b : f32
      %e = math.exp %r : f32
      cascade.yield %e : f32
    } : (tensor<16x128xf32>, tensor<16xf32>) -> tensor<16xf32>
    %d2 = cascade.einsum [p, m] (%z[p, m], %s[p]) reduce(max) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %t = arith.mulf %a, %b : f32
      %e = math.absf %t : f32
      cascade.yield %e : f32
    } : (tensor<16x128xf32>, tensor<16xf32>) -> tensor<16xf32>
    %s2 = cascade.einsum [p, m] (%x[p, m], %z[p, m], %d[p], %d2[p]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32, %c: f32, %f: f32):
      %r = arith.subf %a, %c : f32
      %e = math.exp %r : f32
      %r2 = arith.subf %b, %f : f32
      %e2 = math.exp %r2 : f32
      %t = arith.mulf %e, %e2 : f32
      cascade.yield %t : f32
    } : (tensor<16x128xf32>, tensor<16x128xf32>, tensor<16xf32>, tensor<16xf32>) -> tensor<16xf32>
    cascade.yield %s2 : tensor<16xf32>
  } : tensor<16xf32>
  return %y : tensor<16xf32>
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

// A maximum that starts from something.
// CHECK-LABEL: func.func @sink(
// CHECK: %[[I:.*]] = cascade.einsum [p] (%arg2[p]) -> [p]
// CHECK: %[[M0:.*]] = cascade.einsum [p] (%[[I]][p]) -> [p]
// CHECK: arith.maximumf
// CHECK: cascade.iterate "m" ({{.*}}) carry(%{{.*}} = %[[M0]],
func.func @sink(%x: tensor<16x128xf32>, %v: tensor<128xf32>, %sink: tensor<16xf32>) -> tensor<16xf32> {
  %y = cascade.cascade reassoc ranks(p = 16, m = 128) {
    %i = cascade.einsum [p] (%sink[p]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<16xf32>) -> tensor<16xf32>
    %d = cascade.einsum [p, m] (%x[p, m]) reduce(max) init(%i) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<16x128xf32>) -> tensor<16xf32>
    %s = cascade.einsum [p, m] (%x[p, m], %d[p], %v[m]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %r = arith.subf %a, %b : f32
      %e = math.exp %r : f32
      %t = arith.mulf %e, %c : f32
      cascade.yield %t : f32
    } : (tensor<16x128xf32>, tensor<16xf32>, tensor<128xf32>) -> tensor<16xf32>
    cascade.yield %s : tensor<16xf32>
  } : tensor<16xf32>
  return %y : tensor<16xf32>
}

// So does the sum under it.
// CHECK-LABEL: func.func @sink_sum(
// CHECK: %[[I:.*]] = cascade.einsum [p] (%arg2[p]) -> [p]
// CHECK: %[[M0:.*]] = cascade.einsum [p] (%[[I]][p]) -> [p]
// CHECK: %[[S0:.*]] = cascade.einsum [p] (%[[I]][p], %[[M0]][p]) -> [p]
// CHECK: math.exp
// CHECK: cascade.iterate "m" ({{.*}}) carry(%{{.*}} = %[[M0]], %{{.*}} = %[[S0]])
func.func @sink_sum(%x: tensor<16x128xf32>, %v: tensor<128xf32>, %sink: tensor<16xf32>) -> tensor<16xf32> {
  %y = cascade.cascade reassoc ranks(p = 16, m = 128) {
    %i = cascade.einsum [p] (%sink[p]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<16xf32>) -> tensor<16xf32>
    %d = cascade.einsum [p, m] (%x[p, m]) reduce(max) init(%i) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<16x128xf32>) -> tensor<16xf32>
    %j = cascade.einsum [p] (%sink[p], %d[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.subf %a, %b : f32
      %e = math.exp %r : f32
      cascade.yield %e : f32
    } : (tensor<16xf32>, tensor<16xf32>) -> tensor<16xf32>
    %s = cascade.einsum [p, m] (%x[p, m], %d[p]) reduce(add) init(%j) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.subf %a, %b : f32
      %e = math.exp %r : f32
      cascade.yield %e : f32
    } : (tensor<16x128xf32>, tensor<16xf32>) -> tensor<16xf32>
    cascade.yield %s : tensor<16xf32>
  } : tensor<16xf32>
  return %y : tensor<16xf32>
}

// What joins a maximum is what it starts from.
// CHECK-LABEL: func.func @joined(
// CHECK: %[[I:.*]] = cascade.einsum [p] (%arg1[p]) -> [p]
// CHECK: cascade.einsum [p] (%[[I]][p]) -> [p]
// CHECK: cascade.iterate
// CHECK: cascade.rebase
// CHECK: cascade.yield
// CHECK: math.exp
func.func @joined(%x: tensor<16x128xf32>, %sink: tensor<16xf32>) -> tensor<16xf32> {
  %y = cascade.cascade reassoc ranks(p = 16, m = 128) {
    %gm = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<16x128xf32>) -> tensor<16xf32>
    %d = cascade.einsum [p] (%gm[p], %sink[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %c = arith.maximumf %a, %b : f32
      cascade.yield %c : f32
    } : (tensor<16xf32>, tensor<16xf32>) -> tensor<16xf32>
    %s = cascade.einsum [p, m] (%x[p, m], %d[p]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.subf %a, %b : f32
      %e = math.exp %r : f32
      cascade.yield %e : f32
    } : (tensor<16x128xf32>, tensor<16xf32>) -> tensor<16xf32>
    %o = cascade.einsum [p] (%s[p], %sink[p], %d[p]) -> [p] {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %r = arith.subf %b, %c : f32
      %e = math.exp %r : f32
      %t = arith.addf %a, %e : f32
      cascade.yield %t : f32
    } : (tensor<16xf32>, tensor<16xf32>, tensor<16xf32>) -> tensor<16xf32>
    cascade.yield %o : tensor<16xf32>
  } : tensor<16xf32>
  return %y : tensor<16xf32>
}

// The maximum of something else bounds nothing.
// CHECK-LABEL: func.func @unbounded(
// CHECK: cascade.cascade
// CHECK-SAME: "no bound of the exponent under max[m] is known in sum[m]: 2 passes over m"
// CHECK-NOT: cascade.iterate
func.func @unbounded(%x: tensor<16x128xf32>, %z: tensor<16x128xf32>) -> tensor<16xf32> {
  %y = cascade.cascade reassoc ranks(p = 16, m = 128) {
    %d = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<16x128xf32>) -> tensor<16xf32>
    %s = cascade.einsum [p, m] (%z[p, m], %d[p]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.subf %a, %b : f32
      %e = math.exp %r : f32
      cascade.yield %e : f32
    } : (tensor<16x128xf32>, tensor<16xf32>) -> tensor<16xf32>
    cascade.yield %s : tensor<16xf32>
  } : tensor<16xf32>
  return %y : tensor<16xf32>
}

// What cannot be taken apart is read again behind the iteration.
// CHECK-LABEL: func.func @left_over(
// CHECK: cascade.cascade
// CHECK-SAME: "round(x0 / sum[m]) mixes a streamed and a final value: 2 passes over m"
// CHECK: %[[R:.*]]:2 = cascade.iterate
// CHECK: cascade.einsum [p, m] (%arg0[p, m], %[[R]]#1[p]) reduce(add) -> [p]
func.func @left_over(%x: tensor<16x128xf32>) -> tensor<16xf32> {
  %y = cascade.cascade reassoc ranks(p = 16, m = 128) {
    %d = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<16x128xf32>) -> tensor<16xf32>
    %s = cascade.einsum [p, m] (%x[p, m], %d[p]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.subf %a, %b : f32
      %e = math.exp %r : f32
      cascade.yield %e : f32
    } : (tensor<16x128xf32>, tensor<16xf32>) -> tensor<16xf32>
    %t = cascade.einsum [p, m] (%x[p, m], %s[p]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.divf %a, %b : f32
      %e = math.roundeven %r : f32
      cascade.yield %e : f32
    } : (tensor<16x128xf32>, tensor<16xf32>) -> tensor<16xf32>
    cascade.yield %t : tensor<16xf32>
  } : tensor<16xf32>
  return %y : tensor<16xf32>
}

// A reference that counts as 0 where it is infinite: the exponential of an
// infinite point is infinite under the greatest finite number, too.
// CHECK-LABEL: func.func @finite(
// CHECK: %[[R:.*]]:2 = cascade.iterate
// CHECK: arith.constant 3.40282347E+38 : f32
// CHECK-NEXT: arith.minimumf
// CHECK: cascade.rebase
// CHECK: math.absf
// CHECK: cascade.einsum [p] (%[[R]]#0[p], %[[R]]#1[p]) -> [p]
func.func @finite(%x: tensor<8x128xf32>) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 128) {
    %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x128xf32>) -> tensor<8xf32>
    %sum = cascade.einsum [p, m] (%x[p, m], %max[p]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %zero = arith.constant 0.0 : f32
      %inf = arith.constant 0x7F800000 : f32
      %abs = math.absf %b : f32
      %is = arith.cmpf olt, %abs, %inf : f32
      %d = arith.select %is, %b, %zero : f32
      %s = arith.subf %a, %d : f32
      %r = math.exp %s : f32
      cascade.yield %r : f32
    } : (tensor<8x128xf32>, tensor<8xf32>) -> tensor<8xf32>
    %o = cascade.einsum [p] (%max[p], %sum[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %zero = arith.constant 0.0 : f32
      %inf = arith.constant 0x7F800000 : f32
      %abs = math.absf %a : f32
      %is = arith.cmpf olt, %abs, %inf : f32
      %d = arith.select %is, %a, %zero : f32
      %l = math.log %b : f32
      %r = arith.addf %d, %l : f32
      cascade.yield %r : f32
    } : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %o : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}

// A maximum that is a result is carried by itself, from -inf.
// CHECK-LABEL: func.func @result_is_reference(
// CHECK: %[[NONE:.*]] = cascade.einsum [p] () -> [p]
// CHECK-NEXT: arith.constant -3.40282347E+38
// CHECK: arith.constant 0xFF800000
// CHECK: %[[R:.*]]:3 = cascade.iterate
// CHECK: cascade.yield %[[R]]#2, %[[R]]#1
func.func @result_is_reference(%x: tensor<8x128xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
  %y:2 = cascade.cascade reassoc ranks(p = 8, m = 128) {
    %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x128xf32>) -> tensor<8xf32>
    %sum = cascade.einsum [p, m] (%x[p, m], %max[p]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %s = arith.subf %a, %b : f32
      %r = math.exp %s : f32
      cascade.yield %r : f32
    } : (tensor<8x128xf32>, tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %max, %sum : tensor<8xf32>, tensor<8xf32>
  } : tensor<8xf32>, tensor<8xf32>
  return %y#0, %y#1 : tensor<8xf32>, tensor<8xf32>
}

// Only what is read point by point can be cut.
// CHECK-LABEL: func.func @strided(
// CHECK: cascade.cascade
// CHECK-SAME: "x0 cannot be cut along m: 2 passes over m"
// CHECK-NOT: cascade.iterate
func.func @strided(%x: tensor<8x256xf32>) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 128) {
    %max = cascade.einsum [p, m] (%x[p, m * 2]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x256xf32>) -> tensor<8xf32>
    %sum = cascade.einsum [p, m] (%x[p, m * 2], %max[p]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %s = arith.subf %a, %b : f32
      %r = math.exp %s : f32
      cascade.yield %r : f32
    } : (tensor<8x256xf32>, tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %sum : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}

// Without the permission nothing is rewritten.
// CHECK-LABEL: func.func @exact(
// CHECK: cascade.cascade ranks(p = 8, m = 128) {
// CHECK-NOT: cascade.iterate
func.func @exact(%x: tensor<8x128xf32>) -> tensor<8xf32> {
  %y = cascade.cascade ranks(p = 8, m = 128) {
    %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x128xf32>) -> tensor<8xf32>
    %sum = cascade.einsum [p, m] (%x[p, m], %max[p]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %s = arith.subf %a, %b : f32
      %r = math.exp %s : f32
      cascade.yield %r : f32
    } : (tensor<8x128xf32>, tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %sum : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}

// A maximum over fewer points does not bound the others.
// CHECK-LABEL: func.func @narrower_filter(
// CHECK: cascade.cascade
// CHECK-SAME: "no bound of the exponent under max[m] is known in sum[m]: 2 passes over m"
// CHECK-NOT: cascade.iterate
func.func @narrower_filter(%x: tensor<8x128xf32>) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 128) {
    %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) filters([affine_set<(p, m) : (p - m >= 0)>]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x128xf32>) -> tensor<8xf32>
    %sum = cascade.einsum [p, m] (%x[p, m], %max[p]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %s = arith.subf %a, %b : f32
      %r = math.exp %s : f32
      cascade.yield %r : f32
    } : (tensor<8x128xf32>, tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %sum : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
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
