// Layouts of codes, scales and zero points that are weights.
// RUN: lutra-opt %s --encode-mpgemm --split-input-file | FileCheck %s

module attributes {lutra.target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "znver4",
    features = "+avx512f,+avx512vnni", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {

// 40 columns are three tiles of a vector of 16: as many tiles of two would pad them to 64.
// CHECK-LABEL: func.func @whole_groups
// CHECK: %[[W:.*]] = lutra.weight "w" {{.*}} steps [#lutra.unpack<bits = 4, flip = false, shape = [40, 4, 32]>, #lutra.reshape<[40, 128]>, #lutra.planes<bits = 4, rows = 16>] : tensor<3x16x1x64xi8>
// CHECK: %[[S:.*]] = lutra.weight "s" {{.*}} steps [#lutra.pack<dim = 0, tile = 16, outer = 0>] : tensor<3x4x16xf32>
// CHECK: mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> layout <rows = 16> x(%arg0 : tensor<3x4x32xf32>) codes(%[[W]] : {{.*}}) scales(%[[S]] :
func.func @whole_groups(%x: tensor<3x4x32xf32>, %e: tensor<3x40xf32>) -> tensor<3x40xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 2560] storage tensor<40x4x16xui8>
      steps [#lutra.unpack<bits = 4, flip = false, shape = [40, 4, 32]>] : tensor<40x4x32xi8>
  %s = lutra.weight "s" from "w.bin"[2560, 640] storage tensor<40x4xf32> : tensor<40x4xf32>
  %y = mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%x : tensor<3x4x32xf32>) codes(%w : tensor<40x4x32xi8>)
      scales(%s : tensor<40x4xf32>) outs(%e : tensor<3x40xf32>) -> tensor<3x40xf32>
  return %y : tensor<3x40xf32>
}

// Of integers, codes of two columns share a byte, if as many columns as that makes are there. Groups of
// 28 codes are whole quads.
// CHECK-LABEL: func.func @shared_bytes
// CHECK: lutra.weight "w" {{.*}} #lutra.planes<bits = 4, rows = 64, rowsShareBytes = true>] : tensor<2x28x1x128xi8>
// CHECK: mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> layout <rows = 64, rowsShareBytes = true> x(%arg0 : tensor<3x4x28xi8>)
func.func @shared_bytes(%x: tensor<3x4x28xi8>, %xs: tensor<3x4xf32>, %sums: tensor<3x4xi32>, %e: tensor<3x120xf32>) -> tensor<3x120xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 6720] storage tensor<120x4x14xui8>
      steps [#lutra.unpack<bits = 4, flip = false, shape = [120, 4, 28]>] : tensor<120x4x28xi8>
  %s = lutra.weight "s" from "w.bin"[6720, 1920] storage tensor<120x4xf32> : tensor<120x4xf32>
  %y = mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%x : tensor<3x4x28xi8>) codes(%w : tensor<120x4x28xi8>)
      scales(%s : tensor<120x4xf32>) xscales(%xs : tensor<3x4xf32>) xsums(%sums : tensor<3x4xi32>) outs(%e : tensor<3x120xf32>) -> tensor<3x120xf32>
  return %y : tensor<3x120xf32>
}

// Groups of 20 codes are no whole number of chunks of 32, nor chunks of groups: they are padded, and x
// with them. Ten columns fit one vector.
// CHECK-LABEL: func.func @padded_groups
// CHECK: lutra.weight "w" {{.*}} steps [#lutra.pack<dim = 2, tile = 32, outer = 2>, #lutra.reshape<[10, 96]>, #lutra.planes<bits = 1, rows = 16>] : tensor<1x3x1x64xi8>
// CHECK: %[[X:.*]] = tensor.pad %arg0 low[0, 0, 0] high[0, 0, 12]
// CHECK: mpgemm.matmul {{.*}} layout <rows = 16> x(%[[X]] : tensor<?x3x32xf32>)
func.func @padded_groups(%x: tensor<?x3x20xf32>, %e: tensor<?x10xf32>) -> tensor<?x10xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 600] storage tensor<10x3x20xui8> : tensor<10x3x20xi8>
  %s = lutra.weight "s" from "w.bin"[600, 120] storage tensor<10x3xf32> : tensor<10x3xf32>
  %z = lutra.weight "z" from "w.bin"[720, 30] storage tensor<10x3xui8> : tensor<10x3xi8>
  %y = mpgemm.matmul #mpgemm.affine<bits = 1, zero = 0> x(%x : tensor<?x3x20xf32>) codes(%w : tensor<10x3x20xi8>)
      scales(%s : tensor<10x3xf32>) zeros(%z : tensor<10x3xi8>) outs(%e : tensor<?x10xf32>) -> tensor<?x10xf32>
  return %y : tensor<?x10xf32>
}

