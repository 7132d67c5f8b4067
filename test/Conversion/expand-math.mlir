// RUN: lutra-opt --split-input-file --verify-diagnostics --expand-math %s | FileCheck %s
// RUN: lutra-opt --split-input-file --verify-diagnostics --expand-math --expand-half --expand-rounding %s | FileCheck %s --check-prefix=LAST

// No operation that would call libm survives, whatever the machine; on this one,
// without SSE4.1 and FMA, none that rounds either.

module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "x86-64", features = "", vectorBits = 128, vectorRegisters = 16, l1 = 32768, l2 = 524288>} {
  // CHECK-LABEL: func.func @functions
  // CHECK-NOT:     math.{{acos|asin|atan|cbrt|cos|erf|exp|fma|fpowi|ipowi|log|pow|rsqrt|sin|tan}}
  // CHECK:         return
  // LAST-LABEL:  func.func @functions
  // LAST-NOT:      math.{{acos|asin|atan|cbrt|ceil|cos|erf|exp|floor|fma|fpowi|ipowi|log|pow|round|rsqrt|sin|tan|trunc}}
  // LAST:          return
  func.func @functions(%x: vector<4xf32>, %y: vector<4xf32>) -> vector<4xf32> {
    %0 = math.exp %x : vector<4xf32>
    %1 = math.exp2 %0 : vector<4xf32>
    %2 = math.expm1 %1 : vector<4xf32>
    %3 = math.log %2 : vector<4xf32>
    %4 = math.log2 %3 : vector<4xf32>
    %5 = math.log10 %4 : vector<4xf32>
    %6 = math.log1p %5 : vector<4xf32>
    %7 = math.tanh %6 : vector<4xf32>
    %8 = math.sinh %7 : vector<4xf32>
    %9 = math.cosh %8 : vector<4xf32>
    %10 = math.asinh %9 : vector<4xf32>
    %11 = math.acosh %10 : vector<4xf32>
    %12 = math.atanh %11 : vector<4xf32>
    %13 = math.erf %12 : vector<4xf32>
    %14 = math.sin %13 : vector<4xf32>
    %15 = math.cos %14 : vector<4xf32>
    %16 = math.tan %15 : vector<4xf32>
    %17 = math.atan %16 : vector<4xf32>
    %18 = math.asin %17 : vector<4xf32>
    %19 = math.acos %18 : vector<4xf32>
    %20 = math.cbrt %19 : vector<4xf32>
    %21 = math.rsqrt %20 : vector<4xf32>
    %22 = math.powf %21, %y : vector<4xf32>
    %23 = math.atan2 %22, %y : vector<4xf32>
    return %23 : vector<4xf32>
  }

  // CHECK-LABEL: func.func @doubles
  // CHECK-NOT:     math.{{exp|pow|sin}}
  // CHECK:         return
  // LAST-LABEL:  func.func @doubles
  // LAST-NOT:      math.{{exp|pow|round|sin|trunc}}
  // LAST:          return
  func.func @doubles(%x: f64, %y: f64) -> f64 {
    %0 = math.exp %x : f64
    %1 = math.sin %0 : f64
    %2 = math.powf %1, %y : f64
    return %2 : f64
  }
}

// -----

// Products stay apart from sums and may fuse with them; rounding and fma stay
// what they are.

module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "x86-64-v3", features = "+avx2,+f16c,+fma,+sse4.1", vectorBits = 256, vectorRegisters = 16, l1 = 32768, l2 = 524288>} {
  // CHECK-LABEL: func.func @exp
  // CHECK-SAME:    %[[X:.*]]: vector<8xf32>
  // CHECK-NOT:     arith.divf
  // CHECK-COUNT-9: arith.mulf {{.*}} fastmath<contract> : vector<8xf32>
  // CHECK-NOT:     arith.mulf
  // CHECK:         arith.shli {{.*}} : vector<8xi32>
  // CHECK:         %[[BITS:.*]] = arith.addi {{.*}} : vector<8xi32>
  // CHECK-DAG:     %[[TINY:.*]] = arith.cmpf olt, %[[X]]
  // CHECK-DAG:     %[[HUGE:.*]] = arith.cmpf ugt, %[[X]]
  // CHECK:         arith.select %[[TINY]], %{{.*}}, %[[BITS]]
  // CHECK:         arith.select %[[HUGE]]
  // CHECK-NEXT:    return
  func.func @exp(%x: vector<8xf32>) -> vector<8xf32> {
    %0 = math.exp %x : vector<8xf32>
    return %0 : vector<8xf32>
  }

  // CHECK-LABEL: func.func @kept
  // CHECK:         math.sqrt
  // CHECK:         math.floor %{{.*}} : f16
  // CHECK:         math.fma
  // LAST-LABEL:  func.func @kept
  // LAST:          math.sqrt
  // LAST:          math.floor %{{.*}} : f32
  // LAST:          math.fma
  func.func @kept(%x: f32, %y: f16) -> (f32, f16) {
    %0 = math.sqrt %x : f32
    %1 = math.floor %y : f16
    %2 = math.fma %0, %x, %x : f32
    return %2, %1 : f32, f16
  }
}

