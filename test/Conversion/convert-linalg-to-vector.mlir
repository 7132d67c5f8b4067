// RUN: lutra-opt --split-input-file --convert-linalg-to-vector %s | FileCheck %s

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

  // Of references, which pass over a NaN, one instruction finds the greater: they
  // begin with a number.
  // CHECK-LABEL: func.func @reference
  // CHECK: %[[LEAST:.*]] = arith.constant dense<0xFF800000> : vector<16xf32>
  // CHECK: scf.for {{.*}} iter_args(%[[SO_FAR:[a-z0-9]*]] = %[[LEAST]]
  // CHECK: %[[X:.*]] = vector.load
  // CHECK: %[[MORE:.*]] = arith.cmpf ogt, %[[X]], %[[SO_FAR]] : vector<16xf32>
  // CHECK: arith.select %[[MORE]], %[[X]], %[[SO_FAR]]
  func.func @reference(%x: memref<1x4096xf32>, %max: memref<1xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%x : memref<1x4096xf32>) outs(%max : memref<1xf32>) {
    ^bb0(%i: f32, %o: f32):
      %0 = arith.maxnumf %o, %i : f32
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

// -----

#left = affine_map<(m, n, k) -> (m, k)>
#right = affine_map<(m, n, k) -> (n, k)>
#sums = affine_map<(m, n, k) -> (m, n)>
module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "znver4", features = "", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
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
  // CHECK-NOT: memref.prefetch
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
#down = affine_map<(m, n, k) -> (k, n)>
#sums = affine_map<(m, n, k) -> (m, n)>
module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "sapphirerapids", features = "", vectorBits = 512, vectorRegisters = 32, l1 = 49152, l2 = 2097152>} {
  // Hardware that foresees less is told what is read 3584 bytes later, 28 rows of 128, whichever
  // loop goes from row to row.
  // CHECK-LABEL: func.func @told_of_rows
  // CHECK-SAME: %{{[a-z0-9]*}}: memref<2x32xf32>, %[[Y:[a-z0-9]*]]: memref<128x32xf32>
  // CHECK: scf.for %[[ROW:.*]] = %c0 to %c128 step %c4
  // CHECK: %[[LATER:.*]] = arith.addi %[[ROW]], %c28
  // CHECK: memref.prefetch %[[Y]][%[[LATER]], %c0], read
  // CHECK: memref.prefetch %[[Y]][%{{.*}}, %c16], read
  func.func @told_of_rows(%x: memref<2x32xf32>, %y: memref<128x32xf32>, %z: memref<2x128xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#left, #right, #sums], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : memref<2x32xf32>, memref<128x32xf32>) outs(%z : memref<2x128xf32>) attrs = {lutra.stream = 1 : i64} {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %0 = arith.mulf %a, %b : f32
      %1 = arith.addf %c, %0 : f32
      linalg.yield %1 : f32
    }
    return
  }

  // CHECK-LABEL: func.func @told_of_steps
  // CHECK-SAME: %{{[a-z0-9]*}}: memref<2x128xf32>, %[[Y:[a-z0-9]*]]: memref<128x32xf32>
  // CHECK: scf.for %[[STEP:.*]] = %c0 to %c128 step %c8
  // CHECK: %[[LATER:.*]] = arith.addi %[[STEP]], %c28
  // CHECK: memref.prefetch %[[Y]][%[[LATER]], %c0], read
  func.func @told_of_steps(%x: memref<2x128xf32>, %y: memref<128x32xf32>, %z: memref<2x32xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#left, #down, #sums], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : memref<2x128xf32>, memref<128x32xf32>) outs(%z : memref<2x32xf32>) attrs = {lutra.stream = 1 : i64} {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %0 = arith.mulf %a, %b : f32
      %1 = arith.addf %c, %0 : f32
      linalg.yield %1 : f32
    }
    return
  }

  // It would be told of every row sixteen times.
  // CHECK-LABEL: func.func @read_again
  // CHECK-NOT: memref.prefetch
  func.func @read_again(%x: memref<64x32xf32>, %y: memref<128x32xf32>, %z: memref<64x128xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#left, #right, #sums], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : memref<64x32xf32>, memref<128x32xf32>) outs(%z : memref<64x128xf32>) attrs = {lutra.stream = 1 : i64} {
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
  // Products of rows with rows of their own: both factors change from row to row.
  // CHECK-LABEL: func.func @rows_with_rows
  // CHECK-NOT: x86vector.avx512.dot
  func.func @rows_with_rows(%x: memref<4x64xbf16>, %y: memref<4x64xbf16>, %z: memref<4xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [affine_map<(n, k) -> (n, k)>, affine_map<(n, k) -> (n, k)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]} ins(%x, %y : memref<4x64xbf16>, memref<4x64xbf16>) outs(%z : memref<4xf32>) {
    ^bb0(%a: bf16, %b: bf16, %c: f32):
      %0 = arith.extf %a : bf16 to f32
      %1 = arith.extf %b : bf16 to f32
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.addf %c, %2 : f32
      linalg.yield %3 : f32
    }
    return
  }

  // There is no such instruction for two lanes: those of the tail are masked.
  // CHECK-LABEL: func.func @pairs_with_tail
  // CHECK: %[[MASK:.*]] = vector.create_mask %c2
  // CHECK: vector.maskedload %{{.*}}, %[[MASK]], %{{.*}} : memref<32x50xbf16>
  // CHECK: x86vector.avx512.dot %{{.*}} : vector<32xbf16> -> vector<16xf32>
  // CHECK-NOT: vector<2xf32>
  func.func @pairs_with_tail(%x: memref<2x32xbf16>, %y: memref<32x50xbf16>, %z: memref<2x50xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#left, #rows, #sums], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : memref<2x32xbf16>, memref<32x50xbf16>) outs(%z : memref<2x50xf32>) {
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

// -----

#left = affine_map<(m, n, k) -> (m, k)>
#rows = affine_map<(m, n, k) -> (k, n)>
#sums = affine_map<(m, n, k) -> (m, n)>
module attributes {lutra.target = #lutra.target<triple = "aarch64-unknown-linux-gnu", cpu = "ampere1", features = "+bf16", vectorBits = 128, vectorRegisters = 32, l1 = 32768, l2 = 524288>} {
  // CHECK-LABEL: func.func @pairs_of_steps_on_arm
  // CHECK: vector.interleave %{{.*}}, %{{.*}} : vector<4xbf16> -> vector<8xbf16>
  // CHECK-COUNT-2: llvm.call_intrinsic "llvm.aarch64.neon.bfdot.v4f32.v8bf16"
  func.func @pairs_of_steps_on_arm(%x: memref<2x32xbf16>, %y: memref<32x4xbf16>, %z: memref<2x4xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#left, #rows, #sums], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : memref<2x32xbf16>, memref<32x4xbf16>) outs(%z : memref<2x4xf32>) {
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

// -----

#a = affine_map<(m, n, k, g) -> (m, k * 2 + g)>
#b = affine_map<(m, n, k, g) -> (k, n, g)>
#sums = affine_map<(m, n, k, g) -> (m, n)>
#rows = affine_map<(m, n, k) -> (m, k)>
#columns = affine_map<(m, n, k) -> (n, k)>
#all = affine_map<(m, n, k) -> (m, n)>
#ungrouped = affine_map<(k, n, g) -> (k * 2 + g, n)>
#grouped = affine_map<(k, n, g) -> (k, n, g)>
module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "sapphirerapids", features = "+avx512bf16,+avx512vl,+amx-tile,+amx-bf16", vectorBits = 512, vectorRegisters = 32, l1 = 49152, l2 = 2097152>} {
  func.func private @use(memref<64x32xf32>)

  // Half of the lanes are worth a tile; a quarter is not.
  // CHECK-LABEL: func.func @half_tiles
  // CHECK: amx.tile_mulf
  func.func @half_tiles(%x: memref<64x64xbf16>, %y: memref<32x8x2xbf16>, %z: memref<64x8xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#a, #b, #sums], iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%x, %y : memref<64x64xbf16>, memref<32x8x2xbf16>) outs(%z : memref<64x8xf32>) {
    ^bb0(%i: bf16, %j: bf16, %c: f32):
      %0 = arith.extf %i : bf16 to f32
      %1 = arith.extf %j : bf16 to f32
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.addf %c, %2 : f32
      linalg.yield %3 : f32
    }
    return
  }

  // CHECK-LABEL: func.func @quarter_tiles
  // CHECK-NOT: amx.
  // CHECK: x86vector.avx512.dot
  func.func @quarter_tiles(%x: memref<64x64xbf16>, %y: memref<32x4x2xbf16>, %z: memref<64x4xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#a, #b, #sums], iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%x, %y : memref<64x64xbf16>, memref<32x4x2xbf16>) outs(%z : memref<64x4xf32>) {
    ^bb0(%i: bf16, %j: bf16, %c: f32):
      %0 = arith.extf %i : bf16 to f32
      %1 = arith.extf %j : bf16 to f32
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.addf %c, %2 : f32
      linalg.yield %3 : f32
    }
    return
  }

  // A stream that few lanes read once is fetched ahead, as it lies: for each tile four
  // rows of four lines, two tiles of rows later.
  // CHECK-LABEL: func.func @streamed_tiles
  // CHECK: %[[TILE:.*]] = arith.divui %{{.*}}, %c16
  // CHECK: %[[ROW:.*]] = arith.muli %[[TILE]], %c4
  // CHECK: %[[AHEAD:.*]] = arith.addi %[[ROW]], %c32
  // CHECK: %[[FROM:.*]] = arith.muli %[[AHEAD]], %c128
  // CHECK: %[[FIRST:.*]] = arith.addi %{{.*}}, %[[FROM]]
  // CHECK: memref.prefetch %{{.*}}[%[[FIRST]]], read, locality<2>
  // CHECK-COUNT-15: memref.prefetch
  // CHECK-NOT: memref.prefetch
  // CHECK: amx.tile_load
  // CHECK-COUNT-16: memref.prefetch
  // CHECK-NOT: memref.prefetch
  // CHECK: return
  func.func @streamed_tiles(%x: memref<64x128xbf16>, %y: memref<64x8x2xbf16>, %z: memref<64x8xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#a, #b, #sums], iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%x, %y : memref<64x128xbf16>, memref<64x8x2xbf16>) outs(%z : memref<64x8xf32>) attrs = {lutra.stream = 0 : i64} {
    ^bb0(%i: bf16, %j: bf16, %c: f32):
      %0 = arith.extf %i : bf16 to f32
      %1 = arith.extf %j : bf16 to f32
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.addf %c, %2 : f32
      linalg.yield %3 : f32
    }
    return
  }

  // So is one that is copied into pairs.
  // CHECK-LABEL: func.func @streamed_pairs
  // CHECK-SAME: %[[X:.*]]: memref<64x32xbf16>
  // CHECK: %[[EVEN:.*]] = arith.addi %{{.*}}, %c56
  // CHECK: memref.prefetch %[[X]][%[[EVEN]], %c0]
  // CHECK: %[[ODD:.*]] = arith.addi %{{.*}}, %c57
  // CHECK: memref.prefetch %[[X]][%[[ODD]], %c0]
  // CHECK: vector.interleave
  func.func @streamed_pairs(%x: memref<64x32xbf16>, %y: memref<32x32x2xbf16>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#ungrouped, #grouped], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x : memref<64x32xbf16>) outs(%y : memref<32x32x2xbf16>) attrs = {lutra.stream = 0 : i64} {
    ^bb0(%i: bf16, %o: bf16):
      linalg.yield %i : bf16
    }
    return
  }

  // What is widened for three rows and more serves all of them: pairs take vectors of these machines twice
  // as long as f32 does.
  // CHECK-LABEL: func.func @widened_rows
  // CHECK-NOT: x86vector.avx512.dot
  // CHECK: return
  func.func @widened_rows(%x: memref<4x64xbf16>, %y: memref<32x64xbf16>, %z: memref<4x32xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#rows, #columns, #all], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : memref<4x64xbf16>, memref<32x64xbf16>) outs(%z : memref<4x32xf32>) {
    ^bb0(%i: bf16, %j: bf16, %c: f32):
      %0 = arith.extf %i : bf16 to f32
      %1 = arith.extf %j : bf16 to f32
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.addf %c, %2 : f32
      linalg.yield %3 : f32
    }
    return
  }

  // CHECK-LABEL: func.func @pairs_of_rows
  // CHECK: x86vector.avx512.dot
  func.func @pairs_of_rows(%x: memref<2x64xbf16>, %y: memref<32x64xbf16>, %z: memref<2x32xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#rows, #columns, #all], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : memref<2x64xbf16>, memref<32x64xbf16>) outs(%z : memref<2x32xf32>) {
    ^bb0(%i: bf16, %j: bf16, %c: f32):
      %0 = arith.extf %i : bf16 to f32
      %1 = arith.extf %j : bf16 to f32
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.addf %c, %2 : f32
      linalg.yield %3 : f32
    }
    return
  }

  // Two tiles of rows by two of lanes, which begin as 0 and not as what filled them.
  // CHECK-LABEL: func.func @tiles
  // CHECK-SAME: %[[X:.*]]: memref<64x64xbf16>, %[[Y:.*]]: memref<32x32x2xbf16>
  // CHECK-NOT: vector.
  // CHECK: scf.for %{{.*}} = %c0 to %c64 step %c32
  // CHECK-COUNT-4: amx.tile_zero : !amx.tile<16x16xf32>
  // CHECK: scf.for %{{.*}} = %c0 to %c32 step %c16
  // CHECK-COUNT-2: amx.tile_load %{{.*}}, %c64 : {{.*}} into !amx.tile<16x32xbf16>
  // CHECK: amx.tile_load %{{.*}}, %c64 : {{.*}} into !amx.tile<16x32xbf16>
  // CHECK-COUNT-2: amx.tile_mulf
  // CHECK: amx.tile_load
  // CHECK-COUNT-2: amx.tile_mulf
  // CHECK: scf.yield
  // CHECK-COUNT-4: amx.tile_store
  // CHECK-NOT: vector.
  // CHECK: return
  func.func @tiles(%x: memref<64x64xbf16>, %y: memref<32x32x2xbf16>, %out: memref<64x32xf32>) attributes {lutra.kernel} {
    %zero = arith.constant 0.0 : f32
    %z = memref.alloca() : memref<64x32xf32>
    linalg.fill ins(%zero : f32) outs(%z : memref<64x32xf32>)
    linalg.generic {indexing_maps = [#a, #b, #sums], iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%x, %y : memref<64x64xbf16>, memref<32x32x2xbf16>) outs(%z : memref<64x32xf32>) {
    ^bb0(%i: bf16, %j: bf16, %c: f32):
      %0 = arith.extf %i : bf16 to f32
      %1 = arith.extf %j : bf16 to f32
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.addf %c, %2 : f32
      linalg.yield %3 : f32
    }
    call @use(%z) : (memref<64x32xf32>) -> ()
    return
  }

  // Rows, lanes and steps that fill no tile are copied; behind the last step are zeros. Of factors that
  // have no more, all steps are copied first.
  // CHECK-LABEL: func.func @edges
  // CHECK: %[[Y:.*]] = memref.alloca() {alignment = 64 : i64} : memref<512xbf16>
  // CHECK: %[[X:.*]] = memref.alloca() {alignment = 64 : i64} : memref<512xbf16>
  // CHECK: vector.create_mask %{{.*}} : vector<32xi1>
  // CHECK: scf.for %{{.*}} = %c0 to %c9 step %c1
  // CHECK: vector.store %{{.*}}, %[[X]]
  // CHECK-COUNT-16: vector.store %{{.*}}, %[[Y]]
  // CHECK: scf.for %{{.*}} = %c0 to %c5 step %c1
  // CHECK: vector.maskedload {{.*}} : memref<?xbf16, {{.*}}>, vector<32xi1>
  // CHECK: vector.store %{{.*}}, %[[Y]]
  // CHECK: vector.create_mask %c12 : vector<16xi1>
  // CHECK: scf.for %{{.*}} = %c0 to %c9 step %c1
  // CHECK: amx.tile_load %[[X]]
  // CHECK: amx.tile_load %[[Y]]
  // CHECK: amx.tile_mulf
  // CHECK: amx.tile_store
  // CHECK: vector.maskedstore
  func.func @edges(%x: memref<9x10xbf16>, %y: memref<5x12x2xbf16>, %z: memref<9x12xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#a, #b, #sums], iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%x, %y : memref<9x10xbf16>, memref<5x12x2xbf16>) outs(%z : memref<9x12xf32>) {
    ^bb0(%i: bf16, %j: bf16, %c: f32):
      %0 = arith.extf %i : bf16 to f32
      %1 = arith.extf %j : bf16 to f32
      %2 = arith.mulf %0, %1 : f32
      %3 = arith.addf %c, %2 : f32
      linalg.yield %3 : f32
    }
    return
  }
}

