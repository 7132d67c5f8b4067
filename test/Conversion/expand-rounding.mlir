// RUN: lutra-opt --split-input-file --expand-rounding %s | FileCheck %s

module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "x86-64", features = "", vectorBits = 128, vectorRegisters = 16, l1 = 32768, l2 = 524288>} {
  // CHECK-LABEL: func.func @baseline
  // CHECK-SAME:    %[[X:.*]]: vector<4xf32>, %[[Y:.*]]: f64
  // CHECK-NOT:     math.{{floor|ceil|trunc|round|fma}}
  // CHECK:         %[[BIG:.*]] = arith.constant dense<0x4B000000> : vector<4xf32>
  // CHECK:         %[[ABS:.*]] = math.absf %[[X]]
  // CHECK:         %[[SMALL:.*]] = arith.cmpf olt, %[[ABS]]
  // CHECK:         %[[SIGNED:.*]] = math.copysign %{{.*}}, %[[X]]
  // CHECK:         arith.select %[[SMALL]], %[[SIGNED]], %[[X]]
  // CHECK-NOT:     math.{{floor|ceil|trunc|round|fma}}
  // CHECK:         return
  func.func @baseline(%x: vector<4xf32>, %y: f64) -> (vector<4xf32>, f64, f64, f64, f64, f64) {
    %0 = math.floor %x : vector<4xf32>
    %1 = math.ceil %y : f64
    %2 = math.trunc %y : f64
    %3 = math.round %y : f64
    %4 = math.roundeven %y : f64
    %5 = math.fma %y, %y, %y : f64
    return %0, %1, %2, %3, %4, %5 : vector<4xf32>, f64, f64, f64, f64, f64
  }
}

// -----

module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "x86-64-v3", features = "+avx2,+fma,+sse4.1", vectorBits = 256, vectorRegisters = 16, l1 = 32768, l2 = 524288>} {
  // CHECK-LABEL: func.func @native
  // CHECK:         math.floor
  // CHECK:         math.fma
  func.func @native(%x: f32) -> (f32, f32) {
    %0 = math.floor %x : f32
    %1 = math.fma %x, %x, %x : f32
    return %0, %1 : f32, f32
  }
}
