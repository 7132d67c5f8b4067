// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(simplify-cascades,canonicalize))' | FileCheck %s

// A sum of exponentials under their own maximum is 1 or more, or 0: its reciprocal
// is computed once a row.
// CHECK-LABEL: func.func @quotients(
// CHECK: %[[R:.*]]:3 = cascade.iterate
// CHECK: %[[ONE:.*]] = cascade.einsum [p] (%[[R]]#1[p]) -> [p] {
// CHECK: arith.divf %cst{{.*}}, %{{.*}} : f32
// CHECK: cascade.einsum [p, f] (%[[R]]#2[p, f], %[[ONE]][p]) -> [p, f] {
// CHECK-NEXT: ^bb0(%[[E:.*]]: f32, %[[G:.*]]: f32):
// CHECK-NEXT: %[[Y:.*]] = arith.mulf %[[E]], %[[G]] : f32
// CHECK-NEXT: cascade.yield %[[Y]]
func.func @quotients(%x: tensor<8x16xf32>, %z: tensor<8x16xf32>, %v: tensor<16x4xf32>) -> tensor<8x4xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 16, f = 4) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %o0 = cascade.einsum [p, f] () -> [p, f] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8x4xf32>
    %r:3 = cascade.iterate "m" (%a = %x[1], %b = %z[1], %w = %v[0]) carry(%d = %d0, %s = %s0, %o = %o0) : (tensor<8x16xf32>, tensor<8x16xf32>, tensor<16x4xf32>), (tensor<8xf32>, tensor<8xf32>, tensor<8x4xf32>) {
      %l = cascade.einsum [p, m] (%a[p, m]) reduce(max) -> [p] {
      ^bb0(%e: f32):
        cascade.yield %e : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      %d1, %c = cascade.rebase %d, %l exp2 max : tensor<8xf32>
      %u = cascade.einsum [p, m] (%a[p, m], %d1[p]) -> [p, m] {
      ^bb0(%e: f32, %g: f32):
        %t = arith.subf %e, %g : f32
        %h = math.exp2 %t : f32
        cascade.yield %h : f32
      } : (tensor<8x?xf32>, tensor<8xf32>) -> tensor<8x?xf32>
      %ms = cascade.einsum [p] (%s[p], %c[p]) -> [p] {
      ^bb0(%e: f32, %g: f32):
        %t = arith.mulf %e, %g : f32
        cascade.yield %t : f32
      } : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
      %s1 = cascade.einsum [p, m] (%u[p, m]) reduce(add) init(%ms) -> [p] {
      ^bb0(%e: f32):
        cascade.yield %e : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      %mo = cascade.einsum [p, f] (%o[p, f], %c[p]) -> [p, f] {
      ^bb0(%e: f32, %g: f32):
        %t = arith.mulf %e, %g : f32
        cascade.yield %t : f32
      } : (tensor<8x4xf32>, tensor<8xf32>) -> tensor<8x4xf32>
      %o1 = cascade.einsum [p, f, m] (%u[p, m], %w[m, f]) reduce(add) init(%mo) -> [p, f] {
      ^bb0(%e: f32, %g: f32):
        %t = arith.mulf %e, %g : f32
        cascade.yield %t : f32
      } : (tensor<8x?xf32>, tensor<?x4xf32>) -> tensor<8x4xf32>
      cascade.yield %d1, %s1, %o1 : tensor<8xf32>, tensor<8xf32>, tensor<8x4xf32>
    }
    %q = cascade.einsum [p, f] (%r#2[p, f], %r#1[p]) -> [p, f] {
    ^bb0(%e: f32, %g: f32):
      %t = arith.divf %e, %g : f32
      cascade.yield %t : f32
    } : (tensor<8x4xf32>, tensor<8xf32>) -> tensor<8x4xf32>
    cascade.yield %q : tensor<8x4xf32>
  } : tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}