// Scales of 8 bits are read as they are stored, times what they are dequantized with.
// CHECK-LABEL: func.func @small_scales
// CHECK-DAG: %[[SS:.*]] = lutra.weight "s" value dense<5.000000e-01> {{.*}} steps [#lutra.pack<dim = 0, tile = 16, outer = 0>] : tensor<1x1x16xf32>
// CHECK-DAG: %[[S:.*]] = lutra.weight "s" from "w.bin"[160, 10] storage tensor<10x1xf8E4M3FN> steps [#lutra.pack<dim = 0, tile = 16, outer = 0>] : tensor<1x1x16xf8E4M3FN>
// CHECK: scales(%[[S]] : {{.*}}) superscales(%[[SS]] :
func.func @small_scales(%x: tensor<3x1x32xf32>, %e: tensor<3x10xf32>) -> tensor<3x10xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 160] storage tensor<10x1x16xui8>
      steps [#lutra.unpack<bits = 4, flip = false, shape = [10, 1, 32]>] : tensor<10x1x32xi8>
  %s = lutra.weight "s" from "w.bin"[160, 10] storage tensor<10x1xf8E4M3FN>
      steps [#lutra.dequantize<from = f8E4M3FN, to = f32, axis = 0, block = 0, scale = {name = "f", storage = tensor<f32>, value = dense<0.5> : tensor<f32>}>] : tensor<10x1xf32>
  %y = mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%x : tensor<3x1x32xf32>) codes(%w : tensor<10x1x32xi8>)
      scales(%s : tensor<10x1xf32>) outs(%e : tensor<3x10xf32>) -> tensor<3x10xf32>
  return %y : tensor<3x10xf32>
}

// Two groups of 16 codes of one bit are a chunk.
// CHECK-LABEL: func.func @chunk_of_groups
// CHECK-NOT: tensor.pad
// CHECK: layout <rows = 16>
func.func @chunk_of_groups(%x: tensor<?x3x16xf32>, %e: tensor<?x10xf32>) -> tensor<?x10xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 480] storage tensor<10x3x16xui8> : tensor<10x3x16xi8>
  %s = lutra.weight "s" from "w.bin"[480, 120] storage tensor<10x3xf32> : tensor<10x3xf32>
  %y = mpgemm.matmul #mpgemm.affine<bits = 1, zero = 0> x(%x : tensor<?x3x16xf32>) codes(%w : tensor<10x3x16xi8>)
      scales(%s : tensor<10x3xf32>) outs(%e : tensor<?x10xf32>) -> tensor<?x10xf32>
  return %y : tensor<?x10xf32>
}

// Three groups of codes for one of x.
// CHECK-LABEL: func.func @planes
// CHECK: mpgemm.matmul #mpgemm.binary<planes = 3> layout <rows = {{.*}}> x(%arg0 : tensor<?x1x32xf32>)
func.func @planes(%x: tensor<?x1x32xf32>, %e: tensor<?x10xf32>) -> tensor<?x10xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 960] storage tensor<10x3x32xui8> : tensor<10x3x32xi8>
  %s = lutra.weight "s" from "w.bin"[960, 120] storage tensor<10x3xf32> : tensor<10x3xf32>
  %y = mpgemm.matmul #mpgemm.binary<planes = 3> x(%x : tensor<?x1x32xf32>) codes(%w : tensor<10x3x32xi8>)
      scales(%s : tensor<10x3xf32>) outs(%e : tensor<?x10xf32>) -> tensor<?x10xf32>
  return %y : tensor<?x10xf32>
}

