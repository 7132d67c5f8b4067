// RUN: lutra-opt %s -split-input-file -verify-diagnostics -pass-pipeline='builtin.module(func.func(apply-schedule,canonicalize,cse))' | FileCheck %s

#a = affine_map<(m, n, k) -> (m floordiv 12, k, m mod 12)>
#b = affine_map<(m, n, k) -> (n floordiv 32, k, n mod 32)>
#c = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(d0, d1) -> (d0, d1)>

// 16 rows in tiles of 12: the last tile has 4, but still reads a panel of 12.
// CHECK-LABEL: func private @contract
// CHECK: scf.forall
// CHECK: scf.for
// CHECK: scf.for
// CHECK: tensor.extract_slice {{.*}}[%{{.*}}, 0, 0] [%{{.*}}, 64, 12] [1, 1, 1]
// CHECK: tensor.extract_slice {{.*}}[%{{.*}}, 0, 0] [1, 64, 32] [1, 1, 1]
// CHECK: %[[TILE:.*]] = tensor.empty(%{{.*}}) : tensor<?x32xf32>
// CHECK: linalg.fill {{.*}} outs(%[[TILE]]
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]
func.func private @contract(%x: tensor<2x64x12xf32>, %w: tensor<4x64x32xf32>, %o: tensor<16x128xf32>) -> tensor<16x128xf32>
    attributes {lutra.kernel, lutra.schedule = #lutra.schedule<distribute = [24, 64], tile = [12, 32], order = [1, 0], vector = 16>} {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<16x128xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<16x128xf32>) -> tensor<16x128xf32>
  %y = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<2x64x12xf32>, tensor<4x64x32xf32>) outs(%f : tensor<16x128xf32>) {
  ^bb0(%l: f32, %r: f32, %acc: f32):
    %p = arith.mulf %l, %r : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<16x128xf32>
  %z = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%y : tensor<16x128xf32>) outs(%o : tensor<16x128xf32>) {
  ^bb0(%l: f32, %acc: f32):
    %p = arith.maximumf %l, %zero : f32
    linalg.yield %p : f32
  } -> tensor<16x128xf32>
  return %z : tensor<16x128xf32>
}

// -----

// The last tile of a packed result has fewer rows, but the whole of the position
// in a packed tile.

#id = affine_map<(d0, d1) -> (d0, d1)>
#packed = affine_map<(m, k) -> (m floordiv 12, k, m mod 12)>
// CHECK-LABEL: func private @pack
// CHECK: scf.forall
// CHECK: tensor.extract_slice %{{.*}}[%{{.*}}, 0, 0] [%{{.*}}, 64, 12] [1, 1, 1] : tensor<4x64x12xf32> to tensor<?x64x12xf32>
// CHECK: tensor.parallel_insert_slice %{{.*}} into %{{.*}}[%{{.*}}, 0, 0] [%{{.*}}, 64, 12] [1, 1, 1]
func.func private @pack(%x: tensor<40x64xf32>, %o: tensor<4x64x12xf32>) -> tensor<4x64x12xf32>
    attributes {lutra.kernel, lutra.schedule = #lutra.schedule<distribute = [24, 0], tile = [], order = [], vector = 16>} {
  %y = linalg.generic {indexing_maps = [#id, #packed], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<40x64xf32>) outs(%o : tensor<4x64x12xf32>) {
  ^bb0(%l: f32, %acc: f32):
    linalg.yield %l : f32
  } -> tensor<4x64x12xf32>
  return %y : tensor<4x64x12xf32>
}

// -----

#vec = affine_map<(d0) -> (d0)>
func.func private @wrong(%x: tensor<8xf32>, %o: tensor<8xf32>) -> tensor<8xf32>
    attributes {lutra.kernel, lutra.schedule = #lutra.schedule<distribute = [4, 4], tile = [], order = [], vector = 16>} {
  // expected-error @+1 {{expected a schedule of 1 loops, got 2}}
  %z = linalg.generic {indexing_maps = [#vec, #vec], iterator_types = ["parallel"]} ins(%x : tensor<8xf32>) outs(%o : tensor<8xf32>) {
  ^bb0(%l: f32, %acc: f32):
    linalg.yield %l : f32
  } -> tensor<8xf32>
  return %z : tensor<8xf32>
}
