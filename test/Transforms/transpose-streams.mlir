// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(transpose-streams))' | FileCheck %s

#target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "sapphirerapids", features = "+avx512bf16,+avx512vl,+amx-tile,+amx-bf16", vectorBits = 512, vectorRegisters = 32, l1 = 49152, l2 = 2097152>
module attributes {lutra.target = #target} {

// Values, which are summed along the keys, lie along them behind the copy. Keys are
// multiplied along another rank, and stay.
// CHECK-LABEL: func.func @many(
// CHECK-SAME: %[[Q:[a-z0-9]*]]: tensor<512x32xbf16>, %[[K:[a-z0-9]*]]: tensor<128x32xbf16>, %[[V:[a-z0-9]*]]: tensor<128x64xbf16>
// CHECK: %[[TURNED:.*]] = linalg.transpose ins(%[[V]] : tensor<128x64xbf16>) outs(%{{.*}} : tensor<64x128xbf16>) permutation = [1, 0]
// CHECK: cascade.iterate "m" (%[[KEY:.*]] = %[[K]][0], %[[VALUE:.*]] = %[[TURNED]][1]) carry
// CHECK: cascade.einsum [p, m, e] (%[[Q]][p, e], %[[KEY]][m, e]) reduce(add) -> [p, m]
// CHECK: cascade.einsum [p, f, m] (%{{.*}}[p, m], %[[VALUE]][f, m]) reduce(add) init(%{{.*}}) -> [p, f]
func.func @many(%q: tensor<512x32xbf16>, %k: tensor<128x32xbf16>, %v: tensor<128x64xbf16>) -> tensor<512x64xf32> {
  %y = cascade.cascade reassoc ranks(p = 512, m = 128, e = 32, f = 64) {
    %s0 = cascade.einsum [p, f] () -> [p, f] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<512x64xf32>
    %r = cascade.iterate "m" (%key = %k[0], %value = %v[0]) carry(%s = %s0) : (tensor<128x32xbf16>, tensor<128x64xbf16>), (tensor<512x64xf32>) {
      %qk = cascade.einsum [p, m, e] (%q[p, e], %key[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: bf16, %b: bf16):
        %0 = arith.extf %a : bf16 to f32
        %1 = arith.extf %b : bf16 to f32
        %2 = arith.mulf %0, %1 : f32
        cascade.yield %2 : f32
      } : (tensor<512x32xbf16>, tensor<?x32xbf16>) -> tensor<512x?xf32>
      %next = cascade.einsum [p, f, m] (%qk[p, m], %value[m, f]) reduce(add) init(%s) -> [p, f] {
      ^bb0(%a: f32, %b: bf16):
        %0 = arith.extf %b : bf16 to f32
        %1 = arith.mulf %a, %0 : f32
        cascade.yield %1 : f32
      } : (tensor<512x?xf32>, tensor<?x64xbf16>) -> tensor<512x64xf32>
      cascade.yield %next : tensor<512x64xf32>
    }
    cascade.yield %r : tensor<512x64xf32>
  } : tensor<512x64xf32>
  return %y : tensor<512x64xf32>
}

// Rows of 512 keys, which are 1024 bytes apart, are a line longer in memory.
// CHECK-LABEL: func.func @aliased(
// CHECK: %[[TURNED:.*]] = linalg.generic
// CHECK: %[[PADDED:.*]] = tensor.pad %[[TURNED]] low[0, 0] high[0, 32]
// CHECK: tensor<64x512xbf16> to tensor<64x544xbf16>
// CHECK: %[[ROWS:.*]] = tensor.extract_slice %[[PADDED]][0, 0] [64, 512] [1, 1]
// CHECK: cascade.iterate "m" (%{{.*}}, %{{.*}} = %[[ROWS]][1]) carry
func.func @aliased(%q: tensor<512x32xbf16>, %k: tensor<512x32xbf16>, %v: tensor<512x64xbf16>) -> tensor<512x64xf32> {
  %y = cascade.cascade reassoc ranks(p = 512, m = 512, e = 32, f = 64) {
    %s0 = cascade.einsum [p, f] () -> [p, f] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<512x64xf32>
    %r = cascade.iterate "m" (%key = %k[0], %value = %v[0]) carry(%s = %s0) : (tensor<512x32xbf16>, tensor<512x64xbf16>), (tensor<512x64xf32>) {
      %qk = cascade.einsum [p, m, e] (%q[p, e], %key[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: bf16, %b: bf16):
        %0 = arith.extf %a : bf16 to f32
        %1 = arith.extf %b : bf16 to f32
        %2 = arith.mulf %0, %1 : f32
        cascade.yield %2 : f32
      } : (tensor<512x32xbf16>, tensor<?x32xbf16>) -> tensor<512x?xf32>
      %next = cascade.einsum [p, f, m] (%qk[p, m], %value[m, f]) reduce(add) init(%s) -> [p, f] {
      ^bb0(%a: f32, %b: bf16):
        %0 = arith.extf %b : bf16 to f32
        %1 = arith.mulf %a, %0 : f32
        cascade.yield %1 : f32
      } : (tensor<512x?xf32>, tensor<?x64xbf16>) -> tensor<512x64xf32>
      cascade.yield %next : tensor<512x64xf32>
    }
    cascade.yield %r : tensor<512x64xf32>
  } : tensor<512x64xf32>
  return %y : tensor<512x64xf32>
}

// Turning values around for few rows costs more than they do.
// CHECK-LABEL: func.func @few(
// CHECK-NOT: linalg.transpose
func.func @few(%q: tensor<32x32xbf16>, %k: tensor<128x32xbf16>, %v: tensor<128x64xbf16>) -> tensor<32x64xf32> {
  %y = cascade.cascade reassoc ranks(p = 32, m = 128, e = 32, f = 64) {
    %s0 = cascade.einsum [p, f] () -> [p, f] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<32x64xf32>
    %r = cascade.iterate "m" (%key = %k[0], %value = %v[0]) carry(%s = %s0) : (tensor<128x32xbf16>, tensor<128x64xbf16>), (tensor<32x64xf32>) {
      %qk = cascade.einsum [p, m, e] (%q[p, e], %key[m, e]) reduce(add) -> [p, m] {
      ^bb0(%a: bf16, %b: bf16):
        %0 = arith.extf %a : bf16 to f32
        %1 = arith.extf %b : bf16 to f32
        %2 = arith.mulf %0, %1 : f32
        cascade.yield %2 : f32
      } : (tensor<32x32xbf16>, tensor<?x32xbf16>) -> tensor<32x?xf32>
      %next = cascade.einsum [p, f, m] (%qk[p, m], %value[m, f]) reduce(add) init(%s) -> [p, f] {
      ^bb0(%a: f32, %b: bf16):
        %0 = arith.extf %b : bf16 to f32
        %1 = arith.mulf %a, %0 : f32
        cascade.yield %1 : f32
      } : (tensor<32x?xf32>, tensor<?x64xbf16>) -> tensor<32x64xf32>
      cascade.yield %next : tensor<32x64xf32>
    }
    cascade.yield %r : tensor<32x64xf32>
  } : tensor<32x64xf32>
  return %y : tensor<32x64xf32>
}
}
