// RUN: lutra-opt %s -split-input-file -verify-diagnostics -bufferize-kernels -canonicalize -cse -canonicalize | FileCheck %s

#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
#one = affine_map<(d0) -> (d0)>
#min = affine_map<(d0)[s0] -> (-d0 + s0, 16)>

// The result is written in place, the intermediate tile lies on the stack.
// CHECK-LABEL: func private @k
// CHECK-SAME: (%[[X:.*]]: memref<?x8xf32>, %[[OUT:.*]]: memref<?x8xf32>)
// CHECK: scf.forall
// CHECK-NEXT: memref.alloca() {alignment = 64 : i64} : memref<16xf32>
// CHECK-NOT: memref.alloc(
// CHECK-NOT: memref.copy
// CHECK: linalg.fill
// CHECK: linalg.generic
// CHECK: memref.subview %[[OUT]]
// CHECK: linalg.generic
func.func private @k(%x: tensor<?x8xf32>, %o: tensor<?x8xf32>) -> tensor<?x8xf32> attributes {lutra.kernel} {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x8xf32>
  %r = scf.forall (%i) = (0) to (%n) step (16) shared_outs(%out = %o) -> (tensor<?x8xf32>) {
    %s = affine.min #min(%i)[%n]
    %in = tensor.extract_slice %x[%i, 0] [%s, 8] [1, 1] : tensor<?x8xf32> to tensor<?x8xf32>
    %e = tensor.empty(%s) : tensor<?xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?xf32>) -> tensor<?xf32>
    %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%in : tensor<?x8xf32>) outs(%f : tensor<?xf32>) {
    ^bb0(%a: f32, %acc: f32):
      %t = arith.addf %a, %acc : f32
      linalg.yield %t : f32
    } -> tensor<?xf32>
    %dest = tensor.extract_slice %out[%i, 0] [%s, 8] [1, 1] : tensor<?x8xf32> to tensor<?x8xf32>
    %d = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%in, %sum : tensor<?x8xf32>, tensor<?xf32>) outs(%dest : tensor<?x8xf32>) {
    ^bb0(%a: f32, %b: f32, %acc: f32):
      %t = arith.divf %a, %b : f32
      linalg.yield %t : f32
    } -> tensor<?x8xf32>
    scf.forall.in_parallel {
      tensor.parallel_insert_slice %d into %out[%i, 0] [%s, 8] [1, 1] : tensor<?x8xf32> into tensor<?x8xf32>
    }
  }
  return %r : tensor<?x8xf32>
}