// -----

#steps = affine_map<(n, k) -> (k, n)>
#lanes = affine_map<(n, k) -> (n)>
#turned = affine_map<(n, k) -> (n, k)>
module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "znver4", features = "", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
  // What a reduction stores along its steps is turned after as many as there are lanes; the last ones are
  // stored element by element.
  // CHECK-LABEL: func.func @turned_stream
  // CHECK: %[[SUM:.*]] = scf.for %{{.*}} = %c0 to %c16 step %c8 iter_args({{.*}}) -> (vector<8xf32>)
  // CHECK-COUNT-8: arith.addf
  // CHECK-COUNT-24: vector.shuffle
  // CHECK-COUNT-8: vector.store %{{.*}}, %{{.*}} : memref<8x18xbf16>, vector<8xbf16>
  // CHECK-COUNT-2: vector.scatter
  // CHECK: vector.store
  func.func @turned_stream(%x: memref<18x8xf32>, %s: memref<8xf32>, %p: memref<8x18xbf16>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#steps, #lanes, #turned], iterator_types = ["parallel", "reduction"]} ins(%x : memref<18x8xf32>) outs(%s, %p : memref<8xf32>, memref<8x18xbf16>) {
    ^bb0(%i: f32, %sum: f32, %o: bf16):
      %0 = arith.addf %sum, %i : f32
      %1 = arith.truncf %i : f32 to bf16
      linalg.yield %0, %1 : f32, bf16
    }
    return
  }
}

