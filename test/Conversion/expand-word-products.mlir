// RUN: lutra-opt --split-input-file --expand-word-products %s | FileCheck %s

module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "x86-64-v3", features = "+avx2", vectorBits = 256, vectorRegisters = 16, l1 = 32768, l2 = 524288>} {
  // A number from 16 bits is extended by zeros, and the other by its sign.
  // CHECK-LABEL: func.func @words
  // CHECK-SAME:    %[[X:.*]]: vector<8xi16>, %[[Y:.*]]: vector<8xi8>
  // CHECK-DAG:     %[[SIGNED:.*]] = arith.extsi %[[Y]] : vector<8xi8> to vector<8xi32>
  // CHECK-DAG:     %[[ZEROS:.*]] = arith.extui %[[X]] : vector<8xi16> to vector<8xi32>
  // CHECK-DAG:     %[[A:.*]] = vector.bitcast %[[SIGNED]] : vector<8xi32> to vector<16xi16>
  // CHECK-DAG:     %[[B:.*]] = vector.bitcast %[[ZEROS]] : vector<8xi32> to vector<16xi16>
  // CHECK:         %[[P:.*]] = llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"(%[[A]], %[[B]])
  // CHECK:         return %[[P]]
  func.func @words(%x: vector<8xi16>, %y: vector<8xi8>) -> vector<8xi32> {
    %a = arith.extsi %x : vector<8xi16> to vector<8xi32>
    %b = arith.extsi %y : vector<8xi8> to vector<8xi32>
    %p = arith.muli %a, %b : vector<8xi32>
    return %p : vector<8xi32>
  }

  // Of bytes one is made 16 bits first; unsigned ones are as they are.
  // CHECK-LABEL: func.func @bytes
  // CHECK-SAME:    %[[X:.*]]: vector<4xi8>, %[[Y:.*]]: vector<4xi8>
  // CHECK:         %[[WORD:.*]] = arith.extsi %[[Y]] : vector<4xi8> to vector<4xi16>
  // CHECK:         arith.extui %[[WORD]] : vector<4xi16> to vector<4xi32>
  // CHECK:         llvm.call_intrinsic "llvm.x86.sse2.pmadd.wd"
  // CHECK-NOT:     vector<4xi16>
  // CHECK:         llvm.call_intrinsic "llvm.x86.sse2.pmadd.wd"
  func.func @bytes(%x: vector<4xi8>, %y: vector<4xi8>) -> (vector<4xi32>, vector<4xi32>) {
    %a = arith.extsi %x : vector<4xi8> to vector<4xi32>
    %b = arith.extsi %y : vector<4xi8> to vector<4xi32>
    %c = arith.extui %y : vector<4xi8> to vector<4xi32>
    %p = arith.muli %a, %b : vector<4xi32>
    %q = arith.muli %a, %c : vector<4xi32>
    return %p, %q : vector<4xi32>, vector<4xi32>
  }

  // Unsigned words need 17 bits, and there are no vectors of 16 lanes.
  // CHECK-LABEL: func.func @others
  // CHECK-NOT:     pmadd
  // CHECK:         return
  func.func @others(%x: vector<8xi16>, %y: vector<8xi8>, %z: vector<16xi8>, %n: i16) -> (vector<8xi32>, vector<8xi32>, vector<16xi32>, i32) {
    %a = arith.extui %x : vector<8xi16> to vector<8xi32>
    %b = arith.extsi %y : vector<8xi8> to vector<8xi32>
    %p = arith.muli %a, %b : vector<8xi32>
    %q = arith.muli %p, %b : vector<8xi32>
    %c = arith.extsi %z : vector<16xi8> to vector<16xi32>
    %r = arith.muli %c, %c : vector<16xi32>
    %d = arith.extsi %n : i16 to i32
    %s = arith.muli %d, %d : i32
    return %p, %q, %r, %s : vector<8xi32>, vector<8xi32>, vector<16xi32>, i32
  }
}

// -----

module attributes {lutra.target = #lutra.target<triple = "aarch64-unknown-linux-gnu", cpu = "generic", features = "+neon", vectorBits = 128, vectorRegisters = 32, l1 = 32768, l2 = 524288>} {
  // CHECK-LABEL: func.func @elsewhere
  // CHECK:         arith.muli
  func.func @elsewhere(%x: vector<4xi16>) -> vector<4xi32> {
    %a = arith.extsi %x : vector<4xi16> to vector<4xi32>
    %p = arith.muli %a, %a : vector<4xi32>
    return %p : vector<4xi32>
  }
}
