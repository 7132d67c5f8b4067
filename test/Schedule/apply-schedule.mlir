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
// output where the output will be. What is summed and read again is stored on the way.

#id = affine_map<(a, b) -> (a, b)>
#row = affine_map<(a, b) -> (a)>
#shape = affine_map<()[s0] -> (s0, 100)>
// CHECK-LABEL: func private @softmax
// CHECK: scf.forall (%[[C:.*]]) = (0) to (%{{.*}}) step (32)
// CHECK: scf.for %[[R:.*]] = %c0 to %{{.*}} step %c4 iter_args(%[[ACC:.*]] = %{{.*}})
// CHECK: arith.maximumf
// CHECK: %[[PLACE:.*]] = tensor.extract_slice %[[ACC]]
// CHECK: %[[BOTH:.*]]:2 = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]} {{.*}} outs(%[[PLACE]], %{{.*}} :
// CHECK: %[[EXP:.*]] = math.exp
// CHECK: %[[SUM:.*]] = arith.addf %[[EXP]]
// CHECK: linalg.yield %[[EXP]], %[[SUM]]
// CHECK-NOT: math.exp
// CHECK: linalg.generic {{.*}} ins(%[[BOTH]]#0, %[[BOTH]]#1 : {{.*}}) outs(%[[BOTH]]#0
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


// -----

