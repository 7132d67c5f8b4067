// RUN: lutra-opt --convert-linalg-to-vector %s | FileCheck %s

// What the loops compute is compared with scalar loops by
// test/Unit/Conversion/LinalgToVectorTest.cpp.

#id = affine_map<(a, b) -> (a, b)>
#row = affine_map<(a, b) -> (a)>
#turned = affine_map<(a, b) -> (b, a)>
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

  // A tile of 16 by 16 is read as it lies, turned by four shuffles for each vector,
  // and written as it lies: vectors of 16 rows, of which the last tile has one.
  // CHECK-LABEL: func.func @transpose
  // CHECK-SAME: %[[X:.*]]: memref<32x33xf32>, %[[Y:.*]]: memref<33x32xf32>
  // CHECK: scf.for %[[J:.*]] = %c0 to %c32 step %c16
  // CHECK: scf.for %[[I:.*]] = %c0 to %c32 step %c16
  // CHECK: vector.load %[[X]][%[[J]], %[[I]]]
  // CHECK-COUNT-15: vector.load %[[X]]
  // CHECK-NOT: vector.load
  // CHECK-COUNT-64: vector.shuffle {{.*}} : vector<16xi32>, vector<16xi32>
  // CHECK-NOT: vector.shuffle
  // CHECK: vector.store %{{.*}}, %[[Y]][%[[I]], %[[J]]]
  // CHECK-COUNT-15: vector.store %{{.*}}, %[[Y]]
  // CHECK-NOT: vector.store
  // CHECK: %[[ONE:.*]] = vector.create_mask %c1
  // CHECK: vector.maskedload %[[X]][%[[J]], %c32], %[[ONE]]
  // CHECK: vector.store %{{.*}}, %[[Y]][%c32, %[[J]]]
  // CHECK-NOT: vector.store
  func.func @transpose(%x: memref<32x33xf32>, %y: memref<33x32xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#turned, #id], iterator_types = ["parallel", "parallel"]} ins(%x : memref<32x33xf32>) outs(%y : memref<33x32xf32>) {
    ^bb0(%i: f32, %o: f32):
      linalg.yield %i : f32
    }
    return
  }

  // What is written along another loop is turned just before.
  // CHECK-LABEL: func.func @turned_output
  // CHECK-SAME: %[[X:.*]]: memref<16x16xf32>, %{{.*}}, %[[Y:.*]]: memref<16x16xf32>
  // CHECK: %[[ROW:.*]] = vector.load %[[X]][%c0, %c0]
  // CHECK: arith.divf %[[ROW]], %{{.*}} : vector<16xf32>
  // CHECK-COUNT-15: arith.divf
  // CHECK-COUNT-64: vector.shuffle
  // CHECK-COUNT-16: vector.store %{{.*}}, %[[Y]]
  func.func @turned_output(%x: memref<16x16xf32>, %t: memref<16xf32>, %y: memref<16x16xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#turned, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %t : memref<16x16xf32>, memref<16xf32>) outs(%y : memref<16x16xf32>) {
    ^bb0(%i: f32, %s: f32, %o: f32):
      %0 = arith.divf %i, %s : f32
      linalg.yield %0 : f32
    }
    return
  }

  // Pairs are turned as one number.
  // CHECK-LABEL: func.func @pairs
  // CHECK-COUNT-16: vector.load %{{.*}} vector<32xbf16>
  // CHECK-COUNT-64: vector.shuffle {{.*}} : vector<16xi32>, vector<16xi32>
  // CHECK: %[[X:.*]], %[[Y:.*]] = vector.deinterleave
  // CHECK: vector.interleave %[[X]], %[[Y]] : vector<16xbf16>
  func.func @pairs(%x: memref<16x32xbf16>, %y: memref<16x16x2xbf16>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [affine_map<(e, p, i) -> (p, e * 2 + i)>, affine_map<(e, p, i) -> (e, p, i)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x : memref<16x32xbf16>) outs(%y : memref<16x16x2xbf16>) {
    ^bb0(%i: bf16, %o: bf16):
      linalg.yield %i : bf16
    }
    return
  }

  // Of sizes that are not known, a tail has as many rows and lanes as there are: what
  // lies behind is neither read nor written.
  // CHECK-LABEL: func.func @turned_tails
  // CHECK: %[[N:.*]] = memref.dim %arg0, %c0
  // CHECK: %[[M:.*]] = memref.dim %arg0, %c1
  // CHECK: scf.for %[[J:.*]] = %{{[0-9]+}} to %[[N]] step %c16
  // CHECK-NEXT: %[[LANES:.*]] = arith.subi %[[N]], %[[J]]
  // CHECK: scf.for %[[I:.*]] = %{{[0-9]+}} to %[[M]] step %c16
  // CHECK-NEXT: %[[ROWS:.*]] = arith.subi %[[M]], %[[I]]
  // CHECK: %[[FIRST:.*]] = vector.create_mask %[[ROWS]]
  // CHECK: vector.maskedload %{{.*}}[%[[J]], %[[I]]], %[[FIRST]]
  // CHECK: %[[IS:.*]] = arith.cmpi slt, %c1{{.*}}, %[[LANES]]
  // CHECK: %[[COUNT:.*]] = arith.select %[[IS]], %[[ROWS]], %c0
  // CHECK: %[[SECOND:.*]] = vector.create_mask %[[COUNT]]
  // CHECK: vector.maskedload %{{.*}}, %[[SECOND]]
  func.func @turned_tails(%x: memref<?x?xf32>, %y: memref<?x?xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#turned, #id], iterator_types = ["parallel", "parallel"]} ins(%x : memref<?x?xf32>) outs(%y : memref<?x?xf32>) {
    ^bb0(%i: f32, %o: f32):
      linalg.yield %i : f32
    }
    return
  }

  // An exponential is too long to be there for each row: what lies apart is gathered.
  // CHECK-LABEL: func.func @gathered
  // CHECK: vector.gather
  // CHECK: math.exp
  // CHECK-NOT: vector.shuffle
  func.func @gathered(%x: memref<32x32xf32>, %y: memref<32x32xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#turned, #id], iterator_types = ["parallel", "parallel"]} ins(%x : memref<32x32xf32>) outs(%y : memref<32x32xf32>) {
    ^bb0(%i: f32, %o: f32):
      %0 = math.exp %i : f32
      linalg.yield %0 : f32
    }
    return
  }
}
