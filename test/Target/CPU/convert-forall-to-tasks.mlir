// RUN: lutra-opt --split-input-file --convert-forall-to-tasks --verify-diagnostics %s | FileCheck %s

// A static and a dynamic dimension: the count guards the call, iterations are
// split again in the task, and only what types do not say is passed.

// CHECK-LABEL: func.func private @scale(
// CHECK-SAME:    %[[CTX:.*]]: !llvm.ptr, %[[N:.*]]: index, %[[X:.*]]: memref<?x8xf32>
// CHECK:         %[[CLOSURE:.*]] = llvm.alloca %{{.*}} x !llvm.struct<(f32, ptr, i64)>
// CHECK-NOT:     scf.forall
// CHECK:         arith.maxsi
// CHECK:         %[[TOTAL:.*]] = arith.muli
// CHECK-COUNT-3: llvm.store
// CHECK:         %[[ANY:.*]] = arith.cmpi sgt, %[[TOTAL]]
// CHECK:         scf.if %[[ANY]] {
// CHECK:           %[[COUNT:.*]] = arith.index_cast %[[TOTAL]] : index to i64
// CHECK:           %[[EXECUTOR:.*]] = llvm.load %[[CTX]]
// CHECK:           %[[FOR:.*]] = llvm.load %[[EXECUTOR]]
// CHECK:           %[[TASK:.*]] = {{.*}}constant @scale_task0
// CHECK:           %[[FN:.*]] = builtin.unrealized_conversion_cast %[[TASK]]
// CHECK:           llvm.call %[[FOR]](%[[EXECUTOR]], %[[COUNT]], %[[FN]], %[[CLOSURE]])

// CHECK-LABEL: func.func private @scale_task0(
// CHECK-SAME:    %[[SELF:.*]]: !llvm.ptr, %[[BEGIN:.*]]: i64, %[[END:.*]]: i64, %{{.*}}: i64)
// CHECK:         %[[ROW:.*]] = memref.alloca() : memref<4xf32>
// CHECK-COUNT-3: llvm.load
// CHECK:         scf.for %[[I:.*]] = %{{.*}} to %{{.*}} step
// CHECK:           arith.remui %[[I]]
// CHECK:           arith.divui %[[I]]
// The inner loop runs in order.
// CHECK:           scf.for
// CHECK:             memref.store %{{.*}}, %[[ROW]]
func.func private @scale(%ctx: !llvm.ptr, %n: index, %x: memref<?x8xf32>, %f: f32) {
  %c0 = arith.constant 0 : index
  scf.forall (%i, %j) = (0, 0) to (%n, 8) step (1, 4) {
    %row = memref.alloca() : memref<4xf32>
    scf.forall (%k) in (4) {
      memref.store %f, %row[%k] : memref<4xf32>
    }
    %v = memref.load %row[%c0] : memref<4xf32>
    memref.store %v, %x[%i, %j] : memref<?x8xf32>
  }
  return
}

// -----

// One iteration needs no executor, none no call.

// CHECK-LABEL: func.func private @few
// CHECK:         call @few_task0(
// CHECK-NOT:     llvm.call
// CHECK-NOT:     call
// CHECK:         return
func.func private @few(%ctx: !llvm.ptr, %x: memref<4xf32>, %f: f32) {
  scf.forall (%i) = (2) to (5) step (3) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  scf.forall (%i) = (2) to (2) step (3) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  return
}

// -----

// A strided buffer travels with its offset and strides; a buffer in a plain loop
// moves to the entry.

// CHECK-LABEL: func.func private @strided
// CHECK:         memref.alloca
// CHECK:         llvm.alloca %{{.*}} x !llvm.struct<(ptr, i64, i64, i64)>
// CHECK:         scf.for
// CHECK-NOT:       memref.alloca
// CHECK-LABEL: func.func private @strided_task0
// CHECK:         memref.store %{{.*}} : memref<?x4xf32, strided<[?, 1], offset: ?>>
func.func private @strided(%ctx: !llvm.ptr, %x: memref<?x4xf32, strided<[?, 1], offset: ?>>, %y: memref<4xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %f = arith.constant 1.0 : f32
  scf.for %i = %c0 to %c4 step %c1 {
    %t = memref.alloca() : memref<4xf32>
    memref.copy %y, %t : memref<4xf32> to memref<4xf32>
    memref.copy %t, %y : memref<4xf32> to memref<4xf32>
  }
  scf.forall (%i) in (4) {
    memref.store %f, %x[%i, %c0] : memref<?x4xf32, strided<[?, 1], offset: ?>>
  }
  return
}

// -----

func.func private @dynamic_scratch(%ctx: !llvm.ptr, %n: index) {
  // expected-error @+1 {{expects a static size in a kernel, got 'memref<?xf32>'}}
  %t = memref.alloca(%n) : memref<?xf32>
  return
}

// -----

// expected-error @+1 {{expects the call's context, an !llvm.ptr, as its first argument}}
func.func private @no_context(%x: memref<4xf32>, %f: f32) {
  scf.forall (%i) in (4) {
    memref.store %f, %x[%i] : memref<4xf32>
  }
  return
}