// -----

#split = affine_map<(k, n, g) -> (k * 2 + g, n)>
#of = affine_map<(k, n, g) -> (n)>
#pairs = affine_map<(k, n, g) -> (k, n, g)>
module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "znver4", features = "", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
  func.func private @use(memref<16xf32>)

  // Both elements of a pair are summed, and stored at once. Sums begin as what filled
  // them.
  // CHECK-LABEL: func.func @sums_of_pairs
  // CHECK-NOT: memref.store
  // CHECK: %[[ZEROS:.*]] = vector.broadcast %cst : f32 to vector<16xf32>
  // CHECK: %[[SUM:.*]] = scf.for %[[K:.*]] = %c0 to %c8 step %c1 iter_args(%{{.*}} = %[[ZEROS]]) -> (vector<16xf32>)
  // CHECK-COUNT-2: arith.addf
  // CHECK: %[[PAIR:.*]] = vector.interleave %{{.*}} : vector<16xbf16> -> vector<32xbf16>
  // CHECK: vector.store %[[PAIR]]
  // CHECK: scf.yield
  // CHECK: vector.store %[[SUM]]
  func.func @sums_of_pairs(%x: memref<16x16xf32>, %p: memref<8x16x2xbf16>) attributes {lutra.kernel} {
    %zero = arith.constant 0.0 : f32
    %s = memref.alloca() : memref<16xf32>
    linalg.fill ins(%zero : f32) outs(%s : memref<16xf32>)
    linalg.generic {indexing_maps = [#split, #of, #pairs], iterator_types = ["reduction", "parallel", "reduction"]} ins(%x : memref<16x16xf32>) outs(%s, %p : memref<16xf32>, memref<8x16x2xbf16>) {
    ^bb0(%i: f32, %sum: f32, %o: bf16):
      %0 = arith.addf %sum, %i : f32
      %1 = arith.truncf %i : f32 to bf16
      linalg.yield %0, %1 : f32, bf16
    }
    call @use(%s) : (memref<16xf32>) -> ()
    return
  }
}

