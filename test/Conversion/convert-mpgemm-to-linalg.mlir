// What products with codes and quantizations mean.
// RUN: lutra-opt %s --convert-mpgemm-to-linalg --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @floats
// CHECK: %[[W:.*]] = linalg.generic {{.*}} ins(%arg1, %arg2, %arg3 : tensor<40x4x32xi8>, tensor<40x4xf16>, tensor<40x4xi8>)
// CHECK: arith.uitofp %{{.*}} : i8 to f32
// CHECK: arith.subf %{{.*}}, %{{.*}} : f32
// CHECK: arith.uitofp
// CHECK: arith.subf
// CHECK: arith.extf
// CHECK: arith.mulf
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%arg0, %[[W]]
func.func @floats(%x: tensor<2x4x32xf32>, %w: tensor<40x4x32xi8>, %s: tensor<40x4xf16>,
                  %z: tensor<40x4xi8>, %e: tensor<2x40xf32>) -> tensor<2x40xf32> {
  %y = mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%x : tensor<2x4x32xf32>) codes(%w : tensor<40x4x32xi8>)
      scales(%s : tensor<40x4xf16>) zeros(%z : tensor<40x4xi8>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return %y : tensor<2x40xf32>
}

// -----

// Without scales of x they are 1.
// CHECK-LABEL: func.func @integers
// CHECK: linalg.generic {{.*}} ins(%arg0 : tensor<2x4x32xi8>)
// CHECK-NEXT: ^bb0
// CHECK-NEXT: %[[X:.*]] = arith.sitofp
// CHECK-NEXT: linalg.yield %[[X]]
func.func @integers(%x: tensor<2x4x32xi8>, %w: tensor<40x4x32xi8>, %s: tensor<40x4xf32>,
                    %sums: tensor<2x4xi32>, %e: tensor<2x40xf32>) -> tensor<2x40xf32> {
  %y = mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%x : tensor<2x4x32xi8>) codes(%w : tensor<40x4x32xi8>)
      scales(%s : tensor<40x4xf32>) xsums(%sums : tensor<2x4xi32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return %y : tensor<2x40xf32>
}

// -----

