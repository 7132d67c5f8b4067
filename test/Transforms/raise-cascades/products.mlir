// RUN: lutra-opt %s --pass-pipeline='builtin.module(func.func(raise-cascades,canonicalize,cse))' | FileCheck %s

// Two products with a map between them need no pass before another.

#q = affine_map<(p, m, e) -> (p, e)>
#k = affine_map<(p, m, e) -> (m, e)>
#s = affine_map<(p, m, e) -> (p, m)>
#id = affine_map<(p, m) -> (p, m)>
#row = affine_map<(p, m) -> (p)>
#a = affine_map<(p, f, m) -> (p, m)>
#v = affine_map<(p, f, m) -> (m, f)>
#o = affine_map<(p, f, m) -> (p, f)>
#out = affine_map<(p, f) -> (p, f)>
#outrow = affine_map<(p, f) -> (p)>

// What is between them is longer than what a row reads and writes. A sum of it
// and what joins the results belong to the cascade.
// CHECK-LABEL: func.func @between
// CHECK: cascade.cascade reassoc ranks(p = 8, f = 32, m = 256, e = 64) {
// CHECK: cascade.einsum [p, m, e] (%arg0[p, e], %arg1[m, e]) reduce(add) -> [p, m]
// CHECK: arith.maximumf
// CHECK: cascade.einsum [p, f, m] (%{{.*}}[p, m], %arg2[m, f]) reduce(add) -> [p, f]
// CHECK: cascade.einsum [p, m] (%{{.*}}[p, m]) reduce(add) -> [p]
// CHECK: arith.divf
// CHECK: cascade.yield %{{.*}} : tensor<8x32xf32>
// CHECK-NOT: linalg.generic
func.func @between(%q: tensor<8x64xf32>, %k: tensor<256x64xf32>, %v: tensor<256x32xf32>) -> tensor<8x32xf32> {
  %zero = arith.constant 0.0 : f32
  %es = tensor.empty() : tensor<8x256xf32>
  %fs = linalg.fill ins(%zero : f32) outs(%es : tensor<8x256xf32>) -> tensor<8x256xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<8x64xf32>, tensor<256x64xf32>) outs(%fs : tensor<8x256xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x256xf32>
  %t = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<8x256xf32>) outs(%es : tensor<8x256xf32>) {
  ^bb0(%x: f32, %y: f32):
    %z = arith.maximumf %x, %zero : f32
    linalg.yield %z : f32
  } -> tensor<8x256xf32>
  %eo = tensor.empty() : tensor<8x32xf32>
  %fo = linalg.fill ins(%zero : f32) outs(%eo : tensor<8x32xf32>) -> tensor<8x32xf32>
  %o = linalg.generic {indexing_maps = [#a, #v, #o], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%t, %v : tensor<8x256xf32>, tensor<256x32xf32>) outs(%fo : tensor<8x32xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x32xf32>
  %er = tensor.empty() : tensor<8xf32>
  %fr = linalg.fill ins(%zero : f32) outs(%er : tensor<8xf32>) -> tensor<8xf32>
  %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%t : tensor<8x256xf32>) outs(%fr : tensor<8xf32>) {
  ^bb0(%x: f32, %acc: f32):
    %z = arith.addf %acc, %x : f32
    linalg.yield %z : f32
  } -> tensor<8xf32>
  %d = linalg.generic {indexing_maps = [#out, #outrow, #out], iterator_types = ["parallel", "parallel"]}
      ins(%o, %sum : tensor<8x32xf32>, tensor<8xf32>) outs(%eo : tensor<8x32xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.divf %x, %y : f32
    linalg.yield %z : f32
  } -> tensor<8x32xf32>
  return %d : tensor<8x32xf32>
}

// As long as these, nothing is gained.
// CHECK-LABEL: func.func @short
// CHECK-NOT: cascade.cascade
func.func @short(%q: tensor<8x64xf32>, %k: tensor<96x64xf32>, %v: tensor<96x32xf32>) -> tensor<8x32xf32> {
  %zero = arith.constant 0.0 : f32
  %es = tensor.empty() : tensor<8x96xf32>
  %fs = linalg.fill ins(%zero : f32) outs(%es : tensor<8x96xf32>) -> tensor<8x96xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<8x64xf32>, tensor<96x64xf32>) outs(%fs : tensor<8x96xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x96xf32>
  %t = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<8x96xf32>) outs(%es : tensor<8x96xf32>) {
  ^bb0(%x: f32, %y: f32):
    %z = arith.maximumf %x, %zero : f32
    linalg.yield %z : f32
  } -> tensor<8x96xf32>
  %eo = tensor.empty() : tensor<8x32xf32>
  %fo = linalg.fill ins(%zero : f32) outs(%eo : tensor<8x32xf32>) -> tensor<8x32xf32>
  %o = linalg.generic {indexing_maps = [#a, #v, #o], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%t, %v : tensor<8x96xf32>, tensor<96x32xf32>) outs(%fo : tensor<8x32xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x32xf32>
  return %o : tensor<8x32xf32>
}

// One more, and something is.
// CHECK-LABEL: func.func @longer
// CHECK: cascade.cascade
func.func @longer(%q: tensor<8x64xf32>, %k: tensor<97x64xf32>, %v: tensor<97x32xf32>) -> tensor<8x32xf32> {
  %zero = arith.constant 0.0 : f32
  %es = tensor.empty() : tensor<8x97xf32>
  %fs = linalg.fill ins(%zero : f32) outs(%es : tensor<8x97xf32>) -> tensor<8x97xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<8x64xf32>, tensor<97x64xf32>) outs(%fs : tensor<8x97xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x97xf32>
  %t = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<8x97xf32>) outs(%es : tensor<8x97xf32>) {
  ^bb0(%x: f32, %y: f32):
    %z = arith.maximumf %x, %zero : f32
    linalg.yield %z : f32
  } -> tensor<8x97xf32>
  %eo = tensor.empty() : tensor<8x32xf32>
  %fo = linalg.fill ins(%zero : f32) outs(%eo : tensor<8x32xf32>) -> tensor<8x32xf32>
  %o = linalg.generic {indexing_maps = [#a, #v, #o], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%t, %v : tensor<8x97xf32>, tensor<97x32xf32>) outs(%fo : tensor<8x32xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x32xf32>
  return %o : tensor<8x32xf32>
}

// More than a tile of rows can hold.
// CHECK-LABEL: func.func @deep
// CHECK-NOT: cascade.cascade
func.func @deep(%q: tensor<8x640xf32>, %k: tensor<4096x640xf32>, %v: tensor<4096x32xf32>) -> tensor<8x32xf32> {
  %zero = arith.constant 0.0 : f32
  %es = tensor.empty() : tensor<8x4096xf32>
  %fs = linalg.fill ins(%zero : f32) outs(%es : tensor<8x4096xf32>) -> tensor<8x4096xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<8x640xf32>, tensor<4096x640xf32>) outs(%fs : tensor<8x4096xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x4096xf32>
  %t = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<8x4096xf32>) outs(%es : tensor<8x4096xf32>) {
  ^bb0(%x: f32, %y: f32):
    %z = arith.maximumf %x, %zero : f32
    linalg.yield %z : f32
  } -> tensor<8x4096xf32>
  %eo = tensor.empty() : tensor<8x32xf32>
  %fo = linalg.fill ins(%zero : f32) outs(%eo : tensor<8x32xf32>) -> tensor<8x32xf32>
  %o = linalg.generic {indexing_maps = [#a, #v, #o], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%t, %v : tensor<8x4096xf32>, tensor<4096x32xf32>) outs(%fo : tensor<8x32xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x32xf32>
  return %o : tensor<8x32xf32>
}

// The same, of results.
// CHECK-LABEL: func.func @wide
// CHECK-NOT: cascade.cascade
func.func @wide(%q: tensor<8x64xf32>, %k: tensor<4096x64xf32>, %v: tensor<4096x640xf32>) -> tensor<8x640xf32> {
  %zero = arith.constant 0.0 : f32
  %es = tensor.empty() : tensor<8x4096xf32>
  %fs = linalg.fill ins(%zero : f32) outs(%es : tensor<8x4096xf32>) -> tensor<8x4096xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<8x64xf32>, tensor<4096x64xf32>) outs(%fs : tensor<8x4096xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x4096xf32>
  %t = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<8x4096xf32>) outs(%es : tensor<8x4096xf32>) {
  ^bb0(%x: f32, %y: f32):
    %z = arith.maximumf %x, %zero : f32
    linalg.yield %z : f32
  } -> tensor<8x4096xf32>
  %eo = tensor.empty() : tensor<8x640xf32>
  %fo = linalg.fill ins(%zero : f32) outs(%eo : tensor<8x640xf32>) -> tensor<8x640xf32>
  %o = linalg.generic {indexing_maps = [#a, #v, #o], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%t, %v : tensor<8x4096xf32>, tensor<4096x640xf32>) outs(%fo : tensor<8x640xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x640xf32>
  return %o : tensor<8x640xf32>
}

// Weights are packed for their products, however they are written.
// CHECK-LABEL: func.func @weights
// CHECK-NOT: cascade.cascade
func.func @weights(%q: tensor<8x64xf32>) -> tensor<8x32xf32> {
  %k = arith.constant dense<0.5> : tensor<256x64xf32>
  %wv = arith.constant dense<0.5> : tensor<32x256xf32>
  %ev = tensor.empty() : tensor<256x32xf32>
  %v = linalg.generic {indexing_maps = [affine_map<(m, f) -> (f, m)>, #id], iterator_types = ["parallel", "parallel"]}
      ins(%wv : tensor<32x256xf32>) outs(%ev : tensor<256x32xf32>) {
  ^bb0(%x: f32, %y: f32):
    %z = arith.addf %x, %x : f32
    linalg.yield %z : f32
  } -> tensor<256x32xf32>
  %zero = arith.constant 0.0 : f32
  %es = tensor.empty() : tensor<8x256xf32>
  %fs = linalg.fill ins(%zero : f32) outs(%es : tensor<8x256xf32>) -> tensor<8x256xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<8x64xf32>, tensor<256x64xf32>) outs(%fs : tensor<8x256xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x256xf32>
  %t = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<8x256xf32>) outs(%es : tensor<8x256xf32>) {
  ^bb0(%x: f32, %y: f32):
    %z = arith.maximumf %x, %zero : f32
    linalg.yield %z : f32
  } -> tensor<8x256xf32>
  %eo = tensor.empty() : tensor<8x32xf32>
  %fo = linalg.fill ins(%zero : f32) outs(%eo : tensor<8x32xf32>) -> tensor<8x32xf32>
  %o = linalg.generic {indexing_maps = [#a, #v, #o], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%t, %v : tensor<8x256xf32>, tensor<256x32xf32>) outs(%fo : tensor<8x32xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x32xf32>
  return %o : tensor<8x32xf32>
}

// What is between them is a result, too, and in memory anyway.
// CHECK-LABEL: func.func @read_elsewhere
// CHECK-NOT: cascade.cascade
func.func @read_elsewhere(%q: tensor<8x64xf32>, %k: tensor<256x64xf32>, %v: tensor<256x32xf32>) -> (tensor<8x32xf32>, tensor<8x256xf32>) {
  %zero = arith.constant 0.0 : f32
  %es = tensor.empty() : tensor<8x256xf32>
  %fs = linalg.fill ins(%zero : f32) outs(%es : tensor<8x256xf32>) -> tensor<8x256xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<8x64xf32>, tensor<256x64xf32>) outs(%fs : tensor<8x256xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x256xf32>
  %t = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<8x256xf32>) outs(%es : tensor<8x256xf32>) {
  ^bb0(%x: f32, %y: f32):
    %z = arith.maximumf %x, %zero : f32
    linalg.yield %z : f32
  } -> tensor<8x256xf32>
  %eo = tensor.empty() : tensor<8x32xf32>
  %fo = linalg.fill ins(%zero : f32) outs(%eo : tensor<8x32xf32>) -> tensor<8x32xf32>
  %o = linalg.generic {indexing_maps = [#a, #v, #o], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%t, %v : tensor<8x256xf32>, tensor<256x32xf32>) outs(%fo : tensor<8x32xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<8x32xf32>
  return %o, %t : tensor<8x32xf32>, tensor<8x256xf32>
}
