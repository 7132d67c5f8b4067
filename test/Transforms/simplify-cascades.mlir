// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(simplify-cascades,canonicalize))' | FileCheck %s

// The rounding and the scale leave the maximum, the exponentials are to base 2 with
// log2(e) in the scale (0.125 * 1.4427 = 0.18034), and a tolerance of 8 is 11.54 there.
// CHECK-LABEL: func.func @scores(
// CHECK-DAG: %[[SCALE:.*]] = arith.constant 0.180336878 : f32
// CHECK: cascade.iterate
// CHECK: %[[S:.*]] = cascade.einsum [p, m, e] {{.*}} reduce(add) -> [p, m]
// CHECK: %[[MAX:.*]] = cascade.einsum [p, m] (%[[S]][p, m]) reduce(max) -> [p] {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32):
// CHECK-NEXT: cascade.yield %[[A]]
// CHECK: %[[LOCAL:.*]] = cascade.einsum [p] (%[[MAX]][p]) -> [p] {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32):
// CHECK-NEXT: %[[T:.*]] = arith.truncf %[[A]] : f32 to bf16
// CHECK-NEXT: %[[W:.*]] = arith.extf %[[T]] : bf16 to f32
// CHECK-NEXT: arith.mulf %[[W]], %[[SCALE]] fastmath<contract>
// CHECK: cascade.rebase %{{.*}}, %[[LOCAL]] exp2 max policy<lazy, {{11.54.*}} : f32>
// CHECK: cascade.einsum [p, m] (%[[S]][p, m], %{{.*}}[p]) -> [p, m] {
// CHECK: arith.truncf
// CHECK: %[[X:.*]] = arith.mulf %{{.*}}, %[[SCALE]] fastmath<contract>
// CHECK: %[[Y:.*]] = arith.subf %[[X]], %{{.*}} fastmath<contract>
// CHECK: math.exp2 %[[Y]]
func.func @scores(%q: tensor<8x4xf32>, %k: tensor<16x4xf32>) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 16, e = 4) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %r:2 = cascade.iterate "m" (%key = %k[0]) carry(%d = %d0, %s = %s0) : (tensor<16x4xf32>), (tensor<8xf32>, tensor<8xf32>) {
      %qk = cascade.einsum [p, m, e] (%q[p, e], %key[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<8x4xf32>, tensor<?x4xf32>) -> tensor<8x?xf32>
      %n = cascade.einsum [p, m] (%qk[p, m]) -> [p, m] {
      ^bb0(%a: f32):
        %t = arith.truncf %a : f32 to bf16
        cascade.yield %t : bf16
      } : (tensor<8x?xf32>) -> tensor<8x?xbf16>
      %x = cascade.einsum [p, m] (%n[p, m]) -> [p, m] {
      ^bb0(%a: bf16):
        %c = arith.constant 0.125 : f32
        %w = arith.extf %a : bf16 to f32
        %t = arith.mulf %w, %c : f32
        cascade.yield %t : f32
      } : (tensor<8x?xbf16>) -> tensor<8x?xf32>
      %l = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      %d1, %c = cascade.rebase %d, %l exp max policy<lazy, 8.0 : f32> : tensor<8xf32>
      %e = cascade.einsum [p, m] (%x[p, m], %d1[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.subf %a, %b : f32
        %u = math.exp %t : f32
        cascade.yield %u : f32
      } : (tensor<8x?xf32>, tensor<8xf32>) -> tensor<8x?xf32>
      %moved = cascade.einsum [p] (%s[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
      %s1 = cascade.einsum [p, m] (%e[p, m]) reduce(add) init(%moved) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      cascade.yield %d1, %s1 : tensor<8xf32>, tensor<8xf32>
    }
    %o = cascade.einsum [p] (%r#1[p]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %o : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}

// What is added may be the lowest number, which stands for a mask, and a negative
// factor turns the order: all stays as it is.
// CHECK-LABEL: func.func @biased(
// CHECK: reduce(max)
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32):
// CHECK-NEXT: arith.mulf %[[A]]
// CHECK: cascade.rebase %{{.*}}, %{{.*}} exp max :
// CHECK: math.exp %
func.func @biased(%x: tensor<8x16xf32>) -> tensor<8xf32> {
  %y = cascade.cascade reassoc ranks(p = 8, m = 16) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %r:2 = cascade.iterate "m" (%part = %x[1]) carry(%d = %d0, %s = %s0) : (tensor<8x16xf32>), (tensor<8xf32>, tensor<8xf32>) {
      %l = cascade.einsum [p, m] (%part[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        %c = arith.constant -2.0 : f32
        %t = arith.mulf %a, %c : f32
        cascade.yield %t : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      %d1, %c = cascade.rebase %d, %l exp max : tensor<8xf32>
      %e = cascade.einsum [p, m] (%part[p, m], %d1[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %c2 = arith.constant -2.0 : f32
        %w = arith.mulf %a, %c2 : f32
        %t = arith.subf %w, %b : f32
        %u = math.exp %t : f32
        cascade.yield %u : f32
      } : (tensor<8x?xf32>, tensor<8xf32>) -> tensor<8x?xf32>
      %moved = cascade.einsum [p] (%s[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
      %s1 = cascade.einsum [p, m] (%e[p, m]) reduce(add) init(%moved) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      cascade.yield %d1, %s1 : tensor<8xf32>, tensor<8xf32>
    }
    %o = cascade.einsum [p] (%r#1[p]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %o : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}
