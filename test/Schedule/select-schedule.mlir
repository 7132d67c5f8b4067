// RUN: lutra-opt %s -select-schedule --split-input-file --verify-diagnostics | FileCheck %s

#a = affine_map<(m, n, k) -> (m, k)>
#packed = affine_map<(m, n, k) -> (n floordiv 32, k, n mod 32)>
#packed12 = affine_map<(m, k) -> (m floordiv 12, k, m mod 12)>
#c = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
#avx512 = #lutra.target<triple = "x86_64-linux-gnu", cpu = "znver4", features = "", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>
module attributes {lutra.target = #avx512} {

// Register tiles as the operand was packed for; n outside m, so that a panel of
// b stays while the rows pass. A sixth of the columns is a task.
// CHECK-LABEL: func private @contract
// CHECK-SAME: #lutra.schedule<distribute = [{{[0-9]+}}, 192, 0], tile = [{{[0-9]+}}, 32, 0], order = [1, 0], vector = 16>
func.func private @contract(%x: tensor<?x512xf32>, %w: tensor<32x512x32xf32>, %o: tensor<?x1024xf32>) -> tensor<?x1024xf32> attributes {lutra.kernel} {
  %y = linalg.generic {indexing_maps = [#a, #packed, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<?x512xf32>, tensor<32x512x32xf32>) outs(%o : tensor<?x1024xf32>) {
  ^bb0(%l: f32, %r: f32, %acc: f32):
    %p = arith.mulf %l, %r : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x1024xf32>
  return %y : tensor<?x1024xf32>
}

// Panels that are deeper than caches hold beside rows: blocks of the reduction,
// and of rows that fetch panels ahead.
// CHECK-LABEL: func private @deep
// CHECK-SAME: #lutra.schedule<distribute = [132, 192, 0], tile = [], order = [], vector = 16, depth = 320>
func.func private @deep(%x: tensor<?x4096xf32>, %w: tensor<32x4096x32xf32>, %o: tensor<?x1024xf32>) -> tensor<?x1024xf32> attributes {lutra.kernel} {
  %y = linalg.generic {indexing_maps = [#a, #packed, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<?x4096xf32>, tensor<32x4096x32xf32>) outs(%o : tensor<?x1024xf32>) {
  ^bb0(%l: f32, %r: f32, %acc: f32):
    %p = arith.mulf %l, %r : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x1024xf32>
  return %y : tensor<?x1024xf32>
}

// One tile of rows reads them once.
// CHECK-LABEL: func private @deep_for_few
// CHECK-NOT: depth
func.func private @deep_for_few(%x: tensor<8x4096xf32>, %w: tensor<32x4096x32xf32>, %o: tensor<8x1024xf32>) -> tensor<8x1024xf32> attributes {lutra.kernel} {
  %y = linalg.generic {indexing_maps = [#a, #packed, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<8x4096xf32>, tensor<32x4096x32xf32>) outs(%o : tensor<8x1024xf32>) {
  ^bb0(%l: f32, %r: f32, %acc: f32):
    %p = arith.mulf %l, %r : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<8x1024xf32>
  return %y : tensor<8x1024xf32>
}

// Whole rows: 20 of 100 elements in a tile, with 20 that are written half of the
// first-level cache, and 327 for a thread.
// CHECK-LABEL: func private @rows
// CHECK-SAME: #lutra.schedule<distribute = [327, 0], tile = [20, 0], order = [0], vector = 16>
func.func private @rows(%n: index, %x: tensor<?x100xf32>, %out: tensor<?x100xf32>) -> tensor<?x100xf32>
    attributes {lutra.kernel, lutra.rows = array<i64: 0>} {
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %r = tensor.empty(%n) : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?x100xf32>
  %m0 = linalg.fill ins(%low : f32) outs(%r : tensor<?xf32>) -> tensor<?xf32>
  %m = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<?x100xf32>) outs(%m0 : tensor<?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = arith.maximumf %i, %o : f32
    linalg.yield %v : f32
  } -> tensor<?xf32>
  %p = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %m : tensor<?x100xf32>, tensor<?xf32>) outs(%e : tensor<?x100xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %d = arith.subf %i, %j : f32
    %v = math.exp %d : f32
    linalg.yield %v : f32
  } -> tensor<?x100xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%r : tensor<?xf32>) -> tensor<?xf32>
  %s = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%p : tensor<?x100xf32>) outs(%s0 : tensor<?xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = arith.addf %i, %o : f32
    linalg.yield %v : f32
  } -> tensor<?xf32>
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %s : tensor<?x100xf32>, tensor<?xf32>) outs(%out : tensor<?x100xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %v = arith.divf %i, %j : f32
    linalg.yield %v : f32
  } -> tensor<?x100xf32>
  return %y : tensor<?x100xf32>
}

// Rows that come from memory: tiles of a few.
// CHECK-LABEL: func private @many_rows
// CHECK-SAME: tile = [4, 0]
func.func private @many_rows(%x: tensor<100000x100xf32>, %out: tensor<100000x100xf32>) -> tensor<100000x100xf32>
    attributes {lutra.kernel, lutra.rows = array<i64: 0>} {
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %r = tensor.empty() : tensor<100000xf32>
  %e = tensor.empty() : tensor<100000x100xf32>
  %m0 = linalg.fill ins(%low : f32) outs(%r : tensor<100000xf32>) -> tensor<100000xf32>
  %m = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<100000x100xf32>) outs(%m0 : tensor<100000xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = arith.maximumf %i, %o : f32
    linalg.yield %v : f32
  } -> tensor<100000xf32>
  %p = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %m : tensor<100000x100xf32>, tensor<100000xf32>) outs(%e : tensor<100000x100xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %d = arith.subf %i, %j : f32
    %v = math.exp %d : f32
    linalg.yield %v : f32
  } -> tensor<100000x100xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%r : tensor<100000xf32>) -> tensor<100000xf32>
  %s = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%p : tensor<100000x100xf32>) outs(%s0 : tensor<100000xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = arith.addf %i, %o : f32
    linalg.yield %v : f32
  } -> tensor<100000xf32>
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %s : tensor<100000x100xf32>, tensor<100000xf32>) outs(%out : tensor<100000x100xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %v = arith.divf %i, %j : f32
    linalg.yield %v : f32
  } -> tensor<100000x100xf32>
  return %y : tensor<100000x100xf32>
}

