// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(convert-cascade-to-linalg{part=32},canonicalize,cse))' | FileCheck %s
// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(convert-cascade-to-linalg{part=48},canonicalize,cse))' | FileCheck %s --check-prefix=ROUNDED

// Filters that say where an iteration begins and ends are not asked of each point.

// A tile of one part: two steps of 32, and no more.
// CHECK-LABEL: func.func @one_part
// CHECK: scf.for
// CHECK: tensor.extract_slice {{.*}} [4, 32] [1, 1]
// CHECK-NOT: arith.select
// CHECK: return
// Steps of 48 go beyond both ends of it.
// ROUNDED-LABEL: func.func @one_part
// ROUNDED: tensor.extract_slice {{.*}} [4, 48] [1, 1]
// ROUNDED-COUNT-2: arith.cmpi sge
// ROUNDED: arith.select
// ROUNDED: return
func.func @one_part(%x: tensor<4x192xf32>, %at: index) -> tensor<1x4xf32> {
  %y = cascade.cascade reassoc ranks(p = 4, m = 192, s = 1) {
    %t0 = cascade.einsum [s, p] () -> [s, p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<1x4xf32>
    %t = cascade.iterate "m" (%part = %x[1]) carry(%c = %t0) filters([affine_set<(d0, d1, d2)[s0] : (d1 - d2 * 64 - s0 * 64 >= 0, d2 * 64 + s0 * 64 + 63 - d1 >= 0)>][%at]) : (tensor<4x192xf32>), (tensor<1x4xf32>) {
      %n = cascade.einsum [p, m, s] (%part[p, m]) reduce(add) filters([affine_set<(d0, d1, d2)[s0] : (d1 - (d2 + s0) * 64 >= 0, (d2 + s0) * 64 + 63 - d1 >= 0)>][%at]) init(%c) -> [s, p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<4x?xf32>) -> tensor<1x4xf32>
      cascade.yield %n : tensor<1x4xf32>
    }
    %o = cascade.einsum [s, p] (%t[s, p]) -> [s, p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<1x4xf32>) -> tensor<1x4xf32>
    cascade.yield %o : tensor<1x4xf32>
  } : tensor<1x4xf32>
  return %y : tensor<1x4xf32>
}

// Where there are several, each point is in one of them.
// CHECK-LABEL: func.func @two_parts
// CHECK: scf.for
// CHECK-COUNT-2: arith.cmpi sge
// CHECK: arith.select
// CHECK: return
func.func @two_parts(%x: tensor<4x192xf32>, %at: index) -> tensor<2x4xf32> {
  %y = cascade.cascade reassoc ranks(p = 4, m = 192, s = 2) {
    %t0 = cascade.einsum [s, p] () -> [s, p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<2x4xf32>
    %t = cascade.iterate "m" (%part = %x[1]) carry(%c = %t0) filters([affine_set<(d0, d1, d2)[s0] : (d1 - d2 * 64 - s0 * 64 >= 0, d2 * 64 + s0 * 64 + 63 - d1 >= 0)>][%at]) : (tensor<4x192xf32>), (tensor<2x4xf32>) {
      %n = cascade.einsum [p, m, s] (%part[p, m]) reduce(add) filters([affine_set<(d0, d1, d2)[s0] : (d1 - (d2 + s0) * 64 >= 0, (d2 + s0) * 64 + 63 - d1 >= 0)>][%at]) init(%c) -> [s, p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<4x?xf32>) -> tensor<2x4xf32>
      cascade.yield %n : tensor<2x4xf32>
    }
    %o = cascade.einsum [s, p] (%t[s, p]) -> [s, p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<2x4xf32>) -> tensor<2x4xf32>
    cascade.yield %o : tensor<2x4xf32>
  } : tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}
