// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(convert-cascade-to-linalg{part=32}))' | FileCheck %s
// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(convert-cascade-to-linalg))' | FileCheck %s --check-prefix=ALL
// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(convert-cascade-to-linalg{part=32},canonicalize,cse,lower-affine))' | FileCheck %s --check-prefix=BOUND
// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(convert-cascade-to-linalg{part=32},canonicalize,cse),bufferize-kernels)' | FileCheck %s --check-prefix=MEMORY

// CHECK-DAG: #[[$SUM:.*]] = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// CHECK-DAG: #[[$PARTS:.*]] = affine_map<(d0, d1, d2) -> (d0, d2, d1)>
// CHECK-DAG: #[[$COMBINED:.*]] = affine_map<(d0, d1, d2) -> (d2, d1)>

// A reduction begins with what changes nothing; ranks that the result lacks are reduced.
// CHECK-LABEL: func.func @sum
// CHECK-SAME: %[[X:[a-z0-9]*]]: tensor<?x128xf32>, %[[N:[a-z0-9]*]]: index
// CHECK: %[[EMPTY:.*]] = tensor.empty(%[[N]]) : tensor<?xf32>
// CHECK: %[[ZERO:.*]] = arith.constant 0.000000e+00 : f32
// CHECK: %[[FILL:.*]] = linalg.fill ins(%[[ZERO]] : f32) outs(%[[EMPTY]] : tensor<?xf32>)
// CHECK: %[[Y:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]} ins(%[[X]] : tensor<?x128xf32>) outs(%[[FILL]] : tensor<?xf32>)
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32, %[[ACC:.*]]: f32):
// CHECK-NEXT: %[[Q:.*]] = arith.mulf %[[A]], %[[A]] : f32
// CHECK-NEXT: arith.addf %[[ACC]], %[[Q]] : f32
// CHECK: return %[[Y]]
func.func @sum(%x: tensor<?x128xf32>, %n: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %n, m = 128) {
    %s = cascade.einsum [p, m] (%x[p, m]) reduce(add) -> [p] {
    ^bb0(%a: f32):
      %r = arith.mulf %a, %a : f32
      cascade.yield %r : f32
    } : (tensor<?x128xf32>) -> tensor<?xf32>
    cascade.yield %s : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// A maximum begins with -inf; an Einsum that reduces nothing begins with nothing.
// CHECK-LABEL: func.func @maximum
// CHECK: arith.constant 0xFF800000 : f32
// CHECK: linalg.fill
// CHECK: arith.maximumf
// CHECK-NOT: linalg.fill
// CHECK: %[[EMPTY:.*]] = tensor.empty() : tensor<4x8xf32>
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]} {{.*}} outs(%[[EMPTY]] : tensor<4x8xf32>)
// CHECK: arith.subf
func.func @maximum(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %y = cascade.cascade ranks(p = 4, m = 8) {
    %max = cascade.einsum [p, m] (%x[p, m]) reduce(max) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x8xf32>) -> tensor<4xf32>
    %d = cascade.einsum [p, m] (%x[p, m], %max[p]) -> [p, m] {
    ^bb0(%a: f32, %b: f32):
      %r = arith.subf %a, %b : f32
      cascade.yield %r : f32
    } : (tensor<4x8xf32>, tensor<4xf32>) -> tensor<4x8xf32>
    cascade.yield %d : tensor<4x8xf32>
  } : tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// Absent points count as the identity: those in none of the filters, and those
