// Products of numbers that are quantized here, by look-ups where these are fewer instructions.
// RUN: lutra-opt %s --split-input-file --encode-mpgemm | FileCheck %s
// RUN: lutra-opt %s --split-input-file --encode-mpgemm=lookups=never | FileCheck %s --check-prefix=NEVER
// RUN: lutra-opt %s --split-input-file --encode-mpgemm=lookups=always | FileCheck %s --check-prefix=ALWAYS

// NEVER-NOT: lut.build

// Four tables in one register.
module attributes {lutra.target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "znver4",
    features = "+avx512f,+avx512vbmi,+avx512vnni", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
// CHECK-LABEL: func.func @one_bit
// CHECK: lutra.weight "w" {{.*}}#lutra.planes<bits = 1, rows = 32>] : tensor<32x16x1x128xi8>
// CHECK: %[[T:.*]], %[[SCALES:.*]], %{{.*}} = lut.build %arg0 values [-1.000000e+00, 0.000000e+00] depth 4 : tensor<?x2x256xf32> -> tensor<?x2x16x64xi8>
// CHECK: mpgemm.matmul #mpgemm.affine<bits = 1, zero = 1> layout <rows = 32> x(%[[T]] : tensor<?x2x16x64xi8>) {{.*}} xscales(%[[SCALES]] : tensor<?x2xf32>) outs(
func.func @one_bit(%x: tensor<?x2x256xf32>, %e: tensor<?x1024xf32>) -> tensor<?x1024xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 524288] storage tensor<1024x2x256xui8> : tensor<1024x2x256xi8>
  %s = lutra.weight "s" from "w.bin"[524288, 8192] storage tensor<1024x2xf32> : tensor<1024x2xf32>
  %q, %xs, %sums = mpgemm.quantize_act %x : tensor<?x2x256xf32> -> tensor<?x2x256xi8>, tensor<?x2xf32>, tensor<?x2xi32>
  %y = mpgemm.matmul #mpgemm.affine<bits = 1, zero = 1> x(%q : tensor<?x2x256xi8>) codes(%w : tensor<1024x2x256xi8>)
      scales(%s : tensor<1024x2xf32>) xscales(%xs : tensor<?x2xf32>) xsums(%sums : tensor<?x2xi32>)
      outs(%e : tensor<?x1024xf32>) -> tensor<?x1024xf32>
  return %y : tensor<?x1024xf32>
}

// Rows that may be few are multiplied.
// CHECK-LABEL: func.func @two_bits
// CHECK-NOT: lut.build
// ALWAYS-LABEL: func.func @two_bits
// ALWAYS: lut.build %arg0 values [-2.000000e+00, -1.000000e+00, 0.000000e+00, 1.000000e+00] depth 4
func.func @two_bits(%x: tensor<?x2x256xf32>, %e: tensor<?x1024xf32>) -> tensor<?x1024xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 524288] storage tensor<1024x2x256xui8> : tensor<1024x2x256xi8>
  %s = lutra.weight "s" from "w.bin"[524288, 8192] storage tensor<1024x2xf32> : tensor<1024x2xf32>
  %q, %xs, %sums = mpgemm.quantize_act %x : tensor<?x2x256xf32> -> tensor<?x2x256xi8>, tensor<?x2xf32>, tensor<?x2xi32>
  %y = mpgemm.matmul #mpgemm.affine<bits = 2, zero = 2> x(%q : tensor<?x2x256xi8>) codes(%w : tensor<1024x2x256xi8>)
      scales(%s : tensor<1024x2xf32>) xscales(%xs : tensor<?x2xf32>) xsums(%sums : tensor<?x2xi32>)
      outs(%e : tensor<?x1024xf32>) -> tensor<?x1024xf32>
  return %y : tensor<?x1024xf32>
}

// CHECK-LABEL: func.func @two_bits_of_many
// CHECK: lut.build
func.func @two_bits_of_many(%x: tensor<64x2x256xf32>, %e: tensor<64x1024xf32>) -> tensor<64x1024xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 524288] storage tensor<1024x2x256xui8> : tensor<1024x2x256xi8>
  %s = lutra.weight "s" from "w.bin"[524288, 8192] storage tensor<1024x2xf32> : tensor<1024x2xf32>
  %q, %xs, %sums = mpgemm.quantize_act %x : tensor<64x2x256xf32> -> tensor<64x2x256xi8>, tensor<64x2xf32>, tensor<64x2xi32>
  %y = mpgemm.matmul #mpgemm.affine<bits = 2, zero = 2> x(%q : tensor<64x2x256xi8>) codes(%w : tensor<1024x2x256xi8>)
      scales(%s : tensor<1024x2xf32>) xscales(%xs : tensor<64x2xf32>) xsums(%sums : tensor<64x2xi32>)
      outs(%e : tensor<64x1024xf32>) -> tensor<64x1024xf32>
  return %y : tensor<64x1024xf32>
}

