// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(encode-cascades))' | FileCheck %s

// The exponentials of rows are rounded to bf16, in pairs of which the machine
// multiplies, and summed.
#target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "znver4", features = "+avx512bf16,+avx512vl", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>
module attributes {lutra.target = #target} {

// Where all that the sum does is to divide, few bits of an exponential count.
// CHECK-LABEL: func.func @divides(
// CHECK: math.exp2 %{{.*}} fastmath<afn> : f32
// CHECK: arith.truncf %{{.*}} : f32 to bf16
// CHECK-NEXT: cascade.yield %{{.*}} : bf16
func.func @divides(%q: tensor<64x64xbf16>, %k: tensor<256x64xbf16>, %v: tensor<32x256xbf16>) -> tensor<64x32xf32> {
  %y = cascade.cascade reassoc ranks(p = 64, m = 256, e = 64, f = 32) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<64xf32>
    %t0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<64xf32>
    %s0 = cascade.einsum [p, f] () -> [p, f] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<64x32xf32>
    %r:3 = cascade.iterate "m" (%key = %k[0], %value = %v[1]) carry(%d = %d0, %t = %t0, %s = %s0) : (tensor<256x64xbf16>, tensor<32x256xbf16>), (tensor<64xf32>, tensor<64xf32>, tensor<64x32xf32>) {
      %qk = cascade.einsum [p, m, e] (%q[p, e], %key[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: bf16, %b: bf16):
        %x = arith.extf %a : bf16 to f32
        %z = arith.extf %b : bf16 to f32
        %w = arith.mulf %x, %z : f32
        cascade.yield %w : f32
      } : (tensor<64x64xbf16>, tensor<?x64xbf16>) -> tensor<64x?xf32>
      %l = cascade.einsum [p, m] (%qk[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<64x?xf32>) -> tensor<64xf32>
      %d1, %c = cascade.rebase %d, %l exp2 max : tensor<64xf32>
      %e = cascade.einsum [p, m] (%qk[p, m], %d1[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %x = arith.subf %a, %b : f32
        %w = math.exp2 %x : f32
        cascade.yield %w : f32
      } : (tensor<64x?xf32>, tensor<64xf32>) -> tensor<64x?xf32>
      %tc = cascade.einsum [p] (%t[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %w = arith.mulf %a, %b : f32
        cascade.yield %w : f32
      } : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
      %t1 = cascade.einsum [p, m] (%e[p, m]) reduce(add) init(%tc) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<64x?xf32>) -> tensor<64xf32>
      %n = cascade.einsum [p, m] (%e[p, m]) -> [p, m] {
      ^bb0(%a: f32):
        %x = arith.truncf %a : f32 to bf16
        %w = arith.extf %x : bf16 to f32
        cascade.yield %w : f32
      } : (tensor<64x?xf32>) -> tensor<64x?xf32>
      %sc = cascade.einsum [p, f] (%s[p, f], %c[p]) -> [p, f] {
      ^bb0(%a: f32, %b: f32):
        %w = arith.mulf %a, %b : f32
        cascade.yield %w : f32
      } : (tensor<64x32xf32>, tensor<64xf32>) -> tensor<64x32xf32>
      %s1 = cascade.einsum [p, f, m] (%n[p, m], %value[f, m]) reduce(add) init(%sc) -> [p, f] {
      ^bb0(%a: f32, %b: bf16):
        %x = arith.extf %b : bf16 to f32
        %w = arith.mulf %a, %x : f32
        cascade.yield %w : f32
      } : (tensor<64x?xf32>, tensor<32x?xbf16>) -> tensor<64x32xf32>
      cascade.yield %d1, %t1, %s1 : tensor<64xf32>, tensor<64xf32>, tensor<64x32xf32>
    }
    %o = cascade.einsum [p, f] (%r#2[p, f], %r#1[p]) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %w = arith.divf %a, %b : f32
      cascade.yield %w : f32
    } : (tensor<64x32xf32>, tensor<64xf32>) -> tensor<64x32xf32>
    cascade.yield %o : tensor<64x32xf32>
  } : tensor<64x32xf32>
  return %y : tensor<64x32xf32>
}

// Where the sum is a result too, all bits count.
// CHECK-LABEL: func.func @sums(
// CHECK-NOT: afn
// CHECK: math.exp2 %{{[a-z0-9]*}} : f32
// CHECK-NOT: afn
func.func @sums(%q: tensor<64x64xbf16>, %k: tensor<256x64xbf16>, %v: tensor<32x256xbf16>) -> (tensor<64x32xf32>, tensor<64xf32>) {
  %y:2 = cascade.cascade reassoc ranks(p = 64, m = 256, e = 64, f = 32) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<64xf32>
    %t0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<64xf32>
    %s0 = cascade.einsum [p, f] () -> [p, f] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<64x32xf32>
    %r:3 = cascade.iterate "m" (%key = %k[0], %value = %v[1]) carry(%d = %d0, %t = %t0, %s = %s0) : (tensor<256x64xbf16>, tensor<32x256xbf16>), (tensor<64xf32>, tensor<64xf32>, tensor<64x32xf32>) {
      %qk = cascade.einsum [p, m, e] (%q[p, e], %key[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: bf16, %b: bf16):
        %x = arith.extf %a : bf16 to f32
        %z = arith.extf %b : bf16 to f32
        %w = arith.mulf %x, %z : f32
        cascade.yield %w : f32
      } : (tensor<64x64xbf16>, tensor<?x64xbf16>) -> tensor<64x?xf32>
      %l = cascade.einsum [p, m] (%qk[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<64x?xf32>) -> tensor<64xf32>
      %d1, %c = cascade.rebase %d, %l exp2 max : tensor<64xf32>
      %e = cascade.einsum [p, m] (%qk[p, m], %d1[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %x = arith.subf %a, %b : f32
        %w = math.exp2 %x : f32
        cascade.yield %w : f32
      } : (tensor<64x?xf32>, tensor<64xf32>) -> tensor<64x?xf32>
      %tc = cascade.einsum [p] (%t[p], %c[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %w = arith.mulf %a, %b : f32
        cascade.yield %w : f32
      } : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
      %t1 = cascade.einsum [p, m] (%e[p, m]) reduce(add) init(%tc) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<64x?xf32>) -> tensor<64xf32>
      %n = cascade.einsum [p, m] (%e[p, m]) -> [p, m] {
      ^bb0(%a: f32):
        %x = arith.truncf %a : f32 to bf16
        %w = arith.extf %x : bf16 to f32
        cascade.yield %w : f32
      } : (tensor<64x?xf32>) -> tensor<64x?xf32>
      %sc = cascade.einsum [p, f] (%s[p, f], %c[p]) -> [p, f] {
      ^bb0(%a: f32, %b: f32):
        %w = arith.mulf %a, %b : f32
        cascade.yield %w : f32
      } : (tensor<64x32xf32>, tensor<64xf32>) -> tensor<64x32xf32>
      %s1 = cascade.einsum [p, f, m] (%n[p, m], %value[f, m]) reduce(add) init(%sc) -> [p, f] {
      ^bb0(%a: f32, %b: bf16):
        %x = arith.extf %b : bf16 to f32
        %w = arith.mulf %a, %x : f32
        cascade.yield %w : f32
      } : (tensor<64x?xf32>, tensor<32x?xbf16>) -> tensor<64x32xf32>
      cascade.yield %d1, %t1, %s1 : tensor<64xf32>, tensor<64xf32>, tensor<64x32xf32>
    }
    %o = cascade.einsum [p, f] (%r#2[p, f], %r#1[p]) -> [p, f] {
    ^bb0(%a: f32, %b: f32):
      %w = arith.divf %a, %b : f32
      cascade.yield %w : f32
    } : (tensor<64x32xf32>, tensor<64xf32>) -> tensor<64x32xf32>
    cascade.yield %o, %r#1 : tensor<64x32xf32>, tensor<64xf32>
  } : tensor<64x32xf32>, tensor<64xf32>
  return %y#0, %y#1 : tensor<64x32xf32>, tensor<64xf32>
}
}
