// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(sink-transposes,canonicalize,cse))' | FileCheck %s

#id = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
#channel = affine_map<(d0, d1, d2, d3) -> (d1, 0, 0)>
#second = affine_map<(d0, d1, d2, d3) -> (d0, d2, d3, d1)>
#last = affine_map<(d0, d1, d2, d3) -> (d0, d3, d1, d2)>

// What follows a product is computed along its rows and columns; a tensor that
// is transposed alike is read so too. Nothing is left of the transpositions
// where the second undoes the first.
// CHECK-DAG: #[[COLUMN:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-DAG: #[[FLAT:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG: #[[READ:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d2 * 2 + d4, d3, d1)>
// CHECK-DAG: #[[WRITTEN:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d2, d3, d1)>
// CHECK-LABEL: func @chain
// CHECK: %[[P:.*]] = mpgemm.matmul
// CHECK: %[[B:.*]] = tensor.collapse_shape %arg3 {{.*}} : tensor<8x1x1xi32> into tensor<8xi32>
// CHECK: %[[A:.*]] = linalg.generic {indexing_maps = [#[[FLAT]], #[[COLUMN]], #[[FLAT]]]
// CHECK-SAME: ins(%[[P]], %[[B]] : tensor<12x8xi32>, tensor<8xi32>)
// CHECK: %[[C:.*]] = linalg.generic {indexing_maps = [#[[FLAT]], #[[FLAT]], #[[FLAT]]]
// CHECK-SAME: ins(%[[A]], %[[P]] : tensor<12x8xi32>, tensor<12x8xi32>)
// CHECK: %[[E:.*]] = tensor.expand_shape %[[C]] {{\[\[}}0, 1, 2], [3]] output_shape [2, 3, 2, 8]
// CHECK: %[[PAD:.*]] = tensor.pad %[[E]] low[0, 1, 0, 0] high[0, 0, 1, 0]
// CHECK: return %[[PAD]]
func.func @chain(%x: tensor<12x1x4xi8>, %w: tensor<8x1x4xi8>, %sums: tensor<12x1xi32>, %bias: tensor<8x1x1xi32>) -> tensor<2x4x3x8xi32> {
  %zero = arith.constant 0 : i32
  %e = tensor.empty() : tensor<12x8xi32>
  %p = mpgemm.matmul #mpgemm.affine<bits = 8, zero = 0> x(%x : tensor<12x1x4xi8>) codes(%w : tensor<8x1x4xi8>)
      xsums(%sums : tensor<12x1xi32>) outs(%e : tensor<12x8xi32>) -> tensor<12x8xi32>
  %y = tensor.expand_shape %p [[0, 1, 2], [3]] output_shape [2, 3, 2, 8] : tensor<12x8xi32> into tensor<2x3x2x8xi32>
  %n = tensor.empty() : tensor<2x8x3x2xi32>
  %t = linalg.generic {indexing_maps = [#second, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%y : tensor<2x3x2x8xi32>) outs(%n : tensor<2x8x3x2xi32>) {
  ^bb0(%i: i32, %o: i32):
    linalg.yield %i : i32
  } -> tensor<2x8x3x2xi32>
  %a = linalg.generic {indexing_maps = [#id, #channel, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%t, %bias : tensor<2x8x3x2xi32>, tensor<8x1x1xi32>) outs(%n : tensor<2x8x3x2xi32>) {
  ^bb0(%i: i32, %b: i32, %o: i32):
    %s = arith.addi %i, %b : i32
    linalg.yield %s : i32
  } -> tensor<2x8x3x2xi32>
  %c = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%a, %t : tensor<2x8x3x2xi32>, tensor<2x8x3x2xi32>) outs(%n : tensor<2x8x3x2xi32>) {
  ^bb0(%i: i32, %b: i32, %o: i32):
    %s = arith.maxsi %i, %b : i32
    linalg.yield %s : i32
  } -> tensor<2x8x3x2xi32>
  %padded = tensor.pad %c low[0, 0, 1, 0] high[0, 0, 0, 1] {
  ^bb0(%d0: index, %d1: index, %d2: index, %d3: index):
    tensor.yield %zero : i32
  } : tensor<2x8x3x2xi32> to tensor<2x8x4x3xi32>
  %m = tensor.empty() : tensor<2x4x3x8xi32>
  %r = linalg.generic {indexing_maps = [#last, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%padded : tensor<2x8x4x3xi32>) outs(%m : tensor<2x4x3x8xi32>) {
  ^bb0(%i: i32, %o: i32):
    linalg.yield %i : i32
  } -> tensor<2x4x3x8xi32>
  return %r : tensor<2x4x3x8xi32>
}

// A window reads channels last and writes them so; a sum over all positions has
// other dimensions and only reads so. What reads another tensor as well, of all
// dimensions, keeps the transposition before it.
// CHECK-LABEL: func @windows
// CHECK: %[[SUMS:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<2x6x2x8xi32>)
// CHECK: %[[MAX:.*]] = linalg.generic {indexing_maps = [#[[READ]], #{{.*}}, #[[WRITTEN]]]
// CHECK-SAME: ins(%[[SUMS]], %{{.*}} : tensor<2x6x2x8xi32>, tensor<2xi32>) outs(%{{.*}} : tensor<2x3x2x8xi32>)
// CHECK: %[[T:.*]] = linalg.generic {{.*}} ins(%[[MAX]] : tensor<2x3x2x8xi32>) outs(%{{.*}} : tensor<2x8x3x2xi32>)
// CHECK: %[[TOTAL:.*]] = linalg.generic {{.*}} ins(%[[MAX]] : tensor<2x3x2x8xi32>) outs(%{{.*}} : tensor<2x8xi32>)
// CHECK: %[[OTHER:.*]] = linalg.generic {{.*}} ins(%[[T]], %arg2 : tensor<2x8x3x2xi32>, tensor<2x8x3x2xi32>)
// CHECK: return %[[TOTAL]], %[[OTHER]]
func.func @windows(%x: tensor<2x8x4x8xi16>, %w: tensor<3x3x8xi8>, %other: tensor<2x8x3x2xi32>) -> (tensor<2x8xi32>, tensor<2x8x3x2xi32>) {
  %zero = arith.constant 0 : i32
  %e = tensor.empty() : tensor<2x6x2x8xi32>
  %f = linalg.fill ins(%zero : i32) outs(%e : tensor<2x6x2x8xi32>) -> tensor<2x6x2x8xi32>
  %sums = linalg.generic {indexing_maps = [affine_map<(n, h, w, c, i, j) -> (n, h + i, w + j, c)>, affine_map<(n, h, w, c, i, j) -> (i, j, c)>, affine_map<(n, h, w, c, i, j) -> (n, h, w, c)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]} ins(%x, %w : tensor<2x8x4x8xi16>, tensor<3x3x8xi8>) outs(%f : tensor<2x6x2x8xi32>) {
  ^bb0(%a: i16, %b: i8, %c: i32):
    %wide = arith.extsi %a : i16 to i32
    %tap = arith.extsi %b : i8 to i32
    %p = arith.muli %wide, %tap : i32
    %s = arith.addi %c, %p : i32
    linalg.yield %s : i32
  } -> tensor<2x6x2x8xi32>
  %n = tensor.empty() : tensor<2x8x6x2xi32>
  %t = linalg.generic {indexing_maps = [#second, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%sums : tensor<2x6x2x8xi32>) outs(%n : tensor<2x8x6x2xi32>) {
  ^bb0(%i: i32, %o: i32):
    linalg.yield %i : i32
  } -> tensor<2x8x6x2xi32>
  %k = tensor.empty() : tensor<2xi32>
  %m = tensor.empty() : tensor<2x8x3x2xi32>
  %start = linalg.fill ins(%zero : i32) outs(%m : tensor<2x8x3x2xi32>) -> tensor<2x8x3x2xi32>
  %max = linalg.generic {indexing_maps = [affine_map<(n, c, h, w, k) -> (n, c, h * 2 + k, w)>, affine_map<(n, c, h, w, k) -> (k)>, affine_map<(n, c, h, w, k) -> (n, c, h, w)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]} ins(%t, %k : tensor<2x8x6x2xi32>, tensor<2xi32>) outs(%start : tensor<2x8x3x2xi32>) {
  ^bb0(%a: i32, %b: i32, %c: i32):
    %s = arith.maxsi %a, %c : i32
    linalg.yield %s : i32
  } -> tensor<2x8x3x2xi32>
  %d = tensor.empty() : tensor<2x8xi32>
  %none = linalg.fill ins(%zero : i32) outs(%d : tensor<2x8xi32>) -> tensor<2x8xi32>
  %total = linalg.generic {indexing_maps = [#id, affine_map<(d0, d1, d2, d3) -> (d0, d1)>], iterator_types = ["parallel", "parallel", "reduction", "reduction"]}
      ins(%max : tensor<2x8x3x2xi32>) outs(%none : tensor<2x8xi32>) {
  ^bb0(%a: i32, %c: i32):
    %s = arith.addi %a, %c : i32
    linalg.yield %s : i32
  } -> tensor<2x8xi32>
  %r = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%max, %other : tensor<2x8x3x2xi32>, tensor<2x8x3x2xi32>) outs(%m : tensor<2x8x3x2xi32>) {
  ^bb0(%i: i32, %b: i32, %o: i32):
    %s = arith.addi %i, %b : i32
    linalg.yield %s : i32
  } -> tensor<2x8x3x2xi32>
  return %total, %r : tensor<2x8xi32>, tensor<2x8x3x2xi32>
}

// Others' transpositions stay: these may be part of something else.
// CHECK-LABEL: func @others
// CHECK: linalg.generic
// CHECK-NEXT: ^bb0
// CHECK-NEXT: linalg.yield
// CHECK: arith.addf
func.func @others(%x: tensor<2x3x2x8xf32>) -> tensor<2x8x3x2xf32> {
  %n = tensor.empty() : tensor<2x8x3x2xf32>
  %t = linalg.generic {indexing_maps = [#second, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%x : tensor<2x3x2x8xf32>) outs(%n : tensor<2x8x3x2xf32>) {
  ^bb0(%i: f32, %o: f32):
    linalg.yield %i : f32
  } -> tensor<2x8x3x2xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%t : tensor<2x8x3x2xf32>) outs(%n : tensor<2x8x3x2xf32>) {
  ^bb0(%i: f32, %o: f32):
    %s = arith.addf %i, %i : f32
    linalg.yield %s : f32
  } -> tensor<2x8x3x2xf32>
  return %r : tensor<2x8x3x2xf32>
}

// CHECK: func private @declared
func.func private @declared(tensor<4xf32>) -> tensor<4xf32>
