// Register tiles of products with codes, by the machine.
// RUN: lutra-opt %s --convert-mpgemm-to-vector --cse --split-input-file | FileCheck %s

module attributes {lutra.target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "znver4",
    features = "+avx512f,+avx512bw,+avx512vl,+avx512vnni", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
// A row: the sums of two vectors of columns, four of each, which start from the zero point.
// Hardware foresees the reading of one plane of 4 bits.
// CHECK-LABEL: func.func @dot_of_bytes
// CHECK-NOT: memref.prefetch
// CHECK: %[[TILES:.*]] = memref.dim %arg1
// CHECK: scf.for %[[TILE:.*]] = %{{.*}} to %[[TILES]]
// CHECK: %[[Y:.*]]:2 = scf.for %[[GROUP:.*]] = {{.*}} iter_args(
// CHECK: memref.load %arg4[%{{.*}}, %[[GROUP]]] : memref<1x4xi32>
// CHECK: vector.load %arg1[%[[TILE]], %{{.*}}, %{{.*}}, %{{.*}}] : memref<2x16x1x128xi8>, vector<64xi8>
// CHECK: arith.andi %{{.*}}, %{{.*}} : vector<16xi32>
// CHECK-COUNT-16: "llvm.x86.avx512.vpdpbusd.512"
// CHECK-NOT: "llvm.x86.avx512.vpdpbusd.512"
// Codes in the upper field were multiplied by 16.
// CHECK: arith.shrsi %{{.*}}, %{{.*}} : vector<16xi32>
// CHECK: arith.sitofp
// CHECK: vector.maskedstore %arg5
func.func @dot_of_bytes(%x: memref<1x4x32xi8>, %w: memref<2x16x1x128xi8>, %s: memref<2x4x32xf32>,
                        %xs: memref<1x4xf32>, %sums: memref<1x4xi32>, %y: memref<1x40xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> layout <rows = 32> x(%x : memref<1x4x32xi8>)
      codes(%w : memref<2x16x1x128xi8>) scales(%s : memref<2x4x32xf32>) xscales(%xs : memref<1x4xf32>)
      xsums(%sums : memref<1x4xi32>) outs(%y : memref<1x40xf32>)
  return
}
}

// -----

module attributes {lutra.target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "znver4",
    features = "+avx512f,+avx512bw,+avx512vl,+avx512vnni", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
// Two columns share a byte: the lower ones are masked, the others not, so that their sums have those of
// the lower ones in them, and start with 17 times as much.
// CHECK-LABEL: func.func @shared_bytes
// CHECK: %[[SUM:.*]] = arith.subi %{{.*}}, %{{.*}} : i32
// CHECK: %[[START:.*]] = arith.muli %[[SUM]], %c8_i32
// CHECK: %[[START0:.*]] = vector.broadcast %[[START]] : i32 to vector<16xi32>
// CHECK: %[[START:.*]] = arith.muli %[[SUM]], %c136_i32
// CHECK: %[[START1:.*]] = vector.broadcast %[[START]] : i32 to vector<16xi32>
// CHECK: %[[CODES:.*]] = vector.load %arg1[%{{.*}}, %{{.*}}, %c0, %c0] : memref<1x32x1x128xi8>, vector<64xi8>
// CHECK: %[[WORDS:.*]] = vector.bitcast %[[CODES]]
// CHECK: %[[LOW:.*]] = arith.constant dense<252645135> : vector<16xi32>
// CHECK: %[[MASKED:.*]] = arith.andi %[[WORDS]], %[[LOW]]
// CHECK: %[[LOWER:.*]] = vector.bitcast %[[MASKED]]
// CHECK: %[[BOTH:.*]] = vector.bitcast %[[WORDS]]
// CHECK: "llvm.x86.avx512.vpdpbusd.512"(%[[START0]], %[[LOWER]], %[[X:.*]])
// CHECK: "llvm.x86.avx512.vpdpbusd.512"(%[[START1]], %[[BOTH]], %[[X]])
// CHECK: arith.subi %{{.*}}, %{{.*}} : vector<16xi32>
// CHECK: arith.shrsi %{{.*}}, %{{.*}} : vector<16xi32>
// CHECK: arith.sitofp
func.func @shared_bytes(%x: memref<1x4x32xi8>, %w: memref<1x32x1x128xi8>, %s: memref<1x4x64xf32>,
                        %xs: memref<1x4xf32>, %sums: memref<1x4xi32>, %y: memref<1x60xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> layout <rows = 64, rowsShareBytes = true> x(%x : memref<1x4x32xi8>)
      codes(%w : memref<1x32x1x128xi8>) scales(%s : memref<1x4x64xf32>) xscales(%xs : memref<1x4xf32>)
      xsums(%sums : memref<1x4xi32>) outs(%y : memref<1x60xf32>)
  return
}
}

// -----

