// RUN: lutra-opt --split-input-file --expand-quantization %s | FileCheck %s

// Which integers come out is compared with divisions by
// test/Integration/test_quantized.py.

module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "x86-64-v4", features = "+avx512f,+fma", vectorBits = 512, vectorRegisters = 32, l1 = 49152, l2 = 2097152>} {
  // x / 0.04 between 0 and 255: what is multiplied is between 0 and 10.2, which no number less than
  // 0 changes, and a conversion rounds.
  // CHECK-LABEL: func.func @quantize
  // CHECK-SAME: %[[X:.*]]: vector<16xf32>
  // CHECK-DAG: %[[ZERO:.*]] = arith.constant dense<0.000000e+00>
  // CHECK-DAG: %[[MOST:.*]] = arith.constant dense<1.020000e+01>
  // CHECK-DAG: %[[INVERSE:.*]] = arith.constant dense<2.500000e+01>
  // CHECK-DAG: %[[REST:.*]] = arith.constant dense<5.58793{{[0-9]*}}E-7>
  // CHECK-NOT: arith.maximumf
  // CHECK: arith.cmpf olt, %[[ZERO]], %[[X]]
  // CHECK: %[[LOW:.*]] = arith.select %{{.*}}, %[[X]], %[[ZERO]]
  // CHECK: arith.cmpf olt, %[[LOW]], %[[MOST]]
  // CHECK: %[[IN:.*]] = arith.select %{{.*}}, %[[LOW]], %[[MOST]]
  // CHECK: %[[LOST:.*]] = arith.mulf %[[IN]], %[[REST]]
  // CHECK: %[[ALL:.*]] = math.fma %[[IN]], %[[INVERSE]], %[[LOST]]
  // CHECK: llvm.intr.lrint(%[[ALL]]) : (vector<16xf32>) -> vector<16xi32>
  func.func @quantize(%x: vector<16xf32>) -> vector<16xi32> {
    %most = arith.constant dense<255.0> : vector<16xf32>
    %scale = arith.constant dense<0.04> : vector<16xf32>
    %zero = arith.constant dense<0.0> : vector<16xf32>
    %relu = arith.maximumf %x, %zero : vector<16xf32>
    %quotient = arith.divf %relu, %scale : vector<16xf32>
    %isMore = arith.cmpf ogt, %quotient, %zero : vector<16xf32>
    %low = arith.select %isMore, %quotient, %zero : vector<16xi1>, vector<16xf32>
    %isLess = arith.cmpf olt, %low, %most : vector<16xf32>
    %high = arith.select %isLess, %low, %most : vector<16xi1>, vector<16xf32>
    %rounded = math.roundeven %high : vector<16xf32>
    %integer = arith.fptosi %rounded : vector<16xf32> to vector<16xi32>
    return %integer : vector<16xi32>
  }

  // Bounds that are no integers are not those of what is rounded; a scale that is negative turns
  // them round.
  // CHECK-LABEL: func.func @others
  // CHECK-COUNT-2: arith.divf
  func.func @others(%x: f32) -> (f32, f32) {
    %zero = arith.constant 0.0 : f32
    %half = arith.constant 254.5 : f32
    %most = arith.constant 255.0 : f32
    %scale = arith.constant 0.04 : f32
    %minus = arith.constant -0.04 : f32
    %0 = arith.divf %x, %scale : f32
    %1 = arith.cmpf olt, %zero, %0 : f32
    %2 = arith.select %1, %0, %zero : f32
    %3 = arith.cmpf olt, %2, %half : f32
    %4 = arith.select %3, %2, %half : f32
    %5 = math.roundeven %4 : f32
    %6 = arith.divf %x, %minus : f32
    %7 = arith.cmpf olt, %zero, %6 : f32
    %8 = arith.select %7, %6, %zero : f32
    %9 = arith.cmpf olt, %8, %most : f32
    %10 = arith.select %9, %8, %most : f32
    %11 = math.roundeven %10 : f32
    return %5, %11 : f32, f32
  }

  // Clamped behind it, to integers.
  // CHECK-LABEL: func.func @clamped
  // CHECK-SAME: %[[X:.*]]: vector<16xf32>
  // CHECK: %[[LOW:.*]] = arith.maxnumf %[[X]]
  // CHECK: %[[HIGH:.*]] = arith.minnumf %[[LOW]]
  // CHECK: %[[WIDE:.*]] = llvm.intr.lrint(%[[HIGH]]) : (vector<16xf32>) -> vector<16xi32>
  // CHECK: arith.trunci %[[WIDE]] : vector<16xi32> to vector<16xi8>
  func.func @clamped(%x: vector<16xf32>) -> vector<16xi8> {
    %low = arith.constant dense<-127.0> : vector<16xf32>
    %high = arith.constant dense<127.0> : vector<16xf32>
    %0 = math.roundeven %x : vector<16xf32>
    %1 = arith.maxnumf %0, %low : vector<16xf32>
    %2 = arith.minnumf %1, %high : vector<16xf32>
    %3 = arith.fptosi %2 : vector<16xf32> to vector<16xi8>
    return %3 : vector<16xi8>
  }
}

// -----

module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "x86-64", features = "", vectorBits = 128, vectorRegisters = 16, l1 = 32768, l2 = 524288>} {
  // A sum of a product without an instruction for both would be rounded twice.
  // CHECK-LABEL: func.func @baseline
  // CHECK: arith.divf
  // CHECK: llvm.intr.lrint
  func.func @baseline(%x: vector<4xf32>) -> vector<4xi32> {
    %most = arith.constant dense<255.0> : vector<4xf32>
    %scale = arith.constant dense<0.04> : vector<4xf32>
    %zero = arith.constant dense<0.0> : vector<4xf32>
    %quotient = arith.divf %x, %scale : vector<4xf32>
    %isMore = arith.cmpf ogt, %quotient, %zero : vector<4xf32>
    %low = arith.select %isMore, %quotient, %zero : vector<4xi1>, vector<4xf32>
    %isLess = arith.cmpf olt, %low, %most : vector<4xf32>
    %high = arith.select %isLess, %low, %most : vector<4xi1>, vector<4xf32>
    %rounded = math.roundeven %high : vector<4xf32>
    %integer = arith.fptosi %rounded : vector<4xf32> to vector<4xi32>
    return %integer : vector<4xi32>
  }
}
