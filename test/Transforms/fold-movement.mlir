// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(fold-movement,canonicalize,cse))' | FileCheck %s

#id4 = affine_map<(a, b, c, d) -> (a, b, c, d)>
#id5 = affine_map<(a, b, c, d, e) -> (a, b, c, d, e)>
#repeat = affine_map<(a, b, c, d, e) -> (a, b, 0, d, e)>
#swap = affine_map<(a, b, c, d) -> (a, b, d, c)>
#q = affine_map<(b, h, m, n, k) -> (b, h, m, k)>
#k = affine_map<(b, h, m, n, k) -> (b, h, k, n)>
#o = affine_map<(b, h, m, n, k) -> (b, h, m, n)>
#mask = affine_map<(a, b, c, d) -> (a, 0, c, d)>

// Two groups of three heads: the product reads each group's keys once, as they
// lie, and what follows runs over groups and heads too.
// CHECK-DAG: #[[Q:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d2, d3, d5)>
// CHECK-DAG: #[[K:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d4, d5)>
// CHECK-DAG: #[[BIAS:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d3, d4)>
// CHECK-DAG: #[[AT:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d2, d1, d4)>
// CHECK-DAG: #[[TO:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d2, d1, d3)>
// CHECK-LABEL: func @grouped
// CHECK-SAME: (%[[QUERIES:.*]]: tensor<1x6x4x16xf32>, %[[KEYS:.*]]: tensor<1x2x5x16xf32>, %[[MASK:.*]]: tensor<1x1x4x5xf32>)
// CHECK-NOT: tensor<1x2x3x5x16xf32>
// CHECK-DAG: %[[QS:.*]] = tensor.expand_shape %[[QUERIES]] {{.*}} into tensor<1x2x3x4x16xf32>
// CHECK: %[[SCORES:.*]] = linalg.generic {indexing_maps = [#[[Q]], #[[K]], {{.*}} ins(%[[QS]], %[[KEYS]]
// CHECK: %[[BS:.*]] = tensor.collapse_shape %[[MASK]] {{.*}} into tensor<1x4x5xf32>
// CHECK: linalg.generic {indexing_maps = [{{.*}}, #[[BIAS]], {{.*}} ins(%[[SCORES]], %[[BS]]
// CHECK: tensor.collapse_shape {{.*}} : tensor<1x2x3x4x5xf32> into tensor<1x6x4x5xf32>
func.func @grouped(%q: tensor<1x6x4x16xf32>, %keys: tensor<1x2x5x16xf32>, %mask: tensor<1x1x4x5xf32>) -> tensor<1x6x4x5xf32> {
  %zero = arith.constant 0.0 : f32
  %unit = tensor.expand_shape %keys [[0], [1, 2], [3], [4]] output_shape [1, 2, 1, 5, 16] : tensor<1x2x5x16xf32> into tensor<1x2x1x5x16xf32>
  %e0 = tensor.empty() : tensor<1x2x3x5x16xf32>
  %rep = linalg.generic {indexing_maps = [#repeat, #id5], iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel"]}
      ins(%unit : tensor<1x2x1x5x16xf32>) outs(%e0 : tensor<1x2x3x5x16xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  } -> tensor<1x2x3x5x16xf32>
  %heads = tensor.collapse_shape %rep [[0], [1, 2], [3], [4]] : tensor<1x2x3x5x16xf32> into tensor<1x6x5x16xf32>
  %e1 = tensor.empty() : tensor<1x6x16x5xf32>
  %kt = linalg.generic {indexing_maps = [#swap, #id4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%heads : tensor<1x6x5x16xf32>) outs(%e1 : tensor<1x6x16x5xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  } -> tensor<1x6x16x5xf32>
  %e2 = tensor.empty() : tensor<1x6x4x5xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e2 : tensor<1x6x4x5xf32>) -> tensor<1x6x4x5xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #o], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%q, %kt : tensor<1x6x4x16xf32>, tensor<1x6x16x5xf32>) outs(%init : tensor<1x6x4x5xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %r = arith.addf %c, %m : f32
    linalg.yield %r : f32
  } -> tensor<1x6x4x5xf32>
  %y = linalg.generic {indexing_maps = [#id4, #mask, #id4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%s, %mask : tensor<1x6x4x5xf32>, tensor<1x1x4x5xf32>) outs(%e2 : tensor<1x6x4x5xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %r = arith.addf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<1x6x4x5xf32>
  return %y : tensor<1x6x4x5xf32>
}

// A transposition alone stays: packing takes it along.
// CHECK-LABEL: func @transposed
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<1x6x16x5xf32>)
// CHECK: arith.mulf
func.func @transposed(%q: tensor<1x6x4x16xf32>, %keys: tensor<1x6x5x16xf32>) -> tensor<1x6x4x5xf32> {
  %zero = arith.constant 0.0 : f32
  %e1 = tensor.empty() : tensor<1x6x16x5xf32>
  %kt = linalg.generic {indexing_maps = [#swap, #id4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%keys : tensor<1x6x5x16xf32>) outs(%e1 : tensor<1x6x16x5xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  } -> tensor<1x6x16x5xf32>
  %e2 = tensor.empty() : tensor<1x6x4x5xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e2 : tensor<1x6x4x5xf32>) -> tensor<1x6x4x5xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #o], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%q, %kt : tensor<1x6x4x16xf32>, tensor<1x6x16x5xf32>) outs(%init : tensor<1x6x4x5xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %r = arith.addf %c, %m : f32
    linalg.yield %r : f32
  } -> tensor<1x6x4x5xf32>
  return %s : tensor<1x6x4x5xf32>
}

// Of a factor on each side both go to the queries, and the keys are read as they
// lie.
// CHECK-LABEL: func @scaled
// CHECK-SAME: (%[[QUERIES:.*]]: tensor<2x4x16xf32>, %[[KEYS:.*]]: tensor<5x16xf32>, %[[FACTOR:.*]]: tensor<f32>)
// CHECK: %[[SCALED:.*]] = linalg.generic {{.*}} ins(%[[QUERIES]], %[[FACTOR]]
// CHECK: arith.mulf
// CHECK: %[[AGAIN:.*]] = linalg.generic {{.*}} ins(%[[SCALED]] : tensor<2x4x16xf32>)
// CHECK: arith.divf %{{.*}}, %{{.*}}
// CHECK: linalg.generic {{.*}} ins(%[[AGAIN]], %[[KEYS]]
#id3 = affine_map<(a, b, c) -> (a, b, c)>
#rows = affine_map<(a, b, c) -> (b, c)>
#one = affine_map<(a, b, c) -> ()>
#q3 = affine_map<(h, m, n, k) -> (h, m, k)>
#k3 = affine_map<(h, m, n, k) -> (h, n, k)>
#o3 = affine_map<(h, m, n, k) -> (h, m, n)>
func.func @scaled(%q: tensor<2x4x16xf32>, %keys: tensor<5x16xf32>, %factor: tensor<f32>) -> tensor<2x4x5xf32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4.0 : f32
  %e = tensor.empty() : tensor<2x5x16xf32>
  %rep = linalg.generic {indexing_maps = [#rows, #id3], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%keys : tensor<5x16xf32>) outs(%e : tensor<2x5x16xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  } -> tensor<2x5x16xf32>
  %d = linalg.generic {indexing_maps = [#id3, #id3], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%rep : tensor<2x5x16xf32>) outs(%e : tensor<2x5x16xf32>) {
  ^bb0(%a: f32, %b: f32):
    %r = arith.divf %a, %four : f32
    linalg.yield %r : f32
  } -> tensor<2x5x16xf32>
  %s = linalg.generic {indexing_maps = [#id3, #one, #id3], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%d, %factor : tensor<2x5x16xf32>, tensor<f32>) outs(%e : tensor<2x5x16xf32>) {
  ^bb0(%a: f32, %f: f32, %b: f32):
    %r = arith.mulf %f, %a : f32
    linalg.yield %r : f32
  } -> tensor<2x5x16xf32>
  %e2 = tensor.empty() : tensor<2x4x5xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e2 : tensor<2x4x5xf32>) -> tensor<2x4x5xf32>
  %y = linalg.generic {indexing_maps = [#q3, #k3, #o3], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%q, %s : tensor<2x4x16xf32>, tensor<2x5x16xf32>) outs(%init : tensor<2x4x5xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %r = arith.addf %c, %m : f32
    linalg.yield %r : f32
  } -> tensor<2x4x5xf32>
  return %y : tensor<2x4x5xf32>
}

// Heads and positions trade places for nothing: queries are read, and results
// written, where the neighbours want them.
// CHECK-LABEL: func @heads
// CHECK-SAME: (%[[Q:.*]]: tensor<1x4x6x16xf32>, %[[V:.*]]: tensor<1x6x16x8xf32>)
// CHECK: %[[Y:.*]] = linalg.generic {indexing_maps = [#[[AT]], {{.*}}, #[[TO]]]{{.*}} ins(%[[Q]], %[[V]]
// CHECK-NOT: linalg.generic
// CHECK: return %[[Y]] : tensor<1x4x6x8xf32>
#heads = affine_map<(a, b, c, d) -> (a, c, b, d)>
func.func @heads(%q: tensor<1x4x6x16xf32>, %v: tensor<1x6x16x8xf32>) -> tensor<1x4x6x8xf32> {
  %zero = arith.constant 0.0 : f32
  %e1 = tensor.empty() : tensor<1x6x4x16xf32>
  %qt = linalg.generic {indexing_maps = [#heads, #id4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%q : tensor<1x4x6x16xf32>) outs(%e1 : tensor<1x6x4x16xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  } -> tensor<1x6x4x16xf32>
  %e2 = tensor.empty() : tensor<1x6x4x8xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e2 : tensor<1x6x4x8xf32>) -> tensor<1x6x4x8xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #o], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%qt, %v : tensor<1x6x4x16xf32>, tensor<1x6x16x8xf32>) outs(%init : tensor<1x6x4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %r = arith.addf %c, %m : f32
    linalg.yield %r : f32
  } -> tensor<1x6x4x8xf32>
  %e3 = tensor.empty() : tensor<1x4x6x8xf32>
  %y = linalg.generic {indexing_maps = [#heads, #id4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%s : tensor<1x6x4x8xf32>) outs(%e3 : tensor<1x4x6x8xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  } -> tensor<1x4x6x8xf32>
  return %y : tensor<1x4x6x8xf32>
}
