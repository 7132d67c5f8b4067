// RUN: lutra-opt %s --pass-pipeline='builtin.module(func.func(fold-movement,canonicalize,cse))' | FileCheck %s

// Elements of which one holds several.

#id = affine_map<(m, e) -> (m, e)>
#row = affine_map<(m, e) -> (m, 0)>
#q = affine_map<(p, m, e) -> (p, e)>
#k = affine_map<(p, m, e) -> (m, e)>
#s = affine_map<(p, m, e) -> (p, m)>

// Two halves of a byte, scaled, and multiplied: the loop over what was joined is
// split all the way, and the bytes are read once.
// CHECK-LABEL: func.func @halves
// CHECK-NOT: tensor.insert_slice
// CHECK: %[[PARTS:.*]] = linalg.generic {{.*}} ins(%arg1 : tensor<?x32xi8>) outs(%{{.*}} : tensor<?x2x32xi8>)
// CHECK: linalg.index 1
// CHECK: arith.andi
// CHECK: arith.shrui
// CHECK: arith.select
// CHECK: %[[SCALED:.*]] = linalg.generic {{.*}} ins(%[[PARTS]], %{{.*}} : tensor<?x2x32xi8>, tensor<?xf32>)
// CHECK: %[[Q:.*]] = tensor.expand_shape %arg0 {{\[\[}}0], [1, 2]] {{.*}} into tensor<8x2x32xf32>
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%[[Q]], %[[SCALED]] :
func.func @halves(%q: tensor<8x64xf32>, %in: tensor<?x32xi8> {lutra.shape = affine_map<()[s0] -> (s0, 32)>}, %scale: tensor<?x1xf32> {lutra.shape = affine_map<()[s0] -> (s0, 1)>}) -> tensor<8x?xf32>
    attributes {lutra.dims = [{name = "m", min = 1 : i64, max = 64 : i64, multiple = 1 : i64}]} {
  %m = lutra.dim "m" min 1 max 64 multiple 1
  %four = arith.constant 4 : i8
  %mask = arith.constant 15 : i8
  %e = tensor.empty(%m) : tensor<?x32xi8>
  %low = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%in : tensor<?x32xi8>) outs(%e : tensor<?x32xi8>) {
  ^bb0(%x: i8, %y: i8):
    %z = arith.andi %x, %mask : i8
    linalg.yield %z : i8
  } -> tensor<?x32xi8>
  %high = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%in : tensor<?x32xi8>) outs(%e : tensor<?x32xi8>) {
  ^bb0(%x: i8, %y: i8):
    %z = arith.shrui %x, %four : i8
    linalg.yield %z : i8
  } -> tensor<?x32xi8>
  %j = tensor.empty(%m) : tensor<?x64xi8>
  %j0 = tensor.insert_slice %low into %j[0, 0] [%m, 32] [1, 1] : tensor<?x32xi8> into tensor<?x64xi8>
  %j1 = tensor.insert_slice %high into %j0[0, 32] [%m, 32] [1, 1] : tensor<?x32xi8> into tensor<?x64xi8>
  %ew = tensor.empty(%m) : tensor<?x64xf32>
  %scaled = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%j1, %scale : tensor<?x64xi8>, tensor<?x1xf32>) outs(%ew : tensor<?x64xf32>) {
  ^bb0(%x: i8, %y: f32, %acc: f32):
    %c = arith.uitofp %x : i8 to f32
    %z = arith.mulf %c, %y : f32
    linalg.yield %z : f32
  } -> tensor<?x64xf32>
  %zero = arith.constant 0.0 : f32
  %es = tensor.empty(%m) : tensor<8x?xf32>
  %fs = linalg.fill ins(%zero : f32) outs(%es : tensor<8x?xf32>) -> tensor<8x?xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %scaled : tensor<8x64xf32>, tensor<?x64xf32>) outs(%fs : tensor<8x?xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %a = arith.addf %acc, %z : f32
    linalg.yield %a : f32
  } -> tensor<8x?xf32>
  return %s : tensor<8x?xf32>
}