// CHECK-LABEL: func private @map
// CHECK-SAME: #lutra.schedule<distribute = [512, 0], tile = [], order = [], vector = 8>
func.func private @map(%x: tensor<?x64xf32>, %o: tensor<?x64xf64>) -> tensor<?x64xf64> attributes {lutra.kernel} {
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<?x64xf32>) outs(%o : tensor<?x64xf64>) {
  ^bb0(%l: f32, %acc: f64):
    %p = arith.extf %l : f32 to f64
    linalg.yield %p : f64
  } -> tensor<?x64xf64>
  return %y : tensor<?x64xf64>
}

// Packing for another kernel: tiles begin where packed tiles begin.
// CHECK-LABEL: func private @pack
// CHECK-SAME: distribute = [132, 0]
func.func private @pack(%x: tensor<256x256xf32>, %o: tensor<22x256x12xf32>) -> tensor<22x256x12xf32> attributes {lutra.kernel} {
  %y = linalg.generic {indexing_maps = [#id, #packed12], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<256x256xf32>) outs(%o : tensor<22x256x12xf32>) {
  ^bb0(%l: f32, %acc: f32):
    linalg.yield %l : f32
  } -> tensor<22x256x12xf32>
  return %y : tensor<22x256x12xf32>
}

// What is read across rows comes in tiles that are transposed in registers: of long
// rows a task takes a piece.
// CHECK-LABEL: func private @turned
// CHECK-SAME: distribute = [64, 512]
func.func private @turned(%x: tensor<4096x4096xf32>, %o: tensor<4096x4096xf32>) -> tensor<4096x4096xf32> attributes {lutra.kernel} {
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1, d0)>, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4096x4096xf32>) outs(%o : tensor<4096x4096xf32>) {
  ^bb0(%l: f32, %acc: f32):
    linalg.yield %l : f32
  } -> tensor<4096x4096xf32>
  return %y : tensor<4096x4096xf32>
}

// Too little work for a second thread.
// CHECK-LABEL: func private @small
// CHECK-SAME: distribute = [0, 0]
func.func private @small(%x: tensor<8x64xf32>, %o: tensor<8xf32>) -> tensor<8xf32> attributes {lutra.kernel} {
  %y = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<8x64xf32>) outs(%o : tensor<8xf32>) {
  ^bb0(%l: f32, %acc: f32):
    %p = arith.addf %l, %acc : f32
    linalg.yield %p : f32
  } -> tensor<8xf32>
  return %y : tensor<8xf32>
}

// Tiles of a loop that is divided hold whole groups, or lie in one.
// CHECK-LABEL: func private @groups
// CHECK-SAME: distribute = [1, 5, 0]
func.func private @groups(%x: tensor<3x30x4096xf32>, %s: tensor<3x2xf32>, %o: tensor<3x30x4096xf32>) -> tensor<3x30x4096xf32> attributes {lutra.kernel} {
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1 floordiv 15)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x, %s : tensor<3x30x4096xf32>, tensor<3x2xf32>) outs(%o : tensor<3x30x4096xf32>) {
  ^bb0(%l: f32, %r: f32, %acc: f32):
    %p = arith.mulf %l, %r : f32
    linalg.yield %p : f32
  } -> tensor<3x30x4096xf32>
  return %y : tensor<3x30x4096xf32>
}

// A loop that never turns is not cut.
// CHECK-LABEL: func private @nothing
// CHECK-SAME: distribute = [0, 0]
func.func private @nothing(%x: tensor<0x?xf32>, %o: tensor<0x?xf32>) -> tensor<0x?xf32> attributes {lutra.kernel} {
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<0x?xf32>) outs(%o : tensor<0x?xf32>) {
  ^bb0(%l: f32, %acc: f32):
    linalg.yield %l : f32
  } -> tensor<0x?xf32>
  return %y : tensor<0x?xf32>
}

