// RUN: lutra-opt %s -split-input-file -verify-diagnostics -encode-contractions | FileCheck %s

#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
#avx512 = #lutra.target<triple = "x86_64-linux-gnu", cpu = "znver4", features = "", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>
module attributes {lutra.target = #avx512} {

// A weight is packed in its expression, and few rows are read as they lie.
// CHECK: #[[PACKED:.*]] = affine_map<(d0, d1, d2) -> (d1 floordiv [[NR:[0-9]+]], d2, d1 mod [[NR]])>
// CHECK-LABEL: func @weight
// CHECK: %[[W:.*]] = lutra.weight "w" {{.*}} steps [#lutra.pack<dim = 1, tile = [[NR]], outer = 0>] : tensor<{{[0-9]+}}x64x[[NR]]xf32>
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #[[PACKED]], #{{.*}}]
// CHECK-SAME: ins(%arg0, %[[W]]
func.func @weight(%x: tensor<1x64xf32>) -> tensor<1x80xf32> {
  %w = lutra.weight "w" from "m.onnx"[0, 20480] storage tensor<64x80xf32> : tensor<64x80xf32>
  %e = tensor.empty() : tensor<1x80xf32>
  %y = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<1x64xf32>, tensor<64x80xf32>) outs(%e : tensor<1x80xf32>) {
  ^bb0(%l: f32, %r: f32, %o: f32):
    %p = arith.mulf %l, %r : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<1x80xf32>
  return %y : tensor<1x80xf32>
}

// Of two large activations the rows are copied, and the columns are where they
// are read.
// CHECK-LABEL: func @activations
// CHECK: %[[E:.*]] = tensor.empty() : tensor<[[TILES:[0-9]+]]x512x[[MR:[0-9]+]]xf32>
// CHECK: %[[A:.*]] = linalg.generic {{.*}} ins(%arg0 : tensor<512x512xf32>) outs(%[[E]]
// CHECK: linalg.generic {{.*}} ins(%[[A]], %arg1 : tensor<[[TILES]]x512x[[MR]]xf32>, tensor<512x512xf32>)
func.func @activations(%x: tensor<512x512xf32>, %w: tensor<512x512xf32>) -> tensor<512x512xf32> {
  %e = tensor.empty() : tensor<512x512xf32>
  %y = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<512x512xf32>, tensor<512x512xf32>) outs(%e : tensor<512x512xf32>) {
  ^bb0(%l: f32, %r: f32, %o: f32):
    %p = arith.mulf %l, %r : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<512x512xf32>
  return %y : tensor<512x512xf32>
}
}

// -----

#a = affine_map<(m, n, k) -> (k, m)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
#avx512 = #lutra.target<triple = "x86_64-linux-gnu", cpu = "znver4", features = "", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>
module attributes {lutra.target = #avx512} {
// The only reader of the dimension's size was dead.
// CHECK-LABEL: func @depth
// CHECK: %[[K:.*]] = lutra.dim "k" min 1 max 9 multiple 1
// CHECK: tensor.empty(%[[K]]) : tensor<{{[0-9]+}}x?x{{[0-9]+}}xf32>
func.func @depth(%x: tensor<?x512xf32> {lutra.shape = affine_map<()[k] -> (k, 512)>}, %w: tensor<?x512xf32> {lutra.shape = affine_map<()[k] -> (k, 512)>}) -> tensor<512x512xf32>
    attributes {lutra.dims = [{name = "k", min = 1 : i64, max = 9 : i64, multiple = 1 : i64}]} {
  %e = tensor.empty() : tensor<512x512xf32>
  %y = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<?x512xf32>, tensor<?x512xf32>) outs(%e : tensor<512x512xf32>) {
  ^bb0(%l: f32, %r: f32, %o: f32):
    %p = arith.mulf %l, %r : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<512x512xf32>
  return %y : tensor<512x512xf32>
}
}

// -----

#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
#avx512 = #lutra.target<triple = "x86_64-linux-gnu", cpu = "znver4", features = "", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>
module attributes {lutra.target = #avx512} {
// A slice of a weight is a slice of the packed weight, which nothing copies in
// the loop; neither is what the loop computes itself.
// CHECK-LABEL: func @loop
// CHECK: %[[W:.*]] = lutra.weight "w" {{.*}} steps [#lutra.pack<dim = 2, tile = 32, outer = 1>] : tensor<2x16x512x32xf32>
// CHECK: scf.for %[[D:[a-z0-9]+]] =
// CHECK-NOT: tensor.empty
// CHECK: %[[R:.*]] = tensor.extract_slice %[[W]][%[[D]], 0, 0, 0] [1, 16, 512, 32] [1, 1, 1, 1] : tensor<2x16x512x32xf32> to tensor<16x512x32xf32>
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[R]] : tensor<512x512xf32>, tensor<16x512x32xf32>)
func.func @loop(%x: tensor<512x512xf32>) -> tensor<512x512xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %w = lutra.weight "w" from "m.onnx"[0, 2097152] storage tensor<2x512x512xf32> : tensor<2x512x512xf32>
  %y = scf.for %d = %c0 to %c2 step %c1 iter_args(%s = %x) -> (tensor<512x512xf32>) {
    %r = tensor.extract_slice %w[%d, 0, 0] [1, 512, 512] [1, 1, 1] : tensor<2x512x512xf32> to tensor<512x512xf32>
    %next = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%s, %r : tensor<512x512xf32>, tensor<512x512xf32>) outs(%s : tensor<512x512xf32>) {
    ^bb0(%l: f32, %q: f32, %o: f32):
      %p = arith.mulf %l, %q : f32
      %t = arith.addf %o, %p : f32
      linalg.yield %t : f32
    } -> tensor<512x512xf32>
    scf.yield %next : tensor<512x512xf32>
  }
  return %y : tensor<512x512xf32>
}
}