module attributes {lutra.target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "sapphirerapids",
    features = "+avx512f,+avx512bw,+avx512vl,+avx512vnni,+amx-tile,+amx-int8", vectorBits = 512, vectorRegisters = 32, l1 = 49152, l2 = 2097152>} {
// Whole tiles of rows, and one that is full to three quarters: for each block of rows a panel of 128
// quads of codes minus 8, for each group of half a tile two tiles of rows times two of columns, and
// their sums scaled. What is left by vectors.
// CHECK-LABEL: func.func @matrix_tiles
// CHECK-DAG: %[[RESULTS:.*]] = memref.alloca() {{.*}} : memref<128x32xf32>
// CHECK-DAG: %[[SUMS:.*]] = memref.alloca() {{.*}} : memref<32x32xi32>
// CHECK-DAG: %[[PANEL:.*]] = memref.alloca() {{.*}} : memref<2x128x64xi8>
// CHECK: %[[ROWS:.*]] = memref.dim %arg0
// CHECK: %[[REST:.*]] = arith.remui %[[ROWS]], %c16
// CHECK: %[[WHOLE:.*]] = arith.subi %[[ROWS]], %[[REST]]
// CHECK: arith.cmpi uge, %[[REST]], %c12
// CHECK: %[[TILED:.*]] = arith.select %{{.*}}, %[[ROWS]], %[[WHOLE]]
// CHECK: %[[LAST:.*]] = arith.subi %[[TILED]], %c16
// CHECK: %[[EIGHT:.*]] = arith.constant dense<8> : vector<64xi8>
// CHECK: %[[CODES:.*]] = arith.subi %{{.*}}, %[[EIGHT]] : vector<64xi8>
// CHECK: vector.store %[[CODES]], %[[PANEL]]
// CHECK: %[[ROW:.*]] = arith.minui %{{.*}}, %[[LAST]]
// CHECK-COUNT-4: amx.tile_zero : !amx.tile<16x16xi32>
// CHECK: amx.tile_load %arg0[%[[ROW]], %{{.*}}, %{{.*}}], %{{.*}} : memref<?x4x32xi8> into !amx.tile<16x32xi8>
// CHECK: amx.tile_load %[[PANEL]]{{.*}} into !amx.tile<8x64xi8>
// CHECK: amx.tile_muli %{{[^ ]*}}, %{{[^ ]*}}, %{{[^ ]*}} :
// CHECK-COUNT-4: amx.tile_store %[[SUMS]]
// CHECK: vector.load %[[SUMS]]
// CHECK: vector.store %{{.*}}, %[[RESULTS]]
// CHECK-COUNT-2: amx.tile_zero : !amx.tile<16x16xi32>
// CHECK-NOT: amx.tile_zero
// CHECK: vector.maskedstore %arg5
// CHECK: arith.subi %[[ROWS]], %[[TILED]]
// CHECK: "llvm.x86.avx512.vpdpbusd.512"
func.func @matrix_tiles(%x: memref<?x4x32xi8>, %w: memref<2x16x1x128xi8>, %s: memref<2x4x32xf32>,
                        %xs: memref<?x4xf32>, %sums: memref<?x4xi32>, %y: memref<?x40xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> layout <rows = 32> x(%x : memref<?x4x32xi8>)
      codes(%w : memref<2x16x1x128xi8>) scales(%s : memref<2x4x32xf32>) xscales(%xs : memref<?x4xf32>)
      xsums(%sums : memref<?x4xi32>) outs(%y : memref<?x40xf32>)
  return
}

// A group longer than a panel: sums are in memory from panel to panel. The zero point would make
// numbers of 9 bits; so codes are unsigned, and it is taken from the sums.
// CHECK-LABEL: func.func @sums_in_memory
// CHECK: %[[SUMS:.*]] = memref.alloca() {{.*}} : memref<128x16xi32>
// CHECK: amx.tile_load %[[SUMS]]
// CHECK: amx.tile_muli %{{.*}}, %{{.*}} zext, %{{.*}} : !amx.tile<16x64xi8>, !amx.tile<16x64xi8>, !amx.tile<16x16xi32>
// CHECK: amx.tile_store %[[SUMS]]
// CHECK: memref.load %arg2
// CHECK: vector.store %{{.*}}, %arg3{{.*}} : memref<19x16xi32>
// CHECK-NOT: amx.tile_
// CHECK: "llvm.x86.avx512.vpdpbusd.512"
// CHECK: return
func.func @sums_in_memory(%x: memref<19x1x1024xi8>, %w: memref<1x256x1x64xi8>, %sums: memref<19x1xi32>,
                          %y: memref<19x16xi32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 8, zero = 100> layout <rows = 16> x(%x : memref<19x1x1024xi8>)
      codes(%w : memref<1x256x1x64xi8>) xsums(%sums : memref<19x1xi32>) outs(%y : memref<19x16xi32>)
  return
}

// Fewer rows than a tile has, and groups that would leave most of one empty.
// CHECK-LABEL: func.func @few_rows
// CHECK-NOT: amx.tile_
// CHECK-LABEL: func.func @short_groups
// CHECK-NOT: amx.tile_
func.func @few_rows(%x: memref<15x1x64xi8>, %w: memref<1x16x1x64xi8>, %sums: memref<15x1xi32>,
                    %y: memref<15x16xi32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 8, zero = 100> layout <rows = 16> x(%x : memref<15x1x64xi8>)
      codes(%w : memref<1x16x1x64xi8>) xsums(%sums : memref<15x1xi32>) outs(%y : memref<15x16xi32>)
  return
}
func.func @short_groups(%x: memref<64x2x8xi8>, %w: memref<1x4x1x64xi8>, %s: memref<1x2x16xf32>, %xs: memref<64x2xf32>,
                        %sums: memref<64x2xi32>, %y: memref<64x16xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 8, zero = 128> layout <rows = 16> x(%x : memref<64x2x8xi8>)
      codes(%w : memref<1x4x1x64xi8>) scales(%s : memref<1x2x16xf32>) xscales(%xs : memref<64x2xf32>)
      xsums(%sums : memref<64x2xi32>) outs(%y : memref<64x16xf32>)
  return
}
}