// The reciprocal of no points is infinite, whatever was multiplied with them.
// CHECK-LABEL: func.func @guarded(
// CHECK-DAG: %[[INF:.*]] = arith.constant 0x7F800000 : f32
// CHECK-DAG: %[[ZERO:.*]] = arith.constant 0.000000e+00 : f32
// CHECK: arith.divf
// CHECK: ^bb0(%[[E:.*]]: f32, %[[G:.*]]: f32):
// CHECK-NEXT: %[[Y:.*]] = arith.mulf %[[E]], %[[G]] : f32
// CHECK-NEXT: %[[NONE:.*]] = arith.cmpf oeq, %[[G]], %[[INF]] : f32
// CHECK-NEXT: arith.select %[[NONE]], %[[ZERO]], %[[Y]] : f32
func.func @guarded(%x: tensor<8x16xf32>, %z: tensor<8x16xf32>, %v: tensor<16x4xf32>) -> tensor<8x4xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 16, f = 4) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %o0 = cascade.einsum [p, f] () -> [p, f] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8x4xf32>
    %r:3 = cascade.iterate "m" (%a = %x[1], %b = %z[1], %w = %v[0]) carry(%d = %d0, %s = %s0, %o = %o0) : (tensor<8x16xf32>, tensor<8x16xf32>, tensor<16x4xf32>), (tensor<8xf32>, tensor<8xf32>, tensor<8x4xf32>) {
      %l = cascade.einsum [p, m] (%a[p, m]) reduce(max) -> [p] {
      ^bb0(%e: f32):
        cascade.yield %e : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      %d1, %c = cascade.rebase %d, %l exp2 max : tensor<8xf32>
      %u = cascade.einsum [p, m] (%a[p, m], %d1[p]) -> [p, m] {
      ^bb0(%e: f32, %g: f32):
        %t = arith.subf %e, %g : f32
        %h = math.exp2 %t : f32
        cascade.yield %h : f32
      } : (tensor<8x?xf32>, tensor<8xf32>) -> tensor<8x?xf32>
      %ms = cascade.einsum [p] (%s[p], %c[p]) -> [p] {
      ^bb0(%e: f32, %g: f32):
        %t = arith.mulf %e, %g : f32
        cascade.yield %t : f32
      } : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
      %s1 = cascade.einsum [p, m] (%u[p, m]) reduce(add) init(%ms) -> [p] {
      ^bb0(%e: f32):
        cascade.yield %e : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      %mo = cascade.einsum [p, f] (%o[p, f], %c[p]) -> [p, f] {
      ^bb0(%e: f32, %g: f32):
        %t = arith.mulf %e, %g : f32
        cascade.yield %t : f32
      } : (tensor<8x4xf32>, tensor<8xf32>) -> tensor<8x4xf32>
      %o1 = cascade.einsum [p, f, m] (%u[p, m], %w[m, f]) reduce(add) init(%mo) -> [p, f] {
      ^bb0(%e: f32, %g: f32):
        %t = arith.mulf %e, %g : f32
        cascade.yield %t : f32
      } : (tensor<8x?xf32>, tensor<?x4xf32>) -> tensor<8x4xf32>
      cascade.yield %d1, %s1, %o1 : tensor<8xf32>, tensor<8xf32>, tensor<8x4xf32>
    }
    %q = cascade.einsum [p, f] (%r#2[p, f], %r#1[p]) -> [p, f] {
    ^bb0(%e: f32, %g: f32):
      %t = cascade.divide %e, %g empty(0.0) : f32
      cascade.yield %t : f32
    } : (tensor<8x4xf32>, tensor<8xf32>) -> tensor<8x4xf32>
    cascade.yield %q : tensor<8x4xf32>
  } : tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}