// Halves of two tensors are a copy.
// CHECK-LABEL: func.func @of_two
// CHECK: tensor.insert_slice
// CHECK: tensor.insert_slice
// CHECK-NOT: tensor.collapse_shape
func.func @of_two(%in: tensor<?x32xi8> {lutra.shape = affine_map<()[s0] -> (s0, 32)>}, %other: tensor<?x32xi8> {lutra.shape = affine_map<()[s0] -> (s0, 32)>}) -> tensor<?x64xi8>
    attributes {lutra.dims = [{name = "m", min = 1 : i64, max = 64 : i64, multiple = 1 : i64}]} {
  %m = lutra.dim "m" min 1 max 64 multiple 1
  %four = arith.constant 4 : i8
  %mask = arith.constant 15 : i8
  %e = tensor.empty(%m) : tensor<?x32xi8>
  %low = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%in : tensor<?x32xi8>) outs(%e : tensor<?x32xi8>) {
  ^bb0(%x: i8, %y: i8):
    %z = arith.andi %x, %mask : i8
    linalg.yield %z : i8
  } -> tensor<?x32xi8>
  %high = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%other : tensor<?x32xi8>) outs(%e : tensor<?x32xi8>) {
  ^bb0(%x: i8, %y: i8):
    %z = arith.shrui %x, %four : i8
    linalg.yield %z : i8
  } -> tensor<?x32xi8>
  %j = tensor.empty(%m) : tensor<?x64xi8>
  %j0 = tensor.insert_slice %low into %j[0, 0] [%m, 32] [1, 1] : tensor<?x32xi8> into tensor<?x64xi8>
  %j1 = tensor.insert_slice %high into %j0[0, 32] [%m, 32] [1, 1] : tensor<?x32xi8> into tensor<?x64xi8>
  return %j1 : tensor<?x64xi8>
}

// So is a tensor that is joined with itself.
// CHECK-LABEL: func.func @unchanged
// CHECK: tensor.insert_slice
// CHECK: tensor.insert_slice
// CHECK-NOT: tensor.collapse_shape
func.func @unchanged(%in: tensor<?x32xi8> {lutra.shape = affine_map<()[s0] -> (s0, 32)>}) -> tensor<?x64xi8>
    attributes {lutra.dims = [{name = "m", min = 1 : i64, max = 64 : i64, multiple = 1 : i64}]} {
  %m = lutra.dim "m" min 1 max 64 multiple 1
  %four = arith.constant 4 : i8
  %mask = arith.constant 15 : i8
  %j = tensor.empty(%m) : tensor<?x64xi8>
  %j0 = tensor.insert_slice %in into %j[0, 0] [%m, 32] [1, 1] : tensor<?x32xi8> into tensor<?x64xi8>
  %j1 = tensor.insert_slice %in into %j0[0, 32] [%m, 32] [1, 1] : tensor<?x32xi8> into tensor<?x64xi8>
  return %j1 : tensor<?x64xi8>
}

// The second half comes first: not what is looked for.
// CHECK-LABEL: func.func @turned
// CHECK: tensor.insert_slice
// CHECK: tensor.insert_slice
// CHECK-NOT: tensor.collapse_shape
func.func @turned(%in: tensor<?x32xi8> {lutra.shape = affine_map<()[s0] -> (s0, 32)>}) -> tensor<?x64xi8>
    attributes {lutra.dims = [{name = "m", min = 1 : i64, max = 64 : i64, multiple = 1 : i64}]} {
  %m = lutra.dim "m" min 1 max 64 multiple 1
  %four = arith.constant 4 : i8
  %mask = arith.constant 15 : i8
  %e = tensor.empty(%m) : tensor<?x32xi8>
  %low = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%in : tensor<?x32xi8>) outs(%e : tensor<?x32xi8>) {
  ^bb0(%x: i8, %y: i8):
    %z = arith.andi %x, %mask : i8
    linalg.yield %z : i8
  } -> tensor<?x32xi8>
  %high = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%in : tensor<?x32xi8>) outs(%e : tensor<?x32xi8>) {
  ^bb0(%x: i8, %y: i8):
    %z = arith.shrui %x, %four : i8
    linalg.yield %z : i8
  } -> tensor<?x32xi8>
  %j = tensor.empty(%m) : tensor<?x64xi8>
  %j0 = tensor.insert_slice %low into %j[0, 32] [%m, 32] [1, 1] : tensor<?x32xi8> into tensor<?x64xi8>
  %j1 = tensor.insert_slice %high into %j0[0, 0] [%m, 32] [1, 1] : tensor<?x32xi8> into tensor<?x64xi8>
  return %j1 : tensor<?x64xi8>
}