// -----

#steps = affine_map<(k, n, p) -> (k * 2 + p, n)>
#panels = affine_map<(k, n, p) -> (n floordiv 32, k, n mod 32, p)>
module attributes {lutra.target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "znver4", features = "+avx512bf16,+avx512vl", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
  // Rows side by side become pairs on the way into a panel.
  // CHECK-LABEL: func.func @panels_of_pairs
  // CHECK: %[[LOW:.*]] = vector.load %{{.*}}, vector<32xbf16>
  // CHECK: %[[HIGH:.*]] = vector.load %{{.*}}, vector<32xbf16>
  // CHECK: %[[PAIRS:.*]] = vector.interleave %[[LOW]], %[[HIGH]]
  // CHECK: vector.store %[[PAIRS]], %{{.*}} vector<64xbf16>
  func.func @panels_of_pairs(%x: memref<64x128xbf16, strided<[2048, 1], offset: ?>>, %y: memref<4x32x32x2xbf16>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#steps, #panels], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x : memref<64x128xbf16, strided<[2048, 1], offset: ?>>) outs(%y : memref<4x32x32x2xbf16>) {
    ^bb0(%i: bf16, %o: bf16):
      linalg.yield %i : bf16
    }
    return
  }
}

// -----

#left = affine_map<(m, n, k) -> (m floordiv 12, k, m mod 12)>
#panels = affine_map<(m, n, k) -> (n floordiv 32, k, n mod 32)>
#sums = affine_map<(m, n, k) -> (m, n)>
module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "sapphirerapids", features = "", vectorBits = 512, vectorRegisters = 32, l1 = 49152, l2 = 2097152>} {
  // Of four tiles of rows, each fetches a quarter of the 1024 lines that 512 steps of the next
  // panel are, 4 every 8 steps. Behind the last panel come the first columns of the next 512 steps.
  // CHECK-LABEL: func.func @panels
  // CHECK-SAME: %{{[a-z0-9]*}}: memref<4x512x12xf32>, %[[B:[a-z0-9]*]]: memref<32x512x32xf32>
  // CHECK: scf.for %[[N:.*]] = %c0 to %c1024 step %c32
  // CHECK: scf.for %[[M:.*]] = %c0 to %c48 step %c12
  // CHECK: %[[TILE:.*]] = arith.divui %[[M]], %c12
  // CHECK: %[[NEXT:.*]] = arith.addi %{{.*}}, %c32
  // CHECK: %[[LAST:.*]] = arith.cmpi uge, %[[NEXT]], %c1024
  // CHECK-DAG: %[[COLUMN:.*]] = arith.select %[[LAST]], %c0, %[[NEXT]]
  // CHECK-DAG: %[[ROW:.*]] = arith.select %[[LAST]], %c512, %c0
  // CHECK-DAG: %[[SHARE:.*]] = arith.muli %[[TILE]], %c4096
  // CHECK-DAG: %[[PANEL:.*]] = arith.divui %[[COLUMN]], %c32
  // CHECK: scf.for %[[K:.*]] = %c0 to %c512 step %c8
  // CHECK-COUNT-4: memref.prefetch %[[B]][%[[PANEL]], %[[ROW]], %{{.*}}], read, locality<2>, data
  // CHECK-NOT: memref.prefetch
  func.func @panels(%a: memref<4x512x12xf32>, %b: memref<32x512x32xf32>, %c: memref<48x1024xf32>) attributes {lutra.kernel} {
    linalg.generic {indexing_maps = [#left, #panels, #sums], iterator_types = ["parallel", "parallel", "reduction"]} ins(%a, %b : memref<4x512x12xf32>, memref<32x512x32xf32>) outs(%c : memref<48x1024xf32>) {
    ^bb0(%l: f32, %r: f32, %s: f32):
      %0 = arith.mulf %l, %r : f32
      %1 = arith.addf %s, %0 : f32
      linalg.yield %1 : f32
    }
    return
  }
}