// CHECK-LABEL: func.func @trellis
// CHECK: mpgemm.matmul #mpgemm.trellis<bits = 3> layout <
func.func @trellis(%x: tensor<?x3x32xf32>, %e: tensor<?x10xf32>) -> tensor<?x10xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 960] storage tensor<10x3x32xui8> : tensor<10x3x32xi8>
  %s = lutra.weight "s" from "w.bin"[960, 120] storage tensor<10x3xf32> : tensor<10x3xf32>
  %y = mpgemm.matmul #mpgemm.trellis<bits = 3> x(%x : tensor<?x3x32xf32>) codes(%w : tensor<10x3x32xi8>)
      scales(%s : tensor<10x3xf32>) outs(%e : tensor<?x10xf32>) -> tensor<?x10xf32>
  return %y : tensor<?x10xf32>
}

// Zeros behind a group would be in the windows of the next one.
// CHECK-LABEL: func.func @trellis_of_odd_groups
// CHECK-NOT: layout
func.func @trellis_of_odd_groups(%x: tensor<?x3x20xf32>, %e: tensor<?x10xf32>) -> tensor<?x10xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 600] storage tensor<10x3x20xui8> : tensor<10x3x20xi8>
  %s = lutra.weight "s" from "w.bin"[600, 120] storage tensor<10x3xf32> : tensor<10x3xf32>
  %y = mpgemm.matmul #mpgemm.trellis<bits = 3> x(%x : tensor<?x3x20xf32>) codes(%w : tensor<10x3x20xi8>)
      scales(%s : tensor<10x3xf32>) outs(%e : tensor<?x10xf32>) -> tensor<?x10xf32>
  return %y : tensor<?x10xf32>
}

// 48 numbers of vectors of 4 have 24 codes of 6 bits, which chunks of 16 pad to 32: 64 numbers.
// CHECK-LABEL: func.func @vectors
// CHECK: lutra.weight "w" {{.*}}#lutra.pack<dim = 2, tile = 32, outer = 2>
// CHECK: tensor.pad %arg0
// CHECK: mpgemm.matmul #mpgemm.vectors<bits = 6, size = 4, books = 2> layout <
// CHECK-SAME: x(%{{.*}} : tensor<?x3x64xf32>)
// CHECK-SAME: codebook(%{{.*}} : tensor<2x4x64xi8>)
func.func @vectors(%x: tensor<?x3x48xf32>, %e: tensor<?x10xf32>) -> tensor<?x10xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 720] storage tensor<10x3x24xui8> : tensor<10x3x24xi8>
  %s = lutra.weight "s" from "w.bin"[720, 120] storage tensor<10x3xf32> : tensor<10x3xf32>
  %b = lutra.weight "b" from "w.bin"[840, 512] storage tensor<2x4x64xui8> : tensor<2x4x64xi8>
  %y = mpgemm.matmul #mpgemm.vectors<bits = 6, size = 4, books = 2> x(%x : tensor<?x3x48xf32>)
      codes(%w : tensor<10x3x24xi8>) scales(%s : tensor<10x3xf32>) codebook(%b : tensor<2x4x64xi8>)
      outs(%e : tensor<?x10xf32>) -> tensor<?x10xf32>
  return %y : tensor<?x10xf32>
}

// CHECK-LABEL: func.func @computed_codes
// CHECK-NOT: layout
func.func @computed_codes(%x: tensor<3x4x32xf32>, %w: tensor<40x4x32xi8>, %e: tensor<3x40xf32>) -> tensor<3x40xf32> {
  %s = lutra.weight "s" from "w.bin"[0, 640] storage tensor<40x4xf32> : tensor<40x4xf32>
  %y = mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> x(%x : tensor<3x4x32xf32>) codes(%w : tensor<40x4x32xi8>)
      scales(%s : tensor<40x4xf32>) outs(%e : tensor<3x40xf32>) -> tensor<3x40xf32>
  return %y : tensor<3x40xf32>
}

