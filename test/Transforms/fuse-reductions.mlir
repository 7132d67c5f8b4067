// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(fuse-reductions,cse))' | FileCheck %s

#same = affine_map<(k, n) -> (k, n)>
#row = affine_map<(k, n) -> (n)>
#split = affine_map<(k, n, g) -> (k * 2 + g, n)>
#pairs = affine_map<(k, n, g) -> (k, n, g)>

// CHECK-DAG: #[[SPLIT:.*]] = affine_map<(d0, d1, d2) -> (d0 * 2 + d2, d1)>
// CHECK-DAG: #[[ROW:.*]] = affine_map<(d0, d1, d2) -> (d1)>
// CHECK-DAG: #[[PAIRS:.*]] = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// CHECK-DAG: #[[AT:.*]] = affine_map<()[s0, s1] -> (s0 * 2 + s1)>

// What is exponentiated is summed as it is, and stored in pairs of bf16. The
// coordinate is that of the pair's element.
// CHECK-LABEL: func.func @shares
// CHECK-SAME: %[[X:.*]]: tensor<64x32xf32>, %[[MAX:.*]]: tensor<32xf32>, %[[SUM:.*]]: tensor<32xf32>
// CHECK: %[[R:.*]]:2 = linalg.generic {indexing_maps = [#[[SPLIT]], #[[ROW]], #[[ROW]], #[[PAIRS]]], iterator_types = ["reduction", "parallel", "reduction"]} ins(%[[X]], %[[MAX]] : {{.*}}) outs(%[[SUM]], %{{.*}} : tensor<32xf32>, tensor<32x32x2xbf16>)
// CHECK: ^bb0(%{{.*}}: f32, %{{.*}}: f32, %[[BEFORE:.*]]: f32, %{{.*}}: bf16)
// CHECK: linalg.index 0
// CHECK: linalg.index 2
// CHECK: affine.apply #[[AT]]
// CHECK: %[[E:.*]] = math.exp2
// CHECK: %[[NEXT:.*]] = arith.addf %[[BEFORE]], %[[E]]
// CHECK: %[[NARROW:.*]] = arith.truncf %[[E]]
// CHECK: linalg.yield %[[NEXT]], %[[NARROW]]
// CHECK-NOT: linalg.generic
// CHECK: return %[[R]]#0, %[[R]]#1
func.func @shares(%x: tensor<64x32xf32>, %max: tensor<32xf32>, %sum: tensor<32xf32>, %to: tensor<32x32x2xbf16>) -> (tensor<32xf32>, tensor<32x32x2xbf16>) attributes {lutra.kernel} {
  %e = tensor.empty() : tensor<64x32xf32>
  %p = linalg.generic {indexing_maps = [#same, #row, #same], iterator_types = ["parallel", "parallel"]} ins(%x, %max : tensor<64x32xf32>, tensor<32xf32>) outs(%e : tensor<64x32xf32>) {
  ^bb0(%i: f32, %m: f32, %o: f32):
    %k = linalg.index 0 : index
    %n = arith.index_cast %k : index to i32
    %f = arith.sitofp %n : i32 to f32
    %0 = arith.subf %i, %m : f32
    %1 = arith.addf %0, %f : f32
    %2 = math.exp2 %1 : f32
    linalg.yield %2 : f32
  } -> tensor<64x32xf32>
  %s = linalg.generic {indexing_maps = [#same, #row], iterator_types = ["reduction", "parallel"]} ins(%p : tensor<64x32xf32>) outs(%sum : tensor<32xf32>) {
  ^bb0(%i: f32, %o: f32):
    %0 = arith.addf %o, %i : f32
    linalg.yield %0 : f32
  } -> tensor<32xf32>
  %q = linalg.generic {indexing_maps = [#split, #pairs], iterator_types = ["parallel", "parallel", "parallel"]} ins(%p : tensor<64x32xf32>) outs(%to : tensor<32x32x2xbf16>) {
  ^bb0(%i: f32, %o: bf16):
    %0 = arith.truncf %i : f32 to bf16
    linalg.yield %0 : bf16
  } -> tensor<32x32x2xbf16>
  return %s, %q : tensor<32xf32>, tensor<32x32x2xbf16>
}

// A reader that does not visit all elements leaves the reduction alone.
// CHECK-LABEL: func.func @apart
// CHECK-COUNT-3: linalg.generic
func.func @apart(%x: tensor<65x32xf32>, %sum: tensor<32xf32>, %to: tensor<32x32x2xbf16>) -> (tensor<32xf32>, tensor<32x32x2xbf16>) attributes {lutra.kernel} {
  %e = tensor.empty() : tensor<65x32xf32>
  %p = linalg.generic {indexing_maps = [#same, #same], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<65x32xf32>) outs(%e : tensor<65x32xf32>) {
  ^bb0(%i: f32, %o: f32):
    %2 = math.exp2 %i : f32
    linalg.yield %2 : f32
  } -> tensor<65x32xf32>
  %s = linalg.generic {indexing_maps = [#same, #row], iterator_types = ["reduction", "parallel"]} ins(%p : tensor<65x32xf32>) outs(%sum : tensor<32xf32>) {
  ^bb0(%i: f32, %o: f32):
    %0 = arith.addf %o, %i : f32
    linalg.yield %0 : f32
  } -> tensor<32xf32>
  %q = linalg.generic {indexing_maps = [#split, #pairs], iterator_types = ["parallel", "parallel", "parallel"]} ins(%p : tensor<65x32xf32>) outs(%to : tensor<32x32x2xbf16>) {
  ^bb0(%i: f32, %o: bf16):
    %0 = arith.truncf %i : f32 to bf16
    linalg.yield %0 : bf16
  } -> tensor<32x32x2xbf16>
  return %s, %q : tensor<32xf32>, tensor<32x32x2xbf16>
}
