// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(reassociate-contractions,canonicalize,cse))' | FileCheck %s

#ab = affine_map<(a, b, k) -> (a, k)>
#kb = affine_map<(a, b, k) -> (k, b)>
#bk = affine_map<(a, b, k) -> (b, k)>
#out = affine_map<(a, b, k) -> (a, b)>
#hab = affine_map<(h, a, b, k) -> (h, a, k)>
#hbk = affine_map<(h, a, b, k) -> (b, h, k)>
#hout = affine_map<(h, a, b, k) -> (h, a, b)>
#id = affine_map<(a, b) -> (a, b)>
#none = affine_map<(a, b) -> ()>

// Few queries are multiplied with the weight, and then with what keys are made of.
// CHECK-LABEL: func @few
// CHECK-SAME: (%[[Q:.*]]: tensor<4x16xf32>, %[[X:.*]]: tensor<99x32xf32>, %[[W:.*]]: tensor<32x16xf32>)
// CHECK-NOT: tensor<99x16xf32>
// CHECK: %[[QW:.*]] = linalg.generic {{.*}} ins(%[[Q]], %[[W]] : {{.*}} outs({{.*}} : tensor<4x32xf32>)
// CHECK: %[[S:.*]] = linalg.generic {{.*}} ins(%[[QW]], %[[X]] : {{.*}} outs({{.*}} : tensor<4x99xf32>)
// CHECK: return %[[S]]
func.func @few(%q: tensor<4x16xf32>, %x: tensor<99x32xf32>, %w: tensor<32x16xf32>) -> tensor<4x99xf32> {
  %zero = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<99x16xf32>
  %i0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<99x16xf32>) -> tensor<99x16xf32>
  %k = linalg.generic {indexing_maps = [#ab, #kb, #out], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<99x32xf32>, tensor<32x16xf32>) outs(%i0 : tensor<99x16xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %r = arith.addf %c, %m : f32
    linalg.yield %r : f32
  } -> tensor<99x16xf32>
  %e1 = tensor.empty() : tensor<4x99xf32>
  %i1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<4x99xf32>) -> tensor<4x99xf32>
  %s = linalg.generic {indexing_maps = [#ab, #bk, #out], iterator_types = ["parallel", "parallel", "reduction"]} ins(%q, %k : tensor<4x16xf32>, tensor<99x16xf32>) outs(%i1 : tensor<4x99xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %r = arith.addf %c, %m : f32
    linalg.yield %r : f32
  } -> tensor<4x99xf32>
  return %s : tensor<4x99xf32>
}

// Many are not: keys are computed once.
// CHECK-LABEL: func @many
// CHECK-NOT: tensor<200x32xf32>
// CHECK: linalg.generic {{.*}} outs({{.*}} : tensor<99x16xf32>)
// CHECK: linalg.generic {{.*}} outs({{.*}} : tensor<200x99xf32>)
func.func @many(%q: tensor<200x16xf32>, %x: tensor<99x32xf32>, %w: tensor<32x16xf32>) -> tensor<200x99xf32> {
  %zero = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<99x16xf32>
  %i0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<99x16xf32>) -> tensor<99x16xf32>
  %k = linalg.generic {indexing_maps = [#ab, #kb, #out], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<99x32xf32>, tensor<32x16xf32>) outs(%i0 : tensor<99x16xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %r = arith.addf %c, %m : f32
    linalg.yield %r : f32
  } -> tensor<99x16xf32>
  %e1 = tensor.empty() : tensor<200x99xf32>
  %i1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<200x99xf32>) -> tensor<200x99xf32>
  %s = linalg.generic {indexing_maps = [#ab, #bk, #out], iterator_types = ["parallel", "parallel", "reduction"]} ins(%q, %k : tensor<200x16xf32>, tensor<99x16xf32>) outs(%i1 : tensor<200x99xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %r = arith.addf %c, %m : f32
    linalg.yield %r : f32
  } -> tensor<200x99xf32>
  return %s : tensor<200x99xf32>
}

// Keys that are a result are there in any case.
// CHECK-LABEL: func @shared
// CHECK-NOT: tensor<4x32xf32>
// CHECK: return
func.func @shared(%q: tensor<4x16xf32>, %x: tensor<99x32xf32>, %w: tensor<32x16xf32>) -> (tensor<4x99xf32>, tensor<99x16xf32>) {
  %zero = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<99x16xf32>
  %i0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<99x16xf32>) -> tensor<99x16xf32>
  %k = linalg.generic {indexing_maps = [#ab, #kb, #out], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<99x32xf32>, tensor<32x16xf32>) outs(%i0 : tensor<99x16xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %r = arith.addf %c, %m : f32
    linalg.yield %r : f32
  } -> tensor<99x16xf32>
  %e1 = tensor.empty() : tensor<4x99xf32>
  %i1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<4x99xf32>) -> tensor<4x99xf32>
  %s = linalg.generic {indexing_maps = [#ab, #bk, #out], iterator_types = ["parallel", "parallel", "reduction"]} ins(%q, %k : tensor<4x16xf32>, tensor<99x16xf32>) outs(%i1 : tensor<4x99xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %r = arith.addf %c, %m : f32
    linalg.yield %r : f32
  } -> tensor<4x99xf32>
  return %s, %k : tensor<4x99xf32>, tensor<99x16xf32>
}