// CHECK-LABEL: func.func @four_bits
// CHECK-NOT: lut.build
func.func @four_bits(%x: tensor<64x2x256xf32>, %e: tensor<64x1024xf32>) -> tensor<64x1024xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 524288] storage tensor<1024x2x256xui8> : tensor<1024x2x256xi8>
  %s = lutra.weight "s" from "w.bin"[524288, 8192] storage tensor<1024x2xf32> : tensor<1024x2xf32>
  %q, %xs, %sums = mpgemm.quantize_act %x : tensor<64x2x256xf32> -> tensor<64x2x256xi8>, tensor<64x2xf32>, tensor<64x2xi32>
  %y = mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%q : tensor<64x2x256xi8>) codes(%w : tensor<1024x2x256xi8>)
      scales(%s : tensor<1024x2xf32>) xscales(%xs : tensor<64x2xf32>) xsums(%sums : tensor<64x2xi32>)
      outs(%e : tensor<64x1024xf32>) -> tensor<64x1024xf32>
  return %y : tensor<64x1024xf32>
}

// Too few columns to pay for tables.
// CHECK-LABEL: func.func @narrow
// CHECK-NOT: lut.build
func.func @narrow(%x: tensor<64x2x256xf32>, %e: tensor<64x16xf32>) -> tensor<64x16xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 8192] storage tensor<16x2x256xui8> : tensor<16x2x256xi8>
  %s = lutra.weight "s" from "w.bin"[8192, 128] storage tensor<16x2xf32> : tensor<16x2xf32>
  %q, %xs, %sums = mpgemm.quantize_act %x : tensor<64x2x256xf32> -> tensor<64x2x256xi8>, tensor<64x2xf32>, tensor<64x2xi32>
  %y = mpgemm.matmul #mpgemm.affine<bits = 2, zero = 2> x(%q : tensor<64x2x256xi8>) codes(%w : tensor<16x2x256xi8>)
      scales(%s : tensor<16x2xf32>) xscales(%xs : tensor<64x2xf32>) xsums(%sums : tensor<64x2xi32>)
      outs(%e : tensor<64x16xf32>) -> tensor<64x16xf32>
  return %y : tensor<64x16xf32>
}

// Numbers that the model itself gives are multiplied exactly.
// CHECK-LABEL: func.func @exact
// CHECK-NOT: lut.build
// ALWAYS-LABEL: func.func @exact
// ALWAYS-NOT: lut.build
func.func @exact(%x: tensor<64x1x256xi8>, %sums: tensor<64x1xi32>, %e: tensor<64x1024xi32>) -> tensor<64x1024xi32> {
  %w = lutra.weight "w" from "w.bin"[0, 262144] storage tensor<1024x1x256xui8> : tensor<1024x1x256xi8>
  %y = mpgemm.matmul #mpgemm.affine<bits = 1, zero = 0> x(%x : tensor<64x1x256xi8>) codes(%w : tensor<1024x1x256xi8>)
      xsums(%sums : tensor<64x1xi32>) outs(%e : tensor<64x1024xi32>) -> tensor<64x1024xi32>
  return %y : tensor<64x1024xi32>
}
}

// -----

// One table for all bytes of a register, which then are columns.
module attributes {lutra.target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "x86-64-v3",
    features = "+avx2,+ssse3", vectorBits = 256, vectorRegisters = 16, l1 = 32768, l2 = 1048576>} {
// CHECK-LABEL: func.func @avx2
// ALWAYS-LABEL: func.func @avx2
// CHECK: #lutra.planes<bits = 2, rows = 32, depth = 1>] : tensor<32x128x1x32xi8>
// CHECK: lut.build %arg0 {{.*}} depth 1 : tensor<?x2x256xf32> -> tensor<?x2x128x16xi8>
// CHECK: layout <rows = 32, depth = 1>
func.func @avx2(%x: tensor<?x2x256xf32>, %e: tensor<?x1024xf32>) -> tensor<?x1024xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 524288] storage tensor<1024x2x256xui8> : tensor<1024x2x256xi8>
  %s = lutra.weight "s" from "w.bin"[524288, 8192] storage tensor<1024x2xf32> : tensor<1024x2xf32>
  %q, %xs, %sums = mpgemm.quantize_act %x : tensor<?x2x256xf32> -> tensor<?x2x256xi8>, tensor<?x2xf32>, tensor<?x2xi32>
  %y = mpgemm.matmul #mpgemm.affine<bits = 2, zero = 2> x(%q : tensor<?x2x256xi8>) codes(%w : tensor<1024x2x256xi8>)
      scales(%s : tensor<1024x2xf32>) xscales(%xs : tensor<?x2xf32>) xsums(%sums : tensor<?x2xi32>)
      outs(%e : tensor<?x1024xf32>) -> tensor<?x1024xf32>
  return %y : tensor<?x1024xf32>
}