// A loop for each rank of a cascade. Rows are tasks, two register tiles wide where 64
// elements of each fit in half of the first-level cache; so does a part of m.
// CHECK-LABEL: func private @cascade
// CHECK-SAME: #lutra.schedule<distribute = [1, 64, 0, 0], tile = [0, 0, 64, 0], order = [], vector = 16>
func.func private @cascade(%p: index, %m: index, %q: tensor<8x64x?xf32>, %k: tensor<8x?x64xf32>, %o: tensor<8x?xf32>) -> tensor<8x?xf32> attributes {lutra.kernel} {
  %y = cascade.cascade reassoc ranks(h = 8, p = %p, m = %m, e = 64) {
    %d0 = cascade.einsum [h, p] () -> [h, p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<8x?xf32>
    %r = cascade.iterate "m" (%key = %k[1]) carry(%d = %d0) : (tensor<8x?x64xf32>), (tensor<8x?xf32>) {
      %qk = cascade.einsum [h, p, m, e] (%q[h, e, p], %key[h, m, e]) reduce(add) -> [h, m, p] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<8x64x?xf32>, tensor<8x?x64xf32>) -> tensor<8x?x?xf32>
      %d1 = cascade.einsum [h, p, m] (%qk[h, m, p]) reduce(max) init(%d) -> [h, p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?x?xf32>) -> tensor<8x?xf32>
      cascade.yield %d1 : tensor<8x?xf32>
    }
    %z = cascade.einsum [h, p] (%r[h, p]) -> [h, p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x?xf32>) -> tensor<8x?xf32>
    cascade.yield %z : tensor<8x?xf32>
  } : tensor<8x?xf32>
  return %y : tensor<8x?xf32>
}

// Bytes of a row that are nearly too many to count with.
// CHECK-LABEL: func private @long_cascade
// CHECK-SAME: #lutra.schedule<distribute = [1, 32, 0, 0], tile = [0, 0, 128, 0], order = [], vector = 16>
func.func private @long_cascade(%p: index, %m: index, %q: tensor<1x72057594037927936x?xf32>, %k: tensor<1x?x72057594037927936xf32>, %o: tensor<1x?xf32>) -> tensor<1x?xf32> attributes {lutra.kernel} {
  %y = cascade.cascade reassoc ranks(h = 1, p = %p, m = %m, e = 72057594037927936) {
    %d0 = cascade.einsum [h, p] () -> [h, p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<1x?xf32>
    %r = cascade.iterate "m" (%key = %k[1]) carry(%d = %d0) : (tensor<1x?x72057594037927936xf32>), (tensor<1x?xf32>) {
      %qk = cascade.einsum [h, p, m, e] (%q[h, e, p], %key[h, m, e]) reduce(add) -> [h, m, p] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<1x72057594037927936x?xf32>, tensor<1x?x72057594037927936xf32>) -> tensor<1x?x?xf32>
      %d1 = cascade.einsum [h, p, m] (%qk[h, m, p]) reduce(max) init(%d) -> [h, p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<1x?x?xf32>) -> tensor<1x?xf32>
      cascade.yield %d1 : tensor<1x?xf32>
    }
    %z = cascade.einsum [h, p] (%r[h, p]) -> [h, p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<1x?xf32>) -> tensor<1x?xf32>
    cascade.yield %z : tensor<1x?xf32>
  } : tensor<1x?xf32>
  return %y : tensor<1x?xf32>
}

// A rank that is little longer than a part is one, so that no state is corrected.
// CHECK-LABEL: func private @short_cascade
// CHECK-SAME: tile = [0, 0, 90, 0]
func.func private @short_cascade(%p: index, %q: tensor<8x64x?xf32>, %k: tensor<8x90x64xf32>, %o: tensor<8x?xf32>) -> tensor<8x?xf32> attributes {lutra.kernel} {
  %y = cascade.cascade reassoc ranks(h = 8, p = %p, m = 90, e = 64) {
    %d0 = cascade.einsum [h, p] () -> [h, p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<8x?xf32>
    %r = cascade.iterate "m" (%key = %k[1]) carry(%d = %d0) : (tensor<8x90x64xf32>), (tensor<8x?xf32>) {
      %qk = cascade.einsum [h, p, m, e] (%q[h, e, p], %key[h, m, e]) reduce(add) -> [h, m, p] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<8x64x?xf32>, tensor<8x?x64xf32>) -> tensor<8x?x?xf32>
      %d1 = cascade.einsum [h, p, m] (%qk[h, m, p]) reduce(max) init(%d) -> [h, p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?x?xf32>) -> tensor<8x?xf32>
      cascade.yield %d1 : tensor<8x?xf32>
    }
    %z = cascade.einsum [h, p] (%r[h, p]) -> [h, p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x?xf32>) -> tensor<8x?xf32>
    cascade.yield %z : tensor<8x?xf32>
  } : tensor<8x?xf32>
  return %y : tensor<8x?xf32>
}

// Not if parts of it may be left out.
// CHECK-LABEL: func private @short_filtered
// CHECK-SAME: tile = [0, 0, 64, 0]
func.func private @short_filtered(%p: index, %q: tensor<8x64x?xf32>, %k: tensor<8x90x64xf32>, %o: tensor<8x?xf32>) -> tensor<8x?xf32> attributes {lutra.kernel} {
  %y = cascade.cascade reassoc ranks(h = 8, p = %p, m = 90, e = 64) {
    %d0 = cascade.einsum [h, p] () -> [h, p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<8x?xf32>
    %r = cascade.iterate "m" (%key = %k[1]) carry(%d = %d0) filters([affine_set<(d0, d1, d2, d3) : (d1 - d2 >= 0)>]) : (tensor<8x90x64xf32>), (tensor<8x?xf32>) {
      %qk = cascade.einsum [h, p, m, e] (%q[h, e, p], %key[h, m, e]) reduce(add) -> [h, m, p] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<8x64x?xf32>, tensor<8x?x64xf32>) -> tensor<8x?x?xf32>
      %d1 = cascade.einsum [h, p, m] (%qk[h, m, p]) reduce(max) init(%d) -> [h, p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?x?xf32>) -> tensor<8x?xf32>
      cascade.yield %d1 : tensor<8x?xf32>
    }
    %z = cascade.einsum [h, p] (%r[h, p]) -> [h, p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x?xf32>) -> tensor<8x?xf32>
    cascade.yield %z : tensor<8x?xf32>
  } : tensor<8x?xf32>
  return %y : tensor<8x?xf32>
}

