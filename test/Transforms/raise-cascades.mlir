// RUN: lutra-opt %s --pass-pipeline='builtin.module(func.func(raise-cascades,canonicalize,cse))' | FileCheck %s

#q = affine_map<(b, p, m, e) -> (b, p, e)>
#k = affine_map<(b, p, m, e) -> (b, e, m)>
#s = affine_map<(b, p, m, e) -> (b, p, m)>
#whole = affine_map<(b, p, m) -> (b, p, m)>
#row = affine_map<(b, p, m) -> (b, p)>
#swapped = affine_map<(b, p, m) -> (b, m, p)>
#a = affine_map<(b, p, f, m) -> (b, p, m)>
#v = affine_map<(b, p, f, m) -> (b, m, f)>
#o = affine_map<(b, p, f, m) -> (b, p, f)>

// Two products and a softmax between them are one cascade. The keys are read
// as they lie, neither transposed nor scaled: the queries are instead.
// CHECK-LABEL: func.func @products
// CHECK: cascade.cascade reassoc ranks(b = 2, p = %{{.*}}, m = %{{.*}}, e = 64, f = 32) {
// CHECK: %[[HELD:.*]] = cascade.einsum [b, p, e] (%arg0[b, p, e]) -> [b, p, e]
// CHECK: arith.mulf %{{.*}}, %cst
// CHECK: cascade.einsum [b, p, m, e] (%[[HELD]][b, p, e], %arg1[b, m, e]) reduce(add) -> [b, p, m]
// CHECK: reduce(max) -> [b, p]
// CHECK: math.exp
// CHECK: reduce(add) -> [b, p]
// CHECK: arith.divf
// CHECK: cascade.einsum [b, p, f, m] (%{{.*}}[b, p, m], %arg2[b, m, f]) reduce(add) -> [b, p, f]
// CHECK-NOT: linalg.generic
func.func @products(%q: tensor<2x?x64xf32> {lutra.shape = affine_map<()[s0, s1] -> (2, s0, 64)>}, %k: tensor<2x?x64xf32> {lutra.shape = affine_map<()[s0, s1] -> (2, s1, 64)>}, %v: tensor<2x?x32xf32> {lutra.shape = affine_map<()[s0, s1] -> (2, s1, 32)>}) -> tensor<2x?x32xf32>
    attributes {lutra.dims = [{name = "p", min = 1 : i64, max = 64 : i64, multiple = 1 : i64}, {name = "m", min = 1 : i64, max = 64 : i64, multiple = 1 : i64}]} {
  %np = lutra.dim "p" min 1 max 64 multiple 1
  %nm = lutra.dim "m" min 1 max 64 multiple 1
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %c = arith.constant 0.125 : f32
  %ekt = tensor.empty(%nm) : tensor<2x64x?xf32>
  %kt = linalg.generic {indexing_maps = [#swapped, #whole], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%k : tensor<2x?x64xf32>) outs(%ekt : tensor<2x64x?xf32>) {
  ^bb0(%x: f32, %y: f32):
    linalg.yield %x : f32
  } -> tensor<2x64x?xf32>
  %ks = linalg.generic {indexing_maps = [#whole, #whole], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%kt : tensor<2x64x?xf32>) outs(%ekt : tensor<2x64x?xf32>) {
  ^bb0(%x: f32, %y: f32):
    %z = arith.mulf %x, %c : f32
    linalg.yield %z : f32
  } -> tensor<2x64x?xf32>
  %es = tensor.empty(%np, %nm) : tensor<2x?x?xf32>
  %fs = linalg.fill ins(%zero : f32) outs(%es : tensor<2x?x?xf32>) -> tensor<2x?x?xf32>
  %s = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%q, %ks : tensor<2x?x64xf32>, tensor<2x64x?xf32>) outs(%fs : tensor<2x?x?xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<2x?x?xf32>
  %er = tensor.empty(%np) : tensor<2x?xf32>
  %fm = linalg.fill ins(%low : f32) outs(%er : tensor<2x?xf32>) -> tensor<2x?xf32>
  %max = linalg.generic {indexing_maps = [#whole, #row], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%s : tensor<2x?x?xf32>) outs(%fm : tensor<2x?xf32>) {
  ^bb0(%x: f32, %acc: f32):
    %z = arith.maximumf %x, %acc : f32
    linalg.yield %z : f32
  } -> tensor<2x?xf32>
  %exp = linalg.generic {indexing_maps = [#whole, #row, #whole], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%s, %max : tensor<2x?x?xf32>, tensor<2x?xf32>) outs(%es : tensor<2x?x?xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.subf %x, %y : f32
    %w = math.exp %z : f32
    linalg.yield %w : f32
  } -> tensor<2x?x?xf32>
  %fr = linalg.fill ins(%zero : f32) outs(%er : tensor<2x?xf32>) -> tensor<2x?xf32>
  %sum = linalg.generic {indexing_maps = [#whole, #row], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%exp : tensor<2x?x?xf32>) outs(%fr : tensor<2x?xf32>) {
  ^bb0(%x: f32, %acc: f32):
    %z = arith.addf %x, %acc : f32
    linalg.yield %z : f32
  } -> tensor<2x?xf32>
  %p = linalg.generic {indexing_maps = [#whole, #row, #whole], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%exp, %sum : tensor<2x?x?xf32>, tensor<2x?xf32>) outs(%es : tensor<2x?x?xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.divf %x, %y : f32
    linalg.yield %z : f32
  } -> tensor<2x?x?xf32>
  %eo = tensor.empty(%np) : tensor<2x?x32xf32>
  %fo = linalg.fill ins(%zero : f32) outs(%eo : tensor<2x?x32xf32>) -> tensor<2x?x32xf32>
  %r = linalg.generic {indexing_maps = [#a, #v, #o], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%p, %v : tensor<2x?x?xf32>, tensor<2x?x32xf32>) outs(%fo : tensor<2x?x32xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %z = arith.mulf %x, %y : f32
    %w = arith.addf %acc, %z : f32
    linalg.yield %w : f32
  } -> tensor<2x?x32xf32>
  return %r : tensor<2x?x32xf32>
}

#id = affine_map<(p, m) -> (p, m)>
#first = affine_map<(p, m) -> (p)>

// What lies between the members and needs one of them follows the cascade, and
// a result that is read outside is one of its results.
// CHECK-LABEL: func.func @between
// CHECK: %[[R:.*]]:2 = cascade.cascade reassoc ranks(p = 4, m = 8) {
// CHECK: cascade.yield %{{.*}}, %{{.*}} : tensor<4xf32>, tensor<4x8xf32>
// CHECK: tensor.expand_shape %[[R]]#0
func.func @between(%x: tensor<4x8xf32>) -> (tensor<4x1xf32>, tensor<4x8xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4xf32>
  %ew = tensor.empty() : tensor<4x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %sum = linalg.generic {indexing_maps = [#id, #first], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<4x8xf32>) outs(%f : tensor<4xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %z = arith.addf %a, %acc : f32
    linalg.yield %z : f32
  } -> tensor<4xf32>
  %view = tensor.expand_shape %sum [[0, 1]] output_shape [4, 1] : tensor<4xf32> into tensor<4x1xf32>
  %centred = linalg.generic {indexing_maps = [#id, #first, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %sum : tensor<4x8xf32>, tensor<4xf32>) outs(%ew : tensor<4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %z = arith.subf %a, %b : f32
    linalg.yield %z : f32
  } -> tensor<4x8xf32>
  %square = linalg.generic {indexing_maps = [#id, #first], iterator_types = ["parallel", "reduction"]}
      ins(%centred : tensor<4x8xf32>) outs(%f : tensor<4xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %s = arith.mulf %a, %a : f32
    %z = arith.addf %s, %acc : f32
    linalg.yield %z : f32
  } -> tensor<4xf32>
  %y = linalg.generic {indexing_maps = [#id, #first, #id], iterator_types = ["parallel", "parallel"]}
      ins(%centred, %square : tensor<4x8xf32>, tensor<4xf32>) outs(%ew : tensor<4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %z = arith.divf %a, %b : f32
    linalg.yield %z : f32
  } -> tensor<4x8xf32>
  return %view, %y : tensor<4x1xf32>, tensor<4x8xf32>
}

// A single reduction stays what it is, and so do two that do not need each
// other.
// CHECK-LABEL: func.func @alone
// CHECK-NOT: cascade.cascade
func.func @alone(%x: tensor<4x8xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %sum = linalg.generic {indexing_maps = [#id, #first], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<4x8xf32>) outs(%f : tensor<4xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %z = arith.addf %a, %acc : f32
    linalg.yield %z : f32
  } -> tensor<4xf32>
  %square = linalg.generic {indexing_maps = [#id, #first], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<4x8xf32>) outs(%f : tensor<4xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %s = arith.mulf %a, %a : f32
    %z = arith.addf %s, %acc : f32
    linalg.yield %z : f32
  } -> tensor<4xf32>
  return %sum, %square : tensor<4xf32>, tensor<4xf32>
}

#at0 = affine_map<(p, m) -> (p, 0)>
#at1 = affine_map<(p, m) -> (m)>
#one = affine_map<(p) -> ()>
#each = affine_map<(p) -> (p)>

// A mask that coordinates and sizes tell is no member, though it has all rows:
// it is computed where it is read, also from a number that was made a tensor.
// CHECK-LABEL: func.func @told
// CHECK-SAME: %[[OFF:[a-z0-9]*]]: index
// CHECK: %[[START:.*]] = arith.index_cast %[[OFF]]
// CHECK: cascade.cascade reassoc
// CHECK-NOT: -> tensor<?x?xi1>
// CHECK: cascade.einsum [p, m] (%arg0[p, m]) -> [p, m]
// CHECK: %[[P:.*]] = cascade.index "p"
// CHECK: %[[M:.*]] = cascade.index "m"
// CHECK: %[[ROW:.*]] = arith.addi %[[START]]
// CHECK: arith.cmpi sle, %{{.*}}, %[[ROW]] : i64
// CHECK: reduce(max)
// CHECK: reduce(add)
// CHECK-NOT: linalg.generic
func.func @told(%x: tensor<?x?xf32> {lutra.shape = affine_map<()[s0, s1] -> (s0, s1)>}, %off: index) -> tensor<?xf32>
    attributes {lutra.dims = [{name = "p", min = 1, max = 99, multiple = 1}, {name = "m", min = 1, max = 99, multiple = 1}]} {
  %np = lutra.dim "p" min 1 max 99 multiple 1
  %nm = lutra.dim "m" min 1 max 99 multiple 1
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %off64 = arith.index_cast %off : index to i64
  %start = tensor.from_elements %off64 : tensor<i64>
  %ep = tensor.empty(%np) : tensor<?xi64>
  %rows = linalg.generic {indexing_maps = [#one, #each], iterator_types = ["parallel"]}
      ins(%start : tensor<i64>) outs(%ep : tensor<?xi64>) {
  ^bb0(%a: i64, %acc: i64):
    %i = linalg.index 0 : index
    %j = arith.index_cast %i : index to i64
    %r = arith.addi %a, %j : i64
    linalg.yield %r : i64
  } -> tensor<?xi64>
  %column = tensor.expand_shape %rows [[0, 1]] output_shape [%np, 1] : tensor<?xi64> into tensor<?x1xi64>
  %em = tensor.empty(%nm) : tensor<?xi64>
  %columns = linalg.generic {indexing_maps = [#each], iterator_types = ["parallel"]} outs(%em : tensor<?xi64>) {
  ^bb0(%acc: i64):
    %i = linalg.index 0 : index
    %j = arith.index_cast %i : index to i64
    linalg.yield %j : i64
  } -> tensor<?xi64>
  %eb = tensor.empty(%np, %nm) : tensor<?x?xi1>
  %keep = linalg.generic {indexing_maps = [#at1, #at0, #id], iterator_types = ["parallel", "parallel"]}
      ins(%columns, %column : tensor<?xi64>, tensor<?x1xi64>) outs(%eb : tensor<?x?xi1>) {
  ^bb0(%a: i64, %b: i64, %acc: i1):
    %z = arith.cmpi sle, %a, %b : i64
    linalg.yield %z : i1
  } -> tensor<?x?xi1>
  %e = tensor.empty(%np, %nm) : tensor<?x?xf32>
  %s = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %keep : tensor<?x?xf32>, tensor<?x?xi1>) outs(%e : tensor<?x?xf32>) {
  ^bb0(%a: f32, %k: i1, %acc: f32):
    %z = arith.select %k, %a, %low : f32
    linalg.yield %z : f32
  } -> tensor<?x?xf32>
  %er = tensor.empty(%np) : tensor<?xf32>
  %fl = linalg.fill ins(%low : f32) outs(%er : tensor<?xf32>) -> tensor<?xf32>
  %max = linalg.generic {indexing_maps = [#id, #first], iterator_types = ["parallel", "reduction"]}
      ins(%s : tensor<?x?xf32>) outs(%fl : tensor<?xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %z = arith.maximumf %a, %acc : f32
    linalg.yield %z : f32
  } -> tensor<?xf32>
  %exp = linalg.generic {indexing_maps = [#id, #first, #id], iterator_types = ["parallel", "parallel"]}
      ins(%s, %max : tensor<?x?xf32>, tensor<?xf32>) outs(%e : tensor<?x?xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %z = arith.subf %a, %b : f32
    %w = math.exp %z : f32
    linalg.yield %w : f32
  } -> tensor<?x?xf32>
  %fz = linalg.fill ins(%zero : f32) outs(%er : tensor<?xf32>) -> tensor<?xf32>
  %sum = linalg.generic {indexing_maps = [#id, #first], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<?x?xf32>) outs(%fz : tensor<?xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %z = arith.addf %a, %acc : f32
    linalg.yield %z : f32
  } -> tensor<?xf32>
  return %sum : tensor<?xf32>
}

// An element that is gathered is told by data: the bias stays a tensor.
// CHECK-LABEL: func.func @gathered
// CHECK: tensor.extract
// CHECK: cascade.cascade
// CHECK-NOT: tensor.extract
func.func @gathered(%x: tensor<4x8xf32>, %table: tensor<12xf32>) -> tensor<4xf32> {
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %e = tensor.empty() : tensor<4x8xf32>
  %bias = linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%e : tensor<4x8xf32>) {
  ^bb0(%acc: f32):
    %i = linalg.index 0 : index
    %j = linalg.index 1 : index
    %at = arith.addi %i, %j : index
    %z = tensor.extract %table[%at] : tensor<12xf32>
    linalg.yield %z : f32
  } -> tensor<4x8xf32>
  %b = tensor.expand_shape %bias [[0], [1, 2]] output_shape [4, 8, 1] : tensor<4x8xf32> into tensor<4x8x1xf32>
  %s = linalg.generic {indexing_maps = [#id, affine_map<(p, m) -> (p, m, 0)>, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %b : tensor<4x8xf32>, tensor<4x8x1xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%a: f32, %k: f32, %acc: f32):
    %z = arith.addf %a, %k : f32
    linalg.yield %z : f32
  } -> tensor<4x8xf32>
  %er = tensor.empty() : tensor<4xf32>
  %fl = linalg.fill ins(%low : f32) outs(%er : tensor<4xf32>) -> tensor<4xf32>
  %max = linalg.generic {indexing_maps = [#id, #first], iterator_types = ["parallel", "reduction"]}
      ins(%s : tensor<4x8xf32>) outs(%fl : tensor<4xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %z = arith.maximumf %a, %acc : f32
    linalg.yield %z : f32
  } -> tensor<4xf32>
  %exp = linalg.generic {indexing_maps = [#id, #first, #id], iterator_types = ["parallel", "parallel"]}
      ins(%s, %max : tensor<4x8xf32>, tensor<4xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%a: f32, %k: f32, %acc: f32):
    %z = arith.subf %a, %k : f32
    %w = math.exp %z : f32
    linalg.yield %w : f32
  } -> tensor<4x8xf32>
  %fz = linalg.fill ins(%zero : f32) outs(%er : tensor<4xf32>) -> tensor<4xf32>
  %sum = linalg.generic {indexing_maps = [#id, #first], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<4x8xf32>) outs(%fz : tensor<4xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %z = arith.addf %a, %acc : f32
    linalg.yield %z : f32
  } -> tensor<4xf32>
  return %sum : tensor<4xf32>
}

#mask = affine_map<(b, p, m) -> (p, m)>
#point = affine_map<(p, m) -> (p, m)>
#key = affine_map<(p, m) -> (m)>

// Data has a part in the mask: a truth value for each key, and, in the other, for
// each query and key. It is read where the mask is computed, rather than the
// mask. Two numbers for each point are more to be read than their sum.
// CHECK-LABEL: func.func @leaves
// CHECK-SAME: %[[X:[a-z0-9]*]]: tensor<2x4x8xf32>, %[[KEYS:[a-z0-9]*]]: tensor<8xi8>, %[[ALL:[a-z0-9]*]]: tensor<4x8xi8>, %[[A:[a-z0-9]*]]: tensor<4x8xf32>, %[[B:[a-z0-9]*]]: tensor<4x8xf32>
// CHECK: %[[SUM:.*]] = linalg.generic {{.*}} ins(%[[A]], %[[B]] :
// CHECK: cascade.cascade
// CHECK: cascade.einsum [b, p, m] (%[[X]][b, p, m], %[[KEYS]][m], %[[ALL]][p, m], %[[SUM]][p, m]) -> [b, p, m] {
// CHECK-NEXT: ^bb0(%[[S:.*]]: f32, %[[KEY:.*]]: i8, %[[POINT:.*]]: i8, %[[BIAS:.*]]: f32):
// CHECK-DAG: %[[I:.*]] = cascade.index "p"
// CHECK-DAG: %[[J:.*]] = cascade.index "m"
// CHECK: %[[C:.*]] = arith.cmpi sle, %[[J]], %[[I]] : index
// CHECK: %[[T:.*]] = arith.cmpi ne, %[[KEY]], %{{.*}} : i8
// CHECK: arith.andi %[[C]], %[[T]] : i1
// CHECK: arith.cmpi ne, %[[POINT]], %{{.*}} : i8
// CHECK: reduce(max)
func.func @leaves(%x: tensor<2x4x8xf32>, %keys: tensor<8xi8>, %all: tensor<4x8xi8>, %a: tensor<4x8xf32>, %b: tensor<4x8xf32>) -> tensor<2x4xf32> {
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %none = arith.constant 0 : i8
  %eb = tensor.empty() : tensor<4x8xi1>
  %keep = linalg.generic {indexing_maps = [#key, #point], iterator_types = ["parallel", "parallel"]}
      ins(%keys : tensor<8xi8>) outs(%eb : tensor<4x8xi1>) {
  ^bb0(%k: i8, %acc: i1):
    %i = linalg.index 0 : index
    %j = linalg.index 1 : index
    %c = arith.cmpi sle, %j, %i : index
    %t = arith.cmpi ne, %k, %none : i8
    %z = arith.andi %c, %t : i1
    linalg.yield %z : i1
  } -> tensor<4x8xi1>
  %ef = tensor.empty() : tensor<4x8xf32>
  %drop = linalg.generic {indexing_maps = [#point, #point], iterator_types = ["parallel", "parallel"]}
      ins(%all : tensor<4x8xi8>) outs(%ef : tensor<4x8xf32>) {
  ^bb0(%k: i8, %acc: f32):
    %t = arith.cmpi ne, %k, %none : i8
    %z = arith.select %t, %zero, %low : f32
    linalg.yield %z : f32
  } -> tensor<4x8xf32>
  %sum = linalg.generic {indexing_maps = [#point, #point, #point], iterator_types = ["parallel", "parallel"]}
      ins(%a, %b : tensor<4x8xf32>, tensor<4x8xf32>) outs(%ef : tensor<4x8xf32>) {
  ^bb0(%k: f32, %l: f32, %acc: f32):
    %z = arith.addf %k, %l : f32
    linalg.yield %z : f32
  } -> tensor<4x8xf32>
  %e = tensor.empty() : tensor<2x4x8xf32>
  %s = linalg.generic {indexing_maps = [#whole, #mask, #mask, #mask, #whole], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x, %keep, %drop, %sum : tensor<2x4x8xf32>, tensor<4x8xi1>, tensor<4x8xf32>, tensor<4x8xf32>) outs(%e : tensor<2x4x8xf32>) {
  ^bb0(%p: f32, %k: i1, %d: f32, %c: f32, %acc: f32):
    %y = arith.addf %p, %d : f32
    %w = arith.addf %y, %c : f32
    %z = arith.select %k, %w, %low : f32
    linalg.yield %z : f32
  } -> tensor<2x4x8xf32>
  %er = tensor.empty() : tensor<2x4xf32>
  %fl = linalg.fill ins(%low : f32) outs(%er : tensor<2x4xf32>) -> tensor<2x4xf32>
  %max = linalg.generic {indexing_maps = [#whole, #row], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%s : tensor<2x4x8xf32>) outs(%fl : tensor<2x4xf32>) {
  ^bb0(%p: f32, %acc: f32):
    %z = arith.maximumf %p, %acc : f32
    linalg.yield %z : f32
  } -> tensor<2x4xf32>
  %exp = linalg.generic {indexing_maps = [#whole, #row, #whole], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%s, %max : tensor<2x4x8xf32>, tensor<2x4xf32>) outs(%e : tensor<2x4x8xf32>) {
  ^bb0(%p: f32, %k: f32, %acc: f32):
    %z = arith.subf %p, %k : f32
    %w = math.exp %z : f32
    linalg.yield %w : f32
  } -> tensor<2x4x8xf32>
  %fz = linalg.fill ins(%zero : f32) outs(%er : tensor<2x4xf32>) -> tensor<2x4xf32>
  %total = linalg.generic {indexing_maps = [#whole, #row], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%exp : tensor<2x4x8xf32>) outs(%fz : tensor<2x4xf32>) {
  ^bb0(%p: f32, %acc: f32):
    %z = arith.addf %p, %acc : f32
    linalg.yield %z : f32
  } -> tensor<2x4xf32>
  return %total : tensor<2x4xf32>
}