// -----

module attributes {lutra.target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "sapphirerapids",
    features = "+avx512f,+avx512bw,+avx512vl,+avx512vnni,+avx512bf16,+amx-tile,+amx-int8,+amx-bf16", vectorBits = 512, vectorRegisters = 32, l1 = 49152, l2 = 2097152>} {
// Short groups: x and codes are scaled before they are multiplied, in bf16. A block of rows passes by
// the panel of each tile of columns. Few rows are left to vectors, since tiles of bytes would have
// another shape.
// CHECK-LABEL: func.func @float_tiles
// CHECK-DAG: %[[SUMS:.*]] = memref.alloca() {{.*}} : memref<64x256xf32>
// CHECK-DAG: %[[PANEL:.*]] = memref.alloca() {{.*}} : memref<2x2048xbf16>
// CHECK-DAG: %[[X:.*]] = memref.alloca() {{.*}} : memref<16x2048xbf16>
// CHECK: %[[ROWS:.*]] = memref.dim %arg0
// CHECK: %[[ARE_MANY:.*]] = arith.cmpi uge, %[[ROWS]], %c32
// CHECK: %[[DONE:.*]] = arith.select %[[ARE_MANY]], %[[ROWS]], %c0
// CHECK: scf.for %{{.*}} = %c0 to %[[DONE]] step %c256
// CHECK: vector.store %{{.*}}, %[[SUMS]]
// CHECK: arith.mulf
// CHECK: "llvm.x86.avx512bf16.cvtne2ps2bf16.512"
// CHECK: vector.store %{{.*}}, %[[X]]
// CHECK: memref.prefetch %arg1
// CHECK: "llvm.x86.avx512bf16.cvtne2ps2bf16.512"
// CHECK: vector.store %{{.*}}, %[[PANEL]]
// CHECK-COUNT-4: amx.tile_load %[[SUMS]]
// CHECK-COUNT-2: amx.tile_load %[[X]]{{.*}} {lutra.nontemporal} : memref<16x2048xbf16> into !amx.tile<16x32xbf16>
// CHECK: amx.tile_load %[[PANEL]]{{.*}}, %c32 : memref
// CHECK-COUNT-2: amx.tile_mulf
// CHECK: amx.tile_load %[[PANEL]]
// CHECK-COUNT-2: amx.tile_mulf
// CHECK-COUNT-4: amx.tile_store %[[SUMS]]
// CHECK: vector.maskedstore %arg5
// CHECK: %[[ARE_DONE:.*]] = arith.cmpi eq, %[[DONE]], %[[ROWS]]
// CHECK: arith.select %[[ARE_DONE]], %c0
// CHECK-NOT: amx.tile_
// CHECK: "llvm.x86.avx512.vpdpbusd.512"
func.func @float_tiles(%x: memref<?x4x32xi8>, %w: memref<2x16x1x128xi8>, %s: memref<2x4x32xf32>,
                       %xs: memref<?x4xf32>, %sums: memref<?x4xi32>, %y: memref<?x40xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> layout <rows = 32> x(%x : memref<?x4x32xi8>)
      codes(%w : memref<2x16x1x128xi8>) scales(%s : memref<2x4x32xf32>) xscales(%xs : memref<?x4xf32>)
      xsums(%sums : memref<?x4xi32>) outs(%y : memref<?x40xf32>)
  return
}

// The second half of the last tile is empty: zeros.
// CHECK-LABEL: func.func @half_tiles
// CHECK: arith.select %{{.*}}, %{{.*}}, %{{.*}} : vector<16xf32>
// CHECK-COUNT-8: vector.store %{{.*}} : memref<1x1024xbf16>, vector<32xbf16>
// CHECK: amx.tile_mulf
// CHECK-NOT: vpdpbusd
// CHECK: return
func.func @half_tiles(%x: memref<64x3x16xi8>, %w: memref<1x6x1x64xi8>, %s: memref<1x3x16xf32>,
                      %xs: memref<64x3xf32>, %sums: memref<64x3xi32>, %y: memref<64x16xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> layout <rows = 16> x(%x : memref<64x3x16xi8>)
      codes(%w : memref<1x6x1x64xi8>) scales(%s : memref<1x3x16xf32>) xscales(%xs : memref<64x3xf32>)
      xsums(%sums : memref<64x3xi32>) outs(%y : memref<64x16xf32>)
  return
}

// Sums of longer groups leave their tiles less often; of fewer rows to decode takes longer.
// CHECK-LABEL: func.func @longer_groups
// CHECK: amx.tile_muli
// CHECK-LABEL: func.func @fewer_rows
// CHECK: amx.tile_muli
func.func @longer_groups(%x: memref<64x4x64xi8>, %w: memref<2x32x1x128xi8>, %s: memref<2x4x32xf32>,
                         %xs: memref<64x4xf32>, %sums: memref<64x4xi32>, %y: memref<64x40xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> layout <rows = 32> x(%x : memref<64x4x64xi8>)
      codes(%w : memref<2x32x1x128xi8>) scales(%s : memref<2x4x32xf32>) xscales(%xs : memref<64x4xf32>)
      xsums(%sums : memref<64x4xi32>) outs(%y : memref<64x40xf32>)
  return
}
func.func @fewer_rows(%x: memref<47x4x32xi8>, %w: memref<2x16x1x128xi8>, %s: memref<2x4x32xf32>,
                      %xs: memref<47x4xf32>, %sums: memref<47x4xi32>, %y: memref<47x40xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> layout <rows = 32> x(%x : memref<47x4x32xi8>)
      codes(%w : memref<2x16x1x128xi8>) scales(%s : memref<2x4x32xf32>) xscales(%xs : memref<47x4xf32>)
      xsums(%sums : memref<47x4xi32>) outs(%y : memref<47x40xf32>)
  return
}
}