// Rows of more elements leave room for one, and for longer parts.
// CHECK-LABEL: func private @deep_cascade
// CHECK-SAME: #lutra.schedule<distribute = [1, 32, 0, 0], tile = [0, 0, 128, 0], order = [], vector = 16>
func.func private @deep_cascade(%p: index, %m: index, %q: tensor<8x256x?xf32>, %k: tensor<8x?x256xf32>, %o: tensor<8x?xf32>) -> tensor<8x?xf32> attributes {lutra.kernel} {
  %y = cascade.cascade reassoc ranks(h = 8, p = %p, m = %m, e = 256) {
    %d0 = cascade.einsum [h, p] () -> [h, p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<8x?xf32>
    %r = cascade.iterate "m" (%key = %k[1]) carry(%d = %d0) : (tensor<8x?x256xf32>), (tensor<8x?xf32>) {
      %qk = cascade.einsum [h, p, m, e] (%q[h, e, p], %key[h, m, e]) reduce(add) -> [h, m, p] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<8x256x?xf32>, tensor<8x?x256xf32>) -> tensor<8x?x?xf32>
      %d1 = cascade.einsum [h, p, m] (%qk[h, m, p]) reduce(max) init(%d) -> [h, p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?x?xf32>) -> tensor<8x?xf32>
      cascade.yield %d1 : tensor<8x?xf32>
    }
    %z = cascade.einsum [h, p] (%r[h, p]) -> [h, p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x?xf32>) -> tensor<8x?xf32>
    cascade.yield %z : tensor<8x?xf32>
  } : tensor<8x?xf32>
  return %y : tensor<8x?xf32>
}

// A tile is not wider than its rank. What few rows stream is half of the
// first-level cache at most.
// CHECK-LABEL: func private @row_of_cascade
// CHECK-SAME: distribute = [1, 1, 0, 0], tile = [0, 0, 64, 0]
func.func private @row_of_cascade(%p: index, %m: index, %q: tensor<8x64x1xf32>, %k: tensor<8x?x64xf32>, %o: tensor<8x1xf32>) -> tensor<8x1xf32> attributes {lutra.kernel} {
  %y = cascade.cascade reassoc ranks(h = 8, p = 1, m = %m, e = 64) {
    %d0 = cascade.einsum [h, p] () -> [h, p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<8x1xf32>
    %r = cascade.iterate "m" (%key = %k[1]) carry(%d = %d0) : (tensor<8x?x64xf32>), (tensor<8x1xf32>) {
      %qk = cascade.einsum [h, p, m, e] (%q[h, e, p], %key[h, m, e]) reduce(add) -> [h, m, p] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<8x64x1xf32>, tensor<8x?x64xf32>) -> tensor<8x?x1xf32>
      %d1 = cascade.einsum [h, p, m] (%qk[h, m, p]) reduce(max) init(%d) -> [h, p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?x1xf32>) -> tensor<8x1xf32>
      cascade.yield %d1 : tensor<8x1xf32>
    }
    %z = cascade.einsum [h, p] (%r[h, p]) -> [h, p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x1xf32>) -> tensor<8x1xf32>
    cascade.yield %z : tensor<8x1xf32>
  } : tensor<8x1xf32>
  return %y : tensor<8x1xf32>
}

// What a single row widens is as much as half of the first-level cache holds, since
// it is read once, right behind; more rows would read it again and again.
// CHECK-LABEL: func private @widening_cascade
// CHECK-SAME: #lutra.schedule<distribute = [1, 1, 0, 0], tile = [0, 0, 64, 0], order = [], vector = 16>
func.func private @widening_cascade(%m: index, %q: tensor<8x1x64xf32>, %k: tensor<8x?x64xi8>, %o: tensor<8x1xf32>) -> tensor<8x1xf32> attributes {lutra.kernel} {
  %y = cascade.cascade reassoc ranks(h = 8, p = 1, m = %m, e = 64) {
    %d0 = cascade.einsum [h, p] () -> [h, p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<8x1xf32>
    %r = cascade.iterate "m" (%key = %k[1]) carry(%d = %d0) : (tensor<8x?x64xi8>), (tensor<8x1xf32>) {
      %wide = cascade.einsum [h, m, e] (%key[h, m, e]) -> [h, m, e] {
      ^bb0(%a: i8):
        %t = arith.sitofp %a : i8 to f32
        cascade.yield %t : f32
      } : (tensor<8x?x64xi8>) -> tensor<8x?x64xf32>
      %qk = cascade.einsum [h, p, m, e] (%q[h, p, e], %wide[h, m, e]) reduce(add) -> [h, p, m] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<8x1x64xf32>, tensor<8x?x64xf32>) -> tensor<8x1x?xf32>
      %d1 = cascade.einsum [h, p, m] (%qk[h, p, m]) reduce(max) init(%d) -> [h, p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x1x?xf32>) -> tensor<8x1xf32>
      cascade.yield %d1 : tensor<8x1xf32>
    }
    %z = cascade.einsum [h, p] (%r[h, p]) -> [h, p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8x1xf32>) -> tensor<8x1xf32>
    cascade.yield %z : tensor<8x1xf32>
  } : tensor<8x1xf32>
  return %y : tensor<8x1xf32>
}
}

