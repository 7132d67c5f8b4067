// RUN: lutra-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(pack-dot-operands,canonicalize,cse))' | FileCheck %s

#target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "znver4", features = "+avx512bf16,+avx512vl", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>
#a = affine_map<(i, j, k) -> (i, k)>
#at = affine_map<(i, j, k) -> (k, i)>
#b = affine_map<(i, j, k) -> (k, j)>
#c = affine_map<(i, j, k) -> (i, j)>
#same = affine_map<(i, j) -> (i, j)>

// CHECK-DAG: #[[ROWS:.*]] = affine_map<(d0, d1, d2) -> (d0 * 2 + d2, d1)>
// CHECK-DAG: #[[PACKED:.*]] = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// CHECK-DAG: #[[A:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2 * 2 + d3)>
// CHECK-DAG: #[[AT:.*]] = affine_map<(d0, d1, d2, d3) -> (d2, d0, d3)>
// CHECK-DAG: #[[B:.*]] = affine_map<(d0, d1, d2, d3) -> (d2, d1, d3)>
// CHECK-DAG: #[[C:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1)>
// CHECK-DAG: #[[WHOLE:.*]] = affine_map<()[s0] -> ((s0 floordiv 2) * 2)>
// CHECK-DAG: #[[REST:.*]] = affine_map<()[s0] -> (s0 mod 2)>
module attributes {lutra.target = #target} {

// The rows' factor has its pairs side by side. The other is copied by what
// computes it.
// CHECK-LABEL: func.func @even(
// CHECK-SAME: %[[X:.*]]: tensor<16x64xbf16>, %[[Y:.*]]: tensor<64x16xf32>
// CHECK: %[[PAIRS:.*]] = linalg.generic {indexing_maps = [#[[ROWS]], #[[PACKED]]], {{.*}}} ins(%[[Y]] : tensor<64x16xf32>) outs(%{{.*}} : tensor<32x16x2xbf16>)
// CHECK: arith.truncf
// CHECK: %[[R:.*]] = linalg.generic {indexing_maps = [#[[A]], #[[B]], #[[C]]], iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%[[X]], %[[PAIRS]] :
// CHECK-SAME: lutra.stream = 0
// CHECK: return %[[R]]
func.func @even(%a: tensor<16x64xbf16>, %x: tensor<64x16xf32>, %c: tensor<16x16xf32>) -> tensor<16x16xf32> attributes {lutra.kernel} {
  %e = tensor.empty() : tensor<64x16xbf16>
  %b = linalg.generic {indexing_maps = [#same, #same], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<64x16xf32>) outs(%e : tensor<64x16xbf16>) {
  ^bb0(%in: f32, %out: bf16):
    %t = arith.truncf %in : f32 to bf16
    linalg.yield %t : bf16
  } -> tensor<64x16xbf16>
  %r = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%a, %b : tensor<16x64xbf16>, tensor<64x16xbf16>) outs(%c : tensor<16x16xf32>) attrs = {lutra.stream = 0} {
  ^bb0(%l: bf16, %m: bf16, %out: f32):
    %lw = arith.extf %l : bf16 to f32
    %mw = arith.extf %m : bf16 to f32
    %p = arith.mulf %lw, %mw : f32
    %s = arith.addf %out, %p : f32
    linalg.yield %s : f32
  } -> tensor<16x16xf32>
  return %r : tensor<16x16xf32>
}

// Both factors are copied, and what has no partner is added alone.
// CHECK-LABEL: func.func @symbolic(
// CHECK-SAME: %[[X:[a-z0-9]*]]: tensor<128x16xbf16>, %[[Y:[a-z0-9]*]]: tensor<128x16xbf16>
// CHECK: %[[XS:.*]] = tensor.extract_slice %[[X]]
// CHECK: %[[PX:.*]] = linalg.generic {indexing_maps = [#[[ROWS]], #[[PACKED]]], {{.*}}} ins(%[[XS]] : tensor<?x16xbf16>) outs(%{{.*}} : tensor<?x16x2xbf16>)
// CHECK: %[[YS:.*]] = tensor.extract_slice %[[Y]]
// CHECK: %[[PY:.*]] = linalg.generic {indexing_maps = [#[[ROWS]], #[[PACKED]]], {{.*}}} ins(%[[YS]] : tensor<?x16xbf16>) outs(%{{.*}} : tensor<?x16x2xbf16>)
// CHECK: %[[SUM:.*]] = linalg.generic {indexing_maps = [#[[AT]], #[[B]], #[[C]]], {{.*}}} ins(%[[PX]], %[[PY]] :
// CHECK: %[[FROM:.*]] = affine.apply #[[WHOLE]]()
// CHECK: %[[SIZE:.*]] = affine.apply #[[REST]]()
// CHECK: %[[LX:.*]] = tensor.extract_slice %[[XS]][%[[FROM]], 0] [%[[SIZE]], 16]
// CHECK: %[[LY:.*]] = tensor.extract_slice %[[YS]][%[[FROM]], 0] [%[[SIZE]], 16]
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]} ins(%[[LX]], %[[LY]] : {{.*}}) outs(%[[SUM]] :
func.func @symbolic(%x: tensor<128x16xbf16>, %y: tensor<128x16xbf16>, %n: index, %c: tensor<16x16xf32>) -> tensor<16x16xf32> attributes {lutra.kernel} {
  %size = affine.min affine_map<()[s0] -> (s0, 128)>()[%n]
  %a = tensor.extract_slice %x[0, 0] [%size, 16] [1, 1] : tensor<128x16xbf16> to tensor<?x16xbf16>
  %b = tensor.extract_slice %y[0, 0] [%size, 16] [1, 1] : tensor<128x16xbf16> to tensor<?x16xbf16>
  %r = linalg.generic {indexing_maps = [#at, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%a, %b : tensor<?x16xbf16>, tensor<?x16xbf16>) outs(%c : tensor<16x16xf32>) {
  ^bb0(%l: bf16, %m: bf16, %out: f32):
    %lw = arith.extf %l : bf16 to f32
    %mw = arith.extf %m : bf16 to f32
    %p = arith.mulf %lw, %mw : f32
    %s = arith.addf %out, %p : f32
    linalg.yield %s : f32
  } -> tensor<16x16xf32>
  return %r : tensor<16x16xf32>
}

// Two rows do not pay for a copy; of what has no bound there is no copy.
// CHECK-LABEL: func.func @few_rows(
// CHECK-NOT: tensor.empty
// CHECK: return
func.func @few_rows(%a: tensor<8x64xbf16>, %b: tensor<64x16xbf16>, %c: tensor<8x16xf32>) -> tensor<8x16xf32> attributes {lutra.kernel} {
  %r = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%a, %b : tensor<8x64xbf16>, tensor<64x16xbf16>) outs(%c : tensor<8x16xf32>) {
  ^bb0(%l: bf16, %m: bf16, %out: f32):
    %lw = arith.extf %l : bf16 to f32
    %mw = arith.extf %m : bf16 to f32
    %p = arith.mulf %lw, %mw : f32
    %s = arith.addf %out, %p : f32
    linalg.yield %s : f32
  } -> tensor<8x16xf32>
  return %r : tensor<8x16xf32>
}

// CHECK-LABEL: func.func @unbounded(
// CHECK-NOT: tensor.empty
// CHECK: return
func.func @unbounded(%a: tensor<16x?xbf16>, %b: tensor<?x16xbf16>, %c: tensor<16x16xf32>) -> tensor<16x16xf32> attributes {lutra.kernel} {
  %r = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%a, %b : tensor<16x?xbf16>, tensor<?x16xbf16>) outs(%c : tensor<16x16xf32>) {
  ^bb0(%l: bf16, %m: bf16, %out: f32):
    %lw = arith.extf %l : bf16 to f32
    %mw = arith.extf %m : bf16 to f32
    %p = arith.mulf %lw, %mw : f32
    %s = arith.addf %out, %p : f32
    linalg.yield %s : f32
  } -> tensor<16x16xf32>
  return %r : tensor<16x16xf32>
}
}

