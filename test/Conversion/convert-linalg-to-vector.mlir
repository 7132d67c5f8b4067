// RUN: lutra-opt --split-input-file --convert-linalg-to-vector %s | FileCheck %s

// What the loops compute is compared with scalar loops by
// test/Unit/Conversion/LinalgToVectorTest.cpp.

#id = affine_map<(a, b) -> (a, b)>
#row = affine_map<(a, b) -> (a)>
#left = affine_map<(m, n, k) -> (m, k)>
#right = affine_map<(m, n, k) -> (n, k)>
#sums = affine_map<(m, n, k) -> (m, n)>
module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "znver4", features = "", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
  // Eight maxima do not wait for each other. Which zero is the greatest is open.
  // CHECK-LABEL: func.func @maximum
  // CHECK: %[[ALL:.*]]:8 = scf.for %{{.*}} = %c0 to %c4096 step %c128
  // CHECK-COUNT-8: arith.maximumf %{{.*}}, %{{.*}} fastmath<nsz> : vector<16xf32>
  // CHECK-NOT: arith.maximumf
  // CHECK: scf.yield
  // CHECK: vector.shuffle %[[LAST:.*]], %[[LAST]] [0] : vector<2xf32>
  // CHECK: vector.shuffle %[[LAST]], %[[LAST]] [1] : vector<2xf32>
  // CHECK: arith.maximumf %{{.*}}, %{{.*}} fastmath<nsz> : vector<1xf32>
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
  // CHECK: vector.shuffle %[[ALL]], %[[ALL]] [0, 1, 2, 3, 4, 5, 6, 7]
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

  // Where the reduction is innermost in both factors, lanes lie along it. Of four
  // rows of each the lanes of all products are reduced together, four by four.
  // CHECK-LABEL: func.func @inner_products
  // CHECK: scf.for %{{.*}} = %c0 to %c128 step %c4
  // CHECK-COUNT-16: arith.addf %{{.*}}, %{{.*}} fastmath<contract> : vector<16xf32>
  // CHECK-NOT: scf.for
  // CHECK: vector.shuffle %{{.*}}, %{{.*}} [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23] : vector<16xf32>
  // CHECK: vector.shuffle %{{.*}}, %{{.*}} [8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31] : vector<16xf32>
  // CHECK: vector.shuffle %{{.*}}, %{{.*}} [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27] : vector<16xf32>
  // CHECK: vector.shuffle %[[ROWS:.*]], %[[ROWS]] [0, 2, 4, 6] : vector<8xf32>
  // CHECK: vector.shuffle %[[ROWS]], %[[ROWS]] [1, 3, 5, 7] : vector<8xf32>
  // CHECK: vector.store %{{.*}} : memref<4x128xf32>, vector<4xf32>
  func.func @inner_products(%x: memref<4x16xf32>, %y: memref<128x16xf32>, %z: memref<4x128xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#left, #right, #sums], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : memref<4x16xf32>, memref<128x16xf32>) outs(%z : memref<4x128xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %0 = arith.mulf %a, %b : f32
      %1 = arith.addf %c, %0 : f32
      linalg.yield %1 : f32
    }
    return
  }

  // Rows of a stream are read one after the other, in the order in which they lie.
  // CHECK-LABEL: func.func @inner_products_of_stream
  // CHECK-SAME: %{{[a-z0-9]*}}: memref<2x32xf32>, %[[Y:[a-z0-9]*]]: memref<128x32xf32>
  // CHECK: scf.for %[[ROW:.*]] = %c0 to %c128 step %c4
  // CHECK: vector.load %[[Y]][%[[ROW]], %c0]
  // CHECK: vector.load %[[Y]][%[[ROW]], %c16]
  // CHECK: %[[NEXT:.*]] = arith.addi %[[ROW]], %c1
  // CHECK: vector.load %[[Y]][%[[NEXT]], %c0]
  func.func @inner_products_of_stream(%x: memref<2x32xf32>, %y: memref<128x32xf32>, %z: memref<2x128xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#left, #right, #sums], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : memref<2x32xf32>, memref<128x32xf32>) outs(%z : memref<2x128xf32>) attrs = {lutra.stream = 1 : i64} {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %0 = arith.mulf %a, %b : f32
      %1 = arith.addf %c, %0 : f32
      linalg.yield %1 : f32
    }
    return
  }
}

// -----

#left = affine_map<(m, n, k) -> (m, k)>
#right = affine_map<(m, n, k) -> (n, k)>
#rows = affine_map<(m, n, k) -> (k, n)>
#sums = affine_map<(m, n, k) -> (m, n)>
module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "znver4", features = "+avx512bf16,+avx512vl", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
  // Lanes hold pairs as they lie, and the last are read as 0.
  // CHECK-LABEL: func.func @inner_products_of_pairs
  // CHECK: vector.load %{{.*}} : memref<4x40xbf16>, vector<32xbf16>
  // CHECK: x86vector.avx512.dot %{{.*}}, %{{.*}}, %{{.*}} : vector<32xbf16> -> vector<16xf32>
  // CHECK: vector.maskedload %{{.*}} : memref<4x40xbf16>, vector<32xi1>, vector<32xbf16> into vector<32xbf16>
  // CHECK: x86vector.avx512.dot
  func.func @inner_products_of_pairs(%x: memref<4x40xbf16>, %y: memref<128x40xbf16>, %z: memref<4x128xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#left, #right, #sums], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : memref<4x40xbf16>, memref<128x40xbf16>) outs(%z : memref<4x128xf32>) {
    ^bb0(%a: bf16, %b: bf16, %c: f32):
      %0 = arith.extf %a : bf16 to f32
      %1 = arith.extf %b : bf16 to f32
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.addf %c, %2 : f32
      linalg.yield %3 : f32
    }
    return
  }

  // Steps of the reduction that are vectors become pairs where they are read. What
  // is left of an odd number is multiplied alone.
  // CHECK-LABEL: func.func @pairs_of_steps
  // CHECK-SAME: %[[X:.*]]: memref<2x33xbf16>, %[[Y:.*]]: memref<33x16xbf16>
  // CHECK: scf.for %[[AT:.*]] = %c0 to %c32 step %c2
  // CHECK: %[[LOW:.*]] = vector.load %[[Y]][%[[AT]], %c0] : memref<33x16xbf16>, vector<16xbf16>
  // CHECK: %[[HIGH:.*]] = vector.load %[[Y]]{{.*}} : memref<33x16xbf16>, vector<16xbf16>
  // CHECK: vector.interleave %[[LOW]], %[[HIGH]] : vector<16xbf16> -> vector<32xbf16>
  // CHECK-COUNT-2: x86vector.avx512.dot
  // CHECK: scf.yield
  // CHECK: vector.load %[[Y]][%c32, %c0]
  // CHECK: arith.extf %{{.*}} : vector<16xbf16> to vector<16xf32>
  func.func @pairs_of_steps(%x: memref<2x33xbf16>, %y: memref<33x16xbf16>, %z: memref<2x16xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#left, #rows, #sums], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : memref<2x33xbf16>, memref<33x16xbf16>) outs(%z : memref<2x16xf32>) {
    ^bb0(%a: bf16, %b: bf16, %c: f32):
      %0 = arith.extf %a : bf16 to f32
      %1 = arith.extf %b : bf16 to f32
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.addf %c, %2 : f32
      linalg.yield %3 : f32
    }
    return
  }
}