// Under the maximum of other points a sum may be as small as any number, and so may
// one that begins with a negative one.
// CHECK-LABEL: func.func @other_maximum(
// CHECK: arith.divf %{{.*}}, %{{.*}} : f32
// CHECK-NEXT: cascade.yield
// CHECK-NOT: cascade.einsum
// CHECK: return
func.func @other_maximum(%x: tensor<8x16xf32>, %z: tensor<8x16xf32>, %v: tensor<16x4xf32>) -> tensor<8x4xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 16, f = 4) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %o0 = cascade.einsum [p, f] () -> [p, f] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8x4xf32>
    %r:3 = cascade.iterate "m" (%a = %x[1], %b = %z[1], %w = %v[0]) carry(%d = %d0, %s = %s0, %o = %o0) : (tensor<8x16xf32>, tensor<8x16xf32>, tensor<16x4xf32>), (tensor<8xf32>, tensor<8xf32>, tensor<8x4xf32>) {
      %l = cascade.einsum [p, m] (%b[p, m]) reduce(max) -> [p] {
      ^bb0(%e: f32):
        cascade.yield %e : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      %d1, %c = cascade.rebase %d, %l exp2 max : tensor<8xf32>
      %u = cascade.einsum [p, m] (%a[p, m], %d1[p]) -> [p, m] {
      ^bb0(%e: f32, %g: f32):
        %t = arith.subf %e, %g : f32
        %h = math.exp2 %t : f32
        cascade.yield %h : f32
      } : (tensor<8x?xf32>, tensor<8xf32>) -> tensor<8x?xf32>
      %ms = cascade.einsum [p] (%s[p], %c[p]) -> [p] {
      ^bb0(%e: f32, %g: f32):
        %t = arith.mulf %e, %g : f32
        cascade.yield %t : f32
      } : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
      %s1 = cascade.einsum [p, m] (%u[p, m]) reduce(add) init(%ms) -> [p] {
      ^bb0(%e: f32):
        cascade.yield %e : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      %mo = cascade.einsum [p, f] (%o[p, f], %c[p]) -> [p, f] {
      ^bb0(%e: f32, %g: f32):
        %t = arith.mulf %e, %g : f32
        cascade.yield %t : f32
      } : (tensor<8x4xf32>, tensor<8xf32>) -> tensor<8x4xf32>
      %o1 = cascade.einsum [p, f, m] (%u[p, m], %w[m, f]) reduce(add) init(%mo) -> [p, f] {
      ^bb0(%e: f32, %g: f32):
        %t = arith.mulf %e, %g : f32
        cascade.yield %t : f32
      } : (tensor<8x?xf32>, tensor<?x4xf32>) -> tensor<8x4xf32>
      cascade.yield %d1, %s1, %o1 : tensor<8xf32>, tensor<8xf32>, tensor<8x4xf32>
    }
    %q = cascade.einsum [p, f] (%r#2[p, f], %r#1[p]) -> [p, f] {
    ^bb0(%e: f32, %g: f32):
      %t = arith.divf %e, %g : f32
      cascade.yield %t : f32
    } : (tensor<8x4xf32>, tensor<8xf32>) -> tensor<8x4xf32>
    cascade.yield %q : tensor<8x4xf32>
  } : tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}

// CHECK-LABEL: func.func @negative_start(
// CHECK: arith.divf %{{.*}}, %{{.*}} : f32
// CHECK-NEXT: cascade.yield
// CHECK-NOT: cascade.einsum
// CHECK: return
func.func @negative_start(%x: tensor<8x16xf32>, %z: tensor<8x16xf32>, %v: tensor<16x4xf32>) -> tensor<8x4xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 16, f = 4) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -1.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %o0 = cascade.einsum [p, f] () -> [p, f] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8x4xf32>
    %r:3 = cascade.iterate "m" (%a = %x[1], %b = %z[1], %w = %v[0]) carry(%d = %d0, %s = %s0, %o = %o0) : (tensor<8x16xf32>, tensor<8x16xf32>, tensor<16x4xf32>), (tensor<8xf32>, tensor<8xf32>, tensor<8x4xf32>) {
      %l = cascade.einsum [p, m] (%a[p, m]) reduce(max) -> [p] {
      ^bb0(%e: f32):
        cascade.yield %e : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      %d1, %c = cascade.rebase %d, %l exp2 max : tensor<8xf32>
      %u = cascade.einsum [p, m] (%a[p, m], %d1[p]) -> [p, m] {
      ^bb0(%e: f32, %g: f32):
        %t = arith.subf %e, %g : f32
        %h = math.exp2 %t : f32
        cascade.yield %h : f32
      } : (tensor<8x?xf32>, tensor<8xf32>) -> tensor<8x?xf32>
      %ms = cascade.einsum [p] (%s[p], %c[p]) -> [p] {
      ^bb0(%e: f32, %g: f32):
        %t = arith.mulf %e, %g : f32
        cascade.yield %t : f32
      } : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
      %s1 = cascade.einsum [p, m] (%u[p, m]) reduce(add) init(%ms) -> [p] {
      ^bb0(%e: f32):
        cascade.yield %e : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      %mo = cascade.einsum [p, f] (%o[p, f], %c[p]) -> [p, f] {
      ^bb0(%e: f32, %g: f32):
        %t = arith.mulf %e, %g : f32
        cascade.yield %t : f32
      } : (tensor<8x4xf32>, tensor<8xf32>) -> tensor<8x4xf32>
      %o1 = cascade.einsum [p, f, m] (%u[p, m], %w[m, f]) reduce(add) init(%mo) -> [p, f] {
      ^bb0(%e: f32, %g: f32):
        %t = arith.mulf %e, %g : f32
        cascade.yield %t : f32
      } : (tensor<8x?xf32>, tensor<?x4xf32>) -> tensor<8x4xf32>
      cascade.yield %d1, %s1, %o1 : tensor<8xf32>, tensor<8xf32>, tensor<8x4xf32>
    }
    %q = cascade.einsum [p, f] (%r#2[p, f], %r#1[p]) -> [p, f] {
    ^bb0(%e: f32, %g: f32):
      %t = arith.divf %e, %g : f32
      cascade.yield %t : f32
    } : (tensor<8x4xf32>, tensor<8xf32>) -> tensor<8x4xf32>
    cascade.yield %q : tensor<8x4xf32>
  } : tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}