// 65793 codes of 8 bits fit 32 bits, but not when padded.
// CHECK-LABEL: func.func @too_long_when_padded
// CHECK-NOT: layout
func.func @too_long_when_padded(%x: tensor<1x1x65793xi8>, %sums: tensor<1x1xi32>, %e: tensor<1x2xi32>) -> tensor<1x2xi32> {
  %w = lutra.weight "w" from "w.bin"[0, 131586] storage tensor<2x1x65793xui8> : tensor<2x1x65793xi8>
  %y = mpgemm.matmul #mpgemm.affine<bits = 8, zero = 128> x(%x : tensor<1x1x65793xi8>)
      codes(%w : tensor<2x1x65793xi8>) xsums(%sums : tensor<1x1xi32>) outs(%e : tensor<1x2xi32>) -> tensor<1x2xi32>
  return %y : tensor<1x2xi32>
}
}

// -----

module attributes {lutra.target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "sapphirerapids",
    features = "+avx512f,+avx512vnni,+amx-tile,+amx-int8", vectorBits = 512, vectorRegisters = 32, l1 = 49152, l2 = 2097152>} {

// 250 quads are 25 matrix tiles of 10 quads, or 16 of 16 with a few zeros; 37 have no tiles
// but with half as many zeros at most; 17 quads are one by one, since twice as many codes cost more.
// CHECK-LABEL: func.func @padded_to_tiles
// CHECK: tensor.pad %arg0 {{.*}} high[0, 0, 24]
// CHECK-LABEL: func.func @padded_to_have_tiles
// CHECK: tensor.pad %arg0 {{.*}} high[0, 0, 44]
// CHECK-LABEL: func.func @not_padded
// CHECK-NOT: tensor.pad
// CHECK: layout
func.func @padded_to_tiles(%x: tensor<?x1x1000xi8>, %sums: tensor<?x1xi32>, %e: tensor<?x2xi32>) -> tensor<?x2xi32> {
  %w = lutra.weight "w" from "w.bin"[0, 2000] storage tensor<2x1x1000xui8> : tensor<2x1x1000xi8>
  %y = mpgemm.matmul #mpgemm.affine<bits = 8, zero = 0> x(%x : tensor<?x1x1000xi8>) codes(%w : tensor<2x1x1000xi8>)
      xsums(%sums : tensor<?x1xi32>) outs(%e : tensor<?x2xi32>) -> tensor<?x2xi32>
  return %y : tensor<?x2xi32>
}
func.func @padded_to_have_tiles(%x: tensor<?x1x148xi8>, %sums: tensor<?x1xi32>, %e: tensor<?x2xi32>) -> tensor<?x2xi32> {
  %w = lutra.weight "w" from "w.bin"[0, 296] storage tensor<2x1x148xui8> : tensor<2x1x148xi8>
  %y = mpgemm.matmul #mpgemm.affine<bits = 8, zero = 0> x(%x : tensor<?x1x148xi8>) codes(%w : tensor<2x1x148xi8>)
      xsums(%sums : tensor<?x1xi32>) outs(%e : tensor<?x2xi32>) -> tensor<?x2xi32>
  return %y : tensor<?x2xi32>
}
func.func @not_padded(%x: tensor<?x1x68xi8>, %sums: tensor<?x1xi32>, %e: tensor<?x2xi32>) -> tensor<?x2xi32> {
  %w = lutra.weight "w" from "w.bin"[0, 136] storage tensor<2x1x68xui8> : tensor<2x1x68xi8>
  %y = mpgemm.matmul #mpgemm.affine<bits = 8, zero = 0> x(%x : tensor<?x1x68xi8>) codes(%w : tensor<2x1x68xi8>)
      xsums(%sums : tensor<?x1xi32>) outs(%e : tensor<?x2xi32>) -> tensor<?x2xi32>
  return %y : tensor<?x2xi32>
}
}