// -----

module attributes {lutra.target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "x86-64-v3",
    features = "+ssse3,+avx2,+fma", vectorBits = 256, vectorRegisters = 16, l1 = 32768, l2 = 1048576>} {
// Any number of rows: as many as registers hold, and one by one.
// CHECK-LABEL: func.func @pairs
// CHECK: arith.remui
// CHECK: scf.for
// CHECK: "llvm.x86.avx2.pmadd.ub.sw"
// CHECK: "llvm.x86.avx2.pmadd.wd"
// CHECK: scf.if
func.func @pairs(%x: memref<?x1x32xi8>, %w: memref<1x2x1x64xi8>, %s: memref<1x1x16xf32>,
                 %xs: memref<?x1xf32>, %sums: memref<?x1xi32>, %y: memref<?x16xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 2, zero = 1> layout <rows = 16> x(%x : memref<?x1x32xi8>)
      codes(%w : memref<1x2x1x64xi8>) scales(%s : memref<1x1x16xf32>) xscales(%xs : memref<?x1xf32>)
      xsums(%sums : memref<?x1xi32>) outs(%y : memref<?x16xf32>)
  return
}

// Two products of 8 bits do not fit 16 bits.
// CHECK-LABEL: func.func @words
// CHECK-NOT: pmadd.ub.sw
// CHECK: "llvm.x86.avx2.pmadd.wd"
func.func @words(%x: memref<1x1x32xi8>, %w: memref<1x8x1x64xi8>, %s: memref<1x1x16xf32>,
                 %xs: memref<1x1xf32>, %sums: memref<1x1xi32>, %y: memref<1x16xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 8, zero = 128> layout <rows = 16> x(%x : memref<1x1x32xi8>)
      codes(%w : memref<1x8x1x64xi8>) scales(%s : memref<1x1x16xf32>) xscales(%xs : memref<1x1xf32>)
      xsums(%sums : memref<1x1xi32>) outs(%y : memref<1x16xf32>)
  return
}
}

// -----

module attributes {lutra.target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "sapphirerapids",
    features = "+avx512f,+avx512bw,+avx512vl,+avx512vnni", vectorBits = 512, vectorRegisters = 32, l1 = 49152, l2 = 2097152>} {
// Hardware that foresees less is told of codes of 4 bits too, 56 chunks of 64 bytes ahead.
// CHECK-LABEL: func.func @told
// CHECK: %[[LATER:.*]] = arith.addi %{{.*}}, %c56
// CHECK: memref.prefetch %arg1[%{{.*}}, %[[LATER]], %c0, %c0], read
func.func @told(%x: memref<1x64x32xi8>, %w: memref<1x256x1x64xi8>, %s: memref<1x64x16xf32>,
                %xs: memref<1x64xf32>, %sums: memref<1x64xi32>, %y: memref<1x16xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> layout <rows = 16> x(%x : memref<1x64x32xi8>)
      codes(%w : memref<1x256x1x64xi8>) scales(%s : memref<1x64x16xf32>) xscales(%xs : memref<1x64xf32>)
      xsums(%sums : memref<1x64xi32>) outs(%y : memref<1x16xf32>)
  return
}
}