// CHECK-LABEL: func.func @codebook
// CHECK: %[[VALUES:.*]] = arith.constant dense<[-1.000000e+00, 1.000000e+00]> : tensor<2xf32>
// CHECK: %[[CODE:.*]] = arith.index_castui %{{.*}} : i8 to index
// CHECK: tensor.extract %[[VALUES]][%[[CODE]]]
func.func @codebook(%x: tensor<2x4x32xf32>, %w: tensor<40x4x32xi8>, %s: tensor<40x4xf32>,
                    %e: tensor<2x40xf32>) -> tensor<2x40xf32> {
  %y = mpgemm.matmul #mpgemm.codebook<bits = 1, values = [-1.0, 1.0]> x(%x : tensor<2x4x32xf32>)
      codes(%w : tensor<40x4x32xi8>) scales(%s : tensor<40x4xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return %y : tensor<2x40xf32>
}

// -----

// Sizes are those of the dimensions, and not asked of tensors.
// CHECK-LABEL: func.func @quantize
// CHECK-NOT: tensor.dim
// CHECK: arith.maximumf
// CHECK: arith.maxnumf %{{.*}}, %{{.*}} : f32
// CHECK: arith.minnumf
// CHECK: arith.fptosi %{{.*}} : f32 to i8
// CHECK: arith.extsi
// CHECK: arith.addi
// CHECK-NOT: mpgemm
func.func @quantize(%x: tensor<?x4x32xf32> {lutra.name = "x", lutra.dtype = "FLOAT", lutra.shape = affine_map<()[s0] -> (s0, 4, 32)>})
    -> (tensor<?x4x32xi8>, tensor<?x4xf32>, tensor<?x4xi32>)
    attributes {lutra.dims = [{name = "m", min = 0 : i64, max = 64 : i64, multiple = 1 : i64}]} {
  %q, %s, %sum = mpgemm.quantize_act %x : tensor<?x4x32xf32> -> tensor<?x4x32xi8>, tensor<?x4xf32>, tensor<?x4xi32>
  return %q, %s, %sum : tensor<?x4x32xi8>, tensor<?x4xf32>, tensor<?x4xi32>
}

// Both planes of a group are multiplied with the same numbers.
// CHECK-LABEL: func.func @planes
// CHECK: %[[W:.*]] = linalg.generic {{.*}} ins(%arg1, %arg2 : tensor<40x8x32xi8>, tensor<40x8xbf16>)
// CHECK: arith.subf %{{.*}}, %cst{{.*}} : f32
// CHECK: %[[P:.*]] = tensor.expand_shape %[[W]] {{\[\[}}0], [1, 2], [3]] output_shape [40, 4, 2, 32]
// CHECK: linalg.generic {{.*}} ins(%arg0, %[[P]] : tensor<2x4x32xf32>, tensor<40x4x2x32xf32>)
func.func @planes(%x: tensor<2x4x32xf32>, %w: tensor<40x8x32xi8>, %s: tensor<40x8xbf16>,
                  %e: tensor<2x40xf32>) -> tensor<2x40xf32> {
  %y = mpgemm.matmul #mpgemm.binary<planes = 2> x(%x : tensor<2x4x32xf32>) codes(%w : tensor<40x8x32xi8>)
      scales(%s : tensor<40x8xbf16>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return %y : tensor<2x40xf32>
}

// Windows of 12 bits have the two codes 4 and 8 before, over groups of 32.
// CHECK-LABEL: func.func @trellis
// CHECK: arith.constant dense<"0x{{.*}}"> : tensor<4096xf32>
// CHECK: linalg.generic {{.*}} ins(%arg1, %arg2 : tensor<40x4x32xi8>, tensor<40x4xbf16>)
// CHECK: arith.constant 4 : index
// CHECK: arith.subi
// CHECK: tensor.extract %arg1
// CHECK: arith.subi
// CHECK: tensor.extract %arg1
// CHECK-NOT: arith.subi
// CHECK: tensor.extract %{{.*}} : tensor<4096xf32>
func.func @trellis(%x: tensor<2x4x32xf32>, %w: tensor<40x4x32xi8>, %s: tensor<40x4xbf16>,
                   %e: tensor<2x40xf32>) -> tensor<2x40xf32> {
  %y = mpgemm.matmul #mpgemm.trellis<bits = 4> x(%x : tensor<2x4x32xf32>) codes(%w : tensor<40x4x32xi8>)
      scales(%s : tensor<40x4xbf16>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return %y : tensor<2x40xf32>
}

// -----

// Number 4 * j + i of 32 is the sum of what the books have as number j for their codes i.
// CHECK-LABEL: func.func @vectors
// CHECK: linalg.generic {{.*}} ins(%arg2 : tensor<40x3xbf16>)
// CHECK: %[[K:.*]] = linalg.index 2
// CHECK: %[[IN:.*]] = arith.remui %[[K]], %c32
// CHECK: %[[J:.*]] = arith.divui %[[IN]], %c4
// CHECK: %[[I:.*]] = arith.remui %[[IN]], %c4
// CHECK: %[[BLOCK:.*]] = arith.divui %[[K]], %c32
// CHECK: %[[CODES:.*]] = arith.muli %[[BLOCK]], %c8
// CHECK: %[[FIRST:.*]] = arith.addi %[[CODES]], %[[I]]
// CHECK: tensor.extract %arg1
// CHECK: %[[A:.*]] = tensor.extract %arg3[%c0{{.*}}, %[[J]], %{{.*}}] : tensor<2x8x256xi8>
// CHECK: arith.addi %[[FIRST]], %c4
// CHECK: tensor.extract %arg1
// CHECK: %[[B:.*]] = tensor.extract %arg3[%c1{{.*}}, %[[J]], %{{.*}}] : tensor<2x8x256xi8>
// CHECK: %[[SUM:.*]] = arith.addi %[[A]], %[[B]] : i8
// CHECK: arith.uitofp %[[SUM]]
// CHECK: arith.subf %{{.*}}, %cst
func.func @vectors(%x: tensor<2x3x64xf32>, %w: tensor<40x3x16xi8>, %s: tensor<40x3xbf16>,
                   %b: tensor<2x8x256xi8>, %e: tensor<2x40xf32>) -> tensor<2x40xf32> {
  %y = mpgemm.matmul #mpgemm.vectors<bits = 8, size = 8, books = 2> x(%x : tensor<2x3x64xf32>)
      codes(%w : tensor<40x3x16xi8>) scales(%s : tensor<40x3xbf16>) codebook(%b : tensor<2x8x256xi8>)
      outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return %y : tensor<2x40xf32>
}

// -----

// The expert of each row, and then the codes of that alone.
// CHECK-LABEL: func.func @gather
// CHECK: %[[EXPERTS:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]} ins(%arg0 : tensor<3xi64>)
// CHECK: tensor.extract %arg1
// CHECK: arith.select
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%arg2, %[[EXPERTS]]
// CHECK: %[[FIRST:.*]] = arith.muli %{{.*}}, %c40
// CHECK: %[[COLUMN:.*]] = linalg.index 1
// CHECK: %[[ROW:.*]] = arith.addi %[[FIRST]], %[[COLUMN]]
// CHECK: tensor.extract %arg4[%[[ROW]], %{{.*}}] : tensor<120x4xf32>
// CHECK: tensor.extract %arg3[%[[ROW]], %{{.*}}, %{{.*}}] : tensor<120x4x32xi8>
// CHECK-NOT: mpgemm
func.func @gather(%b: tensor<3xi64>, %o: tensor<4xi64>, %x: tensor<2x4x32xf32>, %w: tensor<120x4x32xi8>,
                  %s: tensor<120x4xf32>, %e: tensor<2x40xf32>) -> tensor<2x40xf32> {
  %y = mpgemm.gather_matmul #mpgemm.affine<bits = 4, zero = 8> experts(%b : tensor<3xi64>) offsets(%o : tensor<4xi64>)
      x(%x : tensor<2x4x32xf32>) codes(%w : tensor<120x4x32xi8>) scales(%s : tensor<120x4xf32>)
      outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return %y : tensor<2x40xf32>
}

// -----

// CHECK-LABEL: func.func @gather_floats
// CHECK: tensor.extract %{{.*}} : tensor<120x1x32xf16>
// CHECK: arith.extf
// CHECK-NOT: mpgemm
func.func @gather_floats(%b: tensor<3xi64>, %o: tensor<4xi64>, %x: tensor<2x1x32xf32>, %w: tensor<120x1x32xf16>,
                         %e: tensor<2x40xf32>) -> tensor<2x40xf32> {
  %y = mpgemm.gather_matmul experts(%b : tensor<3xi64>) offsets(%o : tensor<4xi64>)
      x(%x : tensor<2x1x32xf32>) codes(%w : tensor<120x1x32xf16>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return %y : tensor<2x40xf32>
}

// Scales of 8 bits, and those that blocks of two of three groups share.

// CHECK-LABEL: func.func @super_scales
// CHECK: linalg.generic {{.*}} ins(%arg2 : tensor<40x3xi8>)
// CHECK: arith.sitofp
// CHECK: arith.divui %{{.*}}, %c2
// CHECK: tensor.extract %arg3
// CHECK: arith.mulf
func.func @super_scales(%x: tensor<2x3x32xf32>, %w: tensor<40x3x32xi8>, %s: tensor<40x3xi8>,
                        %ss: tensor<40x2xbf16>, %e: tensor<2x40xf32>) -> tensor<2x40xf32> {
  %y = mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8>
      x(%x : tensor<2x3x32xf32>) codes(%w : tensor<40x3x32xi8>) scales(%s : tensor<40x3xi8>)
      superscales(%ss : tensor<40x2xbf16>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return %y : tensor<2x40xf32>
}
