// RUN: lutra-opt %s -split-input-file -verify-diagnostics -pass-pipeline='builtin.module(func.func(apply-schedule,canonicalize,cse))' | FileCheck %s

// A tile reads slices of inputs and masks; its filters and coordinates are those of
// the whole. Where a dimension is read at a quotient of a rank, the tile of one
// coordinate has one there.
// CHECK-DAG: #[[GROUP:.*]] = affine_map<(d0) -> (d0 floordiv 4)>
// CHECK-DAG: #[[FIRST:.*]] = affine_map<(d0, d1, d2) -> (0, d2)>
// CHECK-DAG: #[[CAUSAL:.*]] = affine_map<()[s0, s1, s2, s3] -> (s0 + s1 + s2 - s3)>
// CHECK-LABEL: func private @sum
// CHECK-SAME: (%[[OFF:.*]]: index, %[[X:.*]]: tensor<2x16xf32>, %[[MASK:.*]]: tensor<6x16xi8>, %[[O:.*]]: tensor<8x6xf32>)
// CHECK: scf.forall (%[[H:.*]], %[[P:.*]]) = (0, 0) to (8, 6) step (1, 3) shared_outs(%[[OUT:.*]] = %[[O]])
// CHECK-DAG: %[[G:.*]] = affine.apply #[[GROUP]](%[[H]])
// CHECK-DAG: %[[KEYS:.*]] = tensor.extract_slice %[[X]][%[[G]], 0] [1, 16] [1, 1] : tensor<2x16xf32> to tensor<1x16xf32>
// CHECK-DAG: %[[BITS:.*]] = tensor.extract_slice %[[MASK]][%[[P]], 0] [3, 16] [1, 1] : tensor<6x16xi8> to tensor<3x16xi8>
// CHECK-DAG: %[[PLACE:.*]] = tensor.extract_slice %[[OUT]][%[[H]], %[[P]]] [1, 3] [1, 1] : tensor<8x6xf32> to tensor<1x3xf32>
// CHECK: linalg.fill {{.*}} outs(%[[PLACE]] : tensor<1x3xf32>)
// CHECK: %[[Y:.*]] = linalg.generic {indexing_maps = [#[[FIRST]],
// CHECK-SAME: ins(%[[KEYS]], %[[BITS]] : tensor<1x16xf32>, tensor<3x16xi8>)
// CHECK: %[[I:.*]] = linalg.index 1
// CHECK: %[[ROW:.*]] = arith.addi %[[I]], %[[P]] : index
// CHECK: arith.index_cast %[[ROW]]
// CHECK: %[[J:.*]] = linalg.index 2
// CHECK: affine.apply #[[CAUSAL]]()[%[[OFF]], %[[P]], %[[I]], %[[J]]]
// CHECK: tensor.parallel_insert_slice %[[Y]] into %[[OUT]][%[[H]], %[[P]]] [1, 3] [1, 1]
func.func private @sum(%off: index, %x: tensor<2x16xf32>, %mask: tensor<6x16xi8>, %o: tensor<8x6xf32>) -> tensor<8x6xf32>
    attributes {lutra.kernel, lutra.schedule = #lutra.schedule<distribute = [1, 3, 0], tile = [0, 0, 0], order = [], vector = 16>} {
  %y = cascade.cascade ranks(h = 8, p = 6, m = 16) {
    %s = cascade.einsum [h, p, m] (%x[h floordiv 4, m]) reduce(add)
        filters([affine_set<(d0, d1, d2)[s0] : (d1 + s0 - d2 >= 0)>][%off]) mask(%mask[p, m]) -> [h, p] {
    ^bb0(%a: f32):
      %i = cascade.index "p"
      %j = arith.index_cast %i : index to i32
      %f = arith.sitofp %j : i32 to f32
      %t = arith.mulf %a, %f : f32
      cascade.yield %t : f32
    } : (tensor<2x16xf32>, tensor<6x16xi8>) -> tensor<8x6xf32>
    cascade.yield %s : tensor<8x6xf32>
  } : tensor<8x6xf32>
  return %y : tensor<8x6xf32>
}

// -----

// A stream has one slice for all who read it: there is no tile where one reads the
// rows at another place than another.
func.func private @two_places(%x: tensor<8x16xf32>, %o: tensor<8xf32>) -> tensor<8xf32>
    attributes {lutra.kernel, lutra.schedule = #lutra.schedule<distribute = [1, 0], tile = [0, 16], order = [], vector = 16>} {
  // expected-error @+1 {{expected a cascade that can be tiled along its rows}}
  %y = cascade.cascade ranks(h = 8, m = 16) {
    %s0 = cascade.einsum [h] () -> [h] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<8xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%s = %s0) : (tensor<8x16xf32>), (tensor<8xf32>) {
      %s1 = cascade.einsum [h, m] (%part[h, m]) reduce(add) init(%s) -> [h] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      %s2 = cascade.einsum [h, m] (%part[h floordiv 2, m]) reduce(add) init(%s1) -> [h] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<8x?xf32>) -> tensor<8xf32>
      cascade.yield %s2 : tensor<8xf32>
    }
    %z = cascade.einsum [h] (%r[h]) -> [h] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<8xf32>) -> tensor<8xf32>
    cascade.yield %z : tensor<8xf32>
  } : tensor<8xf32>
  return %y : tensor<8xf32>
}

// -----

// Tiles of a rank that a result lacks would each write all of it.
func.func private @reduced_rank(%x: tensor<4x8xf32>, %o: tensor<4xf32>) -> tensor<4xf32>
    attributes {lutra.kernel, lutra.schedule = #lutra.schedule<distribute = [0, 4], tile = [0, 0], order = [], vector = 16>} {
  // expected-error @+1 {{expected a cascade that can be tiled along its rows}}
  %y = cascade.cascade ranks(p = 4, m = 8) {
    %s = cascade.einsum [p, m] (%x[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x8xf32>) -> tensor<4xf32>
    cascade.yield %s : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}