// Two sums that begin with the same zeros, and what is computed of them, have a
// tile each: none is copied, and all are of bounded size.
// CHECK-LABEL: func private @statistics
// CHECK-SAME: (%[[X:.*]]: memref<?x?xf32>, %[[OUT:.*]]: memref<?xf32>)
// CHECK: scf.forall
// CHECK-COUNT-4: memref.alloca() {alignment = 64 : i64} : memref<16xf32>
// CHECK-NOT: memref.alloc
// CHECK-NOT: memref.copy
// CHECK: linalg.fill
// CHECK-NOT: memref.copy
// CHECK: linalg.fill
// CHECK-NOT: memref.copy
// CHECK: return
func.func private @statistics(%x: tensor<?x?xf32>, %o: tensor<?xf32>) -> tensor<?xf32> attributes {lutra.kernel} {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = tensor.dim %x, %c0 : tensor<?x?xf32>
  %m = tensor.dim %x, %c1 : tensor<?x?xf32>
  %r = scf.forall (%i) = (0) to (%n) step (16) shared_outs(%out = %o) -> (tensor<?xf32>) {
    %s = affine.min #min(%i)[%n]
    %in = tensor.extract_slice %x[%i, 0] [%s, %m] [1, 1] : tensor<?x?xf32> to tensor<?x?xf32>
    %e = tensor.empty(%s) : tensor<?xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?xf32>) -> tensor<?xf32>
    %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%in : tensor<?x?xf32>) outs(%f : tensor<?xf32>) {
    ^bb0(%a: f32, %acc: f32):
      %t = arith.addf %a, %acc : f32
      linalg.yield %t : f32
    } -> tensor<?xf32>
    %square = linalg.generic {indexing_maps = [#one, #one], iterator_types = ["parallel"]} ins(%sum : tensor<?xf32>) outs(%e : tensor<?xf32>) {
    ^bb0(%a: f32, %acc: f32):
      %t = arith.mulf %a, %a : f32
      linalg.yield %t : f32
    } -> tensor<?xf32>
    %apart = linalg.generic {indexing_maps = [#id, #row, #row], iterator_types = ["parallel", "reduction"]} ins(%in, %square : tensor<?x?xf32>, tensor<?xf32>) outs(%f : tensor<?xf32>) {
    ^bb0(%a: f32, %b: f32, %acc: f32):
      %d = arith.subf %a, %b : f32
      %t = arith.addf %d, %acc : f32
      linalg.yield %t : f32
    } -> tensor<?xf32>
    %root = linalg.generic {indexing_maps = [#one, #one], iterator_types = ["parallel"]} ins(%apart : tensor<?xf32>) outs(%e : tensor<?xf32>) {
    ^bb0(%a: f32, %acc: f32):
      %t = math.sqrt %a : f32
      linalg.yield %t : f32
    } -> tensor<?xf32>
    %dest = tensor.extract_slice %out[%i] [%s] [1] : tensor<?xf32> to tensor<?xf32>
    %d = linalg.generic {indexing_maps = [#one, #one, #one], iterator_types = ["parallel"]} ins(%root, %square : tensor<?xf32>, tensor<?xf32>) outs(%dest : tensor<?xf32>) {
    ^bb0(%a: f32, %b: f32, %acc: f32):
      %t = arith.divf %a, %b : f32
      linalg.yield %t : f32
    } -> tensor<?xf32>
    scf.forall.in_parallel {
      tensor.parallel_insert_slice %d into %out[%i] [%s] [1] : tensor<?xf32> into tensor<?xf32>
    }
  }
  return %r : tensor<?xf32>
}

// -----

func.func private @unbounded(%n: index, %x: tensor<?xf32>, %o: tensor<?xf32>) -> tensor<?xf32> attributes {lutra.kernel} {
  %zero = arith.constant 0.0 : f32
  // expected-error @+2 {{expected a temporary of bounded size in a kernel, got 'memref<?xf32>'}}
  // expected-error @+1 {{failed to bufferize op}}
  %e = tensor.empty(%n) : tensor<?xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  %r = linalg.add ins(%x, %f : tensor<?xf32>, tensor<?xf32>) outs(%o : tensor<?xf32>) -> tensor<?xf32>
  return %r : tensor<?xf32>
}

// -----

#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
#one = affine_map<(d0) -> (d0)>

// What is filled before a loop and written in it is filled in it: nothing is copied.
// CHECK-LABEL: func private @filled
// CHECK-NOT: memref.copy
// CHECK: scf.for
// CHECK: linalg.fill
// CHECK-NOT: memref.copy
// CHECK: return
func.func private @filled(%x: tensor<8x16xf32>, %o: tensor<8xf32>) -> tensor<8xf32> attributes {lutra.kernel} {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %c16 = arith.constant 16 : index
  %e = tensor.empty() : tensor<8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  %r = scf.for %i = %c0 to %c16 step %c4 iter_args(%acc = %o) -> (tensor<8xf32>) {
    %in = tensor.extract_slice %x[0, %i] [8, 4] [1, 1] : tensor<8x16xf32> to tensor<8x4xf32>
    %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%in : tensor<8x4xf32>) outs(%f : tensor<8xf32>) {
    ^bb0(%a: f32, %s: f32):
      %t = arith.addf %a, %s : f32
      linalg.yield %t : f32
    } -> tensor<8xf32>
    %next = linalg.generic {indexing_maps = [#one, #one], iterator_types = ["parallel"]} ins(%sum : tensor<8xf32>) outs(%acc : tensor<8xf32>) {
    ^bb0(%a: f32, %s: f32):
      %t = arith.maximumf %a, %s : f32
      linalg.yield %t : f32
    } -> tensor<8xf32>
    scf.yield %next : tensor<8xf32>
  }
  return %r : tensor<8xf32>
}

// What a reduction reads of what it updates as well, it reads there: rows of any
// length need no copy.
// CHECK-LABEL: func private @updated
// CHECK-NOT: memref.copy
// CHECK: linalg.generic {{.*}} outs(%{{.*}}, %{{.*}} : memref<?x?xf32>, memref<?xf32>)
// CHECK-NEXT: ^bb0(%{{.*}}: f32, %[[KEPT:.*]]: f32, %[[SUM:.*]]: f32):
// CHECK-NEXT: %[[NEXT:.*]] = arith.addf %[[KEPT]], %[[SUM]]
// CHECK-NEXT: linalg.yield %[[KEPT]], %[[NEXT]]
// CHECK-NOT: memref.copy
// CHECK: return
func.func private @updated(%x: tensor<?x?xf32>, %y: tensor<?x?xf32>, %s: tensor<?xf32>) -> (tensor<?x?xf32>, tensor<?xf32>) attributes {lutra.kernel} {
  %e = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<?x?xf32>) outs(%y : tensor<?x?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %t = math.exp %a : f32
    linalg.yield %t : f32
  } -> tensor<?x?xf32>
  %r:2 = linalg.generic {indexing_maps = [#id, #id, #row], iterator_types = ["parallel", "reduction"]} ins(%e : tensor<?x?xf32>) outs(%e, %s : tensor<?x?xf32>, tensor<?xf32>) {
  ^bb0(%a: f32, %b: f32, %sum: f32):
    %t = arith.addf %a, %sum : f32
    linalg.yield %a, %t : f32, f32
  } -> (tensor<?x?xf32>, tensor<?xf32>)
  return %r#0, %r#1 : tensor<?x?xf32>, tensor<?xf32>
}

// But not what it sums up: that is another number at each step.
// CHECK-LABEL: func private @summed
// CHECK: ^bb0(%{{.*}}: f32, %[[BEFORE:.*]]: f32, %[[SUM:.*]]: f32):
// CHECK-NEXT: arith.mulf %{{.*}}, %[[BEFORE]]
func.func private @summed(%x: tensor<8x16xf32>, %s: tensor<8xf32>) -> tensor<8xf32> attributes {lutra.kernel} {
  %r = linalg.generic {indexing_maps = [#id, #row, #row], iterator_types = ["parallel", "reduction"]} ins(%x, %s : tensor<8x16xf32>, tensor<8xf32>) outs(%s : tensor<8xf32>) {
  ^bb0(%a: f32, %before: f32, %sum: f32):
    %p = arith.mulf %a, %before : f32
    %t = arith.addf %p, %sum : f32
    linalg.yield %t : f32
  } -> tensor<8xf32>
  return %r : tensor<8xf32>
}

// -----

// What is concatenated is stored part by part, in order, behind what is filled.
// CHECK-LABEL: func private @concat
// CHECK-SAME: (%[[X:.*]]: memref<2x3xf32>, %[[Y:.*]]: memref<2xf32>, %[[N:.*]]: index, %[[OUT:.*]]: memref<2x?xf32>)
// CHECK-NOT: memref.alloc
// CHECK: linalg.fill ins(%{{.*}}) outs(%[[OUT]]
// CHECK: %[[FIRST:.*]] = memref.subview %[[OUT]][0, 0] [2, 3]
// CHECK: memref.copy %[[X]], %[[FIRST]]
// CHECK: %[[SECOND:.*]] = memref.subview %[[OUT]][0, %[[N]]] [2, 1]
// CHECK: memref.copy %[[Y]], %[[SECOND]]
// CHECK-NEXT: return
func.func private @concat(%x: tensor<2x3xf32>, %y: tensor<2xf32>, %n: index, %o: tensor<2x?xf32>) -> tensor<2x?xf32> attributes {lutra.kernel} {
  %zero = arith.constant 0.0 : f32
  %f = linalg.fill ins(%zero : f32) outs(%o : tensor<2x?xf32>) -> tensor<2x?xf32>
  %a = tensor.insert_slice %x into %f[0, 0] [2, 3] [1, 1] : tensor<2x3xf32> into tensor<2x?xf32>
  %b = tensor.insert_slice %y into %a[0, %n] [2, 1] [1, 1] : tensor<2xf32> into tensor<2x?xf32>
  return %b : tensor<2x?xf32>
}

// -----

// An insertion of what was made of the same tensor is in its place already.
// CHECK-LABEL: func private @update
// CHECK-SAME: (%[[OUT:.*]]: memref<8xf32>)
// CHECK-NOT: memref.alloc
// CHECK-NOT: memref.copy
// CHECK: %[[PART:.*]] = memref.subview %[[OUT]][0] [4]
// CHECK: linalg.fill ins(%{{.*}}) outs(%[[PART]]
// CHECK-NEXT: return
func.func private @update(%o: tensor<8xf32>) -> tensor<8xf32> attributes {lutra.kernel} {
  %zero = arith.constant 0.0 : f32
  %part = tensor.extract_slice %o[0] [4] [1] : tensor<8xf32> to tensor<4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%part : tensor<4xf32>) -> tensor<4xf32>
  %r = tensor.insert_slice %f into %o[0] [4] [1] : tensor<4xf32> into tensor<8xf32>
  return %r : tensor<8xf32>
}

// -----

// CHECK: func private @declared(tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
func.func private @declared(tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> attributes {lutra.kernel}

// -----

// What it returns has no place.
// expected-error @below {{'lutra.kernel' expects last arguments of the types of its 1 results}}
func.func private @nowhere(%x: tensor<4xf32>, %i: index) -> tensor<4xf32> attributes {lutra.kernel} {
  return %x : tensor<4xf32>
}
