// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(convert-cascade-to-linalg{part=32}))' | FileCheck %s
// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(convert-cascade-to-linalg))' | FileCheck %s --check-prefix=ALL
// RUN: lutra-opt %s -pass-pipeline='builtin.module(func.func(convert-cascade-to-linalg{part=32},canonicalize,cse,eliminate-empty-tensors),one-shot-bufferize{bufferize-function-boundaries allow-return-allocs-from-loops=false})' | FileCheck %s --check-prefix=MEMORY

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

// The last part may be shorter; filters see the coordinates of the whole rank.
// A rank of no coordinates has no part, and a loop over it still steps.
// CHECK-LABEL: func.func @remainder
// CHECK-SAME: %[[X:[a-z0-9]*]]: tensor<4x?xf32>, %[[M:[a-z0-9]*]]: index
// CHECK: scf.for %[[AT:.*]] = %{{.*}} to %[[M]] step %c32
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