// -----

// Products with codes: rows that half of the second-level cache holds.
module attributes {lutra.target = #lutra.target<triple = "x86_64-linux-gnu", cpu = "znver4", features = "+avx512vnni", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
// CHECK-LABEL: func private @codes
// CHECK-SAME: #lutra.schedule<distribute = [96, 256], tile = [], order = [], vector = 16>
func.func private @codes(%x: tensor<?x32x128xi8>, %w: tensor<128x512x1x128xi8>, %s: tensor<128x32x32xf32>, %xs: tensor<?x32xf32>, %sums: tensor<?x32xi32>, %y: tensor<?x4096xf32>) -> tensor<?x4096xf32> attributes {lutra.kernel} {
  %r = mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> layout <rows = 32> x(%x : tensor<?x32x128xi8>) codes(%w : tensor<128x512x1x128xi8>) scales(%s : tensor<128x32x32xf32>) xscales(%xs : tensor<?x32xf32>) xsums(%sums : tensor<?x32xi32>) outs(%y : tensor<?x4096xf32>) -> tensor<?x4096xf32>
  return %r : tensor<?x4096xf32>
}
}

// -----

// More of them for matrix tiles, which decode codes for many rows at once.
module attributes {lutra.target = #lutra.target<triple = "x86_64-linux-gnu", cpu = "sapphirerapids", features = "+amx-tile,+amx-int8", vectorBits = 512, vectorRegisters = 32, l1 = 49152, l2 = 2097152>} {
// CHECK-LABEL: func private @codes
// CHECK-SAME: #lutra.schedule<distribute = [256, 256], tile = [], order = [], vector = 16>
func.func private @codes(%x: tensor<?x32x128xi8>, %w: tensor<128x512x1x128xi8>, %s: tensor<128x32x32xf32>, %xs: tensor<?x32xf32>, %sums: tensor<?x32xi32>, %y: tensor<?x4096xf32>) -> tensor<?x4096xf32> attributes {lutra.kernel} {
  %r = mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> layout <rows = 32> x(%x : tensor<?x32x128xi8>) codes(%w : tensor<128x512x1x128xi8>) scales(%s : tensor<128x32x32xf32>) xscales(%xs : tensor<?x32xf32>) xsums(%sums : tensor<?x32xi32>) outs(%y : tensor<?x4096xf32>) -> tensor<?x4096xf32>
  return %r : tensor<?x4096xf32>
}
}

// -----

// One block of rows after the other, and for products of floats register tiles of it.
module attributes {lutra.target = #lutra.target<triple = "x86_64-linux-gnu", cpu = "znver4", features = "+avx512vnni", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
// CHECK-LABEL: func private @gather
// CHECK-SAME: #lutra.schedule<distribute = [1, 256], tile = [], order = [], vector = 16>
func.func private @gather(%b: tensor<?xi64>, %o: tensor<?xi64>, %x: tensor<?x8x128xf32>, %w: tensor<512x128x1x128xi8>, %s: tensor<512x8x32xf32>, %y: tensor<?x2048xf32>) -> tensor<?x2048xf32> attributes {lutra.kernel} {
  %r = mpgemm.gather_matmul #mpgemm.affine<bits = 4, zero = 8> layout <rows = 32> experts(%b : tensor<?xi64>) offsets(%o : tensor<?xi64>) x(%x : tensor<?x8x128xf32>) codes(%w : tensor<512x128x1x128xi8>) scales(%s : tensor<512x8x32xf32>) outs(%y : tensor<?x2048xf32>) -> tensor<?x2048xf32>
  return %r : tensor<?x2048xf32>
}
// CHECK-LABEL: func private @gather_floats
// CHECK-SAME: #lutra.schedule<distribute = [1, 256], tile = [12, 32, 0, 0], order = [1, 0], vector = 16>
func.func private @gather_floats(%b: tensor<?xi64>, %o: tensor<?xi64>, %x: tensor<?x1x1024xf32>, %w: tensor<512x1x1024x32xf32>, %y: tensor<?x2048xf32>) -> tensor<?x2048xf32> attributes {lutra.kernel} {
  %r = mpgemm.gather_matmul layout <rows = 32> experts(%b : tensor<?xi64>) offsets(%o : tensor<?xi64>) x(%x : tensor<?x1x1024xf32>) codes(%w : tensor<512x1x1024x32xf32>) outs(%y : tensor<?x2048xf32>) -> tensor<?x2048xf32>
  return %r : tensor<?x2048xf32>
}
}

// -----

