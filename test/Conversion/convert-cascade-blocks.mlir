// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(convert-cascade-to-linalg{part=64},canonicalize,cse))' | FileCheck %s
// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(convert-cascade-to-linalg{part=64},canonicalize,cse),bufferize-kernels,func.func(canonicalize,cse,canonicalize))' | FileCheck %s --check-prefix=MEMORY

#block = affine_map<()[s0] -> (s0 floordiv 16)>
#within = affine_map<()[s0] -> (s0 mod 16)>

// A product goes over the blocks of a part, and reads each where it lies; what it writes begins
// with 0 there. A sum for few rows does so, too.
// CHECK-LABEL: func.func @blocks
// CHECK-SAME: %[[Q:[a-z0-9]*]]: tensor<4x8xf32>, %[[POOL:[a-z0-9]*]]: tensor<40x16x8xf32>, %[[TABLE:[a-z0-9]*]]: tensor<16xi64>
// CHECK-DAG: %[[C16:.*]] = arith.constant 16 : index
// CHECK-DAG: %[[C64:.*]] = arith.constant 64 : index
// CHECK: scf.for %[[AT:[a-z0-9]*]] = {{.*}} step %[[C64]]
// CHECK: scf.for %[[IN:[a-z0-9]*]] = {{.*}} to %[[C64]] step %[[C16]] iter_args(%[[S:[a-z0-9]*]] =
// CHECK: %[[M:.*]] = arith.addi %[[AT]], %[[IN]]
// CHECK: %[[N:.*]] = affine.apply #{{.*}}()[%[[M]]]
// CHECK: %[[ENTRY:.*]] = tensor.extract %[[TABLE]][%[[N]]]
// CHECK: %[[PAGE:.*]] = arith.index_cast %[[ENTRY]]
// CHECK: %[[FROM:.*]] = affine.apply #{{.*}}()[%[[M]]]
// CHECK: %[[K:.*]] = tensor.extract_slice %[[POOL]][%[[PAGE]], %[[FROM]], 0] [1, 16, 8]
// CHECK: %[[INTO:.*]] = tensor.extract_slice %[[S]][0, %[[IN]]] [4, 16]
// CHECK: %[[ZERO:.*]] = linalg.fill {{.*}} outs(%[[INTO]]
// CHECK: %[[PART:.*]] = linalg.generic {{.*}} ins(%[[Q]], %[[K]] : {{.*}}) outs(%[[ZERO]]
// CHECK: tensor.insert_slice %[[PART]] into %[[S]][0, %[[IN]]] [4, 16]
// CHECK: scf.for %[[IN:[a-z0-9]*]] = {{.*}} iter_args(%[[SUM:[a-z0-9]*]] =
// CHECK: %[[W:.*]] = tensor.extract_slice {{.*}}[0, %[[IN]]] [4, 16]
// CHECK: linalg.generic {{.*}} ins(%[[W]], {{.*}}) outs(%[[SUM]]

// None of it is copied; the result is.
// MEMORY-LABEL: func.func @blocks
// MEMORY: scf.for
// MEMORY: memref.subview %{{.*}}[%{{.*}}, %{{.*}}, 0] [1, 16, 8]
// MEMORY-NOT: memref.copy
// MEMORY: memref.copy %{{.*}}, %arg3
func.func @blocks(%q: tensor<4x8xf32>, %pool: tensor<40x16x8xf32>, %table: tensor<16xi64>, %out: tensor<4x8xf32>) -> tensor<4x8xf32> attributes {lutra.kernel} {
  %zero = arith.constant 0.0 : f32
  %y = cascade.cascade reassoc ranks(p = 4, m = 256, e = 8, f = 8) {
    %i = cascade.einsum [p, f] () -> [p, f] {
      cascade.yield %zero : f32
    } : () -> tensor<4x8xf32>
    %o = cascade.iterate "m" () carry(%acc = %i) : (), (tensor<4x8xf32>) {
      %k = cascade.einsum [m, e] () -> [m, e] {
        %m = cascade.index "m"
        %e = cascade.index "e"
        %n = affine.apply #block()[%m]
        %entry = tensor.extract %table[%n] : tensor<16xi64>
        %page = arith.index_cast %entry : i64 to index
        %in = affine.apply #within()[%m]
        %x = tensor.extract %pool[%page, %in, %e] : tensor<40x16x8xf32>
        cascade.yield %x : f32
      } : () -> tensor<?x8xf32>
      %s = cascade.einsum [p, m, e] (%q[p, e], %k[m, e]) reduce(add) -> [p, m] {
      ^bb0(%x: f32, %w: f32):
        %z = arith.mulf %x, %w : f32
        cascade.yield %z : f32
      } : (tensor<4x8xf32>, tensor<?x8xf32>) -> tensor<4x?xf32>
      %t = cascade.einsum [p, f, m] (%s[p, m], %k[m, f]) reduce(add) init(%acc) -> [p, f] {
      ^bb0(%x: f32, %w: f32):
        %z = arith.mulf %x, %w : f32
        cascade.yield %z : f32
      } : (tensor<4x?xf32>, tensor<?x8xf32>) -> tensor<4x8xf32>
      cascade.yield %t : tensor<4x8xf32>
    }
    cascade.yield %o : tensor<4x8xf32>
  } : tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// Of single rows, the part is copied together.
// CHECK-LABEL: func.func @rows
// CHECK: scf.for
// CHECK-NOT: scf.for
// CHECK: %[[K:.*]] = linalg.generic
// CHECK: tensor.extract %{{.*}} : tensor<256xi64>
// CHECK: tensor.extract %{{.*}} : tensor<400x8xf32>
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[K]] :
func.func @rows(%q: tensor<4x8xf32>, %pool: tensor<400x8xf32>, %table: tensor<256xi64>) -> tensor<4xf32> {
  %zero = arith.constant 0.0 : f32
  %y = cascade.cascade reassoc ranks(p = 4, m = 256, e = 8) {
    %i = cascade.einsum [p] () -> [p] {
      cascade.yield %zero : f32
    } : () -> tensor<4xf32>
    %o = cascade.iterate "m" () carry(%acc = %i) : (), (tensor<4xf32>) {
      %k = cascade.einsum [m, e] () -> [m, e] {
        %m = cascade.index "m"
        %e = cascade.index "e"
        %entry = tensor.extract %table[%m] : tensor<256xi64>
        %at = arith.index_cast %entry : i64 to index
        %x = tensor.extract %pool[%at, %e] : tensor<400x8xf32>
        cascade.yield %x : f32
      } : () -> tensor<?x8xf32>
      %s = cascade.einsum [p, m, e] (%q[p, e], %k[m, e]) reduce(add) -> [p, m] {
      ^bb0(%x: f32, %w: f32):
        %z = arith.mulf %x, %w : f32
        cascade.yield %z : f32
      } : (tensor<4x8xf32>, tensor<?x8xf32>) -> tensor<4x?xf32>
      %t = cascade.einsum [p, m] (%s[p, m]) reduce(add) init(%acc) -> [p] {
      ^bb0(%x: f32):
        cascade.yield %x : f32
      } : (tensor<4x?xf32>) -> tensor<4xf32>
      cascade.yield %t : tensor<4xf32>
    }
    cascade.yield %o : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}
