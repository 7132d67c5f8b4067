// Look-ups by what a machine has for tables of 16 and 64 bytes.
// RUN: split-file %s %t
// RUN: cat %t/vbmi.mlir %t/lookups.mlir > %t/a.mlir; lutra-opt %t/a.mlir --pass-pipeline='builtin.module(func.func(convert-lut-to-llvm))' | FileCheck %s --check-prefix=VBMI
// RUN: cat %t/avx2.mlir %t/lookups.mlir > %t/b.mlir; lutra-opt %t/b.mlir --pass-pipeline='builtin.module(func.func(convert-lut-to-llvm))' | FileCheck %s --check-prefix=AVX2
// RUN: cat %t/neon.mlir %t/lookups.mlir > %t/c.mlir; lutra-opt %t/c.mlir --pass-pipeline='builtin.module(func.func(convert-lut-to-llvm))' | FileCheck %s --check-prefix=NEON
// RUN: cat %t/none.mlir %t/lookups.mlir > %t/d.mlir; lutra-opt %t/d.mlir --pass-pipeline='builtin.module(func.func(convert-lut-to-llvm))' | FileCheck %s --check-prefix=NONE

//--- vbmi.mlir
module attributes {lutra.target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "znver4",
    features = "+avx2,+avx512bw,+avx512vbmi,+ssse3", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
//--- avx2.mlir
module attributes {lutra.target = #lutra.target<triple = "x86_64-pc-linux-gnu", cpu = "x86-64-v3",
    features = "+avx2,+ssse3", vectorBits = 256, vectorRegisters = 16, l1 = 32768, l2 = 1048576>} {
//--- neon.mlir
module attributes {lutra.target = #lutra.target<triple = "aarch64-unknown-linux-gnu", cpu = "generic",
    features = "", vectorBits = 128, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {
//--- none.mlir
module {
//--- lookups.mlir
// VBMI-LABEL: func.func @bytes
// VBMI: %[[T:.*]] = vector.shuffle %arg1, %arg1 [0, 1, {{.*}}, 15, 0, 1,
// VBMI: llvm.call_intrinsic "llvm.x86.avx512.pshuf.b.512"(%[[T]], %arg0)
// AVX2-LABEL: func.func @bytes
// AVX2: %[[T:.*]] = vector.shuffle %arg1, %arg1
// AVX2: %[[LOW:.*]] = vector.extract_strided_slice %arg0 {offsets = [0], sizes = [32], strides = [1]}
// AVX2: llvm.call_intrinsic "llvm.x86.avx2.pshuf.b"(%[[T]], %[[LOW]])
// AVX2: %[[HIGH:.*]] = vector.extract_strided_slice %arg0 {offsets = [32], sizes = [32], strides = [1]}
// AVX2: llvm.call_intrinsic "llvm.x86.avx2.pshuf.b"(%[[T]], %[[HIGH]])
// NEON-LABEL: func.func @bytes
// NEON-COUNT-4: llvm.call_intrinsic "llvm.aarch64.neon.tbl1.v16i8"
// NONE-LABEL: func.func @bytes
// NONE: %[[KEY:.*]] = vector.extract %arg0[0]
// NONE: %[[AT:.*]] = arith.index_castui %[[KEY]] : i8 to index
// NONE: vector.extract %arg1[%[[AT]]]
// NONE-NOT: intrinsic
func.func @bytes(%keys: vector<64xi8>, %table: vector<16xi8>) -> vector<64xi8> {
  %v = lut.lookup %keys in %table : vector<64xi8>, vector<16xi8>
  return %v : vector<64xi8>
}

// VBMI-LABEL: func.func @four_tables
// VBMI: llvm.call_intrinsic "llvm.x86.avx512.permvar.qi.512"({{.*}}, %arg0)
// AVX2-LABEL: func.func @four_tables
// AVX2: %[[LOW:.*]] = arith.andi %arg0, %cst{{.*}} : vector<64xi8>
// AVX2-COUNT-8: llvm.call_intrinsic "llvm.x86.avx2.pshuf.b"
// AVX2: %[[FIFTH:.*]] = arith.cmpi ne
// AVX2: %[[A:.*]] = arith.select %[[FIFTH]],
// AVX2: %[[B:.*]] = arith.select %[[FIFTH]],
// AVX2: %[[SIXTH:.*]] = arith.cmpi ne
// AVX2: arith.select %[[SIXTH]], %[[B]], %[[A]]
// NEON-LABEL: func.func @four_tables
// NEON-COUNT-4: llvm.call_intrinsic "llvm.aarch64.neon.tbl4.v16i8"
func.func @four_tables(%keys: vector<64xi8>, %table: vector<64xi8>) -> vector<64xi8> {
  %v = lut.lookup %keys in %table : vector<64xi8>, vector<64xi8>
  return %v : vector<64xi8>
}

// VBMI-LABEL: func.func @all_keys
// VBMI-COUNT-4: llvm.call_intrinsic "llvm.x86.avx512.permvar.qi.512"
// VBMI-COUNT-3: arith.select
// VBMI-NEXT: return
// NEON-LABEL: func.func @all_keys
// NEON-COUNT-16: llvm.call_intrinsic "llvm.aarch64.neon.tbl4.v16i8"
// NONE-LABEL: func.func @all_keys
// NONE-NOT: intrinsic
func.func @all_keys(%keys: vector<64xi8>, %table: vector<256xi8>) -> vector<64xi8> {
  %v = lut.lookup %keys in %table : vector<64xi8>, vector<256xi8>
  return %v : vector<64xi8>
}
// NONE-LABEL: func.func @table_in_memory
// NONE: %[[KEY:.*]] = arith.index_castui
// NONE: %[[AT:.*]] = arith.addi %c0, %[[KEY]]
// NONE: memref.load %arg1[%c0, %[[AT]]]
// NONE-NOT: vector.extract %{{.*}} : i8 from vector<256xi8>
func.func @table_in_memory(%keys: vector<16xi8>, %tables: memref<2x256xi8>) -> vector<16xi8> {
  %c0 = arith.constant 0 : index
  %table = vector.load %tables[%c0, %c0] : memref<2x256xi8>, vector<256xi8>
  %v = lut.lookup %keys in %table : vector<16xi8>, vector<256xi8>
  return %v : vector<16xi8>
}

// NONE-LABEL: func.func @table_that_changes
// NONE: vector.extract %{{.*}} : i8 from vector<256xi8>
func.func @table_that_changes(%keys: vector<16xi8>, %tables: memref<2x256xi8>) -> vector<16xi8> {
  %c0 = arith.constant 0 : index
  %table = vector.load %tables[%c0, %c0] : memref<2x256xi8>, vector<256xi8>
  vector.store %keys, %tables[%c0, %c0] : memref<2x256xi8>, vector<16xi8>
  %v = lut.lookup %keys in %table : vector<16xi8>, vector<256xi8>
  return %v : vector<16xi8>
}
}
