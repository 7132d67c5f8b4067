// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(convert-cascade-to-linalg{part=32},canonicalize,cse))' | FileCheck %s

// CHECK-DAG: #[[INNER:.*]] = affine_map<()[s0] -> (250, s0 + 1)>
// CHECK-DAG: #[[WHOLE:.*]] = affine_map<()[s0] -> (0, (s0 floordiv 32) * 32)>

// Parts before the diagonal of all rows need no comparison. Those on it share
// the loop of the part that is left over, which ends behind the last row.
// CHECK-LABEL: func.func @causal
// CHECK-SAME: %[[OFF:[a-z0-9]*]]: index
// CHECK-DAG: %[[TO:.*]] = affine.min #[[INNER]]()[%[[OFF]]]
// CHECK-DAG: %[[LAST:.*]] = affine.max #[[WHOLE]]()[%[[TO]]]
// CHECK: scf.for %{{.*}} = %c0 to %[[LAST]] step %c32
// CHECK: tensor.extract_slice %{{.*}} [4, 32] [1, 1]
// CHECK-NOT: linalg.index
// CHECK: scf.for %[[AT:.*]] = %[[LAST]] to %{{.*}} step %c32
// CHECK: tensor.extract_slice %{{.*}}[0, %[[AT]]]
// CHECK: arith.cmpi sle
// CHECK-NOT: scf.for
func.func @causal(%x: tensor<4x250xf32>, %off: index) -> tensor<4xf32> {
  %zero = arith.constant 0.0 : f32
  %y = cascade.cascade ranks(p = 4, m = 250) {
    %s0 = cascade.einsum [p] () -> [p] {
      cascade.yield %zero : f32
    } : () -> tensor<4xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%s = %s0)
        filters([affine_set<(d0, d1)[s0] : (d0 - d1 + s0 >= 0)>][%off]) : (tensor<4x250xf32>), (tensor<4xf32>) {
      %s1 = cascade.einsum [p, m] (%part[p, m]) reduce(add) init(%s) -> [p] {
      ^bb0(%a: f32):
        %p = cascade.index "p"
        %m = cascade.index "m"
        %last = arith.addi %p, %off : index
        %seen = arith.cmpi sle, %m, %last : index
        %v = arith.select %seen, %a, %zero : f32
        cascade.yield %v : f32
      } : (tensor<4x?xf32>) -> tensor<4xf32>
      cascade.yield %s1 : tensor<4xf32>
    }
    cascade.yield %r : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// Parts that divide the rank are whole at the edges, too.
// CHECK-LABEL: func.func @divided
// CHECK: scf.for
// CHECK-NOT: linalg.index
// CHECK: scf.for
// CHECK: tensor.extract_slice %{{.*}} [4, 32] [1, 1]
// CHECK: arith.cmpi sle
// CHECK-NOT: scf.for
func.func @divided(%x: tensor<4x256xf32>, %off: index) -> tensor<4xf32> {
  %zero = arith.constant 0.0 : f32
  %y = cascade.cascade ranks(p = 4, m = 256) {
    %s0 = cascade.einsum [p] () -> [p] {
      cascade.yield %zero : f32
    } : () -> tensor<4xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%s = %s0)
        filters([affine_set<(d0, d1)[s0] : (d0 - d1 + s0 >= 0)>][%off]) : (tensor<4x256xf32>), (tensor<4xf32>) {
      %s1 = cascade.einsum [p, m] (%part[p, m]) reduce(add) init(%s) -> [p] {
      ^bb0(%a: f32):
        %p = cascade.index "p"
        %m = cascade.index "m"
        %last = arith.addi %p, %off : index
        %seen = arith.cmpi sle, %m, %last : index
        %v = arith.select %seen, %a, %zero : f32
        cascade.yield %v : f32
      } : (tensor<4x?xf32>) -> tensor<4xf32>
      cascade.yield %s1 : tensor<4xf32>
    }
    cascade.yield %r : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// Half a part divides the rank and parts: parts at the edges are as long.
// CHECK-LABEL: func.func @halves
// CHECK: scf.for
// CHECK-NOT: linalg.index
// CHECK: scf.for {{.*}} step %c16
// CHECK: tensor.extract_slice %{{.*}} [4, 16] [1, 1]
// CHECK: arith.cmpi sle
// CHECK-NOT: scf.for
func.func @halves(%x: tensor<4x272xf32>, %off: index) -> tensor<4xf32> {
  %zero = arith.constant 0.0 : f32
  %y = cascade.cascade ranks(p = 4, m = 272) {
    %s0 = cascade.einsum [p] () -> [p] {
      cascade.yield %zero : f32
    } : () -> tensor<4xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%s = %s0)
        filters([affine_set<(d0, d1)[s0] : (d0 - d1 + s0 >= 0)>][%off]) : (tensor<4x272xf32>), (tensor<4xf32>) {
      %s1 = cascade.einsum [p, m] (%part[p, m]) reduce(add) init(%s) -> [p] {
      ^bb0(%a: f32):
        %p = cascade.index "p"
        %m = cascade.index "m"
        %last = arith.addi %p, %off : index
        %seen = arith.cmpi sle, %m, %last : index
        %v = arith.select %seen, %a, %zero : f32
        cascade.yield %v : f32
      } : (tensor<4x?xf32>) -> tensor<4xf32>
      cascade.yield %s1 : tensor<4xf32>
    }
    cascade.yield %r : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// Both edges of a window are one loop, which leaves out what is between them.
// CHECK-LABEL: func.func @window
// CHECK: %[[LENGTH:.*]] = affine.apply #{{.*}}()[%[[FROM:.*]], %[[TO:.*]]]
// CHECK: scf.for %{{.*}} = %[[FROM]] to %[[TO]] step %c32
// CHECK-NOT: linalg.index
// CHECK: scf.for %[[I:.*]] = %{{.*}} to %{{.*}} step %c32
// CHECK: %[[IS:.*]] = arith.cmpi sge, %[[I]], %[[FROM]]
// CHECK: %[[JUMP:.*]] = arith.addi %[[I]], %[[LENGTH]]
// CHECK: %[[AT:.*]] = arith.select %[[IS]], %[[JUMP]], %[[I]]
// CHECK: tensor.extract_slice %{{.*}}[0, %[[AT]]]
// CHECK: arith.andi
// CHECK-NOT: scf.for
func.func @window(%x: tensor<4x250xf32>, %off: index) -> tensor<4xf32> {
  %zero = arith.constant 0.0 : f32
  %y = cascade.cascade ranks(p = 4, m = 250) {
    %s0 = cascade.einsum [p] () -> [p] {
      cascade.yield %zero : f32
    } : () -> tensor<4xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%s = %s0)
        filters([affine_set<(d0, d1)[s0] : (d0 - d1 + s0 >= 0, d1 - d0 - s0 + 99 >= 0)>][%off]) : (tensor<4x250xf32>), (tensor<4xf32>) {
      %s1 = cascade.einsum [p, m] (%part[p, m]) reduce(add) init(%s) -> [p] {
      ^bb0(%a: f32):
        %p = cascade.index "p"
        %m = cascade.index "m"
        %width = arith.constant 100 : index
        %last = arith.addi %p, %off : index
        %first = arith.subi %last, %width : index
        %before = arith.cmpi sle, %m, %last : index
        %behind = arith.cmpi sgt, %m, %first : index
        %seen = arith.andi %before, %behind : i1
        %v = arith.select %seen, %a, %zero : f32
        cascade.yield %v : f32
      } : (tensor<4x?xf32>) -> tensor<4xf32>
      cascade.yield %s1 : tensor<4xf32>
    }
    cascade.yield %r : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// All rows of a tile see fewer keys than a part has: none of it is left whole.
// CHECK-LABEL: func.func @narrow_window
// CHECK: scf.for
// CHECK: arith.andi
// CHECK: scf.for
// CHECK: arith.andi
// CHECK-NOT: scf.for
func.func @narrow_window(%x: tensor<4x250xf32>, %off: index) -> tensor<4xf32> {
  %zero = arith.constant 0.0 : f32
  %y = cascade.cascade ranks(p = 4, m = 250) {
    %s0 = cascade.einsum [p] () -> [p] {
      cascade.yield %zero : f32
    } : () -> tensor<4xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%s = %s0)
        filters([affine_set<(d0, d1)[s0] : (d0 - d1 + s0 >= 0, d1 - d0 - s0 + 33 >= 0)>][%off]) : (tensor<4x250xf32>), (tensor<4xf32>) {
      %s1 = cascade.einsum [p, m] (%part[p, m]) reduce(add) init(%s) -> [p] {
      ^bb0(%a: f32):
        %p = cascade.index "p"
        %m = cascade.index "m"
        %width = arith.constant 34 : index
        %last = arith.addi %p, %off : index
        %first = arith.subi %last, %width : index
        %before = arith.cmpi sle, %m, %last : index
        %behind = arith.cmpi sgt, %m, %first : index
        %seen = arith.andi %before, %behind : i1
        %v = arith.select %seen, %a, %zero : f32
        cascade.yield %v : f32
      } : (tensor<4x?xf32>) -> tensor<4xf32>
      cascade.yield %s1 : tensor<4xf32>
    }
    cascade.yield %r : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// Sinks are no part. The window is, behind the gap between the two.
// CHECK-LABEL: func.func @sinks_and_window
// CHECK: scf.for
// CHECK-NOT: linalg.index
// CHECK: scf.for
// CHECK: arith.ori
// CHECK-NOT: scf.for
func.func @sinks_and_window(%x: tensor<4x250xf32>, %off: index) -> tensor<4xf32> {
  %zero = arith.constant 0.0 : f32
  %y = cascade.cascade ranks(p = 4, m = 250) {
    %s0 = cascade.einsum [p] () -> [p] {
      cascade.yield %zero : f32
    } : () -> tensor<4xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%s = %s0)
        filters([affine_set<(d0, d1)[s0] : (-d1 + 3 >= 0)>, affine_set<(d0, d1)[s0] : (d0 - d1 + s0 >= 0, d1 - d0 - s0 + 99 >= 0)>][%off]) : (tensor<4x250xf32>), (tensor<4xf32>) {
      %s1 = cascade.einsum [p, m] (%part[p, m]) reduce(add) init(%s) -> [p] {
      ^bb0(%a: f32):
        %p = cascade.index "p"
        %m = cascade.index "m"
        %width = arith.constant 100 : index
        %four = arith.constant 4 : index
        %last = arith.addi %p, %off : index
        %first = arith.subi %last, %width : index
        %before = arith.cmpi sle, %m, %last : index
        %behind = arith.cmpi sgt, %m, %first : index
        %near = arith.andi %before, %behind : i1
        %sink = arith.cmpi slt, %m, %four : index
        %seen = arith.ori %near, %sink : i1
        %v = arith.select %seen, %a, %zero : f32
        cascade.yield %v : f32
      } : (tensor<4x?xf32>) -> tensor<4xf32>
      cascade.yield %s1 : tensor<4xf32>
    }
    cascade.yield %r : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// Filters of an Einsum are left out like comparisons.
// CHECK-LABEL: func.func @filtered
// CHECK: scf.for
// CHECK-NOT: linalg.index
// CHECK: scf.for
// CHECK: linalg.index
// CHECK-NOT: scf.for
func.func @filtered(%x: tensor<4x250xf32>, %off: index) -> tensor<4xf32> {
  %zero = arith.constant 0.0 : f32
  %y = cascade.cascade ranks(p = 4, m = 250) {
    %s0 = cascade.einsum [p] () -> [p] {
      cascade.yield %zero : f32
    } : () -> tensor<4xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%s = %s0)
        filters([affine_set<(d0, d1)[s0] : (d0 - d1 + s0 >= 0)>][%off]) : (tensor<4x250xf32>), (tensor<4xf32>) {
      %s1 = cascade.einsum [p, m] (%part[p, m]) reduce(add)
          filters([affine_set<(d0, d1)[s0] : (d0 - d1 + s0 >= 0)>][%off]) init(%s) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<4x?xf32>) -> tensor<4xf32>
      cascade.yield %s1 : tensor<4xf32>
    }
    cascade.yield %r : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// What data says is asked everywhere.
// CHECK-LABEL: func.func @data
// CHECK: scf.for
// CHECK-NOT: linalg.index
// CHECK: arith.select
// CHECK: scf.for
// CHECK: linalg.index
// CHECK: arith.select
// CHECK-NOT: scf.for
func.func @data(%x: tensor<4x250xf32>, %off: index, %mask: tensor<4xi1>) -> tensor<4xf32> {
  %zero = arith.constant 0.0 : f32
  %y = cascade.cascade ranks(p = 4, m = 250) {
    %s0 = cascade.einsum [p] () -> [p] {
      cascade.yield %zero : f32
    } : () -> tensor<4xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%s = %s0)
        filters([affine_set<(d0, d1)[s0] : (d0 - d1 + s0 >= 0)>][%off]) : (tensor<4x250xf32>), (tensor<4xf32>) {
      %s1 = cascade.einsum [p, m] (%part[p, m]) reduce(add)
          filters([affine_set<(d0, d1)[s0] : (d0 - d1 + s0 >= 0)>][%off]) mask(%mask[p]) init(%s) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<4x?xf32>, tensor<4xi1>) -> tensor<4xf32>
      cascade.yield %s1 : tensor<4xf32>
    }
    cascade.yield %r : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// A loop is no simpler where nothing was compared.
// CHECK-LABEL: func.func @unmasked
// CHECK-COUNT-2: scf.for
// CHECK-NOT: scf.for
func.func @unmasked(%x: tensor<4x250xf32>, %off: index) -> tensor<4xf32> {
  %zero = arith.constant 0.0 : f32
  %y = cascade.cascade ranks(p = 4, m = 250) {
    %s0 = cascade.einsum [p] () -> [p] {
      cascade.yield %zero : f32
    } : () -> tensor<4xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%s = %s0)
        filters([affine_set<(d0, d1)[s0] : (d0 - d1 + s0 >= 0)>][%off]) : (tensor<4x250xf32>), (tensor<4xf32>) {
      %s1 = cascade.einsum [p, m] (%part[p, m]) reduce(add) init(%s) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<4x?xf32>) -> tensor<4xf32>
      cascade.yield %s1 : tensor<4xf32>
    }
    cascade.yield %r : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}
