// RUN: lutra-opt --pass-pipeline='builtin.module(func.func(lower-vectors))' %s | FileCheck %s

// A mask's bound cannot wrap in 32 bits.
// CHECK-LABEL: func.func @mask
// CHECK:         %[[SIZE:.*]] = arith.constant 8 : index
// CHECK:         %[[CLAMPED:.*]] = arith.minsi %{{.*}}, %[[SIZE]] : index
// CHECK:         arith.index_cast %[[CLAMPED]] : index to i32
// CHECK:         vector.maskedload
func.func @mask(%x: memref<?xf32>, %n: index, %pass: vector<8xf32>) -> vector<8xf32> {
  %c0 = arith.constant 0 : index
  %m = vector.create_mask %n : vector<8xi1>
  %v = vector.maskedload %x[%c0], %m, %pass : memref<?xf32>, vector<8xi1>, vector<8xf32> into vector<8xf32>
  return %v : vector<8xf32>
}

// A copy that is not dense becomes loops, a dense one stays for memcpy.
// CHECK-LABEL: func.func @copies
// CHECK:         scf.for
// CHECK:           scf.for
// CHECK:             memref.load
// CHECK:             memref.store
// CHECK:         memref.copy
func.func @copies(%x: memref<?x8xf32, strided<[16, 1]>>, %y: memref<?x8xf32>, %z: memref<?x8xf32>) {
  memref.copy %x, %y : memref<?x8xf32, strided<[16, 1]>> to memref<?x8xf32>
  memref.copy %y, %z : memref<?x8xf32> to memref<?x8xf32>
  return
}

// CHECK-LABEL: func.func @ops
// CHECK-NOT:     vector.{{transfer_read|multi_reduction|transpose|outerproduct}}
// CHECK:         return
func.func @ops(%x: memref<4x8xf32>, %y: memref<4x8xf32>) -> vector<4xf32> {
  %c0 = arith.constant 0 : index
  %f0 = arith.constant 0.0 : f32
  %init = arith.constant dense<0.0> : vector<4xf32>
  %a = vector.transfer_read %x[%c0, %c0], %f0 {in_bounds = [true, true]} : memref<4x8xf32>, vector<4x8xf32>
  %t = vector.transpose %a, [1, 0] : vector<4x8xf32> to vector<8x4xf32>
  %back = vector.transpose %t, [1, 0] : vector<8x4xf32> to vector<4x8xf32>
  vector.transfer_write %back, %y[%c0, %c0] {in_bounds = [true, true]} : vector<4x8xf32>, memref<4x8xf32>
  %r = vector.multi_reduction <add>, %a, %init [1] : vector<4x8xf32> to vector<4xf32>
  %row = vector.extract %a[0] : vector<8xf32> from vector<4x8xf32>
  %o = vector.outerproduct %r, %row : vector<4xf32>, vector<8xf32>
  vector.transfer_write %o, %y[%c0, %c0] {in_bounds = [true, true]} : vector<4x8xf32>, memref<4x8xf32>
  return %r : vector<4xf32>
}
