// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(fuse-elementwise))' | FileCheck %s

#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
#vec = affine_map<(d0) -> (d0)>

// CHECK-LABEL: func @chain
// CHECK: linalg.generic
// CHECK: arith.addf
// CHECK-NEXT: arith.maximumf
// CHECK-NOT: linalg.generic
func.func @chain(%x: tensor<4x?xf32>, %n: index) -> tensor<4x?xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty(%n) : tensor<4x?xf32>
  %a = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x?xf32>) outs(%e : tensor<4x?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = arith.addf %i, %i : f32
    linalg.yield %s : f32
  } -> tensor<4x?xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%a : tensor<4x?xf32>) outs(%e : tensor<4x?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = arith.maximumf %i, %zero : f32
    linalg.yield %s : f32
  } -> tensor<4x?xf32>
  return %r : tensor<4x?xf32>
}

// A square root per row is not computed again for each of its columns.
// CHECK-LABEL: func @rows
// CHECK: math.sqrt
// CHECK: linalg.generic
// CHECK: arith.divf
func.func @rows(%x: tensor<4x64xf32>, %v: tensor<4xf32>) -> tensor<4x64xf32> {
  %e1 = tensor.empty() : tensor<4xf32>
  %e2 = tensor.empty() : tensor<4x64xf32>
  %a = linalg.generic {indexing_maps = [#vec, #vec], iterator_types = ["parallel"]} ins(%v : tensor<4xf32>) outs(%e1 : tensor<4xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = math.sqrt %i : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  %r = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %a : tensor<4x64xf32>, tensor<4xf32>) outs(%e2 : tensor<4x64xf32>) {
  ^bb0(%i: f32, %d: f32, %o: f32):
    %s = arith.divf %i, %d : f32
    linalg.yield %s : f32
  } -> tensor<4x64xf32>
  return %r : tensor<4x64xf32>
}

// A filled tensor is the scalar that it was filled with.
// CHECK-LABEL: func @filled
// CHECK: linalg.generic
// CHECK: ^bb0(%[[IN:.*]]: f32,
// CHECK: arith.mulf %[[IN]], %arg1
func.func @filled(%x: tensor<4x64xf32>, %v: f32) -> tensor<4x64xf32> {
  %e = tensor.empty() : tensor<4x64xf32>
  %f = linalg.fill ins(%v : f32) outs(%e : tensor<4x64xf32>) -> tensor<4x64xf32>
  %r = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %f : tensor<4x64xf32>, tensor<4x64xf32>) outs(%e : tensor<4x64xf32>) {
  ^bb0(%i: f32, %d: f32, %o: f32):
    %s = arith.mulf %i, %d : f32
    linalg.yield %s : f32
  } -> tensor<4x64xf32>
  return %r : tensor<4x64xf32>
}

// What follows a product stays with it, and is not done where it is transposed.
// CHECK-LABEL: func @product
// CHECK: linalg.generic
// CHECK: arith.mulf
// CHECK: linalg.generic
// CHECK: arith.addf
// CHECK-NEXT: linalg.yield
// CHECK: linalg.generic
// CHECK-NEXT: ^bb0(%[[IN:.*]]: f32, %{{.*}}: f32):
// CHECK-NEXT: linalg.yield %[[IN]]
func.func @product(%x: tensor<4x8xf32>, %w: tensor<8x64xf32>) -> tensor<64x4xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<4x64xf32>) -> tensor<4x64xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<4x8xf32>, tensor<8x64xf32>) outs(%f : tensor<4x64xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %c, %m : f32
    linalg.yield %s : f32
  } -> tensor<4x64xf32>
  %a = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<4x64xf32>) outs(%e : tensor<4x64xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = arith.addf %i, %i : f32
    linalg.yield %s : f32
  } -> tensor<4x64xf32>
  %t = tensor.empty() : tensor<64x4xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1, d0)>, #id], iterator_types = ["parallel", "parallel"]} ins(%a : tensor<4x64xf32>) outs(%t : tensor<64x4xf32>) {
  ^bb0(%i: f32, %o: f32):
    linalg.yield %i : f32
  } -> tensor<64x4xf32>
  return %r : tensor<64x4xf32>
}

