// RUN: lutra-opt -convert-kernels-to-llvm %s | FileCheck %s

// Loops that fill rows do not become calls, behind which tiles would be configured
// anew; nor do those that copy.
// CHECK-LABEL: llvm.func internal @tiles
// CHECK-SAME:    passthrough = ["no-builtin-memset", "no-builtin-memcpy"]
// CHECK-SAME:    target_cpu = "sapphirerapids"
// Other functions may call.
// CHECK-LABEL: llvm.func internal @plain
// CHECK-NOT:     passthrough
module attributes {lutra.target = #lutra.target<triple = "x86_64-linux-gnu", cpu = "sapphirerapids", features = "+amx-tile,+amx-bf16", vectorBits = 512, vectorRegisters = 32, l1 = 49152, l2 = 2097152>} {
  func.func private @tiles(%x: memref<16x32xbf16>, %y: memref<16x16xf32>) {
    %c0 = arith.constant 0 : index
    %a = amx.tile_load %x[%c0, %c0] : memref<16x32xbf16> into !amx.tile<16x32xbf16>
    %z = amx.tile_zero : !amx.tile<16x16xf32>
    %s = amx.tile_mulf %a, %a, %z : !amx.tile<16x32xbf16>, !amx.tile<16x32xbf16>, !amx.tile<16x16xf32>
    amx.tile_store %y[%c0, %c0], %s : memref<16x16xf32>, !amx.tile<16x16xf32>
    return
  }
  func.func private @plain(%y: memref<16xf32>) {
    %c0 = arith.constant 0 : index
    %z = arith.constant dense<0.0> : vector<16xf32>
    vector.store %z, %y[%c0] : memref<16xf32>, vector<16xf32>
    return
  }
}