// Heads are split off of the weight, in its own order; a scale of the keys is
// one of what the queries become.
// CHECK-LABEL: func @heads
// CHECK-SAME: (%[[Q:.*]]: tensor<3x4x16xf32>, %[[X:.*]]: tensor<99x32xf32>)
// CHECK-DAG: %[[W:.*]] = lutra.weight "w" {{.*}} steps [#lutra.reshape<[32, 3, 16]>, #lutra.transpose<[1, 2, 0]>] : tensor<3x16x32xf32>
// CHECK: %[[QW:.*]] = linalg.generic {{.*}} ins(%[[Q]], %[[W]] : {{.*}} outs({{.*}} : tensor<3x4x32xf32>)
// CHECK: %[[SCALED:.*]] = linalg.generic {{.*}} ins(%[[QW]] :
// CHECK: arith.mulf
// CHECK: linalg.generic {{.*}} ins(%[[SCALED]], %[[X]] : {{.*}} outs({{.*}} : tensor<3x4x99xf32>)
func.func @heads(%q: tensor<3x4x16xf32>, %x: tensor<99x32xf32>) -> tensor<3x4x99xf32> {
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.5 : f32
  %w = lutra.weight "w" from "m.onnx"[0, 6144] storage tensor<32x48xf32> : tensor<32x48xf32>
  %e0 = tensor.empty() : tensor<99x48xf32>
  %i0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<99x48xf32>) -> tensor<99x48xf32>
  %k = linalg.generic {indexing_maps = [#ab, #kb, #out], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<99x32xf32>, tensor<32x48xf32>) outs(%i0 : tensor<99x48xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %r = arith.addf %c, %m : f32
    linalg.yield %r : f32
  } -> tensor<99x48xf32>
  %ks = linalg.generic {indexing_maps = [#id, #none, #id], iterator_types = ["parallel", "parallel"]} ins(%k, %half : tensor<99x48xf32>, f32) outs(%e0 : tensor<99x48xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    linalg.yield %m : f32
  } -> tensor<99x48xf32>
  %kh = tensor.expand_shape %ks [[0], [1, 2]] output_shape [99, 3, 16] : tensor<99x48xf32> into tensor<99x3x16xf32>
  %e1 = tensor.empty() : tensor<3x4x99xf32>
  %i1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<3x4x99xf32>) -> tensor<3x4x99xf32>
  %s = linalg.generic {indexing_maps = [#hab, #hbk, #hout], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%q, %kh : tensor<3x4x16xf32>, tensor<99x3x16xf32>) outs(%i1 : tensor<3x4x99xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %r = arith.addf %c, %m : f32
    linalg.yield %r : f32
  } -> tensor<3x4x99xf32>
  return %s : tensor<3x4x99xf32>
}

// Of a symbolic number of queries only where it is bounded.
// CHECK-LABEL: func @bounded
// CHECK: linalg.generic {{.*}} outs({{.*}} : tensor<?x32xf32>)
// CHECK: linalg.generic {{.*}} outs({{.*}} : tensor<?x999xf32>)
func.func @bounded(%q: tensor<?x16xf32> {lutra.shape = affine_map<()[s] -> (s, 16)>}, %x: tensor<999x32xf32>, %w: tensor<32x16xf32>) -> tensor<?x999xf32> attributes {lutra.dims = [{name = "p", min = 1 : i64, max = 8 : i64, multiple = 1 : i64}]} {
  %p = lutra.dim "p" min 1 max 8 multiple 1
  %zero = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<999x16xf32>
  %i0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<999x16xf32>) -> tensor<999x16xf32>
  %k = linalg.generic {indexing_maps = [#ab, #kb, #out], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<999x32xf32>, tensor<32x16xf32>) outs(%i0 : tensor<999x16xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %r = arith.addf %c, %m : f32
    linalg.yield %r : f32
  } -> tensor<999x16xf32>
  %e1 = tensor.empty(%p) : tensor<?x999xf32>
  %i1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?x999xf32>) -> tensor<?x999xf32>
  %s = linalg.generic {indexing_maps = [#ab, #bk, #out], iterator_types = ["parallel", "parallel", "reduction"]} ins(%q, %k : tensor<?x16xf32>, tensor<999x16xf32>) outs(%i1 : tensor<?x999xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %r = arith.addf %c, %m : f32
    linalg.yield %r : f32
  } -> tensor<?x999xf32>
  return %s : tensor<?x999xf32>
}

// CHECK-LABEL: func @unbounded
// CHECK: linalg.generic {{.*}} outs({{.*}} : tensor<999x16xf32>)
// CHECK: linalg.generic {{.*}} outs({{.*}} : tensor<?x999xf32>)
func.func @unbounded(%q: tensor<?x16xf32> {lutra.shape = affine_map<()[s] -> (s, 16)>}, %x: tensor<999x32xf32>, %w: tensor<32x16xf32>) -> tensor<?x999xf32> attributes {lutra.dims = [{name = "p", min = 1 : i64, max = 9223372036854775807 : i64, multiple = 1 : i64}]} {
  %p = lutra.dim "p" min 1 max 9223372036854775807 multiple 1
  %zero = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<999x16xf32>
  %i0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<999x16xf32>) -> tensor<999x16xf32>
  %k = linalg.generic {indexing_maps = [#ab, #kb, #out], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<999x32xf32>, tensor<32x16xf32>) outs(%i0 : tensor<999x16xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %r = arith.addf %c, %m : f32
    linalg.yield %r : f32
  } -> tensor<999x16xf32>
  %e1 = tensor.empty(%p) : tensor<?x999xf32>
  %i1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?x999xf32>) -> tensor<?x999xf32>
  %s = linalg.generic {indexing_maps = [#ab, #bk, #out], iterator_types = ["parallel", "parallel", "reduction"]} ins(%q, %k : tensor<?x16xf32>, tensor<999x16xf32>) outs(%i1 : tensor<?x999xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %r = arith.addf %c, %m : f32
    linalg.yield %r : f32
  } -> tensor<?x999xf32>
  return %s : tensor<?x999xf32>
}

// Integers wrap, and stay as they are; so does what is rounded between.
// CHECK-LABEL: func @integers
// CHECK: linalg.generic {{.*}} outs({{.*}} : tensor<99x16xi32>)
func.func @integers(%q: tensor<4x16xi32>, %x: tensor<99x32xi32>, %w: tensor<32x16xi32>) -> tensor<4x99xi32> {
  %zero = arith.constant 0 : i32
  %e0 = tensor.empty() : tensor<99x16xi32>
  %i0 = linalg.fill ins(%zero : i32) outs(%e0 : tensor<99x16xi32>) -> tensor<99x16xi32>
  %k = linalg.generic {indexing_maps = [#ab, #kb, #out], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<99x32xi32>, tensor<32x16xi32>) outs(%i0 : tensor<99x16xi32>) {
  ^bb0(%a: i32, %b: i32, %c: i32):
    %m = arith.muli %a, %b : i32
    %r = arith.addi %c, %m : i32
    linalg.yield %r : i32
  } -> tensor<99x16xi32>
  %e1 = tensor.empty() : tensor<4x99xi32>
  %i1 = linalg.fill ins(%zero : i32) outs(%e1 : tensor<4x99xi32>) -> tensor<4x99xi32>
  %s = linalg.generic {indexing_maps = [#ab, #bk, #out], iterator_types = ["parallel", "parallel", "reduction"]} ins(%q, %k : tensor<4x16xi32>, tensor<99x16xi32>) outs(%i1 : tensor<4x99xi32>) {
  ^bb0(%a: i32, %b: i32, %c: i32):
    %m = arith.muli %a, %b : i32
    %r = arith.addi %c, %m : i32
    linalg.yield %r : i32
  } -> tensor<4x99xi32>
  return %s : tensor<4x99xi32>
}

// CHECK-LABEL: func @rounded
// CHECK: linalg.generic {{.*}} outs({{.*}} : tensor<99x16xbf16>)
func.func @rounded(%q: tensor<4x16xbf16>, %x: tensor<99x32xbf16>, %w: tensor<32x16xbf16>) -> tensor<4x99xf32> {
  %zero = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<99x16xf32>
  %i0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<99x16xf32>) -> tensor<99x16xf32>
  %k = linalg.generic {indexing_maps = [#ab, #kb, #out], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<99x32xbf16>, tensor<32x16xbf16>) outs(%i0 : tensor<99x16xf32>) {
  ^bb0(%a: bf16, %b: bf16, %c: f32):
    %aw = arith.extf %a : bf16 to f32
    %bw = arith.extf %b : bf16 to f32
    %m = arith.mulf %aw, %bw : f32
    %r = arith.addf %c, %m : f32
    linalg.yield %r : f32
  } -> tensor<99x16xf32>
  %er = tensor.empty() : tensor<99x16xbf16>
  %kr = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%k : tensor<99x16xf32>) outs(%er : tensor<99x16xbf16>) {
  ^bb0(%a: f32, %c: bf16):
    %r = arith.truncf %a : f32 to bf16
    linalg.yield %r : bf16
  } -> tensor<99x16xbf16>
  %e1 = tensor.empty() : tensor<4x99xf32>
  %i1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<4x99xf32>) -> tensor<4x99xf32>
  %s = linalg.generic {indexing_maps = [#ab, #bk, #out], iterator_types = ["parallel", "parallel", "reduction"]} ins(%q, %kr : tensor<4x16xbf16>, tensor<99x16xbf16>) outs(%i1 : tensor<4x99xf32>) {
  ^bb0(%a: bf16, %b: bf16, %c: f32):
    %aw = arith.extf %a : bf16 to f32
    %bw = arith.extf %b : bf16 to f32
    %m = arith.mulf %aw, %bw : f32
    %r = arith.addf %c, %m : f32
    linalg.yield %r : f32
  } -> tensor<4x99xf32>
  return %s : tensor<4x99xf32>
}
