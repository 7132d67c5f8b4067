// RUN: lutra-opt --split-input-file --expand-half %s | FileCheck %s

// Nothing is native without a target: no conversion survives.

// CHECK-LABEL: func.func @baseline
// CHECK-NOT:     arith.truncf
// CHECK-NOT:     arith.extf
// CHECK:         return
func.func @baseline(%a: vector<4xf16>, %b: vector<4xf32>, %c: bf16, %d: f32)
    -> (vector<4xf32>, vector<4xf16>, f32, bf16) {
  %0 = arith.extf %a : vector<4xf16> to vector<4xf32>
  %1 = arith.truncf %b : vector<4xf32> to vector<4xf16>
  %2 = arith.extf %c : bf16 to f32
  %3 = arith.truncf %d : f32 to bf16
  return %0, %1, %2, %3 : vector<4xf32>, vector<4xf16>, f32, bf16
}

// -----

// With f16c, arithmetic still happens in f32; a bf16 is rounded by hand.

module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "x86-64-v3", features = "+avx2,+f16c,+fma", vectorBits = 256, vectorRegisters = 16, l1 = 32768, l2 = 524288>} {
  // CHECK-LABEL: func.func @f16c
  // CHECK-DAG:     %[[A:.*]] = arith.extf %arg0 {{.*}}: f16 to f32
  // CHECK-DAG:     %[[B:.*]] = arith.extf %arg1 {{.*}}: f16 to f32
  // CHECK:         %[[SUM:.*]] = arith.addf %[[A]], %[[B]] : f32
  // CHECK:         arith.truncf %[[SUM]] {{.*}}: f32 to f16
  // CHECK:         math.sqrt %{{.*}} : f32
  // CHECK-NOT:     arith.truncf {{.*}} to bf16
  func.func @f16c(%a: f16, %b: f16, %c: bf16) -> (f16, bf16) {
    %0 = arith.addf %a, %b : f16
    %1 = math.sqrt %c : bf16
    return %0, %1 : f16, bf16
  }

  // An f64 goes through an f32 that is rounded to odd, so as to round once.
  // CHECK-LABEL: func.func @from_f64
  // CHECK:         %[[NEAREST:.*]] = arith.truncf %{{.*}} : f64 to f32
  // CHECK:         arith.ori
  // CHECK:         %[[ODD:.*]] = arith.bitcast
  // CHECK:         arith.truncf %[[ODD]] : f32 to f16
  func.func @from_f64(%a: f64) -> f16 {
    %0 = arith.truncf %a : f64 to f16
    return %0 : f16
  }
}

// -----

module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "znver4", features = "+avx512bf16,+avx512vl,+f16c", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 524288>} {
  // CHECK-LABEL: func.func @native
  // CHECK:         arith.truncf %{{.*}} : vector<16xf32> to vector<16xbf16>
  // CHECK:         arith.truncf %{{.*}} : vector<16xf32> to vector<16xf16>
  func.func @native(%a: vector<16xf32>) -> (vector<16xbf16>, vector<16xf16>) {
    %0 = arith.truncf %a : vector<16xf32> to vector<16xbf16>
    %1 = arith.truncf %a : vector<16xf32> to vector<16xf16>
    return %0, %1 : vector<16xbf16>, vector<16xf16>
  }

  // Two roundings whose results are put together in pairs are one.
  // CHECK-LABEL: func.func @pairs
  // CHECK-SAME: %[[A:.*]]: vector<16xf32>, %[[B:.*]]: vector<16xf32>
  // CHECK: %[[C:.*]] = llvm.call_intrinsic "llvm.x86.avx512bf16.cvtne2ps2bf16.512"(%[[B]], %[[A]])
  // CHECK: vector.shuffle %[[C]], %[[C]] [0, 16, 1, 17, 2, 18,
  // CHECK-NOT: arith.truncf
  func.func @pairs(%a: vector<16xf32>, %b: vector<16xf32>) -> vector<32xbf16> {
    %0 = arith.truncf %a : vector<16xf32> to vector<16xbf16>
    %1 = arith.truncf %b : vector<16xf32> to vector<16xbf16>
    %2 = vector.interleave %0, %1 : vector<16xbf16> -> vector<32xbf16>
    return %2 : vector<32xbf16>
  }
}

// -----

// Floats of 8 bits, which scales are, are only extended.

// CHECK-LABEL: func.func @bytes
// CHECK-NOT:     arith.extf
// The least power of two is subnormal.
// CHECK-DAG:     arith.constant dense<4194304>
// CHECK-NOT:     arith.extf
// CHECK:         return
func.func @bytes(%a: vector<4xf8E4M3FN>, %b: vector<4xf8E8M0FNU>) -> (vector<4xf32>, vector<4xf32>) {
  %0 = arith.extf %a : vector<4xf8E4M3FN> to vector<4xf32>
  %1 = arith.extf %b : vector<4xf8E8M0FNU> to vector<4xf32>
  return %0, %1 : vector<4xf32>, vector<4xf32>
}
