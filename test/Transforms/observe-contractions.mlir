// What products read becomes what the model returns: by channel, or of pairs of them.
// RUN: lutra-opt %s --observe-contractions="spec=*=int4" --cse | FileCheck %s
// RUN: lutra-opt %s --observe-contractions="spec=*=int4 matrices=1" --cse | FileCheck %s --check-prefix=PAIRS
// RUN: lutra-opt %s --observe-contractions="spec=*=int4:a8s" --cse | FileCheck %s --check-prefix=STATIC
// RUN: not lutra-opt %s --observe-contractions="spec=int9" 2>&1 | FileCheck %s --check-prefix=SPEC
// SPEC: error: expected a format, uint1, {{.*}} or none, got 'int9' in 'int9'

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

// Two products read the same. Of four dimensions of x two are rows, and channels
// have the order of the product's sum. States go on.
// CHECK-DAG: #[[S:.*]] = affine_map<()[s0] -> (64)>
// CHECK-DAG: #[[S2:.*]] = affine_map<()[s0] -> (8, 16)>
// CHECK-DAG: #[[X:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG: #[[K:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: func.func @main
// CHECK-SAME: -> (tensor<64xf32> {lutra.dtype = "FLOAT", lutra.name = "squares0", lutra.shape = #[[S]]},
// CHECK-SAME: tensor<64xf32> {lutra.dtype = "FLOAT", lutra.name = "largest0", lutra.shape = #[[S]]},
// CHECK-SAME: tensor<1xf32> {lutra.dtype = "FLOAT", lutra.name = "rows0", lutra.shape = #{{[a-z0-9]*}}},
// CHECK-SAME: tensor<8x16xf32> {lutra.dtype = "FLOAT", lutra.name = "squares1", lutra.shape = #[[S2]]},
// CHECK-SAME: tensor<8x16xf32> {lutra.dtype = "FLOAT", lutra.name = "largest1", lutra.shape = #[[S2]]},
// CHECK-SAME: tensor<1xf32> {{.*}}"rows1"{{.*}} tensor<2xf32> {lutra.state = "s"})
// CHECK: %[[F:.*]] = linalg.fill {{.*}} -> tensor<64xf32>
// CHECK: %[[Q:.*]] = linalg.generic {indexing_maps = [#[[X]], #[[K]]], iterator_types = ["reduction", "parallel"]} ins(%arg0 : tensor<?x64xf16>) outs(%[[F]] : tensor<64xf32>)
// CHECK: %[[E:.*]] = arith.extf %{{.*}} : f16 to f32
// CHECK: arith.mulf %[[E]], %[[E]]
// CHECK: arith.addf
// CHECK: %[[L:.*]] = linalg.generic {indexing_maps = [#[[X]], #[[K]]], iterator_types = ["reduction", "parallel"]} ins(%arg0 : tensor<?x64xf16>) outs(%[[F]] : tensor<64xf32>)
// CHECK: math.absf
// CHECK: arith.maximumf
// CHECK: %[[R:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<1xf32>)
// CHECK: arith.index_cast %n : index to i64
// CHECK: %[[Q1:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction", "reduction", "parallel"]} ins(%arg1 : tensor<8x2x3x16xf32>)
// CHECK: %[[L1:.*]] = linalg.generic {{.*}} ins(%arg1 : tensor<8x2x3x16xf32>)
// CHECK: return %[[Q]], %[[L]], %[[R]], %[[Q1]], %[[L1]], %{{.*}}, %arg2

// PAIRS-DAG: #[[A:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d2, d3)>
// PAIRS-DAG: #[[B:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d4, d1, d2, d5)>
// PAIRS-DAG: #[[C:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d3, d4, d5)>
// PAIRS-LABEL: func.func @main
// PAIRS-SAME: -> (tensor<8x16x8x16xf32> {lutra.dtype = "FLOAT", lutra.name = "moments1", lutra.shape = #map{{[0-9]*}}}, tensor<2xf32> {lutra.state = "s"})
// PAIRS: %[[M:.*]] = linalg.generic {indexing_maps = [#[[A]], #[[B]], #[[C]]], iterator_types = ["parallel", "reduction", "reduction", "parallel", "parallel", "parallel"]} ins(%arg1, %arg1
// PAIRS: return %[[M]], %arg2