#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(d0, d1) -> (d0, d1)>
#amx = #lutra.target<triple = "x86_64-linux-gnu", cpu = "sapphirerapids", features = "+avx512bf16,+avx512vl,+amx-tile,+amx-bf16", vectorBits = 512, vectorRegisters = 32, l1 = 49152, l2 = 2097152>
module attributes {lutra.target = #amx} {

// One row reads columns as they lie, wide and a few rows at once.
// CHECK-LABEL: func private @one_row
// CHECK-SAME: #lutra.schedule<distribute = [1, 512, 0], tile = [], order = [], vector = 16, depth = 16>
// CHECK-NOT: lutra.panels
func.func private @one_row(%x: tensor<1x2048xf32>, %y: tensor<2048x3072xf32>, %o: tensor<1x3072xf32>) -> tensor<1x3072xf32> attributes {lutra.kernel} {
  %r = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : tensor<1x2048xf32>, tensor<2048x3072xf32>) outs(%o : tensor<1x3072xf32>) {
  ^bb0(%i: f32, %j: f32, %s: f32):
    %p = arith.mulf %i, %j : f32
    %t = arith.addf %s, %p : f32
    linalg.yield %t : f32
  } -> tensor<1x3072xf32>
  return %r : tensor<1x3072xf32>
}

// Many rows share a copy of their columns.
// CHECK-LABEL: func private @many_rows
// CHECK-SAME: #lutra.schedule<distribute = [256, 256], tile = [], order = [], vector = 16, depth = 256>
// CHECK: lutra.panels
func.func private @many_rows(%x: tensor<512x2048xbf16>, %y: tensor<2048x2048xbf16>, %o: tensor<512x2048xbf16>) -> tensor<512x2048xbf16> attributes {lutra.kernel} {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<512x2048xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<512x2048xf32>) -> tensor<512x2048xf32>
  %r = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : tensor<512x2048xbf16>, tensor<2048x2048xbf16>) outs(%f : tensor<512x2048xf32>) {
  ^bb0(%i: bf16, %j: bf16, %s: f32):
    %iw = arith.extf %i : bf16 to f32
    %jw = arith.extf %j : bf16 to f32
    %p = arith.mulf %iw, %jw : f32
    %t = arith.addf %s, %p : f32
    linalg.yield %t : f32
  } -> tensor<512x2048xf32>
  %z = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%r : tensor<512x2048xf32>) outs(%o : tensor<512x2048xbf16>) {
  ^bb0(%i: f32, %s: bf16):
    %t = arith.truncf %i : f32 to bf16
    linalg.yield %t : bf16
  } -> tensor<512x2048xbf16>
  return %z : tensor<512x2048xbf16>
}

// Fewer rows have fewer sums, and so more columns at once. Of a short reduction
// the sums of some rows are complete, and passed on.
// CHECK-LABEL: func private @short_reduction
// CHECK-SAME: #lutra.schedule<distribute = [64, 256], tile = [32, 0], order = [0], vector = 16>
// CHECK: lutra.panels
func.func private @short_reduction(%x: tensor<64x64xbf16>, %y: tensor<64x2048xbf16>, %o: tensor<64x2048xbf16>) -> tensor<64x2048xbf16> attributes {lutra.kernel} {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x2048xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<64x2048xf32>) -> tensor<64x2048xf32>
  %r = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : tensor<64x64xbf16>, tensor<64x2048xbf16>) outs(%f : tensor<64x2048xf32>) {
  ^bb0(%i: bf16, %j: bf16, %s: f32):
    %iw = arith.extf %i : bf16 to f32
    %jw = arith.extf %j : bf16 to f32
    %p = arith.mulf %iw, %jw : f32
    %t = arith.addf %s, %p : f32
    linalg.yield %t : f32
  } -> tensor<64x2048xf32>
  %z = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%r : tensor<64x2048xf32>) outs(%o : tensor<64x2048xbf16>) {
  ^bb0(%i: f32, %s: bf16):
    %t = arith.truncf %i : f32 to bf16
    linalg.yield %t : bf16
  } -> tensor<64x2048xbf16>
  return %z : tensor<64x2048xbf16>
}

// A copy of columns costs what multiplying some rows does.
// CHECK-LABEL: func private @some_rows
// CHECK-SAME: distribute = [36, 352, 0], {{.*}} depth = 16>
// CHECK-NOT: lutra.panels
func.func private @some_rows(%x: tensor<36x2048xf32>, %y: tensor<2048x2048xf32>, %o: tensor<36x2048xf32>) -> tensor<36x2048xf32> attributes {lutra.kernel} {
  %r = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : tensor<36x2048xf32>, tensor<2048x2048xf32>) outs(%o : tensor<36x2048xf32>) {
  ^bb0(%i: f32, %j: f32, %s: f32):
    %p = arith.mulf %i, %j : f32
    %t = arith.addf %s, %p : f32
    linalg.yield %t : f32
  } -> tensor<36x2048xf32>
  return %r : tensor<36x2048xf32>
}

// Nothing is known: blocks have bounds.
// CHECK-LABEL: func private @unknown
// CHECK-SAME: #lutra.schedule<distribute = [264, 256, 0], tile = [], order = [], vector = 16, depth = 256>
// CHECK: lutra.panels
func.func private @unknown(%x: tensor<?x?xf32>, %y: tensor<?x?xf32>, %o: tensor<?x?xf32>) -> tensor<?x?xf32> attributes {lutra.kernel} {
  %r = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : tensor<?x?xf32>, tensor<?x?xf32>) outs(%o : tensor<?x?xf32>) {
  ^bb0(%i: f32, %j: f32, %s: f32):
    %p = arith.mulf %i, %j : f32
    %t = arith.addf %s, %p : f32
    linalg.yield %t : f32
  } -> tensor<?x?xf32>
  return %r : tensor<?x?xf32>
}
}

// -----