// A code that does not occur makes no entry larger.
// CHECK-LABEL: func.func @ternary
// CHECK: lut.build %arg0 values [-1.000000e+00, 0.000000e+00, 1.000000e+00, 1.000000e+00] depth 1
func.func @ternary(%x: tensor<?x2x256xf32>, %e: tensor<?x1024xf32>) -> tensor<?x1024xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 524288] storage tensor<1024x2x256xui8> : tensor<1024x2x256xi8>
  %s = lutra.weight "s" from "w.bin"[524288, 8192] storage tensor<1024x2xf32> : tensor<1024x2xf32>
  %q, %xs, %sums = mpgemm.quantize_act %x : tensor<?x2x256xf32> -> tensor<?x2x256xi8>, tensor<?x2xf32>, tensor<?x2xi32>
  %y = mpgemm.matmul #mpgemm.affine<bits = 2, zero = 1, below = 3> x(%q : tensor<?x2x256xi8>) codes(%w : tensor<1024x2x256xi8>)
      scales(%s : tensor<1024x2xf32>) xscales(%xs : tensor<?x2xf32>) xsums(%sums : tensor<?x2xi32>)
      outs(%e : tensor<?x1024xf32>) -> tensor<?x1024xf32>
  return %y : tensor<?x1024xf32>
}
}

// -----

// No look-ups.
module attributes {lutra.target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "x86-64",
    features = "", vectorBits = 128, vectorRegisters = 16, l1 = 32768, l2 = 1048576>} {
// ALWAYS-LABEL: func.func @sse2
// ALWAYS-NOT: lut.build
func.func @sse2(%x: tensor<?x2x256xf32>, %e: tensor<?x1024xf32>) -> tensor<?x1024xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 524288] storage tensor<1024x2x256xui8> : tensor<1024x2x256xi8>
  %s = lutra.weight "s" from "w.bin"[524288, 8192] storage tensor<1024x2xf32> : tensor<1024x2xf32>
  %q, %xs, %sums = mpgemm.quantize_act %x : tensor<?x2x256xf32> -> tensor<?x2x256xi8>, tensor<?x2xf32>, tensor<?x2xi32>
  %y = mpgemm.matmul #mpgemm.affine<bits = 1, zero = 1> x(%q : tensor<?x2x256xi8>) codes(%w : tensor<1024x2x256xi8>)
      scales(%s : tensor<1024x2xf32>) xscales(%xs : tensor<?x2xf32>) xsums(%sums : tensor<?x2xi32>)
      outs(%e : tensor<?x1024xf32>) -> tensor<?x1024xf32>
  return %y : tensor<?x1024xf32>
}
}

// -----

// Matrix tiles take codes out of bytes once for many rows, and multiply faster than tables are read.
module attributes {lutra.target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "sapphirerapids",
    features = "+avx512f,+avx512vbmi,+avx512vnni,+amx-tile,+amx-int8", vectorBits = 512, vectorRegisters = 32, l1 = 49152, l2 = 2097152>} {
// CHECK-LABEL: func.func @tiles
// CHECK-NOT: lut.build
// CHECK: mpgemm.matmul
// ALWAYS-LABEL: func.func @tiles
// ALWAYS: lut.build
func.func @tiles(%x: tensor<64x2x256xf32>, %e: tensor<64x1024xf32>) -> tensor<64x1024xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 524288] storage tensor<1024x2x256xui8> : tensor<1024x2x256xi8>
  %s = lutra.weight "s" from "w.bin"[524288, 8192] storage tensor<1024x2xf32> : tensor<1024x2xf32>
  %q, %xs, %sums = mpgemm.quantize_act %x : tensor<64x2x256xf32> -> tensor<64x2x256xi8>, tensor<64x2xf32>, tensor<64x2xi32>
  %y = mpgemm.matmul #mpgemm.affine<bits = 1, zero = 1> x(%q : tensor<64x2x256xi8>) codes(%w : tensor<1024x2x256xi8>)
      scales(%s : tensor<1024x2xf32>) xscales(%xs : tensor<64x2xf32>) xsums(%sums : tensor<64x2xi32>)
      outs(%e : tensor<64x1024xf32>) -> tensor<64x1024xf32>
  return %y : tensor<64x1024xf32>
}

// Of one row codes are taken out for it alone.
// CHECK-LABEL: func.func @row
// CHECK: lut.build
func.func @row(%x: tensor<1x2x256xf32>, %e: tensor<1x1024xf32>) -> tensor<1x1024xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 524288] storage tensor<1024x2x256xui8> : tensor<1024x2x256xi8>
  %s = lutra.weight "s" from "w.bin"[524288, 8192] storage tensor<1024x2xf32> : tensor<1024x2xf32>
  %q, %xs, %sums = mpgemm.quantize_act %x : tensor<1x2x256xf32> -> tensor<1x2x256xi8>, tensor<1x2xf32>, tensor<1x2xi32>
  %y = mpgemm.matmul #mpgemm.affine<bits = 1, zero = 1> x(%q : tensor<1x2x256xi8>) codes(%w : tensor<1024x2x256xi8>)
      scales(%s : tensor<1024x2xf32>) xscales(%xs : tensor<1x2xf32>) xsums(%sums : tensor<1x2xi32>)
      outs(%e : tensor<1x1024xf32>) -> tensor<1x1024xf32>
  return %y : tensor<1x1024xf32>
}
}