// What static scales go by: a range that has 0, and how far magnitudes exceed limits.
// STATIC-DAG: #[[X:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// STATIC-DAG: #[[LIMIT:.*]] = affine_map<(d0, d1, d2) -> (d2)>
// STATIC-DAG: #[[EXCESS:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// STATIC-LABEL: func.func @main
// STATIC-SAME: "squares0"{{.*}} "largest0"{{.*}} "rows0"
// STATIC-SAME: tensor<64xf32> {lutra.dtype = "FLOAT", lutra.name = "least0", {{.*}} "greatest0"
// STATIC-SAME: tensor<64x48xf32> {lutra.dtype = "FLOAT", lutra.name = "excess0"
// STATIC-SAME: "squares1"{{.*}} tensor<8x16x48xf32> {lutra.dtype = "FLOAT", lutra.name = "excess1"
// STATIC: arith.minimumf
// STATIC: arith.maximumf
// STATIC: %[[LIMITS:.*]] = arith.constant dense<[2.44140625E-4, {{.*}}> : tensor<48xf32>
// STATIC: linalg.generic {indexing_maps = [#[[X]], #[[LIMIT]], #[[EXCESS]]], iterator_types = ["reduction", "parallel", "parallel"]} ins(%arg0, %[[LIMITS]]
// STATIC: math.absf
// STATIC: arith.subf
// STATIC: arith.maximumf
// STATIC: arith.mulf
// STATIC: arith.addf
func.func @main(%x: tensor<?x64xf16> {lutra.shape = affine_map<()[s0] -> (s0, 64)>}, %z: tensor<8x2x3x16xf32>, %state: tensor<2xf32>)
    -> (tensor<?x64xf32>, tensor<?x64xf32>, tensor<2x4x3x8xf32>, tensor<2xf32> {lutra.state = "s"})
    attributes {lutra.dims = [{name = "n", min = 1 : i64, max = 64 : i64, multiple = 1 : i64}]} {
  %n = lutra.dim "n" min 1 max 64 multiple 1
  %w = lutra.weight "w" from "m.onnx"[0, 8192] storage tensor<64x64xf16> : tensor<64x64xf16>
  %v = lutra.weight "v" from "m.onnx"[8192, 8192] storage tensor<64x64xf16> : tensor<64x64xf16>
  %u = lutra.weight "wide" from "m.onnx"[0, 16384] storage tensor<8x8x16x4xf32> : tensor<8x8x16x4xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty(%n) : tensor<?x64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x64xf32>) -> tensor<?x64xf32>
  %y = linalg.generic {indexing_maps = [#mk, #nk, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x64xf16>, tensor<64x64xf16>) outs(%f : tensor<?x64xf32>) {
  ^bb0(%a: f16, %b: f16, %c: f32):
    %wa = arith.extf %a : f16 to f32
    %wb = arith.extf %b : f16 to f32
    %p = arith.mulf %wa, %wb : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x64xf32>
  %y1 = linalg.generic {indexing_maps = [#mk, #nk, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %v : tensor<?x64xf16>, tensor<64x64xf16>) outs(%f : tensor<?x64xf32>) {
  ^bb0(%a: f16, %b: f16, %c: f32):
    %wa = arith.extf %a : f16 to f32
    %wb = arith.extf %b : f16 to f32
    %p = arith.mulf %wa, %wb : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x64xf32>
  %e2 = tensor.empty() : tensor<2x4x3x8xf32>
  %f2 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<2x4x3x8xf32>) -> tensor<2x4x3x8xf32>
  %y2 = linalg.generic {indexing_maps = [
        affine_map<(m0, n0, m1, n1, k0, k1) -> (k0, m0, m1, k1)>,
        affine_map<(m0, n0, m1, n1, k0, k1) -> (k0, n1, k1, n0)>,
        affine_map<(m0, n0, m1, n1, k0, k1) -> (m0, n0, m1, n1)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%z, %u : tensor<8x2x3x16xf32>, tensor<8x8x16x4xf32>) outs(%f2 : tensor<2x4x3x8xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<2x4x3x8xf32>
  return %y, %y1, %y2, %state : tensor<?x64xf32>, tensor<?x64xf32>, tensor<2x4x3x8xf32>, tensor<2xf32>
}