// What is divided is the sum itself, too.
// CHECK-LABEL: func.func @both_sides(
// CHECK: arith.divf %{{.*}}, %{{.*}} : f32
// CHECK-NEXT: cascade.yield
// CHECK-NOT: cascade.einsum
// CHECK: return
func.func @both_sides(%x: tensor<8x16xf32>, %z: tensor<8x16xf32>, %v: tensor<16x4xf32>) -> tensor<8x4xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 16, f = 4) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %o0 = cascade.einsum [p, f] () -> [p, f] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8x4xf32>
    %r:3 = cascade.iterate "m" (%a = %x[1], %b = %z[1], %w = %v[0]) carry(%d = %d0, %s = %s0, %o = %o0) : (tensor<8x16xf32>, tensor<8x16xf32>, tensor<16x4xf32>), (tensor<8xf32>, tensor<8xf32>, tensor<8x4xf32>) {
      %l = cascade.einsum [p, m] (%a[p, m]) reduce(max) -> [p] {
      ^bb0(%e: f32):
        cascade.yield %e : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      %d1, %c = cascade.rebase %d, %l exp2 max : tensor<8xf32>
      %u = cascade.einsum [p, m] (%a[p, m], %d1[p]) -> [p, m] {
      ^bb0(%e: f32, %g: f32):
        %t = arith.subf %e, %g : f32
        %h = math.exp2 %t : f32
        cascade.yield %h : f32
      } : (tensor<8x?xf32>, tensor<8xf32>) -> tensor<8x?xf32>
      %ms = cascade.einsum [p] (%s[p], %c[p]) -> [p] {
      ^bb0(%e: f32, %g: f32):
        %t = arith.mulf %e, %g : f32
        cascade.yield %t : f32
      } : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
      %s1 = cascade.einsum [p, m] (%u[p, m]) reduce(add) init(%ms) -> [p] {
      ^bb0(%e: f32):
        cascade.yield %e : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      %mo = cascade.einsum [p, f] (%o[p, f], %c[p]) -> [p, f] {
      ^bb0(%e: f32, %g: f32):
        %t = arith.mulf %e, %g : f32
        cascade.yield %t : f32
      } : (tensor<8x4xf32>, tensor<8xf32>) -> tensor<8x4xf32>
      %o1 = cascade.einsum [p, f, m] (%u[p, m], %w[m, f]) reduce(add) init(%mo) -> [p, f] {
      ^bb0(%e: f32, %g: f32):
        %t = arith.mulf %e, %g : f32
        cascade.yield %t : f32
      } : (tensor<8x?xf32>, tensor<?x4xf32>) -> tensor<8x4xf32>
      cascade.yield %d1, %s1, %o1 : tensor<8xf32>, tensor<8xf32>, tensor<8x4xf32>
    }
    %q = cascade.einsum [p, f] (%r#2[p, f], %r#1[p]) -> [p, f] {
    ^bb0(%e: f32, %g: f32):
      %t = arith.divf %g, %g : f32
      cascade.yield %t : f32
    } : (tensor<8x4xf32>, tensor<8xf32>) -> tensor<8x4xf32>
    cascade.yield %q : tensor<8x4xf32>
  } : tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}

