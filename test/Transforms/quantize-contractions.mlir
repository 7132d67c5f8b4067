// Products with weights become products with codes; all others stay.
// RUN: lutra-opt %s --quantize-contractions="spec=*head*=none;*gate*=uint4:g64:a8:nearest;*wide*=nf4;*=int4" --cse | FileCheck %s
// RUN: not lutra-opt %s --quantize-contractions="spec=int9" 2>&1 | FileCheck %s --check-prefix=SPEC
// SPEC: error: expected a format, uint1, {{.*}} or none, got 'int9' in 'int9'

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

// The file has [K, N]; rows of what is quantized are outputs. 100 are 3 groups
// of 32 and one of 4, with zeros behind.
// CHECK-LABEL: func.func @matmul
// CHECK-DAG: %[[C:.*]] = lutra.weight "w" {{.*}} steps [#lutra.transpose<[1, 0]>, #lutra.quantize<part = "codes", format = "int4", group = 32, method = "mse">] : tensor<64x4x32xi8>
// CHECK-DAG: %[[S:.*]] = lutra.weight "w" {{.*}}<part = "scales", {{.*}} : tensor<64x4xbf16>
// CHECK: %[[P:.*]] = tensor.pad %arg0 low[0, 0] high[0, 28]
// CHECK: %[[X:.*]] = tensor.expand_shape %[[P]] {{\[\[}}0], [1, 2]] output_shape [8, 4, 32] : tensor<8x128xf32> into tensor<8x4x32xf32>
// CHECK: %[[Y:.*]] = mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%[[X]] : tensor<8x4x32xf32>) codes(%[[C]] : tensor<64x4x32xi8>) scales(%[[S]] : tensor<64x4xbf16>)
// CHECK: return %[[Y]]
func.func @matmul(%x: tensor<8x100xf32>) -> tensor<8x64xf32> {
  %w = lutra.weight "w" from "m.onnx"[0, 25600] storage tensor<100x64xf32> : tensor<100x64xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<8x64xf32>) -> tensor<8x64xf32>
  %y = linalg.generic {indexing_maps = [#mk, #kn, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<8x100xf32>, tensor<100x64xf32>) outs(%f : tensor<8x64xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<8x64xf32>
  return %y : tensor<8x64xf32>
}

// Rows are symbolic, halves are widened, activations are integers, zero points
// are bytes, and the node's name chooses the rule.
// CHECK-LABEL: func.func @half
// CHECK: %[[N:.*]] = lutra.dim "n"
// CHECK-DAG: lutra.weight "w" {{.*}} steps [#lutra.cast<f16 to f32>, #lutra.quantize<part = "codes", format = "uint4", group = 64, method = "nearest">] : tensor<64x2x64xi8>
// CHECK-DAG: lutra.weight "w" {{.*}}<part = "zeros", {{.*}} : tensor<64x2xi8>
// CHECK: linalg.generic {{.*}} ins(%arg0 : tensor<?x128xf16>) outs({{.*}} : tensor<?x128xf32>)
// CHECK: tensor.expand_shape {{.*}} output_shape [%[[N]], 2, 64]
// CHECK: %[[Q:.*]], %{{.*}}, %{{.*}} = mpgemm.quantize_act {{.*}} -> tensor<?x2x64xi8>, tensor<?x2xf32>, tensor<?x2xi32>
// CHECK: mpgemm.matmul #mpgemm.affine<bits = 4, zero = 0> x(%[[Q]] : tensor<?x2x64xi8>) {{.*}} zeros({{.*}} : tensor<64x2xi8>) xscales(
func.func @half(%x: tensor<?x128xf16> {lutra.shape = affine_map<()[s0] -> (s0, 128)>}) -> tensor<?x64xf32>
    attributes {lutra.dims = [{name = "n", min = 1 : i64, max = 64 : i64, multiple = 1 : i64}]} {
  %n = lutra.dim "n" min 1 max 64 multiple 1
  %w = lutra.weight "w" from "m.onnx"[0, 16384] storage tensor<64x128xf16> : tensor<64x128xf16>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty(%n) : tensor<?x64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x64xf32>) -> tensor<?x64xf32>
  %y = linalg.generic {indexing_maps = [#mk, #nk, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x128xf16>, tensor<64x128xf16>) outs(%f : tensor<?x64xf32>) {
  ^bb0(%a: f16, %b: f16, %c: f32):
    %wa = arith.extf %a : f16 to f32
    %wb = arith.extf %b : f16 to f32
    %p = arith.mulf %wa, %wb : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x64xf32> loc("layers.0/gate_proj")
  return %y : tensor<?x64xf32>
}

// Any dimensions: x [k0, m0, m1, k1], w [k0, n1, k1, n0], y [m0, n0, m1, n1].
// CHECK-LABEL: func.func @many_dimensions
// CHECK-DAG: lutra.weight "wide" {{.*}} steps [#lutra.transpose<[3, 1, 0, 2]>, #lutra.reshape<[32, 128]>, #lutra.quantize<part = "codes", format = "nf4", group = 64, method = "mse">] : tensor<32x2x64xi8>
// CHECK: %[[T:.*]] = linalg.generic {{.*}} ins(%arg0 : tensor<8x2x3x16xf32>) outs({{.*}} : tensor<2x3x8x16xf32>)
// CHECK: tensor.collapse_shape %[[T]] {{\[\[}}0, 1], [2, 3]] : tensor<2x3x8x16xf32> into tensor<6x128xf32>
// CHECK: mpgemm.matmul #mpgemm.codebook<bits = 4, values = [-1.000000e+00, {{.*}}]> x({{.*}} : tensor<6x2x64xf32>)
// CHECK: %[[E:.*]] = tensor.expand_shape {{.*}} {{\[\[}}0, 1], [2, 3]] output_shape [2, 3, 4, 8]
// CHECK: linalg.generic {{.*}} ins(%[[E]] : tensor<2x3x4x8xf32>) outs({{.*}} : tensor<2x4x3x8xf32>)
func.func @many_dimensions(%x: tensor<8x2x3x16xf32>) -> tensor<2x4x3x8xf32> {
  %w = lutra.weight "wide" from "m.onnx"[0, 16384] storage tensor<8x8x16x4xf32> : tensor<8x8x16x4xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x4x3x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<2x4x3x8xf32>) -> tensor<2x4x3x8xf32>
  %y = linalg.generic {indexing_maps = [
        affine_map<(m0, n0, m1, n1, k0, k1) -> (k0, m0, m1, k1)>,
        affine_map<(m0, n0, m1, n1, k0, k1) -> (k0, n1, k1, n0)>,
        affine_map<(m0, n0, m1, n1, k0, k1) -> (m0, n0, m1, n1)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %w : tensor<8x2x3x16xf32>, tensor<8x8x16x4xf32>) outs(%f : tensor<2x4x3x8xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<2x4x3x8xf32>
  return %y : tensor<2x4x3x8xf32>
}

// CHECK-LABEL: func.func @vector
// CHECK: %[[X:.*]] = tensor.expand_shape %arg0 {{\[\[}}0, 1]] output_shape [1, 64]
// CHECK: tensor.expand_shape %[[X]] {{.*}} output_shape [1, 2, 32]
// CHECK: %[[Y:.*]] = mpgemm.matmul {{.*}} -> tensor<1x64xf32>
// CHECK: tensor.collapse_shape %[[Y]] {{\[\[}}0, 1]] : tensor<1x64xf32> into tensor<64xf32>
func.func @vector(%x: tensor<64xf32>) -> tensor<64xf32> {
  %w = lutra.weight "w" from "m.onnx"[0, 16384] storage tensor<64x64xf32> : tensor<64x64xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<64xf32>) -> tensor<64xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%x, %w : tensor<64xf32>, tensor<64x64xf32>) outs(%f : tensor<64xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<64xf32>
  return %y : tensor<64xf32>
}

// What is known of sizes differs between types.
// CHECK-LABEL: func.func @casts
// CHECK: %[[X:.*]] = tensor.cast %arg0 : tensor<?x64xf32> to tensor<8x64xf32>
// CHECK: tensor.expand_shape %[[X]] {{.*}} : tensor<8x64xf32> into tensor<8x2x32xf32>
// CHECK: %[[Y:.*]] = mpgemm.matmul {{.*}} -> tensor<8x64xf32>
// CHECK: %[[C:.*]] = tensor.cast %[[Y]] : tensor<8x64xf32> to tensor<?x64xf32>
// CHECK: return %[[C]]
func.func @casts(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %w = lutra.weight "w" from "m.onnx"[0, 16384] storage tensor<64x64xf32> : tensor<64x64xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x64xf32>
  %c = tensor.cast %e : tensor<8x64xf32> to tensor<?x64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%c : tensor<?x64xf32>) -> tensor<?x64xf32>
  %y = linalg.matmul ins(%x, %w : tensor<?x64xf32>, tensor<64x64xf32>) outs(%f : tensor<?x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// Of a convolution each window is a row, of channels for each position of the
// kernel.
// CHECK-LABEL: func.func @convolution
// CHECK-DAG: lutra.weight "conv" {{.*}} steps [#lutra.transpose<[0, 2, 1]>, #lutra.reshape<[64, 192]>, #lutra.quantize<part = "codes", {{.*}} : tensor<64x6x32xi8>
// CHECK: %[[LAST:.*]] = linalg.generic {{.*}} ins(%arg0 : tensor<2x64x11xf32>) outs(%{{.*}} : tensor<2x11x64xf32>)
// CHECK: %[[ROWS:.*]] = linalg.generic {indexing_maps = [#[[WINDOW:.*]], #{{.*}}], {{.*}} ins(%[[LAST]] {{.*}} outs(%{{.*}} : tensor<2x5x3x64xf32>)
// CHECK: %[[FLAT:.*]] = tensor.collapse_shape %[[ROWS]] {{\[\[}}0, 1], [2, 3]]
// CHECK: %[[X:.*]] = tensor.expand_shape %[[FLAT]] {{.*}} into tensor<10x6x32xf32>
// CHECK: mpgemm.matmul {{.*}} x(%[[X]] : tensor<10x6x32xf32>)
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<2x64x5xf32>)
func.func @convolution(%image: tensor<2x64x11xf32>) -> tensor<2x64x5xf32> {
  %zero = arith.constant 0.0 : f32
  %conv = lutra.weight "conv" from "m.onnx"[0, 49152] storage tensor<64x64x3xf32> : tensor<64x64x3xf32>
  %e = tensor.empty() : tensor<2x64x5xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<2x64x5xf32>) -> tensor<2x64x5xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(n, f, o, c, k) -> (n, c, o * 2 + k)>, affine_map<(n, f, o, c, k) -> (f, c, k)>, affine_map<(n, f, o, c, k) -> (n, f, o)>],
      iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%image, %conv : tensor<2x64x11xf32>, tensor<64x64x3xf32>) outs(%f : tensor<2x64x5xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<2x64x5xf32>
  return %y : tensor<2x64x5xf32>
}