// where the mask is 0. What is added to comes from the init.
// CHECK-LABEL: func.func @absent
// CHECK-SAME: %[[X:[a-z0-9]*]]: tensor<4x8xf32>, %[[MASK:[a-z0-9]*]]: tensor<8xi8>, %[[I:[a-z0-9]*]]: tensor<4xf32>, %[[OFF:[a-z0-9]*]]: index
// CHECK-NOT: linalg.fill
// CHECK: %[[INIT:.*]] = linalg.generic {{.*}} ins(%[[I]] : tensor<4xf32>)
// CHECK-NOT: linalg.fill
// CHECK: linalg.generic {{.*}} ins(%[[X]], %[[MASK]] : tensor<4x8xf32>, tensor<8xi8>) outs(%[[INIT]] : tensor<4xf32>)
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32, %[[K:.*]]: i8, %[[ACC:.*]]: f32):
// CHECK: %[[P:.*]] = linalg.index 0
// CHECK: %[[M:.*]] = linalg.index 1
// CHECK: %[[C0:.*]] = affine.apply #{{.*}}(%[[P]], %[[M]])[%[[OFF]]]
// CHECK: %[[IN0:.*]] = arith.cmpi sge, %[[C0]], %{{.*}} : index
// CHECK: %[[IN1:.*]] = arith.cmpi eq, %{{.*}}, %{{.*}} : index
// CHECK: %[[ANY:.*]] = arith.ori %[[IN0]], %[[IN1]] : i1
// CHECK: %[[SET:.*]] = arith.cmpi ne, %[[K]], %{{.*}} : i8
// CHECK: %[[PRESENT:.*]] = arith.andi %[[ANY]], %[[SET]] : i1
// CHECK: %[[ZERO:.*]] = arith.constant 0.000000e+00 : f32
// CHECK: %[[V:.*]] = arith.select %[[PRESENT]], %[[A]], %[[ZERO]] : f32
// CHECK: arith.addf %[[ACC]], %[[V]] : f32
func.func @absent(%x: tensor<4x8xf32>, %mask: tensor<8xi8>, %init: tensor<4xf32>, %off: index) -> tensor<4xf32> {
  %y = cascade.cascade ranks(p = 4, m = 8) {
    %i = cascade.einsum [p] (%init[p]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4xf32>) -> tensor<4xf32>
    %s = cascade.einsum [p, m] (%x[p, m]) reduce(add)
        filters([affine_set<(d0, d1)[s0] : (d0 - d1 + s0 >= 0)>, affine_set<(d0, d1)[s0] : (d1 == 0)>][%off]) mask(%mask[m]) init(%i) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4x8xf32>, tensor<8xi8>) -> tensor<4xf32>
    cascade.yield %s : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// A quotient by 0 is what stands for no points.
// CHECK-LABEL: func.func @divide
// CHECK: ^bb0(%[[A:.*]]: f32, %[[B:.*]]: f32, %{{.*}}: f32):
// CHECK: %[[ZERO:.*]] = arith.constant 0.000000e+00 : f32
// CHECK: %[[EMPTY:.*]] = arith.constant 2.500000e+00 : f32
// CHECK: %[[NONE:.*]] = arith.cmpf oeq, %[[B]], %[[ZERO]] : f32
// CHECK: %[[Q:.*]] = arith.divf %[[A]], %[[B]] : f32
// CHECK: %[[R:.*]] = arith.select %[[NONE]], %[[EMPTY]], %[[Q]] : f32
// CHECK: linalg.yield %[[R]]
func.func @divide(%x: tensor<4xf32>, %s: tensor<4xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(p = 4) {
    %q = cascade.einsum [p] (%x[p], %s[p]) -> [p] {
    ^bb0(%a: f32, %b: f32):
      %r = cascade.divide %a, %b empty(2.5) : f32
      cascade.yield %r : f32
    } : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    cascade.yield %q : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// Parts that divide the rank have a static size; coordinates are those of the
// whole rank. All of it at once is one part.
// CHECK-LABEL: func.func @whole_parts
// CHECK-SAME: %[[X:[a-z0-9]*]]: tensor<4x128xf32>
// CHECK: scf.for %[[AT:.*]] = %c0{{.*}} to %c128{{.*}} step %c32{{.*}} iter_args(%[[S:.*]] = %{{.*}}) -> (tensor<4xf32>) {
// CHECK-NOT: affine.min
// CHECK: %[[PART:.*]] = tensor.extract_slice %[[X]][0, %[[AT]]] [4, 32] [1, 1] : tensor<4x128xf32> to tensor<4x32xf32>
// CHECK: %[[NEXT:.*]] = linalg.generic {{.*}} ins(%[[PART]] : tensor<4x32xf32>) outs(%[[S]] : tensor<4xf32>)
// CHECK: %[[I:.*]] = linalg.index 1
// CHECK: arith.addi %[[I]], %[[AT]] : index
// CHECK: scf.yield %[[NEXT]]
// ALL-LABEL: func.func @whole_parts
// ALL: scf.for %{{.*}} = %c0{{.*}} to %c128{{.*}} step %c128
// ALL-NOT: affine.min
// ALL: tensor.extract_slice %{{.*}} [4, 128] [1, 1]
func.func @whole_parts(%x: tensor<4x128xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(p = 4, m = 128) {
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<4xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%s = %s0) : (tensor<4x128xf32>), (tensor<4xf32>) {
      %s1 = cascade.einsum [p, m] (%part[p, m]) reduce(add) init(%s) -> [p] {
      ^bb0(%a: f32):
        %i = cascade.index "m"
        %j = arith.index_cast %i : index to i32
        %f = arith.sitofp %j : i32 to f32
        %t = arith.mulf %a, %f : f32
        cascade.yield %t : f32
      } : (tensor<4x?xf32>) -> tensor<4xf32>
      cascade.yield %s1 : tensor<4xf32>
    }
    cascade.yield %r : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// Whole parts have a static size, and what is left is a part apart; filters see the
// coordinates of the whole rank.
// A rank of no coordinates has no part, and a loop over it still steps.
// CHECK-LABEL: func.func @remainder
// CHECK-SAME: %[[X:[a-z0-9]*]]: tensor<4x?xf32>, %[[M:[a-z0-9]*]]: index
// CHECK: %[[WHOLE:.*]] = affine.max #{{.*}}()[%[[M]]]
// CHECK: scf.for %[[FROM:.*]] = %{{.*}} to %[[WHOLE]] step %c32
// CHECK: tensor.extract_slice %[[X]][0, %[[FROM]]] [4, 32] [1, 1] : tensor<4x?xf32> to tensor<4x32xf32>
// CHECK: scf.for %[[AT:.*]] = %[[WHOLE]] to %[[M]] step %c32
// CHECK: %[[SIZE:.*]] = affine.min #{{.*}}()[%[[M]], %[[AT]]]
// CHECK: tensor.extract_slice %[[X]][0, %[[AT]]] [4, %[[SIZE]]] [1, 1] : tensor<4x?xf32> to tensor<4x?xf32>
// CHECK: %[[I:.*]] = linalg.index 1
// CHECK: %[[C:.*]] = arith.addi %[[I]], %[[AT]] : index
// CHECK: affine.apply #{{.*}}(%{{.*}}, %[[C]])
// CHECK: arith.select
// ALL-LABEL: func.func @remainder
// ALL-SAME: %[[M:[a-z0-9]*]]: index
// ALL: %[[STEP:.*]] = arith.maxsi %[[M]], %{{.*}} : index
// ALL: scf.for %{{.*}} = %{{.*}} to %[[M]] step %[[STEP]]
func.func @remainder(%x: tensor<4x?xf32>, %m: index) -> tensor<4xf32> {
  %y = cascade.cascade ranks(p = 4, m = %m) {
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<4xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%s = %s0) : (tensor<4x?xf32>), (tensor<4xf32>) {
      %s1 = cascade.einsum [p, m] (%part[p, m]) reduce(add) filters([affine_set<(d0, d1) : (d0 - d1 >= 0)>]) init(%s) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<4x?xf32>) -> tensor<4xf32>
      cascade.yield %s1 : tensor<4xf32>
    }
    cascade.yield %r : tensor<4xf32>
  } : tensor<4xf32>
  return %y : tensor<4xf32>
}

// A filter that keys are not past the query ends the loop behind the last query.
// BOUND-LABEL: func.func @causal
// BOUND-SAME: %[[P:[a-z0-9]*]]: index, %[[M:[a-z0-9]*]]: index, %[[OFF:[a-z0-9]*]]: index
// BOUND: %[[LAST:.*]] = arith.addi %[[OFF]], %[[P]] : index
// BOUND: %[[END:.*]] = arith.minsi %[[LAST]], %[[M]] : index
// BOUND: scf.for %{{.*}} = %c0 to %[[WHOLE:.*]] step %c32
// BOUND: scf.for %[[AT:.*]] = %[[WHOLE]] to %[[END]] step %c32
// BOUND: %[[LEFT:.*]] = arith.addi %[[END]], %{{.*}} : index
// BOUND: %[[SIZE:.*]] = arith.minsi %{{.*}}, %[[LEFT]] : index
// BOUND: tensor.extract_slice %{{.*}}[0, %[[AT]]] [%{{.*}}, %[[SIZE]]]
func.func @causal(%x: tensor<?x?xf32>, %p: index, %m: index, %off: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %p, m = %m) {
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%s = %s0)
        filters([affine_set<(d0, d1)[s0] : (d0 - d1 + s0 >= 0)>][%off]) : (tensor<?x?xf32>), (tensor<?xf32>) {
      %s1 = cascade.einsum [p, m] (%part[p, m]) reduce(add) init(%s) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      cascade.yield %s1 : tensor<?xf32>
    }
    cascade.yield %r : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// A window bounds the loop on both sides: it begins at the first query's.
// BOUND-LABEL: func.func @window
// BOUND-SAME: %[[P:[a-z0-9]*]]: index, %[[M:[a-z0-9]*]]: index, %[[OFF:[a-z0-9]*]]: index
// BOUND: %[[LAST:.*]] = arith.addi %[[OFF]], %[[P]] : index
// BOUND: %[[END:.*]] = arith.minsi %[[LAST]], %[[M]] : index
// BOUND: %[[FIRST:.*]] = arith.addi %[[OFF]], %c-7{{.*}} : index
// BOUND: %[[BEGIN:.*]] = arith.maxsi %c0{{.*}}, %[[FIRST]] : index
// BOUND: scf.for %{{.*}} = %[[BEGIN]] to %[[WHOLE:.*]] step %c32
// BOUND: scf.for %{{.*}} = %[[WHOLE]] to %[[END]] step %c32
func.func @window(%x: tensor<?x?xf32>, %p: index, %m: index, %off: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %p, m = %m) {
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%s = %s0)
        filters([affine_set<(d0, d1)[s0] : (d0 - d1 + s0 >= 0, d1 - d0 - s0 + 7 >= 0)>][%off]) : (tensor<?x?xf32>), (tensor<?xf32>) {
      %s1 = cascade.einsum [p, m] (%part[p, m]) reduce(add) init(%s) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      cascade.yield %s1 : tensor<?xf32>
    }
    cascade.yield %r : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// Of two sets, the loop goes from the lesser beginning to the greater end, and
// leaves out what lies between them: parts from the end of the first on are
// taken from where the second begins. A set that is empty is beyond the other.
// BOUND-LABEL: func.func @union
// BOUND-SAME: %[[P:[a-z0-9]*]]: index, %[[M:[a-z0-9]*]]: index, %[[OFF:[a-z0-9]*]]: index
// BOUND: %[[END0:.*]] = arith.minsi %c4{{.*}}, %[[M]] : index
// BOUND: %[[BEGIN1:.*]] = arith.maxsi %c0{{.*}}, %[[OFF]] : index
// BOUND: %[[BEHIND:.*]] = arith.addi %[[OFF]], %c1{{.*}} : index
// BOUND: %[[END1:.*]] = arith.minsi %[[BEHIND]], %[[M]] : index
// BOUND: %[[IS0:.*]] = arith.cmpi sgt, %[[END0]], %c0 : index
// BOUND: %[[FROM0:.*]] = arith.select %[[IS0]], %c0, %[[M]] : index
// BOUND: %[[TO0:.*]] = arith.select %[[IS0]], %[[END0]], %c0 : index
// BOUND: %[[IS1:.*]] = arith.cmpi slt, %[[BEGIN1]], %[[END1]] : index
// BOUND: %[[FROM1:.*]] = arith.select %[[IS1]], %[[BEGIN1]], %[[M]] : index
// BOUND: %[[TO1:.*]] = arith.select %[[IS1]], %[[END1]], %c0 : index
// BOUND: %[[BEGIN:.*]] = arith.minsi %[[FROM1]], %[[FROM0]] : index
// BOUND: %[[END:.*]] = arith.maxsi %[[TO1]], %[[TO0]] : index
// BOUND: %[[STEPS:.*]] = arith.muli %{{.*}}, %c32 : index
// BOUND: %[[SPLIT:.*]] = arith.addi %[[BEGIN]], %[[STEPS]] : index
// BOUND: %[[SPACE:.*]] = arith.subi %{{.*}}, %[[SPLIT]] : index
// BOUND: %[[GAP:.*]] = arith.maxsi %[[SPACE]], %c0 : index
// BOUND: %[[LESS:.*]] = arith.subi %[[END]], %[[GAP]] : index
// BOUND: scf.for %{{.*}} = %[[BEGIN]] to %[[WHOLE:.*]] step %c32
// BOUND: scf.for %[[I:.*]] = %[[WHOLE]] to %[[LESS]] step %c32
// BOUND: %[[IS:.*]] = arith.cmpi sge, %[[I]], %[[SPLIT]] : index
// BOUND: %[[JUMP:.*]] = arith.addi %[[I]], %[[GAP]] : index
// BOUND: %[[AT:.*]] = arith.select %[[IS]], %[[JUMP]], %[[I]] : index
// BOUND: %[[MINUS:.*]] = arith.muli %[[AT]], %c-1{{.*}} : index
// BOUND: %[[LEFT:.*]] = arith.addi %[[END]], %[[MINUS]] : index
// BOUND: %[[SIZE:.*]] = arith.minsi %c32{{.*}}, %[[LEFT]] : index
// BOUND: tensor.extract_slice %{{.*}}[0, %[[AT]]] [%{{.*}}, %[[SIZE]]]
func.func @union(%x: tensor<?x?xf32>, %p: index, %m: index, %off: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %p, m = %m) {
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%s = %s0)
        filters([affine_set<(d0, d1)[s0] : (-d1 + 3 >= 0)>, affine_set<(d0, d1)[s0] : (d1 - s0 == 0)>][%off]) : (tensor<?x?xf32>), (tensor<?xf32>) {
      %s1 = cascade.einsum [p, m] (%part[p, m]) reduce(add) init(%s) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      cascade.yield %s1 : tensor<?xf32>
    }
    cascade.yield %r : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// A factor divides the bound, a quotient is at least its dividend less the
// divisor, and a remainder bounds nothing. What has no rank says whether there
// is anything to go over.
// BOUND-LABEL: func.func @factors
// BOUND-SAME: %[[P:[a-z0-9]*]]: index, %[[M:[a-z0-9]*]]: index, %[[OFF:[a-z0-9]*]]: index
// BOUND: %[[FOUR:.*]] = arith.muli %[[P]], %c4{{.*}} : index
// BOUND: arith.divsi %{{.*}}, %c2
// BOUND: %[[HALF:.*]] = arith.addi %{{.*}}, %c1{{.*}} : index
// BOUND: %[[END0:.*]] = arith.minsi %[[FOUR]], %[[M]] : index
// BOUND: %[[END:.*]] = arith.minsi %[[END0]], %[[HALF]] : index
// BOUND: %[[SUM:.*]] = arith.addi %[[OFF]], %[[P]] : index
// BOUND: %[[SLACK:.*]] = arith.addi %[[SUM]], %c-1{{.*}} : index
// BOUND: %[[IS:.*]] = arith.cmpi sge, %[[SLACK]], %c0 : index
// BOUND: arith.select %[[IS]], %[[END]], %c0 : index
func.func @factors(%x: tensor<?x?xf32>, %p: index, %m: index, %off: index) -> tensor<?xf32> {
  %y = cascade.cascade ranks(p = %p, m = %m) {
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<?xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%s = %s0)
        filters([affine_set<(d0, d1)[s0] : (d0 - 2 * d1 >= 0, d0 - d1 floordiv 4 >= 0, 3 - d1 mod 4 >= 0, d0 + s0 >= 0)>][%off]) : (tensor<?x?xf32>), (tensor<?xf32>) {
      %s1 = cascade.einsum [p, m] (%part[p, m]) reduce(add) init(%s) -> [p] {
      ^bb0(%a: f32):
        cascade.yield %a : f32
      } : (tensor<?x?xf32>) -> tensor<?xf32>
      cascade.yield %s1 : tensor<?xf32>
    }
    cascade.yield %r : tensor<?xf32>
  } : tensor<?xf32>
  return %y : tensor<?xf32>
}

// What is carried is overwritten by the map that reads it last, not by one before.
// CHECK-LABEL: func.func @read_twice
// CHECK: scf.for {{.*}} iter_args(%[[S:.*]] = %{{.*}}, %[[T:.*]] = %{{.*}}) -> (tensor<4xf32>, tensor<4xf32>)
// CHECK: %[[L:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]}
// CHECK: %[[TWICE:.*]] = linalg.generic {{.*}} ins(%[[S]], %[[L]] : tensor<4xf32>, tensor<4xf32>) outs(%{{.*}} : tensor<4xf32>)
// CHECK: %[[T1:.*]] = linalg.generic {{.*}} ins(%[[TWICE]] : tensor<4xf32>) outs(%[[T]] : tensor<4xf32>)
// CHECK: %[[S1:.*]] = linalg.generic {{.*}} ins(%[[L]] : tensor<4xf32>) outs(%[[S]] : tensor<4xf32>)
// CHECK: scf.yield %[[S1]], %[[T1]]
// MEMORY-LABEL: func.func @read_twice
// MEMORY: scf.for {{.*}} iter_args(%[[S:.*]] = %{{.*}}, %[[T:.*]] = %{{.*}}) -> (memref<4xf32>, memref<4xf32>)
// MEMORY-NOT: memref.alloc
// MEMORY-NOT: memref.copy
// MEMORY: scf.yield %[[S]], %[[T]]
func.func @read_twice(%x: tensor<4x128xf32>, %out0: tensor<4xf32>, %out1: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) attributes {lutra.kernel} {
  %y:2 = cascade.cascade reassoc ranks(p = 4, m = 128) {
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<4xf32>
    %t0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 1.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<4xf32>
    %r:2 = cascade.iterate "m" (%part = %x[1]) carry(%s = %s0, %t = %t0) : (tensor<4x128xf32>), (tensor<4xf32>, tensor<4xf32>) {
      %l = cascade.einsum [p, m] (%part[p, m]) reduce(add) -> [p] {
      ^bb0(%e: f32):
        cascade.yield %e : f32
      } : (tensor<4x?xf32>) -> tensor<4xf32>
      %between = cascade.einsum [p] (%s[p], %l[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %u = arith.mulf %a, %b : f32
        cascade.yield %u : f32
      } : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
      %t1 = cascade.einsum [p] (%t[p], %between[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %u = arith.addf %a, %b : f32
        cascade.yield %u : f32
      } : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
      %s1 = cascade.einsum [p] (%s[p], %l[p]) -> [p] {
      ^bb0(%a: f32, %b: f32):
        %u = arith.addf %a, %b : f32
        cascade.yield %u : f32
      } : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
      cascade.yield %s1, %t1 : tensor<4xf32>, tensor<4xf32>
    }
    cascade.yield %r#0, %r#1 : tensor<4xf32>, tensor<4xf32>
  } : tensor<4xf32>, tensor<4xf32>
  return %y#0, %y#1 : tensor<4xf32>, tensor<4xf32>
}

// The new reference and the correction are one operation, which overwrites what is
// carried. -inf counts as the lowest finite number, so that the difference of two
// is no NaN. A state that is multiplied by the correction is its own destination.
// Nothing is allocated or copied in the loop.
// CHECK-LABEL: func.func @rebase
// CHECK: scf.for {{.*}} iter_args(%[[D:.*]] = %{{.*}}, %[[S:.*]] = %{{.*}}) -> (tensor<4xf32>, tensor<4x16xf32>)
// CHECK: %[[LOCAL:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]}
// CHECK: arith.maxnumf
// CHECK: %[[FACTOR:.*]] = tensor.empty() : tensor<4xf32>
// CHECK: %[[NEW:.*]]:2 = linalg.generic {{.*}} ins(%[[LOCAL]] : tensor<4xf32>) outs(%[[D]], %[[FACTOR]] : tensor<4xf32>, tensor<4xf32>)
// CHECK-NEXT: ^bb0(%[[L:.*]]: f32, %[[OLD:.*]]: f32, %{{.*}}: f32):
// CHECK-NEXT: %[[MAX:.*]] = arith.maximumf %[[OLD]], %[[L]] : f32
// CHECK-NEXT: %[[LOWEST:.*]] = arith.constant -3.40282347E+38 : f32
// CHECK-NEXT: %[[NEXT:.*]] = arith.maximumf %[[MAX]], %[[LOWEST]] : f32
// CHECK-NEXT: %[[DIFF:.*]] = arith.subf %[[OLD]], %[[NEXT]] : f32
// CHECK-NEXT: %[[C:.*]] = math.exp %[[DIFF]] : f32
// CHECK-NEXT: linalg.yield %[[NEXT]], %[[C]] : f32, f32
// CHECK: %[[MOVED:.*]] = linalg.generic {{.*}} ins(%[[NEW]]#1 : tensor<4xf32>) outs(%[[S]] : tensor<4x16xf32>)
// CHECK-NEXT: ^bb0(%[[IN:.*]]: f32, %[[OUT:.*]]: f32):
// CHECK-NEXT: arith.mulf %[[IN]], %[[OUT]] : f32
// CHECK: %[[ADDED:.*]] = linalg.generic {{.*}} outs(%[[MOVED]] : tensor<4x16xf32>)
// CHECK: scf.yield %[[NEW]]#0, %[[ADDED]]
// MEMORY-LABEL: func.func @rebase
// MEMORY: scf.for {{.*}} iter_args(%[[D:.*]] = %{{.*}}, %[[S:.*]] = %{{.*}}) -> (memref<4xf32>, memref<4x16xf32>)
// MEMORY-NOT: memref.alloc
// MEMORY-NOT: memref.copy
// MEMORY: outs(%[[D]], %{{.*}} : memref<4xf32>, memref<4xf32>)
// MEMORY-NOT: memref.alloc
// MEMORY-NOT: memref.copy
// MEMORY: scf.yield %[[D]], %[[S]]
// In one part that is all there is, the state is as it began: 0, which nothing corrects.
// ALL-LABEL: func.func @rebase
// ALL: scf.for {{.*}} iter_args(%{{.*}} = %{{.*}}, %[[S:.*]] = %{{.*}}) -> (tensor<4xf32>, tensor<4x16xf32>)
// ALL: linalg.generic {{.*}} ins(%{{.*}}, %{{.*}} : tensor<4x128xf32>, tensor<128x16xf32>) outs(%[[S]] : tensor<4x16xf32>)
func.func @rebase(%x: tensor<4x128xf32>, %v: tensor<128x16xf32>, %out: tensor<4x16xf32>) -> tensor<4x16xf32> attributes {lutra.kernel} {
  %y = cascade.cascade reassoc ranks(p = 4, m = 128, f = 16) {
    %d0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0xFF800000 : f32
      cascade.yield %c : f32
    } : () -> tensor<4xf32>
    %s0 = cascade.einsum [p, f] () -> [p, f] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<4x16xf32>
    %r:2 = cascade.iterate "m" (%part = %x[1], %values = %v[0]) carry(%d = %d0, %s = %s0) : (tensor<4x128xf32>, tensor<128x16xf32>), (tensor<4xf32>, tensor<4x16xf32>) {
      %l = cascade.einsum [p, m] (%part[p, m]) reduce(max) -> [p] {
      ^bb0(%e: f32):
        cascade.yield %e : f32
      } : (tensor<4x?xf32>) -> tensor<4xf32>
      %d1, %c = cascade.rebase %d, %l exp max : tensor<4xf32>
      %e = cascade.einsum [p, m] (%part[p, m], %d1[p]) -> [p, m] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.subf %a, %b : f32
        %u = math.exp %t : f32
        cascade.yield %u : f32
      } : (tensor<4x?xf32>, tensor<4xf32>) -> tensor<4x?xf32>
      %moved = cascade.einsum [p, f] (%c[p], %s[p, f]) -> [p, f] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<4xf32>, tensor<4x16xf32>) -> tensor<4x16xf32>
      %s1 = cascade.einsum [p, f, m] (%e[p, m], %values[m, f]) reduce(add) init(%moved) -> [p, f] {
      ^bb0(%a: f32, %b: f32):
        %t = arith.mulf %a, %b : f32
        cascade.yield %t : f32
      } : (tensor<4x?xf32>, tensor<?x16xf32>) -> tensor<4x16xf32>
      cascade.yield %d1, %s1 : tensor<4xf32>, tensor<4x16xf32>
    }
    cascade.yield %r#1 : tensor<4x16xf32>
  } : tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}

