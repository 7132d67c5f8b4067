// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(convert-cascade-to-linalg{part=32},canonicalize,cse))' | FileCheck %s
// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(convert-cascade-to-linalg{part=32},canonicalize,cse),bufferize-kernels,func.func(canonicalize,cse,canonicalize))' | FileCheck %s --check-prefix=MEMORY

// What is as large as a row's sums is corrected only where the reference of some row has moved.
// CHECK-LABEL: func.func @rows
// CHECK: scf.for
// CHECK: %[[R:.*]]:2 = linalg.generic
// CHECK: %[[LEAST:.*]] = linalg.generic {{.*}} iterator_types = ["reduction"]} ins(%[[R]]#1
// CHECK: arith.minimumf
// CHECK: %[[FACTOR:.*]] = tensor.extract %[[LEAST]][]
// CHECK: %[[ANY:.*]] = arith.cmpf une, %[[FACTOR]], %{{.*}} : f32
// CHECK: %[[SUM:.*]] = scf.if %[[ANY]] -> (tensor<4x8xf32>) {
// CHECK: arith.mulf
// CHECK: } else {
// CHECK: scf.yield
// CHECK: linalg.generic {{.*}} outs(%[[SUM]]

// In place either way.
// MEMORY-LABEL: func.func @rows
// MEMORY: scf.for
// MEMORY-NOT: memref.copy
// MEMORY: scf.if %{{[a-z0-9]*}} {
// MEMORY-NOT: memref.copy
// MEMORY: memref.copy %{{.*}}, %arg2
func.func @rows(%x: tensor<4x128xf32>, %v: tensor<128x8xf32>, %out: tensor<4x8xf32>) -> tensor<4x8xf32> attributes {lutra.kernel} {
  %lowest = arith.constant -3.40282347E+38 : f32
  %zero = arith.constant 0.0 : f32
  %y = cascade.cascade reassoc ranks(p = 4, m = 128, f = 8) {
    %d0 = cascade.einsum [p] () -> [p] {
      cascade.yield %lowest : f32
    } : () -> tensor<4xf32>
    %n0 = cascade.einsum [p, f] () -> [p, f] {
      cascade.yield %zero : f32
    } : () -> tensor<4x8xf32>
    %r:2 = cascade.iterate "m" (%xp = %x[1], %vp = %v[0]) carry(%d = %d0, %n = %n0) : (tensor<4x128xf32>, tensor<128x8xf32>), (tensor<4xf32>, tensor<4x8xf32>) {
      %l = cascade.einsum [p, m] (%xp[p, m]) reduce(max) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<4x?xf32>) -> tensor<4xf32>
      %d1, %c = cascade.rebase %d, %l exp max policy<lazy, 8.0 : f32> : tensor<4xf32>
      %w = cascade.einsum [p, m] (%xp[p, m], %d1[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %z = arith.subf %a, %b : f32
        %e = math.exp %z : f32
        cascade.yield %e : f32
      } : (tensor<4x?xf32>, tensor<4xf32>) -> tensor<4x?xf32>
      %moved = cascade.einsum [p, f] (%n[p, f], %c[p]) -> [p, f] {
      ^bb0(%a: f32, %b: f32):
        %z = arith.mulf %a, %b : f32
        cascade.yield %z : f32
      } : (tensor<4x8xf32>, tensor<4xf32>) -> tensor<4x8xf32>
      %n1 = cascade.einsum [p, f, m] (%w[p, m], %vp[m, f]) reduce(add) init(%moved) -> [p, f] {
      ^bb0(%a: f32, %b: f32):
        %z = arith.mulf %a, %b : f32
        cascade.yield %z : f32
      } : (tensor<4x?xf32>, tensor<?x8xf32>) -> tensor<4x8xf32>
      cascade.yield %d1, %n1 : tensor<4xf32>, tensor<4x8xf32>
    }
    cascade.yield %r#1 : tensor<4x8xf32>
  } : tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}