// Windows of one element are x as it is.
// CHECK-LABEL: func.func @pointwise
// CHECK: %[[LAST:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<2x11x64xf32>)
// CHECK: %[[ROWS:.*]] = tensor.expand_shape %[[LAST]] {{\[\[}}0], [1], [2, 3]] {{.*}} into tensor<2x11x1x64xf32>
// CHECK: tensor.collapse_shape %[[ROWS]] {{.*}} into tensor<22x64xf32>
// CHECK: mpgemm.matmul
func.func @pointwise(%image: tensor<2x64x11xf32>) -> tensor<2x64x11xf32> {
  %zero = arith.constant 0.0 : f32
  %conv = lutra.weight "conv" from "m.onnx"[0, 16384] storage tensor<64x64x1xf32> : tensor<64x64x1xf32>
  %e = tensor.empty() : tensor<2x64x11xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<2x64x11xf32>) -> tensor<2x64x11xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(n, f, o, c, k) -> (n, c, o + k)>, affine_map<(n, f, o, c, k) -> (f, c, k)>, affine_map<(n, f, o, c, k) -> (n, f, o)>],
      iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%image, %conv : tensor<2x64x11xf32>, tensor<64x64x1xf32>) outs(%f : tensor<2x64x11xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<2x64x11xf32>
  return %y : tensor<2x64x11xf32>
}

