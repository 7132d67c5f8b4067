// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(reduce-passes))' | FileCheck %s
// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(reduce-passes{partial lazy=8}))' | FileCheck %s --check-prefix=LAZY

// A sum alone tells under which reference it was taken: that is the maximum.
// LAZY-LABEL: func.func @sum_under_maximum(
// LAZY: policy=online
// LAZY: cascade.rebase %{{.*}}, %{{.*}} exp max : tensor<16xf32>
func.func @sum_under_maximum(%x: tensor<16x128xf32>) -> tensor<16xf32> {
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
    cascade.yield %s : tensor<16xf32>
  } : tensor<16xf32>
  return %y : tensor<16xf32>
}

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
// LAZY-LABEL: func.func @three_passes(
// LAZY: policy=lazy
// LAZY: cascade.rebase %{{.*}}, %{{.*}} exp max {{.*}}<lazy, 8.000000e+00 : f64>
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

// The reference is read behind the iteration too.
// LAZY-LABEL: func.func @log_sum(
// LAZY: cascade.rebase %{{.*}}, %{{.*}} exp max : tensor<?xf32>
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

// So do the rows of a normalization. If it is asked for, what is known of whole
// rows takes one pass before that; their points read the maximum, not what
// lies below it.
// LAZY-LABEL: func.func @rows(
// LAZY: cascade.cascade
// LAZY-SAME: passes = {m = 3 : i64}
// LAZY: %[[R:.*]]:2 = cascade.iterate "m"
// LAZY: cascade.rebase %{{.*}}, %{{.*}} exp max : tensor<?xf32>
// LAZY: %[[MAX:.*]] = cascade.einsum [p] (%[[R]]#0[p], %[[R]]#1[p]) -> [p]
// LAZY: %[[E:.*]] = cascade.einsum [p, m] (%arg0[p, m], %[[MAX]][p]) -> [p, m]
// LAZY: %[[SUM:.*]] = cascade.einsum [p] (%[[R]]#1[p], %[[R]]#1[p]) -> [p]
// LAZY: cascade.einsum [p, m] (%[[E]][p, m], %[[SUM]][p]) -> [p, m]
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

// What cannot be taken apart is read again behind the iteration, if at all: then
// the rank would have to be held or read twice.
// LAZY-LABEL: func.func @left_over(
// LAZY: "round(x0 / sum[m]) mixes a streamed and a final value: 2 passes over m"
// LAZY: %[[R:.*]]:2 = cascade.iterate
// LAZY: %[[SUM:.*]] = cascade.einsum [p] (%[[R]]#1[p], %[[R]]#1[p]) -> [p]
// LAZY: cascade.einsum [p, m] (%arg0[p, m], %[[SUM]][p]) reduce(add) -> [p]
// CHECK-LABEL: func.func @left_over(
// CHECK: cascade.cascade
// CHECK-SAME: "round(x0 / sum[m]) mixes a streamed and a final value: 3 passes over m"
// CHECK-NOT: cascade.iterate
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

// A maximum that is a result is carried by itself, from -inf.
// CHECK-LABEL: func.func @result_is_reference(
// CHECK: %[[NONE:.*]] = cascade.einsum [p] () -> [p]
// CHECK-NEXT: arith.constant -3.40282347E+38
// CHECK: arith.constant 0xFF800000
// CHECK: %[[R:.*]]:3 = cascade.iterate
// CHECK: %[[SUM:.*]] = cascade.einsum [p] (%[[R]]#1[p], %[[R]]#1[p]) -> [p]
// CHECK: cascade.yield %[[R]]#2, %[[SUM]]
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