// Parts that leave something out.
// CHECK-LABEL: func.func @gap
// CHECK: tensor.insert_slice
// CHECK: tensor.insert_slice
// CHECK-NOT: tensor.collapse_shape
func.func @gap(%in: tensor<?x32xi8> {lutra.shape = affine_map<()[s0] -> (s0, 32)>}) -> tensor<?x96xi8>
    attributes {lutra.dims = [{name = "m", min = 1 : i64, max = 64 : i64, multiple = 1 : i64}]} {
  %m = lutra.dim "m" min 1 max 64 multiple 1
  %four = arith.constant 4 : i8
  %mask = arith.constant 15 : i8
  %e = tensor.empty(%m) : tensor<?x32xi8>
  %low = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%in : tensor<?x32xi8>) outs(%e : tensor<?x32xi8>) {
  ^bb0(%x: i8, %y: i8):
    %z = arith.andi %x, %mask : i8
    linalg.yield %z : i8
  } -> tensor<?x32xi8>
  %high = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%in : tensor<?x32xi8>) outs(%e : tensor<?x32xi8>) {
  ^bb0(%x: i8, %y: i8):
    %z = arith.shrui %x, %four : i8
    linalg.yield %z : i8
  } -> tensor<?x32xi8>
  %j = tensor.empty(%m) : tensor<?x96xi8>
  %j0 = tensor.insert_slice %low into %j[0, 0] [%m, 32] [1, 1] : tensor<?x32xi8> into tensor<?x96xi8>
  %j1 = tensor.insert_slice %high into %j0[0, 32] [%m, 32] [1, 1] : tensor<?x32xi8> into tensor<?x96xi8>
  return %j1 : tensor<?x96xi8>
}

// Integers that are as wide as what is made of them.
// CHECK-LABEL: func.func @wide
// CHECK: tensor.insert_slice
// CHECK: tensor.insert_slice
// CHECK-NOT: tensor.collapse_shape
func.func @wide(%in: tensor<?x32xi32> {lutra.shape = affine_map<()[s0] -> (s0, 32)>}) -> tensor<?x64xi32>
    attributes {lutra.dims = [{name = "m", min = 1 : i64, max = 64 : i64, multiple = 1 : i64}]} {
  %m = lutra.dim "m" min 1 max 64 multiple 1
  %four = arith.constant 4 : i8
  %mask = arith.constant 15 : i8
  %wfour = arith.constant 4 : i32
  %wmask = arith.constant 15 : i32
  %e = tensor.empty(%m) : tensor<?x32xi32>
  %low = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%in : tensor<?x32xi32>) outs(%e : tensor<?x32xi32>) {
  ^bb0(%x: i32, %y: i32):
    %z = arith.andi %x, %wmask : i32
    linalg.yield %z : i32
  } -> tensor<?x32xi32>
  %high = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%in : tensor<?x32xi32>) outs(%e : tensor<?x32xi32>) {
  ^bb0(%x: i32, %y: i32):
    %z = arith.shrui %x, %wfour : i32
    linalg.yield %z : i32
  } -> tensor<?x32xi32>
  %j = tensor.empty(%m) : tensor<?x64xi32>
  %j0 = tensor.insert_slice %low into %j[0, 0] [%m, 32] [1, 1] : tensor<?x32xi32> into tensor<?x64xi32>
  %j1 = tensor.insert_slice %high into %j0[0, 32] [%m, 32] [1, 1] : tensor<?x32xi32> into tensor<?x64xi32>
  return %j1 : tensor<?x64xi32>
}