// Reciprocals of large halves have few bits.
// CHECK-LABEL: func.func @halves(
// CHECK: arith.divf %{{.*}}, %{{.*}} : f16
// CHECK-NEXT: cascade.yield
// CHECK-NOT: cascade.einsum
// CHECK: return
func.func @halves(%x: tensor<8x16xf16>, %z: tensor<8x16xf16>, %v: tensor<16x4xf16>) -> tensor<8x4xf16> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 16, f = 4) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -65504.0 : f16
      cascade.yield %c : f16
    } : () -> tensor<8xf16>
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f16
      cascade.yield %c : f16
    } : () -> tensor<8xf16>
    %o0 = cascade.einsum [p, f] () -> [p, f] {
      %c = arith.constant 0.0 : f16
      cascade.yield %c : f16
    } : () -> tensor<8x4xf16>
    %r:3 = cascade.iterate "m" (%a = %x[1], %b = %z[1], %w = %v[0]) carry(%d = %d0, %s = %s0, %o = %o0) : (tensor<8x16xf16>, tensor<8x16xf16>, tensor<16x4xf16>), (tensor<8xf16>, tensor<8xf16>, tensor<8x4xf16>) {
      %l = cascade.einsum [p, m] (%a[p, m]) reduce(max) -> [p] {
      ^bb0(%e: f16):
        cascade.yield %e : f16
      } : (tensor<8x?xf16>) -> tensor<8xf16>
      %d1, %c = cascade.rebase %d, %l exp2 max : tensor<8xf16>
      %u = cascade.einsum [p, m] (%a[p, m], %d1[p]) -> [p, m] {
      ^bb0(%e: f16, %g: f16):
        %t = arith.subf %e, %g : f16
        %h = math.exp2 %t : f16
        cascade.yield %h : f16
      } : (tensor<8x?xf16>, tensor<8xf16>) -> tensor<8x?xf16>
      %ms = cascade.einsum [p] (%s[p], %c[p]) -> [p] {
      ^bb0(%e: f16, %g: f16):
        %t = arith.mulf %e, %g : f16
        cascade.yield %t : f16
      } : (tensor<8xf16>, tensor<8xf16>) -> tensor<8xf16>
      %s1 = cascade.einsum [p, m] (%u[p, m]) reduce(add) init(%ms) -> [p] {
      ^bb0(%e: f16):
        cascade.yield %e : f16
      } : (tensor<8x?xf16>) -> tensor<8xf16>
      %mo = cascade.einsum [p, f] (%o[p, f], %c[p]) -> [p, f] {
      ^bb0(%e: f16, %g: f16):
        %t = arith.mulf %e, %g : f16
        cascade.yield %t : f16
      } : (tensor<8x4xf16>, tensor<8xf16>) -> tensor<8x4xf16>
      %o1 = cascade.einsum [p, f, m] (%u[p, m], %w[m, f]) reduce(add) init(%mo) -> [p, f] {
      ^bb0(%e: f16, %g: f16):
        %t = arith.mulf %e, %g : f16
        cascade.yield %t : f16
      } : (tensor<8x?xf16>, tensor<?x4xf16>) -> tensor<8x4xf16>
      cascade.yield %d1, %s1, %o1 : tensor<8xf16>, tensor<8xf16>, tensor<8x4xf16>
    }
    %q = cascade.einsum [p, f] (%r#2[p, f], %r#1[p]) -> [p, f] {
    ^bb0(%e: f16, %g: f16):
      %t = arith.divf %e, %g : f16
      cascade.yield %t : f16
    } : (tensor<8x4xf16>, tensor<8xf16>) -> tensor<8x4xf16>
    cascade.yield %q : tensor<8x4xf16>
  } : tensor<8x4xf16>
  return %y : tensor<8x4xf16>
}