// -----

#target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "sapphirerapids", features = "+avx512bf16,+avx512vl,+amx-tile,+amx-bf16", vectorBits = 512, vectorRegisters = 32, l1 = 49152, l2 = 2097152>
#at = affine_map<(i, j, k) -> (k, i)>
#b = affine_map<(i, j, k) -> (k, j)>
#c = affine_map<(i, j, k) -> (i, j)>

// CHECK-DAG: #[[TURNED:.*]] = affine_map<(d0, d1) -> (d1, d0)>
// CHECK-DAG: #[[A:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2 * 2 + d3)>
// CHECK-DAG: #[[B:.*]] = affine_map<(d0, d1, d2, d3) -> (d2, d1, d3)>
module attributes {lutra.target = #target} {
// Matrix tiles read rows along the reduction.
// CHECK-LABEL: func.func @rows_of_tiles(
// CHECK-SAME: %[[X:[a-z0-9]*]]: tensor<64x16xbf16>,
// CHECK: %[[ROWS:.*]] = linalg.generic {indexing_maps = [#[[TURNED]], {{.*}} ins(%[[X]] : tensor<64x16xbf16>) outs(%{{.*}} : tensor<16x64xbf16>)
// CHECK: linalg.generic {indexing_maps = [#[[A]], #[[B]], {{.*}} ins(%[[ROWS]],
func.func @rows_of_tiles(%a: tensor<64x16xbf16>, %b: tensor<64x16xbf16>, %c: tensor<16x16xf32>) -> tensor<16x16xf32> attributes {lutra.kernel} {
  %r = linalg.generic {indexing_maps = [#at, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%a, %b : tensor<64x16xbf16>, tensor<64x16xbf16>) outs(%c : tensor<16x16xf32>) {
  ^bb0(%l: bf16, %m: bf16, %out: f32):
    %lw = arith.extf %l : bf16 to f32
    %mw = arith.extf %m : bf16 to f32
    %p = arith.mulf %lw, %mw : f32
    %s = arith.addf %out, %p : f32
    linalg.yield %s : f32
  } -> tensor<16x16xf32>
  return %r : tensor<16x16xf32>
}
}

// -----

// Columns are put into panels where a schedule asks for it: pairs, with one step
// that is left alone as it lies, and single elements.
#target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "sapphirerapids", features = "+avx512bf16,+avx512vl,+amx-tile,+amx-bf16", vectorBits = 512, vectorRegisters = 32, l1 = 49152, l2 = 2097152>
#a = affine_map<(i, j, k) -> (i, k)>
#b = affine_map<(i, j, k) -> (k, j)>
#bt = affine_map<(i, j, k) -> (j, k)>
#c = affine_map<(i, j, k) -> (i, j)>

// CHECK-DAG: #[[STEPS:.*]] = affine_map<(d0, d1, d2) -> (d0 * 2 + d2, d1)>
// CHECK-DAG: #[[PAIRS:.*]] = affine_map<(d0, d1, d2) -> (d1 floordiv 32, d0, d1 mod 32, d2)>
// CHECK-DAG: #[[A:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2 * 2 + d3)>
// CHECK-DAG: #[[B:.*]] = affine_map<(d0, d1, d2, d3) -> (d1 floordiv 32, d2, d1 mod 32, d3)>
// CHECK-DAG: #[[TURNED:.*]] = affine_map<(d0, d1) -> (d1, d0)>
// CHECK-DAG: #[[SINGLE:.*]] = affine_map<(d0, d1) -> (d1 floordiv 32, d0, d1 mod 32)>
// CHECK-DAG: #[[COLUMNS:.*]] = affine_map<(d0, d1, d2) -> (d1 floordiv 32, d2, d1 mod 32)>
module attributes {lutra.target = #target} {
// CHECK-LABEL: func.func @panels(
// CHECK-SAME: %[[X:[a-z0-9]*]]: tensor<64x65xbf16>, %[[Y:[a-z0-9]*]]: tensor<65x100xbf16>
// CHECK: %[[COPY:.*]] = linalg.generic {indexing_maps = [#[[STEPS]], #[[PAIRS]]], {{.*}}} ins(%[[Y]] : {{.*}}) outs(%{{.*}} : tensor<4x32x32x2xbf16>)
// CHECK: %[[SUMS:.*]] = linalg.generic {indexing_maps = [#[[A]], #[[B]], #{{.*}}], {{.*}}} ins(%[[X]], %[[COPY]] :
// CHECK: linalg.generic {{.*}} ins(%{{.*}} : tensor<64x1xbf16>, tensor<1x100xbf16>) outs(%[[SUMS]] :
func.func @panels(%a: tensor<64x65xbf16>, %b: tensor<65x100xbf16>, %c: tensor<64x100xf32>) -> tensor<64x100xf32> attributes {lutra.kernel} {
  %r = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%a, %b : tensor<64x65xbf16>, tensor<65x100xbf16>) outs(%c : tensor<64x100xf32>) attrs = {lutra.panels} {
  ^bb0(%l: bf16, %m: bf16, %out: f32):
    %lw = arith.extf %l : bf16 to f32
    %mw = arith.extf %m : bf16 to f32
    %p = arith.mulf %lw, %mw : f32
    %s = arith.addf %out, %p : f32
    linalg.yield %s : f32
  } -> tensor<64x100xf32>
  return %r : tensor<64x100xf32>
}

// CHECK-LABEL: func.func @single(
// CHECK-SAME: %[[X:[a-z0-9]*]]: tensor<64x65xf32>, %[[Y:[a-z0-9]*]]: tensor<100x65xf32>
// CHECK: %[[COPY:.*]] = linalg.generic {indexing_maps = [#[[TURNED]], #[[SINGLE]]], {{.*}}} ins(%[[Y]] : {{.*}}) outs(%{{.*}} : tensor<4x65x32xf32>)
// CHECK: %[[R:.*]] = linalg.generic {indexing_maps = [#{{.*}}, #[[COLUMNS]], #{{.*}}], {{.*}}} ins(%[[X]], %[[COPY]] :
// CHECK-NOT: lutra.panels
// CHECK: return %[[R]]
func.func @single(%a: tensor<64x65xf32>, %b: tensor<100x65xf32>, %c: tensor<64x100xf32>) -> tensor<64x100xf32> attributes {lutra.kernel} {
  %r = linalg.generic {indexing_maps = [#a, #bt, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%a, %b : tensor<64x65xf32>, tensor<100x65xf32>) outs(%c : tensor<64x100xf32>) attrs = {lutra.panels} {
  ^bb0(%l: f32, %m: f32, %out: f32):
    %p = arith.mulf %l, %m : f32
    %s = arith.addf %out, %p : f32
    linalg.yield %s : f32
  } -> tensor<64x100xf32>
  return %r : tensor<64x100xf32>
}
}

// -----

// A stream is fetched ahead where it is copied, if few rows read the copy.
#target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "sapphirerapids", features = "+avx512bf16,+avx512vl,+amx-tile,+amx-bf16", vectorBits = 512, vectorRegisters = 32, l1 = 49152, l2 = 2097152>
#a = affine_map<(i, j, k) -> (i, k)>
#b = affine_map<(i, j, k) -> (k, j)>
#c = affine_map<(i, j, k) -> (i, j)>
module attributes {lutra.target = #target} {
// CHECK-LABEL: func.func @few(
// CHECK-SAME: %{{.*}}: tensor<8x64xbf16>, %[[Y:[a-z0-9]*]]: tensor<64x32xbf16>
// CHECK: linalg.generic {{.*}} ins(%[[Y]] : {{.*}} attrs = {lutra.stream = 0 : i64}
func.func @few(%a: tensor<8x64xbf16>, %b: tensor<64x32xbf16>, %c: tensor<8x32xf32>) -> tensor<8x32xf32> attributes {lutra.kernel} {
  %r = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%a, %b : tensor<8x64xbf16>, tensor<64x32xbf16>) outs(%c : tensor<8x32xf32>) attrs = {lutra.stream = 1 : i64} {
  ^bb0(%l: bf16, %m: bf16, %out: f32):
    %lw = arith.extf %l : bf16 to f32
    %mw = arith.extf %m : bf16 to f32
    %p = arith.mulf %lw, %mw : f32
    %s = arith.addf %out, %p : f32
    linalg.yield %s : f32
  } -> tensor<8x32xf32>
  return %r : tensor<8x32xf32>
}

// CHECK-LABEL: func.func @many(
// CHECK-NOT: lutra.stream
func.func @many(%a: tensor<64x64xbf16>, %b: tensor<64x32xbf16>, %c: tensor<64x32xf32>) -> tensor<64x32xf32> attributes {lutra.kernel} {
  %r = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%a, %b : tensor<64x64xbf16>, tensor<64x32xbf16>) outs(%c : tensor<64x32xf32>) attrs = {lutra.stream = 1 : i64} {
  ^bb0(%l: bf16, %m: bf16, %out: f32):
    %lw = arith.extf %l : bf16 to f32
    %mw = arith.extf %m : bf16 to f32
    %p = arith.mulf %lw, %mw : f32
    %s = arith.addf %out, %p : f32
    linalg.yield %s : f32
  } -> tensor<64x32xf32>
  return %r : tensor<64x32xf32>
}
}