// -----

// Without a target, what any machine does. A code of 3 bits is two fields.
// CHECK-LABEL: func.func @plain
// CHECK-COUNT-3: memref.prefetch %arg1[{{.*}}], read, locality<3>, data : memref<2x1x3x16xi8>
// CHECK: arith.ori
// CHECK: arith.muli %{{.*}}, %{{.*}} : vector<4xi32>
// CHECK-NOT: llvm.call_intrinsic
// CHECK: vector.store
func.func @plain(%x: memref<1x1x32xi8>, %w: memref<2x1x3x16xi8>, %s: memref<2x1x4xf32>,
                 %xs: memref<1x1xf32>, %sums: memref<1x1xi32>, %y: memref<1x8xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 3, zero = 0> layout <rows = 4> x(%x : memref<1x1x32xi8>)
      codes(%w : memref<2x1x3x16xi8>) scales(%s : memref<2x1x4xf32>) xscales(%xs : memref<1x1xf32>)
      xsums(%sums : memref<1x1xi32>) outs(%y : memref<1x8xf32>)
  return
}

// -----

// The highest eight bits of two windows are carried from chunk to chunk.
module attributes {lutra.target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "cascadelake",
    features = "+avx512f,+avx512bw,+avx512vnni", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
// CHECK-LABEL: func.func @trellis
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %{{.*}}, %[[LAST:.*]] = %{{.*}}, %[[BEFORE:.*]] = %{{.*}}) -> (vector<16xf32>, vector<16xi32>, vector<16xi32>)
// CHECK: arith.andi %[[BEFORE]], %{{.*}} : vector<16xi32>
// CHECK: arith.ori
// CHECK-COUNT-4: lut.lookup %{{.*}} in %{{.*}} : vector<64xi8>, vector<16xi8>
// CHECK: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"
// CHECK: scf.yield %{{.*}}, %{{.*}}, %{{.*}} : vector<16xf32>, vector<16xi32>, vector<16xi32>
func.func @trellis(%x: memref<1x3x32xi8>, %w: memref<1x6x1x64xi8>, %s: memref<1x3x16xf32>,
                   %xs: memref<1x3xf32>, %sums: memref<1x3xi32>, %y: memref<1x16xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.trellis<bits = 2> layout <rows = 16> x(%x : memref<1x3x32xi8>)
      codes(%w : memref<1x6x1x64xi8>) scales(%s : memref<1x3x16xf32>) xscales(%xs : memref<1x3xf32>)
      xsums(%sums : memref<1x3xi32>) outs(%y : memref<1x16xf32>)
  return
}

// A quad of codes of each book gives eight of numbers.
// CHECK-LABEL: func.func @vectors
// CHECK: %[[A:.*]] = vector.load %arg1[%{{.*}}, %[[CHUNK:.*]], %{{.*}}, %{{.*}}] : memref<1x6x1x64xi8>
// CHECK: vector.load %arg2[%c0{{.*}}, %c0{{.*}}, %c0{{.*}}] : memref<2x8x256xi8>, vector<256xi8>
// CHECK: %[[FIRST:.*]] = lut.lookup %{{.*}} in %{{.*}} : vector<64xi8>, vector<256xi8>
// CHECK: %[[NEXT:.*]] = arith.addi %[[CHUNK]], %c1
// CHECK: vector.load %arg1[%{{.*}}, %[[NEXT]], %{{.*}}, %{{.*}}] : memref<1x6x1x64xi8>
// CHECK: vector.load %arg2[%c1{{.*}}, %c0{{.*}}, %c0{{.*}}] : memref<2x8x256xi8>, vector<256xi8>
// CHECK: %[[SECOND:.*]] = lut.lookup
// CHECK: %[[SUM:.*]] = arith.addi %[[FIRST]], %[[SECOND]] : vector<64xi8>
// CHECK: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%{{.*}}, %[[SUM]],
// CHECK-COUNT-14: lut.lookup
// CHECK-NOT: lut.lookup
func.func @vectors(%x: memref<1x3x32xi8>, %w: memref<1x6x1x64xi8>, %b: memref<2x8x256xi8>, %s: memref<1x3x16xf32>,
                   %xs: memref<1x3xf32>, %sums: memref<1x3xi32>, %y: memref<1x16xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.vectors<bits = 8, size = 8, books = 2> layout <rows = 16> x(%x : memref<1x3x32xi8>)
      codes(%w : memref<1x6x1x64xi8>) scales(%s : memref<1x3x16xf32>) codebook(%b : memref<2x8x256xi8>)
      xscales(%xs : memref<1x3xf32>) xsums(%sums : memref<1x3xi32>) outs(%y : memref<1x16xf32>)
  return
}