// -----

// expected-error @below {{expected the attribute 'lutra.target' on the module}}
module {}

// -----

// Rows 3 KiB apart are walked as they lie; rows of values that a few tiles read
// are not copied either.

#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
// CHECK-DAG: #[[A:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG: #[[B:.*]] = affine_map<(d0, d1, d2) -> (d2, d1)>
// CHECK-LABEL: func @streams
// CHECK-SAME: (%[[X:.*]]: tensor<512x768xf32>, %[[V:.*]]: tensor<768x64xf32>)
// CHECK: linalg.generic {indexing_maps = [#[[A]], #[[B]], {{.*}} ins(%[[X]], %[[V]]
module attributes {lutra.target = #lutra.target<triple = "x86_64-linux-gnu", cpu = "znver4", features = "", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
func.func @streams(%x: tensor<512x768xf32>, %v: tensor<768x64xf32>) -> tensor<512x64xf32> {
  %e = tensor.empty() : tensor<512x64xf32>
  %y = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %v : tensor<512x768xf32>, tensor<768x64xf32>) outs(%e : tensor<512x64xf32>) {
  ^bb0(%l: f32, %r: f32, %acc: f32):
    %p = arith.mulf %l, %r : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<512x64xf32>
  return %y : tensor<512x64xf32>
}
}

// -----

#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(i, j) -> (i, j)>
#turned = affine_map<(i, j) -> (j, i)>
#row = affine_map<(i, j) -> (i)>
#id3 = affine_map<(h, i, j) -> (h, i, j)>
#moved = affine_map<(h, i, j) -> (i, j, h)>
#a3 = affine_map<(h, m, n, k) -> (h, m, k)>
#b3 = affine_map<(h, m, n, k) -> (h, k, n)>
#c3 = affine_map<(h, m, n, k) -> (h, m, n)>
// CHECK-DAG: #[[X:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2 * 2 + d3)>
// CHECK-DAG: #[[W:.*]] = affine_map<(d0, d1, d2, d3) -> (d1 floordiv 32, d2, d1 mod 32, d3)>
// CHECK-DAG: #[[Z:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1)>
// CHECK-DAG: #[[PLAIN:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG: #[[TURNED:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-DAG: #[[SUMS:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
module attributes {lutra.target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "znver4", features = "+avx512bf16,+avx512vl", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
// Pairs of bf16 are multiplied at once: those of the weight lie side by side for
// each column, and the members of a pair are a loop. The rows stay as they lie.
// CHECK-LABEL: func.func @pairs(
// CHECK-SAME: %[[ROWS:.*]]: tensor<64x130xbf16>
// CHECK: %[[PACKED:.*]] = lutra.weight {{.*}} steps [#lutra.pack<dim = 1, tile = 32, outer = 0>, #lutra.pack<dim = 1, tile = 2, outer = 1>] : tensor<3x65x32x2xbf16>
// CHECK: linalg.generic {indexing_maps = [#[[X]], #[[W]], #[[Z]]], iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%[[ROWS]], %[[PACKED]] :
func.func @pairs(%x: tensor<64x130xbf16>, %sums: tensor<64x70xf32>) -> tensor<64x70xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 18200] storage tensor<130x70xbf16> : tensor<130x70xbf16>
  %r = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<64x130xbf16>, tensor<130x70xbf16>) outs(%sums : tensor<64x70xf32>) {
  ^bb0(%i: bf16, %j: bf16, %s: f32):
    %0 = arith.extf %i : bf16 to f32
    %1 = arith.extf %j : bf16 to f32
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.addf %s, %2 : f32
    linalg.yield %3 : f32
  } -> tensor<64x70xf32>
  return %r : tensor<64x70xf32>
}