// A lazy reference stays until the new one is farther above it than is said, or
// one of them is NaN. To base 2, the correction is of base 2.
// CHECK-LABEL: func.func @lazy
// CHECK: ^bb0(%[[L:.*]]: f32, %[[OLD:.*]]: f32, %{{.*}}: f32):
// CHECK-NEXT: %[[MAX:.*]] = arith.maximumf %[[OLD]], %[[L]] : f32
// CHECK: %[[NEW:.*]] = arith.maximumf %[[MAX]], %{{.*}} : f32
// CHECK: %[[TOLERANCE:.*]] = arith.constant 8.000000e+00 : f32
// CHECK: %[[LIMIT:.*]] = arith.addf %[[OLD]], %[[TOLERANCE]] : f32
// CHECK: %[[FAR:.*]] = arith.cmpf ugt, %[[NEW]], %[[LIMIT]] : f32
// CHECK: %[[NEXT:.*]] = arith.select %[[FAR]], %[[NEW]], %[[OLD]] : f32
// CHECK: %[[DIFF:.*]] = arith.subf %[[OLD]], %[[NEXT]] : f32
// CHECK: %[[C:.*]] = math.exp2 %[[DIFF]] : f32
// CHECK: linalg.yield %[[NEXT]], %[[C]] : f32, f32
func.func @lazy(%d: tensor<4xf32>, %l: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %y:2 = cascade.cascade reassoc ranks(p = 4) {
    %d0 = cascade.einsum [p] (%d[p]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4xf32>) -> tensor<4xf32>
    %l0 = cascade.einsum [p] (%l[p]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4xf32>) -> tensor<4xf32>
    %a, %c = cascade.rebase %d0, %l0 exp2 max policy<lazy, 8.0 : f64> : tensor<4xf32>
    cascade.yield %a, %c : tensor<4xf32>, tensor<4xf32>
  } : tensor<4xf32>, tensor<4xf32>
  return %y#0, %y#1 : tensor<4xf32>, tensor<4xf32>
}