#amx = #lutra.target<triple = "x86_64-linux-gnu", cpu = "sapphirerapids", features = "+avx512bf16,+avx512vl,+amx-tile,+amx-bf16", vectorBits = 512, vectorRegisters = 32, l1 = 49152, l2 = 2097152>
module attributes {lutra.target = #amx} {

// Matrix tiles pass sums and shares on through memory: a tile as wide as that of a
// register keeps those of a part in the first-level cache.
// CHECK-LABEL: func private @at_hand
// CHECK-SAME: #lutra.schedule<distribute = [1, 32, 0, 0], tile = [0, 0, 96, 0], order = [], vector = 16>
func.func private @at_hand(%q: tensor<8x64x512xbf16>, %k: tensor<8x2048x64xbf16>, %o: tensor<8x512xf32>) -> tensor<8x512xf32> attributes {lutra.kernel} {
  %y = cascade.cascade reassoc ranks(h = 8, p = 512, m = 2048, e = 64) {
    %d0 = cascade.einsum [h, p] () -> [h, p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<8x512xf32>
    %r = cascade.iterate "m" (%key = %k[1]) carry(%d = %d0) : (tensor<8x2048x64xbf16>), (tensor<8x512xf32>) {
      %qk = cascade.einsum [h, p, m, e] (%q[h, e, p], %key[h, m, e]) reduce(add) -> [h, m, p] {
      ^bb0(%a: bf16, %b: bf16):
        %aw = arith.extf %a : bf16 to f32
        %bw = arith.extf %b : bf16 to f32
        %t = arith.mulf %aw, %bw : f32
        cascade.yield %t : f32
      } : (tensor<8x64x512xbf16>, tensor<8x?x64xbf16>) -> tensor<8x?x512xf32>
      %d1 = cascade.einsum [h, p, m] (%qk[h, m, p]) reduce(max) init(%d) -> [h, p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?x512xf32>) -> tensor<8x512xf32>
      cascade.yield %d1 : tensor<8x512xf32>
    }
    cascade.yield %r : tensor<8x512xf32>
  } : tensor<8x512xf32>
  return %y : tensor<8x512xf32>
}

// Few parts of the same length, where that is not much shorter.
// CHECK-LABEL: func private @few_parts
// CHECK-SAME: distribute = [1, 32, 0, 0], tile = [0, 0, 64, 0]
func.func private @few_parts(%q: tensor<8x64x512xbf16>, %k: tensor<8x512x64xbf16>, %o: tensor<8x512xf32>) -> tensor<8x512xf32> attributes {lutra.kernel} {
  %y = cascade.cascade reassoc ranks(h = 8, p = 512, m = 512, e = 64) {
    %d0 = cascade.einsum [h, p] () -> [h, p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<8x512xf32>
    %r = cascade.iterate "m" (%key = %k[1]) carry(%d = %d0) : (tensor<8x512x64xbf16>), (tensor<8x512xf32>) {
      %qk = cascade.einsum [h, p, m, e] (%q[h, e, p], %key[h, m, e]) reduce(add) -> [h, m, p] {
      ^bb0(%a: bf16, %b: bf16):
        %aw = arith.extf %a : bf16 to f32
        %bw = arith.extf %b : bf16 to f32
        %t = arith.mulf %aw, %bw : f32
        cascade.yield %t : f32
      } : (tensor<8x64x512xbf16>, tensor<8x?x64xbf16>) -> tensor<8x?x512xf32>
      %d1 = cascade.einsum [h, p, m] (%qk[h, m, p]) reduce(max) init(%d) -> [h, p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?x512xf32>) -> tensor<8x512xf32>
      cascade.yield %d1 : tensor<8x512xf32>
    }
    cascade.yield %r : tensor<8x512xf32>
  } : tensor<8x512xf32>
  return %y : tensor<8x512xf32>
}

// Streams that are longer than the second-level cache are read as seldom as may be.
// CHECK-LABEL: func private @from_afar
// CHECK-SAME: distribute = [1, 64, 0, 0], tile = [0, 0, 192, 0]
func.func private @from_afar(%q: tensor<8x64x512xbf16>, %k: tensor<8x8192x64xbf16>, %o: tensor<8x512xf32>) -> tensor<8x512xf32> attributes {lutra.kernel} {
  %y = cascade.cascade reassoc ranks(h = 8, p = 512, m = 8192, e = 64) {
    %d0 = cascade.einsum [h, p] () -> [h, p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<8x512xf32>
    %r = cascade.iterate "m" (%key = %k[1]) carry(%d = %d0) : (tensor<8x8192x64xbf16>), (tensor<8x512xf32>) {
      %qk = cascade.einsum [h, p, m, e] (%q[h, e, p], %key[h, m, e]) reduce(add) -> [h, m, p] {
      ^bb0(%a: bf16, %b: bf16):
        %aw = arith.extf %a : bf16 to f32
        %bw = arith.extf %b : bf16 to f32
        %t = arith.mulf %aw, %bw : f32
        cascade.yield %t : f32
      } : (tensor<8x64x512xbf16>, tensor<8x?x64xbf16>) -> tensor<8x?x512xf32>
      %d1 = cascade.einsum [h, p, m] (%qk[h, m, p]) reduce(max) init(%d) -> [h, p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?x512xf32>) -> tensor<8x512xf32>
      cascade.yield %d1 : tensor<8x512xf32>
    }
    cascade.yield %r : tensor<8x512xf32>
  } : tensor<8x512xf32>
  return %y : tensor<8x512xf32>
}

// So are streams that few tiles read.
// CHECK-LABEL: func private @few_tiles
// CHECK-SAME: distribute = [1, 64, 0, 0], tile = [0, 0, 192, 0]
func.func private @few_tiles(%q: tensor<8x64x64xbf16>, %k: tensor<8x2048x64xbf16>, %o: tensor<8x64xf32>) -> tensor<8x64xf32> attributes {lutra.kernel} {
  %y = cascade.cascade reassoc ranks(h = 8, p = 64, m = 2048, e = 64) {
    %d0 = cascade.einsum [h, p] () -> [h, p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<8x64xf32>
    %r = cascade.iterate "m" (%key = %k[1]) carry(%d = %d0) : (tensor<8x2048x64xbf16>), (tensor<8x64xf32>) {
      %qk = cascade.einsum [h, p, m, e] (%q[h, e, p], %key[h, m, e]) reduce(add) -> [h, m, p] {
      ^bb0(%a: bf16, %b: bf16):
        %aw = arith.extf %a : bf16 to f32
        %bw = arith.extf %b : bf16 to f32
        %t = arith.mulf %aw, %bw : f32
        cascade.yield %t : f32
      } : (tensor<8x64x64xbf16>, tensor<8x?x64xbf16>) -> tensor<8x?x64xf32>
      %d1 = cascade.einsum [h, p, m] (%qk[h, m, p]) reduce(max) init(%d) -> [h, p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?x64xf32>) -> tensor<8x64xf32>
      cascade.yield %d1 : tensor<8x64xf32>
    }
    cascade.yield %r : tensor<8x64xf32>
  } : tensor<8x64xf32>
  return %y : tensor<8x64xf32>
}
}

// -----

#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
#one = affine_map<(d0) -> (d0)>

// Rows that are empty, sums of no step and no rows at all: none is divided by.
// CHECK-LABEL: func private @empty_rows
// CHECK-SAME: #lutra.schedule<distribute = [0, 0], tile = [], order = [], vector = {{[0-9]+}}>
module attributes {lutra.target = #lutra.target<triple = "x86_64-linux-gnu", cpu = "znver4", features = "+avx512vnni", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
func.func private @empty_rows(%x: tensor<8x0xf32>, %out: tensor<8x0xf32>) -> tensor<8x0xf32>
    attributes {lutra.kernel, lutra.rows = array<i64: 0>} {
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<8x0xf32>) outs(%out : tensor<8x0xf32>) {
  ^bb0(%i: f32, %o: f32):
    linalg.yield %i : f32
  } -> tensor<8x0xf32>
  return %r : tensor<8x0xf32>
}

// CHECK-LABEL: func private @no_steps
// CHECK-SAME: #lutra.schedule<distribute = [0], tile = [], order = [], vector = {{[0-9]+}}>
func.func private @no_steps(%x: tensor<8x0xf32>, %o: tensor<8xf32>) -> tensor<8xf32> attributes {lutra.kernel} {
  %s = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<8x0xf32>) outs(%o : tensor<8xf32>) {
  ^bb0(%i: f32, %a: f32):
    %v = arith.addf %i, %a : f32
    linalg.yield %v : f32
  } -> tensor<8xf32>
  %y = linalg.generic {indexing_maps = [#one, #one], iterator_types = ["parallel"]} ins(%s : tensor<8xf32>) outs(%o : tensor<8xf32>) {
  ^bb0(%i: f32, %a: f32):
    linalg.yield %i : f32
  } -> tensor<8xf32>
  return %y : tensor<8xf32>
}

// CHECK-LABEL: func private @no_rows
// CHECK-SAME: #lutra.schedule<distribute = [0, 0], tile = [], order = [], vector = {{[0-9]+}}>
func.func private @no_rows(%x: tensor<0x8xf32>, %out: tensor<0x8xf32>) -> tensor<0x8xf32>
    attributes {lutra.kernel, lutra.rows = array<i64: 0>} {
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<0x8xf32>) outs(%out : tensor<0x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    linalg.yield %i : f32
  } -> tensor<0x8xf32>
  return %r : tensor<0x8xf32>
}
}

// -----

#id = affine_map<(d0, d1) -> (d0, d1)>

module attributes {lutra.target = #lutra.target<triple = "x86_64-linux-gnu", cpu = "znver4", features = "+avx512vnni", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
// expected-error @below {{'func.func' op expects loops of its last operation as lutra.rows, got array<i64: 2>}}
func.func private @other_rows(%x: tensor<8x8xf32>, %out: tensor<8x8xf32>) -> tensor<8x8xf32>
    attributes {lutra.kernel, lutra.rows = array<i64: 2>} {
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<8x8xf32>) outs(%out : tensor<8x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    linalg.yield %i : f32
  } -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}
}

// -----

#id = affine_map<(d0, d1) -> (d0, d1)>

module attributes {lutra.target = #lutra.target<triple = "x86_64-linux-gnu", cpu = "znver4", features = "+avx512vnni", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
// expected-error @below {{'func.func' op expects loops of its last operation as lutra.rows, got array<i64>}}
func.func private @neither(%x: tensor<8x8xf32>, %out: tensor<8x8xf32>) -> tensor<8x8xf32>
    attributes {lutra.kernel, lutra.rows = array<i64>} {
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<8x8xf32>) outs(%out : tensor<8x8xf32>) {
  ^bb0(%i: f32, %o: f32):
    linalg.yield %i : f32
  } -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}
}