// What is no weight is put into pairs where it is read.
// CHECK-LABEL: func.func @computed_pairs(
// CHECK-SAME: %[[LEFT:[a-z0-9]*]]: tensor<512x130xbf16>, %[[RIGHT:[a-z0-9]*]]: tensor<130x256xbf16>
// CHECK-NOT: tensor.empty
// CHECK: linalg.generic {{.*}} ins(%[[LEFT]], %[[RIGHT]] :
func.func @computed_pairs(%x: tensor<512x130xbf16>, %y: tensor<130x256xbf16>, %sums: tensor<512x256xf32>) -> tensor<512x256xf32> {
  %r = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : tensor<512x130xbf16>, tensor<130x256xbf16>) outs(%sums : tensor<512x256xf32>) {
  ^bb0(%i: bf16, %j: bf16, %s: f32):
    %0 = arith.extf %i : bf16 to f32
    %1 = arith.extf %j : bf16 to f32
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.addf %s, %2 : f32
    linalg.yield %3 : f32
  } -> tensor<512x256xf32>
  return %r : tensor<512x256xf32>
}

// A transposition of columns is read through, unless neither these nor the
// reduction are innermost behind it.
// CHECK-LABEL: func.func @transposed(
// CHECK-SAME: %[[LEFT:[a-z0-9]*]]: tensor<64x130xbf16>, %[[RIGHT:[a-z0-9]*]]: tensor<70x130xbf16>
// CHECK: linalg.generic {indexing_maps = [#[[PLAIN]], #[[TURNED]], #[[SUMS]]], {{.*}} ins(%[[LEFT]], %[[RIGHT]] :
func.func @transposed(%x: tensor<64x130xbf16>, %y: tensor<70x130xbf16>, %sums: tensor<64x70xf32>) -> tensor<64x70xf32> {
  %e = tensor.empty() : tensor<130x70xbf16>
  %t = linalg.generic {indexing_maps = [#turned, #id], iterator_types = ["parallel", "parallel"]} ins(%y : tensor<70x130xbf16>) outs(%e : tensor<130x70xbf16>) {
  ^bb0(%i: bf16, %o: bf16):
    linalg.yield %i : bf16
  } -> tensor<130x70xbf16>
  %r = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %t : tensor<64x130xbf16>, tensor<130x70xbf16>) outs(%sums : tensor<64x70xf32>) {
  ^bb0(%i: bf16, %j: bf16, %s: f32):
    %0 = arith.extf %i : bf16 to f32
    %1 = arith.extf %j : bf16 to f32
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.addf %s, %2 : f32
    linalg.yield %3 : f32
  } -> tensor<64x70xf32>
  return %r : tensor<64x70xf32>
}

// CHECK-LABEL: func.func @batch_innermost(
// CHECK: %[[MOVED:.*]] = linalg.generic
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[MOVED]] :
func.func @batch_innermost(%x: tensor<8x64x130xbf16>, %y: tensor<130x70x8xbf16>, %sums: tensor<8x64x70xf32>) -> tensor<8x64x70xf32> {
  %e = tensor.empty() : tensor<8x130x70xbf16>
  %t = linalg.generic {indexing_maps = [#moved, #id3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%y : tensor<130x70x8xbf16>) outs(%e : tensor<8x130x70xbf16>) {
  ^bb0(%i: bf16, %o: bf16):
    linalg.yield %i : bf16
  } -> tensor<8x130x70xbf16>
  %r = linalg.generic {indexing_maps = [#a3, #b3, #c3], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %t : tensor<8x64x130xbf16>, tensor<8x130x70xbf16>) outs(%sums : tensor<8x64x70xf32>) {
  ^bb0(%i: bf16, %j: bf16, %s: f32):
    %0 = arith.extf %i : bf16 to f32
    %1 = arith.extf %j : bf16 to f32
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.addf %s, %2 : f32
    linalg.yield %3 : f32
  } -> tensor<8x64x70xf32>
  return %r : tensor<8x64x70xf32>
}

// Columns that are all the same stay a factor that has columns.
// CHECK-LABEL: func.func @repeated(
// CHECK: %[[ALL:.*]] = linalg.generic
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[ALL]] :
func.func @repeated(%x: tensor<64x130xbf16>, %y: tensor<130xbf16>, %sums: tensor<64x70xf32>) -> tensor<64x70xf32> {
  %e = tensor.empty() : tensor<130x70xbf16>
  %t = linalg.generic {indexing_maps = [#row, #id], iterator_types = ["parallel", "parallel"]} ins(%y : tensor<130xbf16>) outs(%e : tensor<130x70xbf16>) {
  ^bb0(%i: bf16, %o: bf16):
    linalg.yield %i : bf16
  } -> tensor<130x70xbf16>
  %r = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %t : tensor<64x130xbf16>, tensor<130x70xbf16>) outs(%sums : tensor<64x70xf32>) {
  ^bb0(%i: bf16, %j: bf16, %s: f32):
    %0 = arith.extf %i : bf16 to f32
    %1 = arith.extf %j : bf16 to f32
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.addf %s, %2 : f32
    linalg.yield %3 : f32
  } -> tensor<64x70xf32>
  return %r : tensor<64x70xf32>
}
}
