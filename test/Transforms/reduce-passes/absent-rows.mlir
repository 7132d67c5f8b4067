// What shows a row that is -inf throughout: the maximum is -inf there and not the
// lowest finite number, and the sum under it NaN and not 0.
// RUN: lutra-opt %s -split-input-file -reduce-passes | FileCheck %s

// A sum of exponentials alone tells such rows itself: it is 0.
// CHECK-LABEL: func.func @sum(
// CHECK: %[[R:.*]]:2 = cascade.iterate
// CHECK: %[[SUM:.*]] = cascade.einsum [p] (%[[R]]#1[p], %[[R]]#1[p]) -> [p] {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32, %[[B:.*]]: f32):
// CHECK: %[[IS:.*]] = arith.cmpf oeq, %[[B]], %{{.*}} : f32
// CHECK: %[[NAN:.*]] = arith.constant 0x7FC00000 : f32
// CHECK: arith.select %[[IS]], %[[NAN]], %[[A]]
// CHECK: cascade.yield %[[SUM]]
func.func @sum(%x: tensor<8x128xf32>) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 128) {
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

// -----

// The maximum that something else reads.
// CHECK-LABEL: func.func @maximum(
// CHECK: %[[R:.*]]:2 = cascade.iterate
// CHECK: %[[MAX:.*]] = cascade.einsum [p] (%[[R]]#0[p], %[[R]]#1[p]) -> [p] {
// CHECK: %[[INF:.*]] = arith.constant 0xFF800000 : f32
// CHECK: arith.select %{{.*}}, %[[INF]], %{{.*}}
// CHECK: cascade.einsum [p] (%[[MAX]][p]) -> [p] {
// CHECK: arith.mulf
func.func @maximum(%x: tensor<8x128xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
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
    %half = cascade.einsum [p] (%max[p]) -> [p] {
    ^bb0(%a: f32):
      %c = arith.constant 0.5 : f32
      %r = arith.mulf %a, %c : f32
      cascade.yield %r : f32
    } : (tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %half, %sum : tensor<8xf32>, tensor<8xf32>
  } : tensor<8xf32>, tensor<8xf32>
  return %y#0, %y#1 : tensor<8xf32>, tensor<8xf32>
}

// -----

// A sum with weights may be 0 by itself: the maximum is carried as it is.
// CHECK-LABEL: func.func @weighted(
// CHECK: %[[R:.*]]:3 = cascade.iterate
// CHECK: cascade.einsum [p] (%[[R]]#1[p], %[[R]]#2[p]) -> [p] {
// CHECK: arith.constant 0xFF800000 : f32
// CHECK: arith.constant 0x7FC00000 : f32
func.func @weighted(%x: tensor<8x128xf32>, %v: tensor<128xf32>) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 128) {
    %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x128xf32>) -> tensor<8xf32>
    %o = cascade.einsum [p, m] (%x[p, m], %max[p], %v[m]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32, %w: f32):
      %s = arith.subf %a, %b : f32
      %r = math.exp %s : f32
      %g = arith.mulf %r, %w : f32
      cascade.yield %g : f32
    } : (tensor<8x128xf32>, tensor<8xf32>, tensor<128xf32>) -> tensor<8xf32>
    cascade.yield %o : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}

// -----

