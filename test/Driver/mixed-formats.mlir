// A weight in two formats is two products of x, which is rounded once. Where
// outputs lose the same, the last ones have the second format.
// RUN: lutra-compile %s --compile-from=tensor --compile-to=quantize -o - --quantize=int4+25%%int8:a8 | FileCheck %s

// CHECK-DAG: %[[NARROW:.*]] = lutra.weight "w" {{.*}}<part = "codes", format = "int4", group = 32, method = "mse", rows = dense<[0, 1, 2, {{.*}}, 47]> : tensor<48xi64>>] : tensor<48x2x32xi8>
// CHECK-DAG: %[[WIDE:.*]] = lutra.weight "w" {{.*}}<part = "codes", format = "int8", group = 32, method = "mse", rows = dense<[48, {{.*}}, 63]> : tensor<16xi64>>] : tensor<16x2x32xi8>
// CHECK: %[[X:.*]], %[[XS:.*]], %[[SUMS:.*]] = mpgemm.quantize_act
// CHECK: %[[FIRST:.*]] = mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%[[X]] {{.*}} codes(%[[NARROW]] {{.*}} -> tensor<8x48xf32>
// CHECK-NOT: mpgemm.quantize_act
// CHECK: %[[SECOND:.*]] = mpgemm.matmul #mpgemm.affine<bits = 8, zero = 128> x(%[[X]] {{.*}} codes(%[[WIDE]] {{.*}} -> tensor<8x16xf32>
// CHECK: %[[PLACES:.*]] = lutra.weight "w" {{.*}} tensor<64xi64>
// CHECK: linalg.generic {{.*}} ins(%[[PLACES]] : tensor<64xi64>) outs(%{{.*}} : tensor<8x64xf32>)
// CHECK-DAG: tensor.extract %[[FIRST]]
// CHECK-DAG: tensor.extract %[[SECOND]]
module attributes {lutra.phase = "tensor"} {
  func.func @main(%x: tensor<8x64xf32> {lutra.name = "x", lutra.dtype = "FLOAT", lutra.shape = affine_map<() -> (8, 64)>})
      -> (tensor<8x64xf32> {lutra.name = "y", lutra.dtype = "FLOAT", lutra.shape = affine_map<() -> (8, 64)>}) {
    %w = lutra.weight "w" value dense<1.0> : tensor<64x64xf32> storage tensor<64x64xf32> : tensor<64x64xf32>
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<8x64xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<8x64xf32>) -> tensor<8x64xf32>
    %y = linalg.matmul ins(%x, %w : tensor<8x64xf32>, tensor<64x64xf32>) outs(%f : tensor<8x64xf32>) -> tensor<8x64xf32>
    return %y : tensor<8x64xf32>
  }
}
