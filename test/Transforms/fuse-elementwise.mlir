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