// Where states are multiples of 1/d, the correction is the quotient of the references,
// and 1 of equal ones, which may be 0.
// CHECK-LABEL: func.func @ratio
// CHECK: ^bb0(%[[L:.*]]: f32, %[[OLD:.*]]: f32, %{{.*}}: f32):
// CHECK-NEXT: %[[NEW:.*]] = arith.addf %[[OLD]], %[[L]] : f32
// CHECK-NEXT: %[[ONE:.*]] = arith.constant 1.000000e+00 : f32
// CHECK-NEXT: %[[SAME:.*]] = arith.cmpf oeq, %[[OLD]], %[[NEW]] : f32
// CHECK-NEXT: %[[Q:.*]] = arith.divf %[[OLD]], %[[NEW]] : f32
// CHECK-NEXT: %[[C:.*]] = arith.select %[[SAME]], %[[ONE]], %[[Q]] : f32
// CHECK-NEXT: linalg.yield %[[NEW]], %[[C]] : f32, f32
func.func @ratio(%d: tensor<4xf32>, %l: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %y:2 = cascade.cascade reassoc ranks(p = 4) {
    %d0 = cascade.einsum [p] (%d[p]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4xf32>) -> tensor<4xf32>
    %l0 = cascade.einsum [p] (%l[p]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4xf32>) -> tensor<4xf32>
    %a, %c = cascade.rebase %d0, %l0 ratio add : tensor<4xf32>
    cascade.yield %a, %c : tensor<4xf32>, tensor<4xf32>
  } : tensor<4xf32>, tensor<4xf32>
  return %y#0, %y#1 : tensor<4xf32>, tensor<4xf32>
}