// Two planes of codes for one group of x, of which half the sum is subtracted.
// CHECK-LABEL: func.func @planes
// CHECK-DAG: %[[HALF:.*]] = vector.broadcast %{{.*}} : f32 to vector<16xf32>
// CHECK: %[[GROUP:.*]] = arith.divui
// CHECK: vector.load %arg0[%{{.*}}, %{{.*}}, %{{.*}}] : memref<1x3x32xi8>
func.func @planes(%x: memref<1x3x32xi8>, %w: memref<1x6x1x64xi8>, %s: memref<1x6x16xf32>,
                  %xs: memref<1x3xf32>, %sums: memref<1x3xi32>, %y: memref<1x16xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.binary<planes = 2> layout <rows = 16> x(%x : memref<1x3x32xi8>)
      codes(%w : memref<1x6x1x64xi8>) scales(%s : memref<1x6x16xf32>) xscales(%xs : memref<1x3xf32>)
      xsums(%sums : memref<1x3xi32>) outs(%y : memref<1x16xf32>)
  return
}
}

// -----

// CHECK-LABEL: func.func @gather
// CHECK: memref.alloca() {alignment = 64 : i64} : memref<32xf32>
// CHECK: vector.gather
func.func @gather(%x: memref<1x1x32xf32>, %w: memref<2x1x5x16xi8>, %s: memref<2x1x4xf32>, %y: memref<1x8xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.codebook<bits = 5, values = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0, 20.0, 21.0, 22.0, 23.0, 24.0, 25.0, 26.0, 27.0, 28.0, 29.0, 30.0, 31.0]>
      layout <rows = 4> x(%x : memref<1x1x32xf32>) codes(%w : memref<2x1x5x16xi8>) scales(%s : memref<2x1x4xf32>)
      outs(%y : memref<1x8xf32>)
  return
}

// -----

// Tables: half a byte is the key of four codes of one bit, in one of four tables of 16 entries.
module attributes {lutra.target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "znver4",
    features = "+avx512f,+avx512bw,+avx512vbmi,+avx512vnni", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
// CHECK-LABEL: func.func @tables
// CHECK-DAG: %[[LESS:.*]] = arith.constant dense<-1024> : vector<16xi32>
// CHECK: vector.load %arg1
// CHECK: %[[LOW:.*]] = arith.constant dense<252645135> : vector<16xi32>
// CHECK: arith.andi %{{.*}}, %[[LOW]] : vector<16xi32>
// CHECK: %[[KEYS:.*]] = arith.ori {{.*}} : vector<64xi8>
// CHECK: %[[TABLE:.*]] = vector.load %arg0[{{.*}}] : memref<2x1x2x64xi8>, vector<64xi8>
// CHECK: %[[ENTRIES:.*]] = lut.lookup %[[KEYS]] in %[[TABLE]]
// CHECK: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%[[LESS]], %[[ENTRIES]], %{{.*}})
// CHECK: arith.shrui
func.func @tables(%x: memref<2x1x2x64xi8>, %w: memref<1x1x1x64xi8>, %s: memref<1x1x16xf32>,
                  %xs: memref<2x1xf32>, %y: memref<2x16xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 1, zero = 0> layout <rows = 16> x(%x : memref<2x1x2x64xi8>)
      codes(%w : memref<1x1x1x64xi8>) scales(%s : memref<1x1x16xf32>) xscales(%xs : memref<2x1xf32>)
      outs(%y : memref<2x16xf32>)
  return
}

// Sums of 16 bits are flushed after 256 entries, here of 320.
// CHECK-LABEL: func.func @bytes
// CHECK: scf.for
// CHECK: lut.lookup %{{.*}} in %{{.*}} : vector<64xi8>, vector<16xi8>
// CHECK: arith.addi %{{.*}}, %{{.*}} : vector<32xi16>
// CHECK-COUNT-4: arith.extsi %{{.*}} : vector<16xi16> to vector<16xi32>
// CHECK: lut.lookup
// CHECK-COUNT-4: arith.extsi %{{.*}} : vector<16xi16> to vector<16xi32>
func.func @bytes(%x: memref<1x1x320x16xi8>, %w: memref<1x160x1x64xi8>, %s: memref<1x1x64xf32>,
                 %xs: memref<1x1xf32>, %y: memref<1x64xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 2, zero = 0> layout <rows = 64, depth = 1> x(%x : memref<1x1x320x16xi8>)
      codes(%w : memref<1x160x1x64xi8>) scales(%s : memref<1x1x64xf32>) xscales(%xs : memref<1x1xf32>)
      outs(%y : memref<1x64xf32>)
  return
}
}

