// RUN: lutra-opt --convert-linalg-to-vector %s | FileCheck %s

// What the loops compute is compared with scalar loops by
// test/Unit/Conversion/LinalgToVectorTest.cpp.

#id = affine_map<(a, b) -> (a, b)>
#row = affine_map<(a, b) -> (a)>
module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "znver4", features = "", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
  // Eight maxima do not wait for each other. Which zero is the greatest is open.
  // CHECK-LABEL: func.func @maximum
  // CHECK: %[[ALL:.*]]:8 = scf.for %{{.*}} = %c0 to %c4096 step %c128
  // CHECK-COUNT-8: arith.maximumf %{{.*}}, %{{.*}} fastmath<nsz> : vector<16xf32>
  // CHECK-NOT: arith.maximumf
  // CHECK: scf.yield
  // CHECK: vector.reduction <maximumf>, %{{.*}} fastmath<reassoc,nsz>
  func.func @maximum(%x: memref<1x4096xf32>, %max: memref<1xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%x : memref<1x4096xf32>) outs(%max : memref<1xf32>) {
    ^bb0(%i: f32, %o: f32):
      %0 = arith.maximumf %o, %i : f32
      linalg.yield %0 : f32
    }
    return
  }

  // The elements are stored in the loop that sums them, and two rows further on the
  // next tile begins. The tail of a row is masked.
  // CHECK-LABEL: func.func @stream
  // CHECK-SAME: %[[X:.*]]: memref<2x1000xf32>, %[[Y:.*]]: memref<2x1000xf32>, %{{.*}}: memref<2xf32>
  // CHECK: scf.for %[[ROW:.*]] = %c0 to %c2 step %c1
  // CHECK: %[[SUM:.*]] = scf.for %[[AT:.*]] = %c0 to %c992 step %c16
  // CHECK: %[[NEXT:.*]] = arith.addi %[[ROW]], %c2
  // CHECK: memref.prefetch %[[X]][%[[NEXT]], %[[AT]]], read
  // CHECK: %[[VALUE:.*]] = arith.mulf
  // CHECK: arith.addf %{{.*}}, %[[VALUE]]
  // CHECK: vector.store %[[VALUE]], %[[Y]][%[[ROW]], %[[AT]]]
  // CHECK: scf.yield
  // CHECK: %[[MASK:.*]] = vector.create_mask
  // CHECK: vector.maskedstore %{{.*}}, %[[MASK]]
  // CHECK: %[[ALL:.*]] = arith.select %[[MASK]], %{{.*}}, %[[SUM]]
  // CHECK: vector.reduction <add>, %[[ALL]]
  // CHECK-NOT: scf.for
  func.func @stream(%x: memref<2x1000xf32>, %y: memref<2x1000xf32>, %sum: memref<2xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#id, #id, #row], iterator_types = ["parallel", "reduction"]} ins(%x : memref<2x1000xf32>) outs(%y, %sum : memref<2x1000xf32>, memref<2xf32>) {
    ^bb0(%i: f32, %s: f32, %o: f32):
      %0 = arith.mulf %i, %i : f32
      %1 = arith.addf %o, %0 : f32
      linalg.yield %0, %1 : f32, f32
    }
    return
  }
}
