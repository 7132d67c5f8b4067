// Every operation and attribute is printed as it is read.
// RUN: lutra-opt %s | lutra-opt | FileCheck %s
// RUN: lutra-opt %s --mlir-print-op-generic | lutra-opt | FileCheck %s

// CHECK: module attributes {lutra.target = #lutra.target<triple = "x86_64-linux-gnu", cpu = "znver4", features = "+avx2", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>}
module attributes {lutra.target = #lutra.target<triple = "x86_64-linux-gnu", cpu = "znver4", features = "+avx2", vectorBits = 512, vectorRegisters = 32, l1 = 32768, l2 = 1048576>} {

// The name of a dimension names the value.
// CHECK-LABEL: func.func @dim
// CHECK: %batch = lutra.dim "batch" min 1 max 64 multiple 8
// CHECK: %_2x_0 = lutra.dim "2x.0" min 0 max 9223372036854775807 multiple 1
func.func @dim() -> (index, index) {
  %0 = lutra.dim "batch" min 1 max 64 multiple 8
  %1 = lutra.dim "2x.0" min 0 max 9223372036854775807 multiple 1
  return %0, %1 : index, index
}

// CHECK-LABEL: func.func @state
// CHECK: %past_key = lutra.state "past.key" axis 1(%{{.*}}) {dtype = "FLOAT", shape = #{{.*}}} : tensor<?x32x4xf32>
func.func @state(%batch: index) -> (tensor<?x32x4xf32> {lutra.state = "past.key"}) {
  %0 = lutra.state "past.key" axis 1 (%batch) {dtype = "FLOAT", shape = affine_map<()[s0] -> (s0, 32, 4)>} : tensor<?x32x4xf32>
  return %0 : tensor<?x32x4xf32>
}

// CHECK-LABEL: func.func @weight
func.func @weight() {
  // CHECK: %fc1 = lutra.weight "fc1" from "mlp.onnx"[1024, 8192] storage tensor<64x32xf32> steps [#lutra.transpose<[1, 0]>, #lutra.pack<dim = 1, tile = 16, outer = 0>] : tensor<4x32x16xf32>
  %0 = lutra.weight "fc1" from "mlp.onnx"[1024, 8192] storage tensor<64x32xf32>
      steps [#lutra.transpose<[1, 0]>, #lutra.pack<dim = 1, tile = 16, outer = 0>] : tensor<4x32x16xf32>
  // CHECK: lutra.weight "n" from "m.onnx"[0, 5] encoding "varint" storage tensor<3xi64> steps [#lutra.cast<i64 to f32>, #lutra.reshape<[3, 1]>] : tensor<3x1xf32>
  %1 = lutra.weight "n" from "m.onnx"[0, 5] encoding "varint" storage tensor<3xi64>
      steps [#lutra.cast<i64 to f32>, #lutra.reshape<[3, 1]>] : tensor<3x1xf32>
  // CHECK: lutra.weight "q" {{.*}} steps [#lutra.dequantize<from = ui8, to = f32, axis = 1, block = 2, scale = {{.*}}, zero = {{.*}}>] : tensor<3x4xf32>
  %q = lutra.weight "q" from "m.onnx"[0, 12] storage tensor<3x4xui8>
      steps [#lutra.dequantize<from = ui8, to = f32, axis = 1, block = 2,
               scale = {name = "s", source = "m.onnx", offset = 12, size = 24, storage = tensor<3x2xf32>},
               zero = {name = "z", storage = tensor<i8>, value = dense<7> : tensor<i8>}>] : tensor<3x4xf32>
  // CHECK: lutra.weight "small" value dense<[1, 2]> : tensor<2xi32> storage tensor<2xi32> : tensor<2xi32>
  %2 = lutra.weight "small" value dense<[1, 2]> : tensor<2xi32> storage tensor<2xi32> : tensor<2xi32>
  // CHECK: lutra.weight "codes" {{.*}} steps [#lutra.unpack<bits = 4, flip = true, shape = [8, 2, 32]>, #lutra.reshape<[8, 64]>, #lutra.planes<bits = 4, rows = 16>] : tensor<1x8x1x64xi8>
  %3 = lutra.weight "codes" from "m.onnx"[0, 256] storage tensor<8x32xui8>
      steps [#lutra.unpack<bits = 4, flip = true, shape = [8, 2, 32]>, #lutra.reshape<[8, 64]>,
             #lutra.planes<bits = 4, rows = 16>] : tensor<1x8x1x64xi8>
  // CHECK: lutra.weight "zeros" {{.*}} steps [#lutra.unpack<bits = 3, flip = false, shape = [8, 5], rows = 8>] : tensor<8x5xi8>
  %4 = lutra.weight "zeros" from "m.onnx"[0, 16] storage tensor<8x2xui8>
      steps [#lutra.unpack<bits = 3, flip = false, shape = [8, 5], rows = 8>] : tensor<8x5xi8>
  // CHECK: lutra.weight "unpacked" {{.*}} steps [#lutra.unpack<bits = 4, flip = false, shape = [4, 8]>, #lutra.dequantize<{{.*}} zero = {{.*}}steps = [#lutra.unpack<bits = 4, flip = false, shape = [8]>]
  %5 = lutra.weight "unpacked" from "m.onnx"[0, 16] storage tensor<16xui8>
      steps [#lutra.unpack<bits = 4, flip = false, shape = [4, 8]>,
             #lutra.dequantize<from = ui8, to = f32, axis = 1, block = 0,
               scale = {name = "s", source = "m.onnx", offset = 12, size = 32, storage = tensor<8xf32>},
               zero = {name = "z", source = "m.onnx", offset = 44, size = 4, storage = tensor<4xui8>,
                       steps = [#lutra.unpack<bits = 4, flip = false, shape = [8]>]}>] : tensor<4x8xf32>
  return
}

// CHECK-LABEL: func.func @dispatch
func.func @dispatch(%n: index, %x: tensor<?x8xf32>, %e: tensor<?x8xf32>, %m: memref<8xf32>) -> tensor<?x8xf32> {
  // CHECK: lutra.dispatch @k[%{{.*}}] (%{{.*}}) outs(%{{.*}} : tensor<?x8xf32>) {nodes = "fc1"} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = lutra.dispatch @k[%n](%x) outs(%e : tensor<?x8xf32>) {nodes = "fc1"} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  // CHECK: lutra.dispatch @b[] () outs(%{{.*}} : memref<8xf32>) : () -> ()
  lutra.dispatch @b[]() outs(%m : memref<8xf32>) : () -> ()
  return %y : tensor<?x8xf32>
}

func.func private @k(index, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32> attributes {lutra.kernel}

// CHECK: func.func private @b
// CHECK-SAME: lutra.schedule = #lutra.schedule<distribute = [8], tile = [4], order = [0], vector = 4>
func.func private @b(memref<8xf32>) attributes {lutra.kernel,
  lutra.schedule = #lutra.schedule<distribute = [8], tile = [4], order = [0], vector = 4>}

}
