// Products with codes as text.
// RUN: lutra-opt %s | lutra-opt | FileCheck %s
// RUN: lutra-opt %s --emit-bytecode | lutra-opt | FileCheck %s

// CHECK-LABEL: func.func @floats
// CHECK: mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%{{.*}} : tensor<?x4x32xf32>) codes(%{{.*}} : tensor<40x4x32xi8>) scales(%{{.*}} : tensor<40x4xf16>) outs(%{{.*}} : tensor<?x40xf32>) -> tensor<?x40xf32>
func.func @floats(%x: tensor<?x4x32xf32>, %w: tensor<40x4x32xi8>, %s: tensor<40x4xf16>,
                  %e: tensor<?x40xf32>) -> tensor<?x40xf32> {
  %y = mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8>
      x(%x : tensor<?x4x32xf32>) codes(%w : tensor<40x4x32xi8>)
      scales(%s : tensor<40x4xf16>) outs(%e : tensor<?x40xf32>) -> tensor<?x40xf32>
  return %y : tensor<?x40xf32>
}

// CHECK-LABEL: func.func @codebook
// CHECK: mpgemm.matmul #mpgemm.codebook<bits = 1, values = [-1.000000e+00, 1.000000e+00]>
// CHECK-SAME: zeros(%{{.*}} : tensor<40x4xf32>)
func.func @codebook(%x: tensor<2x4x32xf32>, %w: tensor<40x4x32xi8>, %s: tensor<40x4xf32>,
                    %z: tensor<40x4xf32>, %e: tensor<2x40xf32>) -> tensor<2x40xf32> {
  %y = mpgemm.matmul #mpgemm.codebook<bits = 1, values = [-1.0, 1.0]>
      x(%x : tensor<2x4x32xf32>) codes(%w : tensor<40x4x32xi8>) scales(%s : tensor<40x4xf32>)
      zeros(%z : tensor<40x4xf32>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return %y : tensor<2x40xf32>
}

// CHECK-LABEL: func.func @planes
// CHECK: mpgemm.matmul #mpgemm.binary<planes = 3>
func.func @planes(%x: tensor<2x4x32xf32>, %w: tensor<40x12x32xi8>, %s: tensor<40x12xbf16>,
                  %e: tensor<2x40xf32>) -> tensor<2x40xf32> {
  %y = mpgemm.matmul #mpgemm.binary<planes = 3>
      x(%x : tensor<2x4x32xf32>) codes(%w : tensor<40x12x32xi8>)
      scales(%s : tensor<40x12xbf16>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return %y : tensor<2x40xf32>
}

// CHECK-LABEL: func.func @trellis
// CHECK: mpgemm.matmul #mpgemm.trellis<bits = 2>
func.func @trellis(%x: tensor<2x4x32xf32>, %w: tensor<40x4x32xi8>, %s: tensor<40x4xbf16>,
                   %e: tensor<2x40xf32>) -> tensor<2x40xf32> {
  %y = mpgemm.matmul #mpgemm.trellis<bits = 2>
      x(%x : tensor<2x4x32xf32>) codes(%w : tensor<40x4x32xi8>)
      scales(%s : tensor<40x4xbf16>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return %y : tensor<2x40xf32>
}

// Two codes for 8 numbers.
// CHECK-LABEL: func.func @vectors
// CHECK: mpgemm.matmul #mpgemm.vectors<bits = 8, size = 8, books = 2>
// CHECK-SAME: codebook(%{{.*}} : tensor<2x8x256xi8>)
func.func @vectors(%x: tensor<2x4x32xf32>, %w: tensor<40x4x8xi8>, %s: tensor<40x4xbf16>,
                   %b: tensor<2x8x256xi8>, %e: tensor<2x40xf32>) -> tensor<2x40xf32> {
  %y = mpgemm.matmul #mpgemm.vectors<bits = 8, size = 8, books = 2>
      x(%x : tensor<2x4x32xf32>) codes(%w : tensor<40x4x8xi8>) scales(%s : tensor<40x4xbf16>)
      codebook(%b : tensor<2x8x256xi8>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return %y : tensor<2x40xf32>
}

// 40 columns are two tiles of 32; 128 codes of 3 bits are 4 chunks of 32, of three vectors.
// CHECK-LABEL: func.func @integers
// CHECK: mpgemm.quantize_act %{{.*}} : tensor<?x4x32xf32> -> tensor<?x4x32xi8>, tensor<?x4xf32>, tensor<?x4xi32>
// CHECK: mpgemm.matmul #mpgemm.affine<bits = 3, zero = 0> layout <rows = 32> x(
// CHECK-SAME: xscales(%{{.*}} : tensor<?x4xf32>) xsums(%{{.*}} : tensor<?x4xi32>)
func.func @integers(%x: tensor<?x4x32xf32>, %w: tensor<2x4x3x128xi8>, %s: tensor<2x4x32xf32>,
                    %e: tensor<?x40xf32>) -> tensor<?x40xf32> {
  %q, %qs, %sum = mpgemm.quantize_act %x : tensor<?x4x32xf32>
      -> tensor<?x4x32xi8>, tensor<?x4xf32>, tensor<?x4xi32>
  %y = mpgemm.matmul #mpgemm.affine<bits = 3, zero = 0> layout <rows = 32>
      x(%q : tensor<?x4x32xi8>) codes(%w : tensor<2x4x3x128xi8>) scales(%s : tensor<2x4x32xf32>)
      xscales(%qs : tensor<?x4xf32>) xsums(%sum : tensor<?x4xi32>)
      outs(%e : tensor<?x40xf32>) -> tensor<?x40xf32>
  return %y : tensor<?x40xf32>
}

// 40 columns of three matrices.
// CHECK-LABEL: func.func @gather
// CHECK: mpgemm.gather_matmul #mpgemm.affine<bits = 4, zero = 8> experts(%{{.*}} : tensor<?xi64>) offsets(%{{.*}} : tensor<?xi64>)
// CHECK-SAME: x(%{{.*}} : tensor<?x4x32xf32>) codes(%{{.*}} : tensor<120x4x32xi8>) scales(%{{.*}} : tensor<120x4xf16>)
// CHECK: mpgemm.gather_matmul layout <rows = 32> experts(%{{.*}} : tensor<?xi64>) offsets(%{{.*}} : tensor<?xi64>)
// CHECK-SAME: codes(%{{.*}} : tensor<6x4x32x32xbf16>) outs(
func.func @gather(%b: tensor<?xi64>, %o: tensor<?xi64>, %x: tensor<?x4x32xf32>, %w: tensor<120x4x32xi8>,
                  %s: tensor<120x4xf16>, %f: tensor<6x4x32x32xbf16>, %e: tensor<?x40xf32>)
    -> (tensor<?x40xf32>, tensor<?x40xf32>) {
  %y = mpgemm.gather_matmul #mpgemm.affine<bits = 4, zero = 8>
      experts(%b : tensor<?xi64>) offsets(%o : tensor<?xi64>)
      x(%x : tensor<?x4x32xf32>) codes(%w : tensor<120x4x32xi8>)
      scales(%s : tensor<120x4xf16>) outs(%e : tensor<?x40xf32>) -> tensor<?x40xf32>
  %z = mpgemm.gather_matmul layout <rows = 32>
      experts(%b : tensor<?xi64>) offsets(%o : tensor<?xi64>)
      x(%x : tensor<?x4x32xf32>) codes(%f : tensor<6x4x32x32xbf16>)
      outs(%e : tensor<?x40xf32>) -> tensor<?x40xf32>
  return %y, %z : tensor<?x40xf32>, tensor<?x40xf32>
}

// CHECK-LABEL: func.func @super_scales
// CHECK: scales(%{{.*}} : tensor<40x7xi8>) superscales(%{{.*}} : tensor<40x2xbf16>) outs
func.func @super_scales(%x: tensor<2x7x32xf32>, %w: tensor<40x7x32xi8>, %s: tensor<40x7xi8>,
                        %ss: tensor<40x2xbf16>, %e: tensor<2x40xf32>) -> tensor<2x40xf32> {
  %y = mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8>
      x(%x : tensor<2x7x32xf32>) codes(%w : tensor<40x7x32xi8>) scales(%s : tensor<40x7xi8>)
      superscales(%ss : tensor<40x2xbf16>) outs(%e : tensor<2x40xf32>) -> tensor<2x40xf32>
  return %y : tensor<2x40xf32>
}
