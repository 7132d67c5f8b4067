// RUN: lutra-opt %s --pass-pipeline='builtin.module(func.func(raise-cascades,canonicalize,cse))' | FileCheck %s

// What is gone over is widened inside, where it is read narrower for that.

#q = affine_map<(p, m, e) -> (p, e)>
#k = affine_map<(p, m, e) -> (m, e)>
#s = affine_map<(p, m, e) -> (p, m)>
#id = affine_map<(p, m) -> (p, m)>
#row = affine_map<(m, e) -> (m, 0)>
#column = affine_map<(m, e) -> (e)>
#a = affine_map<(p, f, m) -> (p, m)>
#v = affine_map<(p, f, m) -> (m, f)>
#o = affine_map<(p, f, m) -> (p, f)>

// Each by its row and by its column, in two steps.
// CHECK-LABEL: func.func @scaled
// CHECK-NOT: linalg.generic
// CHECK: cascade.cascade reassoc
// CHECK: %[[WHOLE:.*]] = cascade.einsum [m, e] (%arg1[m, e]) -> [m, e]
// CHECK: arith.sitofp
// CHECK: %[[K:.*]] = cascade.einsum [m, e] (%[[WHOLE]][m, e], %arg2[m, 0], %arg3[e]) -> [m, e]
// CHECK: arith.subf
// CHECK: cascade.einsum [p, m, e] (%arg0[p, e], %[[K]][m, e]) reduce(add) -> [p, m]
func.func @scaled(%q: tensor<8x64xf32>, %k: tensor<256x64xi8>, %scale: tensor<256x1xf32>, %point: tensor<64xf32>, %v: tensor<256x32xf32>) -> tensor<8x32xf32> {
  %zero = arith.constant 0.0 : f32
  %ek = tensor.empty() : tensor<256x64xf32>
  %ev = tensor.empty() : tensor<256x32xf32>
  %whole = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%k : tensor<256x64xi8>) outs(%ek : tensor<256x64xf32>) {
  ^bb0(%x: i8, %y: f32):
    %z = arith.sitofp %x : i8 to f32
    linalg.yield %z : f32
  } -> tensor<256x64xf32>
  %t = linalg.generic {indexing_maps = [#id, #row, #column, #id], iterator_types = ["parallel", "parallel"]}
      ins(%whole, %scale, %point : tensor<256x64xf32>, tensor<256x1xf32>, tensor<64xf32>) outs(%ek : tensor<256x64xf32>) {
  ^bb0(%x: f32, %y: f32, %c: f32, %acc: f32):
    %d = arith.subf %x, %c : f32
    %z = arith.mulf %d, %y : f32
    linalg.yield %z : f32
  } -> tensor<256x64xf32>
  %es = tensor.empty() : tensor<8x256xf32>
  %fs = linalg.fill ins(%zero : f32) outs(%es : tensor<8x256xf32>) -> tensor<8x256xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %t : tensor<8x64xf32>, tensor<256x64xf32>) outs(%fs : tensor<8x256xf32>) {
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

// Nothing is read less for it.
// CHECK-LABEL: func.func @as_wide
// CHECK: %[[K:.*]] = linalg.generic
// CHECK: cascade.einsum [p, m, e] (%arg0[p, e], %[[K]][m, e]) reduce(add) -> [p, m]
func.func @as_wide(%q: tensor<8x64xf32>, %k: tensor<256x64xf32>, %v: tensor<256x32xf32>) -> tensor<8x32xf32> {
  %zero = arith.constant 0.0 : f32
  %ek = tensor.empty() : tensor<256x64xf32>
  %ev = tensor.empty() : tensor<256x32xf32>
  %t = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%k : tensor<256x64xf32>) outs(%ek : tensor<256x64xf32>) {
  ^bb0(%x: f32, %y: f32):
    %z = arith.maximumf %x, %zero : f32
    linalg.yield %z : f32
  } -> tensor<256x64xf32>
  %es = tensor.empty() : tensor<8x256xf32>
  %fs = linalg.fill ins(%zero : f32) outs(%es : tensor<8x256xf32>) -> tensor<8x256xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %t : tensor<8x64xf32>, tensor<256x64xf32>) outs(%fs : tensor<8x256xf32>) {
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

// It is in memory anyway.
// CHECK-LABEL: func.func @read_elsewhere
// CHECK: %[[K:.*]] = linalg.generic
// CHECK: cascade.einsum [p, m, e] (%arg0[p, e], %[[K]][m, e]) reduce(add) -> [p, m]
func.func @read_elsewhere(%q: tensor<8x64xf32>, %k: tensor<256x64xi8>, %v: tensor<256x32xf32>) -> (tensor<8x32xf32>, tensor<256x64xf32>) {
  %zero = arith.constant 0.0 : f32
  %ek = tensor.empty() : tensor<256x64xf32>
  %ev = tensor.empty() : tensor<256x32xf32>
  %whole = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%k : tensor<256x64xi8>) outs(%ek : tensor<256x64xf32>) {
  ^bb0(%x: i8, %y: f32):
    %z = arith.sitofp %x : i8 to f32
    linalg.yield %z : f32
  } -> tensor<256x64xf32>
  %es = tensor.empty() : tensor<8x256xf32>
  %fs = linalg.fill ins(%zero : f32) outs(%es : tensor<8x256xf32>) -> tensor<8x256xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %whole : tensor<8x64xf32>, tensor<256x64xf32>) outs(%fs : tensor<8x256xf32>) {
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
  return %o, %whole : tensor<8x32xf32>, tensor<256x64xf32>
}

// More than a few operations are not done again for each tile of rows.
// CHECK-LABEL: func.func @dear
// CHECK: linalg.generic
// CHECK: %[[K:.*]] = linalg.generic
// CHECK: math.exp
// CHECK: cascade.einsum [p, m, e] (%arg0[p, e], %[[K]][m, e]) reduce(add) -> [p, m]
func.func @dear(%q: tensor<8x64xf32>, %k: tensor<256x64xi8>, %v: tensor<256x32xf32>) -> tensor<8x32xf32> {
  %zero = arith.constant 0.0 : f32
  %ek = tensor.empty() : tensor<256x64xf32>
  %ev = tensor.empty() : tensor<256x32xf32>
  %whole = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%k : tensor<256x64xi8>) outs(%ek : tensor<256x64xf32>) {
  ^bb0(%x: i8, %y: f32):
    %z = arith.sitofp %x : i8 to f32
    linalg.yield %z : f32
  } -> tensor<256x64xf32>
  %t = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%whole : tensor<256x64xf32>) outs(%ek : tensor<256x64xf32>) {
  ^bb0(%x: f32, %y: f32):
    %z = math.exp %x : f32
    linalg.yield %z : f32
  } -> tensor<256x64xf32>
  %es = tensor.empty() : tensor<8x256xf32>
  %fs = linalg.fill ins(%zero : f32) outs(%es : tensor<8x256xf32>) -> tensor<8x256xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %t : tensor<8x64xf32>, tensor<256x64xf32>) outs(%fs : tensor<8x256xf32>) {
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

// The narrowest on the way is what is read.
// CHECK-LABEL: func.func @narrowed
// CHECK: %[[N:.*]] = linalg.generic
// CHECK: arith.fptosi
// CHECK-NOT: linalg.generic
// CHECK: %[[K:.*]] = cascade.einsum [m, e] (%[[N]][m, e]) -> [m, e]
// CHECK: cascade.einsum [p, m, e] (%arg0[p, e], %[[K]][m, e]) reduce(add) -> [p, m]
func.func @narrowed(%q: tensor<8x64xf32>, %k: tensor<256x64xf32>, %v: tensor<256x32xf32>) -> tensor<8x32xf32> {
  %zero = arith.constant 0.0 : f32
  %ek = tensor.empty() : tensor<256x64xf32>
  %ev = tensor.empty() : tensor<256x32xf32>
  %en = tensor.empty() : tensor<256x64xi8>
  %n = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%k : tensor<256x64xf32>) outs(%en : tensor<256x64xi8>) {
  ^bb0(%x: f32, %y: i8):
    %z = arith.fptosi %x : f32 to i8
    linalg.yield %z : i8
  } -> tensor<256x64xi8>
  %whole = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%n : tensor<256x64xi8>) outs(%ek : tensor<256x64xf32>) {
  ^bb0(%x: i8, %y: f32):
    %z = arith.sitofp %x : i8 to f32
    linalg.yield %z : f32
  } -> tensor<256x64xf32>
  %es = tensor.empty() : tensor<8x256xf32>
  %fs = linalg.fill ins(%zero : f32) outs(%es : tensor<8x256xf32>) -> tensor<8x256xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %whole : tensor<8x64xf32>, tensor<256x64xf32>) outs(%fs : tensor<8x256xf32>) {
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