// States that were summed apart: the greatest of the references, and each sum
// moved to it. Where all are -inf, since no point was there, nothing is NaN. Without
// references, plain sums.
// CHECK-LABEL: func.func @merge
// CHECK-SAME: %[[D:[a-z0-9]*]]: tensor<3x4xf32>, %[[S:[a-z0-9]*]]: tensor<3x4x8xf32>
// CHECK: %[[REF:.*]] = linalg.generic {{.*}} iterator_types = ["reduction", "parallel"]} ins(%[[D]] : tensor<3x4xf32>)
// CHECK: arith.maximumf
// CHECK: %[[SUM:.*]] = linalg.generic {{.*}} iterator_types = ["reduction", "parallel", "parallel"]} ins(%[[S]], %[[D]], %[[REF]] : tensor<3x4x8xf32>, tensor<3x4xf32>, tensor<4xf32>)
// CHECK-NEXT: ^bb0(%[[ONE:.*]]: f32, %[[FROM:.*]]: f32, %[[TO:.*]]: f32, %[[ACC:.*]]: f32):
// CHECK: %[[FINITE:.*]] = arith.maximumf %[[FROM]], %{{.*}} : f32
// CHECK: %[[SHARED:.*]] = arith.maximumf %[[TO]], %{{.*}} : f32
// CHECK: %[[DIFF:.*]] = arith.subf %[[FINITE]], %[[SHARED]] : f32
// CHECK: %[[C:.*]] = math.exp %[[DIFF]] : f32
// CHECK: %[[MOVED:.*]] = arith.mulf %[[ONE]], %[[C]] : f32
// CHECK: arith.addf %[[ACC]], %[[MOVED]] : f32
// CHECK: %[[PLAIN:.*]] = linalg.generic {{.*}} ins(%[[S]] : tensor<3x4x8xf32>)
// CHECK-NEXT: ^bb0(%[[ONE:.*]]: f32, %[[ACC:.*]]: f32):
// CHECK-NEXT: arith.addf %[[ACC]], %[[ONE]] : f32
// CHECK: return %[[REF]], %[[SUM]], %[[PLAIN]]
func.func @merge(%d: tensor<3x4xf32>, %s: tensor<3x4x8xf32>) -> (tensor<4xf32>, tensor<4x8xf32>, tensor<4x8xf32>) {
  %y:3 = cascade.cascade reassoc ranks(p = 4, f = 8) {
    %m:2 = cascade.merge %d : tensor<3x4xf32> sums(%s) exp max : (tensor<3x4x8xf32>) -> (tensor<4xf32>, tensor<4x8xf32>)
    %n = cascade.merge sums(%s) exp max : (tensor<3x4x8xf32>) -> tensor<4x8xf32>
    cascade.yield %m#0, %m#1, %n : tensor<4xf32>, tensor<4x8xf32>, tensor<4x8xf32>
  } : tensor<4xf32>, tensor<4x8xf32>, tensor<4x8xf32>
  return %y#0, %y#1, %y#2 : tensor<4xf32>, tensor<4x8xf32>, tensor<4x8xf32>
}

