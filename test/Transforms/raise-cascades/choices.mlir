// RUN: lutra-opt %s --split-input-file --pass-pipeline='builtin.module(func.func(raise-cascades))' | FileCheck %s

#xy = affine_map<(d0, d1) -> (d0, d1)>
#x = affine_map<(d0, d1) -> (d0)>

// A choice joins what alone computes its points, under the names of that.
// CHECK-LABEL: func.func @joined
// CHECK: %[[Y:.*]]:2 = cascade.cascade reassoc ranks(p = 8, m = 64, n = 4)
// CHECK: reduce(max)
// CHECK: reduce(add)
// CHECK: %[[S:.*]] = cascade.einsum [p, m]
// CHECK: %[[V:.*]], %[[I:.*]] = cascade.top_k %[[S]]["p", "m"] along "m" as "n"
// CHECK: cascade.yield %[[I]], %[[V]]
// CHECK-NOT: cascade.cascade
// CHECK: return %[[Y]]#0, %[[Y]]#1
func.func @joined(%arg0: tensor<8x64xf32>) -> (tensor<8x4xi64>, tensor<8x4xf32>) {
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %e1 = tensor.empty() : tensor<8xf32>
  %e2 = tensor.empty() : tensor<8x64xf32>
  %f1 = linalg.fill ins(%low : f32) outs(%e1 : tensor<8xf32>) -> tensor<8xf32>
  %d = linalg.generic {indexing_maps = [#xy, #x], iterator_types = ["parallel", "reduction"]} ins(%arg0 : tensor<8x64xf32>) outs(%f1 : tensor<8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %r = arith.maximumf %o, %a : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  %w = linalg.generic {indexing_maps = [#xy, #x, #xy], iterator_types = ["parallel", "parallel"]} ins(%arg0, %d : tensor<8x64xf32>, tensor<8xf32>) outs(%e2 : tensor<8x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %r = arith.subf %a, %b : f32
    %s = math.exp %r : f32
    linalg.yield %s : f32
  } -> tensor<8x64xf32>
  %f2 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<8xf32>) -> tensor<8xf32>
  %t = linalg.generic {indexing_maps = [#xy, #x], iterator_types = ["parallel", "reduction"]} ins(%w : tensor<8x64xf32>) outs(%f2 : tensor<8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %r = arith.addf %o, %a : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  %s = linalg.generic {indexing_maps = [#xy, #x, #xy], iterator_types = ["parallel", "parallel"]} ins(%w, %t : tensor<8x64xf32>, tensor<8xf32>) outs(%e2 : tensor<8x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %r = arith.divf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<8x64xf32>
  %y:2 = cascade.cascade ranks(q = 8, k = 64, n = 4) {
    %v, %i = cascade.top_k %s["q", "k"] along "k" as "n" : tensor<8x64xf32> -> tensor<8x4xf32>, tensor<8x4xi64>
    cascade.yield %i, %v : tensor<8x4xi64>, tensor<8x4xf32>
  } : tensor<8x4xi64>, tensor<8x4xf32>
  return %y#0, %y#1 : tensor<8x4xi64>, tensor<8x4xf32>
}

// -----

// One that others read, too, is kept for both.
// CHECK-LABEL: func.func @shared
// CHECK: %[[S:.*]] = cascade.cascade reassoc ranks(p = 8, m = 64)
// CHECK: cascade.cascade ranks(p = 8, m = 64, n = 4)
// CHECK-NEXT: cascade.top_k %[[S]]["p", "m"]
func.func @shared(%x: tensor<8x64xf32>) -> (tensor<8x64xf32>, tensor<8x4xi64>) {
  %s = cascade.cascade reassoc ranks(p = 8, m = 64) {
    %r = cascade.einsum [p, m] (%x[p, m]) -> [p, m] {
    ^bb0(%a: f32):
      %b = arith.negf %a : f32
      cascade.yield %b : f32
    } : (tensor<8x64xf32>) -> tensor<8x64xf32>
    cascade.yield %r : tensor<8x64xf32>
  } : tensor<8x64xf32>
  %y = cascade.cascade ranks(p = 8, m = 64, n = 4) {
    %v, %i = cascade.top_k %s["p", "m"] along "m" as "n" : tensor<8x64xf32> -> tensor<8x4xf32>, tensor<8x4xi64>
    cascade.yield %i : tensor<8x4xi64>
  } : tensor<8x4xi64>
  return %s, %y : tensor<8x64xf32>, tensor<8x4xi64>
}
