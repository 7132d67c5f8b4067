// What a gather reads of a map alone is computed where it is read.
// RUN: lutra-opt %s --pass-pipeline="builtin.module(func.func(gather-before-maps))" | FileCheck %s

#all = affine_map<(p, m) -> (p, m)>
#row = affine_map<(p, m) -> (p)>
#column = affine_map<(p, m) -> (m)>

// What belongs to the row is read at the gather's own coordinate, and the element
// at the one that is chosen.
// CHECK-LABEL: func.func @score(
// CHECK-SAME: %[[X:[a-z0-9]*]]: tensor<8x100xf32>, %[[D:[a-z0-9]*]]: tensor<8xf32>, %[[I:[a-z0-9]*]]: tensor<8x1xi64>
// CHECK-NOT: tensor<8x100xf32>)
// CHECK: %[[Y:.*]] = linalg.generic {indexing_maps = [#{{.*}}, #[[ROW:.*]], #{{.*}}], {{.*}} ins(%[[I]], %[[D]] : tensor<8x1xi64>, tensor<8xf32>)
// CHECK-NEXT: ^bb0(%[[AT:.*]]: i64, %[[MAX:.*]]: f32, %{{.*}}: f32):
// CHECK: %[[J:.*]] = arith.index_cast %[[AT]]
// CHECK-NEXT: %[[E:.*]] = tensor.extract %[[X]][%{{.*}}, %[[J]]]
// CHECK-NEXT: %[[S:.*]] = arith.subf %[[E]], %[[MAX]]
// CHECK-NEXT: linalg.yield %[[S]]
// CHECK: return %[[Y]]
func.func @score(%x: tensor<8x100xf32>, %d: tensor<8xf32>, %i: tensor<8x1xi64>) -> tensor<8x1xf32> attributes {lutra.dims = []} {
  %e = tensor.empty() : tensor<8x100xf32>
  %f = tensor.empty() : tensor<8x1xf32>
  %s = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%x, %d : tensor<8x100xf32>, tensor<8xf32>) outs(%e : tensor<8x100xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %r = arith.subf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<8x100xf32>
  %y = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%i : tensor<8x1xi64>) outs(%f : tensor<8x1xf32>) {
  ^bb0(%a: i64, %o: f32):
    %p = linalg.index 0 : index
    %m = arith.index_cast %a : i64 to index
    %r = tensor.extract %s[%p, %m] : tensor<8x100xf32>
    linalg.yield %r : f32
  } -> tensor<8x1xf32>
  return %y : tensor<8x1xf32>
}

// One map after the other, rows that are chosen, and a number of them that is not
// known but no other than that of the map's.
// CHECK-LABEL: func.func @chain(
// CHECK: linalg.generic
// CHECK: tensor.extract %arg0[
// CHECK-NEXT: math.exp
// CHECK-NEXT: math.log
// CHECK-NOT: linalg.generic
func.func @chain(%x: tensor<?x4xf32> {lutra.shape = affine_map<()[s0] -> (s0, 4)>},
                 %i: tensor<?xi64> {lutra.shape = affine_map<()[s0] -> (s0)>}) -> tensor<?x4xf32>
    attributes {lutra.dims = [{name = "n", min = 1 : i64, max = 9 : i64, multiple = 1 : i64}]} {
  %n = lutra.dim "n" min 1 max 9 multiple 1
  %e = tensor.empty(%n) : tensor<?x4xf32>
  %s = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x4xf32>) outs(%e : tensor<?x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %r = math.exp %a : f32
    linalg.yield %r : f32
  } -> tensor<?x4xf32>
  %t = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<?x4xf32>) outs(%e : tensor<?x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %r = math.log %a : f32
    linalg.yield %r : f32
  } -> tensor<?x4xf32>
  %y = linalg.generic {indexing_maps = [#row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%i : tensor<?xi64>) outs(%e : tensor<?x4xf32>) {
  ^bb0(%a: i64, %o: f32):
    %p = arith.index_cast %a : i64 to index
    %m = linalg.index 1 : index
    %r = tensor.extract %t[%p, %m] : tensor<?x4xf32>
    linalg.yield %r : f32
  } -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// More elements than there are would be computed, and what another reads is there.
// CHECK-LABEL: func.func @more(
// CHECK: %[[S:.*]] = linalg.generic
// CHECK: math.exp
// CHECK: tensor.extract %[[S]][
// CHECK-LABEL: func.func @read_twice(
// CHECK: %[[S:.*]] = linalg.generic
// CHECK: math.exp
// CHECK: tensor.extract %[[S]][
func.func @more(%x: tensor<4x4xf32>, %i: tensor<8xi64>) -> tensor<8x4xf32> attributes {lutra.dims = []} {
  %e = tensor.empty() : tensor<4x4xf32>
  %f = tensor.empty() : tensor<8x4xf32>
  %s = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %r = math.exp %a : f32
    linalg.yield %r : f32
  } -> tensor<4x4xf32>
  %y = linalg.generic {indexing_maps = [#row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%i : tensor<8xi64>) outs(%f : tensor<8x4xf32>) {
  ^bb0(%a: i64, %o: f32):
    %p = arith.index_cast %a : i64 to index
    %m = linalg.index 1 : index
    %r = tensor.extract %s[%p, %m] : tensor<4x4xf32>
    linalg.yield %r : f32
  } -> tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}

func.func @read_twice(%x: tensor<4x4xf32>, %i: tensor<4xi64>) -> (tensor<4x4xf32>, tensor<4x4xf32>) attributes {lutra.dims = []} {
  %e = tensor.empty() : tensor<4x4xf32>
  %s = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %r = math.exp %a : f32
    linalg.yield %r : f32
  } -> tensor<4x4xf32>
  %y = linalg.generic {indexing_maps = [#row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%i : tensor<4xi64>) outs(%e : tensor<4x4xf32>) {
  ^bb0(%a: i64, %o: f32):
    %p = arith.index_cast %a : i64 to index
    %m = linalg.index 1 : index
    %r = tensor.extract %s[%p, %m] : tensor<4x4xf32>
    linalg.yield %r : f32
  } -> tensor<4x4xf32>
  return %s, %y : tensor<4x4xf32>, tensor<4x4xf32>
}

// A part of the loop is no coordinate of the map's operand: it stays an element.
// CHECK-LABEL: func.func @first_rows(
// CHECK: linalg.generic {{.*}} ins(%arg2, %arg1 : tensor<2xi64>, tensor<4xf32>)
// CHECK: tensor.extract %arg0[
// CHECK-NOT: linalg.generic
func.func @first_rows(%d: tensor<4xf32>, %c: tensor<4xf32>, %i: tensor<2xi64>) -> tensor<2x4xf32> attributes {lutra.dims = []} {
  %e = tensor.empty() : tensor<4x4xf32>
  %f = tensor.empty() : tensor<2x4xf32>
  %s = linalg.generic {indexing_maps = [#row, #column, #all], iterator_types = ["parallel", "parallel"]}
      ins(%d, %c : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %r = arith.addf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<4x4xf32>
  %y = linalg.generic {indexing_maps = [#row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%i : tensor<2xi64>) outs(%f : tensor<2x4xf32>) {
  ^bb0(%a: i64, %o: f32):
    %p = linalg.index 0 : index
    %m = linalg.index 1 : index
    %r = tensor.extract %s[%p, %m] : tensor<4x4xf32>
    linalg.yield %r : f32
  } -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}