// A sum whose ranks are in another order than those of its reference, as of heads
// that lie within rows, is moved under the reference of the same point.
// CHECK-LABEL: func.func @merge_of_heads_in_rows
// CHECK: arith.mulf
// CHECK: %[[REF:.*]] = linalg.generic {{.*}} ins(%[[D:.*]] : tensor<3x2x4xf32>)
// CHECK: arith.maximumf
// CHECK: linalg.generic {indexing_maps = [#[[$SUM]], #[[$PARTS]], #[[$COMBINED]], #{{.*}}], {{.*}} ins(%{{.*}}, %[[D]], %[[REF]] : tensor<3x4x2xf32>, tensor<3x2x4xf32>, tensor<2x4xf32>)
func.func @merge_of_heads_in_rows(%x: tensor<3x2x4xf32>, %z: tensor<3x4x2xf32>) -> (tensor<2x4xf32>, tensor<4x2xf32>) {
  %y:2 = cascade.cascade reassoc ranks(s = 3, h = 2, p = 4) {
    %d = cascade.einsum [s, h, p] (%x[s, h, p]) -> [s, h, p] {
    ^bb0(%a: f32):
      %b = arith.mulf %a, %a : f32
      cascade.yield %b : f32
    } : (tensor<3x2x4xf32>) -> tensor<3x2x4xf32>
    %t = cascade.einsum [s, p, h] (%z[s, p, h]) -> [s, p, h] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<3x4x2xf32>) -> tensor<3x4x2xf32>
    %m:2 = cascade.merge %d : tensor<3x2x4xf32> sums(%t) exp max : (tensor<3x4x2xf32>) -> (tensor<2x4xf32>, tensor<4x2xf32>)
    cascade.yield %m#0, %m#1 : tensor<2x4xf32>, tensor<4x2xf32>
  } : tensor<2x4xf32>, tensor<4x2xf32>
  return %y#0, %y#1 : tensor<2x4xf32>, tensor<4x2xf32>
}