// -----

module attributes {lutra.target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "znver4",
    features = "+avx512f,+avx512bw,+avx512vl,+avx512vnni", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
// Of 16 rows of floats and more, codes are decoded once, 128 of a row at a time, whose sums are in the
// result until the next; tiles of eight rows. What is left is decoded as it is multiplied.
// CHECK-LABEL: func.func @panel_of_floats
// CHECK: %[[PANEL:.*]] = memref.alloca() {{.*}} : memref<128x32xf32>
// CHECK-DAG: %[[X:.*]] = memref.collapse_shape %arg0
// CHECK-DAG: %[[ROWS:.*]] = memref.dim %arg0
// CHECK: %[[REST:.*]] = arith.remui %[[ROWS]], %c8
// CHECK: %[[MANY:.*]] = arith.cmpi uge, %[[ROWS]], %c16
// CHECK: %[[WHOLE:.*]] = arith.subi %[[ROWS]], %[[REST]]
// CHECK: %[[DONE:.*]] = arith.select %[[MANY]], %[[WHOLE]], %c0
// CHECK: %[[CHUNKS:.*]] = arith.select %[[MANY]], %c32, %c0
// CHECK: scf.for %[[FIRST:.*]] = %c0 to %[[CHUNKS]] step %c16
// CHECK: scf.for
// CHECK: %[[NUMBER:.*]] = arith.mulf %{{.*}}, %{{.*}} : vector<16xf32>
// CHECK: vector.store %[[NUMBER]], %[[PANEL]]
// CHECK: scf.for %{{.*}} = %c0 to %[[DONE]] step %c8
// CHECK: %[[SUM:.*]] = vector.maskedload %arg3
// CHECK: arith.select %{{.*}}, %{{.*}}, %[[SUM]] : vector<16xf32>
// CHECK: scf.for {{.*}} iter_args
// CHECK: vector.load %[[PANEL]]
// CHECK: memref.load %[[X]]
// CHECK: vector.maskedstore %arg3
// CHECK: arith.subi %[[ROWS]], %[[DONE]]
func.func @panel_of_floats(%x: memref<?x8x32xf32>, %w: memref<2x32x1x128xi8>, %s: memref<2x8x32xf32>,
                           %y: memref<?x40xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> layout <rows = 32> x(%x : memref<?x8x32xf32>)
      codes(%w : memref<2x32x1x128xi8>) scales(%s : memref<2x8x32xf32>) outs(%y : memref<?x40xf32>)
  return
}

// CHECK-LABEL: func.func @few_rows_of_floats
// CHECK-NOT: memref.alloca
// CHECK: return
func.func @few_rows_of_floats(%x: memref<15x8x32xf32>, %w: memref<2x32x1x128xi8>, %s: memref<2x8x32xf32>,
                              %y: memref<15x40xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 4, zero = 8> layout <rows = 32> x(%x : memref<15x8x32xf32>)
      codes(%w : memref<2x32x1x128xi8>) scales(%s : memref<2x8x32xf32>) outs(%y : memref<15x40xf32>)
  return
}

// Two codes of two bits are in the four that the instruction looks at, each with numbers of its own: of
// four codes of a byte only every second is shifted, and none is masked.
// CHECK-LABEL: func.func @two_bits
// CHECK-DAG: %[[LOW:.*]] = arith.constant dense<[-2.000000e+00, -1.000000e+00, 0.000000e+00, 1.000000e+00, -2.000000e+00,
// CHECK-DAG: %[[HIGH:.*]] = arith.constant dense<[-2.000000e+00, -2.000000e+00, -2.000000e+00, -2.000000e+00, -1.000000e+00,
// CHECK-NOT: arith.andi
// CHECK: "llvm.x86.avx512.permvar.sf.512"(%[[LOW]], %[[CODES:.*]])
// CHECK: "llvm.x86.avx512.permvar.sf.512"(%[[HIGH]], %[[CODES]])
// CHECK: return
func.func @two_bits(%x: memref<1x1x32xf32>, %w: memref<1x2x1x64xi8>, %s: memref<1x1x16xf32>,
                    %y: memref<1x16xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 2, zero = 2> layout <rows = 16> x(%x : memref<1x1x32xf32>)
      codes(%w : memref<1x2x1x64xi8>) scales(%s : memref<1x1x16xf32>) outs(%y : memref<1x16xf32>)
  return
}
}

// -----