// What a loop carries is written where it is, read there or not.
// CHECK-LABEL: func @loop
// CHECK: scf.for {{.*}} iter_args(%[[STATE:.*]] = %arg1)
// CHECK: linalg.generic {{.*}} outs(%[[STATE]] : tensor<4x64xf32>)
func.func @loop(%x: tensor<4x64xf32>, %state: tensor<4x64xf32>, %n: index) -> tensor<4x64xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %t = %c0 to %n step %c1 iter_args(%s = %state) -> (tensor<4x64xf32>) {
    %next = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x64xf32>) outs(%s : tensor<4x64xf32>) {
    ^bb0(%i: f32, %o: f32):
      %y = math.sqrt %i : f32
      linalg.yield %y : f32
    } -> tensor<4x64xf32>
    scf.yield %next : tensor<4x64xf32>
  }
  return %r : tensor<4x64xf32>
}

// A scalar seen as a matrix of which one dimension is walked stays one.
// CHECK-LABEL: func @scalar
// CHECK: %[[M:.*]] = tensor.expand_shape
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[M]]
func.func @scalar(%x: tensor<1x8xf32>, %s: tensor<f32>) -> tensor<1x8xf32> {
  %m = tensor.expand_shape %s [] output_shape [1, 1] : tensor<f32> into tensor<1x1xf32>
  %e = tensor.empty() : tensor<1x8xf32>
  %c = linalg.generic {indexing_maps = [#id, affine_map<(d0, d1) -> (d0, 0)>, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %m : tensor<1x8xf32>, tensor<1x1xf32>) outs(%e : tensor<1x8xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %d = arith.divf %i, %j : f32
    linalg.yield %d : f32
  } -> tensor<1x8xf32>
  return %c : tensor<1x8xf32>
}

// Dimensions that a reduction has kept are dropped from what follows it, all of
// which then fuses.
// CHECK-LABEL: func @kept
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf32>, %[[MEAN:.*]]: tensor<?xf32>
// CHECK: %[[ROOT:.*]] = linalg.generic {{.*}} ins(%[[MEAN]] : tensor<?xf32>)
// CHECK: arith.addf
// CHECK-NEXT: math.sqrt
// CHECK: linalg.generic {{.*}} ins(%[[X]], %[[ROOT]]
// CHECK: arith.divf
// CHECK-NEXT: arith.mulf
// CHECK-NEXT: arith.addf
// CHECK-NOT: linalg.generic
#first = affine_map<(d0, d1) -> (d0, 0)>
func.func @kept(%x: tensor<?x8xf32>, %mean: tensor<?xf32>, %n: index) -> tensor<?x8xf32> {
  %eps = arith.constant 0.5 : f32
  %u = tensor.expand_shape %mean [[0, 1]] output_shape [%n, 1] : tensor<?xf32> into tensor<?x1xf32>
  %e1 = tensor.empty(%n) : tensor<?x1xf32>
  %e = tensor.empty(%n) : tensor<?x8xf32>
  %a = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%u : tensor<?x1xf32>) outs(%e1 : tensor<?x1xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = arith.addf %i, %eps : f32
    linalg.yield %s : f32
  } -> tensor<?x1xf32>
  %b = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%a : tensor<?x1xf32>) outs(%e1 : tensor<?x1xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = math.sqrt %i : f32
    linalg.yield %s : f32
  } -> tensor<?x1xf32>
  %c = linalg.generic {indexing_maps = [#id, #first, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %b : tensor<?x8xf32>, tensor<?x1xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %s = arith.divf %i, %j : f32
    linalg.yield %s : f32
  } -> tensor<?x8xf32>
  %d = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%c : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = arith.mulf %i, %eps : f32
    linalg.yield %s : f32
  } -> tensor<?x8xf32>
  %f = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%d : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = arith.addf %i, %eps : f32
    linalg.yield %s : f32
  } -> tensor<?x8xf32>
  return %f : tensor<?x8xf32>
}