// Quotients do not show it, unless the sum is a result beside them; and what
// is said of no points holds.
// CHECK-LABEL: func.func @quotient(
// CHECK: %[[R:.*]]:3 = cascade.iterate
// CHECK-NOT: arith.select
// CHECK: arith.divf
func.func @quotient(%x: tensor<8x128xf32>, %v: tensor<128xf32>) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 128) {
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
    %o = cascade.einsum [p, m] (%x[p, m], %max[p], %v[m]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32, %w: f32):
      %s = arith.subf %a, %b : f32
      %r = math.exp %s : f32
      %g = arith.mulf %r, %w : f32
      cascade.yield %g : f32
    } : (tensor<8x128xf32>, tensor<8xf32>, tensor<128xf32>) -> tensor<8xf32>
    %q = cascade.einsum [p] (%o[p], %sum[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.divf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %q : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}

// -----

// CHECK-LABEL: func.func @quotient_and_sum(
// CHECK: %[[R:.*]]:3 = cascade.iterate
// CHECK: %[[SUM:.*]] = cascade.einsum [p] (%[[R]]#1[p], %[[R]]#1[p]) -> [p] {
// CHECK: arith.select
// CHECK: %[[O:.*]] = cascade.einsum [p] (%[[R]]#2[p], %[[R]]#1[p]) -> [p] {
// CHECK: arith.select
// CHECK: cascade.einsum [p] (%[[O]][p], %[[R]]#1[p]) -> [p] {
// CHECK: cascade.divide
func.func @quotient_and_sum(%x: tensor<8x128xf32>, %v: tensor<128xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
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
    %o = cascade.einsum [p, m] (%x[p, m], %max[p], %v[m]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32, %w: f32):
      %s = arith.subf %a, %b : f32
      %r = math.exp %s : f32
      %g = arith.mulf %r, %w : f32
      cascade.yield %g : f32
    } : (tensor<8x128xf32>, tensor<8xf32>, tensor<128xf32>) -> tensor<8xf32>
    %q = cascade.einsum [p] (%o[p], %sum[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %r = cascade.divide %a, %b empty(0.0) : f32
      cascade.yield %r : f32
    } : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %q, %sum : tensor<8xf32>, tensor<8xf32>
  } : tensor<8xf32>, tensor<8xf32>
  return %y#0, %y#1 : tensor<8xf32>, tensor<8xf32>
}

// -----

// The graph itself says that the sum is 0.
// CHECK-LABEL: func.func @guarded(
// CHECK: %[[R:.*]]:2 = cascade.iterate
// CHECK: cascade.yield %[[R]]#1
func.func @guarded(%x: tensor<8x128xf32>) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 128) {
    %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x128xf32>) -> tensor<8xf32>
    %finite = cascade.einsum [p] (%max[p]) -> [p] {
    ^bb0(%a: f32):
      %inf = arith.constant 0xFF800000 : f32
      %zero = arith.constant 0.0 : f32
      %is = arith.cmpf oeq, %a, %inf : f32
      %r = arith.select %is, %zero, %a : f32
      cascade.yield %r : f32
    } : (tensor<8xf32>) -> tensor<8xf32>
    %sum = cascade.einsum [p, m] (%x[p, m], %finite[p]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %s = arith.subf %a, %b : f32
      %r = math.exp %s : f32
      cascade.yield %r : f32
    } : (tensor<8x128xf32>, tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %sum : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}

// -----

// A maximum that starts from a number may be far above all points.
// CHECK-LABEL: func.func @started(
// CHECK: %[[R:.*]]:2 = cascade.iterate
// CHECK-NOT: arith.select
// CHECK: cascade.yield %[[R]]#1
func.func @started(%x: tensor<8x128xf32>, %start: tensor<8xf32>) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 128) {
    %first = cascade.einsum [p] (%start[p]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8xf32>) -> tensor<8xf32>
    %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) init(%first) -> [p] {
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

// -----

// So may one of more points than the sum has.
// CHECK-LABEL: func.func @fewer(
// CHECK: %[[R:.*]]:2 = cascade.iterate
// CHECK-NOT: arith.select
// CHECK: cascade.yield %[[R]]#1
func.func @fewer(%x: tensor<8x128xf32>) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 128) {
    %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x128xf32>) -> tensor<8xf32>
    %sum = cascade.einsum [p, m] (%x[p, m], %max[p]) reduce(add)
        filters([affine_set<(d0, d1) : (d0 - d1 >= 0)>]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %s = arith.subf %a, %b : f32
      %r = math.exp %s : f32
      cascade.yield %r : f32
    } : (tensor<8x128xf32>, tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %sum : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}

// -----

// Of a rank that may be empty the sum may be 0 in the graph, too.
// CHECK-LABEL: func.func @empty(
// CHECK: %[[R:.*]]:2 = cascade.iterate
// CHECK: cascade.yield %[[R]]#1
func.func @empty(%x: tensor<8x?xf32>, %m: index) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = %m) {
    %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x?xf32>) -> tensor<8xf32>
    %sum = cascade.einsum [p, m] (%x[p, m], %max[p]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %s = arith.subf %a, %b : f32
      %r = math.exp %s : f32
      cascade.yield %r : f32
    } : (tensor<8x?xf32>, tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %sum : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}