module attributes {lutra.target = #lutra.target<triple = "aarch64-unknown-linux-gnu", cpu = "generic", features = "+dotprod,+i8mm", vectorBits = 128, vectorRegisters = 32, l1 = 32768, l2 = 524288>} {
// Two quads become eight codes of two columns each, and numbers are of two rows. Where sums start
// and what they become is turned likewise.
// CHECK-LABEL: func.func @matrices_of_bytes
// CHECK-COUNT-6: vector.shuffle %{{.*}}, %{{.*}} [{{0, 4, 1, 5|2, 6, 3, 7}}] : vector<4xi32>, vector<4xi32>
// CHECK: vector.shuffle %{{.*}}, %{{.*}} [0, 1, {{.*}}, 15] : vector<8xi8>, vector<8xi8>
// CHECK-COUNT-16: "llvm.aarch64.neon.usmmla.v4i32.v16i8"
// CHECK-NOT: usmmla
// CHECK: vector.shuffle %{{.*}}, %{{.*}} [0, 2, 4, 6] : vector<4xi32>, vector<4xi32>
// CHECK: return
func.func @matrices_of_bytes(%x: memref<2x1x32xi8>, %w: memref<1x8x1x32xi8>, %s: memref<1x1x8xf32>,
    %xs: memref<2x1xf32>, %sums: memref<2x1xi32>, %y: memref<2x8xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 8, zero = 128> layout <rows = 8> x(%x : memref<2x1x32xi8>)
      codes(%w : memref<1x8x1x32xi8>) scales(%s : memref<1x1x8xf32>) xscales(%xs : memref<2x1xf32>)
      xsums(%sums : memref<2x1xi32>) outs(%y : memref<2x8xf32>)
  return
}

// A row alone.
// CHECK-LABEL: func.func @row_of_bytes
// CHECK-COUNT-16: "llvm.aarch64.neon.usdot.v4i32.v16i8"
// CHECK: return
func.func @row_of_bytes(%x: memref<1x1x32xi8>, %w: memref<1x8x1x32xi8>, %s: memref<1x1x8xf32>,
    %xs: memref<1x1xf32>, %sums: memref<1x1xi32>, %y: memref<1x8xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 8, zero = 128> layout <rows = 8> x(%x : memref<1x1x32xi8>)
      codes(%w : memref<1x8x1x32xi8>) scales(%s : memref<1x1x8xf32>) xscales(%xs : memref<1x1xf32>)
      xsums(%sums : memref<1x1xi32>) outs(%y : memref<1x8xf32>)
  return
}
}

// -----

module attributes {lutra.target = #lutra.target<triple = "aarch64-unknown-linux-gnu", cpu = "generic", features = "+dotprod", vectorBits = 128, vectorRegisters = 32, l1 = 32768, l2 = 524288>} {
// Codes minus 128 are signed, and sums start at minus (128 - 128) times the sum of x: at 0.
// CHECK-LABEL: func.func @signed_bytes
// CHECK-NOT: arith.muli {{.*}} : i32
// CHECK: arith.xori %{{.*}}, %{{.*}} : vector<16xi8>
// CHECK: "llvm.aarch64.neon.sdot.v4i32.v16i8"
// CHECK: return
func.func @signed_bytes(%x: memref<1x1x32xi8>, %w: memref<1x8x1x32xi8>, %s: memref<1x1x8xf32>,
    %xs: memref<1x1xf32>, %sums: memref<1x1xi32>, %y: memref<1x8xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 8, zero = 128> layout <rows = 8> x(%x : memref<1x1x32xi8>)
      codes(%w : memref<1x8x1x32xi8>) scales(%s : memref<1x1x8xf32>) xscales(%xs : memref<1x1xf32>)
      xsums(%sums : memref<1x1xi32>) outs(%y : memref<1x8xf32>)
  return
}
}

// -----

module attributes {lutra.target = #lutra.target<triple = "aarch64-unknown-linux-gnu", cpu = "generic", features = "", vectorBits = 128, vectorRegisters = 32, l1 = 32768, l2 = 524288>} {
// Products of 16 bits, pairs of which are added in 32, and then pairs of these.
// CHECK-LABEL: func.func @pairs_of_bytes
// CHECK: arith.extsi %{{.*}} : vector<8xi8> to vector<8xi16>
// CHECK: arith.muli %{{.*}}, %{{.*}} : vector<8xi16>
// CHECK: "llvm.aarch64.neon.saddlp.v4i32.v8i16"
// CHECK: vector.shuffle %{{.*}}, %{{.*}} [0, 2, 4, 6] : vector<4xi32>, vector<4xi32>
// CHECK: return
func.func @pairs_of_bytes(%x: memref<1x1x32xi8>, %w: memref<1x8x1x32xi8>, %s: memref<1x1x8xf32>,
    %xs: memref<1x1xf32>, %sums: memref<1x1xi32>, %y: memref<1x8xf32>) attributes {lutra.kernel} {
  mpgemm.matmul #mpgemm.affine<bits = 8, zero = 128> layout <rows = 8> x(%x : memref<1x1x32xi8>)
      codes(%w : memref<1x8x1x32xi8>) scales(%s : memref<1x1x8xf32>) xscales(%xs : memref<1x1xf32>)
      xsums(%sums : memref<1x1xi32>) outs(%y : memref<1x8xf32>)
  return
}
}
