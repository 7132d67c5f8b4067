// RUN: lutra-opt %s --pass-pipeline='builtin.module(func.func(raise-cascades,canonicalize,cse))' | FileCheck %s
// RUN: lutra-opt %s --pass-pipeline='builtin.module(func.func(raise-cascades,canonicalize,cse),count-passes)' -o %t.mlir 2>&1 | FileCheck %s --check-prefix=PASSES

// What is gathered in blocks is read where it lies; reshapes say which block a coordinate is of.

#q = affine_map<(p, m, e) -> (p, e)>
#k = affine_map<(p, m, e) -> (m, e)>
#s = affine_map<(p, m, e) -> (p, m)>
#table = affine_map<(n, m, e) -> (n)>
#id = affine_map<(n, m, e) -> (n, m, e)>
#row = affine_map<(m, e) -> (m)>
#id2 = affine_map<(m, e) -> (m, e)>
#a = affine_map<(p, f, m) -> (p, m)>
#v = affine_map<(p, f, m) -> (m, f)>
#o = affine_map<(p, f, m) -> (p, f)>

// CHECK: #[[BLOCK:.*]] = affine_map<()[s0] -> (s0 floordiv 16)>
// CHECK: #[[WITHIN:.*]] = affine_map<()[s0] -> (s0 mod 16)>
// CHECK-LABEL: func.func @blocks
// CHECK-NOT: linalg.generic
// CHECK: cascade.cascade reassoc
// CHECK: %[[K:.*]] = cascade.einsum [m, e] () -> [m, e] {
// CHECK: %[[M:.*]] = cascade.index "m"
// CHECK: %[[E:.*]] = cascade.index "e"
// CHECK: %[[N:.*]] = affine.apply #[[BLOCK]]()[%[[M]]]
// CHECK: %[[AT:.*]] = tensor.extract %arg2[%[[N]]] : tensor<16xi64>
// CHECK: %[[PAGE:.*]] = arith.index_cast %[[AT]]
// CHECK: %[[IN:.*]] = affine.apply #[[WITHIN]]()[%[[M]]]
// CHECK: tensor.extract %arg1[%[[PAGE]], %[[IN]], %[[E]]] : tensor<40x16x64xf32>
// CHECK: cascade.einsum [p, m, e] (%arg0[p, e], %[[K]][m, e]) reduce(add) -> [p, m]
// PASSES-LABEL: cascade cascade0 in @blocks
// PASSES: over m {{.*}}table 1, k_pool 1
func.func @blocks(%q: tensor<8x64xf32>, %pool: tensor<40x16x64xf32> {lutra.name = "k_pool"}, %table: tensor<16xi64> {lutra.name = "table"}, %v: tensor<256x32xf32>) -> tensor<8x32xf32> {
  %zero = arith.constant 0.0 : f32
  %ek = tensor.empty() : tensor<16x16x64xf32>
  %g = linalg.generic {indexing_maps = [#table, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%table : tensor<16xi64>) outs(%ek : tensor<16x16x64xf32>) {
  ^bb0(%x: i64, %y: f32):
    %page = arith.index_cast %x : i64 to index
    %m = linalg.index 1 : index
    %e = linalg.index 2 : index
    %z = tensor.extract %pool[%page, %m, %e] : tensor<40x16x64xf32>
    linalg.yield %z : f32
  } -> tensor<16x16x64xf32>
  %k = tensor.collapse_shape %g [[0, 1], [2]] : tensor<16x16x64xf32> into tensor<256x64xf32>
  %es = tensor.empty() : tensor<8x256xf32>
  %fs = linalg.fill ins(%zero : f32) outs(%es : tensor<8x256xf32>) -> tensor<8x256xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<8x64xf32>, tensor<256x64xf32>) outs(%fs : tensor<8x256xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x256xf32>
  %eo = tensor.empty() : tensor<8x32xf32>
  %fo = linalg.fill ins(%zero : f32) outs(%eo : tensor<8x32xf32>) -> tensor<8x32xf32>
  %o = linalg.generic {indexing_maps = [#a, #v, #o], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%s, %v : tensor<8x256xf32>, tensor<256x32xf32>) outs(%fo : tensor<8x32xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x32xf32>
  return %o : tensor<8x32xf32>
}

// Single rows are joined before, unless that is wider than they are.
// CHECK-LABEL: func.func @rows
// CHECK: %[[K:.*]] = linalg.generic
// CHECK: tensor.extract
// CHECK: cascade.einsum [p, m, e] (%arg0[p, e], %[[K]][m, e]) reduce(add) -> [p, m]
func.func @rows(%q: tensor<8x64xf32>, %pool: tensor<400x64xf32>, %table: tensor<256xi64>, %v: tensor<256x32xf32>) -> tensor<8x32xf32> {
  %zero = arith.constant 0.0 : f32
  %ek = tensor.empty() : tensor<256x64xf32>
  %k = linalg.generic {indexing_maps = [#row, #id2], iterator_types = ["parallel", "parallel"]}
      ins(%table : tensor<256xi64>) outs(%ek : tensor<256x64xf32>) {
  ^bb0(%x: i64, %y: f32):
    %at = arith.index_cast %x : i64 to index
    %e = linalg.index 1 : index
    %z = tensor.extract %pool[%at, %e] : tensor<400x64xf32>
    linalg.yield %z : f32
  } -> tensor<256x64xf32>
  %es = tensor.empty() : tensor<8x256xf32>
  %fs = linalg.fill ins(%zero : f32) outs(%es : tensor<8x256xf32>) -> tensor<8x256xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<8x64xf32>, tensor<256x64xf32>) outs(%fs : tensor<8x256xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x256xf32>
  %eo = tensor.empty() : tensor<8x32xf32>
  %fo = linalg.fill ins(%zero : f32) outs(%eo : tensor<8x32xf32>) -> tensor<8x32xf32>
  %o = linalg.generic {indexing_maps = [#a, #v, #o], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%s, %v : tensor<8x256xf32>, tensor<256x32xf32>) outs(%fo : tensor<8x32xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x32xf32>
  return %o : tensor<8x32xf32>
}

// What makes numbers of codes is done to them, scales that are gathered too, behind a reshape.
// CHECK-LABEL: func.func @codes
// CHECK-NOT: linalg.generic
// CHECK: %[[K:.*]] = cascade.einsum [m, e] () -> [m, e] {
// CHECK: %[[CODE:.*]] = tensor.extract %arg1[{{.*}}] : tensor<40x16x64xi8>
// CHECK: %[[X:.*]] = arith.sitofp %[[CODE]]
// CHECK: %[[SCALE:.*]] = tensor.extract %arg4[{{.*}}] : tensor<40x16xf32>
// CHECK: arith.mulf %[[X]], %[[SCALE]]
// CHECK: cascade.einsum [p, m, e] (%arg0[p, e], %[[K]][m, e]) reduce(add) -> [p, m]
func.func @codes(%q: tensor<8x64xf32>, %pool: tensor<40x16x64xi8>, %table: tensor<16xi64>, %v: tensor<256x32xf32>, %scales: tensor<40x16xf32>) -> tensor<8x32xf32> {
  %zero = arith.constant 0.0 : f32
  %ec = tensor.empty() : tensor<16x16x64xi8>
  %ek = tensor.empty() : tensor<16x16x64xf32>
  %c = linalg.generic {indexing_maps = [#table, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%table : tensor<16xi64>) outs(%ec : tensor<16x16x64xi8>) {
  ^bb0(%x: i64, %y: i8):
    %page = arith.index_cast %x : i64 to index
    %m = linalg.index 1 : index
    %e = linalg.index 2 : index
    %z = tensor.extract %pool[%page, %m, %e] : tensor<40x16x64xi8>
    linalg.yield %z : i8
  } -> tensor<16x16x64xi8>
  %g = linalg.generic {indexing_maps = [#id, #table, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%c, %table : tensor<16x16x64xi8>, tensor<16xi64>) outs(%ek : tensor<16x16x64xf32>) {
  ^bb0(%x: i8, %at: i64, %y: f32):
    %page = arith.index_cast %at : i64 to index
    %m = linalg.index 1 : index
    %f = arith.sitofp %x : i8 to f32
    %scale = tensor.extract %scales[%page, %m] : tensor<40x16xf32>
    %z = arith.mulf %f, %scale : f32
    linalg.yield %z : f32
  } -> tensor<16x16x64xf32>
  %k = tensor.collapse_shape %g [[0, 1], [2]] : tensor<16x16x64xf32> into tensor<256x64xf32>
  %es = tensor.empty() : tensor<8x256xf32>
  %fs = linalg.fill ins(%zero : f32) outs(%es : tensor<8x256xf32>) -> tensor<8x256xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<8x64xf32>, tensor<256x64xf32>) outs(%fs : tensor<8x256xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x256xf32>
  %eo = tensor.empty() : tensor<8x32xf32>
  %fo = linalg.fill ins(%zero : f32) outs(%eo : tensor<8x32xf32>) -> tensor<8x32xf32>
  %o = linalg.generic {indexing_maps = [#a, #v, #o], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%s, %v : tensor<8x256xf32>, tensor<256x32xf32>) outs(%fo : tensor<8x32xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x32xf32>
  return %o : tensor<8x32xf32>
}

// What something else reads, too, is in memory anyway.
// CHECK-LABEL: func.func @read_elsewhere
// CHECK: linalg.generic
// CHECK: %[[K:.*]] = tensor.collapse_shape
// CHECK: cascade.einsum [p, m, e] (%arg0[p, e], %[[K]][m, e]) reduce(add) -> [p, m]
func.func @read_elsewhere(%q: tensor<8x64xf32>, %pool: tensor<40x16x64xf32>, %table: tensor<16xi64>, %v: tensor<256x32xf32>) -> (tensor<8x32xf32>, tensor<256x64xf32>) {
  %zero = arith.constant 0.0 : f32
  %ek = tensor.empty() : tensor<16x16x64xf32>
  %g = linalg.generic {indexing_maps = [#table, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%table : tensor<16xi64>) outs(%ek : tensor<16x16x64xf32>) {
  ^bb0(%x: i64, %y: f32):
    %page = arith.index_cast %x : i64 to index
    %m = linalg.index 1 : index
    %e = linalg.index 2 : index
    %z = tensor.extract %pool[%page, %m, %e] : tensor<40x16x64xf32>
    linalg.yield %z : f32
  } -> tensor<16x16x64xf32>
  %k = tensor.collapse_shape %g [[0, 1], [2]] : tensor<16x16x64xf32> into tensor<256x64xf32>
  %es = tensor.empty() : tensor<8x256xf32>
  %fs = linalg.fill ins(%zero : f32) outs(%es : tensor<8x256xf32>) -> tensor<8x256xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<8x64xf32>, tensor<256x64xf32>) outs(%fs : tensor<8x256xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x256xf32>
  %eo = tensor.empty() : tensor<8x32xf32>
  %fo = linalg.fill ins(%zero : f32) outs(%eo : tensor<8x32xf32>) -> tensor<8x32xf32>
  %o = linalg.generic {indexing_maps = [#a, #v, #o], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%s, %v : tensor<8x256xf32>, tensor<256x32xf32>) outs(%fo : tensor<8x32xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x32xf32>
  return %o, %k : tensor<8x32xf32>, tensor<256x64xf32>
}
