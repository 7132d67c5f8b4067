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

// Rows are computed a few at a time, each step once, and what is as large as the
// output where the output will be.

#id = affine_map<(a, b) -> (a, b)>
#row = affine_map<(a, b) -> (a)>
#shape = affine_map<()[s0] -> (s0, 100)>
// CHECK-LABEL: func private @softmax
// CHECK: scf.forall (%[[C:.*]]) = (0) to (%{{.*}}) step (32)
// CHECK: scf.for %[[R:.*]] = %c0 to %{{.*}} step %c4 iter_args(%[[ACC:.*]] = %{{.*}})
// CHECK: arith.maximumf
// CHECK: %[[PLACE:.*]] = tensor.extract_slice %[[ACC]]
// CHECK: %[[EXP:.*]] = linalg.generic {{.*}} outs(%[[PLACE]]
// CHECK: math.exp
// CHECK-NOT: math.exp
// CHECK: %[[SUM:.*]] = linalg.generic {{.*}} ins(%[[EXP]]
// CHECK: linalg.generic {{.*}} ins(%[[EXP]], %[[SUM]] : {{.*}}) outs(%[[EXP]]
// CHECK: arith.divf
func.func private @softmax(%n: index, %x: tensor<?x100xf32>, %out: tensor<?x100xf32>) -> tensor<?x100xf32>
    attributes {lutra.kernel, lutra.rows = array<i64: 0>,
                lutra.schedule = #lutra.schedule<distribute = [32, 0], tile = [4, 0], order = [0], vector = 16>} {
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %r = tensor.empty(%n) : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?x100xf32>
  %m0 = linalg.fill ins(%low : f32) outs(%r : tensor<?xf32>) -> tensor<?xf32>
  %m = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<?x100xf32>) outs(%m0 : tensor<?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = arith.maximumf %i, %o : f32
    linalg.yield %v : f32
  } -> tensor<?xf32>
  %p = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %m : tensor<?x100xf32>, tensor<?xf32>) outs(%e : tensor<?x100xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %d = arith.subf %i, %j : f32
    %v = math.exp %d : f32
    linalg.yield %v : f32
  } -> tensor<?x100xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%r : tensor<?xf32>) -> tensor<?xf32>
  %s = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%p : tensor<?x100xf32>) outs(%s0 : tensor<?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = arith.addf %i, %o : f32
    linalg.yield %v : f32
  } -> tensor<?xf32>
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %s : tensor<?x100xf32>, tensor<?xf32>) outs(%out : tensor<?x100xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %v = arith.divf %i, %j : f32
    linalg.yield %v : f32
  } -> tensor<?x100xf32>
  return %y : tensor<?x100xf32>
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