// What a rule keeps, what is small, batches, convolutions of groups, sums that
// start from something, and products without a weight.
// CHECK-LABEL: func.func @stay
// CHECK-NOT: mpgemm
// CHECK-NOT: #lutra.quantize
// CHECK-LABEL: func.func @end
func.func @stay(%x: tensor<8x64xf32>, %xs: tensor<4x8x64xf32>, %image: tensor<8x64x10xf32>, %y: tensor<8x64xf32>)
    -> (tensor<8x64xf32>, tensor<8x60xf32>, tensor<4x8x32xf32>, tensor<8x64x8xf32>, tensor<8x64xf32>, tensor<8x8xf32>) {
  %zero = arith.constant 0.0 : f32

  %head = lutra.weight "lm_head.weight" from "m.onnx"[0, 16384] storage tensor<64x64xf32> : tensor<64x64xf32>
  %e0 = tensor.empty() : tensor<8x64xf32>
  %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<8x64xf32>) -> tensor<8x64xf32>
  %y0 = linalg.matmul ins(%x, %head : tensor<8x64xf32>, tensor<64x64xf32>) outs(%f0 : tensor<8x64xf32>) -> tensor<8x64xf32>

  %small = lutra.weight "small" from "m.onnx"[0, 15360] storage tensor<64x60xf32> : tensor<64x60xf32>
  %e1 = tensor.empty() : tensor<8x60xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<8x60xf32>) -> tensor<8x60xf32>
  %y1 = linalg.matmul ins(%x, %small : tensor<8x64xf32>, tensor<64x60xf32>) outs(%f1 : tensor<8x60xf32>) -> tensor<8x60xf32>

  %many = lutra.weight "many" from "m.onnx"[0, 32768] storage tensor<4x64x32xf32> : tensor<4x64x32xf32>
  %e2 = tensor.empty() : tensor<4x8x32xf32>
  %f2 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<4x8x32xf32>) -> tensor<4x8x32xf32>
  %y2 = linalg.batch_matmul ins(%xs, %many : tensor<4x8x64xf32>, tensor<4x64x32xf32>) outs(%f2 : tensor<4x8x32xf32>) -> tensor<4x8x32xf32>

  %conv = lutra.weight "conv" from "m.onnx"[0, 393216] storage tensor<8x64x64x3xf32> : tensor<8x64x64x3xf32>
  %e3 = tensor.empty() : tensor<8x64x8xf32>
  %f3 = linalg.fill ins(%zero : f32) outs(%e3 : tensor<8x64x8xf32>) -> tensor<8x64x8xf32>
  %y3 = linalg.generic {indexing_maps = [affine_map<(g, f, o, c, k) -> (g, c, o + k)>, affine_map<(g, f, o, c, k) -> (g, f, c, k)>, affine_map<(g, f, o, c, k) -> (g, f, o)>],
      iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%image, %conv : tensor<8x64x10xf32>, tensor<8x64x64x3xf32>) outs(%f3 : tensor<8x64x8xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<8x64x8xf32>

  %w = lutra.weight "w" from "m.onnx"[0, 16384] storage tensor<64x64xf32> : tensor<64x64xf32>
  %y4 = linalg.matmul ins(%x, %w : tensor<8x64xf32>, tensor<64x64xf32>) outs(%y : tensor<8x64xf32>) -> tensor<8x64xf32>

  %e5 = tensor.empty() : tensor<8x8xf32>
  %f5 = linalg.fill ins(%zero : f32) outs(%e5 : tensor<8x8xf32>) -> tensor<8x8xf32>
  %y5 = linalg.generic {indexing_maps = [#mk, #nk, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %y : tensor<8x64xf32>, tensor<8x64xf32>) outs(%f5 : tensor<8x8xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<8x8xf32>
  return %y0, %y1, %y2, %y3, %y4, %y5 : tensor<8x64xf32>, tensor<8x60xf32>, tensor<4x8x32xf32>, tensor<8x64x8xf32>, tensor<8x64xf32>, tensor<8x8xf32>
}

func.func @end() {
  return
}