// A final reference stays, and states under it do, also where it is -inf.
// CHECK-LABEL: func.func @final
// CHECK: ^bb0(%{{.*}}: f32, %[[OLD:.*]]: f32, %{{.*}}: f32):
// CHECK-NEXT: %[[ONE:.*]] = arith.constant 1.000000e+00 : f32
// CHECK-NEXT: linalg.yield %[[OLD]], %[[ONE]] : f32, f32
func.func @final(%d: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %y:2 = cascade.cascade reassoc ranks(p = 4) {
    %d0 = cascade.einsum [p] (%d[p]) -> [p] {
    ^bb0(%a: f32):
      cascade.yield %a : f32
    } : (tensor<4xf32>) -> tensor<4xf32>
    %a, %c = cascade.rebase %d0, %d0 exp max policy<final> : tensor<4xf32>
    cascade.yield %a, %c : tensor<4xf32>, tensor<4xf32>
  } : tensor<4xf32>, tensor<4xf32>
  return %y#0, %y#1 : tensor<4xf32>, tensor<4xf32>
}

// A loop over nothing steps.
// CHECK-LABEL: func.func @nothing
// CHECK: scf.for %{{.*}} = %c0{{.*}} to %c0{{.*}} step %c1{{(_.*)?}} iter_args
// ALL-LABEL: func.func @nothing
// ALL: scf.for %{{.*}} = %c0{{.*}} to %c0{{.*}} step %c1{{(_.*)?}} iter_args
func.func @nothing(%x: tensor<4x0xf32>) -> tensor<4xf32> {
  %y = cascade.cascade ranks(p = 4, m = 0) {
    %s0 = cascade.einsum [p] () -> [p] {
      %c = arith.constant 0.0 : f32
      cascade.yield %c : f32
    } : () -> tensor<4xf32>
    %r = cascade.iterate "m" (%part = %x[1]) carry(%s = %s0) : (tensor<4x0xf32>), (tensor<4xf32>) {
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