// -----

module attributes {lutra.target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "znver4",
    features = "+avx512f,+avx512vnni", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {

// Matrices of whole tiles lie as one matrix of all columns does.
// CHECK-LABEL: func.func @whole_matrices
// CHECK: lutra.weight "w" {{.*}} steps [#lutra.reshape<[192, 128]>, #lutra.planes<bits = 4, rows = 32>] : tensor<6x16x1x128xi8>
// CHECK: lutra.weight "s" {{.*}} steps [#lutra.pack<dim = 0, tile = 32, outer = 0>] : tensor<6x4x32xf32>
// CHECK: mpgemm.gather_matmul {{.*}} layout <rows = 32> experts(%arg0 : tensor<?xi64>) offsets(%arg1 : tensor<?xi64>)
func.func @whole_matrices(%b: tensor<?xi64>, %o: tensor<?xi64>, %x: tensor<?x4x32xf32>, %e: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 24576] storage tensor<192x4x32xui8> : tensor<192x4x32xi8>
  %s = lutra.weight "s" from "w.bin"[24576, 3072] storage tensor<192x4xf32> : tensor<192x4xf32>
  %y = mpgemm.gather_matmul #mpgemm.affine<bits = 4, zero = 8> experts(%b : tensor<?xi64>) offsets(%o : tensor<?xi64>)
      x(%x : tensor<?x4x32xf32>) codes(%w : tensor<192x4x32xi8>) scales(%s : tensor<192x4xf32>)
      outs(%e : tensor<?x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// Others are padded one by one.
// CHECK-LABEL: func.func @padded_matrices
// CHECK: lutra.weight "w" {{.*}} steps [#lutra.reshape<[3, 50, 128]>, #lutra.pack<dim = 1, tile = 64, outer = 1>, #lutra.transpose<[0, 1, 3, 2]>, #lutra.reshape<[192, 128]>, #lutra.planes<bits = 4, rows = 32>] : tensor<6x16x1x128xi8>
// CHECK: lutra.weight "s" {{.*}} steps [#lutra.reshape<[3, 50, 4]>, #lutra.pack<dim = 1, tile = 32, outer = 1>, #lutra.reshape<[6, 4, 32]>] : tensor<6x4x32xf32>
// CHECK: mpgemm.gather_matmul {{.*}} layout <rows = 32>
func.func @padded_matrices(%b: tensor<?xi64>, %o: tensor<?xi64>, %x: tensor<?x4x32xf32>, %e: tensor<?x50xf32>) -> tensor<?x50xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 19200] storage tensor<150x4x32xui8> : tensor<150x4x32xi8>
  %s = lutra.weight "s" from "w.bin"[19200, 2400] storage tensor<150x4xf32> : tensor<150x4xf32>
  %y = mpgemm.gather_matmul #mpgemm.affine<bits = 4, zero = 8> experts(%b : tensor<?xi64>) offsets(%o : tensor<?xi64>)
      x(%x : tensor<?x4x32xf32>) codes(%w : tensor<150x4x32xi8>) scales(%s : tensor<150x4xf32>)
      outs(%e : tensor<?x50xf32>) -> tensor<?x50xf32>
  return %y : tensor<?x50xf32>
}

// CHECK-LABEL: func.func @floats
// CHECK: lutra.weight "w" {{.*}} steps [#lutra.pack<dim = 0, tile = 32, outer = 0>] : tensor<6x1x128x32xf16>
// CHECK: mpgemm.gather_matmul layout <rows = 32>
func.func @floats(%b: tensor<?xi64>, %o: tensor<?xi64>, %x: tensor<?x1x128xf32>, %e: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %w = lutra.weight "w" from "w.bin"[0, 49152] storage tensor<192x1x128xf16> : tensor<192x1x128xf16>
  %y = mpgemm.gather_matmul experts(%b : tensor<?xi64>) offsets(%o : tensor<?xi64>)
      x(%x : tensor<?x1x128xf32>) codes(%w : tensor<192x1x128xf16>) outs(%e : tensor<?x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
}
