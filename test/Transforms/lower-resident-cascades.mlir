// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(lower-resident-cascades))' | FileCheck %s

// What goes over nothing part by part becomes structured operations again.
// CHECK-LABEL: func.func @passes(
// CHECK-NOT: cascade
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]}
// CHECK: arith.maximumf
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]}
// CHECK: arith.subf
// CHECK-NOT: cascade
func.func @passes(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %y = cascade.cascade ranks(p = 4, m = 8) {
    %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x8xf32>) -> tensor<4xf32>
    %d = cascade.einsum [p, m] (%x[p, m], %max[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.subf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<4x8xf32>, tensor<4xf32>) -> tensor<4x8xf32>
    cascade.yield %d : tensor<4x8xf32>
  } : tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// A NaN in a row makes its sum NaN, and all that is divided by it: the maximum may
// pass over it.
// CHECK-LABEL: func.func @softmax(
// CHECK: arith.maxnumf
func.func @softmax(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %y = cascade.cascade ranks(p = 4, m = 8) {
    %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x8xf32>) -> tensor<4xf32>
    %e = cascade.einsum [p, m] (%x[p, m], %max[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %d = arith.subf %a, %b : f32
      %r = math.exp %d : f32
      cascade.yield %r : f32
    } : (tensor<4x8xf32>, tensor<4xf32>) -> tensor<4x8xf32>
    %sum = cascade.einsum [p, m] (%e[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x8xf32>) -> tensor<4xf32>
    %q = cascade.einsum [p, m] (%e[p, m], %sum[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.divf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<4x8xf32>, tensor<4xf32>) -> tensor<4x8xf32>
    cascade.yield %q : tensor<4x8xf32>
  } : tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// The exponentials are a result too, of which only one would be NaN.
// CHECK-LABEL: func.func @exponentials(
// CHECK: arith.maximumf
func.func @exponentials(%x: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4xf32>) {
  %y:2 = cascade.cascade ranks(p = 4, m = 8) {
    %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x8xf32>) -> tensor<4xf32>
    %e = cascade.einsum [p, m] (%x[p, m], %max[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %d = arith.subf %a, %b : f32
      %r = math.exp %d : f32
      cascade.yield %r : f32
    } : (tensor<4x8xf32>, tensor<4xf32>) -> tensor<4x8xf32>
    %sum = cascade.einsum [p, m] (%e[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x8xf32>) -> tensor<4xf32>
    cascade.yield %e, %sum : tensor<4x8xf32>, tensor<4xf32>
  } : tensor<4x8xf32>, tensor<4xf32>
  return %y#0, %y#1 : tensor<4x8xf32>, tensor<4xf32>
}

// What is summed up is 1 where the element is NaN.
// CHECK-LABEL: func.func @counted(
// CHECK: arith.maximumf
func.func @counted(%x: tensor<4x8xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(p = 4, m = 8) {
    %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x8xf32>) -> tensor<4xf32>
    %sum = cascade.einsum [p, m] (%x[p, m], %max[p]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %zero = arith.constant 0.0 : f32
      %one = arith.constant 1.0 : f32
      %is = arith.cmpf oeq, %a, %b : f32
      %r = arith.select %is, %zero, %one : f32
      cascade.yield %r : f32
    } : (tensor<4x8xf32>, tensor<4xf32>) -> tensor<4xf32>
    cascade.yield %sum : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// The sum goes over other elements.
// CHECK-LABEL: func.func @other_elements(
// CHECK: arith.maximumf
func.func @other_elements(%x: tensor<8x8xf32>) -> tensor<8xf32> {
  %y = cascade.cascade ranks(p = 8, m = 8) {
    %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x8xf32>) -> tensor<8xf32>
    %sum = cascade.einsum [p, m] (%x[m, p], %max[p]) reduce(add) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %d = arith.subf %a, %b : f32
      %r = math.exp %d : f32
      cascade.yield %r : f32
    } : (tensor<8x8xf32>, tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %sum : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}

// Where the sum is 0 what is guarded is 0, whatever is divided.
// CHECK-LABEL: func.func @guarded(
// CHECK: arith.maximumf
func.func @guarded(%x: tensor<4x8xf32>, %z: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(p = 4, m = 8) {
    %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x8xf32>) -> tensor<4xf32>
    %sum = cascade.einsum [p, m] (%x[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x8xf32>) -> tensor<4xf32>
    %q = cascade.einsum [p] (%sum[p], %max[p], %z[p]) -> [p] {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %s = arith.addf %a, %b : f32
      %r = cascade.divide %s, %c empty(0.0) : f32
      cascade.yield %r : f32
    } : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    cascade.yield %q : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}