// -----

// With AVX-512, exponentials of whole vectors take 2^(i / 16) from a register.

module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "x86-64-v4", features = "+avx512dq,+avx512f", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 524288>} {
  // CHECK-LABEL: func.func @table
  // CHECK-NOT:     arith.cmpf
  // CHECK:         %[[SHIFTED:.*]] = arith.addf {{.*}} : vector<16xf32>
  // CHECK:         %[[N:.*]] = arith.subf %[[SHIFTED]], %{{.*}} : vector<16xf32>
  // CHECK:         llvm.call_intrinsic "llvm.x86.avx512.mask.range.ps.512"
  // CHECK:         %[[BITS:.*]] = arith.bitcast %[[SHIFTED]]
  // CHECK:         llvm.call_intrinsic "llvm.x86.avx512.permvar.sf.512"(%{{.*}}, %[[BITS]])
  // CHECK:         %[[EXP:.*]] = llvm.call_intrinsic "llvm.x86.avx512.mask.scalef.ps.512"(%{{.*}}, %[[N]],
  // CHECK-NEXT:    return %[[EXP]]
  func.func @table(%x: vector<16xf32>) -> vector<16xf32> {
    %0 = math.exp %x : vector<16xf32>
    return %0 : vector<16xf32>
  }

  // CHECK-LABEL:   func.func @twice
  // CHECK-COUNT-2: llvm.call_intrinsic "llvm.x86.avx512.mask.scalef.ps.512"
  // CHECK:         arith.truncf %{{.*}} : vector<32xf32> to vector<32xbf16>
  func.func @twice(%x: vector<32xbf16>) -> vector<32xbf16> {
    %0 = math.exp2 %x : vector<32xbf16>
    return %0 : vector<32xbf16>
  }

  // CHECK-LABEL: func.func @short
  // CHECK-NOT:     llvm.call_intrinsic
  // CHECK:         return
  func.func @short(%x: vector<8xf32>, %y: f32, %z: vector<8xf64>) -> (vector<8xf32>, f32, vector<8xf64>) {
    %0 = math.exp %x : vector<8xf32>
    %1 = math.exp %y : f32
    %2 = math.exp %z : vector<8xf64>
    return %0, %1, %2 : vector<8xf32>, f32, vector<8xf64>
  }
}

// -----

// f16 and bf16 go through f32.

// CHECK-LABEL: func.func @narrow
// CHECK-SAME:    %[[X:.*]]: vector<4xf16>, %[[Y:.*]]: bf16
// CHECK:         arith.extf %[[X]] : vector<4xf16> to vector<4xf32>
// CHECK-NOT:     math.tanh
// CHECK:         %[[TANH:.*]] = arith.truncf %{{.*}} : vector<4xf32> to vector<4xf16>
// CHECK:         arith.extf %[[Y]] : bf16 to f32
// CHECK:         arith.extf %[[Y]] : bf16 to f32
// CHECK-NOT:     math.pow
// CHECK:         %[[POWER:.*]] = arith.truncf %{{.*}} : f32 to bf16
// CHECK:         return %[[TANH]], %[[POWER]]
func.func @narrow(%x: vector<4xf16>, %y: bf16) -> (vector<4xf16>, bf16) {
  %0 = math.tanh %x : vector<4xf16>
  %1 = math.powf %y, %y : bf16
  return %0, %1 : vector<4xf16>, bf16
}

// -----

// CHECK-LABEL: func.func @powers
// CHECK-SAME:    %[[X:.*]]: f32, %[[N:.*]]: i32
// CHECK:         %[[SQUARE:.*]] = arith.mulf %[[X]], %[[X]] : f32
// CHECK:         scf.for
// CHECK:         arith.sitofp %[[N]] : i32 to f32
// CHECK-NOT:     math.{{ipowi|fpowi}}
// CHECK:         return %[[SQUARE]]
func.func @powers(%x: f32, %n: i32) -> (f32, i32, f32) {
  %two = arith.constant 2.0 : f32
  %0 = math.powf %x, %two : f32
  %1 = math.ipowi %n, %n : i32
  %2 = math.fpowi %x, %n : f32, i32
  return %0, %1, %2 : f32, i32, f32
}

// -----

func.func @unknown(%x: f32) -> f32 {
  // expected-error @below {{no formula for math.erfc}}
  %0 = math.erfc %x : f32
  return %0 : f32
}
