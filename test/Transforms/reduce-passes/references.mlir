// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(reduce-passes))' | FileCheck %s
// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(reduce-passes{partial}))' | FileCheck %s --check-prefix=PARTIAL

// The second reference waits for the first: at most one pass can be saved.
// PARTIAL-LABEL: func.func @two_references(
// PARTIAL: "abs(x1 * sum[m]) mixes a streamed and a final value: 3 passes over m"
// PARTIAL: cascade.iterate
// CHECK-LABEL: func.func @two_references(
// CHECK: cascade.cascade
// CHECK-SAME: passes = {m = 4 : i64}
// CHECK-SAME: "abs(x1 * sum[m]) mixes a streamed and a final value: 4 passes over m"
// CHECK-SAME: "exp(x1 - max[m]) is under max[m], which is no maximum of the same pass: 4 passes over m"
// CHECK-NOT: cascade.iterate
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

// The second sum reads the first, point by point, so that its maximum is a
// reference of nothing: it is carried as it is.
// PARTIAL-LABEL: func.func @reference_of_no_sum(
// PARTIAL: cascade.iterate "m" ({{.*}}) carry(%{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}})
// PARTIAL: cascade.rebase
// PARTIAL-NOT: cascade.rebase
// CHECK-LABEL: func.func @reference_of_no_sum(
// CHECK-NOT: cascade.iterate
func.func @reference_of_no_sum(%x: tensor<8x128xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
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
    %log = cascade.einsum [p, m] (%x[p, m], %sum[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %s = arith.subf %a, %b : f32
      cascade.yield %s : f32
    } : (tensor<8x128xf32>, tensor<8xf32>) -> tensor<8x128xf32>
    %max1 = cascade.einsum [p, m] (%log[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x128xf32>) -> tensor<8xf32>
    %sum1 = cascade.einsum [p, m] (%log[p, m], %max1[p]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %s = arith.subf %a, %b : f32
      %r = math.exp %s : f32
      cascade.yield %r : f32
    } : (tensor<8x128xf32>, tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %sum, %sum1 : tensor<8xf32>, tensor<8xf32>
  } : tensor<8xf32>, tensor<8xf32>
  return %y#0, %y#1 : tensor<8xf32>, tensor<8xf32>
}