// A task has a tile of the rows of one head. It reads its slices, goes over m part by
// part as far as its last row looks, and writes where its result will be. The masked
// and scaled products are cheap: they are computed where they are read, with the
// coordinates of the whole. Exponentials, which two read, are stored.
// CHECK-DAG: #[[FAR:.*]] = affine_map<()[s0, s1, s2] -> (s1 + s2, s0)>
// CHECK-LABEL: func private @cascade
// CHECK-SAME: (%[[P:.*]]: index, %[[M:.*]]: index, %[[Q:.*]]: tensor<8x?x64xf32>, %[[K:.*]]: tensor<8x?x64xf32>, %[[V:.*]]: tensor<8x?x32xf32>, %[[O:.*]]: tensor<8x?x32xf32>)
// CHECK: scf.forall (%[[H:.*]], %[[R:.*]]) = (0, 0) to (8, %[[P]]) step (1, 32) shared_outs(%[[OUT:.*]] = %[[O]])
// CHECK: %[[ROWS:.*]] = affine.min #{{.*}}()[%[[R]], %[[P]]]
// CHECK-DAG: %[[KEYS:.*]] = tensor.extract_slice %[[K]][%[[H]], 0, 0] [1, %{{.*}}, 64] [1, 1, 1]
// CHECK-DAG: %[[QUERIES:.*]] = tensor.extract_slice %[[Q]][%[[H]], %[[R]], 0] [1, %[[ROWS]], 64] [1, 1, 1]
// CHECK-DAG: %[[PLACE:.*]] = tensor.extract_slice %[[OUT]][%[[H]], %[[R]], 0] [1, %[[ROWS]], 32] [1, 1, 1]
// CHECK: %[[END:.*]] = affine.min #[[FAR]]()[%[[M]], %[[R]], %[[ROWS]]]
// CHECK: scf.for %{{.*}} = %c0 to %[[WHOLE:.*]] step %c128
// CHECK: %[[STATES:.*]]:3 = scf.for %[[AT:.*]] = %[[WHOLE]] to %[[END]] step %c128
// CHECK: tensor.extract_slice %[[KEYS]][0, %[[AT]], 0]
// CHECK: %[[QK:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%[[QUERIES]], %{{.*}} : {{.*}})
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]} ins(%[[QK]] : tensor<1x?x?xf32>)
// CHECK: %[[I:.*]] = linalg.index 1
// CHECK: %[[J:.*]] = linalg.index 2
// CHECK: %[[ROW:.*]] = arith.addi %[[I]], %[[R]] : index
// CHECK: %[[KEY:.*]] = arith.addi %[[J]], %[[AT]] : index
// CHECK: arith.cmpi sge, %[[ROW]], %[[KEY]] : index
// CHECK: arith.select
// CHECK: arith.maximumf
// CHECK: %[[W:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "parallel"]} ins(%[[QK]], %{{.*}} : tensor<1x?x?xf32>, tensor<1x?xf32>)
// CHECK: arith.cmpi sge
// CHECK: arith.select
// CHECK: math.exp
// CHECK: linalg.generic {{.*}} ins(%[[W]] : tensor<1x?x?xf32>)
// CHECK: linalg.generic {{.*}} ins(%[[W]], %{{.*}} : tensor<1x?x?xf32>, tensor<1x?x32xf32>)
// CHECK-NOT: math.exp
// CHECK: scf.yield
// CHECK: %[[Y:.*]] = linalg.generic {{.*}} outs(%[[PLACE]] : tensor<1x?x32xf32>)
// CHECK: arith.divf
// CHECK: tensor.parallel_insert_slice %[[Y]] into %[[OUT]][%[[H]], %[[R]], 0] [1, %[[ROWS]], 32] [1, 1, 1]
func.func private @cascade(%p: index, %m: index, %q: tensor<8x?x64xf32>, %k: tensor<8x?x64xf32>, %v: tensor<8x?x32xf32>, %o: tensor<8x?x32xf32>) -> tensor<8x?x32xf32>
    attributes {lutra.kernel, lutra.schedule = #lutra.schedule<distribute = [1, 32, 0, 0, 0], tile = [0, 0, 128, 0, 0], order = [], vector = 16>} {
  %y = cascade.cascade reassoc ranks(h = 8, p = %p, m = %m, e = 64, f = 32) {
    %d0 = cascade.einsum [h, p] () -> [h, p] {
      %c = arith.constant -3.40282347E+38 : f32
      cascade.yield %c : f32
    } : () -> tensor<8x?xf32>
    %t0 = cascade.einsum [h, p] () -> [h, p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8x?xf32>
    %s0 = cascade.einsum [h, p, f] () -> [h, f, p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8x32x?xf32>
    %r:3 = cascade.iterate "m" (%key = %k[1], %value = %v[1]) carry(%d = %d0, %t = %t0, %s = %s0)
        filters([affine_set<(d0, d1, d2, d3, d4) : (d1 - d2 >= 0)>]) : (tensor<8x?x64xf32>, tensor<8x?x32xf32>), (tensor<8x?xf32>, tensor<8x?xf32>, tensor<8x32x?xf32>) {
      %qk = cascade.einsum [h, p, m, e] (%q[h, p, e], %key[h, m, e]) reduce(add) -> [h, m, p] {
      ^bb0(%a: f32, %b: f32):
        %z = arith.mulf %a, %b : f32
        cascade.yield %z : f32
      } : (tensor<8x?x64xf32>, tensor<8x?x64xf32>) -> tensor<8x?x?xf32>
      %x = cascade.einsum [h, p, m] (%qk[h, m, p]) -> [h, m, p] {
      ^bb0(%a: f32):
        %c = arith.constant 0.125 : f32
        %low = arith.constant 0xFF800000 : f32
        %i = cascade.index "p"
        %j = cascade.index "m"
        %scaled = arith.mulf %a, %c : f32
        %keep = arith.cmpi sge, %i, %j : index
        %z = arith.select %keep, %scaled, %low : f32
        cascade.yield %z : f32
      } : (tensor<8x?x?xf32>) -> tensor<8x?x?xf32>
      %l = cascade.einsum [h, p, m] (%x[h, m, p]) reduce(max) -> [h, p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?x?xf32>) -> tensor<8x?xf32>
      %d1, %c = cascade.rebase %d, %l exp max : tensor<8x?xf32>
      %w = cascade.einsum [h, p, m] (%x[h, m, p], %d1[h, p]) -> [h, m, p] {
      ^bb0(%a: f32, %b: f32):
        %z = arith.subf %a, %b : f32
        %u = math.exp %z : f32
        cascade.yield %u : f32
      } : (tensor<8x?x?xf32>, tensor<8x?xf32>) -> tensor<8x?x?xf32>
      %t1 = cascade.einsum [h, p] (%t[h, p], %c[h, p]) -> [h, p] {
      ^bb0(%a: f32, %b: f32):
        %z = arith.mulf %a, %b : f32
        cascade.yield %z : f32
      } : (tensor<8x?xf32>, tensor<8x?xf32>) -> tensor<8x?xf32>
      %t2 = cascade.einsum [h, p, m] (%w[h, m, p]) reduce(add) init(%t1) -> [h, p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?x?xf32>) -> tensor<8x?xf32>
      %s1 = cascade.einsum [h, p, f] (%s[h, f, p], %c[h, p]) -> [h, f, p] {
      ^bb0(%a: f32, %b: f32):
        %z = arith.mulf %a, %b : f32
        cascade.yield %z : f32
      } : (tensor<8x32x?xf32>, tensor<8x?xf32>) -> tensor<8x32x?xf32>
      %s2 = cascade.einsum [h, p, f, m] (%w[h, m, p], %value[h, m, f]) reduce(add) init(%s1) -> [h, f, p] {
      ^bb0(%a: f32, %b: f32):
        %z = arith.mulf %a, %b : f32
        cascade.yield %z : f32
      } : (tensor<8x?x?xf32>, tensor<8x?x32xf32>) -> tensor<8x32x?xf32>
      cascade.yield %d1, %t2, %s2 : tensor<8x?xf32>, tensor<8x?xf32>, tensor<8x32x?xf32>
    }
    %z = cascade.einsum [h, p, f] (%r#2[h, f, p], %r#1[h, p]) -> [h, p, f] {
    ^bb0(%a: f32, %b: f32):
      %u = cascade.divide %a, %b empty(0.0) : f32
      cascade.yield %u : f32
    } : (tensor<8x32x?xf32>, tensor<8x?xf32>) -> tensor<8x?x32xf32>
    cascade.yield %z : tensor<8x?x32xf32>
  } : tensor<8x?x32xf32>
  return %y : tensor<8x?x32xf32>
}

// -----

// A schedule has a loop for each rank.
func.func private @loops_of_cascade(%x: tensor<4x8xf32>, %o: tensor<4xf32>) -> tensor<4xf32>
    attributes {lutra.kernel, lutra.schedule = #lutra.schedule<distribute = [4], tile = [0], order = [], vector = 16>} {
  // expected-error @+1 {{expected a schedule of 2 loops, got 1}}
  %y = cascade.cascade ranks(p = 4, m = 8) {
    %s = cascade.einsum [p, m] (%x[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x8xf32>) -> tensor<4xf32>
    cascade.yield %s : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// An iteration goes over all of its rank: that cannot be cut into tasks.
func.func private @iterated_rank(%x: tensor<4x8xf32>, %o: tensor<4xf32>) -> tensor<4xf32>
    attributes {lutra.kernel, lutra.schedule = #lutra.schedule<distribute = [1, 4], tile = [0, 4], order = [], vector = 16>} {
  // expected-error @+1 {{expected a cascade that can be tiled along its rows}}
  %y = cascade.cascade ranks(p = 4, m = 8) {
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<4xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%s = %s0) : (tensor<4x8xf32>), (tensor<4xf32>) {
      %s1 = cascade.einsum [p, m] (%part[p, m]) reduce(add) init(%s) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<4x?xf32>) -> tensor<4xf32>
      cascade.yield %s1 : tensor<4xf32>
    }
    %z = cascade.einsum [p] (%r[p]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4xf32>) -> tensor<4xf32>
    cascade.yield %z : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// Each block is a product of its rows with the tiles of its expert, two for each matrix.
// CHECK-LABEL: func private @gather
// CHECK: scf.forall (%[[BLOCK:.*]], %[[COLUMN:.*]]) = (0, 0) to (%{{.*}}, 40) step (1, 32)
// CHECK: tensor.extract %arg1[%[[BLOCK]]]
// CHECK: %[[BEGIN:.*]] = arith.index_cast
// CHECK: tensor.extract %arg1[%{{.*}}]
// CHECK: %[[END:.*]] = arith.index_cast
// CHECK: %[[ROWS:.*]] = arith.subi %[[END]], %[[BEGIN]]
// CHECK: tensor.extract %arg0[%[[BLOCK]]]
// CHECK: %[[TILE:.*]] = affine.apply {{.*}}[%[[COLUMN]], %{{.*}}]
// CHECK: %[[X:.*]] = tensor.extract_slice %arg2[%[[BEGIN]], 0, 0] [%[[ROWS]], 4, 32]
// CHECK: %[[W:.*]] = tensor.extract_slice %arg3[%[[TILE]], 0, 0, 0]
// CHECK: %[[Y:.*]] = mpgemm.matmul {{.*}} x(%[[X]] : {{.*}}) codes(%[[W]] :
// CHECK: tensor.parallel_insert_slice %[[Y]] into %{{.*}}[%[[BEGIN]], %[[COLUMN]]] [%[[ROWS]], %{{.*}}]
func.func private @gather(%b: tensor<?xi64>, %o: tensor<?xi64>, %x: tensor<?x4x32xf32>, %w: tensor<6x16x1x128xi8>, %s: tensor<6x4x32xf32>, %y: tensor<?x40xf32>) -> tensor<?x40xf32>
    attributes {lutra.kernel, lutra.schedule = #lutra.schedule<distribute = [1, 32], tile = [], order = [], vector = 16>} {
  %r = mpgemm.gather_matmul #mpgemm.affine<bits = 4, zero = 8> layout <rows = 32> experts(%b : tensor<?xi64>) offsets(%o : tensor<?xi64>) x(%x : tensor<?x4x32xf32>) codes(%w : tensor<6x16x1x128xi8>) scales(%s : tensor<6x4x32xf32>) outs(%y : tensor<?x40xf32>) -> tensor<?x40xf32>
  return %r : tensor<?x40xf32>
}

// -----

// Floats have register tiles inside of a block.
// CHECK-LABEL: func private @gather_floats
// CHECK: scf.forall
// CHECK: scf.for %{{.*}} step %c32
// CHECK: scf.for %{{.*}} step %c12
// CHECK: linalg.fill
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction", "reduction"]}
func.func private @gather_floats(%b: tensor<?xi64>, %o: tensor<?xi64>, %x: tensor<?x1x64xf32>, %w: tensor<6x1x64x32xf32>, %y: tensor<?x40xf32>) -> tensor<?x40xf32>
    attributes {lutra.kernel, lutra.schedule = #lutra.schedule<distribute = [1, 64], tile = [12, 32, 0, 0], order = [1, 0], vector = 16>} {
  %r = mpgemm.gather_matmul layout <rows = 32> experts(%b : tensor<?xi64>) offsets(%o : tensor<?xi64>) x(%x : tensor<?x1x64xf32>) codes(%w : tensor<6x1x64x32xf32>) outs(%y : tensor<?x40xf32>) -> tensor<?x40xf32>
  return %r : tensor<?x40xf32>
}

// -----

// Sums wait in memory while the reduction goes on by a block, whose sizes are known;
// what is left behind the last is a block of its own. Packed rows stay whole.
#a = affine_map<(m, n, k) -> (m floordiv 12, k, m mod 12)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
// CHECK-LABEL: func private @blocks
// CHECK-SAME: %[[X:[a-z0-9]*]]: tensor<4x1000x12xf32>
// CHECK: scf.forall
// CHECK: %[[Y:.*]] = tensor.extract_slice %{{.*}} to tensor<1000x?xf32>
// CHECK: %[[SUMS:.*]] = scf.for %[[AT:.*]] = %c0 to %c768 step %c256
// CHECK-DAG: tensor.extract_slice %[[X]][0, %[[AT]], 0] [4, 256, 12]
// CHECK-DAG: tensor.extract_slice %[[Y]][%[[AT]], 0] [256, %{{.*}}]
// CHECK: linalg.generic {{.*}} ins(%{{.*}} : tensor<4x256x12xf32>, tensor<256x?xf32>)
// CHECK-SAME: lutra.panels
// CHECK: scf.yield
// CHECK-DAG: tensor.extract_slice %[[X]][0, 768, 0] [4, 232, 12]
// CHECK-DAG: tensor.extract_slice %[[Y]][768, 0] [232, %{{.*}}]
// CHECK-DAG: tensor.extract_slice %[[SUMS]]
// CHECK: linalg.generic {{.*}} ins(%{{.*}} : tensor<4x232x12xf32>, tensor<232x?xf32>)
// CHECK-SAME: lutra.panels
func.func private @blocks(%x: tensor<4x1000x12xf32>, %y: tensor<1000x300xf32>, %o: tensor<48x300xf32>) -> tensor<48x300xf32>
    attributes {lutra.kernel, lutra.schedule = #lutra.schedule<distribute = [48, 128, 0], tile = [], order = [], vector = 16, depth = 256>} {
  %r = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : tensor<4x1000x12xf32>, tensor<1000x300xf32>) outs(%o : tensor<48x300xf32>) attrs = {lutra.panels} {
  ^bb0(%i: f32, %j: f32, %s: f32):
    %p = arith.mulf %i, %j : f32
    %t = arith.addf %s, %p : f32
    linalg.yield %t : f32
  } -> tensor<48x300xf32>
  return %r : tensor<48x300xf32>
}

// -----

// Where pairs are multiplied, which are written as such if all sizes are known, most
// tiles are of a known size, whatever the extent.
// CHECK-LABEL: func private @two_sizes
// CHECK: scf.forall (%[[R:.*]]) = (0) to (%{{.*}}) step (32)
// CHECK: %[[ROWS:.*]] = affine.min
// CHECK: %[[FULL:.*]] = arith.cmpi eq, %[[ROWS]], %c32
// CHECK: %[[Y:.*]] = scf.if %[[FULL]] -> (tensor<?xf32>)
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<128x32xf32>)
// CHECK: tensor.cast %{{.*}} : tensor<32xf32> to tensor<?xf32>
// CHECK: } else {
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<128x?xf32>)
// CHECK: tensor.parallel_insert_slice %[[Y]] into %{{.*}}[%[[R]]] [%[[ROWS]]] [1]
module attributes {lutra.target = #lutra.target<triple = "x86_64-linux-gnu", cpu = "znver4", features = "+avx512bf16,+avx512vl", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
func.func private @two_sizes(%p: index, %q: tensor<64x?xbf16>, %k: tensor<2048x64xbf16>, %o: tensor<?xf32>) -> tensor<?xf32>
    attributes {lutra.kernel, lutra.schedule = #lutra.schedule<distribute = [32, 0, 0], tile = [0, 128, 0], order = [], vector = 16>} {
  %y = cascade.cascade reassoc ranks(p = %p, m = 2048, e = 64) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %r = cascade.iterate "m" (%key = %k[0]) carry(%d = %d0) : (tensor<2048x64xbf16>), (tensor<?xf32>) {
      %qk = cascade.einsum [p, m, e] (%q[e, p], %key[m, e]) reduce(add) -> [m, p] {
      ^bb0(%a: bf16, %b: bf16):
        %aw = arith.extf %a : bf16 to f32
        %bw = arith.extf %b : bf16 to f32
        %t = arith.mulf %aw, %bw : f32
        cascade.yield %t : f32
      } : (tensor<64x?xbf16>, tensor<?x64xbf16>) -> tensor<?x?xf32>
      %d1 = cascade.einsum [p, m] (%qk[m, p]) reduce(max) init(%d) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      cascade.yield %d1 : tensor<?xf32>
    }
    cascade.yield %r : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}
}
