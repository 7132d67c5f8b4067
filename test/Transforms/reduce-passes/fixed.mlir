// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(reduce-passes{fixed=32}))' | FileCheck %s
// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(reduce-passes{fixed=4}))' | FileCheck %s --check-prefix=NEAR

// Sums under a number, where exponents are proven to be near it.

// CHECK-LABEL: func.func @capped(
// CHECK: rewrites = ["B rebase {max[m]; sum[m], sum[m]} family=exp policy=fixed 0, exponent in [-5, 5]", "C go over m in parts: nothing along it is kept"]
// CHECK-NOT: reduce(max)
// CHECK-NOT: cascade.rebase
// CHECK: cascade.iterate "m"
// CHECK: reduce(add)
// CHECK: reduce(add)
// CHECK-NOT: reduce(max)
// CHECK: return
// Five is farther than four.
// NEAR-LABEL: func.func @capped(
// NEAR: policy=online
func.func @capped(%x: tensor<?x128xf32>, %v: tensor<128x32xf32>, %p: index) -> tensor<?x32xf32> {
  %y = cascade.cascade reassoc ranks(p = %p, m = 128, f = 32) {
    %s = cascade.einsum [p, m] (%x[p, m]) -> [p, m] {
    ^bb0(%a: f32):
      %c = arith.constant 5.0 : f32
      %h = math.tanh %a : f32
      %r = arith.mulf %h, %c : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>) -> tensor<?x128xf32>
    %max = cascade.einsum [p, m] (%s[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    %w = cascade.einsum [p, m] (%s[p, m], %max[p]) -> [p, m] {
    ^bb0(%a: f32, %d: f32):
      %z = arith.subf %a, %d : f32
      %r = math.exp %z : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>, tensor<?xf32>) -> tensor<?x128xf32>
    %t = cascade.einsum [p, m] (%w[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    %n = cascade.einsum [p, f, m] (%w[p, m], %v[m, f]) reduce(add) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>, tensor<128x32xf32>) -> tensor<?x32xf32>
    %o = cascade.einsum [p, f] (%n[p, f], %t[p]) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.divf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x32xf32>, tensor<?xf32>) -> tensor<?x32xf32>
    cascade.yield %o : tensor<?x32xf32>
  } : tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// -inf is no number, and drops a point under any reference; 5 / (1 + exp(x)) is in [0, 5].
// CHECK-LABEL: func.func @masked(
// CHECK: policy=fixed 2.5, exponent in [-2.5, 2.5]
// CHECK: arith.constant 2.500000e+00 : f32
// CHECK-NOT: cascade.rebase
// CHECK: return
func.func @masked(%x: tensor<?x128xf32>, %v: tensor<128x32xf32>, %p: index) -> tensor<?x32xf32> {
  %y = cascade.cascade reassoc ranks(p = %p, m = 128, f = 32) {
    %s = cascade.einsum [p, m] (%x[p, m]) -> [p, m] {
    ^bb0(%a: f32):
      %c = arith.constant 5.0 : f32
      %none = arith.constant 0xFF800000 : f32
      %zero = arith.constant 0.0 : f32
      %i = cascade.index "m"
      %last = arith.constant 77 : index
      %keep = arith.cmpi slt, %i, %last : index
      %bias = arith.select %keep, %zero, %none : f32
      %e = math.exp %a : f32
      %one = arith.constant 1.0 : f32
      %sum = arith.addf %e, %one : f32
      %q = arith.divf %c, %sum : f32
      %r = arith.addf %q, %bias : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>) -> tensor<?x128xf32>
    %max = cascade.einsum [p, m] (%s[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    %w = cascade.einsum [p, m] (%s[p, m], %max[p]) -> [p, m] {
    ^bb0(%a: f32, %d: f32):
      %z = arith.subf %a, %d : f32
      %r = math.exp %z : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>, tensor<?xf32>) -> tensor<?x128xf32>
    %t = cascade.einsum [p, m] (%w[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    %n = cascade.einsum [p, f, m] (%w[p, m], %v[m, f]) reduce(add) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>, tensor<128x32xf32>) -> tensor<?x32xf32>
    %o = cascade.einsum [p, f] (%n[p, f], %t[p]) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.divf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x32xf32>, tensor<?xf32>) -> tensor<?x32xf32>
    cascade.yield %o : tensor<?x32xf32>
  } : tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// The least number is one, and far away.
// CHECK-LABEL: func.func @least(
// CHECK: policy=online
func.func @least(%x: tensor<?x128xf32>, %v: tensor<128x32xf32>, %p: index) -> tensor<?x32xf32> {
  %y = cascade.cascade reassoc ranks(p = %p, m = 128, f = 32) {
    %s = cascade.einsum [p, m] (%x[p, m]) -> [p, m] {
    ^bb0(%a: f32):
      %c = arith.constant 5.0 : f32
      %none = arith.constant -3.40282347E+38 : f32
      %i = cascade.index "m"
      %last = arith.constant 77 : index
      %keep = arith.cmpi slt, %i, %last : index
      %h = math.tanh %a : f32
      %r = arith.select %keep, %h, %none : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>) -> tensor<?x128xf32>
    %max = cascade.einsum [p, m] (%s[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    %w = cascade.einsum [p, m] (%s[p, m], %max[p]) -> [p, m] {
    ^bb0(%a: f32, %d: f32):
      %z = arith.subf %a, %d : f32
      %r = math.exp %z : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>, tensor<?xf32>) -> tensor<?x128xf32>
    %t = cascade.einsum [p, m] (%w[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    %n = cascade.einsum [p, f, m] (%w[p, m], %v[m, f]) reduce(add) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>, tensor<128x32xf32>) -> tensor<?x32xf32>
    %o = cascade.einsum [p, f] (%n[p, f], %t[p]) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.divf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x32xf32>, tensor<?xf32>) -> tensor<?x32xf32>
    cascade.yield %o : tensor<?x32xf32>
  } : tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// CHECK-LABEL: func.func @anything(
// CHECK: policy=online
func.func @anything(%x: tensor<?x128xf32>, %v: tensor<128x32xf32>, %p: index) -> tensor<?x32xf32> {
  %y = cascade.cascade reassoc ranks(p = %p, m = 128, f = 32) {
    %s = cascade.einsum [p, m] (%x[p, m]) -> [p, m] {
    ^bb0(%a: f32):
      %c = arith.constant 5.0 : f32
      %r = arith.mulf %a, %c : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>) -> tensor<?x128xf32>
    %max = cascade.einsum [p, m] (%s[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    %w = cascade.einsum [p, m] (%s[p, m], %max[p]) -> [p, m] {
    ^bb0(%a: f32, %d: f32):
      %z = arith.subf %a, %d : f32
      %r = math.exp %z : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>, tensor<?xf32>) -> tensor<?x128xf32>
    %t = cascade.einsum [p, m] (%w[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    %n = cascade.einsum [p, f, m] (%w[p, m], %v[m, f]) reduce(add) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>, tensor<128x32xf32>) -> tensor<?x32xf32>
    %o = cascade.einsum [p, f] (%n[p, f], %t[p]) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.divf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x32xf32>, tensor<?xf32>) -> tensor<?x32xf32>
    cascade.yield %o : tensor<?x32xf32>
  } : tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// A logarithm of the sum tells under which reference it was taken.
// CHECK-LABEL: func.func @log(
// CHECK: policy=online
func.func @log(%x: tensor<?x128xf32>, %v: tensor<128x32xf32>, %p: index) -> tensor<?x32xf32> {
  %y = cascade.cascade reassoc ranks(p = %p, m = 128, f = 32) {
    %s = cascade.einsum [p, m] (%x[p, m]) -> [p, m] {
    ^bb0(%a: f32):
      %c = arith.constant 5.0 : f32
      %h = math.tanh %a : f32
      %r = arith.mulf %h, %c : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>) -> tensor<?x128xf32>
    %max = cascade.einsum [p, m] (%s[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    %w = cascade.einsum [p, m] (%s[p, m], %max[p]) -> [p, m] {
    ^bb0(%a: f32, %d: f32):
      %z = arith.subf %a, %d : f32
      %r = math.exp %z : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>, tensor<?xf32>) -> tensor<?x128xf32>
    %t = cascade.einsum [p, m] (%w[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    %n = cascade.einsum [p, f, m] (%w[p, m], %v[m, f]) reduce(add) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>, tensor<128x32xf32>) -> tensor<?x32xf32>
    %o = cascade.einsum [p, f] (%n[p, f], %t[p]) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %l = math.log %b : f32
      %r = arith.mulf %a, %l : f32
      cascade.yield %r : f32
    } : (tensor<?x32xf32>, tensor<?xf32>) -> tensor<?x32xf32>
    cascade.yield %o : tensor<?x32xf32>
  } : tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// So does a sum that nothing divides.
// CHECK-LABEL: func.func @not_divided(
// CHECK: policy=online
func.func @not_divided(%x: tensor<?x128xf32>, %v: tensor<128x32xf32>, %p: index) -> tensor<?x32xf32> {
  %y = cascade.cascade reassoc ranks(p = %p, m = 128, f = 32) {
    %s = cascade.einsum [p, m] (%x[p, m]) -> [p, m] {
    ^bb0(%a: f32):
      %c = arith.constant 5.0 : f32
      %h = math.tanh %a : f32
      %r = arith.mulf %h, %c : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>) -> tensor<?x128xf32>
    %max = cascade.einsum [p, m] (%s[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    %w = cascade.einsum [p, m] (%s[p, m], %max[p]) -> [p, m] {
    ^bb0(%a: f32, %d: f32):
      %z = arith.subf %a, %d : f32
      %r = math.exp %z : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>, tensor<?xf32>) -> tensor<?x128xf32>
    %t = cascade.einsum [p, m] (%w[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    %n = cascade.einsum [p, f, m] (%w[p, m], %v[m, f]) reduce(add) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>, tensor<128x32xf32>) -> tensor<?x32xf32>
    %o = cascade.einsum [p, f] (%n[p, f], %t[p]) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.divf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x32xf32>, tensor<?xf32>) -> tensor<?x32xf32>
    cascade.yield %n : tensor<?x32xf32>
  } : tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// Whether a sum is 0 does not depend on it.
// CHECK-LABEL: func.func @guarded(
// CHECK: policy=fixed 0
func.func @guarded(%x: tensor<?x128xf32>, %v: tensor<128x32xf32>, %p: index) -> tensor<?x32xf32> {
  %y = cascade.cascade reassoc ranks(p = %p, m = 128, f = 32) {
    %s = cascade.einsum [p, m] (%x[p, m]) -> [p, m] {
    ^bb0(%a: f32):
      %c = arith.constant 5.0 : f32
      %h = math.tanh %a : f32
      %r = arith.mulf %h, %c : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>) -> tensor<?x128xf32>
    %max = cascade.einsum [p, m] (%s[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    %w = cascade.einsum [p, m] (%s[p, m], %max[p]) -> [p, m] {
    ^bb0(%a: f32, %d: f32):
      %z = arith.subf %a, %d : f32
      %r = math.exp %z : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>, tensor<?xf32>) -> tensor<?x128xf32>
    %t = cascade.einsum [p, m] (%w[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    %n = cascade.einsum [p, f, m] (%w[p, m], %v[m, f]) reduce(add) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>, tensor<128x32xf32>) -> tensor<?x32xf32>
    %o = cascade.einsum [p, f] (%n[p, f], %t[p]) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %zero = arith.constant 0.0 : f32
      %q = arith.divf %a, %b : f32
      %none = arith.cmpf oeq, %b, %zero : f32
      %r = arith.select %none, %zero, %q : f32
      cascade.yield %r : f32
    } : (tensor<?x32xf32>, tensor<?xf32>) -> tensor<?x32xf32>
    cascade.yield %o : tensor<?x32xf32>
  } : tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// Where something is of a type of small range, all is left under the maximum.
// CHECK-LABEL: func.func @narrow(
// CHECK: policy=online
func.func @narrow(%x: tensor<?x128xf32>, %v: tensor<128x32xf32>, %p: index) -> tensor<?x32xf32> {
  %y = cascade.cascade reassoc ranks(p = %p, m = 128, f = 32) {
    %s = cascade.einsum [p, m] (%x[p, m]) -> [p, m] {
    ^bb0(%a: f32):
      %c = arith.constant 5.0 : f32
      %h = math.tanh %a : f32
      %m = arith.mulf %h, %c : f32
      %z = arith.truncf %m : f32 to f16
      %r = arith.extf %z : f16 to f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>) -> tensor<?x128xf32>
    %max = cascade.einsum [p, m] (%s[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    %w = cascade.einsum [p, m] (%s[p, m], %max[p]) -> [p, m] {
    ^bb0(%a: f32, %d: f32):
      %z = arith.subf %a, %d : f32
      %r = math.exp %z : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>, tensor<?xf32>) -> tensor<?x128xf32>
    %t = cascade.einsum [p, m] (%w[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    %n = cascade.einsum [p, f, m] (%w[p, m], %v[m, f]) reduce(add) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.mulf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>, tensor<128x32xf32>) -> tensor<?x32xf32>
    %o = cascade.einsum [p, f] (%n[p, f], %t[p]) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.divf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<?x32xf32>, tensor<?xf32>) -> tensor<?x32xf32>
    cascade.yield %o : tensor<?x32xf32>
  } : tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}
